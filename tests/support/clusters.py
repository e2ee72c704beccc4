"""A cluster for a test to break: the double, or a real one that SLOGUARD_TEST_KUBECONFIG leads to.

On a real one nodes and pods may be simulated and no container may ever run, so that nothing here waits
for a pod to become Ready by itself: ``make_ready`` says so of it.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable
from typing import Any

from sloguard.adapters.kubernetes import KubernetesCluster
from sloguard.ports import ClusterError, ClusterNotFound, Object, Resource
from sloguard.ports.resources import (
    BUDGETS,
    DAEMON_SETS,
    DEPLOYMENTS,
    NAMESPACES,
    NODES,
    PODS,
    REPLICA_SETS,
    SERVICES,
    STATEFUL_SETS,
    virtual_services,
)
from tests.fakes.kubernetes.server import KubernetesDouble

LABEL = "sloguard-test"
#: What the taints that the control plane itself puts on nodes begin with.
CONDITIONS = "node.kubernetes.io/"
#: How long a controller may take, seconds.
PATIENCE = 20.0


class Ground:
    """A cluster, and what a test has made there. ``double``: None on a real cluster."""

    def __init__(self, cluster: KubernetesCluster, double: KubernetesDouble | None) -> None:
        self.cluster, self.double = cluster, double
        self._made: list[tuple[Resource, str]] = []

    def close(self) -> None:
        """Delete all that was made."""
        if self.double is not None:
            return
        for resource, name in reversed(self._made):
            with contextlib.suppress(ClusterError):
                self.cluster.delete(resource, name)

    def namespace(self, prefix: str = "shop", **labels: str) -> str:
        """A new namespace of a name of its own."""
        name = f"{prefix}-{uuid.uuid4().hex[:8]}"
        body = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {LABEL: "true", **labels}},
        }
        self.cluster.create(NAMESPACES, body)
        self._made.append((NAMESPACES, name))
        return name

    def node(self, zone: str = "zone-a", **labels: str) -> str:
        """A new node, which is ready, and which the scheduler may use."""
        name = f"node-{uuid.uuid4().hex[:8]}"
        about = {
            "name": name,
            "labels": {
                LABEL: "true",
                "topology.kubernetes.io/zone": zone,
                "kubernetes.io/hostname": name,
                **labels,
            },
            "annotations": {"kwok.x-k8s.io/node": "fake"},
        }
        capacity = {"cpu": "32", "memory": "256Gi", "pods": "110"}
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "posting"}
        self.cluster.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": about})
        self._made.append((NODES, name))
        self.cluster.merge_patch(
            NODES,
            name,
            None,
            {"status": {"capacity": capacity, "allocatable": capacity, "conditions": [ready]}},
            subresource="status",
        )
        return name

    def nodes(self, count: int) -> list[str]:
        """Some nodes, in zones a, b and c in turn."""
        return [self.node(f"zone-{'abc'[index % 3]}") for index in range(count)]

    def create(
        self, resource: Resource, namespace: str | None, name: str, spec: Any, **about: Any
    ) -> Object:
        """Any object."""
        metadata = {"name": name, **about}
        if namespace:
            metadata["namespace"] = namespace
        body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
        return self.cluster.create(resource, {**body, "spec": spec})

    def deployment(
        self,
        namespace: str,
        name: str = "checkout",
        replicas: int = 3,
        on: dict[str, str] | None = None,
        **about: Any,
    ) -> Object:
        """A Deployment and its pods, all of them ready; ``on``: only nodes with these labels."""
        spec = _workload(name, replicas)
        spec["template"]["spec"].update({"nodeSelector": on} if on else {})
        self.create(DEPLOYMENTS, namespace, name, spec, **about)
        self.ready_pods(namespace, f"app={name}", replicas)
        return self.cluster.get(DEPLOYMENTS, name, namespace)

    def stateful_set(self, namespace: str, name: str = "store", replicas: int = 2) -> Object:
        """A StatefulSet and its pods."""
        spec = {**_workload(name, replicas), "serviceName": name, "podManagementPolicy": "Parallel"}
        self.create(STATEFUL_SETS, namespace, name, spec)
        self.ready_pods(namespace, f"app={name}", replicas)
        return self.cluster.get(STATEFUL_SETS, name, namespace)

    def daemon_set(self, namespace: str, name: str = "agent") -> Object:
        """A DaemonSet."""
        spec = _workload(name, 0)
        del spec["replicas"]
        return self.create(DAEMON_SETS, namespace, name, spec)

    def service(self, namespace: str, name: str = "checkout") -> Object:
        """A Service of the pods labelled ``app=name``."""
        return self.create(
            SERVICES, namespace, name, {"selector": {"app": name}, "ports": [{"port": 80}]}
        )

    def budget(self, namespace: str, name: str = "checkout", **spec: Any) -> Object:
        """A PodDisruptionBudget for ``app=name``, once its status is there."""
        self.create(BUDGETS, namespace, name, {**spec, "selector": {"matchLabels": {"app": name}}})
        self.eventually(
            lambda: (self.cluster.get(BUDGETS, name, namespace).get("status") or {}).get(
                "observedGeneration"
            )
        )
        return self.cluster.get(BUDGETS, name, namespace)

    def virtual_service(
        self, namespace: str, name: str = "checkout", http: Any = None, **about: Any
    ) -> Object:
        """A VirtualService, with one route unless others are given."""
        route = [{"destination": {"host": name, "subset": "primary", "port": {"number": 80}}}]
        spec = {"hosts": [name], "http": http or [{"route": route, "retries": {"attempts": 3}}]}
        return self.create(self.virtual_services(), namespace, name, spec, **about)

    def virtual_services(self) -> Resource:
        """In the version that this cluster prefers."""
        return virtual_services(self.cluster.versions("networking.istio.io")[0])

    def pods(self, namespace: str, labels: str = "") -> list[Object]:
        """Those that are not being deleted."""
        found = self.cluster.list(PODS, namespace, labels=labels)
        return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]

    def ready_pods(self, namespace: str, labels: str, count: int) -> list[Object]:
        """Wait for so many pods, and make them ready."""
        self.eventually(lambda: len(self.pods(namespace, labels)) == count)
        for pod in self.pods(namespace, labels):
            self.make_ready(pod)
        return self.pods(namespace, labels)

    def make_ready(self, pod: Object) -> None:
        """Say of a pod that it runs and is ready; whether a container runs is another matter."""
        about = pod["metadata"]
        if is_ready(pod):
            return
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        kinds = ("Initialized", "Ready", "ContainersReady", "PodScheduled")
        conditions = [{"type": k, "status": "True", "lastTransitionTime": since} for k in kinds]
        status = {"phase": "Running", "conditions": conditions}
        with contextlib.suppress(ClusterNotFound):
            self.cluster.merge_patch(
                PODS, about["name"], about["namespace"], {"status": status}, subresource="status"
            )

    def eventually(self, holds: Callable[[], Any], what: str = "") -> Any:
        """Wait for what a controller does."""
        ends = time.monotonic() + PATIENCE
        while True:
            found = holds()
            if found:
                return found
            assert time.monotonic() < ends, what or "it did not come about"
            time.sleep(0.02)

    def replica_sets(self, namespace: str) -> list[Object]:
        """All of them."""
        return self.cluster.list(REPLICA_SETS, namespace)


def is_ready(pod: Object) -> bool:
    """By its condition."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def essence(obj: Object) -> Object:
    """What an undo has to bring back: labels, annotations and spec, without what controllers write."""
    about = obj["metadata"]
    annotations = {
        key: value
        for key, value in (about.get("annotations") or {}).items()
        if not key.startswith("deployment.kubernetes.io/")
    }
    spec = dict(obj.get("spec") or {})
    if obj["kind"] == "Node":
        # The taints of a cordon and of conditions come and go by themselves, some time after these.
        taints = [t for t in spec.pop("taints", []) if not t["key"].startswith(CONDITIONS)]
        spec.update({"taints": taints} if taints else {})
    labels = about.get("labels") or {}
    return {"labels": labels, "annotations": annotations, "spec": spec}


def _workload(name: str, replicas: int) -> Object:
    container = {"name": name, "image": f"example.invalid/{name}:1"}
    return {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
    }
