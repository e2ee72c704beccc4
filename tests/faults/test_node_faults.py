"""Faults on nodes, on the double or a real cluster; all nodes are the tests' own."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from sloguard.engine.recover_cluster import recover_cluster
from sloguard.faults.base import FaultError
from sloguard.faults.undo_records import ANNOTATION
from sloguard.ports import Whereabouts
from sloguard.ports.resources import BUDGETS, CONFIG_MAPS, NODES, PODS
from tests.support.cluster_faults import Broken, clusters, survives_kill_anywhere
from tests.support.clusters import Ground, essence
from tests.support.mortals import Mortals

pytestmark = pytest.mark.cluster

CORDON, UNCORDON, TAINT, DRAIN, DELETE = (
    "nodes.cordon_node",
    "nodes.uncordon_node",
    "nodes.taint_nodes",
    "nodes.drain_nodes",
    "nodes.delete_nodes",
)


@pytest.fixture(scope="module")
def mortals() -> Iterator[Mortals]:
    with Mortals() as made:
        yield made


@pytest.fixture
def pool(ground: Ground) -> str:
    """Three nodes in two zones that only these tests use; gives the value of their label pool."""
    import uuid

    pool = f"p{uuid.uuid4().hex[:6]}"
    for zone in ("zone-a", "zone-a", "zone-b"):
        ground.node(zone, pool=pool)
    return pool


def nodes(ground, pool):
    return ground.cluster.list(NODES, labels=f"pool={pool}")


def seen(ground, pool):
    return {n["metadata"]["name"]: essence(n) for n in nodes(ground, pool)}


def cordoned(ground, pool):
    return {n["metadata"]["name"] for n in nodes(ground, pool) if n["spec"].get("unschedulable")}


def test_a_cordon_comes_and_goes(ground, pool):
    before = seen(ground, pool)
    broken = Broken(ground, CORDON, {"label_selector": f"pool={pool}", "zone": "zone-a"})
    assert len(broken.targets) == 2
    assert broken.plan.injections[0].lock == f"node:{ground.cluster.name}/{broken.targets[0]}"
    broken.inject()
    assert cordoned(ground, pool) == set(broken.targets)
    assert sorted(broken.undo()) == sorted(f"restored Node {name}" for name in broken.targets)
    assert seen(ground, pool) == before
    assert broken.undo() == ["", ""]


@pytest.mark.parametrize("fault", [CORDON, UNCORDON, DRAIN, DELETE])
def test_a_name_is_hit_only_with_the_labels_and_in_the_zone_that_are_asked_for(ground, pool, fault):
    one = next(iter(seen(ground, pool)))
    whom = {"name": one, "label_selector": f"pool={pool}"}
    assert Broken(ground, fault, whom).targets == [one]
    assert Broken(ground, fault, {**whom, "zone": zone_of(ground, one)}).targets == [one]
    for more, said in (
        ({"label_selector": "pool=another"}, "with pool=another"),
        ({"zone": "zone-c"}, "with .*zone=zone-c"),
    ):
        with pytest.raises(FaultError, match=f"no node named {one} {said}"):
            Broken(ground, fault, {"name": one, **more})


def zone_of(ground, name):
    return ground.cluster.get(NODES, name)["metadata"]["labels"]["topology.kubernetes.io/zone"]


def test_a_cordon_of_somebody_else_is_left(ground, pool):
    theirs = nodes(ground, pool)[0]["metadata"]["name"]
    ground.cluster.merge_patch(NODES, theirs, None, {"spec": {"unschedulable": True}})
    broken = Broken(ground, CORDON, {"label_selector": f"pool={pool}"})
    assert (theirs, "it is cordoned already, by somebody else") in broken.plan.spared
    broken.inject()
    assert len(cordoned(ground, pool)) == 3
    Broken(ground, UNCORDON, {"label_selector": f"pool={pool}"}).inject()
    assert cordoned(ground, pool) == {theirs}
    broken.undo()
    assert cordoned(ground, pool) == {theirs}


def test_who_takes_a_cordon_away_by_hand_has_undone_it(ground, pool):
    broken = Broken(ground, CORDON, {"label_selector": f"pool={pool}", "count": 1}).inject()
    ground.cluster.merge_patch(NODES, broken.targets[0], None, {"spec": {"unschedulable": None}})
    broken.undo()
    assert ANNOTATION not in (
        ground.cluster.get(NODES, broken.targets[0])["metadata"].get("annotations") or {}
    )
    assert cordoned(ground, pool) == set()


def test_how_many_and_which(ground, pool):
    whom = {"label_selector": f"pool={pool}"}
    assert len(Broken(ground, CORDON, {**whom, "count": 2}).targets) == 2
    assert len(Broken(ground, CORDON, {**whom, "percentage": 50}).targets) == 1
    assert len(Broken(ground, CORDON, {**whom, "leave_at_least": 1}).targets) == 2
    one = {**whom, "count": 1}
    assert Broken(ground, CORDON, one, 4).targets == Broken(ground, CORDON, one, 4).targets
    assert len({Broken(ground, CORDON, one, seed).targets[0] for seed in range(20)}) == 3
    name = nodes(ground, pool)[2]["metadata"]["name"]
    assert Broken(ground, CORDON, {"name": name}).targets == [name]


def test_only_nodes_that_host_pods_of_a_namespace(ground, pool):
    namespace = ground.namespace()
    ground.deployment(namespace, replicas=1, on={"pool": pool})
    ground.eventually(lambda: all(p["spec"].get("nodeName") for p in ground.pods(namespace)))
    host = ground.pods(namespace)[0]["spec"]["nodeName"]
    assert Broken(ground, CORDON, {"pod_namespace": namespace}).targets == [host]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({}, "say which nodes: name, label_selector"),
        ({"name": "nothing"}, "no node named nothing to hit"),
        ({"count": 1, "percentage": 5}, "contradict each other"),
        ({"label_selector": "pool=none"}, "no node with pool=none to hit"),
        ({"all": True, "count": 0}, "qty: must be at least 1"),
    ],
)
def test_what_cannot_be_done_is_said_before(ground, pool, arguments, problem):
    with pytest.raises(FaultError, match=problem):
        Broken(ground, CORDON, arguments)


def test_the_control_plane_is_hit_only_by_name(ground):
    master = ground.node(pool="cp", **{"node-role.kubernetes.io/control-plane": ""})
    with pytest.raises(FaultError, match="it is of the control plane"):
        Broken(ground, CORDON, {"label_selector": "pool=cp"})
    assert Broken(ground, CORDON, {"name": master}).targets == [master]


def test_a_taint_comes_and_goes_and_others_stay(ground, pool):
    name = nodes(ground, pool)[0]["metadata"]["name"]
    other = {"key": "theirs", "value": "x", "effect": "NoSchedule"}
    ground.cluster.merge_patch(NODES, name, None, {"spec": {"taints": [other]}})
    before = seen(ground, pool)
    broken = Broken(
        ground, TAINT, {"key": "broken", "value": "yes", "label_selector": f"pool={pool}"}
    ).inject()
    taints = ground.cluster.get(NODES, name)["spec"]["taints"]
    assert [t["key"] for t in taints] == ["theirs", "broken"]
    # Somebody cordons it meanwhile, which brings another taint.
    ground.cluster.merge_patch(NODES, name, None, {"spec": {"unschedulable": True}})
    ground.eventually(lambda: len(ground.cluster.get(NODES, name)["spec"]["taints"]) == 3)
    broken.undo()
    assert cordoned(ground, pool) == {name}
    ground.cluster.merge_patch(NODES, name, None, {"spec": {"unschedulable": None}})
    ground.eventually(lambda: seen(ground, pool) == before)
    with pytest.raises(FaultError, match="it has such a taint already"):
        Broken(ground, TAINT, {"key": "theirs", "name": name})
    with pytest.raises(FaultError, match="effect: expected one of NoSchedule"):
        Broken(ground, TAINT, {"key": "k", "effect": "Never", "name": name})


@pytest.fixture
def shop(ground: Ground, pool: str) -> str:
    """A namespace whose pods are on the nodes of the pool."""
    namespace = ground.namespace()
    ground.deployment(namespace, replicas=3, on={"pool": pool})
    ground.eventually(lambda: all(p["spec"].get("nodeName") for p in ground.pods(namespace)))
    return namespace


def hosted(ground, namespace, name):
    return [p for p in ground.pods(namespace) if p["spec"].get("nodeName") == name]


def test_a_drain_empties_the_node_but_for_daemons(ground, pool, shop):
    before = seen(ground, pool)
    host = ground.pods(shop)[0]["spec"]["nodeName"]
    ground.daemon_set(shop)
    ground.eventually(
        lambda: any(p["metadata"]["name"].startswith("agent") for p in hosted(ground, shop, host))
    )
    victims = {
        p["metadata"]["name"]
        for p in hosted(ground, shop, host)
        if p["metadata"]["labels"]["app"] == "checkout"
    }
    broken = Broken(ground, DRAIN, {"name": host, "timeout": 60})
    assert broken.plan.injections[0].removes["pod"] >= victims
    broken.inject()
    assert {name.split("/")[1] for name in broken.outputs[0]["evicted"]} >= victims
    left = hosted(ground, shop, host)
    assert {p["metadata"]["labels"]["app"] for p in left} == {"agent"}
    assert cordoned(ground, pool) == {host}
    broken.undo()
    ground.eventually(lambda: seen(ground, pool) == before)


def test_what_a_budget_refuses_is_tried_again_and_then_told(ground, pool, shop):
    ground.budget(shop, minAvailable=3)
    host = ground.pods(shop)[0]["spec"]["nodeName"]
    broken = Broken(ground, DRAIN, {"name": host, "timeout": 0.2})
    with pytest.raises(
        FaultError, match=rf"still on {host} after 0\.2s: The disruption budget checkout needs 3"
    ):
        broken.inject()
    broken.undo()
    assert cordoned(ground, pool) == set()
    patient = Broken(ground, DRAIN, {"name": host, "timeout": 60})
    loosen = threading.Timer(
        0.3,
        lambda: ground.cluster.merge_patch(
            BUDGETS, "checkout", shop, {"spec": {"minAvailable": 0}}
        ),
    )
    loosen.start()
    patient.inject()
    loosen.join()
    assert not hosted(ground, shop, host)
    patient.undo()


def test_a_drain_is_refused_for_what_would_be_lost(ground, pool):
    namespace = ground.namespace()
    name = nodes(ground, pool)[0]["metadata"]["name"]
    spec = {"nodeName": name, "containers": [{"name": "c", "image": "example.invalid/c:1"}]}
    ground.create(PODS, namespace, "bare", {**spec, "volumes": [{"name": "tmp", "emptyDir": {}}]})
    with pytest.raises(
        FaultError, match=rf"{namespace}/bare has local storage \(allow it with delete_pods"
    ):
        Broken(ground, DRAIN, {"name": name})
    with pytest.raises(FaultError, match="is owned by nothing and would not come back"):
        Broken(ground, DRAIN, {"name": name, "delete_pods_with_local_storage": True})
    allowed = {"name": name, "delete_pods_with_local_storage": True, "force": True}
    assert Broken(ground, DRAIN, allowed).targets == [name]


def test_the_node_that_sloguard_runs_on_is_spared(ground, pool, shop):
    pod = ground.pods(shop)[0]

    class Inside:
        def __getattr__(self, name):
            return getattr(ground.cluster, name)

        def whereabouts(self):
            return Whereabouts("c", shop, pod["metadata"]["name"])

    from sloguard.faults.base import Context, find_fault

    context = Context(cluster=lambda _context: Inside())
    plan = find_fault(CORDON).plan({"label_selector": f"pool={pool}"}, context)
    assert (pod["spec"]["nodeName"], "sloguard itself runs on it") in plan.spared


def test_recovery_from_the_nodes_alone(ground, pool):
    before = seen(ground, pool)
    whom = {"label_selector": f"pool={pool}"}
    Broken(ground, CORDON, whom).inject()
    Broken(ground, TAINT, {"key": "broken", **whom}).inject()
    told = [
        t for t in recover_cluster(clusters(ground)) if t.target.removeprefix("Node ") in before
    ]
    assert [t.status for t in told] == ["undone"] * 6
    assert seen(ground, pool) == before


def test_a_cordon_of_somebody_else_is_taken_away_only_if_asked_for_and_put_back(ground, pool):
    theirs = nodes(ground, pool)[0]["metadata"]["name"]
    ground.cluster.merge_patch(NODES, theirs, None, {"spec": {"unschedulable": True}})
    whom = {"label_selector": f"pool={pool}"}
    cordon = Broken(ground, CORDON, whom).inject()
    before = seen(ground, pool)
    broken = Broken(ground, UNCORDON, {**whom, "foreign": True}).inject()
    assert cordoned(ground, pool) == set()
    whose = {o["node"]: o["whose"] for o in broken.outputs}
    assert whose.pop(theirs) == ["somebody else's"]
    assert list(whose.values()) == [["sloguard's"]] * 2
    broken.undo()
    # What was sloguard's own was to be undone anyway.
    assert cordoned(ground, pool) == {theirs}
    cordon.undo()
    assert cordoned(ground, pool) == {theirs}
    assert set(seen(ground, pool)) == set(before)
    assert not any(ANNOTATION in node["annotations"] for node in seen(ground, pool).values())


def test_all_nodes_of_a_random_zone(ground, pool):
    whom = {"label_selector": f"pool={pool}", "rand_zone": True}
    chosen = {tuple(Broken(ground, CORDON, whom, seed).targets) for seed in range(20)}
    assert sorted(map(len, chosen)) == [1, 2]
    assert Broken(ground, CORDON, whom, 4).targets == Broken(ground, CORDON, whom, 4).targets
    plan = Broken(ground, CORDON, {**whom, "seed": 1}).plan
    assert Broken(ground, CORDON, {**whom, "seed": 1}, 9).plan.spared == plan.spared
    zone = "zone-b" if len(plan.injections) == 2 else "zone-a"
    assert all(f"it is in zone {zone}, and zone" in reason for _, reason in plan.spared)
    # A zone of which nobody may be hit is not among them.
    name = next(n for n in nodes(ground, pool) if n["metadata"]["labels"]["topology.kubernetes.io/zone"] == "zone-b")["metadata"]["name"]  # fmt: skip
    out = {"metadata": {"annotations": {"sloguard.io/enabled": "false"}}}
    ground.cluster.merge_patch(NODES, name, None, out)
    assert {len(Broken(ground, CORDON, whom, seed).targets) for seed in range(20)} == {2}
    with pytest.raises(FaultError, match="zone and rand_zone contradict each other"):
        Broken(ground, CORDON, {**whom, "zone": "zone-a"})
    for node in nodes(ground, pool):
        label = {"metadata": {"labels": {"topology.kubernetes.io/zone": None}}}
        ground.cluster.merge_patch(NODES, node["metadata"]["name"], None, label)
    with pytest.raises(FaultError, match="rand_zone: no node to hit has the label topology"):
        Broken(ground, CORDON, whom)


def test_shares_and_floors_of_a_zone(ground, pool):
    zone = {"label_selector": f"pool={pool}", "zone": "zone-a"}
    assert len(Broken(ground, CORDON, zone).targets) == 2
    assert len(Broken(ground, CORDON, {**zone, "percentage": 60}).targets) == 1
    assert len(Broken(ground, TAINT, {**zone, "key": "k", "count": 1}).targets) == 1
    assert len(Broken(ground, DRAIN, {**zone, "leave_at_least": 1}).targets) == 1
    assert len(Broken(ground, DELETE, {**zone, "percentage": "50%"}).targets) == 1


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ({}, 1),
        ({"rand": True}, 1),
        ({"count": 2}, 2),
        ({"count": 9}, 3),
        ({"all": True}, 3),
        ({"zone": "zone-a"}, 2),
        ({"zone": "zone-a", "rand": True}, 1),
        ({"percentage": 67}, 2),
        ({"all": True, "leave_at_least": 2}, 1),
    ],
)
def test_how_many_nodes_are_deleted(ground, pool, arguments, count):
    targets = Broken(ground, DELETE, {"label_selector": f"pool={pool}", **arguments}).targets
    assert len(targets) == count
    if not arguments:
        assert targets == [min(n["metadata"]["name"] for n in nodes(ground, pool))]


def kept(ground):
    """Copies of nodes that wait to be made again."""
    found = ground.cluster.list(
        CONFIG_MAPS, ground.cluster.own_namespace, labels="sloguard.io/undo"
    )
    return {k["metadata"]["name"] for k in found if '"Node"' in k["data"]["of"]}


def test_a_node_is_deleted_with_what_ran_there_and_made_again(ground, pool, shop):
    host = ground.pods(shop)[0]["spec"]["nodeName"]
    victims = {p["metadata"]["uid"] for p in hosted(ground, shop, host)}
    names = {p["metadata"]["name"] for p in hosted(ground, shop, host)}
    before, copies = seen(ground, pool), kept(ground)
    broken = Broken(ground, DELETE, {"name": host, "grace_period_seconds": 0})
    injection = broken.plan.injections[0]
    assert injection.removes["node"] == {host}
    assert injection.removes["pod"] >= names
    assert injection.lock == f"node:{ground.cluster.name}/{host}"
    broken.inject()
    assert host not in seen(ground, pool)
    assert len(kept(ground) - copies) == 1
    ground.eventually(lambda: not victims & {p["metadata"]["uid"] for p in ground.pods(shop)})
    assert broken.undo() == [f"made Node {host} again"]
    ground.eventually(lambda: seen(ground, pool) == before)
    assert kept(ground) == copies
    assert broken.undo() == [""]


def test_a_node_that_has_registered_again_by_itself_is_left(ground, pool):
    broken = Broken(ground, DELETE, {"label_selector": f"pool={pool}"}).inject()
    name = broken.targets[0]
    body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"pool": pool, "sloguard-test": "true"}}}  # fmt: skip
    ground.cluster.create(NODES, body)
    assert broken.undo() == [""]
    labels = ground.cluster.get(NODES, name)["metadata"]["labels"]
    assert "topology.kubernetes.io/zone" not in labels
    ground.cluster.delete(NODES, name)


def test_a_node_that_was_cordoned_and_then_deleted_is_recovered_in_one_go(ground, pool):
    before = seen(ground, pool)
    name = (
        Broken(ground, CORDON, {"label_selector": f"pool={pool}", "count": 1}).inject().targets[0]
    )
    Broken(ground, DELETE, {"name": name}).inject()
    told = list(recover_cluster(clusters(ground)))
    assert {t.fault for t in told if t.status == "undone"} >= {CORDON, DELETE}
    ground.eventually(lambda: seen(ground, pool) == before)


@pytest.mark.parametrize(
    ("fault", "arguments"),
    [(CORDON, {}), (TAINT, {"key": "broken"}), (DELETE, {}), (UNCORDON, {"foreign": True})],
)
def test_killed_between_any_two_calls(ground, pool, tmp_path, mortals, fault, arguments):
    whom = {"label_selector": f"pool={pool}", "zone": "zone-b"}
    if fault == UNCORDON:
        theirs = next(n for n, e in seen(ground, pool).items() if e["labels"]["topology.kubernetes.io/zone"] == "zone-b")  # fmt: skip
        ground.cluster.merge_patch(NODES, theirs, None, {"spec": {"unschedulable": True}})
    survives_kill_anywhere(
        ground, tmp_path, mortals, fault, {**whom, **arguments}, lambda: seen(ground, pool)
    )
