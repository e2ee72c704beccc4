"""What a container that has sent load reports: a JSON object in its termination message or its log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sloguard.core.model import Json
from sloguard.faults.targets import title
from sloguard.ports import Cluster, ClusterError, Object

#: A longer one is no summary, bytes.
MOST = 64 * 1024
_TRIES = 200


def report_of(cluster: Cluster, pod: Object, container: str, message: str) -> tuple[Json, str]:
    """The report, and where it was found; None, and why there is none."""
    found = last_object(message)
    if found is not None:
        return found, "termination message"
    about = pod["metadata"]
    try:
        logged = cluster.logs(str(about["name"]), str(about["namespace"]), container=container)
    except ClusterError as error:
        return None, f"no JSON object in the termination message, and no log: {error}"
    # Each line comes after its time.
    text = "\n".join(line.partition(" ")[2] for line in logged.splitlines())
    found = last_object(text)
    if found is None:
        return (
            None,
            f"no JSON object in the termination message or at the end of the log of {title(pod)}",
        )
    return found, "log"


def last_object(text: str) -> dict[str, Any] | None:
    """The JSON object that a text ends with, on one line or on several; else the last that has a line."""
    lines = text.splitlines()
    tries = 0
    for index in range(len(lines) - 1, -1, -1):
        if not lines[index].startswith("{"):
            continue
        for piece in (lines[index], "\n".join(lines[index:])):
            found = _object(piece)
            if found is not None:
                return found
        tries += 1
        if tries >= _TRIES:
            break
    return None


def _object(text: str) -> dict[str, Any] | None:
    if len(text) > MOST:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def words_of(said: Mapping[str, Any]) -> str:
    """``Reason: message`` of a part of a status."""
    return ": ".join(str(said[key])[:200] for key in ("reason", "message") if said.get(key))
