"""Why: a comparison with both numbers and their time, made when somebody reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sloguard.core.assessing import Why
from sloguard.core.columns import Columns, PhaseColumns
from sloguard.core.model import PhaseName, PhaseRule
from sloguard.core.points import Frame, Values
from sloguard.core.series import SloEvidence, Surroundings
from sloguard.core.text import (
    format_duration,
    format_series,
    format_time,
    format_value,
)


@dataclass(frozen=True, slots=True)
class Explainer:
    """All that a reason may mention."""

    evidence: SloEvidence
    values: Values
    shared: Frame
    surroundings: Surroundings
    columns: Columns
    declared_after: float

    @property
    def unit(self) -> str:
        """How this SLO's values are written."""
        return self.evidence.slo.unit

    def series_name(self, row: int) -> str:
        """``error-ratio{service="checkout"}``."""
        return format_series(self.evidence.slo.name, self.values.labels[row])

    def phase_reason(self, row: int, phase: PhaseName) -> str:
        """The reason of one series in one phase, without the series' name."""
        why = Why(int(self.columns.phases[phase].why[row]))
        return _TEXTS[why](self, row, phase)

    # Pieces that several texts share.

    def rule(self, phase: PhaseName) -> PhaseRule:
        return self.evidence.slo.rule(phase)

    def column(self, phase: PhaseName) -> PhaseColumns:
        return self.columns.phases[phase]

    def objective(self, row: int, phase: PhaseName) -> str:
        objective = self.rule(phase).objective
        if phase is PhaseName.BEFORE:
            objective = objective.without_baseline() or objective
        baseline = self.columns.series.baseline[row]
        if objective.names_baseline and np.isfinite(baseline):
            return f"{objective.text} (baseline {format_value(float(baseline), self.unit)})"
        return objective.text

    def worst(self, row: int, phase: PhaseName) -> str:
        columns, span = self.column(phase), self.shared.spans[phase]
        index = int(columns.worst[row])
        if index < 0:
            return "no value"
        at = format_time(float(self.shared.times[span.start + index]))
        return f"{format_value(float(columns.worst_value[row]), self.unit)} at {at}"

    def in_breach(self, row: int, phase: PhaseName) -> str:
        columns, tolerate = self.column(phase), self.rule(phase).tolerate
        step = self.shared.grid.step
        if tolerate is None:
            return f"{format_duration(columns.breaches[row] * step)} in breach, none tolerated"
        if tolerate.seconds is not None:
            longest = format_duration(columns.longest[row] * step)
            return f"{longest} in breach, {format_duration(tolerate.seconds)} tolerated"
        judged = round(columns.coverage[row] * self._asked(row, phase))
        share = columns.breaches[row] / max(judged, columns.breaches[row], 1)
        allowed = format_value(tolerate.share or 0.0, "%")
        return f"{format_value(share, '%')} of the judged points in breach, {allowed} tolerated"

    def _asked(self, row: int, phase: PhaseName) -> int:
        columns = self.column(phase)
        return int(columns.points[row] - columns.idle[row])

    def gap_run(self, row: int, phase: PhaseName, *, at_end: bool) -> tuple[float, int]:
        """Start and points of the run of gaps meant: the one that holds the phase's end, or its first."""
        span, fault = self.shared.spans[phase], self.shared.fault
        gaps = np.flatnonzero(~self.values.sampled[row] & ~self.shared.blind)
        gaps = gaps[gaps >= fault]
        runs = np.split(gaps, np.flatnonzero(np.diff(gaps) > 1) + 1)
        inside = [r for r in runs if len(r) and r[-1] >= span.start and r[0] < span.stop]
        if not inside:
            return self.shared.timeline.fault, 0
        run = inside[-1] if at_end else max(inside, key=len)
        return float(self.shared.times[run[0]]), len(run)

    def no_data(self, row: int, phase: PhaseName, *, at_end: bool) -> str:
        begin, points = self.gap_run(row, phase, at_end=at_end)
        after_fault = format_duration(max(begin - self.shared.timeline.fault, 0.0))
        return (
            f"no data for {format_duration(points * self.shared.grid.step)} from {format_time(begin)}, "
            f"{after_fault} after the fault; the series was there before ({phase})"
        )

    def removed_by(self, row: int) -> str:
        """The label whose object the fault removed."""
        names = self.surroundings.removed
        pairs = self.values.labels[row]
        return next((k for k, v in pairs if v in names.get(k, ())), "object")


def _held(e: Explainer, row: int, phase: PhaseName) -> str:
    if e.column(phase).breaches[row] and phase is not PhaseName.AFTER:
        return _breached(e, row, phase)
    baseline = e.columns.series.baseline[row]
    if e.rule(phase).objective.without_baseline() is None and phase is PhaseName.BEFORE:
        return f"the baseline is {format_value(float(baseline), e.unit)} ({phase})"
    if e.column(phase).worst[row] < 0:
        return f"ruled so by no_data or idle ({phase})"
    return f"{e.worst(row, phase)}, {e.objective(row, phase)} ({phase})"


def _breached(e: Explainer, row: int, phase: PhaseName) -> str:
    if e.column(phase).worst[row] < 0:
        return f"no value, which stands for a breach ({phase}); {e.in_breach(row, phase)}"
    return (
        f"{e.worst(row, phase)}, not {e.objective(row, phase)} ({phase}); {e.in_breach(row, phase)}"
    )


def _gone_dark(e: Explainer, row: int, phase: PhaseName) -> str:
    return "gone dark: " + e.no_data(row, phase, at_end=True)


def _dark(e: Explainer, row: int, phase: PhaseName) -> str:
    return e.no_data(row, phase, at_end=False)


