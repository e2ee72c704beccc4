"""One object of a manifest onto a cluster, and off it again.

Three things are written: first a pointer, a ConfigMap that says which object may have been touched, for
objects of kinds that nobody would look through; then the object with its undo record, in one guarded write.
What was not there is deleted on undo, and waited for until it is gone; what was there is put back. Nothing of
a manifest, or of what was there, gets into the ledger: it may hold secrets.
"""

from __future__ import annotations

import contextlib
import copy
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sloguard.core.model import Json
from sloguard.faults import marking
from sloguard.faults.base import Context, FaultError, Record
from sloguard.faults.marking import LABEL, plain
from sloguard.faults.overlaying import edits_between, fits, overlaid
from sloguard.faults.removing import remove
from sloguard.faults.targets import title
from sloguard.faults.undo_records import ANNOTATION, entries, marked, operations
from sloguard.faults.waiting_for import missing
from sloguard.ports import (
    Cluster,
    ClusterBadRequest,
    ClusterExists,
    ClusterForbidden,
    ClusterInvalid,
    ClusterNotFound,
    ClusterUnreachable,
    Object,
    Resource,
)
from sloguard.ports.resources import CONFIG_MAPS

_POINTER = "applied"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


def made_of(manifest: Object, entry: Mapping[str, Any]) -> Object:
    """The object as it is created: the manifest with the undo record, by which it is known as sloguard's."""
    body = copy.deepcopy(manifest)
    about = body["metadata"]
    record = json.dumps([{**entry, "created": True, "changes": []}])
    about["labels"] = {**(about.get("labels") or {}), LABEL: "created"}
    about["annotations"] = {**(about.get("annotations") or {}), ANNOTATION: record}
    return fits(body)


def changed_of(
    cluster: Cluster, resource: Resource, obj: Object, manifest: Object, entry: Mapping[str, Any]
) -> Object:
    """The object as the manifest changes it, with the undo record; the same where it changes nothing.

    The server is asked what would become of it, so that what it adds by itself is undone too. Raises FaultError.
    """
    wanted = overlaid(obj, manifest)
    if wanted == obj:
        return obj
    about = obj["metadata"]
    try:
        would = cluster.json_patch(
            resource, about["name"], about.get("namespace"), operations(obj, wanted), dry_run=True
        )
    except (ClusterInvalid, ClusterBadRequest) as error:
        raise FaultError(f"{resource.kind} {title(obj)} cannot be changed so: {error}") from error
    edits = edits_between(obj, would)
    return fits(marked(obj, entry, edits)) if edits else obj


def try_out(cluster: Cluster, resource: Resource, body: Object) -> None:
    """Ask the server whether it would create this. Raises FaultError."""
    try:
        cluster.create(resource, body, dry_run=True)
    except ClusterBadRequest as error:
        # Some webhooks cannot be asked without effect; that says nothing of the manifest.
        if "dry run" not in str(error):
            raise _refused(resource, body, error) from error
    except (ClusterInvalid, ClusterNotFound) as error:
        raise _refused(resource, body, error) from error
    except ClusterExists:
        pass  # made this very moment; the injection will see it


def _refused(resource: Resource, body: Object, error: Exception) -> FaultError:
    return FaultError(f"{resource.kind} {title(body)} cannot be created: {error}")


def inject(record: Record, context: Context) -> Json:
    """Point to it, write it, wait for it. Raises FaultError."""
    cluster, resource = marking.place_of(record, context)
    manifest: Object = record["manifest"]
    began = time.monotonic()
    if not context.lasting:
        _point(cluster, record)
    if record["uid"] is None:
        body = manifest if context.lasting else made_of(manifest, record["entry"])
        _create(cluster, resource, record, body)
    else:
        marking.alter(
            record,
            context,
            lambda obj: changed_of(cluster, resource, obj, manifest, record["entry"]),
            kept=False,
        )
    waited = _await(cluster, resource, record, context)
    where = f"{record['namespace']}/{record['name']}" if record["namespace"] else record["name"]
    return {
        "object": f"{resource.kind} {where}",
        "how": "created" if record["uid"] is None else "changed",
        "waited_for": waited,
        "seconds": round(time.monotonic() - began, 3),
    }


def pointer_of(cluster: Cluster, namespace: str | None, entry_id: str) -> tuple[str, str]:
    """Name and namespace of the pointer to an object: beside it, or in sloguard's own namespace."""
    return f"sloguard-undo-{entry_id[:16]}", namespace or cluster.own_namespace


def _point(cluster: Cluster, record: Record) -> None:
    entry: Mapping[str, Any] = record["entry"]
    name, namespace = pointer_of(cluster, record["namespace"], str(entry["id"]))
    of = {key: record[key] for key in ("resource", "namespace", "name")}
    body = {
        "apiVersion": CONFIG_MAPS.api_version,
        "kind": CONFIG_MAPS.kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {LABEL: _POINTER},
            "annotations": {ANNOTATION: json.dumps([{**entry, "changes": []}])},
        },
        "data": {"of": json.dumps(of, sort_keys=True)},
    }
    try:
        cluster.create(CONFIG_MAPS, body)
    except ClusterExists:
        pass
    except ClusterUnreachable as error:
        if error.applied is False:
            raise
        # Nothing may be touched that nobody would find again.
        cluster.get(CONFIG_MAPS, name, namespace)


