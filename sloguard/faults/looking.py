"""Reading a cluster with no more rights than needed: only the namespaces, and the object, that are named."""

from __future__ import annotations

from sloguard.faults.targets import Namespaces
from sloguard.ports import Cluster, ClusterNotFound, Object, Resource
from sloguard.ports.resources import PODS


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