def _blind(e: Explainer, row: int, phase: PhaseName) -> str:
    seconds = format_duration(e.column(phase).blind[row] * e.shared.grid.step)
    return f"Prometheus was away for {seconds} ({phase})"


def _undecided(e: Explainer, row: int, phase: PhaseName) -> str:
    if e.columns.series.baseline[row] == 0:
        return f"the baseline is 0: give an absolute allowance ({phase})"
    return _no_baseline(e, row, phase)


def _no_baseline(e: Explainer, row: int, phase: PhaseName) -> str:
    before = e.column(PhaseName.BEFORE)
    span = e.shared.spans[PhaseName.BEFORE]
    judged = int(before.points[row] - before.gaps[row] - before.idle[row])
    needed = format_value(e.evidence.slo.min_coverage, "%")
    return (
        f"no baseline: {judged} of {span.stop - span.start} points of before have a value, "
        f"at least 3 and {needed} needed ({phase})"
    )


def _coverage(e: Explainer, row: int, phase: PhaseName) -> str:
    found = format_value(float(e.column(phase).coverage[row]), "%")
    needed = format_value(e.evidence.slo.min_coverage, "%")
    return f"{found} of the points have data, {needed} needed ({phase})"


def _no_point(e: Explainer, row: int, phase: PhaseName) -> str:
    columns = e.column(phase)
    if columns.idle[row]:
        return f"idle: {columns.idle[row]} of {columns.points[row]} points had nothing to judge ({phase})"
    return f"no data in {columns.points[row]} points ({phase})"


def _blurred(e: Explainer, row: int, phase: PhaseName) -> str:
    span = e.shared.timeline.restored - e.shared.timeline.fault
    lookback = e.evidence.lookback or 0.0
    fault = format_duration(span)
    if lookback > span:
        return f"lookback {format_duration(lookback)} is longer than the {fault} fault: it averages the fault away"
    oldest = format_duration(max(lookback, e.shared.grid.step))
    return f"no judged point of the {fault} fault is as old as the lookback, {oldest}: it averages the fault away"


def _all_excused(e: Explainer, row: int, phase: PhaseName) -> str:
    lookback = format_duration(e.evidence.lookback or 0.0)
    return f"no judged point is as old as the lookback, {lookback}: all still average the fault in ({phase})"


def _recovery(e: Explainer, row: int) -> str:
    columns = e.column(PhaseName.AFTER)
    low, high = float(columns.recovered_from[row]), float(columns.recovered_to[row])
    between = (
        "" if low == high else f" (between {format_duration(low)} and {format_duration(high)})"
    )
    return f"recovered {format_duration(float(columns.recovered[row]))} after the fault was undone{between}"


def _allowed(e: Explainer) -> str:
    after = e.evidence.slo.after
    within = after.recover_within
    if within is None:
        within = max(e.declared_after - (e.evidence.lookback or 0.0) - _hold(e), 0.0)
    return f"{format_duration(within)} allowed"


def _hold(e: Explainer) -> float:
    hold = e.evidence.slo.after.hold
    return 3 * e.shared.grid.step if hold is None else hold


def _not_recovered(e: Explainer, row: int, phase: PhaseName) -> str:
    return f"not recovered: {e.worst(row, phase)}, not {e.objective(row, phase)} ({phase}); {_allowed(e)}"


def _recovered(e: Explainer, row: int, phase: PhaseName) -> str:
    return f"{_recovery(e, row)}, {_allowed(e)} ({phase})"


def _not_held(e: Explainer, row: int, phase: PhaseName) -> str:
    held = format_duration(float(e.column(phase).held[row]))
    return f"{_recovery(e, row)}, but held for {held}, {format_duration(_hold(e))} asked ({phase})"


def _ended(e: Explainer, row: int, phase: PhaseName) -> str:
    last = float(e.shared.times[e.columns.series.sampled_until[row]])
    return f"the series ended before the fault, at {format_time(last)}"


def _outside(e: Explainer, row: int, phase: PhaseName) -> str:
    if e.columns.series.removed[row] and phase is not PhaseName.BEFORE:
        return f"ended with its {e.removed_by(row)}"
    return f"the series was not there ({phase})"


def _nothing_left(e: Explainer, row: int, phase: PhaseName) -> str:
    return f"gone dark: ended with its {e.removed_by(row)}, and no series of the SLO is left at the end ({phase})"


def _lookback_unknown(e: Explainer, row: int, phase: PhaseName) -> str:
    return e.evidence.lookback_problem or "the lookback of the query is not known"


def _empty_phase(e: Explainer, row: int, phase: PhaseName) -> str:
    return f"the phase has no length ({phase})"


Text = Callable[[Explainer, int, PhaseName], str]

_TEXTS: dict[Why, Text] = {
    Why.OUTSIDE_LIFE: _outside,
    Why.HELD: _held,
    Why.BREACHED: _breached,
    Why.GONE_DARK: _gone_dark,
    Why.DARK: _dark,
    Why.BLIND: _blind,
    Why.UNDECIDED: _undecided,
    Why.COVERAGE: _coverage,
    Why.NO_POINT: _no_point,
    Why.BLURRED: _blurred,
    Why.NOT_RECOVERED: _not_recovered,
    Why.RECOVERED_LATE: _recovered,
    Why.NOT_HELD: _not_held,
    Why.NO_BASELINE: _no_baseline,
    Why.RECOVERED: _recovered,
    Why.ENDED: _ended,
    Why.NOTHING_LEFT: _nothing_left,
    Why.LOOKBACK_UNKNOWN: _lookback_unknown,
    Why.EMPTY_PHASE: _empty_phase,
    Why.ALL_EXCUSED: _all_excused,
}
