"""The actions of chaosk8s and chaosistio, each with what stands in for it; the probes are ``driver_probes``'.

Every function here has the driver's name, arguments and defaults, and returns the arguments of sloguard's
own; it raises ValueError for values that cannot be meant. ``None`` is how these drivers say "not given".
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sloguard.engine.driver_probes import PROBES, mapping_of

#: Packages, and how they are installed.
DRIVERS = {"chaosk8s": "chaostoolkit-kubernetes", "chaosistio": "chaostoolkit-istio"}

Arguments = Mapping[str, Any]
Mapped = Callable[..., Arguments]
_FAULTS, _RESTORING = "sloguard.faults", "sloguard.faults.restoring"
_UNDONE = ": leave it out, as a run undoes its own faults by itself"


@dataclass(frozen=True, slots=True)
class Alias:
    """``target``: dotted name of the function in sloguard, for the method and the hypothesis; empty where there
    is none there. ``rollback_target``: the one for rollbacks; empty where there is none there.

    ``mapping``: from the driver's arguments to the target's; ``in_rollbacks`` adapts these where it is
    called as a rollback. ``hint``: what to do where there is none.
    """

    module: str
    func: str
    target: str
    rollback_target: str
    mapping: Mapped
    in_rollbacks: Callable[[Arguments], Arguments] | None = None
    hint: str = ""

    @property
    def name(self) -> str:
        """As the experiment names it."""
        return f"{self.module}.{self.func}"

    def target_in(self, rollback: bool) -> str:
        """What is called; empty where nothing of sloguard's can be."""
        return self.rollback_target if rollback else self.target


TABLE: dict[tuple[str, str], Alias] = {}


def _alias(
    module: str,
    target: str,
    *,
    rollback: str | None = None,
    in_rollbacks: Callable[[Arguments], Arguments] | None = None,
    hint: str = "",
) -> Callable[[Mapped], Mapped]:
    """Enter a function of a driver. ``rollback``: what is called in rollbacks, if it is another one."""

    def enter(mapping: Mapped) -> Mapped:
        TABLE[module, mapping.__name__] = Alias(
            module,
            mapping.__name__,
            target,
            target if rollback is None else rollback,
            mapping,
            in_rollbacks,
            hint,
        )
        return mapping

    return enter


def _given(**arguments: Any) -> dict[str, Any]:
    """Without what was not given."""
    return {name: value for name, value in arguments.items() if value is not None}


def _own_only(arguments: Arguments) -> Arguments:
    """What others have put there stays: a rollback is not undone."""
    return {**arguments, "foreign": False}


# Pods.

_PODS = "chaosk8s.pod.actions"


@_alias(_PODS, f"{_FAULTS}.pods.terminate_pods")
def terminate_pods(
    label_selector: Any = None,
    name_pattern: Any = None,
    all: Any = False,
    rand: Any = False,
    mode: Any = "fixed",
    qty: Any = 1,
    grace_period: Any = -1,
    ns: Any = "default",
    order: Any = "alphabetic",
) -> Arguments:
    whom = _pods(label_selector, name_pattern, all, rand, mode, qty, ns, order)
    below = isinstance(grace_period, int) and grace_period < 0
    return {**whom, "grace_period": -1 if below else grace_period}


@_alias(_PODS, f"{_FAULTS}.pods.terminate_pods")
def delete_pods(name: Any = None, ns: Any = "default", label_selector: Any = None) -> Arguments:
    return _given(name_pattern=name, ns=ns, label_selector=label_selector)


@_alias(_PODS, f"{_FAULTS}.pods.exec_in_pods")
def exec_in_pods(
    cmd: Any,
    label_selector: Any = None,
    name_pattern: Any = None,
    all: Any = False,
    rand: Any = False,
    mode: Any = "fixed",
    qty: Any = 1,
    ns: Any = "default",
    order: Any = "alphabetic",
    container_name: Any = None,
    request_timeout: Any = 60,
) -> Arguments:
    whom = _pods(label_selector, name_pattern, all, rand, mode, qty, ns, order)
    return {
        **whom,
        **_given(cmd=cmd, container_name=container_name, request_timeout=request_timeout),
    }


def _pods(
    label_selector: Any,
    name_pattern: Any,
    all: Any,
    rand: Any,
    mode: Any,
    qty: Any,
    ns: Any,
    order: Any,
) -> dict[str, Any]:
    # The driver rounds a share of the pods up.
    mode = "percentage-rounded-up" if mode == "percentage" else mode
    return _given(
        label_selector=label_selector,
        name_pattern=name_pattern,
        all=all,
        rand=rand,
        mode=mode,
        qty=qty,
        ns=ns,
        order=order,
    )


