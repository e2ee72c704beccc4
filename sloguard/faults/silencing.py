"""A silence in Alertmanager for the time of a fault: made, written down and ended as a fault is.

It belongs to no family that ``discover`` shows: an experiment asks for it under ``alerts.silence``.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sloguard.core.alert_rules import pattern_of
from sloguard.core.model import Json
from sloguard.core.text import iso_time
from sloguard.faults.base import Context, FaultError, Injection, Plan, Record, fault
from sloguard.ports.silences import Silences

NAME = "alertmanager.silence"
#: How long after its end a silence is certainly over, whatever the clocks say, seconds.
_CERTAIN = 120.0


def _silences(context: Context) -> Silences:
    if context.silences is None:
        raise FaultError("no Alertmanager is configured; set alertmanager.url")
    return context.silences


def _inject(record: Record, context: Context) -> Json:
    matchers = pattern_of(record["matchers"]).matchers
    made = _silences(context).create(
        matchers, float(record["seconds"]), str(record["comment"]), str(record["token"])
    )
    context.save({**record, "id": made})
    shown = ", ".join(map(str, matchers))
    return {"id": made, "said": f"silenced {shown} until {iso_time(record['until'])} at most"}


def _undo(record: Record, context: Context) -> str:
    """By its id, and by what stands in its comment: it may have been made without anybody hearing of it."""
    if context.now() > float(record["until"]) + _CERTAIN:
        return ""
    return _silences(context).expire(str(record["token"]), str(record.get("id") or ""))


@fault(NAME, inject=_inject, undo=_undo)
def silence(
    matchers: Sequence[Mapping[str, Any]],
    seconds: float,
    until: float,
    comment: str = "",
    *,
    context: Context,
) -> Plan:
    """Keep alerts from notifying anybody, for a time.

    matchers: What they match, each with label, operator and value.
    seconds: How long at most.
    until: When it ends by itself, seconds since the epoch.
    comment: What is said beside the run.
    """
    token = f"sloguard {context.run or 'run'} {uuid.uuid4().hex[:12]}"
    shown = ", ".join(map(str, pattern_of(matchers).matchers))
    record = {
        "matchers": [dict(matcher) for matcher in matchers],
        "seconds": seconds,
        "until": until,
        "comment": comment,
        "token": token,
    }
    by_hand = (
        f"in Alertmanager, expire the silence whose comment holds '{token}'; it ends by itself at "
        f"{iso_time(until)}"
    )
    return Plan((Injection(target=shown, record=record, by_hand=by_hand),), summary="a silence")
