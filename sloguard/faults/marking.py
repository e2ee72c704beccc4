"""Changing objects of a cluster so that the way back is on the object, in the same guarded patch.

A fault that changes an object makes its record with ``record_of``, injects with ``inject`` and undoes with
``undo``: the record names the object and the entry of its annotation, and holds a copy of the entry's
changes, for where the annotation has been removed alone.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sloguard.core.model import Json
from sloguard.faults.base import Context, FaultError, Record
from sloguard.faults.targets import title
from sloguard.faults.undo_records import (
    ANNOTATION,
    Edit,
    changes_of,
    forgotten,
    marked,
    operations,
    unmarked,
)
from sloguard.ports import (
    Cluster,
    ClusterConflict,
    ClusterForbidden,
    ClusterNotFound,
    Object,
    Resource,
)
from sloguard.ports.resources import (
    CONFIG_MAPS,
    DAEMON_SETS,
    DEPLOYMENTS,
    ISTIO,
    JOBS,
    NETWORK_POLICIES,
    NODES,
    STATEFUL_SETS,
    virtual_services,
)

#: On objects that sloguard itself has made, so that they are found without looking at all of a kind.
LABEL = "sloguard.io/undo"
#: The kinds whose objects faults change or delete, beside VirtualServices, and those that they make.
CHANGED = (NODES, DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS, NETWORK_POLICIES)
MADE = (JOBS, CONFIG_MAPS)
#: How long others' writes may come in between, seconds, before a change is given up.
PATIENCE = 20.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5


def record_of(
    cluster: Cluster,
    resource: Resource,
    obj: Object,
    fault: str,
    run: str,
    edits: Sequence[Edit],
    **more: Json,
) -> dict[str, Json]:
    """The record of a change to an object as it is now; ``more`` is the fault's own."""
    about = obj["metadata"]
    entry = {"id": uuid.uuid4().hex, "run": run, "fault": fault}
    after = marked(obj, entry, edits)
    return {
        "cluster": cluster.name,
        "resource": plain(resource),
        "namespace": about.get("namespace"),
        "name": about["name"],
        "uid": about.get("uid"),
        "entry": entry,
        "changes": changes_of(after, entry["id"]),
        **more,
    }


def inject(record: Record, context: Context, edits: Callable[[Object], Sequence[Edit]]) -> Object:
    """Change the object as it is now and leave the entry on it, in one patch. Raises FaultError.

    ``edits`` are worked out from the newest version, so that nobody's change is lost.
    """
    return alter(record, context, lambda obj: marked(obj, record["entry"], edits(obj)))


def alter(
    record: Record, context: Context, how: Callable[[Object], Object], *, kept: bool = True
) -> Object:
    """As ``inject``, for what does more than leave an entry: ``how`` gives the object as it shall be.

    ``kept`` False: what was changed is not written into the ledger, as it may hold secrets.
    """
    cluster, resource = place_of(record, context)

    def changed_of(obj: Object) -> Object:
        if record.get("uid") not in (None, obj["metadata"].get("uid")):
            raise FaultError(
                f"{title(obj)} is another one than was planned: it was made anew since"
            )
        wanted = how(obj)
        return forgotten(wanted, record["entry"]["id"]) if context.lasting else wanted

    try:
        changed = edit(cluster, resource, record, changed_of, context)
    except ClusterNotFound as error:
        raise FaultError(f"{record['name']} was deleted before it could be hit") from error
    if kept and not context.lasting:
        # From now on the ledger alone would do, should somebody take the annotation away.
        context.save(
            {**record, "changes": changes_of(changed, record["entry"]["id"]), "done": True}
        )
    return changed


def undo(record: Record, context: Context) -> str:
    """Bring back what was there before; an empty text where there is nothing (any more) to bring back."""
    cluster, resource = place_of(record, context)
    done = False

    def change(obj: Object) -> Object:
        nonlocal done
        known = record.get("changes") or () if record.get("done") else ()
        result, found = unmarked(obj, record["entry"]["id"], known)
        done = done or found
        return result

    try:
        edit(cluster, resource, record, change, context)
    except ClusterNotFound:
        return ""
    where = f"{record['namespace']}/{record['name']}" if record["namespace"] else record["name"]
    return f"restored {resource.kind} {where}" if done else ""


