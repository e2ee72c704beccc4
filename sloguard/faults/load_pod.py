"""The pod of a Job that sends load: whether it has started, how it has ended, and why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sloguard.faults.base import Context, FaultError, Record
from sloguard.faults.load_report import words_of
from sloguard.ports import ClusterDeadline, Object
from sloguard.ports.resources import PODS

#: On the pods of a Job for load: the injection that they belong to.
LABEL = "sloguard.io/load"
CONTAINER = "load"


class Watching:
    """The pod of a Job, until it has started, and until it has ended. None: stopped before."""

    def __init__(self, record: Record, context: Context) -> None:
        self._record, self._context = record, context
        self._cluster = context.cluster(record["cluster"])
        self._last: Object | None = None

    def started(self) -> Object | None:
        """Raises FaultError with what keeps it."""
        seconds = float(self._record["start_within"])
        return self._until(
            lambda pod: _running(pod) or _over(pod),
            seconds,
            lambda: f"has not started the load after {seconds:g}s: {self._why()}",
        )

    def ended(self) -> Object | None:
        """Raises FaultError where it does not end in time, or is deleted."""
        seconds = float(self._record["lasts"])
        return self._until(_over, seconds, lambda: f"has not ended after {seconds:g}s")

    def _until(
        self, holds: Callable[[Object], bool], seconds: float, late: Callable[[], str]
    ) -> Object | None:
        job = f"Job {self._record['namespace']}/{self._record['name']}"

        def enough(pods: Mapping[Any, Object]) -> bool:
            found = next(iter(pods.values()), None)
            if found is None and self._last is not None:
                raise FaultError(f"the pod of {job} was deleted while it sent the load")
            self._last = found or self._last
            return found is not None and bool(holds(found))

        try:
            pods = self._cluster.watch(
                PODS,
                str(self._record["namespace"]),
                labels=f"{LABEL}={self._record['entry']['id']}",
                deadline=seconds,
                stop=self._context.stop,
                until=enough,
            )
        except ClusterDeadline as error:
            raise FaultError(f"{job} {late()}") from error
        found = next(iter(pods.values()), None)
        return found if found is not None and holds(found) else None

    def _why(self) -> str:
        """What keeps the pod from starting, as its own status tells."""
        if self._last is None:
            return "it has no pod, which a quota or a policy may not allow"
        status = self._last.get("status") or {}
        for one in status.get("containerStatuses") or []:
            waiting = (one.get("state") or {}).get("waiting")
            if waiting:
                return words_of(waiting) or "its container waits"
        for one in status.get("conditions") or []:
            if one.get("type") == "PodScheduled" and one.get("status") == "False":
                return words_of(one) or "it is not scheduled"
        return f"its pod is {status.get('phase')}"


def _state(pod: Object) -> Mapping[str, Any]:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    found: Mapping[str, Any] = next((s for s in statuses if s.get("name") == CONTAINER), {})
    state: Mapping[str, Any] = found.get("state") or {}
    return state


def _running(pod: Object) -> bool:
    return "running" in _state(pod)


def terminated(pod: Object) -> Mapping[str, Any] | None:
    """How its container has ended; None where it has not."""
    found: Mapping[str, Any] | None = _state(pod).get("terminated")
    return found


def _over(pod: Object) -> bool:
    # A sidecar may keep a pod going whose load has ended.
    phase = (pod.get("status") or {}).get("phase")
    return terminated(pod) is not None or phase in ("Succeeded", "Failed")


def failure(pod: Object, ended: Mapping[str, Any] | None) -> str:
    """How it has failed, as the rest of a sentence."""
    if ended is not None:
        reason = str(ended.get("reason") or "")
        more = f" ({reason})" if reason not in ("", "Error") else ""
        return f"ended with exit code {ended.get('exitCode')}{more}"
    return f"has failed: {words_of(pod.get('status') or {}) or 'nothing tells why'}"


def last_words(pod: Object) -> str:
    """The last words of a load that has failed."""
    said = str((terminated(pod) or {}).get("message") or "").strip()
    lines = [line for line in said.splitlines() if line.strip()]
    return f": {lines[-1][-300:]}" if lines else ""
