"""What a Job and its pods tell of a worker: waiting and for what, running, ending, over and why."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sloguard.adapters.kubernetes_job_objects import RUN
from sloguard.core.visible import visible
from sloguard.ports import Object
from sloguard.ports.service import SeenWorker, WorkerPhase

_OVER = ("Succeeded", "Failed")
_LONGEST = 1500
#: What a container waits for while all is well.
_WELL = ("ContainerCreating", "PodInitializing")


def seen(handle: str, job: Object | None, pods: Sequence[Object], now: float) -> SeenWorker:
    """One worker. ``job`` None: it is gone, and only pods are left. ``now``: the server's time."""
    about = (job or pods[0])["metadata"]
    phase, detail = _told(job, pods)
    return SeenWorker(
        handle=handle,
        job=str((about.get("labels") or {}).get(RUN, "")),
        phase=phase,
        detail=visible(" ".join(detail.split()))[:_LONGEST],
        age=max(now - _seconds(about.get("creationTimestamp"), now), 0.0),
    )


def _told(job: Object | None, pods: Sequence[Object]) -> tuple[WorkerPhase, str]:
    left = [pod for pod in pods if _phase(pod) not in _OVER]
    if job is None:
        why = "its Job was deleted"
        return (WorkerPhase.ENDING if left else WorkerPhase.ENDED), _joined(why, _ends(pods))
    failed = _condition(job, "Failed", "FailureTarget")
    if failed is not None:
        why = _joined(f"its Job failed: {_reason(failed)}", _ends(pods))
        return (WorkerPhase.ENDING if left else WorkerPhase.ENDED), why
    if _condition(job, "Complete", "SuccessCriteriaMet") is not None:
        return WorkerPhase.ENDED, "its pod ended with code 0"
    if job["metadata"].get("deletionTimestamp"):
        # Its finalizer keeps a Job that is deleted in the foreground until its pods are gone.
        why = "its Job is being deleted"
        return (WorkerPhase.ENDING if left else WorkerPhase.ENDED), _joined(why, _ends(pods))
    if not left:
        if pods:
            return WorkerPhase.ENDED, _ends(pods)
        return WorkerPhase.WAITING, "the cluster has made no pod for it yet"
    pod = left[0]
    if pod["metadata"].get("deletionTimestamp"):
        return WorkerPhase.ENDING, _joined("its pod is being deleted", _disruption(pod))
    if _phase(pod) == "Running":
        return WorkerPhase.RUNNING, ""
    return WorkerPhase.WAITING, _waiting(pod)


def _waiting(pod: Object) -> str:
    for container in _containers(pod):
        state = (container.get("state") or {}).get("waiting") or {}
        if state.get("reason") and state["reason"] not in _WELL:
            return _reason(state)
    scheduled = _condition(pod, "PodScheduled")
    if scheduled is None and (pod["spec"].get("nodeName") is None):
        unscheduled = _condition(pod, "PodScheduled", status="False") or {}
        return _joined("no node takes its pod", _reason(unscheduled) if unscheduled else "")
    return "its pod is being started"


def _ends(pods: Iterable[Object]) -> str:
    """How containers ended, and what they said last."""
    return "; ".join(dict.fromkeys(filter(None, (_end(pod) for pod in pods))))


def _end(pod: Object) -> str:
    status = pod.get("status") or {}
    parts = [_disruption(pod)]
    if status.get("reason"):
        parts.append(_reason(status))
    for container in _containers(pod):
        ended = (container.get("state") or {}).get("terminated") or {}
        if ended:
            reason = ended.get("reason") or ""
            how = f"its container ended with code {ended.get('exitCode')}"
            how += f" ({reason})" if reason not in ("", "Error", "Completed") else ""
            parts.append(_joined(how, str(ended.get("message") or "").strip()))
    if not any(parts) and _phase(pod) == "Failed":
        parts.append("its pod failed")
    return _joined(*parts)


def _disruption(pod: Object) -> str:
    """Why somebody takes it away: eviction, preemption, a taint, a node that is gone."""
    found = _condition(pod, "DisruptionTarget")
    return _reason(found) if found else ""


def _containers(pod: Object) -> list[Mapping[str, Any]]:
    status = pod.get("status") or {}
    return [
        *(status.get("initContainerStatuses") or []),
        *(status.get("containerStatuses") or []),
    ]


def _condition(obj: Object, *kinds: str, status: str = "True") -> Mapping[str, Any] | None:
    found = (obj.get("status") or {}).get("conditions") or []
    return next((c for c in found if c["type"] in kinds and c["status"] == status), None)


def _reason(told: Mapping[str, Any]) -> str:
    return ": ".join(str(told[key]) for key in ("reason", "message") if told.get(key))


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase") or "")


def _joined(*parts: str) -> str:
    return ": ".join(part for part in parts if part)


def _seconds(written: Any, otherwise: float) -> float:
    try:
        return datetime.datetime.fromisoformat(str(written)).timestamp()
    except ValueError:
        return otherwise
