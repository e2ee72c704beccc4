"""The rights that faults on clusters declare: all that they use, and nothing that they do not use."""

from __future__ import annotations

import inspect
from typing import Any, cast

import pytest

from sloguard.adapters.kubernetes_locks import LeaseLocks
from sloguard.faults import applying, marking
from sloguard.faults.base import all_faults, find_fault
from sloguard.ports import resources
from sloguard.ports.resources import CONFIG_MAPS, LEASES, NODES
from sloguard.ports.rights import Call, smallest
from tests.fakes.recording import RecordingCluster
from tests.support.cluster_faults import Broken
from tests.support.clusters import Ground
from tests.support.patience import eventually

pytestmark = pytest.mark.cluster

NS, NODE, POD_NS = "{ns}", "{node}", "{ns}"
PODS = {"ns": NS, "label_selector": "app=checkout"}
CHECKOUT = {"ns": NS, "name": "checkout"}
SERVICE = {"ns": NS, "virtual_service_name": "checkout"}
HELD = {"name": NODE, "seed": 1, "leave_at_least": 0, "opt_in": False}
ROUTES = [{"destination": {"host": "checkout", "subset": "primary"}}]
MANIFEST = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "made", "namespace": NS},
    "data": {"a": "b"},
}
POD_OPTIONS = {"rand": True, "mode": "percentage", "qty": 50, "order": "oldest", "seed": 1,
               "leave_at_least": 0, "min_age": 0, "opt_in": False, "exclude_ns": "kube-*",
               "field_selector": "status.phase=Running", "name_pattern": "checkout"}  # fmt: skip
WHOM = {"rand": True, "qty": 1, "seed": 1, "opt_in": False, "name_pattern": "checkout"}

