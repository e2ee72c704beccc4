"""Faults on Deployments and StatefulSets: scale them, restart them, delete them.

A count of replicas is put back on undo, also from the object alone, unless somebody else has changed it
since; what was deleted is made again as it was.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from sloguard.core.model import Json
from sloguard.faults import deleting, marking
from sloguard.faults.arguments import whole
from sloguard.faults.base import (
    Context,
    FaultError,
    Injection,
    NothingToHit,
    Plan,
    Planner,
    Record,
    fault,
)
from sloguard.faults.looking import found_in, named_in
from sloguard.faults.rights import changing, choosing, locking, places
from sloguard.faults.targets import (
    Chosen,
    Namespaces,
    Radius,
    choose,
    consenting,
    matcher,
    named,
    not_going,
    title,
    within,
)
from sloguard.faults.undo_records import Edit, Put
from sloguard.ports import Cluster, ClusterConflict, ClusterNotFound, Object, Resource
from sloguard.ports.resources import DAEMON_SETS, DEPLOYMENTS, PODS, STATEFUL_SETS
from sloguard.ports.rights import Call, Need, on

_KINDS = {"deployment": DEPLOYMENTS, "statefulset": STATEFUL_SETS, "daemonset": DAEMON_SETS}
_RESTARTED = "kubectl.kubernetes.io/restartedAt"

_WHOM = """

name: Its name; without one, all that match are meant, as far as qty goes.
ns: Namespace, a list of them, or globs.
label_selector: Only those with these labels, as kubectl takes them.
name_pattern: Only those in whose names this regular expression is found.
kind: deployment, statefulset or daemonset.
rand: Choose at random, repeatably by the seed; else the first by name.
qty: How many at most.
all: All that match.
seed: Seed of that choice; the run's own if none is given.
opt_in: Only those with the annotation sloguard.io/enabled set to true.
cluster: Context of the kubeconfig; the one of the settings if not given."""


def _whom(planner: Planner) -> Planner:
    """Adds what the faults have in common to their documentation."""
    planner.__doc__ = (planner.__doc__ or "").rstrip() + _WHOM.replace("\n", "\n    ")
    return planner


def _scaling(replicas: Any) -> tuple[Edit, ...]:
    return (Put(("spec", "replicas"), replicas),)


def _inject_scale(record: Record, context: Context) -> Json:
    changed = marking.inject(record, context, lambda _obj: _scaling(record["replicas"]))
    return {"scaled": title(changed), "replicas": record["replicas"]}


def _choosing(call: Call) -> Iterator[Need]:
    wanted = places(call)
    yield from choosing(_resource(call["kind"]), wanted, call["name"], call["label_selector"])
    yield from on(PODS, "list", namespaces=wanted)
    yield from locking(wanted)


def _scale_needs(call: Call) -> Iterator[Need]:
    yield from _choosing(call)
    yield from changing(_resource(call["kind"]), places(call), call["name"])


@fault(
    "deployments.scale_deployment",
    inject=_inject_scale,
    undo=marking.undo,
    needs=_scale_needs,
)
@_whom
def scale_deployment(
    name: str | None = None,
    replicas: int = 0,
    ns: str | list[str] = "default",
    label_selector: str | None = None,
    name_pattern: str | None = None,
    kind: str = "deployment",
    rand: bool = False,
    qty: int = 1,
    all: bool = False,
    seed: int | None = None,
    opt_in: bool = False,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Change how many pods a Deployment or StatefulSet has.

    replicas: How many pods there shall be.
    """
    wanted = whole(replicas, "replicas", most=10_000)
    resource = _resource(kind)
    if resource == DAEMON_SETS:
        raise FaultError(
            "kind: a DaemonSet has as many pods as there are nodes, and cannot be scaled"
        )
    found = context.cluster(cluster)

    def same(obj: Object) -> str:
        if context.lasting:
            return ""
        return f"it has {wanted} replicas already" if obj["spec"].get("replicas") == wanted else ""

    chosen = _select(found, resource, locals(), context, same)
    injections = []
    for obj in chosen.victims:
        before = obj["spec"].get("replicas")
        names = _pods(found, obj)
        edits = _scaling(wanted)
        command = f"kubectl scale {{object}} --replicas={before}"
        injections.append(
            Injection(
                target=f"{resource.kind} {title(obj)}",
                record=marking.record_of(
                    found,
                    resource,
                    obj,
                    "deployments.scale_deployment",
                    context.run,
                    edits,
                    replicas=wanted,
                ),
                lock=f"namespace:{found.name}/{obj['metadata']['namespace']}",
                by_hand=marking.by_hand(found, resource, obj, command),
                # Which of them go is the controller's choice, so any of them may.
                removes=names if wanted < int(before or 0) else {},
                hits=_hits(resource, obj, names if wanted < int(before or 0) else {}),
            )
        )
    return Plan(
        tuple(injections),
        chosen.spared,
        f"scale {len(injections)} of {chosen.matching} to {wanted}",
    )


def _inject_restart(record: Record, context: Context) -> Json:
    cluster, resource = marking.place_of(record, context)
    stamp = datetime.datetime.fromtimestamp(cluster.now(), datetime.UTC).isoformat()
    change = {
        "metadata": {"uid": record["uid"]},
        "spec": {"template": {"metadata": {"annotations": {_RESTARTED: stamp}}}},
    }
    try:
        cluster.merge_patch(resource, str(record["name"]), str(record["namespace"]), change)
    except (ClusterNotFound, ClusterConflict) as error:
        raise FaultError(f"{record['name']} was deleted before it could be hit") from error
    return {"restarted": f"{record['namespace']}/{record['name']}"}


