"""The axis of time: UTC at round moments, and the distance from the fault at round distances."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from sloguard.core.model import Timeline
from sloguard.core.text import format_duration, format_time

_DAY = 86400.0
_STEPS = (
    *(0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 10800, 21600, 43200),
    *(_DAY, 2 * _DAY, 5 * _DAY, 10 * _DAY, 30 * _DAY, 100 * _DAY, 365 * _DAY),
)

Ticks = list[tuple[float, str]]


def step_for(span: float, count: int) -> float:
    """The smallest round distance that cuts ``span`` seconds into at most ``count`` parts."""
    rough = span / max(count, 1)
    return float(next((s for s in _STEPS if s >= rough), _STEPS[-1]))


def utc_ticks(start: float, end: float, count: int) -> Ticks:
    """Round moments of UTC with their labels; the date where a day begins."""
    step = step_for(end - start, count)
    first = math.ceil(start / step - 1e-6)
    moments = [k * step for k in range(first, math.floor(end / step + 1e-6) + 1)]
    return [(m, _utc_label(m, step)) for m in moments]


def _utc_label(moment: float, step: float) -> str:
    at = datetime.fromtimestamp(round(moment, 3), UTC)
    if step >= _DAY or (step >= 60 and moment % _DAY == 0 and moment):
        return f"{at:%b} {at.day}"
    if step >= 60:
        return f"{at:%H:%M}"
    if step >= 1:
        return f"{at:%H:%M:%S}"
    return f"{at:%H:%M:%S}.{at.microsecond // 10000:02d}".rstrip("0").rstrip(".")


def offset_ticks(fault: float, start: float, end: float, count: int) -> Ticks:
    """Round distances from the fault; 0 is the fault itself."""
    step = step_for(end - start, count)
    first = math.ceil((start - fault) / step - 1e-6)
    last = math.floor((end - fault) / step + 1e-6)
    return [(fault + k * step, _offset_label(k * step)) for k in range(first, last + 1)]


def _offset_label(seconds: float) -> str:
    if seconds == 0:
        return "0"
    return ("+" if seconds > 0 else "−") + format_duration(abs(seconds))


def mark_text(at: float, timeline: Timeline) -> str:
    """'14:00:00Z', with the date where the window has more than one."""
    days = {int(t // _DAY) for t in (timeline.start, timeline.end)}
    moment = datetime.fromtimestamp(round(at), UTC)
    date = f"{moment:%b} {moment.day} " if len(days) > 1 else ""
    return date + format_time(round(at))


def window_text(start: float, end: float) -> str:
    """'2026-01-01 14:00:00Z to 14:05:00Z'; the second date only where it is another."""
    a, b = (datetime.fromtimestamp(round(t), UTC) for t in (start, end))
    second = f"{b:%H:%M:%S}Z" if a.date() == b.date() else f"{b:%Y-%m-%d %H:%M:%S}Z"
    return f"{a:%Y-%m-%d %H:%M:%S}Z to {second}"
