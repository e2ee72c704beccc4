"""Faults on pods: terminate them, by delete or by eviction, and run commands in them."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from typing import Any

from sloguard.core.model import Json
from sloguard.faults import replacing
from sloguard.faults.arguments import duration as as_duration
from sloguard.faults.arguments import whole
from sloguard.faults.base import Context, FaultError, Injection, Plan, Record, fault
from sloguard.faults.looking import pod_is_gone
from sloguard.faults.pod_selection import (
    OWNERS,
    PodWhom,
    controller_of,
    documented,
    select,
)
from sloguard.faults.rights import choosing_pods, locking, places
from sloguard.faults.targets import title
from sloguard.ports import (
    Cluster,
    ClusterConflict,
    ClusterNotFound,
    ClusterUnreachable,
    Object,
    TooManyDisruptions,
)
from sloguard.ports.resources import PODS
from sloguard.ports.rights import Call, Need, on

_LONGEST_WAIT = 3600.0
#: How long a disruption budget that was just changed may take to be decided, and how often to ask, seconds.
_DECIDING, _LOOK = 10.0, 0.2


def _inject_termination(record: Record, context: Context) -> Json:
    cluster = context.cluster(record["cluster"])
    name, namespace = str(record["name"]), str(record["namespace"])
    began = time.monotonic()
    try:
        _terminate(cluster, name, namespace, record, context)
    except (ClusterNotFound, ClusterConflict) as error:
        raise FaultError(f"{namespace}/{name} ended before it could be hit") from error
    except TooManyDisruptions as error:
        raise FaultError(f"{namespace}/{name} may not be evicted: {error}") from error
    output: dict[str, Any] = {
        "pod": f"{namespace}/{name}",
        "by": "eviction" if record["evict"] else "delete",
    }
    if record["wait"]:
        output |= replacing.wait(
            cluster,
            record["owners"],
            record["unowned"],
            record["victims"],
            context,
            began=began,
            ends=began + float(record["wait"]),
        )
    return output


def _terminate(
    cluster: Cluster, name: str, namespace: str, record: Record, context: Context
) -> None:
    uid, grace = str(record["uid"]), record["grace"]
    if not record["evict"]:
        cluster.delete(PODS, name, namespace, uid=uid, grace=grace)
        return
    ends = time.monotonic() + _DECIDING
    while True:
        try:
            cluster.evict(name, namespace, uid=uid, grace=grace)
        except ClusterUnreachable as error:
            if error.applied is False or not pod_is_gone(cluster, name, namespace, uid):
                raise
        except TooManyDisruptions as error:
            # With a time to come back after, the budget has only just been changed and is not decided.
            late = time.monotonic() >= ends
            if not error.retry_after or late or context.stop.wait(_LOOK):
                raise
            continue
        return


def _undo_termination(_record: Record, _context: Context) -> str:
    return ""  # what owns the pod has brought another one; nobody can bring this one back


def _termination_needs(call: Call) -> Iterator[Need]:
    wanted = places(call)
    yield from choosing_pods(call, OWNERS, budgeted=True)
    yield from locking(wanted)
    if call["evict"]:
        yield from on(PODS, "create", namespaces=wanted, subresource="eviction")
    else:
        yield from on(PODS, "delete", namespaces=wanted)
    if call["wait"] is not None:
        yield from on(PODS, "watch", namespaces=wanted)


@fault(
    "pods.terminate_pods",
    inject=_inject_termination,
    undo=_undo_termination,
    needs=_termination_needs,
)
@documented
def terminate_pods(
    label_selector: str | None = None,
    name_pattern: str | None = None,
    all: bool = False,
    rand: bool = False,
    mode: str = "fixed",
    qty: int = 1,
    grace_period: int = -1,
    ns: str | list[str] = "default",
    order: str = "alphabetic",
    field_selector: str | None = None,
    owner: str | None = None,
    exclude_ns: str | list[str] | None = None,
    leave_at_least: int = 0,
    ignore_budgets: bool = False,
    min_age: float | str | None = None,
    seed: int | None = None,
    opt_in: bool = False,
    evict: bool = False,
    unowned: bool = False,
    wait: float | str | None = None,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Terminate pods; what owns them brings others in their place.

    There is nothing to undo. Pods that nothing owns would not come back, and are spared.

    grace_period: Seconds that a pod has to end; its own terminationGracePeriodSeconds if below 0.
    evict: Ask for an eviction in place of a delete, which the PodDisruptionBudgets may refuse.
    unowned: Terminate pods that nothing brings back, too.
    wait: How long to wait, once all are terminated, until as many pods are Ready as before; the output
        says of each workload after how many seconds they were, or that they were not.
    """
    whom = PodWhom.of(locals())
    grace = None if grace_period == -1 else whole(grace_period, "grace_period", most=86400)
    seconds = None if wait is None else as_duration(wait, "wait", longest=_LONGEST_WAIT)
    found = context.cluster(cluster)
    chosen = select(found, whom, context, lambda pod: _lost(pod, unowned))
    owners, alone = replacing.owners_of(found, chosen.victims) if seconds else ([], [])
    victims = [pod["metadata"]["uid"] for pod in chosen.victims]
    injections = []
    for index, pod in enumerate(chosen.victims):
        last = index == len(chosen.victims) - 1
        about = pod["metadata"]
        record: dict[str, Json] = {
            "cluster": found.name,
            "namespace": about["namespace"],
            "name": about["name"],
            "uid": about["uid"],
            "grace": grace,
            "evict": bool(evict),
            # They are terminated one right after the other; the last one waits for all.
            "wait": seconds if last else None,
            "owners": owners if last else [],
            "unowned": alone if last else [],
            "victims": victims if last else [],
        }
        injections.append(
            Injection(
                target=title(pod),
                record=record,
                lock=f"namespace:{found.name}/{about['namespace']}",
                by_hand="nothing to do: its owner has brought another one",
                removes=_names(pod),
                hits={"Pod": frozenset({title(pod)})},
            )
        )
    verb = "evict" if evict else "delete"
    return Plan(
        tuple(injections), chosen.spared, f"{verb} {len(injections)} of {chosen.matching} pods"
    )


