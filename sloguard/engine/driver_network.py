"""The actions of chaosk8s on nodes and networks, and those of chaosistio.

Every function here has the driver's name, arguments and defaults, and returns the arguments of sloguard's
own; it raises ValueError for values that cannot be meant. ``None`` is how these drivers say "not given".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sloguard.engine.driver_entries import (
    FAULTS,
    RESTORING,
    UNDONE,
    Arguments,
    alias,
    given,
    own_only,
)

# Nodes.

_NODES = "chaosk8s.node.actions"


def _nodes(**arguments: Any) -> dict[str, Any]:
    """All nodes, where nothing says which."""
    given = {name: value for name, value in arguments.items() if value not in (None, "")}
    return given or {"all": True}


@alias(_NODES, f"{FAULTS}.nodes.cordon_node")
def cordon_node(name: Any = None, label_selector: Any = None) -> Arguments:
    return _nodes(name=name, label_selector=label_selector)


@alias(_NODES, f"{FAULTS}.nodes.uncordon_node", in_rollbacks=own_only)
def uncordon_node(name: Any = None, label_selector: Any = None) -> Arguments:
    return {**_nodes(name=name, label_selector=label_selector), "foreign": True}


@alias(_NODES, f"{FAULTS}.nodes.drain_nodes")
def drain_nodes(
    name: Any = None,
    label_selector: Any = None,
    delete_pods_with_local_storage: Any = False,
    timeout: Any = 120,
    count: Any = None,
    pod_label_selector: Any = None,
    pod_namespace: Any = None,
) -> Arguments:
    whom = _nodes(
        name=name,
        label_selector=label_selector,
        count=count,
        pod_label_selector=pod_label_selector,
        pod_namespace=pod_namespace,
    )
    local = {"delete_pods_with_local_storage": delete_pods_with_local_storage}
    return {**whom, **local, **given(timeout=timeout)}


@alias(_NODES, f"{FAULTS}.nodes.delete_nodes")
def delete_nodes(
    label_selector: Any = None,
    all: Any = False,
    rand: Any = False,
    count: Any = None,
    grace_period_seconds: Any = None,
    pod_label_selector: Any = None,
    pod_namespace: Any = None,
) -> Arguments:
    whom = {
        "label_selector": label_selector,
        "pod_label_selector": pod_label_selector,
        "pod_namespace": pod_namespace,
    }
    how_many: dict[str, Any] = {"all": True} if all else {"rand": True} if rand else {}
    if isinstance(count, int) and count > 0 and not how_many:
        how_many = {"count": count}
    if not any(whom.values()) and not how_many:
        raise ValueError("say which nodes: label_selector, all, rand, count or pod_label_selector")
    return {**given(**whom, grace_period_seconds=grace_period_seconds), **how_many}


@alias(_NODES, f"{FAULTS}.kubernetes.apply", rollback=f"{RESTORING}.create")
def create_node(meta: Any = None, spec: Any = None) -> Arguments:
    body = {"apiVersion": "v1", "kind": "Node", "metadata": meta or {}}
    return {"manifest": {**body, **given(spec=spec)}}


# Network.

_NETWORK = "chaosk8s.networking.actions"


def _isolated(label_selectors: Any, ns: Any, **more: Any) -> Arguments:
    if not isinstance(label_selectors, Mapping) or not label_selectors:
        raise ValueError("label_selectors: say which pods to cut off, as {app: checkout}")
    selector = ",".join(f"{key}={value}" for key, value in label_selectors.items())
    return {"label_selector": selector, "ns": ns, **more}


@alias(_NETWORK, f"{FAULTS}.netpol.isolate_pods", rollback="")
def deny_all_ingress(label_selectors: Any = None, ns: Any = "default") -> Arguments:
    return _isolated(label_selectors, ns, direction="ingress")


@alias(_NETWORK, f"{FAULTS}.netpol.isolate_pods", rollback="")
def deny_all_egress(label_selectors: Any = None, ns: Any = "default") -> Arguments:
    return _isolated(label_selectors, ns, direction="egress", allow_dns=False)


@alias(_NETWORK, "", rollback=f"{RESTORING}.delete", hint=UNDONE)
def remove_deny_all_ingress(ns: Any = "default") -> Arguments:
    return {"kind": "networkpolicy", "name": "chaostoolkit-deny-all-ingress", "ns": ns}


@alias(_NETWORK, "", rollback=f"{RESTORING}.delete", hint=UNDONE)
def remove_deny_all_egress(ns: Any = "default") -> Arguments:
    return {"kind": "networkpolicy", "name": "chaostoolkit-deny-all-egress", "ns": ns}


@alias(_NETWORK, "", rollback=f"{RESTORING}.delete")
def remove_network_policy(name: Any, ns: Any = "default") -> Arguments:
    return {"kind": "networkpolicy", "name": name, "ns": ns}


# Istio.

_ISTIO = "chaosistio.fault.actions"
_VERSION = "networking.istio.io/v1alpha3"


def _destinations(routes: Any) -> list[dict[str, Any]]:
    """The driver looks at host and subset alone; a destination without a subset means just that."""
    found = []
    for route in routes if isinstance(routes, list | tuple) else ():
        destination = route.get("destination") if isinstance(route, Mapping) else None
        if isinstance(destination, Mapping) and destination.get("host"):
            both = {"host": destination["host"], "subset": destination.get("subset")}
            found.append({"destination": both})
    if not found:
        raise ValueError(
            f"routes: expected a list of {{destination: {{host: …, subset: …}}}}, found {routes!r}"
        )
    return found


def _mesh(name: Any, routes: Any, ns: Any, version: Any) -> dict[str, Any]:
    if not name:
        raise ValueError("virtual_service_name: expected the name of a VirtualService")
    where = {"virtual_service_name": name, "ns": ns, **given(version=version)}
    return {**where, "routes": _destinations(routes)}


@alias(_ISTIO, f"{FAULTS}.istio.add_abort_fault")
def add_abort_fault(
    virtual_service_name: Any,
    http_status: Any,
    routes: Any,
    percentage: Any = None,
    ns: Any = "default",
    version: Any = _VERSION,
) -> Arguments:
    where = _mesh(virtual_service_name, routes, ns, version)
    return {**where, "http_status": http_status, **given(percentage=percentage)}


@alias(_ISTIO, f"{FAULTS}.istio.add_delay_fault")
def add_delay_fault(
    virtual_service_name: Any,
    fixed_delay: Any,
    routes: Any,
    percentage: Any = None,
    ns: Any = "default",
    version: Any = _VERSION,
) -> Arguments:
    where = _mesh(virtual_service_name, routes, ns, version)
    return {**where, "fixed_delay": fixed_delay, **given(percentage=percentage)}


@alias(_ISTIO, f"{FAULTS}.istio.remove_abort_fault", in_rollbacks=own_only)
def remove_abort_fault(
    virtual_service_name: Any, routes: Any, ns: Any = "default", version: Any = _VERSION
) -> Arguments:
    return {**_mesh(virtual_service_name, routes, ns, version), "foreign": True}


@alias(_ISTIO, f"{FAULTS}.istio.remove_delay_fault", in_rollbacks=own_only)
def remove_delay_fault(
    virtual_service_name: Any, routes: Any, ns: Any = "default", version: Any = _VERSION
) -> Arguments:
    return {**_mesh(virtual_service_name, routes, ns, version), "foreign": True}


@alias(_ISTIO, f"{FAULTS}.istio.set_fault")
def set_fault(
    virtual_service_name: Any,
    routes: Any,
    fault: Any,
    ns: Any = "default",
    version: Any = _VERSION,
) -> Arguments:
    return {**_mesh(virtual_service_name, routes, ns, version), "fault": fault}


@alias(_ISTIO, f"{FAULTS}.istio.unset_fault", in_rollbacks=own_only)
def unset_fault(
    virtual_service_name: Any, routes: Any, ns: Any = "default", version: Any = _VERSION
) -> Arguments:
    return {**_mesh(virtual_service_name, routes, ns, version), "foreign": True}
