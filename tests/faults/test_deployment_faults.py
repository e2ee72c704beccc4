"""Faults on Deployments and StatefulSets, on the double or a real cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sloguard.engine.recover_cluster import recover_cluster
from sloguard.faults.base import FaultError
from sloguard.faults.undo_records import ANNOTATION
from sloguard.ports import ClusterNotFound
from sloguard.ports.resources import CONFIG_MAPS, DAEMON_SETS, DEPLOYMENTS, STATEFUL_SETS
from tests.support.cluster_faults import Broken, clusters, survives_kill_anywhere
from tests.support.clusters import Ground, essence
from tests.support.mortals import Mortals

pytestmark = pytest.mark.cluster

SCALE, RESTART, DELETE = (
    "deployments.scale_deployment",
    "deployments.rollout_restart",
    "deployments.delete_deployment",
)


@pytest.fixture(scope="module")
def mortals() -> Iterator[Mortals]:
    with Mortals() as made:
        yield made


@pytest.fixture
def shop(ground: Ground) -> str:
    """A namespace with a Deployment of three pods."""
    ground.nodes(2)
    namespace = ground.namespace()
    ground.deployment(namespace, annotations={"team": "shop"}, labels={"part": "a"})
    return namespace


def seen(ground, namespace, resource=DEPLOYMENTS, name="checkout"):
    """The object, and what sloguard keeps beside it."""
    try:
        found = essence(ground.cluster.get(resource, name, namespace))
    except ClusterNotFound:
        found = None
    kept = ground.cluster.list(CONFIG_MAPS, namespace, labels="sloguard.io/undo")
    return found, [k["metadata"]["name"] for k in kept]


def whom(namespace, **more):
    return {"name": "checkout", "ns": namespace, **more}


def test_scaled_to_zero_and_back(ground, shop):
    before = seen(ground, shop)
    names = {p["metadata"]["name"] for p in ground.pods(shop)}
    broken = Broken(ground, SCALE, whom(shop))
    assert broken.targets == [f"Deployment {shop}/checkout"]
    assert broken.plan.injections[0].removes["pod"] >= names
    assert "kubectl scale deployments.apps/checkout --replicas=3" in broken.plan.injections[
        0
    ].by_hand.replace(f" -n {shop}", "")
    broken.inject()
    ground.eventually(lambda: not ground.pods(shop))
    assert broken.undo() == [f"restored Deployment {shop}/checkout"]
    assert seen(ground, shop) == before
    ground.eventually(lambda: len(ground.pods(shop)) == 3)
    assert broken.undo() == [""]


def test_a_stateful_set_is_scaled_too(ground, shop):
    ground.stateful_set(shop, "store", 2)
    before = seen(ground, shop, STATEFUL_SETS, "store")
    broken = Broken(
        ground, SCALE, {"name": "store", "ns": shop, "kind": "statefulset", "replicas": 1}
    ).inject()
    ground.eventually(lambda: len(ground.pods(shop, "app=store")) == 1)
    broken.undo()
    assert seen(ground, shop, STATEFUL_SETS, "store") == before


def test_somebody_elses_count_is_left(ground, shop):
    broken = Broken(ground, SCALE, whom(shop, replicas=1)).inject()
    ground.cluster.merge_patch(
        DEPLOYMENTS, "checkout", shop, {"spec": {"replicas": 5}}, subresource="scale"
    )
    broken.undo()
    found = ground.cluster.get(DEPLOYMENTS, "checkout", shop)
    assert found["spec"]["replicas"] == 5
    assert ANNOTATION not in found["metadata"]["annotations"]


def test_two_counts_one_after_the_other(ground, shop):
    before = seen(ground, shop)
    first = Broken(ground, SCALE, whom(shop, replicas=1)).inject()
    second = Broken(ground, SCALE, whom(shop, replicas=6)).inject()
    first.undo()
    assert ground.cluster.get(DEPLOYMENTS, "checkout", shop)["spec"]["replicas"] == 6
    second.undo()
    assert seen(ground, shop) == before


def test_a_restart_replaces_all_pods(ground, shop):
    before = {p["metadata"]["uid"] for p in ground.pods(shop)}
    broken = Broken(ground, RESTART, whom(shop)).inject()

    def replaced():
        for pod in ground.pods(shop):
            ground.make_ready(pod)
        return not before & {p["metadata"]["uid"] for p in ground.pods(shop)}

    ground.eventually(replaced)
    assert broken.undo() == [""]
    again = Broken(ground, RESTART, whom(shop))
    again.records[0]["uid"] = "00000000-0000-0000-0000-000000000000"
    with pytest.raises(FaultError, match="was deleted before it could be hit"):
        again.fault.injector(again.records[0], again.context)


def test_what_is_deleted_is_made_again_as_it_was(ground, shop):
    before = seen(ground, shop)
    broken = Broken(ground, DELETE, whom(shop)).inject()
    ground.eventually(lambda: not ground.pods(shop))
    assert seen(ground, shop)[0] is None
    assert len(seen(ground, shop)[1]) == 1
    assert broken.undo() == [f"made Deployment {shop}/checkout again"]
    assert seen(ground, shop) == before
    ground.eventually(lambda: len(ground.pods(shop)) == 3)
    assert broken.undo() == [""]


def test_a_daemon_set_is_deleted_and_made_again(ground, shop):
    ground.daemon_set(shop)
    before = seen(ground, shop, DAEMON_SETS, "agent")
    broken = Broken(ground, DELETE, {"name": "agent", "ns": shop, "kind": "daemonset"}).inject()
    broken.undo()
    after = seen(ground, shop, DAEMON_SETS, "agent")
    assert (after[0]["spec"], after[1]) == (before[0]["spec"], before[1])


def test_what_somebody_has_made_again_is_left(ground, shop):
    broken = Broken(ground, DELETE, whom(shop)).inject()
    ground.eventually(lambda: seen(ground, shop)[0] is None)
    ground.deployment(shop, replicas=1)
    assert broken.undo() == [""]
    assert ground.cluster.get(DEPLOYMENTS, "checkout", shop)["spec"]["replicas"] == 1
    assert seen(ground, shop)[1] == []


def test_another_one_of_the_same_name_is_not_hit(ground, shop):
    broken = Broken(ground, DELETE, whom(shop))
    ground.cluster.delete(DEPLOYMENTS, "checkout", shop, propagation="Background")
    ground.eventually(lambda: seen(ground, shop)[0] is None)
    with pytest.raises(FaultError, match="was deleted before"):
        broken.inject()
    ground.deployment(shop, replicas=1)
    with pytest.raises(FaultError, match="made anew since"):
        broken.inject()
    assert seen(ground, shop)[1] == []


def test_recovery_from_the_cluster_alone(ground, shop):
    before = seen(ground, shop)
    Broken(ground, DELETE, whom(shop)).inject()
    told = [t for t in recover_cluster(clusters(ground)) if shop in t.target]
    assert [(t.status, t.fault) for t in told] == [("undone", DELETE)]
    assert seen(ground, shop) == before


@pytest.mark.parametrize(
    ("fault", "arguments", "problem"),
    [
        (SCALE, {"name": None}, "say which: name, label_selector"),
        (SCALE, {"name": "nothing"}, "no Deployment named nothing to hit in namespace shop-"),
        (SCALE, {"replicas": 3}, "it has 3 replicas already"),
        (SCALE, {"replicas": -1}, "replicas: must be at least 0"),
        (SCALE, {"kind": "daemonset"}, "cannot be scaled"),
        (RESTART, {"kind": "job"}, "kind: expected one of deployment, statefulset, daemonset"),
    ],
)
def test_what_cannot_be_done_is_said_before(ground, shop, fault, arguments, problem):
    with pytest.raises(FaultError, match=problem):
        Broken(ground, fault, whom(shop, **arguments))


@pytest.mark.parametrize("what", ["lost-after", "error"])
def test_no_copy_no_deletion(ground, shop, what):
    trouble, before = ground.passage.trouble, seen(ground, shop)
    broken = Broken(ground, DELETE, whom(shop))
    trouble.add(what, match=lambda r: r.method == "POST")
    if what == "lost-after":
        broken.inject()
        assert seen(ground, shop)[0] is None
    else:
        with pytest.raises(ClusterNotFound):
            broken.inject()
        assert seen(ground, shop) == before
    broken.undo()
    assert seen(ground, shop) == before


@pytest.mark.parametrize("fault", [SCALE, DELETE])
def test_killed_between_any_two_calls(ground, shop, tmp_path, mortals, fault):
    survives_kill_anywhere(ground, tmp_path, mortals, fault, whom(shop), lambda: seen(ground, shop))
