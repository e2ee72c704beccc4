"""All series of an SLO, judged phase by phase into columns; rows are made when somebody reads them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np

from sloguard.core.arrays import Bools, Floats, Ints, anywhere, count
from sloguard.core.assessing import judge_phase
from sloguard.core.comparing import assess
from sloguard.core.counting import PhaseColumns, counted, lowest, settle_empty
from sloguard.core.darkness import Darkness, abandoned_from, blindness, darkness
from sloguard.core.deciding import INCONCLUSIVE, MET, NOT_JUDGED, Decided, Known, PhasePoints, Why
from sloguard.core.model import PhaseName, PhaseRule, Slo
from sloguard.core.points import (
    Frame,
    Points,
    Values,
    named_removed,
    points_of,
)
from sloguard.core.series import SloEvidence, Surroundings

#: Points judged at once: many enough that numpy's calls cost little beside its work, and few enough that
#: the intermediate arrays stay in the processor's cache.
BLOCK_POINTS = 180_000


@dataclass(frozen=True, slots=True)
class SeriesColumns:
    """What is known of each series as a whole. ``all_idle``: never a judged point in its life.

    ``left_out``: not judged for it, because another series of the SLO is. ``numbers``: how many points of
    ``before`` the baseline stands on, or would.
    """

    baseline: Floats
    numbers: Ints
    ended: Bools
    removed: Bools
    can_go_dark: Bools
    all_idle: Bools
    left_out: Bools
    has_life: Bools
    at_end: Bools
    sampled_until: Ints


T = TypeVar("T", PhaseColumns, SeriesColumns)


@dataclass(frozen=True, slots=True)
class Columns:
    """The whole judgement of an SLO's series."""

    series: SeriesColumns
    phases: dict[PhaseName, PhaseColumns]


