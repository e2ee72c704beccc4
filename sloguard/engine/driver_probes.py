"""The probes of chaosk8s and chaosistio by name and arguments; sloguard's own take the same ones.

What these drivers raise where a state is not as expected, unless told otherwise (``raise_on_…``), is a value
here, so that these arguments say nothing any more.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from sloguard.engine.driver_entries import alias

#: (module of the driver, module of sloguard.probes) -> probe -> its arguments; those with ? may be left out.
PROBES: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("chaosk8s.pod.probes", "pods"): {
        "read_pod_logs": "name? last? ns? from_previous? label_selector? container_name?",
        "pods_in_phase": "label_selector phase? ns? raise_on_invalid_phase?",
        "pods_not_in_phase": "label_selector phase? ns? raise_on_in_phase?",
        "pods_in_conditions": "label_selector conditions ns? raise_on_invalid_conditions?",
        "count_pods": "label_selector phase? ns?",
        "count_min_pods": "label_selector phase? min_count? ns?",
        "pod_is_not_available": "name ns? label_selector? raise_on_is_available?",
        "all_pods_healthy": "ns? raise_on_any_unhealthy?",
        "should_be_found_in_logs": "pattern all_containers? value?",
    },
    ("chaosk8s.probes", "microservices"): {
        "all_microservices_healthy": "ns?",
        "microservice_available_and_healthy": "name ns? label_selector?",
        "microservice_is_not_available": "name ns? label_selector?",
        "service_endpoint_is_initialized": "name ns? label_selector?",
        "deployment_is_not_fully_available": "name ns? label_selector? timeout?",
        "deployment_is_fully_available": "name ns? label_selector? timeout?",
        "read_microservices_logs": "name? last? ns? from_previous? label_selector? container_name?",
    },
    ("chaosk8s.probes", "objects"): {"secret_exists": "name? ns? label_selector?"},
    ("chaosk8s.node.probes", "nodes"): {
        "get_nodes": "label_selector?",
        "all_nodes_must_be_ready_to_schedule": "label_selector?",
        "get_all_node_status_conditions": "label_selector?",
        "verify_nodes_condition": "condition_type? condition_value? label_selector?",
        "nodes_must_be_healthy": "label_selector?",
    },
    ("chaosk8s.deployment.probes", "deployments"): {
        "deployment_available_and_healthy": "name ns? label_selector? raise_on_unavailable?",
        "deployment_partially_available": (
            "name ns? label_selector? raise_on_not_partially_available?"
        ),
        "deployment_fully_available": (
            "name ns? label_selector? timeout? raise_on_not_fully_available?"
        ),
        "deployment_not_fully_available": (
            "name ns? label_selector? timeout? raise_on_fully_available?"
        ),
    },
    ("chaosk8s.statefulset.probes", "statefulsets"): {
        "statefulset_fully_available": (
            "name ns? label_selector? timeout? raise_on_not_fully_available?"
        ),
        "statefulset_not_fully_available": (
            "name ns? label_selector? timeout? raise_on_fully_available?"
        ),
    },
    ("chaosk8s.daemonset.probes", "daemonsets"): {
        "daemon_set_available_and_healthy": "name ns? label_selector?",
        "daemon_set_partially_available": "name ns? label_selector?",
        "daemon_set_fully_available": "name ns? label_selector? timeout?",
        "daemon_set_not_fully_available": "name ns? label_selector? timeout?",
    },
    ("chaosk8s.service.probes", "services"): {
        "service_is_initialized": "name? ns? label_selector? raise_if_service_not_initialized?",
    },
    ("chaosk8s.namespace.probes", "objects"): {"namespace_exists": "name"},
    ("chaosk8s.networking.probes", "objects"): {"ingress_exists": "name ns?"},
    ("chaosk8s.secret.probes", "objects"): {"secret_exists": "name? ns? label_selector?"},
    ("chaosistio.fault.probes", "istio"): {
        "get_virtual_service": "virtual_service_name ns? version?",
    },
}


def _mapping_of(name: str, arguments: str) -> Any:
    """A function of these arguments, which gives them to sloguard's own probe."""
    words = arguments.split()
    parameters = [
        inspect.Parameter(
            word.removesuffix("?"),
            inspect.Parameter.KEYWORD_ONLY,
            default=None if word.endswith("?") else inspect.Parameter.empty,
        )
        for word in words
    ]

    def mapping(**given: Any) -> dict[str, Any]:
        return {k: v for k, v in given.items() if v is not None and not k.startswith("raise_")}

    attributes: Any = mapping
    attributes.__name__ = name
    attributes.__signature__ = inspect.Signature(parameters)
    return mapping


for (_module, _family), _functions in PROBES.items():
    for _name, _arguments in _functions.items():
        alias(_module, f"sloguard.probes.{_family}.{_name}")(_mapping_of(_name, _arguments))
