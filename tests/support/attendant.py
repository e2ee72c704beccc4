"""Who does a kubelet's work for a test's nodes and pods on a real cluster, where nobody else does.

Such clusters have no containers; something like kwok simulates their nodes and pods, mostly at once. What has
not come about after a while is done here: a node is said to be ready, a pod is bound, said to run, and, once
it is to end, said to have ended.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from sloguard.ports import ClusterError, Object
from sloguard.ports.resources import NAMESPACES, NODES, PODS

if TYPE_CHECKING:
    from tests.support.clusters import Ground

#: So long others have time to do it, seconds.
_WAITS = 4.0
_LOOK = 1.0
_NOT_READY = "node.kubernetes.io/not-ready"


def is_ready(obj: Object) -> bool:
    """A pod or a node, by its condition."""
    conditions = (obj.get("status") or {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


class Attendant:
    """Works from the first look until ``stop``, for what the ground has made."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._since: dict[tuple[str, str], float] = {}
        self._was_ready: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._attend, name="attendant", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """And wait for it."""
        self._stopping.set()
        self._thread.join(30)

    def _attend(self) -> None:
        while not self._stopping.wait(_LOOK):
            made = list(self._ground._made)
            for kind, name in made:
                if self._stopping.is_set():
                    return
                with contextlib.suppress(ClusterError):
                    if kind == NODES:
                        self._node(self._ground.direct.get(NODES, name))
                    elif kind == NAMESPACES:
                        for pod in self._ground.direct.list(PODS, name):
                            self._pod(pod)

    def _late(self, obj: Object, what: str, then: Callable[[], object]) -> None:
        """Do it if it has been wanted for too long."""
        key = (str(obj["metadata"]["uid"]), what)
        if time.monotonic() - self._since.setdefault(key, time.monotonic()) >= _WAITS:
            then()

    def _node(self, node: Object) -> None:
        taints = node["spec"].get("taints") or []
        uid = str(node["metadata"]["uid"])
        if is_ready(node):
            self._was_ready.add(uid)
        if not is_ready(node) and uid not in self._was_ready:
            self._late(node, "ready", lambda: self._say_ready(node))
        elif any(t["key"] == _NOT_READY for t in taints):
            kept = [t for t in taints if t["key"] != _NOT_READY]
            version = node["metadata"]["resourceVersion"]
            change = {"metadata": {"resourceVersion": version}, "spec": {"taints": kept or None}}
            name = str(node["metadata"]["name"])
            self._late(
                node, "taint", lambda: self._ground.direct.merge_patch(NODES, name, None, change)
            )

    def _say_ready(self, node: Object) -> None:
        capacity = {"cpu": "32", "memory": "256Gi", "pods": "110"}
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "posting"}
        times = {"lastHeartbeatTime": _now(), "lastTransitionTime": _now()}
        status = {"capacity": capacity, "allocatable": capacity, "conditions": [{**ready, **times}]}
        name = str(node["metadata"]["name"])
        self._ground.direct.merge_patch(NODES, name, None, {"status": status}, subresource="status")

    def _pod(self, pod: Object) -> None:
        about, direct = pod["metadata"], self._ground.direct
        if about.get("deletionTimestamp"):
            self._late(
                pod, "end", lambda: direct.delete(PODS, about["name"], about["namespace"], grace=0)
            )
        elif not pod["spec"].get("nodeName"):
            self._late(pod, "bind", lambda: self._bind(pod))
        elif pod["status"].get("phase") == "Pending":
            # What has run and does not any more is what a test is about.
            self._late(pod, "run", lambda: self._say_running(pod))

    def _bind(self, pod: Object) -> None:
        wanted = (pod["spec"].get("nodeSelector") or {}).items()
        fitting = [
            name
            for kind, name in self._ground._made
            if kind == NODES
            and not (node := self._ground.direct.get(NODES, name))["spec"].get("unschedulable")
            and wanted <= (node["metadata"].get("labels") or {}).items()
        ]
        if not fitting:
            return
        about = pod["metadata"]
        target = {"apiVersion": "v1", "kind": "Node", "name": fitting[hash(about["uid"]) % len(fitting)]}  # fmt: skip
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": about["name"]}}
        path = f"/api/v1/namespaces/{about['namespace']}/pods/{about['name']}/binding"
        self._ground.direct._http.request(
            "POST", path, None, {**body, "target": target}, again=False
        )

    def _say_running(self, pod: Object) -> None:
        about = pod["metadata"]
        kinds = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
        conditions = [{"type": k, "status": "True", "lastTransitionTime": _now()} for k in kinds]
        number = int(about["uid"].replace("-", "")[:6], 16)
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number % 250 + 1}"
        containers = [
            {
                "name": c["name"],
                "image": c["image"],
                "imageID": "",
                "ready": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": _now()}},
            }
            for c in pod["spec"]["containers"]
        ]
        status = {
            "phase": "Running",
            "conditions": conditions,
            "podIP": address,
            "podIPs": [{"ip": address}],
            "startTime": _now(),
            "containerStatuses": containers,
        }
        self._ground.direct.merge_patch(
            PODS, about["name"], about["namespace"], {"status": status}, subresource="status"
        )


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
