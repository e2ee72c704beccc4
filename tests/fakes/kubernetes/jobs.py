"""Jobs: their pods, their deadlines, and their end."""

from __future__ import annotations

import datetime
import time
import uuid
from typing import Any

from tests.fakes.kubernetes.copying import copied
from tests.fakes.kubernetes.state import Object, State, stamp

TRACKING = "batch.kubernetes.io/job-tracking"


def fill(obj: Object) -> None:
    """What the server adds to a Job that is created."""
    spec = obj["spec"]
    for key, value in (("parallelism", 1), ("completions", 1), ("backoffLimit", 6), ("completionMode", "NonIndexed"), ("suspend", False), ("podReplacementPolicy", "TerminatingOrFailed"), ("manualSelector", False)):  # fmt: skip
        spec.setdefault(key, value)
    uid = obj["metadata"]["uid"] = str(uuid.uuid4())
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    about = spec["template"].setdefault("metadata", {})
    name = obj["metadata"]["name"]
    about["labels"] = {
        **about.get("labels", {}),
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    obj["status"] = {}


def problems(spec: Object) -> list[tuple[str, str, str]]:
    """What does not fit: (field, reason, text)."""
    policy = ((spec.get("template") or {}).get("spec") or {}).get("restartPolicy")
    if policy in ("Never", "OnFailure"):
        return []
    text = 'Required value: valid values: "OnFailure", "Never"'
    return [("spec.template.spec.restartPolicy", "FieldValueRequired", text)]


def pod_of(job: Object, suffix: str) -> Object:
    """A new pod of a Job."""
    about, template = job["metadata"], copied(job["spec"]["template"])
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": about["name"], "uid": about["uid"], "controller": True, "blockOwnerDeletion": True}  # fmt: skip
    metadata: Object = {
        "namespace": about["namespace"],
        **template["metadata"],
        "generateName": f"{about['name']}-",
        "name": f"{about['name']}-{suffix}",
        "finalizers": [TRACKING],
        "ownerReferences": [owner],
    }
    return {"metadata": metadata, "spec": template["spec"]}


def step(state: State, make: Any, end: Any) -> None:
    """One look at every Job. ``make`` gives a Job its pod, ``end`` ends one."""
    kind, pods_kind = state.kind("Job"), state.kind("Pod")
    _let_orphans_go(state)
    for job in state.all("Job"):
        uid, status = job["metadata"]["uid"], dict(job.get("status") or {})
        pods = [p for p in state.all("Pod", job["metadata"]["namespace"]) if _is_of(p, uid)]
        over = {c["type"] for c in status.get("conditions") or []} & {"Complete", "Failed"}
        for pod in pods:
            phase, going = pod["status"].get("phase"), pod["metadata"].get("deletionTimestamp")
            if TRACKING in (pod["metadata"].get("finalizers") or []) and (
                going or over or phase in ("Succeeded", "Failed")
            ):
                if not over and (going or phase in ("Succeeded", "Failed")):
                    key = "succeeded" if phase == "Succeeded" else "failed"
                    status[key] = status.get(key, 0) + 1
                pod["metadata"]["finalizers"].remove(TRACKING)
                state.put(pods_kind, pod)
        if over or job["metadata"].get("deletionTimestamp"):
            if over and _is_past(status, job["spec"].get("ttlSecondsAfterFinished")):
                state.remove(kind, job)
            continue
        if "startTime" not in status:
            make(job)
            status["startTime"] = stamp()
        running = [p for p in pods if p["status"].get("phase") in ("Pending", "Running")]
        active = [p for p in running if not p["metadata"].get("deletionTimestamp")]
        status["active"] = len(active)
        failing = [c for c in status.get("conditions") or [] if c["type"] == "FailureTarget"]
        reason = _failed(job, status)
        if failing:
            # Failed since 1.31 only once all pods are over.
            if not running:
                last = {**failing[0], "type": "Failed", "lastTransitionTime": stamp()}
                status["conditions"] = [failing[0], last]
        elif status.get("succeeded", 0) >= job["spec"]["completions"]:
            _finish(status, "Complete", "CompletionsReached", "Reached expected number of succeeded pods")  # fmt: skip
            status["completionTime"] = stamp()
        elif reason:
            for pod in active:
                end(pod)
            _finish(status, "Failed", *reason)
            if running:
                del status["conditions"][-1]
        if not status.get("active"):
            status.pop("active", None)
        state.put(kind, {**job, "status": status})


def _let_orphans_go(state: State) -> None:
    """Nobody counts the pods of a Job that is gone."""
    uids = {job["metadata"]["uid"] for job in state.all("Job")}
    for pod in state.all("Pod"):
        about = pod["metadata"]
        owners = {owner["uid"] for owner in about.get("ownerReferences") or []}
        if TRACKING in (about.get("finalizers") or []) and not owners & uids:
            about["finalizers"].remove(TRACKING)
            state.put(state.kind("Pod"), pod)


def _is_of(pod: Object, uid: str) -> bool:
    return any(o["uid"] == uid for o in pod["metadata"].get("ownerReferences") or [])


def _failed(job: Object, status: Object) -> tuple[str, str] | None:
    if status.get("failed", 0) > job["spec"]["backoffLimit"]:
        return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    limit = job["spec"].get("activeDeadlineSeconds")
    if limit is not None and time.time() - _seconds(status["startTime"]) >= limit:
        return "DeadlineExceeded", "Job was active longer than specified deadline"
    return None


def _finish(status: Object, kind: str, reason: str, message: str) -> None:
    status["active"] = 0
    now = stamp()
    status["conditions"] = [
        {"type": name, "status": "True", "lastProbeTime": now, "lastTransitionTime": now, "reason": reason, "message": message}
        for name in ("SuccessCriteriaMet" if kind == "Complete" else "FailureTarget", kind)
    ]  # fmt: skip


def _is_past(status: Object, limit: int | None) -> bool:
    ended = status["conditions"][-1]["lastTransitionTime"]
    return limit is not None and time.time() - _seconds(ended) >= limit


def _seconds(written: str) -> float:
    return datetime.datetime.fromisoformat(written).timestamp()
