"""Reading a cluster with no more rights than needed: only the namespaces, and the object, that are named."""

from __future__ import annotations

from typing import Any

from sloguard.faults.targets import Namespaces
from sloguard.ports import Cluster, ClusterNotFound, Object, Resource
from sloguard.ports.resources import PODS


class Remembering:
    """ports.Cluster for a plan that looks at the same things many times: each is read once."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._known: dict[Any, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    def list(self, resource: Resource, namespace: str | None = None, **more: Any) -> Any:
        """As it was the first time."""
        key = ("list", resource, namespace, *sorted(more.items()))
        if key not in self._known:
            self._known[key] = self._cluster.list(resource, namespace, **more)
        return [*self._known[key]]

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Any:
        """As it was the first time."""
        key = ("get", resource, namespace, name)
        if key not in self._known:
            self._known[key] = self._cluster.get(resource, name, namespace)
        return self._known[key]


def found_in(
    cluster: Cluster,
    resource: Resource,
    namespaces: Namespaces,
    *,
    labels: str = "",
    fields: str = "",
) -> list[Object]:
    """All objects that fit; of namespaces by globs, all of the cluster's."""
    return [
        obj
        for namespace in namespaces.each
        for obj in cluster.list(resource, namespace, labels=labels, fields=fields)
    ]


def named_in(
    cluster: Cluster, resource: Resource, name: str, namespaces: Namespaces, *, labels: str = ""
) -> list[Object]:
    """The objects of one name, one a namespace at most."""
    if not by_name(name, namespaces.each, labels):
        found = found_in(cluster, resource, namespaces, labels=labels)
        return [obj for obj in found if obj["metadata"]["name"] == name]
    found = []
    for namespace in namespaces.each:
        try:
            found.append(cluster.get(resource, name, namespace))
        except ClusterNotFound:
            continue
    return found


def by_name(name: str | None, namespaces: tuple[str | None, ...], labels: str) -> bool:
    """Whether an object can be asked for by its name, so that no other has to be read."""
    return bool(name) and None not in namespaces and not labels


def pod_is_gone(cluster: Cluster, name: str, namespace: str, uid: str) -> bool:
    """Whether a pod has ended, or is about to; asked as a list, which takes no right of its own."""
    for pod in cluster.list(PODS, namespace, fields=f"metadata.name={name}"):
        about = pod["metadata"]
        return about["uid"] != uid or bool(about.get("deletionTimestamp"))
    return True
