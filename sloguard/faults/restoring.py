"""What declared rollbacks set: counts of replicas, objects that shall be there or not. Plain functions.

They leave no way back, as what they set is there to stay, and are safe to call again: where all is as it shall
be, as it is once a run has undone its own faults, they do nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from sloguard.core.model import Json
from sloguard.faults.arguments import whole
from sloguard.faults.base import FaultError
from sloguard.faults.manifests import read_manifests
from sloguard.faults.targets import Namespaces, title
from sloguard.ports import ClusterExists, ClusterNotFound, Resource, ambient
from sloguard.ports.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    NETWORK_POLICIES,
    REPLICA_SETS,
    SECRETS,
    SERVICES,
    STATEFUL_SETS,
)
from sloguard.ports.rights import Call, Need, needing, on

_SCALED = {"deployment": DEPLOYMENTS, "statefulset": STATEFUL_SETS}
_DELETED = {
    **_SCALED,
    "daemonset": DAEMON_SETS,
    "replicaset": REPLICA_SETS,
    "service": SERVICES,
    "networkpolicy": NETWORK_POLICIES,
    "secret": SECRETS,
}


def _scale_needs(call: Call) -> Iterator[Need]:
    resource = _SCALED[str(call["kind"])]
    return on(resource, "get", "patch", namespaces=(str(call["ns"]),), name=call["name"])


@needing(_scale_needs)
def scale(
    name: str,
    replicas: int,
    ns: str = "default",
    kind: str = "deployment",
    cluster: str | None = None,
) -> Json:
    """Give a Deployment or StatefulSet this many pods, unless it has as many already."""
    wanted, resource = whole(replicas, "replicas", most=10_000), _kind(kind, _SCALED)
    found, namespace = ambient.cluster(cluster), _one(ns)
    obj = found.get(resource, name, namespace)
    changed = obj["spec"].get("replicas") != wanted
    if changed:
        found.merge_patch(resource, name, namespace, {"spec": {"replicas": wanted}})
    return {"name": f"{namespace}/{name}", "replicas": wanted, "changed": changed}


def _delete_needs(call: Call) -> Iterator[Need]:
    namespaces = (str(call["ns"]),)
    return on(_DELETED[str(call["kind"])], "list", "delete", namespaces=namespaces)


@needing(_delete_needs)
def delete(
    kind: str,
    name: str | None = None,
    ns: str = "default",
    label_selector: str | None = None,
    cluster: str | None = None,
) -> Json:
    """Delete objects of a kind by their name or labels, as far as they are there."""
    resource, namespace = _kind(kind, _DELETED), _one(ns)
    if not name and not label_selector:
        raise FaultError("say which: name or label_selector")
    found = ambient.cluster(cluster)
    fields = f"metadata.name={name}" if name else ""
    gone = []
    for obj in found.list(resource, namespace, labels=label_selector or "", fields=fields):
        about = obj["metadata"]
        with contextlib.suppress(ClusterNotFound):
            found.delete(
                resource, about["name"], namespace, uid=about["uid"], propagation="Background"
            )
        gone.append(title(obj))
    return {"deleted": gone}


def _delete_custom_needs(call: Call) -> Iterator[Need]:
    given = call.arguments
    where = None if call["ns"] is None else str(call["ns"])
    resource = _custom(given["group"], given["version"], given["plural"], where)
    return on(resource, "delete", namespaces=(where,), name=str(given["name"]))


@needing(_delete_custom_needs)
def delete_custom(
    group: str,
    version: str,
    plural: str,
    name: str,
    ns: str | None = "default",
    cluster: str | None = None,
) -> Json:
    """Delete a custom object, if it is there. ``ns`` None: it is in no namespace."""
    namespace = None if ns is None else _one(ns)
    resource = _custom(group, version, plural, namespace)
    shown = f"{namespace}/{name}" if namespace else name
    try:
        ambient.cluster(cluster).delete(resource, name, namespace, propagation="Background")
    except ClusterNotFound:
        return {"deleted": []}
    return {"deleted": [shown]}


def _custom(group: str, version: str, plural: str, namespace: str | None) -> Resource:
    # Its kind is for messages alone.
    return Resource(str(group), str(version), str(plural), str(plural), namespace is not None)


def _create_needs(call: Call) -> Iterator[Need]:
    for one in read_manifests(call["manifest"]):
        resource = call.resource(one.api_version, one.kind)
        namespace = (one.namespace or str(call["ns"])) if resource.namespaced else None
        yield from on(resource, "create", namespaces=(namespace,))


@needing(_create_needs)
def create(manifest: Any, ns: str = "default", cluster: str | None = None) -> Json:
    """Create objects of a manifest, as far as they are not there; what is there is left as it is."""
    found, namespace = ambient.cluster(cluster), _one(ns)
    made = []
    for one in read_manifests(manifest):
        resource = found.resource(one.api_version, one.kind)
        if resource.namespaced:
            one.body["metadata"].setdefault("namespace", namespace)
        with contextlib.suppress(ClusterExists):
            made.append(title(found.create(resource, one.body)))
    return {"created": made}


def _kind(kind: str, known: dict[str, Resource]) -> Resource:
    if kind not in known:
        raise FaultError(f"kind: expected one of {', '.join(known)}, found {kind!r}")
    return known[kind]


def _one(ns: Any) -> str:
    namespace = Namespaces.of(ns).single
    if namespace is None:
        raise FaultError(f"ns: expected the name of one namespace, found {ns!r}")
    return namespace
