"""How long it takes until what owned the pods that were terminated has brought others, Ready ones."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sloguard.core.model import Json
from sloguard.core.text import format_duration
from sloguard.faults.base import Context
from sloguard.faults.pod_selection import controller_of, is_ready
from sloguard.faults.targets import title
from sloguard.ports import Cluster, ClusterDeadline, Object
from sloguard.ports.resources import PODS

_MOST_THREADS = 8


def owners_of(cluster: Cluster, victims: Sequence[Object]) -> tuple[list[Json], list[Json]]:
    """Each workload that loses pods, with how many Ready ones it has; and the pods that nothing owns."""
    found: dict[str, dict[str, Json]] = {}
    pods: dict[str, list[Object]] = {}
    alone: list[Json] = []
    for victim in victims:
        owner, namespace = controller_of(victim), str(victim["metadata"]["namespace"])
        if owner is None:
            alone.append(title(victim))
            continue
        if namespace not in pods:
            pods[namespace] = cluster.list(PODS, namespace)
        mine = [p for p in pods[namespace] if (controller_of(p) or {}).get("uid") == owner["uid"]]
        found[owner["uid"]] = {
            "uid": owner["uid"],
            "title": f"{owner['kind']} {namespace}/{owner['name']}",
            "namespace": namespace,
            "ready": sum(map(is_ready, mine)),
        }
    return list(found.values()), alone


def wait(
    cluster: Cluster,
    owners: Sequence[Mapping[str, Any]],
    alone: Sequence[str],
    victims: Sequence[str],
    context: Context,
    *,
    began: float,
    ends: float,
) -> dict[str, Any]:
    """Until every workload has as many Ready pods again as it had; that they do not come is no error.

    ``victims``: uids of the pods that do not count. Gives ``replaced``, ``seconds`` since ``began``, and the same of
    each workload, under ``replacements``; ``said``: it all in a sentence.
    """
    counts: dict[str, int] = {}
    times: dict[str, float] = {}
    namespaces = sorted({str(owner["namespace"]) for owner in owners})

    def watched(namespace: str) -> None:
        mine = [o for o in owners if o["namespace"] == namespace and int(o["ready"])]

        def back(pods: Mapping[Any, Object]) -> bool:
            fresh = [
                p for p in pods.values() if is_ready(p) and p["metadata"]["uid"] not in victims
            ]
            for owner in mine:
                uid = str(owner["uid"])
                counts[uid] = sum((controller_of(p) or {}).get("uid") == uid for p in fresh)
                if counts[uid] >= int(owner["ready"]):
                    times.setdefault(uid, time.monotonic() - began)
            return all(str(owner["uid"]) in times for owner in mine)

        left = max(ends - time.monotonic(), 0.001)
        # What has not come is told of each workload.
        with contextlib.suppress(ClusterDeadline):
            cluster.watch(PODS, namespace, deadline=left, stop=context.stop, until=back)

    if namespaces:
        with ThreadPoolExecutor(min(len(namespaces), _MOST_THREADS)) as pool:
            list(pool.map(watched, namespaces))
    lasted = time.monotonic() - began
    told = [_told(owner, counts, times, lasted, stopped=context.stop.is_set()) for owner in owners]
    told += [
        {
            "owner": None,
            "pod": pod,
            "replaced": False,
            "why": "nothing owns it, so nothing replaces it",
        }
        for pod in alone
    ]
    return {
        "replaced": all(one["replaced"] for one in told),
        "seconds": round(
            max(times.values(), default=lasted) if len(times) == len(told) else lasted, 3
        ),
        "replacements": told,
        "said": "; ".join(map(_in_words, told)),
    }


def _told(
    owner: Mapping[str, Any],
    counts: Mapping[str, int],
    times: Mapping[str, float],
    lasted: float,
    *,
    stopped: bool,
) -> dict[str, Any]:
    uid, ready = str(owner["uid"]), int(owner["ready"])
    made: dict[str, Any] = {"owner": owner["title"], "wanted": ready}
    if uid in times:
        return {**made, "ready": counts[uid], "replaced": True, "seconds": round(times[uid], 3)}
    made |= {"ready": counts.get(uid, 0), "replaced": False}
    if not ready:
        return {
            **made,
            "why": "none of its pods was Ready before, so nothing tells when it is back",
        }
    when = "when it was stopped" if stopped else f"after {format_duration(round(lasted, 1))}"
    return {**made, "why": f"{counts.get(uid, 0)} of {ready} pods are Ready {when}"}


def _in_words(one: Mapping[str, Any]) -> str:
    who = one["owner"] or one["pod"]
    if one["replaced"]:
        return f"{who} was back after {format_duration(one['seconds'])}"
    return f"{who} was not back: {one['why']}"