# Workloads.


def _workload(kind: str, name: Any, ns: Any, label_selector: Any) -> dict[str, Any]:
    """By name, else by labels, else all of the namespace."""
    if name:
        return {"kind": kind, "name": name, "ns": ns}
    return {"kind": kind, "ns": ns, "all": True, **_given(label_selector=label_selector)}


def _scaling(kind: str) -> Mapped:
    def scale(name: Any, replicas: Any, ns: Any = "default") -> Arguments:
        return {"kind": kind, "name": name, "replicas": replicas, "ns": ns}

    return scale


def _deleting(kind: str) -> Mapped:
    def delete(name: Any = None, ns: Any = "default", label_selector: Any = None) -> Arguments:
        return _workload(kind, name, ns, label_selector)

    return delete


def _creating() -> Mapped:
    def create(spec_path: Any, ns: Any = "default") -> Arguments:
        # The driver's files are beside whoever runs it, not beside the experiment.
        return {"manifest": os.path.abspath(spec_path), "ns": ns}

    return create


def _named(function: Mapped, name: str) -> Mapped:
    function.__name__ = name
    return function


def _gone(arguments: Arguments) -> Arguments:
    """Of a deletion: what shall not be there any more when all is over."""
    return {name: value for name, value in arguments.items() if name != "all"}


def _workloads() -> None:
    scale, delete = (
        f"{_FAULTS}.deployments.scale_deployment",
        f"{_FAULTS}.deployments.delete_deployment",
    )
    for module, name, kind in (
        ("chaosk8s.deployment.actions", "scale_deployment", "deployment"),
        ("chaosk8s.statefulset.actions", "scale_statefulset", "statefulset"),
        ("chaosk8s.actions", "scale_microservice", "deployment"),
    ):
        _alias(module, scale, rollback=f"{_RESTORING}.scale")(_named(_scaling(kind), name))
    for module, name, kind in (
        ("chaosk8s.deployment.actions", "delete_deployment", "deployment"),
        ("chaosk8s.statefulset.actions", "remove_statefulset", "statefulset"),
        ("chaosk8s.daemonset.actions", "delete_daemon_set", "daemonset"),
        ("chaosk8s.actions", "kill_microservice", "deployment"),
    ):
        _alias(module, delete, rollback=f"{_RESTORING}.delete", in_rollbacks=_gone)(
            _named(_deleting(kind), name)
        )
    for module, name, kind in (
        ("chaosk8s.service.actions", "delete_service", "service"),
        ("chaosk8s.actions", "remove_service_endpoint", "service"),
        ("chaosk8s.replicaset.actions", "delete_replica_set", "replicaset"),
    ):
        _alias(module, "", rollback=f"{_RESTORING}.delete", in_rollbacks=_gone)(
            _named(_deleting(kind), name)
        )
    for module, name in (
        ("chaosk8s.deployment.actions", "create_deployment"),
        ("chaosk8s.statefulset.actions", "create_statefulset"),
        ("chaosk8s.daemonset.actions", "create_daemon_set"),
        ("chaosk8s.service.actions", "create_service_endpoint"),
        ("chaosk8s.actions", "start_microservice"),
    ):
        _alias(module, f"{_FAULTS}.kubernetes.apply", rollback=f"{_RESTORING}.create")(
            _named(_creating(), name)
        )


_workloads()


@_alias("chaosk8s.deployment.actions", f"{_FAULTS}.deployments.rollout_restart")
def rollout_deployment(name: Any = None, ns: Any = "default") -> Arguments:
    if not name:
        raise ValueError("name: expected the name of a Deployment")
    return {"name": name, "ns": ns}


# Nodes.

_NODES = "chaosk8s.node.actions"


def _nodes(**arguments: Any) -> dict[str, Any]:
    """All nodes, where nothing says which."""
    given = {name: value for name, value in arguments.items() if value not in (None, "")}
    return given or {"all": True}


@_alias(_NODES, f"{_FAULTS}.nodes.cordon_node")
def cordon_node(name: Any = None, label_selector: Any = None) -> Arguments:
    return _nodes(name=name, label_selector=label_selector)