def edit(
    cluster: Cluster,
    resource: Resource,
    record: Mapping[str, Any],
    change: Callable[[Object], Object],
    context: Context,
) -> Object:
    """Read, change, write what differs, anew as often as somebody else writes in between."""
    ends, pause = time.monotonic() + PATIENCE, _FIRST_PAUSE
    while True:
        found = cluster.get(resource, str(record["name"]), record["namespace"])
        wanted = change(found)
        if wanted == found:
            return found
        try:
            return cluster.json_patch(
                resource,
                str(record["name"]),
                record["namespace"],
                operations(found, wanted),
            )
        except ClusterConflict:
            # One's own success whose answer was lost looks the same; the next look tells.
            if time.monotonic() >= ends:
                raise
        if context.stop.wait(pause):
            raise FaultError("stopped while others were writing to the same object")
        pause = min(pause * 2, _LONGEST_PAUSE)


def place_of(record: Mapping[str, Any], context: Context) -> tuple[Cluster, Resource]:
    """The cluster and the resource of a record, in a version that is served now."""
    cluster = context.cluster(record["cluster"])
    resource = Resource(**record["resource"])
    if resource.group.endswith("istio.io"):
        served = cluster.versions(resource.group)
        if served and resource.version not in served:
            resource = Resource(**{**record["resource"], "version": served[0]})
    return cluster, resource


def marked_objects(
    cluster: Cluster, namespaces: Sequence[str] | None = None
) -> tuple[list[tuple[Resource, Object]], list[str]]:
    """Every object with an undo record on it, and what could not be looked at: of the whole cluster, or of
    these namespaces, and of nothing that is in none."""
    kinds = list(CHANGED)
    served = cluster.versions(ISTIO)
    kinds += [virtual_services(served[0])] if served else []
    looks = [(kind, "") for kind in kinds] + [(kind, LABEL) for kind in MADE]
    places: Sequence[str | None] = (None,) if namespaces is None else namespaces
    found: list[tuple[Resource, Object]] = []
    problems: list[str] = []
    for kind, labels, place in [(kind, text, place) for kind, text in looks for place in places]:
        if place is not None and not kind.namespaced:
            continue
        try:
            objects = cluster.list(kind, place, labels=labels)
        except (ClusterForbidden, ClusterNotFound) as error:
            problems.append(f"{kind.full_name} could not be looked at: {error}")
            continue
        found += [
            (kind, obj)
            for obj in objects
            if ANNOTATION in (obj["metadata"].get("annotations") or {})
        ]
    return found, problems


def record_from(
    cluster: Cluster, resource: Resource, obj: Object, entry: Mapping[str, Any]
) -> Record:
    """The record of an entry that was found on an object."""
    return {
        "cluster": cluster.name,
        "resource": plain(resource),
        "namespace": obj["metadata"].get("namespace"),
        "name": obj["metadata"]["name"],
        "entry": {key: entry.get(key) for key in ("id", "run", "fault")},
        "changes": [],
    }


def plain(resource: Resource) -> dict[str, Json]:
    """As JSON."""
    return {
        "group": resource.group,
        "version": resource.version,
        "plural": resource.plural,
        "kind": resource.kind,
        "namespaced": resource.namespaced,
    }


def by_hand(cluster: Cluster, resource: Resource, obj: Object, command: str) -> str:
    """``kubectl`` for this object of this cluster: ``command`` with ``{object}`` in it."""
    about = obj["metadata"]
    where = f"{resource.full_name}/{about['name']}"
    if about.get("namespace"):
        where += f" -n {about['namespace']}"
    text = command.format(object=where)
    return text if cluster.name == "in-cluster" else f"{text} --context {cluster.name}"
