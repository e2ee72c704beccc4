"""Random chaos: never beyond what was declared, the same for the same seed, at no other hours, and undone."""

from __future__ import annotations

import contextlib
import datetime
import random
from collections import Counter
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from sloguard.faults.base import Context, FaultError, NothingToHit, NotNow, Plan, find_fault
from sloguard.faults.hours import Hours
from sloguard.faults.undo_records import ANNOTATION
from tests.fakes.still_cluster import StillCluster
from tests.support.cluster_faults import Broken
from tests.support.clusters import Ground, essence

CHAOS = find_fault("random.chaos")
MENU = [
    {"fault": "pods.terminate_pods", "weight": 3},
    {"fault": "istio.add_abort_fault", "weight": 2, "arguments": {"http_status": 503}},
    {"fault": "istio.add_delay_fault"},
    {"fault": "deployments.scale_deployment", "arguments": {"replicas": 0}},
    {"fault": "deployments.rollout_restart", "weight": 0.5},
    {"fault": "nodes.drain_nodes", "weight": 2},
    {"fault": "nodes.cordon_node"},
    {"fault": "nodes.taint_nodes", "arguments": {"key": "a", "effect": "NoExecute"}},
    {"fault": "nodes.delete_nodes", "weight": 0.5},
]


def about(kind: str, name: str, namespace: str | None = None, **more: Any) -> Any:
    metadata = {"name": name, "uid": f"{kind}-{namespace}-{name}", "resourceVersion": "1"}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata | more}


def town(dice: random.Random) -> list[Any]:
    """Nodes, namespaces with services of some pods, budgets, and routes to them."""
    nodes = [f"node-{index}" for index in range(dice.randint(1, 4))]
    made = [{**about("Node", name), "spec": {}} for name in nodes]
    for namespace in dice.sample(["shop", "shop-eu", "bank", "kube-system", "chaos"], 3):
        for index in range(dice.randint(1, 3)):
            app, replicas = f"app{index}", dice.randint(0, 4)
            quiet = {"annotations": {"sloguard.io/enabled": dice.choice(["true", "false"])}}
            notes = quiet if dice.random() < 0.3 else {}
            spec = {"replicas": replicas, "selector": {"matchLabels": {"app": app}}}
            made.append({**about("Deployment", app, namespace, **notes), "spec": spec})
            route = [{"route": [{"destination": {"host": app}}]}]
            made.append({**about("VirtualService", app, namespace), "spec": {"http": route}})
            made += [
                pod(dice, namespace, app, number, dice.choice(nodes)) for number in range(replicas)
            ]
            if dice.random() < 0.5:
                made.append(budget(namespace, app, dice.randint(0, 2)))
    dice.shuffle(made)
    return made


def pod(dice: random.Random, namespace: str, app: str, number: int, node: str) -> Any:
    owner = {"kind": "ReplicaSet", "name": app, "uid": f"rs-{namespace}-{app}", "controller": True}
    more: dict[str, Any] = {"labels": {"app": app}, "ownerReferences": [owner]}
    if dice.random() < 0.1:
        more["annotations"] = {"sloguard.io/enabled": "false"}
    ready = {"type": "Ready", "status": dice.choice(["True", "True", "True", "False"])}
    return {
        **about("Pod", f"{app}-{number}", namespace, **more),
        "spec": {"nodeName": node, "containers": [{"name": app}]},
        "status": {"phase": "Running", "conditions": [ready]},
    }


def budget(namespace: str, app: str, allowed: int) -> Any:
    return {
        **about("PodDisruptionBudget", app, namespace, generation=1),
        "spec": {"selector": {"matchLabels": {"app": app}}},
        "status": {"disruptionsAllowed": allowed, "observedGeneration": 1},
    }


def planned(objects: list[Any], arguments: Any, seed: int = 1, at: float | None = None) -> Plan:
    still = cast(Any, StillCluster(objects, at))
    return CHAOS.plan(arguments, Context(cluster=lambda _context: still, seed=seed))


class Toll:
    """What a plan would do to a town, worked out from its records alone."""

    def __init__(self, objects: list[Any], plan: Plan) -> None:
        self.pods: set[tuple[str, str]] = set()
        self.nodes: set[str] = set()
        self.workloads: set[tuple[str, str]] = set()
        self.services: set[tuple[str, str]] = set()
        self.per_namespace: Counter[str] = Counter()
        everybody = [obj for obj in objects if obj["kind"] == "Pod"]
        for one in plan.injections:
            assert one.of is not None
            family, _, name = one.of.name.partition(".")
            record: dict[str, Any] = dict(one.record.get("of") or one.record)
            where, what = str(record["namespace"]), str(record["name"])
            before = {*self.pods}
            if family == "pods":
                self.pods.add((where, what))
            elif family == "istio":
                self.services.add((where, what))
            elif family == "deployments":
                self.workloads.add((where, what))
                self.pods |= {place(p) for p in everybody if is_of(p, where, what)}
            else:
                self.nodes.add(what)
                if name != "cordon_node":
                    self.pods |= {place(p) for p in everybody if p["spec"]["nodeName"] == what}
            touched = {namespace for namespace, _ in self.pods - before}
            self.per_namespace.update(touched | ({where} if where != "None" else set()))


