"""Emptying a node: eviction by eviction, as the disruption budgets allow."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sloguard.core.model import Json
from sloguard.faults.base import Context, FaultError
from sloguard.faults.pod_selection import controller_of
from sloguard.faults.targets import title
from sloguard.ports import (
    Cluster,
    ClusterConflict,
    ClusterNotFound,
    ClusterUnreachable,
    Object,
    TooManyDisruptions,
)
from sloguard.ports.resources import PODS

#: Between two tries of what a budget refuses, seconds.
_PAUSE = 1.0
_MIRROR = "kubernetes.io/config.mirror"


@dataclass(frozen=True, slots=True)
class Options:
    """``timeout`` in seconds, for all evictions of a node together."""

    timeout: float
    local_storage: bool = False
    force: bool = False

    def plain(self) -> dict[str, Json]:
        """As JSON."""
        return asdict(self)


def pods_by_node(cluster: Cluster, node: str | None = None) -> dict[str, list[Object]]:
    """All pods that a node has been chosen for; only one node's if it is given."""
    found: dict[str, list[Object]] = {}
    for pod in cluster.list(PODS, fields=f"spec.nodeName={node}" if node else ""):
        found.setdefault(str(pod["spec"].get("nodeName") or ""), []).append(pod)
    return found


def leaving(pods: Sequence[Object]) -> list[Object]:
    """Those of a node's pods that a drain evicts."""
    return [pod for pod in pods if not _stays(pod)]


def problem(pods: Sequence[Object], options: Options) -> str:
    """Why a node with these pods cannot be drained; empty where it can."""
    refused = [f"{title(pod)} {why}" for pod in leaving(pods) if (why := _refusal(pod, options))]
    return f"it cannot be drained: {'; '.join(refused[:5])}" if refused else ""


def tolerates(pod: Object, taint: Mapping[str, Any]) -> bool:
    """Whether a pod may stay for good in spite of a taint."""
    for one in (pod.get("spec") or {}).get("tolerations") or ():
        same_key = one.get("key") in (None, "", taint["key"])
        anything = one.get("operator") == "Exists"
        if not same_key or one.get("effect") not in (None, "", taint["effect"]):
            continue
        if (anything or one.get("value", "") == taint.get("value", "")) and (
            one.get("tolerationSeconds") is None
        ):
            return True
    return False


def _to_evict(cluster: Cluster, node: str, options: Options) -> list[Object]:
    """The pods that have to go. Raises FaultError where one of them may not."""
    pods = pods_by_node(cluster, node).get(node, [])
    why = problem(pods, options)
    if why:
        raise FaultError(f"{node}: {why}")
    return leaving(pods)


def drain(cluster: Cluster, node: str, options: Options, context: Context) -> Json:
    """Evict until nothing is left to evict. Raises FaultError with what could not be, and why."""
    began = time.monotonic()
    ends = began + options.timeout
    evicted: dict[str, str] = {}
    while True:
        refused: dict[str, str] = {}
        for pod in (left := _to_evict(cluster, node, options)):
            uid = str(pod["metadata"]["uid"])
            if uid not in evicted and not pod["metadata"].get("deletionTimestamp"):
                why = _evict(cluster, pod)
                if why:
                    refused[title(pod)] = why
                else:
                    evicted[uid] = title(pod)
        if not left:
            return {
                "node": node,
                "evicted": sorted(evicted.values()),
                "seconds": round(time.monotonic() - began, 3),
            }
        if time.monotonic() >= ends or context.stop.is_set():
            raise FaultError(_left(node, options, left, refused, stopped=context.stop.is_set()))
        # What only has to end is looked at sooner than what is refused.
        pause = _PAUSE if refused else 0.1
        context.stop.wait(min(pause, max(ends - time.monotonic(), 0.01)))


def _evict(cluster: Cluster, pod: Object) -> str:
    """Why it was refused; empty where the pod goes."""
    about = pod["metadata"]
    try:
        cluster.evict(about["name"], about["namespace"], uid=about["uid"])
    except TooManyDisruptions as error:
        said = [str(cause.get("message")) for cause in error.causes]
        return said[0] if said else str(error)
    except (ClusterNotFound, ClusterConflict):
        return ""  # gone by itself
    except ClusterUnreachable as error:
        return str(error)
    return ""


def _left(
    node: str, options: Options, left: list[Object], refused: dict[str, str], *, stopped: bool
) -> str:
    shown = [refused.get(title(pod)) or f"{title(pod)} has not ended yet" for pod in left]
    when = "when it was stopped" if stopped else f"after {options.timeout:g}s"
    pods = "pod is" if len(left) == 1 else "pods are"
    return f"{len(left)} {pods} still on {node} {when}: {'; '.join(dict.fromkeys(shown))}"


def _stays(pod: Object) -> bool:
    """What a drain leaves alone: DaemonSets' pods, static ones, and those that have ended."""
    about = pod["metadata"]
    ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    static = _MIRROR in (about.get("annotations") or {})
    return ended or static or (controller_of(pod) or {}).get("kind") in ("DaemonSet", "Node")


def _refusal(pod: Object, options: Options) -> str:
    if pod["metadata"].get("deletionTimestamp"):
        return ""
    volumes = pod["spec"].get("volumes") or []
    if not options.local_storage and any("emptyDir" in volume for volume in volumes):
        return "has local storage (allow it with delete_pods_with_local_storage)"
    if not options.force and controller_of(pod) is None:
        return "is owned by nothing and would not come back (allow it with force)"
    return ""