def _lost(pod: Object, unowned: bool) -> str:
    owner = controller_of(pod)
    if owner is not None and owner.get("kind") == "Node":
        return "it is a static pod of its node, which a delete does not end"
    return "" if owner is not None or unowned else "nothing owns it, so it would not come back"


def _names(pod: Object) -> dict[str, frozenset[str]]:
    """The names under which series know the pod."""
    names = {"pod": frozenset({str(pod["metadata"]["name"])})}
    address = (pod.get("status") or {}).get("podIP")
    if address and not pod["spec"].get("hostNetwork"):
        host = f"[{address}]" if ":" in address else address
        ports = [
            p.get("containerPort") for c in pod["spec"]["containers"] for p in c.get("ports") or []
        ]
        if ports:
            names["instance"] = frozenset(f"{host}:{port}" for port in ports)
    return names


def _inject_command(record: Record, context: Context) -> Json:
    output = _run(record, "command", context)
    if output["exit_code"] != 0:
        shown = (output["stderr"] or output["stdout"]).strip()[-300:]
        raise FaultError(f"{output['pod']}: the command ended with {output['exit_code']}: {shown}")
    return output


def _run(record: Record, which: str, context: Context) -> dict[str, Any]:
    cluster = context.cluster(record["cluster"])
    name, namespace = str(record["name"]), str(record["namespace"])
    try:
        uid = cluster.get(PODS, name, namespace)["metadata"]["uid"]
    except ClusterNotFound:
        uid = None
    if uid != record["uid"]:
        raise FaultError(f"{namespace}/{name} has ended, so nothing can be run in it")
    ended = cluster.exec(
        name,
        namespace,
        [str(word) for word in record[which]],
        container=record["container"],
        deadline=float(record["timeout"]),
    )
    return {
        "pod": f"{namespace}/{name}",
        "exit_code": ended.exit_code,
        "stdout": ended.stdout,
        "stderr": ended.stderr,
    }


