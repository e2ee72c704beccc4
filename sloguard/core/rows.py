"""Columns -> results: each row of an SLO's series is made when somebody reads it."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np

from sloguard.core.arrays import Ints
from sloguard.core.budget import budget_burned
from sloguard.core.columns import Columns
from sloguard.core.deciding import INCONCLUSIVE, NOT_JUDGED
from sloguard.core.explaining import Facts
from sloguard.core.model import PhaseName, Verdict
from sloguard.core.reasons import phase_reason, series_reason
from sloguard.core.results import IDLE_NOTE, PhaseResult, SeriesResult

VERDICTS = tuple(Verdict)


def series_verdicts(columns: Columns) -> Ints:
    """The worst phase of each series. One that ended before the fault counts for nothing."""
    stacked = np.stack([p.verdict for p in columns.phases.values()])
    verdicts = np.asarray(stacked.max(axis=0).astype(np.intp))
    nowhere = (verdicts == NOT_JUDGED) & ~columns.series.ended & ~columns.series.left_out
    verdicts[nowhere] = INCONCLUSIVE
    return verdicts


class JudgedSeries(Sequence[SeriesResult]):
    """The series of an SLO, by their labels; each row is made when it is read."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        labels = facts.values.labels
        in_order = all(map(operator.le, labels, labels[1:]))
        self.order = (
            range(len(labels)) if in_order else sorted(range(len(labels)), key=labels.__getitem__)
        )
        self.verdicts = series_verdicts(facts.columns)

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
        made = self.facts
        phases = {phase: _phase_result(made, row, phase) for phase in PhaseName}
        verdict = VERDICTS[int(self.verdicts[row])]
        baseline = float(made.columns.series.baseline[row])
        burned, lower = budget_burned(
            made.evidence.slo, made.values, made.shared, made.columns, row
        )
        return SeriesResult(
            labels=made.values.labels[row],
            verdict=verdict,
            reason=series_reason(
                made, row, int(self.verdicts[row]), {p: r.reason for p, r in phases.items()}
            ),
            phases=phases,
            baseline=None if np.isnan(baseline) else baseline,
            budget_burned=burned,
            budget_is_lower_bound=lower,
            note=_note(made, row),
        )

    def burned(self, row: int) -> float | None:
        """The share of the error budget that a row of the evidence burned; None where nobody knows."""
        made = self.facts
        return budget_burned(made.evidence.slo, made.values, made.shared, made.columns, row)[0]

    def reason(self, row: int) -> str:
        """The reason of the first phase that is as bad as the series."""
        return series_reason(self.facts, row, int(self.verdicts[row]))


def _note(made: Facts, row: int) -> str:
    series = made.columns.series
    if series.ended[row]:
        return "ended before the fault"
    if series.all_idle[row]:
        return IDLE_NOTE
    if series.removed[row] and series.sampled_until[row] < made.last_of_all:
        return f"ended with its {made.removed_by(row)}"
    return ""


def _phase_result(made: Facts, row: int, phase: PhaseName) -> PhaseResult:
    columns, span = made.columns.phases[phase], made.shared.spans[phase]
    step, times = made.shared.grid.step, made.shared.times
    start = float(times[span.start]) if span.stop > span.start else 0.0
    marks = {
        PhaseName.BEFORE: made.shared.timeline.start,
        PhaseName.DURING: made.shared.timeline.fault,
        PhaseName.AFTER: made.shared.timeline.restored,
    }
    worst, first = int(columns.worst[row]), int(columns.first_breach[row])
    verdict = VERDICTS[int(columns.verdict[row])]
    is_after = phase is PhaseName.AFTER and verdict is not Verdict.NOT_JUDGED
    recovered = float(columns.recovered[row])
    between = (float(columns.recovered_from[row]), float(columns.recovered_to[row]))
    return PhaseResult(
        verdict=verdict,
        reason=phase_reason(made, row, phase),
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
