"""The state of a cluster as kube-state-metrics tells it."""

from __future__ import annotations

from collections.abc import Iterator

from sloguard.ports import Object
from tests.support.clusters import is_ready
from tests.support.mesh.looking import Snapshot

_PHASES = ("Pending", "Running", "Succeeded", "Failed", "Unknown")


def lines(seen: Snapshot, namespace: str) -> list[str]:
    """Of the pods and Deployments of a namespace, and of all nodes that are used by them or could be."""
    found = [
        *(line for pod in seen.of("Pod", namespace) for line in _pod(pod)),
        *(line for one in seen.of("Deployment", namespace) for line in _deployment(one)),
        *(line for node in seen.of("Node") for line in _node(node)),
    ]
    # Metrics of one name have to stand together.
    return sorted(found)


def _pod(pod: Object) -> Iterator[str]:
    about = pod["metadata"]
    whose = f'namespace="{about["namespace"]}",pod="{about["name"]}",uid="{about["uid"]}"'
    ready = is_ready(pod)
    yield f'kube_pod_status_ready{{{whose},condition="true"}} {int(ready)}'
    yield f'kube_pod_status_ready{{{whose},condition="false"}} {int(not ready)}'
    phase = (pod.get("status") or {}).get("phase", "Unknown")
    for one in _PHASES:
        yield f'kube_pod_status_phase{{{whose},phase="{one}"}} {int(one == phase)}'
    node = pod["spec"].get("nodeName", "")
    yield f'kube_pod_info{{{whose},node="{node}"}} 1'


def _deployment(deployment: Object) -> Iterator[str]:
    about, status = deployment["metadata"], deployment.get("status") or {}
    whose = f'namespace="{about["namespace"]}",deployment="{about["name"]}"'
    yield f"kube_deployment_spec_replicas{{{whose}}} {deployment['spec']['replicas']}"
    for name, key in (
        ("replicas", "replicas"),
        ("replicas_ready", "readyReplicas"),
        ("replicas_available", "availableReplicas"),
        ("replicas_unavailable", "unavailableReplicas"),
    ):
        yield f"kube_deployment_status_{name}{{{whose}}} {int(status.get(key) or 0)}"


def _node(node: Object) -> Iterator[str]:
    name = node["metadata"]["name"]
    conditions = (node.get("status") or {}).get("conditions") or []
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    for status, value in (("true", ready), ("false", not ready), ("unknown", False)):
        whose = f'node="{name}",condition="Ready",status="{status}"'
        yield f"kube_node_status_condition{{{whose}}} {int(value)}"
    cordoned = bool((node.get("spec") or {}).get("unschedulable"))
    yield f'kube_node_spec_unschedulable{{node="{name}"}} {int(cordoned)}'
