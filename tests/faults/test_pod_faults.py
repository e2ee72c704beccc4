"""Faults on pods, on the double or a real cluster."""

from __future__ import annotations

import threading

import pytest

from sloguard.faults.base import FaultError
from sloguard.ports import ClusterUnreachable
from sloguard.ports.resources import PODS
from tests.support.cluster_faults import Broken
from tests.support.clusters import Ground
from tests.support.patience import SOON

pytestmark = pytest.mark.cluster

TERMINATE = "pods.terminate_pods"


@pytest.fixture
def shop(ground: Ground) -> str:
    """A namespace with three pods of checkout and two of cart, all ready."""
    ground.nodes(2)
    namespace = ground.namespace()
    ground.deployment(namespace, "checkout", 3)
    ground.deployment(namespace, "cart", 2)
    return namespace


def names(ground, namespace, labels="app=checkout"):
    return {p["metadata"]["name"] for p in ground.pods(namespace, labels)}


def test_one_pod_goes_and_another_comes(ground, shop):
    before = names(ground, shop)
    broken = Broken(ground, TERMINATE, {"label_selector": "app=checkout", "ns": shop})
    assert broken.targets == [f"{shop}/{min(before)}"]
    assert broken.plan.injections[0].removes["pod"] == {min(before)}
    assert sorted(broken.plan.spared) == [(f"{shop}/{n}", "not chosen") for n in sorted(before)[1:]]
    broken.inject()
    ground.ready_pods(shop, "app=checkout", 3)
    assert names(ground, shop) >= before - {min(before)}
    assert min(before) not in names(ground, shop)
    assert broken.undo() == [""]


def test_by_pattern_percentage_and_all(ground, shop):
    every = Broken(ground, TERMINATE, {"ns": shop, "all": True})
    assert len(every.targets) == 5
    half = Broken(
        ground,
        TERMINATE,
        {"ns": shop, "mode": "percentage", "qty": 60, "name_pattern": "^checkout-"},
    )
    assert len(half.targets) == 1
    assert all("/checkout-" in target for target in half.targets)
    left = Broken(
        ground,
        TERMINATE,
        {"ns": shop, "all": True, "label_selector": "app=checkout", "leave_at_least": 2},
    )
    assert len(left.targets) == 1


def test_at_random_the_same_by_the_same_seed(ground, shop):
    arguments = {"ns": shop, "rand": True, "qty": 2}
    assert (
        Broken(ground, TERMINATE, arguments, 5).targets
        == Broken(ground, TERMINATE, arguments, 5).targets
    )
    assert (
        len({tuple(Broken(ground, TERMINATE, arguments, seed).targets) for seed in range(12)}) > 3
    )


def test_by_owner(ground, shop):
    broken = Broken(ground, TERMINATE, {"ns": shop, "owner": "deployment/cart", "all": True})
    assert {t.split("/")[1] for t in broken.targets} == names(ground, shop, "app=cart")
    ground.stateful_set(shop, "store", 2)
    broken = Broken(ground, TERMINATE, {"ns": shop, "owner": "statefulset/store"})
    assert broken.targets == [f"{shop}/store-0"]
    with pytest.raises(FaultError, match="there is no deployment/nothing"):
        Broken(ground, TERMINATE, {"ns": shop, "owner": "deployment/nothing"})
    with pytest.raises(FaultError, match="owner: expected one of deployment"):
        Broken(ground, TERMINATE, {"ns": shop, "owner": "service/x"})


def test_in_several_namespaces(ground, shop):
    other = ground.namespace("pay")
    ground.deployment(other, "pay", 1)
    broken = Broken(ground, TERMINATE, {"ns": [shop, "pay-*"], "all": True, "exclude_ns": "kube-*"})
    assert {t.split("/")[0] for t in broken.targets if t.split("/")[0] in (shop, other)} == {
        shop,
        other,
    }


def test_a_budget_is_kept_unless_one_says_so(ground, shop):
    ground.budget(shop, minAvailable=2)
    ground.eventually(lambda: _allowed(ground, shop) == 1)
    whom = {"ns": shop, "label_selector": "app=checkout", "all": True}
    kept = Broken(ground, TERMINATE, whom)
    assert len(kept.targets) == 1
    assert (
        "the disruption budget checkout allows 1 missing, not more"
        in dict(kept.plan.spared).values()
    )
    assert len(Broken(ground, TERMINATE, {**whom, "ignore_budgets": True}).targets) == 3
    # Asked for all the same, an eviction that the budget refuses is a failed action.
    ground.nothing_starts()
    forced = Broken(ground, TERMINATE, {**whom, "evict": True, "ignore_budgets": True})
    with pytest.raises(FaultError, match=r"may not be evicted: .* needs 2 healthy pods"):
        forced.inject()


