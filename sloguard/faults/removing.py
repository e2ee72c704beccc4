"""Deleting what sloguard has made, with all that belongs to it, and waiting until it is gone."""

from __future__ import annotations

import contextlib
import time

from sloguard.faults.base import Context, FaultError
from sloguard.faults.targets import title
from sloguard.ports import Cluster, ClusterConflict, ClusterNotFound, Object, Resource

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
#: Pods may take their time to end, namespaces with all that is in them take theirs, seconds.
_PATIENCE = 90.0


def remove(cluster: Cluster, resource: Resource, obj: Object, context: Context) -> None:
    """Delete it, and wait for its finalizers. Raises FaultError; can be called again.

    What belongs to it goes first, where the cluster's garbage collector knows its kind for sure. It learns of
    new custom kinds only every half a minute, and lets nothing go of which it does not know; what belongs to
    custom objects goes after them.
    """
    about = obj["metadata"]
    began, pause = time.monotonic(), _FIRST_PAUSE
    with contextlib.suppress(ClusterNotFound, ClusterConflict):
        cluster.delete(
            resource,
            about["name"],
            about.get("namespace"),
            uid=about["uid"],
            propagation="Background" if _is_custom(resource) else "Foreground",
        )
    while True:
        try:
            found = cluster.get(resource, about["name"], about.get("namespace"))
        except ClusterNotFound:
            return
        if found["metadata"]["uid"] != about["uid"]:
            return
        lasted = time.monotonic() - began
        if lasted >= _PATIENCE or context.stop.wait(pause):
            raise FaultError(_stays(resource, found, lasted))
        pause = min(pause * 2, _LONGEST_PAUSE)


def _is_custom(resource: Resource) -> bool:
    """Kubernetes' own groups have no dot, or end with its domain."""
    return "." in resource.group and not resource.group.endswith(".k8s.io")


def _stays(resource: Resource, obj: Object, lasted: float) -> str:
    text = f"{resource.kind} {title(obj)} is being deleted, but is still there after {lasted:.0f}s"
    left = obj["metadata"].get("finalizers") or []
    if not left:
        return text
    whose = "finalizer" if len(left) == 1 else "finalizers"
    return (
        f"{text}: it waits for its {whose} {', '.join(left)}; "
        "does the controller that has to clean up and take that away still run?"
    )
