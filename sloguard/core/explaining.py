"""What a reason may mention: numbers, times and runs of one series, made when somebody reads them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sloguard.core.arrays import Bools, Ints
from sloguard.core.columns import Columns
from sloguard.core.counting import PhaseColumns
from sloguard.core.model import PhaseName, PhaseRule
from sloguard.core.objective import Objective, comparisons
from sloguard.core.points import Frame, Values
from sloguard.core.series import SloEvidence, Surroundings
from sloguard.core.text import (
    format_duration,
    format_series,
    format_time,
    format_unlike,
    format_value,
)


@dataclass(frozen=True)
class Facts:
    """A judged SLO. ``silent``: its ``values`` stand for an answer without a sample."""

    evidence: SloEvidence
    values: Values
    shared: Frame
    surroundings: Surroundings
    columns: Columns
    declared_after: float
    silent: bool = False

    @cached_property
    def unit(self) -> str:
        """How this SLO's values are written."""
        return self.evidence.slo.unit

    @cached_property
    def step(self) -> float:
        return self.shared.grid.step

    @property
    def lookback(self) -> float:
        return self.evidence.lookback or 0.0

    def span(self, count: int) -> str:
        """So many points, as a span of time."""
        return format_duration(count * self.step)

    def series_name(self, row: int) -> str:
        """``error-ratio{service="checkout"}``."""
        return format_series(self.evidence.slo.name, self.values.labels[row])

    def rule(self, phase: PhaseName) -> PhaseRule:
        return self.evidence.slo.rule(phase)

    def column(self, phase: PhaseName) -> PhaseColumns:
        return self.columns.phases[phase]

    def time_at(self, phase: PhaseName, index: int) -> str:
        """When a point of a phase was."""
        return format_time(float(self.shared.times[self.shared.spans[phase].start + index]))

    @cached_property
    def asked(self) -> dict[PhaseName, Objective]:
        """What is asked in each phase: ``before`` there is no baseline yet."""
        found = {phase: self.rule(phase).objective for phase in PhaseName}
        before = found[PhaseName.BEFORE]
        found[PhaseName.BEFORE] = before.without_baseline() or before
        return found

    @cached_property
    def fixed_bounds(self) -> dict[PhaseName, list[float] | None]:
        """The numbers that values are held against, where they are the same for every series."""
        return {
            phase: None if asked.names_baseline else [b.value for _, b in comparisons(asked)]
            for phase, asked in self.asked.items()
        }

    def objective(self, row: int, phase: PhaseName) -> str:
        """``<= baseline + 50% (baseline 0.2%)``."""
        if self.fixed_bounds[phase] is None:
            baseline = float(self.columns.series.baseline[row])
            if np.isfinite(baseline):
                shown = format_value(baseline, self.unit)
                return f"{self.asked[phase].text} (baseline {shown})"
        return self.asked[phase].text

    def bounds(self, row: int, phase: PhaseName) -> list[float]:
        """The numbers that the values of a phase were held against."""
        fixed = self.fixed_bounds[phase]
        if fixed is not None:
            return fixed
        baseline = self.columns.series.baseline[[row]]
        found = [float(bound.resolve(baseline)[0]) for _, bound in comparisons(self.asked[phase])]
        return [bound for bound in found if np.isfinite(bound)]

    def worst(self, row: int, phase: PhaseName) -> str:
        """``12.4% at 14:02:35Z``; and by which rule, where it was not measured."""
        columns = self.column(phase)
        index = int(columns.worst[row])
        if index < 0:
            return "no value"
        value = format_unlike(float(columns.worst_value[row]), self.bounds(row, phase), self.unit)
        text = f"{value} at {self.time_at(phase, index)}"
        if self.values.has_value[row, self.shared.spans[phase].start + index]:
            return text
        return f"{text} by the {self.ruled_by(row, phase, index)} rule"

    def ruled_by(self, row: int, phase: PhaseName, index: int) -> str:
        """The SLO's key that says what a point without a value stands for."""
        idle = self.values.idle[row, self.shared.spans[phase].start + index]
        return "idle" if idle and not self.silent else "no_data"

    def without_value(self, row: int, phase: PhaseName, index: int) -> str:
        """Of a point that a rule made a breach."""
        rule = self.ruled_by(row, phase, index)
        what = "nothing happened" if rule == "idle" else "no data"
        return f"{what} at {self.time_at(phase, index)}, a breach by the {rule} rule"

    def tolerated(self, phase: PhaseName) -> str:
        """``20s tolerated``."""
        tolerate = self.rule(phase).tolerate
        if tolerate is None:
            return "none tolerated"
        if tolerate.seconds is not None:
            return f"{format_duration(tolerate.seconds)} tolerated"
        return f"{format_value(tolerate.share or 0.0, '%')} of the points tolerated"

    def in_breach(self, row: int, phase: PhaseName) -> str:
        """``45s in breach, 20s tolerated``."""
        columns, tolerate = self.column(phase), self.rule(phase).tolerate
        if tolerate is None:
            return f"{self.span(int(columns.breaches[row]))} in breach, none tolerated"
        if tolerate.seconds is not None:
            longest = self.span(int(columns.longest[row]))
            return f"{longest} in breach, {format_duration(tolerate.seconds)} tolerated"
        breaches, judged = int(columns.breaches[row]), int(columns.judged[row])
        share, allowed = breaches / max(judged, 1), tolerate.share or 0.0
        return (
            f"{format_unlike(share, [allowed], '%')} of the judged points in breach, "
            f"{format_value(allowed, '%')} tolerated"
        )

    # Runs of gaps.

    @property
    def last_of_all(self) -> int:
        """The last point at which any series of the SLO is there."""
        return int(self.columns.series.sampled_until.max(initial=-1))

    def excused(self, phase: PhaseName) -> Bools:
        """Which points of a phase are not held against it."""
        times = self.shared.times[self.shared.spans[phase]]
        if phase is not PhaseName.AFTER:
            return np.zeros(len(times), dtype=bool)
        return np.asarray(times - self.shared.timeline.restored < self.lookback - 1e-6)

    def dark_run(self, row: int, phase: PhaseName, *, at_end: bool) -> Ints:
        """The run of dark points that is meant: the one that holds the phase's end, or its longest."""
        span, blind = self.shared.spans[phase], self.shared.blind
        gaps = np.flatnonzero(~self.values.sampled[row])
        begin = self.shared.fault
        if self.columns.series.removed[row]:
            begin = max(begin, self.last_of_all + 1)
        runs = _runs(gaps[gaps >= begin])
        held = np.flatnonzero(~self.excused(phase)) + span.start
        if at_end:
            held = np.array([span.stop - 1])
        touching = [run[~blind[run]] for run in runs if np.isin(run, held).any()]
        return max(touching, key=len, default=np.empty(0, dtype=np.intp))

    def no_data(self, row: int, phase: PhaseName, *, at_end: bool) -> str:
        """``no data for 20s from 14:02:10Z, 5s after the fault``."""
        run = self.dark_run(row, phase, at_end=at_end)
        begin = float(self.shared.times[run[0]]) if len(run) else self.shared.timeline.fault
        after_fault = format_duration(max(begin - self.shared.timeline.fault, 0.0))
        return f"no data for {self.span(len(run))} from {format_time(begin)}, {after_fault} after the fault"

    def blind_from(self, row: int, phase: PhaseName) -> str:
        """Since when Prometheus was away: the longest of the times that it was."""
        span = self.shared.spans[phase]
        gap = ~self.values.sampled[row, span] & ~self.excused(phase)
        runs = [r[self.shared.blind[span][r]] for r in _runs(np.flatnonzero(gap))]
        longest = max(runs, key=len, default=np.empty(0, dtype=np.intp))
        return self.time_at(phase, int(longest[0])) if len(longest) else "then"

    def removed_by(self, row: int) -> str:
        """The label whose object the fault removed."""
        names = self.surroundings.removed
        pairs = self.values.labels[row]
        return next((k for k, v in pairs if v in names.get(k, ())), "object")


def _runs(indices: Ints) -> list[Ints]:
    """Indices in order -> runs of neighbours."""
    return np.split(indices, np.flatnonzero(np.diff(indices) > 1) + 1) if len(indices) else []