def place(obj: Any) -> tuple[str, str]:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def is_of(obj: Any, namespace: str, app: str) -> bool:
    about = obj["metadata"]
    return about["namespace"] == namespace and about["labels"]["app"] == app


def test_a_thousand_plans_never_exceed_what_was_declared():
    hit: Counter[str] = Counter()
    fewer = 0
    for seed in range(1000):
        dice = random.Random(seed)
        objects = town(dice)
        within = {
            "max_pods": dice.randint(0, 6),
            "max_nodes": dice.randint(0, 2),
            "max_virtual_services": dice.randint(0, 3),
            "max_workloads": dice.randint(0, 2),
            "max_per_namespace": dice.choice([None, 1, 2]),
            "leave_at_least": dice.randint(0, 2),
            "ignore_budgets": dice.random() < 0.3,
        }
        arguments = {
            "faults": dice.sample(MENU, dice.randint(1, len(MENU))),
            "times": dice.randint(1, 6),
            "within": within,
            "ns": dice.choice(["*", "shop*", ["shop", "bank"]]),
            "exclude_ns": dice.choice([None, "shop-eu"]),
        }
        try:
            plan = planned(objects, arguments, seed)
        except NothingToHit:
            continue
        toll = Toll(objects, plan)
        assert 1 <= len(plan.injections) <= arguments["times"]
        fewer += len(plan.injections) < arguments["times"]
        assert len(toll.pods) <= within["max_pods"]
        assert len(toll.nodes) <= within["max_nodes"]
        assert len(toll.services) <= within["max_virtual_services"]
        assert len(toll.workloads) <= within["max_workloads"]
        most = within["max_per_namespace"]
        assert most is None or max(toll.per_namespace.values(), default=0) <= most
        outside = {"kube-system", "chaos"}
        outside |= {"shop-eu"} if arguments["exclude_ns"] else set()
        outside |= {"bank"} if arguments["ns"] == "shop*" else set()
        assert not outside & {namespace for namespace, _ in {*toll.pods, *toll.services}}
        _nobody_too_few(objects, toll, within)
        hit.update(one.of.name for one in plan.injections if one.of)
    # It was worth its name: all of the menu was drawn, and often not as often as asked for.
    assert set(hit) == {entry["fault"] for entry in MENU}
    assert sum(hit.values()) > 800
    assert fewer > 100


def _nobody_too_few(objects: list[Any], toll: Toll, within: Any) -> None:
    """Of each workload enough ready pods are left, nobody who opts out is hit, budgets are kept."""
    left: Counter[Any] = Counter()
    hurt = set()
    for obj in (obj for obj in objects if obj["kind"] == "Pod"):
        owner = obj["metadata"]["ownerReferences"][0]["uid"]
        ready = obj["status"]["conditions"][0]["status"] == "True"
        left[owner] += ready and place(obj) not in toll.pods
        if place(obj) in toll.pods:
            hurt.add(owner)
            assert obj["metadata"].get("annotations") != {"sloguard.io/enabled": "false"}
    assert all(left[owner] >= within["leave_at_least"] for owner in hurt)
    for obj in (obj for obj in objects if obj["kind"] == "PodDisruptionBudget"):
        namespace, app = place(obj)
        missing = sum(
            is_of(one, namespace, app) and place(one) in toll.pods
            for one in objects
            if one["kind"] == "Pod"
        )
        assert within["ignore_budgets"] or missing <= obj["status"]["disruptionsAllowed"]


def test_the_same_seed_and_cluster_draw_the_same_in_whatever_order_they_come():
    dice = random.Random(7)
    objects = town(dice)
    arguments = {"faults": MENU, "times": 4, "within": {"max_pods": 8, "ignore_budgets": True}}
    seen = set()
    for seed in range(20):
        targets = [one.shown for one in planned(objects, arguments, seed).injections]
        shuffled = dice.sample(objects, len(objects))
        assert [one.shown for one in planned(shuffled, arguments, seed).injections] == targets
        given = planned(objects, {**arguments, "seed": seed}, seed + 99)
        assert [one.shown for one in given.injections] == targets
        assert f"with seed {seed}" in given.summary
        seen.add(tuple(targets))
    assert len(seen) > 10


