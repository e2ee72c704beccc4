"""Undoing what is found on a cluster, from the undo records on its objects alone.

For where the store is gone, or the run was another machine's. Runs that are alive are left alone: they
hold a Lease of the namespaces and nodes that they work on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sloguard.core.model import FaultRecord
from sloguard.faults.base import Context, FaultError, find_fault
from sloguard.faults.live_runs import alive as alive_among
from sloguard.faults.marking import by_hand, marked_objects, record_from
from sloguard.faults.targets import title
from sloguard.faults.undo_records import entries
from sloguard.ports import Cluster, Clusters, Object, OutsideError, Resource


@dataclass(frozen=True, slots=True)
class ClusterFault(FaultRecord):
    """What was found on a cluster. ``run``: whose it is; empty where that cannot be read, or nothing was found but
    a place that cannot be looked at."""

    run: str = ""


#: What is made again may bear records itself, from before it was deleted: so it is looked once more.
_LOOKS = 3


def recover_cluster(
    clusters: Clusters,
    context: str | None = None,
    *,
    alive: Collection[str] = (),
    namespaces: Sequence[str] | None = None,
) -> Iterator[ClusterFault]:
    """Undo every entry of a run that is not alive, newest first; one ClusterFault each.

    ``alive``: runs that the local store knows to be under way. ``namespaces``: look only into these. What could not be looked at, and what is a
    live run's, is told as ``left`` and ``injected``. A run that was killed a moment ago is not known to be
    dead before its Lease has expired, and is waited for. Raises ClusterError where the cluster is unreachable.
    """
    cluster = clusters(context)
    told: set[str] = set()
    for _ in range(_LOOKS):
        again = False
        for record in _looked(clusters, cluster, alive, told, namespaces):
            again = again or record.status == "undone"
            yield record
        if not again:
            return


def _looked(
    clusters: Clusters,
    cluster: Cluster,
    alive: Collection[str],
    told: set[str],
    namespaces: Sequence[str] | None,
) -> Iterator[ClusterFault]:
    """Undo what is found in one look. ``told``: what was told of in earlier ones, and is now."""
    found, problems = marked_objects(cluster, namespaces)
    for problem in problems:
        if problem not in told:
            yield ClusterFault(id="", fault="", target=cluster.name, status="left", detail=problem)
    told.update(problems)
    under_way = _under_way(cluster, found, alive, namespaces)
    for resource, obj in found:
        if str(obj["metadata"].get("uid")) in told:
            continue
        try:
            kept = entries(obj)
        except FaultError as error:
            told.add(str(obj["metadata"].get("uid")))
            yield _told({}, resource, obj, cluster, "left", str(error))
            continue
        for entry in reversed(kept):
            # An entry may stand on an object and on what points to it: once for each place.
            place = f"{entry['id']} {resource.full_name}"
            if place in told:
                continue
            told.add(place)
            run = str(entry.get("run") or "")
            if run in under_way:
                yield _told(entry, resource, obj, cluster, "injected", f"run {run} is under way")
            else:
                yield _undone(entry, resource, obj, cluster, clusters)


def _under_way(
    cluster: Cluster,
    found: Sequence[tuple[Resource, Object]],
    known: Collection[str],
    namespaces: Sequence[str] | None,
) -> frozenset[str]:
    runs: set[str] = set()
    for _, obj in found:
        # One that cannot be read is told of later.
        with contextlib.suppress(FaultError):
            runs |= {str(entry.get("run") or "") for entry in entries(obj)}
    return frozenset(known) | alive_among(cluster, runs - set(known), namespaces=namespaces)


def _undone(
    entry: Mapping[str, Any], resource: Resource, obj: Object, cluster: Cluster, clusters: Clusters
) -> ClusterFault:
    record = record_from(cluster, resource, obj, entry)
    try:
        done = find_fault(str(entry.get("fault"))).undo(record, Context(cluster=clusters))
    except (FaultError, OutsideError) as error:
        return _told(entry, resource, obj, cluster, "left", str(error))
    except Exception as error:  # noqa: BLE001 - one record that is damaged keeps nobody from the others
        problem = f"its undo record cannot be used; was it changed by hand? ({error!r})"
        return _told(entry, resource, obj, cluster, "left", problem)
    return _told(entry, resource, obj, cluster, "undone" if done else "nothing-to-undo", done)


def _told(
    entry: Mapping[str, Any],
    resource: Resource,
    obj: Object,
    cluster: Cluster,
    status: Any,
    detail: str,
) -> ClusterFault:
    return ClusterFault(
        id=str(entry.get("id") or ""),
        fault=str(entry.get("fault") or ""),
        target=f"{resource.kind} {title(obj)}",
        status=status,
        detail=detail,
        by_hand=by_hand(cluster, resource, obj, "kubectl edit {object}"),
        run=str(entry.get("run") or ""),
    )