def _allowed(ground, namespace):
    from sloguard.ports.resources import BUDGETS

    return ground.cluster.get(BUDGETS, "checkout", namespace)["status"]["disruptionsAllowed"]


def test_an_eviction(ground, shop):
    broken = Broken(
        ground,
        TERMINATE,
        {"ns": shop, "owner": "deployment/cart", "evict": True, "grace_period": 0},
    )
    victim = broken.targets[0].split("/")[1]
    broken.inject()
    assert broken.outputs == [{"pod": f"{shop}/{victim}", "by": "eviction"}]
    ground.eventually(lambda: victim not in names(ground, shop, "app=cart"))


def test_waiting_until_the_replacement_is_ready(ground, shop):
    arguments = {
        "ns": shop,
        "label_selector": "app=checkout",
        "qty": 2,
        "wait": "1m",
        "grace_period": 0,
    }
    broken = Broken(ground, TERMINATE, arguments)
    assert [r["wait"] for r in broken.records] == [None, 60.0]
    victims = {t.split("/")[1] for t in broken.targets}
    ended = threading.Event()

    def say_ready():
        while not ended.wait(0.05):
            for pod in ground.pods(shop, "app=checkout"):
                if pod["metadata"]["name"] not in victims:
                    ground.make_ready(pod)

    thread = threading.Thread(target=say_ready)
    thread.start()
    try:
        broken.inject()
    finally:
        ended.set()
        thread.join()
    output = broken.outputs[-1]
    assert output["replaced"] is True
    assert 0 < output["seconds"] < 60
    (one,) = output["replacements"]
    assert one["owner"].startswith(f"ReplicaSet {shop}/checkout-")
    assert (one["wanted"], one["ready"], one["seconds"]) == (3, 3, output["seconds"])
    assert "was back after" in output["said"]


def test_each_workload_has_its_own_time(ground, shop):
    if ground.double is None:
        pytest.skip("the kubelets of the double can be stopped")
    other = ground.namespace("other")
    ground.deployment(other, "late", 1)
    ground.double.controllers.starts = False
    whom = {"ns": [shop, other], "label_selector": "app in (cart,late)", "all": True, "wait": 20}
    broken = Broken(ground, TERMINATE, {**whom, "grace_period": 0})
    before = {p["metadata"]["uid"] for p in ground.pods(shop) + ground.pods(other)}

    def ready(namespace, labels):
        def fresh():
            pods = ground.pods(namespace, labels)
            return pods and not before & {p["metadata"]["uid"] for p in pods} and pods

        for pod in ground.eventually(fresh):
            ground.make_ready(pod)

    def kubelets():
        ready(shop, "app=cart")
        ground.eventually(lambda: len(ground.pods(shop, "app=cart")) == 2)
        for pod in ground.pods(shop, "app=cart"):
            ground.make_ready(pod)
        threading.Event().wait(1.0)
        ready(other, "app=late")

    thread = threading.Thread(target=kubelets)
    thread.start()
    broken.inject()
    thread.join()
    output = broken.outputs[-1]
    cart, late = sorted(output["replacements"], key=lambda one: one["owner"].split("/")[1])
    assert output["replaced"] is True
    assert late["seconds"] > cart["seconds"]
    assert output["seconds"] == late["seconds"]


def test_what_nothing_owns_is_said_not_to_come_back(ground):
    namespace = ground.namespace()
    spec = {"containers": [{"name": "c", "image": "example.invalid/c:1"}]}
    ground.create(PODS, namespace, "bare", spec)
    broken = Broken(ground, TERMINATE, {"ns": namespace, "unowned": True, "wait": 60}).inject()
    (output,) = broken.outputs
    assert output["replaced"] is False
    assert output["replacements"][0]["why"] == "nothing owns it, so nothing replaces it"
    assert output["seconds"] < SOON


def test_a_replacement_that_does_not_come_is_told(ground, shop):
    ground.nothing_starts()
    broken = Broken(
        ground, TERMINATE, {"ns": shop, "label_selector": "app=cart", "wait": 0.3}
    ).inject()
    (output,) = broken.outputs
    assert output["replaced"] is False
    assert output["replacements"][0]["why"].startswith("1 of 2 pods are Ready after ")
    assert "was not back: 1 of 2 pods are Ready" in output["said"]


