"""Evidence and verdicts -> a ChartModel: which series are named, what is in breach, what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sloguard.core.arrays import Bools, Floats, anywhere
from sloguard.core.comparing import assess
from sloguard.core.model import PhaseName, Timeline, Verdict, worst
from sloguard.core.points import Frame, Points, Values, frame, named_removed, points_of, slo_values
from sloguard.core.results import SeriesResult, SloResult
from sloguard.core.series import Matrix, SloEvidence, Surroundings
from sloguard.core.text import format_duration, format_series, format_time
from sloguard.render.charts.levels import levels_of, objective_in, tolerated
from sloguard.render.charts.model import AlertSpan, ChartModel, Curve, PhaseView, Span
from sloguard.render.charts.naming import short_name, telling_labels
from sloguard.render.charts.stored import alerts_of, result_of, timeline_of
from sloguard.render.charts.story import deviation_of, recovery_of, spans_of
from sloguard.render.units import format_count, unit_of

#: So many series get a name and a colour; the others are drawn grey.
NAMED = 10


@dataclass(frozen=True, slots=True)
class _Scene:
    """All series at all points (series x points), and how each stands to what is declared."""

    values: Values
    points: Points
    shared: Frame
    results: tuple[SeriesResult | None, ...]
    baselines: Floats
    breach: Bools
    margin: Floats
    excused: Bools

    def baseline(self, row: int) -> float | None:
        """Of one series; None where there is none, or where no objective asks for it."""
        found = float(self.baselines[row])
        return None if np.isnan(found) else found


def model_of(
    evidence: SloEvidence,
    result: SloResult | None,
    timeline: Timeline,
    *,
    alerts: Sequence[AlertSpan | Mapping[str, Any]] = (),
    title: str = "",
    surroundings: Surroundings | None = None,
) -> ChartModel:
    """The picture of one SLO; ``result`` None: nothing was judged."""
    slo, unit = evidence.slo, unit_of(evidence.slo)
    scene = _scene(evidence, result, timeline, surroundings or Surroundings())
    order = _worst_first(scene)
    named = order[:NAMED]
    telling = telling_labels(scene.values.labels)
    curves = tuple(_curve(scene, row, slo.name, telling) for row in named)
    phases = _phases(evidence, timeline, scene, named)
    times, step = scene.shared.times, scene.shared.grid.step
    names = {labels: short_name(labels, telling) for labels in scene.values.labels}
    return ChartModel(
        name=slo.name,
        title=title,
        verdict=result.verdict if result else Verdict.NOT_JUDGED,
        reason=result.reason if result else evidence.error,
        unit=unit,
        step=step,
        timeline=timeline,
        times=times,
        phases=phases,
        curves=curves,
        rest=_only_values(scene.values, order[NAMED:]),
        legend=", ".join(telling) if len(scene.values.labels) > 1 else "",
        deviation=deviation_of(
            curves, [scene.results[row] for row in named], phases, times, step, unit
        ),
        recovery=recovery_of(slo, timeline, _judged(scene), names),
        excused=_excused(evidence, timeline, scene),
        away=spans_of(scene.shared.blind, times, step, timeline.end),
        alerts=alerts_of(alerts),
        queries=tuple(slo.queries.items()),
        facts=_facts(evidence, len(scene.values.labels)),
        empty=_empty(evidence, scene.values),
    )


def model_of_document(
    document: Mapping[str, Any],
    evidence: SloEvidence,
    *,
    alerts: Sequence[AlertSpan | Mapping[str, Any]] | None = None,
    title: str | None = None,
    surroundings: Surroundings | None = None,
) -> ChartModel:
    """The same from a stored answer; raises ChartError where it has no timeline."""
    return model_of(
        evidence,
        result_of(document, evidence),
        timeline_of(document),
        alerts=document.get("alerts") or () if alerts is None else alerts,
        title=str(document.get("experiment") or "") if title is None else title,
        surroundings=surroundings,
    )


def _scene(
    evidence: SloEvidence, result: SloResult | None, timeline: Timeline, around: Surroundings
) -> _Scene:
    slo, shared = evidence.slo, frame(evidence, timeline, around)
    values = _values(evidence)
    removed = named_removed(values.labels, around)
    points = points_of(values, shared, removed, no_data=slo.no_data, idle=slo.idle)
    judged = {each.labels: each for each in (result.series if result else ())}
    results = tuple(judged.get(labels) for labels in values.labels)
    asked = any(slo.rule(phase).objective.names_baseline for phase in PhaseName)
    known = [r.baseline if r is not None and asked else None for r in results]
    baselines = np.array([np.nan if b is None else b for b in known], dtype=float)
    breach = points.breach.copy()
    margin = np.full(values.values.shape, np.inf)
    for phase in PhaseName:
        objective, span = objective_in(slo, phase), shared.spans[phase]
        if objective is None or span.stop <= span.start or not len(values.labels):
            continue
        # The distance of two numbers near the largest there are is infinite, and that will do.
        with np.errstate(over="ignore"):
            held = assess(objective, values.values[:, span], baselines)
        counted = points.value[:, span]
        breach[:, span] |= held.breach & counted
        margin[:, span] = np.where(counted & ~np.isnan(held.margin), held.margin, np.inf)
    excused = np.zeros(shared.grid.count, dtype=bool)
    after = shared.spans[PhaseName.AFTER]
    age = shared.times[after] - timeline.restored
    excused[after] = age < (evidence.lookback or 0.0) - 1e-6
    margin[:, excused] = np.inf
    return _Scene(values, points, shared, results, baselines, breach, margin, excused)


def _values(evidence: SloEvidence) -> Values:
    """The values; none where a query failed and there is no answer to take them from."""
    if all(role in evidence.answers for role in evidence.slo.queries):
        return slo_values(evidence)
    nothing = Matrix.empty(evidence.grid)
    return Values((), nothing.values, nothing.present, nothing.present)


def _worst_first(scene: _Scene) -> list[int]:
    """By verdict, then by time in breach, then by how close they came; labels settle the rest."""
    rows = range(len(scene.values.labels))
    held = scene.breach & ~scene.excused
    before = scene.shared.spans[PhaseName.BEFORE]
    at_rest = held[:, before].sum(axis=1)
    under_fault = held.sum(axis=1) - at_rest
    closest = scene.margin.min(axis=1, initial=np.inf)
    seen = anywhere(scene.values.has_value)

    def weight(row: int) -> tuple[bool, int, int, int, float, object]:
        result = scene.results[row]
        rank = result.verdict.rank if result else 0
        # A series without a value has nothing to show: it comes last among its equals in verdict.
        return (
            not seen[row] and rank < Verdict.DEVIATED.rank,
            -rank,
            -int(under_fault[row]),
            -int(at_rest[row]),
            float(closest[row]),
            scene.values.labels[row],
        )

    return sorted(rows, key=weight)


def _judged(scene: _Scene) -> list[SeriesResult]:
    """What was judged, each read once: a row of an answer is made when it is read."""
    return [result for result in scene.results if result is not None]


def _curve(scene: _Scene, row: int, name: str, telling: Sequence[str]) -> Curve:
    labels, result = scene.values.labels[row], scene.results[row]
    margin = scene.margin[row]
    at = int(margin.argmin()) if margin.size else 0
    has_worst = bool(margin.size) and bool(np.isfinite(margin[at]) or margin[at] == -np.inf)
    gap = scene.points.raw_gap[row] & ~scene.shared.blind
    return Curve(
        name=short_name(labels, telling),
        full=format_series(name, labels),
        values=np.where(scene.values.has_value[row], scene.values.values[row], np.nan),
        idle=scene.values.idle[row],
        gap=gap,
        breach=scene.breach[row] & ~scene.excused,
        verdict=result.verdict if result else Verdict.NOT_JUDGED,
        worst=float(scene.values.values[row][at]) if has_worst else None,
        worst_at=float(scene.shared.times[at]) if has_worst else None,
        baseline=scene.baseline(row),
        note=_note(scene, row, gap),
    )


def _note(scene: _Scene, row: int, gap: Bools) -> str:
    """Why a curve stops before the window does."""
    result = scene.results[row]
    if result is not None and result.note:
        return result.note
    if not len(gap) or not gap[-1] or not scene.values.sampled[row].any():
        return ""
    last = int(np.flatnonzero(scene.values.sampled[row])[-1])
    return f"no data since {format_time(float(scene.shared.times[last]))}"


def _phases(
    evidence: SloEvidence, timeline: Timeline, scene: _Scene, named: Sequence[int]
) -> tuple[PhaseView, ...]:
    baselines = [scene.baseline(row) for row in named]
    marks = {
        PhaseName.BEFORE: (timeline.start, timeline.fault),
        PhaseName.DURING: (timeline.fault, timeline.restored),
        PhaseName.AFTER: (timeline.restored, timeline.end),
    }
    made = []
    for phase, (start, end) in marks.items():
        objective = objective_in(evidence.slo, phase)
        judged = [r.phases[phase].verdict for r in scene.results if r and phase in r.phases]
        made.append(
            PhaseView(
                name=phase,
                start=start,
                end=end,
                verdict=worst(judged),
                objective=objective.text if objective else "",
                tolerated=tolerated(evidence.slo.rule(phase), phase),
                levels=levels_of(objective, baselines),
            )
        )
    return tuple(made)


def _only_values(values: Values, rows: Sequence[int]) -> Floats:
    picked = np.asarray(rows, dtype=np.intp)
    return np.where(values.has_value[picked], values.values[picked], np.nan)


def _excused(evidence: SloEvidence, timeline: Timeline, scene: _Scene) -> Span | None:
    """Where breaches are not held against anybody; only told where there are some."""
    lookback = evidence.lookback or 0.0
    if lookback <= 0 or not (scene.breach & scene.excused).any():
        return None
    end = min(timeline.restored + lookback, timeline.end)
    text = f"excused: the {format_duration(lookback)} lookback still averages the fault"
    return Span(timeline.restored, end, text) if end > timeline.restored else None


def _facts(evidence: SloEvidence, series: int) -> tuple[str, ...]:
    lookback = evidence.lookback
    facts = [
        f"{format_count(series)} series",
        f"step {format_duration(evidence.grid.step)}",
    ]
    if lookback != 0:
        facts.append(f"lookback {format_duration(lookback)}" if lookback else "lookback unknown")
    if evidence.notes:
        facts.append(f"Prometheus: {evidence.notes[0]}")
    return tuple(facts)


def _empty(evidence: SloEvidence, values: Values) -> str:
    if values.has_value.any():
        return ""
    if evidence.error:
        return "no data: the query failed"
    if values.idle.any():
        return "nothing happened in this window: every point is idle"
    return "no data in this window"
