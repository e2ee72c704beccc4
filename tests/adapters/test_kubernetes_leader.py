"""A Lease of the cluster is one holder's at a time, and anybody's once it has run out."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator

import pytest

from sloguard.adapters.kubernetes_leader import ClusterLeases
from sloguard.adapters.kubernetes_locks import LeaseLocks
from sloguard.ports import ClusterNotFound
from sloguard.ports.resources import LEASES
from tests.support.clusters import Ground

pytestmark = pytest.mark.cluster


@pytest.fixture
def name(ground: Ground) -> Iterator[str]:
    made = f"sloguard-test-{ground.mark}"
    yield made
    with contextlib.suppress(ClusterNotFound):
        ground.cluster.delete(LEASES, made, ground.cluster.own_namespace)


def test_a_lease_is_held_by_one_until_it_has_run_out(ground: Ground, name: str) -> None:
    leases = ClusterLeases(lambda: ground.cluster)
    assert leases.hold_lease(name, "one", 60)
    assert not leases.hold_lease(name, "two", 60)
    assert leases.hold_lease(name, "one", 60), "it prolongs its own"
    found = ground.cluster.get(LEASES, name, ground.cluster.own_namespace)
    long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    spec = {**found["spec"], "renewTime": long_ago.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
    ground.cluster.replace(LEASES, {**found, "spec": spec})
    assert leases.hold_lease(name, "two", 60)
    assert not leases.hold_lease(name, "one", 60)
    taken = ground.cluster.get(LEASES, name, ground.cluster.own_namespace)["spec"]
    assert (taken["holderIdentity"], taken["leaseTransitions"]) == ("two", 1)


def test_a_lease_that_somebody_has_made_empty_is_free(ground: Ground, name: str) -> None:
    about = {"name": name, "namespace": ground.cluster.own_namespace}
    body = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": about}
    ground.cluster.create(LEASES, body)
    assert ClusterLeases(lambda: ground.cluster).hold_lease(name, "one", 60)
    # The same for what keeps runs apart.
    namespace = ground.namespace()
    ground.cluster.create(
        LEASES, {**body, "metadata": {"name": "sloguard", "namespace": namespace}}
    )
    locks = LeaseLocks(lambda _context: ground.cluster)
    locks.acquire([f"namespace:{ground.cluster.name}/{namespace}"], "run a")
    locks.release()