def test_weights_are_shares():
    objects = town(random.Random(3))
    menu = [
        {"fault": "istio.add_abort_fault", "weight": 9},
        {"fault": "istio.add_delay_fault", "weight": 1},
    ]
    drawn: Counter[str] = Counter()
    for seed in range(300):
        drawn.update(one.of.name for one in planned(objects, {"faults": menu}, seed).injections if one.of)  # fmt: skip
    assert 240 < drawn["istio.add_abort_fault"] < 295


def test_why_others_are_not_hit_is_said():
    objects = town(random.Random(5))
    plan = planned(objects, {"faults": ["pods.terminate_pods"], "within": {"ignore_budgets": True}})
    reasons = {why for _, why in plan.spared}
    assert any("max_pods is 1" in why or "not drawn" in why for why in reasons), reasons
    assert all(name.startswith("pods.terminate_pods on ") for name, _ in plan.spared)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"faults": []}, "faults: expected a list"),
        ({"faults": [{"weight": 1}]}, r"faults\[0\]: expected a mapping"),
        ({"faults": [{"fault": "pods.terminate_pod"}]}, "did you mean 'pods.terminate_pods'"),
        ({"faults": [{"fault": "pods.terminate_pods", "wieght": 2}]}, "did you mean weight"),
        ({"faults": [{"fault": "pods.terminate_pods", "weight": 0}]}, "weight: must be above 0"),
        ({"faults": [{"fault": "pods.terminate_pods", "arguments": {"qty": 2}}]}, "qty is not for here"),
        ({"faults": [{"fault": "nodes.drain_nodes", "arguments": {"percentage": 2}}]}, "percentage is not"),
        ({"faults": [{"fault": "pods.terminate_pods", "arguments": {"cluster": "x"}}]}, "one for all"),
        ({"faults": [{"fault": "pods.terminate_pods", "arguments": {"labels": "x"}}]}, "labels"),
        ({"faults": [{"fault": "processes.kill"}]}, "hits nothing of a cluster"),
        ({"faults": ["random.chaos"]}, "cannot be drawn by random chaos"),
        ({"faults": ["pods.terminate_pods"], "within": {"max_pod": 2}}, "did you mean max_pods"),
        ({"faults": ["pods.terminate_pods"], "within": {"max_pods": -2}}, "max_pods: must be at least 0"),
        ({"faults": ["pods.terminate_pods"], "times": 0}, "times: must be at least 1"),
        ({"faults": ["istio.add_abort_fault"], "within": {"max_virtual_services": 0}}, "nothing can be drawn"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(arguments, said):
    with pytest.raises(FaultError, match=said):
        planned(town(random.Random(1)), arguments)


# Hours.


def moment(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()


OFFICE = {
    "zone": "Europe/Berlin",
    "days": ["mon-fri"],
    "from": "09:00",
    "to": "16:30",
    "except": ["2026-12-24/2026-12-26", datetime.date(2027, 1, 1)],
}


@pytest.mark.parametrize(
    ("hours", "at", "allowed", "again"),
    [
        (OFFICE, "2026-07-01T07:00:00+00:00", True, None),  # a Wednesday, 09:00 in summer
        (OFFICE, "2026-07-01T06:59:59+00:00", False, "2026-07-01T07:00:00+00:00"),
        (OFFICE, "2026-07-01T14:29:59+00:00", True, None),
        (OFFICE, "2026-07-01T14:30:00+00:00", False, "2026-07-02T07:00:00+00:00"),
        (OFFICE, "2026-07-03T15:00:00+00:00", False, "2026-07-06T07:00:00+00:00"),  # the weekend
        (OFFICE, "2026-12-23T16:00:00+00:00", False, "2026-12-28T08:00:00+00:00"),  # Christmas, winter
        (OFFICE, "2026-12-31T16:00:00+00:00", False, "2027-01-04T08:00:00+00:00"),
        ({"from": "22:00", "to": "06:00", "days": "fri"}, "2026-07-03T23:00:00+00:00", True, None),
        ({"from": "22:00", "to": "06:00", "days": "fri"}, "2026-07-04T05:59:00+00:00", True, None),
        ({"from": "22:00", "to": "06:00", "days": "fri"}, "2026-07-04T06:00:00+00:00", False, "2026-07-10T22:00:00+00:00"),
        ({"from": "22:00", "to": "06:00", "days": "fri"}, "2026-07-03T05:00:00+00:00", False, "2026-07-03T22:00:00+00:00"),
        # As YAML reads 16:30 without quotes; a day that begins at midnight.
        ({"to": 990, "days": "sat-mon"}, "2026-07-06T16:29:00+00:00", True, None),
        ({"days": "Tuesday"}, "2026-07-06T16:29:00+00:00", False, "2026-07-07T00:00:00+00:00"),
        # In the night in which an hour is missing, and the one in which there is one twice.
        ({**OFFICE, "days": "sun", "from": "02:30", "to": "04:00"}, "2026-03-29T01:30:00+00:00", True, None),
        ({**OFFICE, "days": "sun", "from": "02:30", "to": "02:45"}, "2026-10-25T01:30:00+00:00", True, None),
    ],
)  # fmt: skip
def test_hours(hours, at, allowed, again):
    made = Hours.of(hours)
    assert made.open(moment(at)) is allowed
    assert bool(made.refusal(moment(at))) is not allowed
    if again is not None:
        assert made.next(moment(at)) == moment(again)


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        ("always", "expected a mapping"),
        ({"zone": "Mars/Olympus"}, "expected a time zone"),
        ({"day": "mon"}, "did you mean days"),
        ({"days": "someday"}, "expected such as mon-fri"),
        ({"from": "9"}, "expected a time of the day"),
        ({"to": "25:00"}, "expected a time of the day"),
        ({"except": "Christmas"}, "expected dates"),
        ({"except": "2026-12-26/2026-12-24"}, "at most a year"),
    ],
)
def test_hours_that_make_no_sense(hours, said):
    with pytest.raises(FaultError, match=said):
        Hours.of(hours)


