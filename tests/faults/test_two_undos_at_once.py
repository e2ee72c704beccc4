"""A run and a recovery undo the same fault at the same moment, on the double or a real cluster."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sloguard.engine.recover_cluster import recover_cluster
from sloguard.ports import ClusterNotFound
from sloguard.ports.resources import CONFIG_MAPS, DEPLOYMENTS, NETWORK_POLICIES, NODES
from tests.support.cluster_faults import Broken, clusters
from tests.support.clusters import Ground, essence

pytestmark = pytest.mark.cluster

#: So long the first of two writes waits for the other, seconds.
_MEETS = 5.0


@pytest.fixture
def shop(ground: Ground) -> str:
    ground.node(pool=ground.mark)
    namespace = ground.namespace()
    ground.virtual_service(namespace)
    ground.deployment(namespace, replicas=2)
    return namespace


def seen(ground: Ground, namespace: str):
    """All that the faults below change."""
    try:
        deployment = essence(ground.cluster.get(DEPLOYMENTS, "checkout", namespace))
    except ClusterNotFound:
        deployment = None
    kept = ground.cluster.list(CONFIG_MAPS, namespace, labels="sloguard.io/undo")
    return (
        deployment,
        essence(ground.cluster.get(ground.virtual_services(), "checkout", namespace)),
        [essence(n) for n in ground.cluster.list(NODES, labels=f"pool={ground.mark}")],
        [p["spec"] for p in ground.cluster.list(NETWORK_POLICIES, namespace)],
        [k["metadata"]["name"] for k in kept],
    )


def meeting(ground: Ground) -> None:
    """From now on the first write waits until another one is on its way: both have looked before."""
    both = threading.Barrier(2)

    def wait(_number: int, request) -> None:
        if request.method != "GET" and not both.broken:
            try:
                both.wait(_MEETS)
            except threading.BrokenBarrierError:
                return
            both.abort()

    ground.passage.trouble.before = wait


@pytest.mark.parametrize(
    ("fault", "arguments"),
    [
        ("istio.add_abort_fault", {"virtual_service_name": "checkout", "ns": "{ns}"}),
        ("deployments.scale_deployment", {"name": "checkout", "ns": "{ns}"}),
        ("deployments.delete_deployment", {"name": "checkout", "ns": "{ns}"}),
        ("nodes.cordon_node", {"label_selector": "pool={mark}"}),
        ("nodes.taint_nodes", {"label_selector": "pool={mark}", "key": "broken"}),
        ("netpol.isolate_pods", {"label_selector": "app=checkout", "ns": "{ns}"}),
    ],
)
def test_both_converge(ground, shop, fault, arguments):
    assert ground.passage
    before = seen(ground, shop)
    given = {k: v.format(ns=shop, mark=ground.mark) for k, v in arguments.items()}
    broken = Broken(ground, fault, given).inject()
    assert seen(ground, shop) != before
    meeting(ground)
    with ThreadPoolExecutor(2) as threads:
        mine = threads.submit(broken.undo)
        other = threads.submit(lambda: list(recover_cluster(clusters(ground))))
        done, told = mine.result(), other.result()
    assert {t.status for t in told} <= {"undone", "nothing-to-undo"}, told
    assert any(done) or "undone" in {t.status for t in told}
    assert seen(ground, shop) == before
    assert not any(broken.undo())
