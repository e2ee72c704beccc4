"""Faults of sloguard's own as declared rollbacks: what they set is there to stay, and no record of it is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from sloguard.core.events import ActivityEnded
from sloguard.core.model import Activity, ActivityStatus, Outcome
from sloguard.engine.recover_cluster import recover_cluster
from sloguard.engine.run import run
from sloguard.faults.undo_records import ANNOTATION
from sloguard.ports.resources import CONFIG_MAPS, DEPLOYMENTS, NETWORK_POLICIES, NODES
from tests.support.clusters import Ground
from tests.support.engine_world import World, breaking, ended, experiment, slo

MADE = "made.yaml"


def activity(key: str, name: str, /, **arguments) -> Activity:
    family, func = name.split(".")
    provider = {
        "type": "python",
        "module": f"sloguard.faults.{family}",
        "func": func,
        "arguments": arguments,
    }
    return Activity(key, "action", func, provider, declared={"provider": provider})


def carried_out(ground: Ground, folder: Path, *rollbacks, method=()):
    """The outcome, and how each rollback ended."""
    world = World()
    declared = experiment(
        method=method or (breaking("method[0]", "a"),),
        rollbacks=tuple(activity(f"rollbacks[{i}]", n, **a) for i, (n, a) in enumerate(rollbacks)),
        slos=(slo(during="< 60%"),),
        source=str(folder / "experiment.yaml"),
    )
    ports = world.ports(clusters=lambda _context: ground.cluster)
    events = list(run(declared, ports, world.options(), world.control))
    records = [
        e.record for e in events if isinstance(e, ActivityEnded) and e.record.section == "rollbacks"
    ]
    return ended(events).outcome, records


def everything(ground: Ground, namespace: str, node: str):
    """All that a rollback may have touched, without what controllers count."""
    return [
        ground.cluster.get(DEPLOYMENTS, "checkout", namespace)["spec"]["replicas"],
        ground.cluster.get(ground.virtual_services(), "checkout", namespace)["spec"],
        ground.cluster.get(NODES, node)["spec"],
        [p["spec"] for p in ground.cluster.list(NETWORK_POLICIES, namespace)],
        [(m["metadata"]["name"], m["data"]) for m in ground.cluster.list(CONFIG_MAPS, namespace)],
        [d["metadata"]["name"] for d in ground.cluster.list(DEPLOYMENTS, namespace)],
    ]


def records_left(ground: Ground) -> list[str]:
    return [
        f"{obj['kind']} {obj['metadata']['name']}"
        for kind in ground.double.state.kinds
        for obj in ground.double.state.all(kind.kind)
        if ANNOTATION in (obj["metadata"].get("annotations") or {})
        or "sloguard.io/undo" in (obj["metadata"].get("labels") or {})
    ]


STAYING = {
    "scale": ("deployments.scale_deployment", {"name": "checkout", "replicas": 5}),
    "restart": ("deployments.rollout_restart", {"name": "checkout"}),
    "delete": ("deployments.delete_deployment", {"name": "spare"}),
    "cordon": ("nodes.cordon_node", {}),
    "uncordon": ("nodes.uncordon_node", {"foreign": True}),
    "taint": ("nodes.taint_nodes", {"key": "a"}),
    "drain": ("nodes.drain_nodes", {}),
    "abort": ("istio.add_abort_fault", {"virtual_service_name": "checkout"}),
    "unabort": ("istio.remove_abort_fault", {"virtual_service_name": "foreign", "foreign": True}),
    "isolate": ("netpol.isolate_pods", {"label_selector": "app=checkout"}),
    "create": ("kubernetes.apply", {"manifest": MADE}),
    "change": ("kubernetes.apply", {"manifest": "there.yaml"}),
}


@pytest.mark.parametrize("which", STAYING)
def test_what_a_rollback_sets_stays_also_when_the_cluster_is_recovered(ground, tmp_path, which):
    namespace, node = ground.namespace(), ground.node()
    ground.virtual_service(namespace)
    aborted = [{"route": [{"destination": {"host": "x"}}], "fault": {"abort": {"httpStatus": 503}}}]
    ground.virtual_service(namespace, "foreign", aborted)
    ground.deployment(namespace, replicas=1)
    ground.deployment(namespace, "spare", replicas=1)
    if which == "uncordon":
        ground.cluster.merge_patch(NODES, node, None, {"spec": {"unschedulable": True}})
    body = "{apiVersion: v1, kind: ConfigMap, metadata: {name: %s}, data: {a: new}}"
    (tmp_path / MADE).write_text(body % "made")
    (tmp_path / "there.yaml").write_text(body % "there")
    there = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "there"}}
    there["metadata"]["namespace"] = namespace
    ground.cluster.create(CONFIG_MAPS, {**there, "data": {"a": "old"}})
    name, arguments = STAYING[which]
    where = {"name": node} if name.startswith("nodes.") else {"ns": namespace}

    def now():
        foreign = ground.cluster.get(ground.virtual_services(), "foreign", namespace)["spec"]
        template = ground.cluster.get(DEPLOYMENTS, "checkout", namespace)["spec"]["template"]
        return [everything(ground, namespace, node), foreign, template]

    before = now()
    outcome, (record,) = carried_out(ground, tmp_path, (name, {**arguments, **where}))
    assert record.status is ActivityStatus.SUCCEEDED, record.error
    assert outcome is Outcome.MET
    after = now()
    assert after != before
    assert records_left(ground) == []
    assert list(recover_cluster(lambda _context: ground.cluster)) == []
    assert now() == after


@pytest.mark.parametrize("which", ["scale", "cordon", "taint", "create", "delete-none"])
def test_a_rollback_finds_all_as_it_shall_be_once_faults_are_undone(ground, tmp_path, which):
    namespace, node = ground.namespace(), ground.node()
    ground.deployment(namespace, replicas=2)
    if which == "cordon":
        ground.cluster.merge_patch(NODES, node, None, {"spec": {"unschedulable": True}})
    taint = {"key": "a", "effect": "NoSchedule"}
    if which == "taint":
        ground.cluster.merge_patch(NODES, node, None, {"spec": {"taints": [taint]}})
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "there"}}
    manifest["metadata"]["namespace"] = namespace
    ground.cluster.create(CONFIG_MAPS, manifest)
    whom = {"name": "checkout", "ns": namespace}
    method = (activity("method[0]", "deployments.scale_deployment", **whom, replicas=0),)
    rollback = {
        "scale": ("deployments.scale_deployment", {**whom, "replicas": 2}),
        "cordon": ("nodes.cordon_node", {"name": node}),
        "taint": ("nodes.taint_nodes", {"name": node, "key": "a"}),
        "create": ("kubernetes.apply", {"manifest": manifest}),
        "delete-none": ("istio.remove_abort_fault", {"label_selector": "a=b", "ns": namespace}),
    }[which]
    outcome, records = carried_out(ground, tmp_path, rollback, method=method)
    if which == "delete-none":
        # A rollback that names what is not there is a mistake, and is told.
        assert outcome is Outcome.NOT_RESTORED
        assert "no VirtualService" in records[0].error
        return
    assert [r.status for r in records] == [ActivityStatus.SUCCEEDED], records[0].error
    assert outcome is Outcome.MET
    assert ground.cluster.get(DEPLOYMENTS, "checkout", namespace)["spec"]["replicas"] == 2
    assert records_left(ground) == []