#: Each fault with all of its arguments, in ways that take different rights.
CASES: list[tuple[str, dict[str, Any]]] = [
    ("pods.terminate_pods", {**PODS, **POD_OPTIONS}),
    ("pods.terminate_pods", {**PODS, "ns": [NS, "{other}"], "all": True, "ignore_budgets": True}),
    ("pods.terminate_pods", {"ns": NS, "owner": "deployment/checkout", "evict": True}),
    ("pods.terminate_pods", {**PODS, "ns": NS[:-1] + "}*", "wait": 1, "grace_period": 0}),
    ("pods.terminate_pods", {"ns": NS, "owner": "replicaset/{set}", "unowned": True}),
    ("pods.exec_in_pods", {**PODS, **POD_OPTIONS, "cmd": "true"}),
    ("pods.exec_in_pods", {"ns": NS, "owner": "deployment/checkout", "all": True, "cmd": "true",
                           "container_name": "checkout", "request_timeout": 5, "undo_cmd": "true",
                           "label_selector": "app", "ignore_budgets": True}),
    ("deployments.scale_deployment", {**CHECKOUT, "replicas": 1, "kind": "deployment"}),
    ("deployments.scale_deployment", {"ns": [NS, "{other}"], "all": True, "replicas": 3}),
    ("deployments.scale_deployment", {**CHECKOUT, **WHOM, "label_selector": "team=shop"}),
    ("deployments.rollout_restart", CHECKOUT),
    ("deployments.rollout_restart", {"ns": NS, **WHOM, "label_selector": "team", "kind": "deployment"}),
    ("deployments.rollout_restart", {"ns": NS, "all": True}),
    ("deployments.delete_deployment", CHECKOUT),
    ("deployments.delete_deployment", {"ns": NS, **WHOM, "label_selector": "team", "kind": "deployment"}),
    ("deployments.delete_deployment", {"ns": NS, "all": True}),
    ("istio.add_abort_fault", {**SERVICE, "http_status": 503, "percentage": 5, "routes": ROUTES,
                               "version": "v1", "headers": {"x": "y"}, "route_names": None}),
    ("istio.add_abort_fault", {"ns": NS, **WHOM, "all": False, "label_selector": "team"}),
    ("istio.add_delay_fault", {**SERVICE, "fixed_delay": "1s", "percentage": 5, "routes": ROUTES,
                               "version": "v1", "headers": {"x": "y"}, "route_names": None}),
    ("istio.add_delay_fault", {"ns": NS[:-1] + "}*", **WHOM, "all": True, "label_selector": "team"}),
    ("istio.add_abort_and_delay_fault", {**SERVICE, "http_status": 503, "fixed_delay": 1, "routes": ROUTES,
                                         "percentage": 5, "delay_percentage": 5, "version": "v1",
                                         "headers": {"x": "y"}, "route_names": None}),
    ("istio.add_abort_and_delay_fault", {"ns": NS, **WHOM, "all": True, "label_selector": "team"}),
    ("istio.set_fault", {**SERVICE, "fault": {"delay": {"fixedDelay": "1s"}}, "routes": ROUTES,
                         "version": "v1", "headers": {"x": "y"}, "route_names": None}),
    ("istio.set_fault", {"ns": NS, **WHOM, "fault": {"abort": {"httpStatus": 500}}, "all": True, "label_selector": "team"}),
    ("istio.unset_fault", {**SERVICE, "routes": ROUTES, "version": "v1", "foreign": True}),
    ("istio.unset_fault", {"ns": NS, "label_selector": "team", "foreign": True}),
    ("istio.remove_abort_fault", {**SERVICE, "routes": ROUTES, "version": "v1", "foreign": True}),
    ("istio.remove_abort_fault", {"ns": NS, "label_selector": "team", "foreign": True}),
    ("istio.remove_delay_fault", {**SERVICE, "routes": ROUTES, "version": "v1", "foreign": True}),
    ("istio.remove_delay_fault", {"ns": NS, "label_selector": "team", "foreign": True}),
    ("netpol.isolate_pods", {**PODS, "direction": "egress", "to_label_selector": "app=other",
                             "to_ns": NS, "allow_dns": False}),
    ("nodes.cordon_node", HELD),
    ("nodes.cordon_node", {"label_selector": "mine={ns}", "zone": "zone-a", "count": 1}),
    ("nodes.cordon_node", {"label_selector": "mine={ns}", "pod_namespace": NS, "all": True}),
    ("nodes.cordon_node", {"pod_label_selector": "team=shop", "percentage": 100, "rand_zone": True}),
    ("nodes.uncordon_node", {**HELD, "foreign": True}),
    ("nodes.uncordon_node", {"label_selector": "mine={ns}", "zone": "zone-a", "count": 1, "foreign": True}),
    ("nodes.uncordon_node", {"label_selector": "mine={ns}", "pod_namespace": NS, "all": True,
                             "foreign": True}),
    ("nodes.uncordon_node", {"pod_label_selector": "team=shop", "percentage": 100, "rand_zone": True,
                             "foreign": True}),
    ("nodes.taint_nodes", {**HELD, "key": "a", "value": "b", "effect": "NoExecute"}),
    ("nodes.taint_nodes", {"key": "a", "label_selector": "mine={ns}", "zone": "zone-a", "count": 1}),
    ("nodes.taint_nodes", {"key": "a", "label_selector": "mine={ns}", "pod_namespace": NS, "all": True}),
    ("nodes.taint_nodes", {"key": "a", "pod_label_selector": "team=shop", "percentage": 100,
                           "rand_zone": True}),
    ("nodes.drain_nodes", {**HELD, "timeout": 60, "force": True, "delete_pods_with_local_storage": True}),
    ("nodes.drain_nodes", {"label_selector": "mine={ns}", "zone": "zone-a", "count": 1}),
    ("nodes.drain_nodes", {"pod_label_selector": "team=shop", "pod_namespace": NS, "percentage": 100,
                           "rand_zone": True, "all": False}),
    ("nodes.delete_nodes", {**HELD, "grace_period_seconds": 0}),
    ("nodes.delete_nodes", {"label_selector": "mine={ns}", "zone": "zone-a", "count": 1, "rand": True}),
    ("nodes.delete_nodes", {"pod_label_selector": "team=shop", "pod_namespace": NS, "percentage": 100,
                            "rand_zone": True, "all": False}),
]  # fmt: skip


@pytest.fixture
def world(ground: Ground) -> dict[str, str]:
    """A namespace with a service of two pods on a node of its own."""
    ns, node = ground.namespace(), ground.node()
    labels = {"team": "shop"}
    ground.cluster.merge_patch(NODES, node, None, {"metadata": {"labels": {"mine": ns}}})
    made = ground.deployment(ns, replicas=2, on={"kubernetes.io/hostname": node}, labels={**labels})
    theirs = {"percentage": {"value": 1}}
    fault = {
        "abort": {"httpStatus": 500, **theirs},
        "delay": {"fixedDelay": "1s", **theirs},
    }
    route = {"route": [{"destination": {"host": "checkout", "subset": "primary"}}], "fault": fault}
    ground.virtual_service(ns, http=[route], labels=labels)
    for pod in ground.pods(ns):
        about = pod["metadata"]
        ground.cluster.merge_patch(
            resources.PODS, about["name"], ns, {"metadata": {"labels": labels}}
        )
    other = ground.namespace("other")
    ground.deployment(other, replicas=1, on={"kubernetes.io/hostname": node})
    sets = [s["metadata"]["name"] for s in ground.replica_sets(ns)]
    assert made
    return {"ns": ns, "other": other, "node": node, "set": sets[0]}