def _create(cluster: Cluster, resource: Resource, record: Record, body: Object) -> None:
    try:
        cluster.create(resource, body)
    except ClusterExists as error:
        raise FaultError(
            f"{resource.kind} {title(body)} was made by somebody else since this was planned"
        ) from error
    except (ClusterInvalid, ClusterBadRequest) as error:
        raise _refused(resource, body, error) from error
    except ClusterUnreachable as error:
        if error.applied is False:
            raise
        # Its answer was lost: if it is not there, ClusterNotFound says that nothing was injected.
        cluster.get(resource, str(record["name"]), record["namespace"])


def _await(cluster: Cluster, resource: Resource, record: Record, context: Context) -> Json:
    """Until all that is waited for holds; which it is. Raises FaultError where it does not come."""
    texts: Sequence[str] = record["wait_for"]
    ends, pause = time.monotonic() + float(record["timeout"]), _FIRST_PAUSE
    while texts:
        try:
            found = cluster.get(resource, str(record["name"]), record["namespace"])
        except ClusterNotFound as error:
            raise FaultError(f"{record['name']} was deleted while it was waited for") from error
        lacking = [why for text in texts if (why := missing(found, text))]
        if not lacking:
            break
        if time.monotonic() >= ends or context.stop.wait(pause):
            how = "when it was stopped" if context.stop.is_set() else f"{record['timeout']:g}s"
            after = how if context.stop.is_set() else f"after {how}"
            raise FaultError(f"{resource.kind} {title(found)} {after}: {'; '.join(lacking)}")
        pause = min(pause * 2, _LONGEST_PAUSE)
    return list(texts)


def undo(record: Record, context: Context) -> str:
    """Take it away, or put back what was there; an empty text where there is nothing (any more) to undo.

    Works from the ledger's record, from the object with its undo record, and from the pointer alone.
    """
    cluster = context.cluster(record["cluster"])
    entry_id = str(record["entry"]["id"])
    of = _meant(cluster, record)
    if of is None:
        return ""
    done = _undone(cluster, of, entry_id, context)
    name, namespace = pointer_of(cluster, of["namespace"], entry_id)
    with contextlib.suppress(ClusterNotFound):
        cluster.delete(CONFIG_MAPS, name, namespace)
    return done


def _meant(cluster: Cluster, record: Record) -> Mapping[str, Any] | None:
    """The record of the object itself, where this one is of the pointer to it."""
    name, namespace = pointer_of(cluster, record["namespace"], str(record["entry"]["id"]))
    if Resource(**record["resource"]) != CONFIG_MAPS or record["name"] != name:
        return record
    try:
        found = cluster.get(CONFIG_MAPS, name, namespace)
        of: Mapping[str, Any] = json.loads(found["data"]["of"])
        Resource(**of["resource"])
    except ClusterNotFound:
        return None
    except (KeyError, TypeError, ValueError) as error:
        raise FaultError(f"ConfigMap {namespace}/{name} cannot be read") from error
    return {**record, **of}


def _undone(cluster: Cluster, of: Mapping[str, Any], entry_id: str, context: Context) -> str:
    try:
        _, resource = marking.place_of(of, context)
        found = cluster.get(resource, str(of["name"]), of["namespace"])
    except ClusterNotFound:
        return ""  # and where its namespace or its definition is gone, it is gone too
    entry = next((e for e in entries(found) if e["id"] == entry_id), None)
    if entry is None:
        return ""
    if not entry.get("created"):
        return marking.undo(of, context)
    remove(cluster, resource, found, context)
    return f"deleted {resource.kind} {title(found)}"


def may_change(cluster: Cluster, resource: Resource, body: Object) -> Object | None:
    """The object that is there already; None where there is none. Raises FaultError."""
    about = body["metadata"]
    try:
        return cluster.get(resource, about["name"], about.get("namespace"))
    except ClusterNotFound:
        return None
    except ClusterForbidden as error:
        raise FaultError(f"{resource.kind} {title(body)}: {error}") from error


def record_of(
    cluster: Cluster,
    resource: Resource,
    body: Object,
    uid: str | None,
    entry: Mapping[str, Any],
    wait_for: Sequence[str],
    timeout: float,
) -> dict[str, Json]:
    """All that undoing one object needs, and nothing of what is in it."""
    return {
        "cluster": cluster.name,
        "resource": plain(resource),
        "namespace": body["metadata"].get("namespace"),
        "name": body["metadata"]["name"],
        "uid": uid,
        "entry": dict(entry),
        "wait_for": list(wait_for),
        "timeout": timeout,
    }
