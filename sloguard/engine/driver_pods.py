"""The actions of chaosk8s on pods and workloads.

Every function here has the driver's name, arguments and defaults, and returns the arguments of sloguard's
own; it raises ValueError for values that cannot be meant. ``None`` is how these drivers say "not given".
"""

from __future__ import annotations

import os
from typing import Any

from sloguard.engine.driver_entries import (
    FAULTS,
    RESTORING,
    Arguments,
    Mapped,
    alias,
    given,
)

# Pods.

_PODS = "chaosk8s.pod.actions"


@alias(_PODS, f"{FAULTS}.pods.terminate_pods")
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


@alias(_PODS, f"{FAULTS}.pods.terminate_pods")
def delete_pods(name: Any = None, ns: Any = "default", label_selector: Any = None) -> Arguments:
    return given(name_pattern=name, ns=ns, label_selector=label_selector)


@alias(_PODS, f"{FAULTS}.pods.exec_in_pods")
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
        **given(cmd=cmd, container_name=container_name, request_timeout=request_timeout),
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
    return given(
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
    return {"kind": kind, "ns": ns, "all": True, **given(label_selector=label_selector)}


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
        f"{FAULTS}.deployments.scale_deployment",
        f"{FAULTS}.deployments.delete_deployment",
    )
    for module, name, kind in (
        ("chaosk8s.deployment.actions", "scale_deployment", "deployment"),
        ("chaosk8s.statefulset.actions", "scale_statefulset", "statefulset"),
        ("chaosk8s.actions", "scale_microservice", "deployment"),
    ):
        alias(module, scale, rollback=f"{RESTORING}.scale")(_named(_scaling(kind), name))
    for module, name, kind in (
        ("chaosk8s.deployment.actions", "delete_deployment", "deployment"),
        ("chaosk8s.statefulset.actions", "remove_statefulset", "statefulset"),
        ("chaosk8s.daemonset.actions", "delete_daemon_set", "daemonset"),
        ("chaosk8s.actions", "kill_microservice", "deployment"),
    ):
        alias(module, delete, rollback=f"{RESTORING}.delete", in_rollbacks=_gone)(
            _named(_deleting(kind), name)
        )
    for module, name, kind in (
        ("chaosk8s.service.actions", "delete_service", "service"),
        ("chaosk8s.actions", "remove_service_endpoint", "service"),
        ("chaosk8s.replicaset.actions", "delete_replica_set", "replicaset"),
    ):
        alias(module, "", rollback=f"{RESTORING}.delete", in_rollbacks=_gone)(
            _named(_deleting(kind), name)
        )
    for module, name in (
        ("chaosk8s.deployment.actions", "create_deployment"),
        ("chaosk8s.statefulset.actions", "create_statefulset"),
        ("chaosk8s.daemonset.actions", "create_daemon_set"),
        ("chaosk8s.service.actions", "create_service_endpoint"),
        ("chaosk8s.actions", "start_microservice"),
    ):
        alias(module, f"{FAULTS}.kubernetes.apply", rollback=f"{RESTORING}.create")(
            _named(_creating(), name)
        )


_workloads()


@alias("chaosk8s.deployment.actions", f"{FAULTS}.deployments.rollout_restart")
def rollout_deployment(name: Any = None, ns: Any = "default") -> Arguments:
    if not name:
        raise ValueError("name: expected the name of a Deployment")
    return {"name": name, "ns": ns}