@_alias(_NODES, f"{_FAULTS}.nodes.uncordon_node", in_rollbacks=_own_only)
def uncordon_node(name: Any = None, label_selector: Any = None) -> Arguments:
    return {**_nodes(name=name, label_selector=label_selector), "foreign": True}


@_alias(_NODES, f"{_FAULTS}.nodes.drain_nodes")
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
    return {**whom, **local, **_given(timeout=timeout)}


@_alias(_NODES, f"{_FAULTS}.nodes.delete_nodes")
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
    return {**_given(**whom, grace_period_seconds=grace_period_seconds), **how_many}


@_alias(_NODES, f"{_FAULTS}.kubernetes.apply", rollback=f"{_RESTORING}.create")
def create_node(meta: Any = None, spec: Any = None) -> Arguments:
    body = {"apiVersion": "v1", "kind": "Node", "metadata": meta or {}}
    return {"manifest": {**body, **_given(spec=spec)}}


# Network.

_NETWORK = "chaosk8s.networking.actions"


def _isolated(label_selectors: Any, ns: Any, **more: Any) -> Arguments:
    if not isinstance(label_selectors, Mapping) or not label_selectors:
        raise ValueError("label_selectors: say which pods to cut off, as {app: checkout}")
    selector = ",".join(f"{key}={value}" for key, value in label_selectors.items())
    return {"label_selector": selector, "ns": ns, **more}


@_alias(_NETWORK, f"{_FAULTS}.netpol.isolate_pods", rollback="")
def deny_all_ingress(label_selectors: Any = None, ns: Any = "default") -> Arguments:
    return _isolated(label_selectors, ns, direction="ingress")


@_alias(_NETWORK, f"{_FAULTS}.netpol.isolate_pods", rollback="")
def deny_all_egress(label_selectors: Any = None, ns: Any = "default") -> Arguments:
    return _isolated(label_selectors, ns, direction="egress", allow_dns=False)


@_alias(_NETWORK, "", rollback=f"{_RESTORING}.delete", hint=_UNDONE)
def remove_deny_all_ingress(ns: Any = "default") -> Arguments:
    return {"kind": "networkpolicy", "name": "chaostoolkit-deny-all-ingress", "ns": ns}


@_alias(_NETWORK, "", rollback=f"{_RESTORING}.delete", hint=_UNDONE)
def remove_deny_all_egress(ns: Any = "default") -> Arguments:
    return {"kind": "networkpolicy", "name": "chaostoolkit-deny-all-egress", "ns": ns}


@_alias(_NETWORK, "", rollback=f"{_RESTORING}.delete")
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
    where = {"virtual_service_name": name, "ns": ns, **_given(version=version)}
    return {**where, "routes": _destinations(routes)}


@_alias(_ISTIO, f"{_FAULTS}.istio.add_abort_fault")
def add_abort_fault(
    virtual_service_name: Any,
    http_status: Any,
    routes: Any,
    percentage: Any = None,
    ns: Any = "default",
    version: Any = _VERSION,
) -> Arguments:
    where = _mesh(virtual_service_name, routes, ns, version)
    return {**where, "http_status": http_status, **_given(percentage=percentage)}


@_alias(_ISTIO, f"{_FAULTS}.istio.add_delay_fault")
def add_delay_fault(
    virtual_service_name: Any,
    fixed_delay: Any,
    routes: Any,
    percentage: Any = None,
    ns: Any = "default",
    version: Any = _VERSION,
) -> Arguments:
    where = _mesh(virtual_service_name, routes, ns, version)
    return {**where, "fixed_delay": fixed_delay, **_given(percentage=percentage)}


@_alias(_ISTIO, f"{_FAULTS}.istio.remove_abort_fault", in_rollbacks=_own_only)
def remove_abort_fault(
    virtual_service_name: Any, routes: Any, ns: Any = "default", version: Any = _VERSION
) -> Arguments:
    return {**_mesh(virtual_service_name, routes, ns, version), "foreign": True}


@_alias(_ISTIO, f"{_FAULTS}.istio.remove_delay_fault", in_rollbacks=_own_only)
def remove_delay_fault(
    virtual_service_name: Any, routes: Any, ns: Any = "default", version: Any = _VERSION
) -> Arguments:
    return {**_mesh(virtual_service_name, routes, ns, version), "foreign": True}


# Probes.

for (_module, _family), _functions in PROBES.items():
    for _name, _arguments in _functions.items():
        _alias(_module, f"sloguard.probes.{_family}.{_name}")(mapping_of(_name, _arguments))
