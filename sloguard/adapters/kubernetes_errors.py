"""What an API server's refusal means, as errors of the port."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sloguard.ports import (
    ClusterBadRequest,
    ClusterConflict,
    ClusterError,
    ClusterExists,
    ClusterForbidden,
    ClusterGone,
    ClusterInvalid,
    ClusterNotFound,
    ClusterUnauthorized,
    ClusterUnreachable,
    TooManyDisruptions,
)

_MOST_TEXT = 400
#: An eviction of a pod that several budgets cover: a Status with this text, without reason or causes.
_SEVERAL_BUDGETS = "more than one PodDisruptionBudget"
_BY_STATUS: Mapping[int, type[ClusterError]] = {
    400: ClusterBadRequest,
    401: ClusterUnauthorized,
    403: ClusterForbidden,
    404: ClusterNotFound,
    405: ClusterBadRequest,
    406: ClusterBadRequest,
    409: ClusterConflict,
    410: ClusterGone,
    413: ClusterBadRequest,
    415: ClusterBadRequest,
    422: ClusterInvalid,
}
#: The server was busy or away; what it could not do now it may do soon.
PASSING = frozenset({429, 500, 502, 503, 504})


def refusal(
    asked: str, status: int, body: bytes, retry_after: float | None, *, tested: bool
) -> ClusterError:
    """The error of an answer. ``asked`` says what was asked of whom; ``tested``: by a JSON patch that
    has a ``test`` in it, whose failure arrives as 422 without a cause."""
    said = status_object(body)
    reason, message = str(said.get("reason") or ""), str(said.get("message") or "")
    details = said.get("details")
    causes = details.get("causes") if isinstance(details, Mapping) else None
    causes = [c for c in causes or [] if isinstance(c, Mapping)]
    kind = _BY_STATUS.get(status, ClusterUnreachable if status in PASSING else ClusterError)
    if status == 409 and reason == "AlreadyExists":
        kind = ClusterExists
    elif status == 429 and _of_budget(causes):
        kind = TooManyDisruptions
        message = f"{message} {_of_budget(causes)}"
    elif status == 500 and _SEVERAL_BUDGETS in message:
        # Not passing: it stays so as long as both budgets are there.
        kind = TooManyDisruptions
    elif status == 422 and tested and not causes:
        kind = ClusterConflict
        message = "a test of the patch failed: the object is not what it was"
    elif status == 422 and any(c.get("field") == "metadata.uid" for c in causes):
        # A patch that names the uid of another object; in a PUT or DELETE it would be a 409.
        kind = ClusterConflict
    if not message:
        message = _excerpt(body) or f"status {status}"
    text = f"{asked}: {status} {reason}: {message}" if reason else f"{asked}: {status}: {message}"
    more: dict[str, Any] = {
        "status": status,
        "reason": reason,
        "causes": causes,
        "retry_after": retry_after,
    }
    return kind(text[:_MOST_TEXT], **more)


def status_object(body: bytes) -> Mapping[str, Any]:
    """The Status of a body; empty where it is none (a proxy's page, a plain text)."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, Mapping) and found.get("kind") == "Status" else {}


def _of_budget(causes: list[Mapping[str, Any]]) -> str:
    """What the disruption budget says, if it is one that refuses."""
    found = [str(c.get("message") or "") for c in causes if c.get("reason") == "DisruptionBudget"]
    return found[0] or "a disruption budget does not allow it" if found else ""


def _excerpt(body: bytes) -> str:
    text = body[:120].decode("utf-8", "replace").strip()
    return "" if text.startswith(("<", "{")) else " ".join(text.split())
