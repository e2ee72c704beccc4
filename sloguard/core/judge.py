"""Series + windows + SLO -> verdict. Pure: the same evidence gives the same answer, always."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import overload

import numpy as np

from sloguard.core.assessing import DEVIATED, INCONCLUSIVE, NOT_JUDGED, Why
from sloguard.core.budget import budget_burned
from sloguard.core.columns import Columns, judge_columns
from sloguard.core.darkness import nothing_left
from sloguard.core.model import PhaseName, Timeline, Verdict
from sloguard.core.objective import Bools, Ints
from sloguard.core.points import Frame, Values, frame, named_removed, points_of, slo_values
from sloguard.core.reasons import Explainer
from sloguard.core.results import IDLE_NOTE, PhaseResult, SeriesResult, SloResult
from sloguard.core.series import SloEvidence, Surroundings

_VERDICTS = tuple(Verdict)


def judge_slo(
    evidence: SloEvidence,
    timeline: Timeline,
    surroundings: Surroundings | None = None,
    declared_after: float = 120.0,
) -> SloResult:
    """Judge one SLO over a timeline.

    ``declared_after``: the declared length of ``after`` (s), from which the default of
    ``recover_within`` follows. An SLO without evidence is inconclusive, never met.
    """
    slo = evidence.slo
    if evidence.error:
        return _unknown(evidence, evidence.error)
    surroundings = surroundings or Surroundings()
    shared = frame(evidence, timeline, surroundings)
    values = slo_values(evidence)
    if not values.sampled.any():
        return _judge_silence(evidence, values, shared, surroundings, declared_after)
    columns = judge_columns(evidence, values, shared, surroundings, declared_after)
    _apply_nothing_left(evidence, values, shared, surroundings, columns)
    if evidence.lookback is None:
        for phase in columns.phases.values():
            phase.verdict[:], phase.why[:] = INCONCLUSIVE, Why.LOOKBACK_UNKNOWN
    explainer = Explainer(evidence, values, shared, surroundings, columns, declared_after)
    return _summed_up(evidence, JudgedSeries(explainer), slo.name)


def _apply_nothing_left(
    evidence: SloEvidence,
    values: Values,
    shared: Frame,
    surroundings: Surroundings,
    columns: Columns,
) -> None:
    removed = named_removed(values.labels, surroundings)
    if not removed.any():
        return
    slo = evidence.slo
    points = points_of(values, shared, removed, no_data=slo.no_data, idle=slo.idle)
    gone = nothing_left(points, values.sampled, shared, slo)
    after = columns.phases[PhaseName.AFTER]
    after.verdict[gone], after.why[gone] = DEVIATED, Why.NOTHING_LEFT


def _unknown(evidence: SloEvidence, reason: str) -> SloResult:
    return SloResult(
        name=evidence.slo.name,
        verdict=Verdict.INCONCLUSIVE,
        reason=f"{evidence.slo.name}: {reason}",
        evidence=evidence,
        series=(),
        notes=evidence.notes,
    )


def _judge_silence(
    evidence: SloEvidence,
    values: Values,
    shared: Frame,
    surroundings: Surroundings,
    declared_after: float,
) -> SloResult:
    """No sample in the whole window: ``no_data`` may prove a breach, never ``met``."""
    slo = evidence.slo
    if slo.no_data not in ("inconclusive", "met"):
        everywhere = np.ones((1, shared.grid.count), dtype=bool)
        silent = Values(((),), np.full(everywhere.shape, np.nan), ~everywhere, everywhere)
        ruled = replace(evidence, slo=replace(slo, idle=slo.no_data))
        columns = judge_columns(ruled, silent, shared, surroundings, declared_after)
        for phase in columns.phases.values():
            phase.gaps, phase.idle = phase.idle, phase.gaps
        explainer = Explainer(evidence, silent, shared, surroundings, columns, declared_after)
        result = _summed_up(evidence, JudgedSeries(explainer), slo.name)
        if result.verdict is Verdict.DEVIATED:
            return replace(result, reason=f"no data in the whole window: {result.reason}")
    answered = len(values.labels)
    what = (
        "no data in the whole window"
        if not answered
        else (f"{answered} series of one half of the pair, none with a total of the same labels")
    )
    return _unknown(evidence, what)


class JudgedSeries(Sequence[SeriesResult]):
    """The series of an SLO, by their labels; each row is made when it is read."""

    def __init__(self, explainer: Explainer) -> None:
        self.explainer = explainer
        labels = explainer.values.labels
        in_order = all(labels[i] <= labels[i + 1] for i in range(len(labels) - 1))
        self.order = (
            range(len(labels)) if in_order else sorted(range(len(labels)), key=labels.__getitem__)
        )
        self.verdicts = _series_verdicts(explainer.columns)

    def __len__(self) -> int:
        return len(self.order)

    @overload
    def __getitem__(self, index: int) -> SeriesResult: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[SeriesResult]: ...
    def __getitem__(self, index: int | slice) -> SeriesResult | Sequence[SeriesResult]:
        if isinstance(index, slice):
            return [self.row(row) for row in list(self.order)[index]]
        return self.row(self.order[index])

    def __iter__(self) -> Iterator[SeriesResult]:
        return (self.row(row) for row in self.order)

    def row(self, row: int) -> SeriesResult:
        """The series at a row of the evidence."""
        made = self.explainer
        phases = {phase: _phase_result(made, row, phase) for phase in PhaseName}
        verdict = _VERDICTS[int(self.verdicts[row])]
        baseline = float(made.columns.series.baseline[row])
        burned, lower = budget_burned(
            made.evidence.slo, made.values, made.shared, made.columns, row
        )
        return SeriesResult(
            labels=made.values.labels[row],
            verdict=verdict,
            reason=self.reason(row),
            phases=phases,
            baseline=None if np.isnan(baseline) else baseline,
            budget_burned=burned,
            budget_is_lower_bound=lower,
            note=_note(made, row),
        )

    def reason(self, row: int) -> str:
        """The reason of the first phase that is as bad as the series."""
        made = self.explainer
        name = made.series_name(row)
        if not made.columns.series.has_life[row]:
            return f"{name}: no total with these labels"
        verdict = self.verdicts[row]
        phases = [p for p in PhaseName if made.columns.phases[p].verdict[row] == verdict]
        # Of a met series, the phase under the fault is the one worth reading about.
        preferred = (PhaseName.DURING, PhaseName.AFTER, PhaseName.BEFORE)
        if verdict == Verdict.MET.rank:
            phases = [p for p in preferred if p in phases]
        if not phases:
            return f"{name}: judged in no phase"
        return f"{name}: {made.phase_reason(row, phases[0])}"


def _note(made: Explainer, row: int) -> str:
    series = made.columns.series
    if series.ended[row]:
        return "ended before the fault"
    if series.all_idle[row]:
        return IDLE_NOTE
    if series.removed[row] and series.sampled_until[row] < made.shared.grid.count - 1:
        return f"ended with its {made.removed_by(row)}"
    return ""


def _series_verdicts(columns: Columns) -> Ints:
    """The worst phase of each series. One that ended before the fault counts for nothing."""
    stacked = np.stack([p.verdict for p in columns.phases.values()])
    verdicts = np.asarray(stacked.max(axis=0).astype(np.intp))
    nowhere = (verdicts == NOT_JUDGED) & ~columns.series.ended
    verdicts[nowhere] = INCONCLUSIVE
    return verdicts


def _phase_result(made: Explainer, row: int, phase: PhaseName) -> PhaseResult:
    columns, span = made.columns.phases[phase], made.shared.spans[phase]
    step, times = made.shared.grid.step, made.shared.times
    start = float(times[span.start]) if span.stop > span.start else 0.0
    marks = {
        PhaseName.BEFORE: made.shared.timeline.start,
        PhaseName.DURING: made.shared.timeline.fault,
        PhaseName.AFTER: made.shared.timeline.restored,
    }
    worst, first = int(columns.worst[row]), int(columns.first_breach[row])
    verdict = _VERDICTS[int(columns.verdict[row])]
    is_after = phase is PhaseName.AFTER and verdict is not Verdict.NOT_JUDGED
    recovered = float(columns.recovered[row])
    between = (float(columns.recovered_from[row]), float(columns.recovered_to[row]))
    return PhaseResult(
        verdict=verdict,
        reason=made.phase_reason(row, phase),
        points=int(columns.points[row]),
        gaps=int(columns.gaps[row]),
        idle=int(columns.idle[row]),
        breach_seconds=float(columns.breaches[row] * step),
        longest_breach_seconds=float(columns.longest[row] * step),
        worst=float(columns.worst_value[row]) if worst >= 0 else None,
        worst_at=float(times[span.start + worst]) if worst >= 0 else None,
        first_breach_seconds=round(start + first * step - marks[phase], 3) if first >= 0 else None,
        recovered_seconds=round(recovered, 3) if is_after and not np.isnan(recovered) else None,
        recovered_between_seconds=(round(between[0], 3), round(between[1], 3))
        if is_after and not np.isnan(between).any()
        else None,
    )


def _summed_up(evidence: SloEvidence, series: JudgedSeries, name: str) -> SloResult:
    """An SLO is its worst series; idle ones are left out where another one was judged."""
    columns = series.explainer.columns
    counts = _counting(series)
    verdicts = series.verdicts[counts]
    if not counts.any() or not (verdicts > NOT_JUDGED).any():
        return SloResult(
            name,
            Verdict.INCONCLUSIVE,
            f"{name}: no series was judged",
            evidence,
            series,
            notes=_notes(evidence, series, counts),
        )
    worst = int(verdicts.max())
    rows = [row for row in series.order if counts[row] and series.verdicts[row] == worst]
    row = _most_telling(series.explainer, rows)
    reason = series.reason(row)
    if len(rows) > 1 and worst > Verdict.MET.rank:
        reason += f" (and {len(rows) - 1} more series)"
    after = columns.phases[PhaseName.AFTER]
    gone = columns.series.ended | (columns.series.removed & ~columns.series.at_end)
    calm = (after.verdict == Verdict.MET.rank) & columns.series.at_end & (after.dark == 0)
    settled = bool((calm | gone).all() and calm.any())
    return SloResult(
        name, _VERDICTS[worst], reason, evidence, series, settled, _notes(evidence, series, counts)
    )


def _counting(series: JudgedSeries) -> Bools:
    """Which series count: all but the ended ones, and but idle ones beside a judged one."""
    columns = series.explainer.columns.series
    judged = ~columns.ended & ~columns.all_idle & columns.has_life
    if (judged & (series.verdicts > NOT_JUDGED)).any():
        return ~columns.ended & ~columns.all_idle
    return np.ones(len(series), dtype=bool)


def _most_telling(made: Explainer, rows: list[int]) -> int:
    """Of equally bad series, the one that was longest in breach; the first by its labels if equal."""
    during, after = made.columns.phases[PhaseName.DURING], made.columns.phases[PhaseName.AFTER]
    breaches = during.breaches + after.breaches
    return max(rows, key=lambda row: int(breaches[row]))


def _notes(evidence: SloEvidence, series: JudgedSeries, counts: Bools) -> tuple[str, ...]:
    columns = series.explainer.columns.series
    idle = int((columns.all_idle & ~counts).sum())
    ended = int(columns.ended.sum())
    made = list(evidence.notes)
    if idle:
        made.append(f"{idle} series idle all through, left out")
    if ended:
        made.append(f"{ended} series ended before the fault, not judged")
    return tuple(made)