def test_pods_that_would_not_come_back_are_spared(ground):
    namespace = ground.namespace()
    spec = {"containers": [{"name": "c", "image": "example.invalid/c:1"}]}
    ground.create(PODS, namespace, "bare", spec)
    with pytest.raises(FaultError, match="nothing owns it, so it would not come back"):
        Broken(ground, TERMINATE, {"ns": namespace})
    assert Broken(ground, TERMINATE, {"ns": namespace, "unowned": True}).targets == [
        f"{namespace}/bare"
    ]


def test_a_pod_of_the_same_name_that_is_another_is_not_hit(ground):
    ground.nodes(1)
    namespace = ground.namespace()
    ground.stateful_set(namespace, "store", 1)
    broken = Broken(ground, TERMINATE, {"ns": namespace, "grace_period": 0})
    old = ground.pods(namespace)[0]["metadata"]["uid"]
    ground.cluster.delete(PODS, "store-0", namespace, grace=0)
    ground.eventually(
        lambda: [p["metadata"]["uid"] for p in ground.pods(namespace)] not in ([], [old])
    )
    with pytest.raises(FaultError, match="ended before it could be hit"):
        broken.inject()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"label_selector": "app=none"}, "no pod with app=none to hit in namespace shop-"),
        ({"qty": 0}, "qty: must be at least 1"),
        ({"grace_period": -5}, "grace_period: must be at least 0"),
        ({"min_age": "soon"}, "min_age"),
        ({"min_age": "1h"}, "old, less than 1h"),
        ({"wait": 0}, "wait: must be above 0"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_what_cannot_be_done_is_said_before(ground, shop, arguments, problem):
    with pytest.raises(FaultError, match=problem):
        Broken(ground, TERMINATE, {"ns": shop, **arguments})


@pytest.mark.parametrize("by", [{}, {"evict": True}])
def test_a_lost_answer_is_no_failure(ground, shop, by):
    trouble = ground.passage.trouble
    broken = Broken(ground, TERMINATE, {"ns": shop, "label_selector": "app=cart", **by})
    trouble.add("lost-after", match=lambda r: r.method in ("DELETE", "POST"))
    broken.inject()
    assert broken.targets[0].split("/")[1] not in names(ground, shop, "app=cart")


def test_commands_in_pods(ground, shop):
    if ground.double is None:
        pytest.skip("a command needs a container that runs")
    asked = []

    def command(_namespace, pod, container, words):
        asked.append((pod, container, words))
        return (1, "", "no such file") if words[0] == "fail" else (0, "done", "")

    ground.double.command = command
    whom = {"ns": shop, "label_selector": "app=cart", "all": True}
    broken = Broken(
        ground,
        "pods.exec_in_pods",
        {"cmd": "touch '/tmp/a b'", "undo_cmd": ["rm", "/tmp/a b"], **whom},
    )
    broken.inject()
    assert [words for _, _, words in asked] == [["touch", "/tmp/a b"]] * 2
    assert {container for _, container, _ in asked} == {"cart"}
    assert [output["stdout"] for output in broken.outputs] == ["done", "done"]
    pod = broken.targets[0].split("/")[1]
    ground.cluster.delete(PODS, pod, shop, grace=0)
    ground.eventually(lambda: pod not in names(ground, shop, "app=cart"))
    # What was done to a pod that is gone has gone with it.
    assert sorted(broken.undo()) == ["", f"ran undo_cmd in {broken.targets[1]}"]
    assert asked[-1][2] == ["rm", "/tmp/a b"]
    with pytest.raises(FaultError, match="ended with 1: no such file"):
        Broken(ground, "pods.exec_in_pods", {"cmd": "fail", **whom}).inject()
    with pytest.raises(FaultError, match="it has no container x, but cart"):
        Broken(ground, "pods.exec_in_pods", {"cmd": "a", "container_name": "x", **whom})
    with pytest.raises(FaultError, match="cmd: expected a command"):
        Broken(ground, "pods.exec_in_pods", {"cmd": "", **whom})


def test_a_server_that_is_away_fails_the_plan_in_plain_words(ground, shop):
    trouble = ground.passage.trouble
    ground.cluster._http._settings = type(ground.cluster._http._settings)(timeout=0.2)
    trouble.away.set()
    with pytest.raises(ClusterUnreachable, match="does not answer GET"):
        Broken(ground, TERMINATE, {"ns": shop})
