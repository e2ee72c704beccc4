"""What others on the cluster do in a world: the images that send load, and Chaos Mesh."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Mapping
from typing import Any

from sloguard.ports import ClusterError, Object, Resource
from sloguard.ports.resources import PODS
from tests.support.clusters import Ground
from tests.support.mesh.looking import NETWORK_CHAOS, Snapshot

CHAOS = Resource("chaos-mesh.org", "v1alpha1", "networkchaos", NETWORK_CHAOS)
_DEFINITIONS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False
)
_ANY = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_LOAD = "sloguard.io/load"


class LoadPods:
    """Pods of Jobs that send load, as fortio does: ``-qps`` requests a second, for ``-t``."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._since: dict[str, float] = {}
        self._over: set[str] = set()

    def step(self, seen: Snapshot, now: float) -> None:
        """Let them start, and end when their time is up."""
        for pod in _load_pods(seen):
            uid = pod["metadata"]["uid"]
            if not pod["spec"].get("nodeName") or uid in self._over:
                continue
            if uid not in self._since:
                self._since[uid] = now
                self._say(pod, "Running", {"running": {"startedAt": _stamp()}})
            elif now - self._since[uid] >= _seconds(_told(pod)["-t"]):
                self._over.add(uid)
                report = {"sent": _rate(pod) * _seconds(_told(pod)["-t"])}
                ended = {"exitCode": 0, "message": json.dumps(report), "finishedAt": _stamp()}
                self._say(pod, "Succeeded", {"terminated": ended})

    def rate(self, seen: Snapshot) -> float:
        """Requests a second of those that send now."""
        sending = [p for p in _load_pods(seen) if p["metadata"]["uid"] in self._since]
        return sum(_rate(p) for p in sending if p["metadata"]["uid"] not in self._over)

    def _say(self, pod: Object, phase: str, state: Mapping[str, Any]) -> None:
        about = pod["metadata"]
        name = pod["spec"]["containers"][0]["name"]
        status = {"phase": phase, "containerStatuses": [{"name": name, "state": state}]}
        with contextlib.suppress(ClusterError):
            self._ground.cluster.merge_patch(
                PODS, about["name"], about["namespace"], {"status": status}, subresource="status"
            )


def is_load(pod: Object) -> bool:
    """Whether it belongs to a Job that sends load."""
    return _LOAD in (pod["metadata"].get("labels") or {})


def _load_pods(seen: Snapshot) -> list[Object]:
    return [p for p in seen.of("Pod") if is_load(p) and not p["metadata"].get("deletionTimestamp")]


def _told(pod: Object) -> dict[str, str]:
    args = [str(a) for a in pod["spec"]["containers"][0]["args"]]
    return dict(itertools.pairwise(args))


def _rate(pod: Object) -> float:
    return float(_told(pod)["-qps"])


def _seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def _stamp() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def install_chaos_mesh(ground: Ground) -> None:
    """Its NetworkChaos, as far as a world obeys it."""
    names = {"plural": CHAOS.plural, "singular": CHAOS.plural, "kind": CHAOS.kind}
    whole = {"type": "object", "properties": {"spec": _ANY, "status": _ANY}}
    version = {
        "name": CHAOS.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": whole},
        "subresources": {"status": {}},
    }
    spec = {"group": CHAOS.group, "names": names, "scope": "Namespaced", "versions": [version]}
    ground.create(_DEFINITIONS, None, f"{CHAOS.plural}.{CHAOS.group}", spec)
    ground.eventually(lambda: _served(ground))


def _served(ground: Ground) -> bool:
    with contextlib.suppress(ClusterError):
        ground.cluster.list(ground.cluster.resource(CHAOS.api_version, CHAOS.kind))
        return True
    return False


def inject_chaos(ground: Ground, seen: Snapshot) -> None:
    """What Chaos Mesh's controller says once it has done what it was told."""
    for chaos in seen.of(NETWORK_CHAOS):
        if not chaos.get("status"):
            about = chaos["metadata"]
            status = {"conditions": [{"type": "AllInjected", "status": "True"}]}
            with contextlib.suppress(ClusterError):
                ground.cluster.merge_patch(
                    CHAOS,
                    about["name"],
                    about["namespace"],
                    {"status": status},
                    subresource="status",
                )