def test_outside_of_the_hours_nothing_is_planned_and_the_next_time_is_told():
    arguments = {"faults": ["istio.add_delay_fault"], "hours": OFFICE}
    objects = town(random.Random(1))
    assert planned(objects, arguments, at=moment("2026-07-01T08:00:00+00:00")).injections
    with pytest.raises(NotNow, match=r"next from mon 2026-07-06 09:00 CEST"):
        planned(objects, arguments, at=moment("2026-07-04T08:00:00+00:00"))
    # Spread over hours, the last of them has to be within them, too.
    late = {**arguments, "times": 3, "every": "1h", "within": {"max_virtual_services": 3}}
    with pytest.raises(NotNow, match="the last one would come"):
        planned(objects, late, at=moment("2026-07-01T13:00:00+00:00"))


def test_the_example_of_the_docs_makes_sense():
    text = (Path(__file__).parents[2] / "docs" / "kubernetes.md").read_text("utf-8")
    (activity,) = yaml.safe_load(text.split("```yaml")[1].split("```")[0])
    arguments = {**activity["provider"]["arguments"], "ns": "*"}
    for at, allowed in (("2026-12-23T12:00:00+00:00", True), ("2026-12-25T12:00:00+00:00", False)):
        with contextlib.nullcontext() if allowed else pytest.raises(NotNow):
            assert planned(town(random.Random(2)), arguments, at=moment(at)).injections


# On a cluster.


@pytest.mark.cluster
def test_what_was_drawn_is_injected_and_comes_undone(ground: Ground):
    node = ground.node()
    ns, other = ground.namespace(), ground.namespace()
    for namespace in (ns, other):
        ground.deployment(namespace, replicas=2, on={"kubernetes.io/hostname": node})
        ground.virtual_service(namespace)
    services = ground.virtual_services()

    def seen() -> list[Any]:
        return [essence(ground.cluster.get(services, "checkout", n)) for n in (ns, other)]

    before = seen()
    menu = [{"fault": "istio.add_abort_fault"}, {"fault": "istio.add_delay_fault"}]
    arguments = {
        "faults": [*menu, {"fault": "pods.terminate_pods", "arguments": {"grace_period": 0}}],
        "times": 3,
        "within": {"max_per_namespace": 2, "leave_at_least": 1},
        "ns": [ns, other],
        "every": 0.05,
    }
    broken = Broken(ground, "random.chaos", arguments)
    assert [one.delay for one in broken.plan.injections] == [0.0, 0.05, 0.05]
    broken.inject()
    for one, record in zip(broken.plan.injections, broken.records, strict=True):
        assert one.of is not None
        if one.of.name.startswith("istio"):
            found = ground.cluster.get(services, "checkout", str(record["namespace"]))
            assert one.of.name in found["metadata"]["annotations"][ANNOTATION]
        one.of.undo(record, broken.context)
    assert seen() == before


def test_called_plainly_every_fault_undoes_its_own_if_one_fails(ground: Ground):
    """As another runner calls it: there is no ledger, and the first error brings all back."""
    ns = ground.namespace()
    ground.virtual_service(ns)
    whole = CHAOS.plan(
        {"faults": ["istio.add_abort_fault"], "ns": ns},
        Context(cluster=lambda _context: ground.cluster),
    )
    assert [one.of.name for one in whole.injections if one.of] == ["istio.add_abort_fault"]
    with pytest.raises(FaultError, match="injects nothing itself"):
        CHAOS.injector({}, Context())
    assert CHAOS.undo({}, Context()) == ""
