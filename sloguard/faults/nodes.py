"""Faults on nodes: cordon, drain, taint and delete them. What was there before is put back on undo, also
from the cluster alone; a cordon or taint of somebody else's is left, unless it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sloguard.core.model import Json
from sloguard.faults import deleting, draining, marking
from sloguard.faults.arguments import duration as as_duration
from sloguard.faults.arguments import whole
from sloguard.faults.base import Context, FaultError, Injection, Plan, Record, fault
from sloguard.faults.node_selection import NodeWhom, documented, lock_of, select
from sloguard.faults.rights import changing, choosing_nodes, locking_nodes
from sloguard.faults.targets import title
from sloguard.faults.undo_records import Edit, Insert, Put, entries, marked, unmarked
from sloguard.ports import Cluster, Object
from sloguard.ports.resources import NODES, PODS
from sloguard.ports.rights import Call, Need, on

_ENDING = "NoExecute"
_EFFECTS = ("NoSchedule", "PreferNoSchedule", _ENDING)
_CORDON: tuple[Edit, ...] = (Put(("spec", "unschedulable"), True),)
_UNCORDON: tuple[Edit, ...] = (Put(("spec", "unschedulable"), None),)


def _needs(call: Call) -> Iterator[Need]:
    yield from choosing_nodes(call)
    yield from changing(NODES, (None,), call["name"])
    yield from locking_nodes(call, call["name"])


def _inject_cordon(record: Record, context: Context) -> Json:
    changed = marking.inject(record, context, lambda _node: _CORDON)
    return {"node": changed["metadata"]["name"]}


def _cordoned(node: Object) -> str:
    cordoned = (node.get("spec") or {}).get("unschedulable")
    return "it is cordoned already, by somebody else" if cordoned else ""


@fault("nodes.cordon_node", inject=_inject_cordon, undo=marking.undo, needs=_needs)
@documented
def cordon_node(
    name: str | None = None,
    label_selector: str | None = None,
    zone: str | None = None,
    rand_zone: bool = False,
    pod_namespace: str | None = None,
    pod_label_selector: str | None = None,
    count: int | None = None,
    percentage: float | str | None = None,
    all: bool = False,
    seed: int | None = None,
    leave_at_least: int = 0,
    opt_in: bool = False,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Keep new pods off nodes; those that run there stay."""
    found = context.cluster(cluster)
    spare = (lambda _node: "") if context.lasting else _cordoned
    chosen = select(found, NodeWhom.of(locals()), context, spare)
    injections = tuple(
        _injection("nodes.cordon_node", found, node, _CORDON, context) for node in chosen.victims
    )
    return Plan(injections, chosen.spared, f"cordon {len(injections)} of {chosen.matching} nodes")


def _inject_uncordon(record: Record, context: Context) -> Json:
    done: list[str] = []

    def change(node: Object) -> Object:
        done.clear()
        for entry in entries(node):
            node, removed = unmarked(node, str(entry["id"]), which=_is_cordon)
            done.extend(["sloguard's"] if removed else [])
        if record["foreign"] and _cordoned(node):
            done.append("somebody else's")
            node = marked(node, record["entry"], _UNCORDON)
        return node

    marking.alter(record, context, change)
    return {"node": record["name"], "uncordoned": bool(done), "whose": done}


def _is_cordon(change: Mapping[str, Any]) -> bool:
    return bool(change["path"] == ["spec", "unschedulable"])


