"""What happened, in words and spans: how long a series was in breach, and when it was back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sloguard.core.arrays import Bools, Floats
from sloguard.core.model import PhaseName, Slo, Timeline, Verdict
from sloguard.core.results import PhaseResult, SeriesResult
from sloguard.core.series import LabelSet
from sloguard.core.text import format_duration, format_time, format_value
from sloguard.render.charts.model import Curve, Deviation, PhaseView, Recovery, Span


def runs_of(mask: Bools) -> list[tuple[int, int]]:
    """First and last index of every run of True."""
    padded = np.concatenate(([False], mask, [False]))
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    return [(int(a), int(b) - 1) for a, b in edges.reshape(-1, 2)]


def spans_of(mask: Bools, times: Floats, step: float, end: float) -> tuple[Span, ...]:
    """Runs of points as spans of time: each point stands for ``step`` seconds, up to ``end``."""
    return tuple(
        Span(float(times[a]), max(min(float(times[b]) + step, end), float(times[a])))
        for a, b in runs_of(mask)
    )


def deviation_of(
    curves: Sequence[Curve],
    results: Sequence[SeriesResult | None],
    phases: Sequence[PhaseView],
    times: Floats,
    step: float,
    unit: str,
) -> Deviation | None:
    """The breaches of the first curve that has any; the curves come worst first."""
    index = next((i for i, curve in enumerate(curves) if curve.breach.any()), None)
    if index is None:
        return None
    curve, result = curves[index], results[index]
    seconds = {p.name: _seconds(curve, result, p, times, step) for p in phases}
    # Breaches in ``after`` are told by the recovery, unless there is nothing else to tell.
    breached = [p for p in phases if seconds[p.name] > 0]
    breached = [p for p in breached if p.name is not PhaseName.AFTER] or [phases[-1]]
    told = max(breached, key=lambda p: (_rank(result, p), seconds[p.name]))
    worst, worst_at = _worst(curve, result, told)
    text = brief = _spoken(breached, seconds)
    if told.tolerated and told.name is not PhaseName.AFTER:
        text += f" ({told.tolerated})"
    if worst is not None and worst_at is not None:
        text += f", worst {format_value(worst, unit)} at {format_time(worst_at)}"
        brief += f", worst {format_value(worst, unit)}"
    runs = spans_of(curve.breach, times, step, phases[-1].end)
    return Deviation(index, runs, text, brief, worst, worst_at)


def _rank(result: SeriesResult | None, phase: PhaseView) -> int:
    judged = result.phases.get(phase.name) if result else None
    return judged.verdict.rank if judged else 0


def _seconds(
    curve: Curve, result: SeriesResult | None, phase: PhaseView, times: Floats, step: float
) -> float:
    judged = result.phases.get(phase.name) if result else None
    if judged is not None and phase.name is not PhaseName.AFTER:
        return judged.breach_seconds
    # Of ``after`` only what is not excused, as the curve has it.
    inside = (times >= phase.start) & (times <= phase.end)
    return float((curve.breach & inside).sum() * step)


def _worst(
    curve: Curve, result: SeriesResult | None, phase: PhaseView
) -> tuple[float | None, float | None]:
    judged = result.phases.get(phase.name) if result else None
    if judged is not None and judged.worst is not None:
        return judged.worst, judged.worst_at
    return curve.worst, curve.worst_at


def _spoken(breached: Sequence[PhaseView], seconds: dict[PhaseName, float]) -> str:
    if len(breached) == 1:
        when = "" if breached[0].name is PhaseName.DURING else f" {breached[0].name}"
        return f"{format_duration(seconds[breached[0].name])} in breach{when}"
    parts = [f"{format_duration(seconds[p.name])} {p.name}" for p in breached]
    return f"in breach {', '.join(parts)}"


def recovery_of(
    slo: Slo, timeline: Timeline, series: Sequence[SeriesResult], names: Mapping[LabelSet, str]
) -> Recovery | None:
    """The slowest recovery of all series; one that never came is the slowest of all."""
    slowest: tuple[float, SeriesResult, PhaseResult] | None = None
    for each in series:
        after = each.phases.get(PhaseName.AFTER)
        lasted = _lasted(after, timeline) if after else 0.0
        if after and lasted > 0 and (slowest is None or lasted > slowest[0]):
            slowest = (lasted, each, after)
    if slowest is None:
        return None
    _, which, after = slowest
    within = slo.after.recover_within
    never = after.recovered_seconds is None
    brief = _recovery_text(after, timeline)
    end = timeline.end if never else timeline.restored + (after.recovered_seconds or 0.0)
    return Recovery(
        start=timeline.restored,
        end=min(end, timeline.end),
        text=brief + _recovery_details(after, within),
        brief=brief,
        whose=names.get(which.labels, "") if len(series) > 1 else "",
        never=never,
        deadline=None if within is None else timeline.restored + within,
    )


def _lasted(after: PhaseResult, timeline: Timeline) -> float:
    if after.recovered_seconds is not None:
        return after.recovered_seconds
    never = after.verdict is Verdict.DEVIATED and after.breach_seconds > 0
    # Above every other: a recovery inside the window is shorter than the window.
    return timeline.end - timeline.restored + 1.0 if never else 0.0


def _recovery_text(after: PhaseResult, timeline: Timeline) -> str:
    if after.recovered_seconds is None:
        return f"not recovered in {format_duration(timeline.end - timeline.restored)}"
    return f"recovered after {format_duration(after.recovered_seconds)}"


def _recovery_details(after: PhaseResult, within: float | None) -> str:
    """What the lookback blurs, and what was allowed."""
    between = after.recovered_between_seconds
    told = []
    if after.recovered_seconds is not None and between is not None and between[0] < between[1]:
        told.append(f"between {format_duration(between[0])} and {format_duration(between[1])}")
    if within is not None:
        told.append(f"{format_duration(within)} allowed")
    return f" ({', '.join(told)})" if told else ""