def _undo_command(record: Record, context: Context) -> str:
    if not record["undo"]:
        return ""
    cluster = context.cluster(record["cluster"])
    if pod_is_gone(cluster, str(record["name"]), str(record["namespace"]), str(record["uid"])):
        return ""  # what was done to it has gone with it
    output = _run(record, "undo", context)
    if output["exit_code"] != 0:
        shown = (output["stderr"] or output["stdout"]).strip()[-300:]
        raise FaultError(f"{output['pod']}: undo_cmd ended with {output['exit_code']}: {shown}")
    return f"ran undo_cmd in {output['pod']}"


def _command_needs(call: Call) -> Iterator[Need]:
    wanted = places(call)
    yield from choosing_pods(call, OWNERS, budgeted=False)
    yield from locking(wanted)
    yield from on(PODS, "get", namespaces=wanted)
    # Over a web socket this is a GET, which newer API servers allow only to those who may create, too.
    yield from on(PODS, "get", "create", namespaces=wanted, subresource="exec")


@fault("pods.exec_in_pods", inject=_inject_command, undo=_undo_command, needs=_command_needs)
@documented
def exec_in_pods(
    cmd: str | list[str],
    label_selector: str | None = None,
    name_pattern: str | None = None,
    all: bool = False,
    rand: bool = False,
    mode: str = "fixed",
    qty: int = 1,
    ns: str | list[str] = "default",
    order: str = "alphabetic",
    container_name: str | None = None,
    request_timeout: float | str = 60,
    undo_cmd: str | list[str] | None = None,
    field_selector: str | None = None,
    owner: str | None = None,
    exclude_ns: str | list[str] | None = None,
    leave_at_least: int = 0,
    ignore_budgets: bool = False,
    min_age: float | str | None = None,
    seed: int | None = None,
    opt_in: bool = False,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Run a command in containers of pods; an exit code other than 0 is a failed action.

    cmd: The command: a list of words, or a text that is split into words as a shell does, without one.
        It is kept in the ledger, so it must not hold secrets.
    container_name: The container; a pod's first one if not given.
    request_timeout: How long the command may take, in seconds.
    undo_cmd: The command that undoes it, run in the same pods; safe to run again, and before the other.
    """
    whom = PodWhom.of(locals())
    command = _words(cmd, "cmd")
    undo = _words(undo_cmd, "undo_cmd") if undo_cmd is not None else []
    timeout = as_duration(request_timeout, "request_timeout", longest=_LONGEST_WAIT)
    found = context.cluster(cluster)
    chosen = select(
        found, whom, context, lambda pod: _no_container(pod, container_name), budgeted=False
    )
    injections = tuple(
        Injection(
            target=title(pod),
            record={
                "cluster": found.name,
                "namespace": pod["metadata"]["namespace"],
                "name": pod["metadata"]["name"],
                "uid": pod["metadata"]["uid"],
                "container": container_name or pod["spec"]["containers"][0]["name"],
                "command": command,
                "undo": undo,
                "timeout": timeout,
            },
            lock=f"namespace:{found.name}/{pod['metadata']['namespace']}",
            by_hand=f"run in {title(pod)}: {shlex.join(undo)}" if undo else "",
            hits={"Pod": frozenset({title(pod)})},
        )
        for pod in chosen.victims
    )
    shown = shlex.join(command)
    return Plan(
        injections, chosen.spared, f"run {shown} in {len(injections)} of {chosen.matching} pods"
    )


def _no_container(pod: Object, name: str | None) -> str:
    if (pod.get("status") or {}).get("phase") != "Running":
        return "it is not running"
    names = [c["name"] for c in pod["spec"]["containers"]]
    return (
        ""
        if name is None or name in names
        else f"it has no container {name}, but {', '.join(names)}"
    )


def _words(value: Any, name: str) -> list[str]:
    try:
        words = shlex.split(value) if isinstance(value, str) else list(value)
    except (ValueError, TypeError) as error:
        raise FaultError(f"{name}: expected a command, found {value!r}: {error}") from None
    if not words or not all(isinstance(word, str) for word in words):
        raise FaultError(f"{name}: expected a command, found {value!r}")
    return words