@fault("nodes.uncordon_node", inject=_inject_uncordon, undo=marking.undo, needs=_needs)
@documented
def uncordon_node(
    name: str | None = None,
    label_selector: str | None = None,
    zone: str | None = None,
    rand_zone: bool = False,
    pod_namespace: str | None = None,
    pod_label_selector: str | None = None,
    count: int | None = None,
    percentage: float | str | None = None,
    all: bool = False,
    seed: int | None = None,
    leave_at_least: int = 0,
    opt_in: bool = False,
    foreign: bool = False,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Let new pods on nodes again that sloguard has cordoned; cordons of others are left, unless asked for.

    A run undoes its faults by itself, so this is for a method that ends one early. A cordon of sloguard's
    own is not put back on undo: it was to be undone anyway.

    foreign: Take away what others have cordoned, too; that is put back on undo.
    """
    found = context.cluster(cluster)
    chosen = select(found, NodeWhom.of(locals()), context)
    injections = tuple(
        Injection(
            target=str(node["metadata"]["name"]),
            # What will be there once sloguard's own is gone is seen only then.
            record=marking.record_of(
                found, NODES, node, "nodes.uncordon_node", context.run, (), foreign=bool(foreign)
            ),
            lock=lock_of(found, node),
            by_hand=f"kubectl cordon {node['metadata']['name']}" if foreign else "",
        )
        for node in chosen.victims
    )
    return Plan(injections, chosen.spared, f"uncordon {len(injections)} of {chosen.matching} nodes")


def _inject_taint(record: Record, context: Context) -> Json:
    changed = marking.inject(record, context, lambda _node: _tainting(record["taint"]))
    return {"node": changed["metadata"]["name"], "taint": record["taint"]}


def _tainting(taint: Mapping[str, Any]) -> tuple[Edit, ...]:
    return (Insert(("spec", "taints"), taint, by=("key", "effect")),)


def _taint_needs(call: Call) -> Iterator[Need]:
    yield from _needs(call)
    if call["effect"] == _ENDING:
        yield from on(PODS, "list")


@fault("nodes.taint_nodes", inject=_inject_taint, undo=marking.undo, needs=_taint_needs)
@documented
def taint_nodes(
    key: str,
    value: str = "",
    effect: str = "NoSchedule",
    name: str | None = None,
    label_selector: str | None = None,
    zone: str | None = None,
    rand_zone: bool = False,
    pod_namespace: str | None = None,
    pod_label_selector: str | None = None,
    count: int | None = None,
    percentage: float | str | None = None,
    all: bool = False,
    seed: int | None = None,
    leave_at_least: int = 0,
    opt_in: bool = False,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Taint nodes, so that only pods which tolerate it may be there.

    key: Key of the taint.
    value: Its value, if it has one.
    effect: NoSchedule, PreferNoSchedule or NoExecute; the last one ends the pods that run there.
    """
    if effect not in _EFFECTS:
        raise FaultError(f"effect: expected one of {', '.join(_EFFECTS)}, found {effect!r}")
    if not key:
        raise FaultError(f"key: expected the key of a taint, found {key!r}")
    taint = {"key": key, **({"value": str(value)} if value else {}), "effect": effect}

    def tainted(node: Object) -> str:
        taints = (node.get("spec") or {}).get("taints") or []
        same = any((t.get("key"), t.get("effect")) == (key, effect) for t in taints)
        same = same and not context.lasting
        return "it has such a taint already" if same else ""

    found = context.cluster(cluster)
    chosen = select(found, NodeWhom.of(locals()), context, tainted)
    pods = draining.pods_by_node(found, name) if effect == _ENDING else {}
    injections = tuple(
        _injection(
            "nodes.taint_nodes",
            found,
            node,
            _tainting(taint),
            context,
            [p for p in pods.get(node["metadata"]["name"], ()) if not draining.tolerates(p, taint)],
            taint=taint,
        )
        for node in chosen.victims
    )
    return Plan(injections, chosen.spared, f"taint {len(injections)} of {chosen.matching} nodes")


def _inject_drain(record: Record, context: Context) -> Json:
    marking.inject(record, context, lambda node: () if _cordoned(node) else _CORDON)
    cluster = context.cluster(record["cluster"])
    options = draining.Options(**record["options"])
    return draining.drain(cluster, str(record["name"]), options, context)


def _drain_needs(call: Call) -> Iterator[Need]:
    yield from _needs(call)
    yield from on(PODS, "list")
    yield from on(PODS, "create", subresource="eviction")


@fault("nodes.drain_nodes", inject=_inject_drain, undo=marking.undo, needs=_drain_needs)
@documented
def drain_nodes(
    name: str | None = None,
    label_selector: str | None = None,
    delete_pods_with_local_storage: bool = False,
    timeout: float | str = 120,
    count: int | None = None,
    pod_label_selector: str | None = None,
    pod_namespace: str | None = None,
    zone: str | None = None,
    rand_zone: bool = False,
    percentage: float | str | None = None,
    all: bool = False,
    seed: int | None = None,
    leave_at_least: int = 0,
    opt_in: bool = False,
    force: bool = False,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Cordon nodes and evict their pods, one node after the other; pods of DaemonSets stay.

    Evictions that a PodDisruptionBudget refuses are tried again until the timeout, and then reported.
    On undo the nodes take pods again; those that went do not come back to them by themselves.
    A node with a pod that may not be evicted is spared, or refused where it is named.

    delete_pods_with_local_storage: Evict pods that have an emptyDir, too; what is in it is lost.
    timeout: How long the evictions of one node may take, in seconds.
    force: Evict pods that nothing owns, too; they do not come back.
    """
    seconds = as_duration(timeout, "timeout", longest=86400)
    found = context.cluster(cluster)
    options = draining.Options(seconds, bool(delete_pods_with_local_storage), bool(force))
    pods = draining.pods_by_node(found, name)

    def stuck(node: Object) -> str:
        return draining.problem(pods.get(node["metadata"]["name"], ()), options)

    chosen = select(found, NodeWhom.of(locals()), context, stuck)
    injections = tuple(
        _injection(
            "nodes.drain_nodes",
            found,
            node,
            () if _cordoned(node) else _CORDON,
            context,
            draining.leaving(pods.get(node["metadata"]["name"], ())),
            options=options.plain(),
        )
        for node in chosen.victims
    )
    return Plan(injections, chosen.spared, f"drain {len(injections)} of {chosen.matching} nodes")


def _inject_deletion(record: Record, context: Context) -> Json:
    grace = record["grace"]
    return deleting.inject(record, context, None if grace is None else int(grace))


def _deletion_needs(call: Call) -> Iterator[Need]:
    yield from choosing_nodes(call)
    yield from on(PODS, "list")
    yield from deleting.needs(NODES, (None,), call["name"], (call.own_namespace,))
    yield from locking_nodes(call, call["name"])


@fault("nodes.delete_nodes", inject=_inject_deletion, undo=deleting.undo, needs=_deletion_needs)
@documented
def delete_nodes(
    label_selector: str | None = None,
    all: bool = False,
    rand: bool = False,
    count: int | None = None,
    grace_period_seconds: int | None = None,
    pod_label_selector: str | None = None,
    pod_namespace: str | None = None,
    name: str | None = None,
    zone: str | None = None,
    rand_zone: bool = False,
    percentage: float | str | None = None,
    seed: int | None = None,
    leave_at_least: int = 0,
    opt_in: bool = False,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Delete the objects of nodes, undrained: what runs there is lost to the cluster; made again on undo.

    One node, the first by name, where neither name, all, rand, count, percentage, zone nor rand_zone says
    more; with a zone all of its nodes. The machines go on: a kubelet that still runs posts its status again
    once the object is back, and where a cloud has ended the machine nothing here brings it back.
    Until then a copy is kept in a ConfigMap of sloguard's own namespace.

    rand: One node, chosen at random.
    grace_period_seconds: Passed on with the deletion.
    """
    arguments = dict(locals())
    grace = grace_period_seconds
    if grace is not None:
        grace = whole(grace, "grace_period_seconds", most=86400)
    found = context.cluster(cluster)
    said = all or count is not None or percentage is not None
    if rand and not said:
        arguments["count"] = 1
    whom = NodeWhom.of(arguments)
    if not (said or rand or name or zone or rand_zone):
        whom = whom.first()
    chosen = select(found, whom, context)
    pods = draining.pods_by_node(found, name)
    injections = tuple(
        _deletion(found, node, pods.get(node["metadata"]["name"], ()), grace, context)
        for node in chosen.victims
    )
    return Plan(injections, chosen.spared, f"delete {len(injections)} of {chosen.matching} nodes")


def _deletion(
    cluster: Cluster, node: Object, pods: Sequence[Object], grace: int | None, context: Context
) -> Injection:
    name = str(node["metadata"]["name"])
    record = deleting.record_of(
        cluster, NODES, node, "nodes.delete_nodes", context.run, grace=grace
    )
    kept = f"{record['namespace']}/{record['name']}"
    return Injection(
        target=name,
        record=record,
        lock=lock_of(cluster, node),
        by_hand=f"kubectl create -f - with what is in ConfigMap {kept}",
        removes={"node": frozenset({name}), **_names(pods)},
        hits=_hits(name, pods),
    )


def _injection(
    fault_name: str,
    cluster: Cluster,
    node: Object,
    edits: tuple[Edit, ...],
    context: Context,
    pods: Sequence[Object] = (),
    **more: Json,
) -> Injection:
    name = str(node["metadata"]["name"])
    record = marking.record_of(cluster, NODES, node, fault_name, context.run, edits, **more)
    command = f"kubectl uncordon {name}"
    if "taint" in more:
        taint: Any = more["taint"]
        command = f"kubectl taint node {name} {taint['key']}:{taint['effect']}-"
    return Injection(
        target=name,
        record=record,
        lock=lock_of(cluster, node),
        by_hand=command,
        removes=_names(pods),
        hits=_hits(name, pods),
    )


def _names(pods: Sequence[Object]) -> dict[str, frozenset[str]]:
    names = frozenset(str(pod["metadata"]["name"]) for pod in pods)
    return {"pod": names} if names else {}


def _hits(node: str, pods: Sequence[Object]) -> dict[str, frozenset[str]]:
    """What of the cluster suffers: the node, and the pods that have to leave it."""
    return {"Node": frozenset({node}), **({"Pod": frozenset(map(title, pods))} if pods else {})}
