"""Which kinds the double serves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Kind:
    """``versions``: all served ones, the preferred first, with one storage. ``custom``: by a definition."""

    group: str
    versions: tuple[str, ...]
    plural: str
    kind: str
    namespaced: bool = True
    generation: bool = False
    status: bool = False
    scale: bool = False
    custom: bool = False
    #: What a DELETE answers with: the object, or a Status.
    gives_object: bool = False
    fields: tuple[str, ...] = ()
    #: Of custom kinds that were defined by an object.
    schema: Any = field(default=None, compare=False, repr=False)

    def api_version(self, version: str = "") -> str:
        version = version or self.versions[0]
        return f"{self.group}/{version}" if self.group else version

    @property
    def full_name(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


_POD_FIELDS = (
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
)

BUILT_IN = (
    Kind("", ("v1",), "pods", "Pod", generation=True, status=True, gives_object=True, fields=_POD_FIELDS),
    Kind("", ("v1",), "nodes", "Node", namespaced=False, status=True, fields=("spec.unschedulable",)),
    Kind("", ("v1",), "namespaces", "Namespace", namespaced=False, status=True, gives_object=True, fields=("status.phase",)),
    Kind("", ("v1",), "services", "Service", status=True, gives_object=True),
    Kind("", ("v1",), "endpoints", "Endpoints"),
    Kind("", ("v1",), "configmaps", "ConfigMap"),
    Kind("", ("v1",), "secrets", "Secret"),
    Kind("", ("v1",), "serviceaccounts", "ServiceAccount", gives_object=True),
    Kind("", ("v1",), "persistentvolumeclaims", "PersistentVolumeClaim", status=True, gives_object=True),
    Kind("discovery.k8s.io", ("v1",), "endpointslices", "EndpointSlice", generation=True),
    Kind("apps", ("v1",), "deployments", "Deployment", generation=True, status=True, scale=True),
    Kind("apps", ("v1",), "replicasets", "ReplicaSet", generation=True, status=True, scale=True),
    Kind("apps", ("v1",), "statefulsets", "StatefulSet", generation=True, status=True, scale=True),
    Kind("apps", ("v1",), "daemonsets", "DaemonSet", generation=True, status=True),
    Kind("batch", ("v1",), "jobs", "Job", generation=True, status=True),
    Kind("batch", ("v1",), "cronjobs", "CronJob", generation=True, status=True),
    Kind("policy", ("v1",), "poddisruptionbudgets", "PodDisruptionBudget", generation=True, status=True),
    Kind("networking.k8s.io", ("v1",), "networkpolicies", "NetworkPolicy", generation=True),
    Kind("networking.k8s.io", ("v1",), "ingresses", "Ingress", generation=True, status=True),
    Kind("apiextensions.k8s.io", ("v1",), "customresourcedefinitions", "CustomResourceDefinition", namespaced=False, generation=True, status=True, gives_object=True),
    Kind("coordination.k8s.io", ("v1",), "leases", "Lease"),
    Kind("rbac.authorization.k8s.io", ("v1",), "roles", "Role"),
    Kind("rbac.authorization.k8s.io", ("v1",), "rolebindings", "RoleBinding"),
    Kind("rbac.authorization.k8s.io", ("v1",), "clusterroles", "ClusterRole", namespaced=False),
    Kind("rbac.authorization.k8s.io", ("v1",), "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
)  # fmt: skip

ISTIO = Kind(
    "networking.istio.io",
    ("v1", "v1beta1", "v1alpha3"),
    "virtualservices",
    "VirtualService",
    generation=True,
    status=True,
    custom=True,
)
