"""Rights that several faults take, as ``needs`` of their calls: locks, choosing pods, changing objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sloguard.faults.live_runs import lease_of
from sloguard.faults.looking import by_name
from sloguard.faults.targets import Namespaces
from sloguard.ports import Resource
from sloguard.ports.resources import BUDGETS, DEPLOYMENTS, LEASES, NODES, PODS, REPLICA_SETS
from sloguard.ports.rights import Call, Need, on

Places = Iterable[str | None]


def places(call: Call, name: str = "ns") -> tuple[str | None, ...]:
    """The namespaces of a call: each that is named, or all (None)."""
    exclude = call.arguments.get("exclude_ns")
    return Namespaces.of(call[name], exclude).each


def locking(namespaces: Places) -> Iterator[Need]:
    """The Leases of namespaces."""
    _, name = lease_of("namespace", "", "")
    return on(LEASES, "get", "create", "update", "delete", namespaces=namespaces, name=name)


def locking_nodes(call: Call, node: str | None) -> Iterator[Need]:
    """The Leases of nodes, which are in sloguard's own namespace; of one, where it is known which."""
    name = lease_of("node", node, call.own_namespace)[1] if node else ""
    where = (call.own_namespace,)
    return on(LEASES, "get", "create", "update", "delete", namespaces=where, name=name)


def changing(resource: Resource, namespaces: Places, name: str | None = None) -> Iterator[Need]:
    """To change an object, with the way back on it, and to change it back."""
    return on(resource, "get", "patch", namespaces=namespaces, name=name)


def choosing(
    resource: Resource, namespaces: Places, name: str | None, labels: str | None
) -> Iterator[Need]:
    """To look for an object by its name, where it has to be the only one that is read, or for all."""
    wanted = tuple(namespaces)
    verb = "get" if by_name(name, wanted, labels or "") else "list"
    return on(resource, verb, namespaces=wanted, name=name)


def choosing_pods(call: Call, owners: dict[str, Resource], *, budgeted: bool) -> Iterator[Need]:
    """To choose pods by the arguments that all faults on pods have in common."""
    wanted = places(call)
    yield from on(PODS, "list", namespaces=wanted)
    if budgeted and not call["ignore_budgets"]:
        yield from on(BUDGETS, "list", namespaces=wanted)
    kind, _, name = str(call["owner"] or "").partition("/")
    resource = owners.get(kind.lower().removesuffix("s"))
    if resource is not None:
        yield from on(resource, "get", namespaces=wanted, name=name)
        if resource == DEPLOYMENTS:
            yield from on(REPLICA_SETS, "list", namespaces=wanted)


def choosing_nodes(call: Call) -> Iterator[Need]:
    """To choose nodes by the arguments that all faults on nodes have in common."""
    if by_name(call["name"], (), call["label_selector"] or call["zone"] or ""):
        yield from on(NODES, "get", name=call["name"])
    else:
        yield from on(NODES, "list")
    if call["pod_namespace"] or call["pod_label_selector"]:
        yield from on(PODS, "list", namespaces=(call["pod_namespace"] or None,))
    if call.pod_namespace:
        # On which node sloguard itself runs.
        yield from on(PODS, "get", namespaces=(call.pod_namespace,))


def first(value: Any) -> str | None:
    """The only namespace of an argument that takes just one."""
    return Namespaces.of(value).single
