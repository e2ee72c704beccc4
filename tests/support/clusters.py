"""A cluster for a test to break: the double, or a real one that SLOGUARD_TEST_KUBECONFIG leads to.

On a real one nodes and pods may be simulated and no container may ever run. Other tests may be there at the
same time, and what came with it: a test's workloads run on nodes of its own, and it sees only what is its own
where it looks at all namespaces. Controllers take their time there, so that what they do is waited for. Where
nobody simulates nodes and pods, or is late, a test does it itself (``Attendant``).
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sloguard.adapters.kubernetes import KubernetesCluster
from sloguard.adapters.kubernetes_config import KubernetesSettings
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
from tests.support.attendant import Attendant, is_ready
from tests.support.own_view import OwnView
from tests.support.passage import Passage

LABEL = "sloguard-test"
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
NOT_READY = "node.kubernetes.io/not-ready"
DEFINITIONS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False
)
#: What the control plane itself writes to nodes, whenever it likes: taints, labels, annotations; fields.
OF_NODES = (
    "node.kubernetes.io/",
    "node.alpha.kubernetes.io/",
    "beta.kubernetes.io/",
    "kubernetes.io/",
    "kwok.x-k8s.io/",
    "volumes.kubernetes.io/",
)
IN_NODES = ("podCIDR", "podCIDRs", "providerID")
#: How long controllers may take, seconds; real ones on a busy machine need more.
PATIENCE, REAL_PATIENCE = 20.0, 60.0


class Ground:
    """A cluster, and what a test has made there. ``double``: None on a real cluster.

    ``cluster`` is how a test reaches it, ``view`` what faults are given, ``run`` under which name.
    """

    def __init__(
        self,
        cluster: KubernetesCluster,
        double: KubernetesDouble | None,
        shared: dict[str, Resource] | None = None,
    ) -> None:
        self.cluster, self.double = cluster, double
        self.shared = {} if shared is None else shared
        self.mark = uuid.uuid4().hex[:10]
        self.run = f"run-{self.mark}"
        self._direct = cluster
        self._made: list[tuple[Resource, str]] = []
        self._passage: Passage | None = None
        self._folder: Path | None = None
        self.attendant = Attendant(self) if double is None else None

    def close(self) -> None:
        """Delete all that was made. Nobody waits for the end of a namespace: that takes its time."""
        if self.attendant is not None:
            self.attendant.stop()
        if self._passage is not None:
            self._passage.__exit__()
        if self._folder is not None:
            shutil.rmtree(self._folder)
        if self.double is not None:
            return
        made = sorted(self._made, key=lambda m: m[0] != NAMESPACES)
        for resource, name in made:
            with contextlib.suppress(ClusterError):
                self._direct.delete(resource, name)
        for _, name in (m for m in made if m[0] == NAMESPACES):
            self._end_pods(name)

    def _end_pods(self, namespace: str) -> None:
        """Their nodes are gone, and with them whoever would say that they have ended."""
        with contextlib.suppress(ClusterError):
            for pod in self._direct.list(PODS, namespace):
                with contextlib.suppress(ClusterError):
                    self._direct.delete(PODS, pod["metadata"]["name"], namespace, grace=0)

    @property
    def view(self) -> Any:
        """``cluster``, as if the test were alone on it."""
        if self.double is not None:
            return self.cluster
        return OwnView(self.cluster, self.mine, self.run)

    def mine(self) -> set[str]:
        """The names of what this test has made: nodes and namespaces."""
        return {name for _, name in self._made}

    @property
    def passage(self) -> Passage:
        """What stands in front of the cluster from now on, so that there may be trouble on the way."""
        if self._passage is None:
            self._passage = Passage(self._direct).__enter__()
            self._folder = Path(tempfile.mkdtemp(prefix="passage-"))
            config = self._passage.kubeconfig(self._folder / "kubeconfig")
            self.cluster = KubernetesCluster(KubernetesSettings(kubeconfig=config, timeout=10.0))
        return self._passage

    def as_somebody(self, name: str) -> KubernetesCluster:
        """The cluster as it shows itself to a user of this name, who has no rights by himself."""
        settings = self._direct._http._settings
        return KubernetesCluster(replace(settings, impersonate=f"{name}-{self.mark}"))

    @property
    def direct(self) -> KubernetesCluster:
        """The cluster without what stands in front of it."""
        return self._direct

    def namespace(self, prefix: str = "shop", **labels: str) -> str:
        """A new namespace of a name of its own."""
        name = f"{prefix}-{uuid.uuid4().hex[:8]}"
        body = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {LABEL: self.mark, **labels}},
        }
        self._direct.create(NAMESPACES, body)
        self._made.append((NAMESPACES, name))
        # Before its service account is there, pods are refused.
        self.eventually(
            lambda: self._direct.list(SERVICE_ACCOUNTS, name, fields="metadata.name=default"),
            f"no service account in {name}",
        )
        return name

    def node(self, zone: str = "zone-a", **labels: str) -> str:
        """A new node, which is ready, and which the scheduler may use.

        It bears the annotation by which kwok knows that it is to simulate it; if nobody does, the test does.
        """
        name = self._new_node(zone, **labels)
        self._until_usable(name)
        return name

    def _new_node(self, zone: str, **labels: str) -> str:
        name = f"node-{uuid.uuid4().hex[:8]}"
        about = {
            "name": name,
            "labels": {
                LABEL: self.mark,
                "topology.kubernetes.io/zone": zone,
                "kubernetes.io/hostname": name,
                **labels,
            },
            "annotations": {"kwok.x-k8s.io/node": "fake"},
        }
        self._direct.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": about})
        self._made.append((NODES, name))
        return name

    def _until_usable(self, name: str) -> None:
        self.eventually(lambda: self._is_usable(name), f"{name} does not become ready")

    def _is_usable(self, name: str) -> bool:
        node = self._direct.get(NODES, name)
        taints = node["spec"].get("taints") or []
        # A controller takes the taint away once the node is ready.
        return is_ready(node) and not any(t["key"] == NOT_READY for t in taints)

    def nodes(self, count: int) -> list[str]:
        """Some nodes, in zones a, b and c in turn."""
        names = [self._new_node(f"zone-{'abc'[index % 3]}") for index in range(count)]
        for name in names:
            self._until_usable(name)
        return names

    def definition(self, kind: str, schema: Object, *, namespaced: bool = True) -> Resource:
        """A new kind of objects with this schema of its ``spec``, once it is served.

        On a real cluster one for all tests of this process: each one makes many controllers look anew.
        """
        key = json.dumps([kind, schema, namespaced], sort_keys=True)
        if self.double is None and key in self.shared:
            return self.shared[key]
        group = f"t{uuid.uuid4().hex[:8]}.example.com"
        names = {"plural": f"{kind.lower()}s", "singular": kind.lower(), "kind": kind}
        whole = {
            "type": "object",
            "properties": {
                "spec": schema,
                "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            },
        }
        version = {
            "name": "v1",
            "served": True,
            "storage": True,
            "schema": {"openAPIV3Schema": whole},
            "subresources": {"status": {}},
        }
        name = f"{names['plural']}.{group}"
        spec = {
            "group": group,
            "names": names,
            "scope": "Namespaced" if namespaced else "Cluster",
            "versions": [version],
        }
        self.create(DEFINITIONS, None, name, spec)
        resource = Resource(group, "v1", names["plural"], kind, namespaced)
        self.shared[key] = resource
        self.eventually(lambda: self._serves(resource))
        return resource

    def forget_definitions(self) -> None:
        """Delete those that are shared, after the last test."""
        for resource in self.shared.values():
            with contextlib.suppress(ClusterError):
                self._direct.delete(DEFINITIONS, f"{resource.plural}.{resource.group}")
        self.shared.clear()

    def _serves(self, resource: Resource) -> bool:
        try:
            found = self.cluster.resource(resource.api_version, resource.kind)
            self.cluster.list(found)
        except ClusterNotFound:
            return False
        return True

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
        spec = self._workload(name, replicas, on)
        self.create(DEPLOYMENTS, namespace, name, spec, **about)
        return self._settled(DEPLOYMENTS, namespace, name, replicas)

    def stateful_set(self, namespace: str, name: str = "store", replicas: int = 2) -> Object:
        """A StatefulSet and its pods."""
        spec = self._workload(name, replicas)
        more = {"serviceName": name, "podManagementPolicy": "Parallel"}
        self.create(STATEFUL_SETS, namespace, name, {**spec, **more})
        return self._settled(STATEFUL_SETS, namespace, name, replicas)

    def _settled(self, resource: Resource, namespace: str, name: str, replicas: int) -> Object:
        """Once all of its pods are ready and its controller has seen it."""
        self.ready_pods(namespace, f"app={name}", replicas)

        def settled() -> Object | None:
            found = self.cluster.get(resource, name, namespace)
            status = found.get("status") or {}
            fresh = status.get("observedGeneration", 0) >= found["metadata"].get("generation", 0)
            return found if fresh and status.get("readyReplicas", 0) == replicas else None

        return self.eventually(settled, f"the status of {name} does not come")

    def daemon_set(self, namespace: str, name: str = "agent") -> Object:
        """A DaemonSet, for the nodes of this test."""
        spec = self._workload(name, 0)
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
        """Wait until there are so many pods, and they are ready."""

        def ready() -> bool:
            found = self.pods(namespace, labels)
            for pod in found:
                self.make_ready(pod)
            return len(found) == count and all(map(is_ready, found))

        self.eventually(ready, f"not {count} pods with {labels} are ready in {namespace}")
        return self.pods(namespace, labels)

    def make_ready(self, pod: Object) -> None:
        """Say of a pod that it runs and is ready; whether a container runs is another matter.

        On a real cluster this is somebody else's to say; if nobody does, the attendant will.
        """
        about = pod["metadata"]
        if is_ready(pod) or self.attendant is not None:
            return
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        kinds = ("Initialized", "Ready", "ContainersReady", "PodScheduled")
        conditions = [{"type": k, "status": "True", "lastTransitionTime": since} for k in kinds]
        status = {"phase": "Running", "conditions": conditions}
        with contextlib.suppress(ClusterNotFound):
            self.cluster.merge_patch(
                PODS, about["name"], about["namespace"], {"status": status}, subresource="status"
            )

    def finish(self, pod: Object, code: int = 0, message: str = "", **state: Any) -> None:
        """Say of a pod that its container has ended so; on the double its kubelet has no say then."""
        about, name = pod["metadata"], pod["spec"]["containers"][0]["name"]
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        ended = {"exitCode": code, "reason": "Error" if code else "Completed", "finishedAt": since}
        one = {
            "name": name,
            "state": state
            or {"terminated": {**ended, **({"message": message} if message else {})}},
            "ready": False,
            "restartCount": 0,
            "image": pod["spec"]["containers"][0]["image"],
            "imageID": "",
        }
        phase = "Pending" if state else "Failed" if code else "Succeeded"
        status = {"phase": phase, "containerStatuses": [one]}
        self.cluster.merge_patch(
            PODS, about["name"], about["namespace"], {"status": status}, subresource="status"
        )

    def eventually(self, holds: Callable[[], Any], what: str = "", patience: float = 0.0) -> Any:
        """Wait for what a controller does; ``patience``: seconds, where it may take longer than others."""
        real = self.double is None
        ends = time.monotonic() + max(patience, REAL_PATIENCE if real else PATIENCE)
        while True:
            found = holds()
            if found:
                return found
            assert time.monotonic() < ends, what or "it did not come about"
            time.sleep(0.1 if real else 0.02)

    def nothing_starts(self) -> None:
        """From now on no new pod of this test gets ready: its nodes take none any more."""
        if self.attendant is not None:
            self.attendant.stop()
        for name in (n for kind, n in self._made if kind == NODES):
            self._direct.merge_patch(NODES, name, None, {"spec": {"unschedulable": True}})

    def _workload(self, name: str, replicas: int, on: dict[str, str] | None = None) -> Object:
        """``on``: labels of the nodes where its pods may be; those of this test's nodes if not given."""
        has_nodes = any(kind == NODES for kind, _ in self._made)
        where = on or ({LABEL: self.mark} if has_nodes else None)
        container = {"name": name, "image": f"example.invalid/{name}:1"}
        pod: Object = {"containers": [container], **({"nodeSelector": where} if where else {})}
        return {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
        }

    def replica_sets(self, namespace: str) -> list[Object]:
        """All of them."""
        return self.cluster.list(REPLICA_SETS, namespace)


def essence(obj: Object) -> Object:
    """What an undo has to bring back: labels, annotations and spec, without what controllers write."""
    about = obj["metadata"]
    annotations = {
        key: value
        for key, value in (about.get("annotations") or {}).items()
        if not key.startswith("deployment.kubernetes.io/")
    }
    spec = dict(obj.get("spec") or {})
    labels = about.get("labels") or {}
    if obj["kind"] == "Node":
        # The taints of a cordon and of conditions come and go by themselves, some time after these.
        taints = [t for t in spec.pop("taints", []) if not t["key"].startswith(OF_NODES)]
        spec = {k: v for k, v in spec.items() if k not in IN_NODES}
        spec.update({"taints": taints} if taints else {})
        labels = {k: v for k, v in labels.items() if not k.startswith(OF_NODES)}
        annotations = {k: v for k, v in annotations.items() if not k.startswith(OF_NODES)}
    return {"labels": labels, "annotations": annotations, "spec": spec}
