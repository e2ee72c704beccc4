"""Deleting objects so that they can be made again: first a copy is kept on the cluster, then it is deleted.

The copy is a ConfigMap in the object's own namespace, so that those who may read the one may read the
other, and nothing of it gets into the store. It bears the undo record, so that the cluster alone knows.
"""

from __future__ import annotations

import contextlib
import copy
import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sloguard.core.model import Json
from sloguard.faults.base import Context, FaultError, Record
from sloguard.faults.marking import LABEL, PATIENCE, plain
from sloguard.faults.targets import title
from sloguard.faults.undo_records import ANNOTATION
from sloguard.ports import (
    Cluster,
    ClusterConflict,
    ClusterExists,
    ClusterNotFound,
    ClusterUnreachable,
    Object,
    Resource,
)
from sloguard.ports.resources import CONFIG_MAPS
from sloguard.ports.rights import Need, on

_PAUSE = 0.2
_KEPT = ("name", "namespace", "labels", "annotations", "ownerReferences", "finalizers")


def record_of(
    cluster: Cluster, resource: Resource, obj: Object, fault: str, run: str, **more: Json
) -> dict[str, Json]:
    """The record of a deletion; ``more`` is the fault's own."""
    about = obj["metadata"]
    entry = {"id": uuid.uuid4().hex, "run": run, "fault": fault}
    return {
        "cluster": cluster.name,
        "resource": plain(CONFIG_MAPS),
        "namespace": about.get("namespace") or cluster.own_namespace,
        "name": f"sloguard-undo-{entry['id'][:16]}",
        "entry": entry,
        "of": {
            "resource": plain(resource),
            "namespace": about.get("namespace"),
            "name": about["name"],
            "uid": about["uid"],
        },
        **more,
    }


def needs(
    resource: Resource,
    namespaces: Iterable[str | None],
    name: str | None = None,
    copies: Iterable[str | None] | None = None,
) -> Iterator[Need]:
    """What deleting and making again takes. ``copies``: the namespaces of the copies, where others."""
    wanted = tuple(namespaces)
    yield from on(resource, "get", "create", "delete", namespaces=wanted, name=name)
    kept = wanted if copies is None else tuple(copies)
    yield from on(CONFIG_MAPS, "create", "get", "delete", namespaces=kept)


def inject(record: Record, context: Context, grace: int | None = None) -> Json:
    """Keep the copy, then delete. Raises FaultError where the object is not the one that was planned."""
    cluster = context.cluster(record["cluster"])
    of: Mapping[str, Any] = record["of"]
    resource = Resource(**of["resource"])
    try:
        found = cluster.get(resource, of["name"], of["namespace"])
    except ClusterNotFound as error:
        raise FaultError(f"{of['name']} was deleted before it could be hit") from error
    if found["metadata"]["uid"] != of["uid"]:
        raise FaultError(f"{title(found)} is another one than was planned: it was made anew since")
    if not context.lasting:
        _keep(cluster, record, found)
    try:
        cluster.delete(
            resource,
            of["name"],
            of["namespace"],
            uid=of["uid"],
            grace=grace,
            propagation="Background",
        )
    except (ClusterNotFound, ClusterConflict) as error:
        # It is not for sloguard to make it again, then.
        with contextlib.suppress(ClusterNotFound):
            cluster.delete(CONFIG_MAPS, str(record["name"]), str(record["namespace"]))
        raise FaultError(f"{title(found)} was deleted by somebody else meanwhile") from error
    return {"deleted": f"{resource.kind} {title(found)}"}


def _keep(cluster: Cluster, record: Record, obj: Object) -> None:
    try:
        cluster.create(CONFIG_MAPS, _copy(record, obj))
    except ClusterExists:
        pass
    except ClusterUnreachable as error:
        if error.applied is False:
            raise
        # Nothing may be deleted of which there is no copy.
        cluster.get(CONFIG_MAPS, str(record["name"]), str(record["namespace"]))


def undo(record: Record, context: Context) -> str:
    """Make it again as it was, unless somebody else has; an empty text where it was never deleted."""
    cluster = context.cluster(record["cluster"])
    name, namespace = str(record["name"]), str(record["namespace"])
    try:
        kept = cluster.get(CONFIG_MAPS, name, namespace)
    except ClusterNotFound:
        return ""
    try:
        of = json.loads(kept["data"]["of"])
        manifest = json.loads(kept["data"]["object"])
        resource = Resource(**of["resource"])
    except (KeyError, TypeError, ValueError) as error:
        raise FaultError(f"the copy in ConfigMap {namespace}/{name} cannot be read") from error
    done = _make_again(cluster, resource, of, manifest, context)
    with contextlib.suppress(ClusterNotFound):
        cluster.delete(CONFIG_MAPS, name, namespace, uid=kept["metadata"]["uid"])
    return f"made {resource.kind} {title(manifest)} again" if done else ""


def _make_again(
    cluster: Cluster,
    resource: Resource,
    of: Mapping[str, Any],
    manifest: Object,
    context: Context,
) -> bool:
    ends = time.monotonic() + PATIENCE
    while True:
        try:
            about = cluster.get(resource, of["name"], of["namespace"])["metadata"]
        except ClusterNotFound:
            break
        if about["uid"] != of["uid"] or not about.get("deletionTimestamp"):
            return False  # never deleted, or made again by somebody else
        if time.monotonic() >= ends or context.stop.wait(_PAUSE):
            raise FaultError(
                f"{title(manifest)} is still being deleted, so it cannot be made again yet"
            )
    try:
        cluster.create(resource, manifest)
    except ClusterExists:
        return False
    return True


def _copy(record: Record, obj: Object) -> Object:
    manifest = copy.deepcopy(obj)
    manifest.pop("status", None)
    about = manifest["metadata"]
    manifest["metadata"] = {key: about[key] for key in _KEPT if key in about}
    # What a controller counts belongs to the old one.
    annotations = manifest["metadata"].get("annotations") or {}
    annotations.pop("deployment.kubernetes.io/revision", None)
    entry: Mapping[str, Any] = record["entry"]
    return {
        "apiVersion": CONFIG_MAPS.api_version,
        "kind": CONFIG_MAPS.kind,
        "metadata": {
            "name": record["name"],
            "namespace": record["namespace"],
            "labels": {LABEL: "deleted"},
            "annotations": {ANNOTATION: json.dumps([{**entry, "changes": []}])},
        },
        "data": {
            "of": json.dumps(record["of"], sort_keys=True),
            "object": json.dumps(manifest, sort_keys=True),
        },
    }
