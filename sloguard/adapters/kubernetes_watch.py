"""Following objects until a condition holds: a list, then a watch from there, as often as it takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sloguard.ports import (
    ClusterDeadline,
    ClusterError,
    ClusterGone,
    ClusterUnreachable,
    Object,
)

Key = tuple[str, str]
Until = Callable[[Mapping[Key, Object]], bool]

#: A watch is ended by the server after so long, so that ``stop`` is heard; events come at once.
_SPAN = 2
#: The server may need this much longer to end it, seconds.
_SLACK = 5.0
_PAUSE = 0.2


def follow(
    listed: Callable[[], tuple[list[Object], str]],
    stream: Callable[[Mapping[str, str], float], Iterator[dict[str, Any]]],
    *,
    what: str,
    deadline: float,
    stop: threading.Event,
    until: Until,
) -> Mapping[Key, Object]:
    """The contract of ``ports.Cluster.watch``. ``stream``: (query, longest silence) -> events."""
    ends = time.monotonic() + deadline
    objects: dict[Key, Object] = {}
    version, last = "", ""
    while True:
        try:
            if not version:
                found, version = listed()
                objects = {_key(item): item for item in found}
            if until(objects) or stop.is_set():
                return objects
            left = ends - time.monotonic()
            if left <= 0:
                break
            span = max(min(_SPAN, int(left + 1)), 1)
            query = {
                "watch": "true",
                "resourceVersion": version,
                "allowWatchBookmarks": "true",
                "timeoutSeconds": str(span),
            }
            for event in stream(query, span + _SLACK):
                version = _take(objects, event)
                if until(objects):
                    return objects
                if stop.is_set() or time.monotonic() >= ends:
                    break
        except ClusterGone:
            version = ""
        except ClusterUnreachable as error:
            last = f"; last: {error}"
            if time.monotonic() >= ends:
                break
            stop.wait(min(_PAUSE, max(ends - time.monotonic(), 0.0)))
    raise ClusterDeadline(f"{what}: what was waited for did not come within {deadline:g}s{last}")


def _take(objects: dict[Key, Object], event: dict[str, Any]) -> str:
    """Apply one event; gives the version up to which this is known now."""
    kind, item = event.get("type"), event.get("object") or {}
    if kind == "ERROR":
        code = item.get("code")
        error = (
            ClusterGone
            if code == 410
            else ClusterUnreachable
            if code in (429, 500, 503, 504)
            else ClusterError
        )
        raise error(f"the watch ended: {item.get('message')}", status=int(code or 0))
    if kind == "DELETED":
        objects.pop(_key(item), None)
    elif kind in ("ADDED", "MODIFIED"):
        objects[_key(item)] = item
    return str(item["metadata"]["resourceVersion"])


def _key(item: Object) -> Key:
    about = item["metadata"]
    return str(about.get("namespace") or ""), str(about["name"])
