"""What Deployments, StatefulSets and DaemonSets have in common: how many pods there shall be, and are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sloguard.core.objective import ObjectiveError, parse_duration
from sloguard.ports import Cluster, ClusterDeadline, Object, Resource
from sloguard.ports.resources import DAEMON_SETS
from sloguard.probes.base import ProbeError, labelled, listed, named

_LONGEST = 600.0


@dataclass(frozen=True, slots=True)
class Counts:
    """``fresh``: the counts are those of what is asked for now."""

    wanted: int
    ready: int
    available: int
    fresh: bool

    @classmethod
    def of(cls, obj: Object) -> Counts:
        """From the API's object, which leaves zeros out."""
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        if obj["kind"] == DAEMON_SETS.kind:
            names = ("desiredNumberScheduled", "numberReady", "numberAvailable")
            wanted, ready, available = (int(status.get(name) or 0) for name in names)
        else:
            wanted = int(spec.get("replicas", 1))
            ready = int(status.get("readyReplicas") or 0)
            available = int(status.get("availableReplicas") or 0)
        generation = int(obj["metadata"].get("generation") or 0)
        fresh = int(status.get("observedGeneration") or 0) >= generation
        return cls(wanted, ready, available, fresh)

    @property
    def all_ready(self) -> bool:
        """Every pod that there shall be, and at least one."""
        return self.fresh and 0 < self.wanted == self.ready

    @property
    def all_available(self) -> bool:
        """Every pod that there shall be, and at least one."""
        return self.fresh and 0 < self.wanted == self.available


def holds(
    cluster: Cluster,
    resource: Resource,
    name: str,
    ns: str,
    label_selector: str | None,
    question: Callable[[Counts], bool],
) -> bool:
    """Whether it is so of the workload of this name; false where there is none."""
    found = listed(
        cluster, resource, ns, labelled(label_selector, name), named(name, resource.kind)
    )
    return bool(found) and all(question(Counts.of(obj)) for obj in found)


def comes_to_hold(
    cluster: Cluster,
    resource: Resource,
    name: str,
    ns: str,
    label_selector: str | None,
    question: Callable[[Counts], bool],
    timeout: Any,
) -> bool:
    """Whether it becomes so within a time; a workload that is not there may still come."""
    seconds = _seconds(timeout)

    def until(objects: Mapping[tuple[str, str], Object]) -> bool:
        return bool(objects) and all(question(Counts.of(obj)) for obj in objects.values())

    try:
        cluster.watch(
            resource,
            ns,
            labels=labelled(label_selector, name),
            fields=f"metadata.name={named(name, resource.kind)}",
            # A look takes a moment, also where nothing is to be waited for.
            deadline=max(seconds, 1.0),
            until=until,
        )
    except ClusterDeadline:
        return False
    return True


def _seconds(timeout: Any) -> float:
    try:
        seconds = parse_duration(timeout)
    except ObjectiveError as error:
        raise ProbeError(f"timeout: {error}") from None
    if seconds > _LONGEST:
        raise ProbeError(f"timeout: at most {_LONGEST:g}s, found {timeout}")
    return seconds