def filled(value: Any, world: dict[str, str]) -> Any:
    if isinstance(value, str):
        for name, found in world.items():
            value = value.replace("{" + name + "}", found)
        return value
    if isinstance(value, dict):
        return {key: filled(one, world) for key, one in value.items()}
    return [filled(one, world) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("fault", "arguments"), CASES, ids=[f"{n}-{index}" for index, (n, _) in enumerate(CASES)]
)
def test_what_is_declared_is_what_is_used(ground, world, fault, arguments):
    if fault == "pods.exec_in_pods" and ground.double is None:
        pytest.skip("no container runs there")
    if fault == "nodes.uncordon_node":
        # By somebody else.
        ground.cluster.merge_patch(NODES, world["node"], None, {"spec": {"unschedulable": True}})
    broken = Broken(ground, fault, filled(arguments, world))
    broken.inject()
    broken.undo()
    used = broken.cluster.used.values()
    unused = [
        str(need)
        for need in broken.needs
        if need.resource != LEASES and not any(need.covers(one) for one in used)
    ]
    assert not unused, f"declared, and not used: {unused}"
    assert locked(broken) == {n.place for n in broken.needs if n.resource == LEASES}


def locked(broken: Broken) -> set[Any]:
    """The needs of the locks that its plan takes; as wide as the plan's own look for its targets."""
    recorder = RecordingCluster(broken.cluster._cluster)
    locks = LeaseLocks(lambda _context: cast(Any, recorder), seconds=1)
    keys = sorted({i.lock for i in broken.plan.injections})
    locks.acquire(keys, "a test")
    # Renewed four times as often as it expires.
    eventually(lambda: sum(one.verb == "update" for one in recorder.used.values()) == len(keys))
    locks.release()
    wide = [need for need in broken.needs if need.resource == LEASES]
    found = {need.place for need in wide if any(need.covers(one) for one in recorder.used.values())}
    for one in recorder.used.values():
        assert any(need.covers(one) for need in wide), f"not declared: {one}"
    # Of several namespaces that it looks in, only those with targets are locked.
    places = {one.namespace for one in recorder.used.values()}
    return found | {n.place for n in wide if n.namespace and n.namespace not in places}


def test_a_manifest_takes_the_rights_to_make_it_and_to_change_it(ground, world):
    arguments = {"manifest": filled(MANIFEST, world), "ns": world["ns"]}
    used: dict[Any, Any] = {}
    making = Broken(ground, "kubernetes.apply", arguments).inject()
    making.undo()
    ground.cluster.create(CONFIG_MAPS, {**arguments["manifest"], "data": {}})
    changing = Broken(ground, "kubernetes.apply", arguments).inject()
    # Found again by the pointer alone, as ``recover --cluster`` does.
    name, namespace = applying.pointer_of(
        ground.cluster, world["ns"], changing.records[0]["entry"]["id"]
    )
    pointer = {
        **changing.records[0],
        "resource": marking.plain(CONFIG_MAPS),
        "name": name,
        "namespace": namespace,
    }
    changing.fault.undo(pointer, changing.context)
    for broken in (making, changing):
        used |= broken.cluster.used
    needs = [need for need in making.needs if need.resource != LEASES]
    assert [str(n) for n in needs if not any(n.covers(one) for one in used.values())] == []


def test_every_fault_on_a_cluster_is_held_to_this_with_all_of_its_arguments():
    on_clusters = [f for f in all_faults() if "cluster" in inspect.signature(f.planner).parameters]
    assert len(on_clusters) >= 17
    elsewhere = {"kubernetes.apply", "random.chaos", "load.http_load"}
    for fault in on_clusters:
        assert fault.needs is not None, f"{fault.name} does not say which rights it takes"
        tried = {name for which, arguments in CASES if which == fault.name for name in arguments}
        known = set(inspect.signature(fault.planner).parameters) - {"context", "cluster"}
        if fault.name not in elsewhere:
            assert known - tried == set(), f"{fault.name} is not tried with all its arguments"


def test_where_sloguard_runs_in_the_cluster_it_looks_for_its_own_node():
    planner = find_fault("nodes.cordon_node").planner
    needs = find_fault("nodes.cordon_node").needs
    assert needs is not None
    inside = smallest(needs(Call.of(planner, {"all": True}, pod_namespace="chaos")))
    assert "get pods in namespace chaos" in map(str, inside)
    outside = smallest(needs(Call.of(planner, {"all": True})))
    assert not any(need.resource.plural == "pods" for need in outside)