def _undo_restart(_record: Record, _context: Context) -> str:
    return ""  # taking the mark of the restart away would restart everything once more


def _restart_needs(call: Call) -> Iterator[Need]:
    yield from _choosing(call)
    yield from on(_resource(call["kind"]), "patch", namespaces=places(call), name=call["name"])


@fault(
    "deployments.rollout_restart",
    inject=_inject_restart,
    undo=_undo_restart,
    needs=_restart_needs,
)
@_whom
def rollout_restart(
    name: str | None = None,
    ns: str | list[str] = "default",
    label_selector: str | None = None,
    name_pattern: str | None = None,
    kind: str = "deployment",
    rand: bool = False,
    qty: int = 1,
    all: bool = False,
    seed: int | None = None,
    opt_in: bool = False,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Replace all pods of a Deployment, StatefulSet or DaemonSet, as its update strategy says.

    There is nothing to undo: taking the mark of the restart away would restart everything once more.
    """
    resource, found = _resource(kind), context.cluster(cluster)
    chosen = _select(found, resource, locals(), context)
    injections = tuple(
        Injection(
            target=f"{resource.kind} {title(obj)}",
            record={
                "cluster": found.name,
                "resource": marking.plain(resource),
                "namespace": obj["metadata"]["namespace"],
                "name": obj["metadata"]["name"],
                "uid": obj["metadata"]["uid"],
            },
            lock=f"namespace:{found.name}/{obj['metadata']['namespace']}",
            by_hand="nothing to do: the pods have been replaced",
            removes=(names := _pods(found, obj)),
            hits=_hits(resource, obj, names),
        )
        for obj in chosen.victims
    )
    return Plan(injections, chosen.spared, f"restart {len(injections)} of {chosen.matching}")


def _deletion_needs(call: Call) -> Iterator[Need]:
    yield from _choosing(call)
    yield from deleting.needs(_resource(call["kind"]), places(call), call["name"])


@fault(
    "deployments.delete_deployment",
    inject=deleting.inject,
    undo=deleting.undo,
    needs=_deletion_needs,
)
@_whom
def delete_deployment(
    name: str | None = None,
    ns: str | list[str] = "default",
    label_selector: str | None = None,
    name_pattern: str | None = None,
    kind: str = "deployment",
    rand: bool = False,
    qty: int = 1,
    all: bool = False,
    seed: int | None = None,
    opt_in: bool = False,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Delete a Deployment, StatefulSet or DaemonSet with its pods; made again as it was on undo.

    Until then a copy is kept in a ConfigMap of its namespace.
    """
    resource, found = _resource(kind), context.cluster(cluster)
    chosen = _select(found, resource, locals(), context)
    injections = tuple(
        Injection(
            target=f"{resource.kind} {title(obj)}",
            record=(
                record := deleting.record_of(
                    found, resource, obj, "deployments.delete_deployment", context.run
                )
            ),
            lock=f"namespace:{found.name}/{obj['metadata']['namespace']}",
            by_hand=f"kubectl create -f - with what is in ConfigMap {record['namespace']}/{record['name']}",
            removes=(names := _pods(found, obj)),
            hits=_hits(resource, obj, names),
        )
        for obj in chosen.victims
    )
    return Plan(injections, chosen.spared, f"delete {len(injections)} of {chosen.matching}")


def _resource(kind: Any) -> Resource:
    found = _KINDS.get(str(kind).lower())
    if found is None:
        raise FaultError(f"kind: expected one of {', '.join(_KINDS)}, found {kind!r}")
    return found


def _select(
    cluster: Cluster,
    resource: Resource,
    arguments: dict[str, Any],
    context: Context,
    spare: Any = lambda _obj: "",
) -> Chosen:
    name, labels = arguments["name"], str(arguments["label_selector"] or "")
    pattern, rand, every = arguments["name_pattern"], arguments["rand"], arguments["all"]
    if name is None and not (labels or pattern or rand or every):
        raise FaultError("say which: name, label_selector, name_pattern, rand or all")
    namespaces = replace(Namespaces.of(arguments["ns"]), own=cluster.own_namespace)
    radius = Radius.of(
        qty=arguments["qty"], all=every or name is not None, rand=rand, seed=arguments["seed"]
    )
    if name is not None:
        objects = named_in(cluster, resource, name, namespaces, labels=labels)
    else:
        objects = found_in(cluster, resource, namespaces, labels=labels)
    rules = [within(namespaces), named(pattern), not_going, consenting(arguments["opt_in"]), spare]
    chosen = choose(objects, radius, fallback=context.random, spare=rules)
    if not chosen.victims:
        reasons = "; ".join(f"{title}: {why}" for title, why in chosen.spared[:5])
        which = f" named {name}" if name else f" with {labels}" if labels else ""
        text = f"no {resource.kind}{which} to hit in {namespaces}"
        raise NothingToHit(f"{text} ({reasons})" if reasons else text)
    return chosen


def _pods(cluster: Cluster, obj: Object) -> dict[str, frozenset[str]]:
    """The names of its pods, by its selector."""
    selects = matcher(obj["spec"].get("selector"))
    names = frozenset(
        str(pod["metadata"]["name"])
        for pod in cluster.list(PODS, obj["metadata"]["namespace"])
        if selects(pod["metadata"].get("labels") or {})
    )
    return {"pod": names} if names else {}


def _hits(
    resource: Resource, obj: Object, names: dict[str, frozenset[str]]
) -> dict[str, frozenset[str]]:
    """What of the cluster suffers: the workload, and its pods."""
    namespace = obj["metadata"]["namespace"]
    pods = frozenset(f"{namespace}/{name}" for name in names.get("pod", ()))
    return {resource.kind: frozenset({title(obj)}), **({"Pod": pods} if pods else {})}