def judge_columns(
    evidence: SloEvidence,
    values: Values,
    shared: Frame,
    surroundings: Surroundings,
    declared_after: float,
) -> Columns:
    """Judge every series, in blocks, so that the intermediate arrays stay small."""
    block = max(BLOCK_POINTS // max(shared.grid.count, 1), 1)
    last_of_all = abandoned_from(values, shared, evidence.slo) if surroundings.removed else -1
    blocks = [
        _judge_block(
            evidence,
            values.rows(slice(i, i + block)),
            shared,
            surroundings,
            declared_after,
            last_of_all,
        )
        for i in range(0, max(len(values.labels), 1), block)
    ]
    phases = {p: _joined(PhaseColumns, [b.phases[p] for b in blocks]) for p in PhaseName}
    return Columns(_joined(SeriesColumns, [b.series for b in blocks]), phases)


def _joined(kind: type[T], parts: list[T]) -> T:
    columns = {f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(kind)}
    return kind(**columns)


def _judge_block(
    evidence: SloEvidence,
    values: Values,
    shared: Frame,
    surroundings: Surroundings,
    declared_after: float,
    last_of_all: int,
) -> Columns:
    slo = evidence.slo
    removed = named_removed(values.labels, surroundings)
    points = points_of(
        values, shared, removed, no_data=slo.no_data, idle=slo.idle, last_of_all=last_of_all
    )
    dark = darkness(points, shared, slo, evidence.scrape_interval)
    if evidence.partial:
        # A series that the answer lacks may be where the rest of the data is.
        nowhere = np.zeros(len(values.labels), dtype=bool)
        dark = replace(dark, gone=dict.fromkeys(dark.gone, nowhere))
    baseline = baselines(points, shared, slo.min_coverage)
    lookback = evidence.lookback or 0.0
    phases = {}
    for phase in PhaseName:
        known = _known(phase, slo, shared, dark, lookback, declared_after)
        phases[phase] = _phase(phase, slo.rule(phase), points, dark, baseline, shared, known)
    for columns in phases.values():
        columns.verdict[points.life.ended] = NOT_JUDGED
        columns.why[points.life.ended] = Why.ENDED
    series = _series_columns(points, values, baseline, shared)
    return Columns(series, phases)


def _series_columns(
    points: Points, values: Values, baseline: Floats, shared: Frame
) -> SeriesColumns:
    life, sampled = points.life, values.sampled
    judged = points.judged
    ends = shared.last_seen_points(PhaseName.AFTER, 1)
    last_judged = np.asarray(judged[:, ends].all(axis=1))
    there, ever = anywhere(sampled), anywhere(judged)
    until = np.where(there, sampled.shape[1] - 1 - sampled[:, ::-1].argmax(axis=1), -1)
    return SeriesColumns(
        baseline=baseline,
        numbers=count(points.value[:, shared.spans[PhaseName.BEFORE]]),
        ended=life.ended,
        removed=life.removed,
        can_go_dark=life.can_go_dark,
        all_idle=~ever & anywhere(points.raw_idle),
        left_out=np.zeros(len(ever), dtype=bool),
        has_life=there,
        at_end=last_judged,
        sampled_until=until,
    )


def baselines(points: Points, shared: Frame, min_coverage: float) -> Floats:
    """The median of each series' numbers in ``before``; NaN under 3, or under the coverage asked for."""
    span = shared.spans[PhaseName.BEFORE]
    numbers = points.value[:, span]
    known = count(numbers)
    rows, columns = numbers.shape
    enough = (known >= 3) & (known >= min_coverage * max(columns, 1) - 1e-9)
    if not enough.any():
        return np.full(rows, np.nan)
    # Sorted with what does not count at the end, the median is in the middle of the first ``known``.
    values = points.values[:, span]
    ordered = np.sort(values if numbers.all() else np.where(numbers, values, np.inf), axis=1)
    row = np.arange(rows)
    low, high = np.maximum((known - 1) // 2, 0), np.minimum(known // 2, columns - 1)
    with np.errstate(invalid="ignore"):
        median = (ordered[row, low] + ordered[row, high]) / 2
    return np.where(enough & np.isfinite(median), median, np.nan)


def _known(
    phase: PhaseName,
    slo: Slo,
    shared: Frame,
    dark: Darkness,
    lookback: float,
    declared_after: float,
) -> Known:
    step = shared.grid.step
    hold = slo.after.hold if slo.after.hold is not None else 3 * step
    within = slo.after.recover_within
    if within is None:
        within = max(declared_after - lookback - hold, 0.0)
    return Known(
        gone_dark=dark.gone[phase],
        too_blind=np.zeros(len(dark.dark), dtype=bool),
        recover_within=within,
        hold=hold,
        lookback=lookback,
        step=step,
        min_coverage=slo.min_coverage,
    )


def _phase(
    phase: PhaseName,
    rule: PhaseRule,
    points: Points,
    dark: Darkness,
    baseline: Floats,
    shared: Frame,
    known: Known,
) -> PhaseColumns:
    span = shared.spans[phase]
    objective = rule.objective
    baseline_only = False
    if phase is PhaseName.BEFORE:
        left = objective.without_baseline()
        baseline_only = left is None
        objective = left or objective
    value = points.value[:, span]
    measured = assess(objective, points.values[:, span], baseline)
    breach, undecided = measured.breach, measured.undecided
    if baseline_only:
        breach = np.zeros_like(breach)
    sets = _phase_points(
        phase, points, dark, shared, known, breach, breach if baseline_only else undecided
    )
    blind = np.zeros(len(value), dtype=np.intp)
    if shared.blind[span].any():
        too_blind, blind = blindness(
            sets.gap & ~sets.excused,
            shared.blind[span],
            (sets.ok | sets.breach) & ~sets.excused,
            rule,
            known.step,
            one_is_short=dark.one_is_short,
        )
        known = replace(known, too_blind=too_blind)
    decided = judge_phase(sets, rule, known, is_after=phase is PhaseName.AFTER)
    if baseline_only:
        _judge_by_baseline(decided, baseline)
    counting = value & ~sets.excused
    worst = lowest(measured.margin, counting & ~undecided if undecided.any() else counting, breach)
    columns = counted(sets, points, span, decided, worst, points.values[:, span], blind)
    settle_empty(columns, phase, points, shared)
    return columns


def _phase_points(
    phase: PhaseName,
    points: Points,
    dark: Darkness,
    shared: Frame,
    known: Known,
    breach: Bools,
    undecided: Bools,
) -> PhasePoints:
    span = shared.spans[phase]
    value = points.value[:, span]
    times = shared.times[span]
    mark = {
        PhaseName.BEFORE: -np.inf,
        PhaseName.DURING: shared.timeline.fault,
        PhaseName.AFTER: shared.timeline.restored,
    }[phase]
    age = np.round(times - mark, 3)
    excused = age < known.lookback - 1e-6
    # Of truths, greater means: the one without the other.
    ok, undecided = value > breach, value & undecided
    return PhasePoints(
        ok=(ok & ~undecided if undecided.any() else ok) | points.ok[:, span],
        breach=(value & breach) | points.breach[:, span],
        undecided=undecided,
        idle=points.idle[:, span],
        gap=points.gap[:, span],
        dark=dark.dark[:, span],
        age=age,
        excused=excused if phase is PhaseName.AFTER else np.zeros(len(times), dtype=bool),
    )


def _judge_by_baseline(decided: Decided, baseline: Floats) -> None:
    """``before`` with no objective but the baseline's: met once there is a baseline.

    Unless a policy says that what was not there is a breach.
    """
    there = ~np.isnan(baseline)
    left = decided.why != Why.BREACHED
    decided.verdict[left] = np.where(there, MET, INCONCLUSIVE)[left]
    decided.why[left] = np.where(there, Why.HELD, Why.NO_BASELINE)[left]
