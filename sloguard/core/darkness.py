"""Gaps after the fault: whose they are, which are forgiven, and which series went dark.

Arrays are series x points over the whole grid unless said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sloguard.core.arrays import Bools, Floats, Ints, longest_run
from sloguard.core.model import PhaseName, PhaseRule, Slo, Tolerance
from sloguard.core.points import Frame, Points, Values, last_sample

#: Steps and scrape intervals that differ by less than this are the same.
_SLACK = 1e-6


@dataclass(frozen=True, slots=True)
class Darkness:
    """``dark``: gaps that are held against the series. ``gone`` (per series, by phase): gone dark.

    ``one_is_short``: one gap alone is no longer than a scrape interval.
    """

    dark: Bools
    gone: dict[PhaseName, Bools]
    one_is_short: bool


@dataclass(frozen=True, slots=True)
class _Runs:
    """Runs of gaps, flat: the row, first and last column, and how many of the points are not blind.

    ``seeing_until``: how many points before a column are not blind.
    """

    row: Ints
    first: Ints
    last: Ints
    seeing: Ints
    seeing_until: Ints


def darkness(points: Points, shared: Frame, slo: Slo, scrape_interval: float | None) -> Darkness:
    """Sort the gaps of all series."""
    step = shared.grid.step
    one_gap_is_short = scrape_interval is None or step <= scrape_interval + _SLACK
    if not points.gap.any():
        nowhere = np.zeros(len(points.gap), dtype=bool)
        return Darkness(points.gap, dict.fromkeys(PhaseName, nowhere), one_gap_is_short)
    from_fault = np.arange(shared.grid.count) >= shared.fault
    runs = _runs(points.gap & from_fault, shared.blind)
    dark = points.gap & from_fault & ~shared.blind & points.life.can_go_dark[:, None]
    if one_gap_is_short:
        for run in np.flatnonzero(runs.seeing == 1):
            dark[runs.row[run], runs.first[run] : runs.last[run] + 1] = False
    gone = {phase: _gone_at_end_of(phase, runs, points, dark, shared, slo) for phase in PhaseName}
    return Darkness(dark, gone, one_gap_is_short)


def _runs(gap: Bools, blind: Bools) -> _Runs:
    rows, columns = gap.shape
    padded = np.zeros((rows, columns + 2), dtype=np.int8)
    padded[:, 1:-1] = gap
    edges = np.diff(padded, axis=1)
    row, first = np.nonzero(edges == 1)
    _, beyond = np.nonzero(edges == -1)
    seeing_until = np.concatenate(([0], np.cumsum(~blind)))
    seeing = seeing_until[beyond] - seeing_until[first]
    return _Runs(row, first, beyond - 1, seeing, seeing_until)


def _gone_at_end_of(
    phase: PhaseName, runs: _Runs, points: Points, dark: Bools, shared: Frame, slo: Slo
) -> Bools:
    """Two or more gaps, lasting longer than ``tolerate``, that hold the phase's last point."""
    gone = np.zeros(len(points.gap), dtype=bool)
    span = shared.spans[phase]
    if phase is PhaseName.BEFORE or span.stop <= span.start or shared.blind[span.stop - 1]:
        return gone
    last = span.stop - 1
    holds_last = np.flatnonzero((runs.first <= last) & (runs.last >= last) & (runs.seeing >= 2))
    if not len(holds_last):
        return gone
    # A run is not cut at the border here: darkness that begins before it does not become younger. A
    # share is one of the phase's points, so there only what lies in the phase can count.
    row, seeing = runs.row[holds_last], runs.seeing[holds_last]
    begin = np.maximum(runs.first[holds_last], span.start)
    inside = runs.seeing_until[span.stop] - runs.seeing_until[begin]
    judged = points.value | points.ok | points.breach | dark
    among = np.maximum(judged[row, span].sum(axis=1), 1)
    long_enough = exceeds(slo.rule(phase).tolerate, seeing * shared.grid.step, inside / among)
    gone[row[long_enough]] = True
    return gone & points.life.can_go_dark


def abandoned_from(values: Values, shared: Frame, slo: Slo) -> int:
    """The last point with any series of the SLO, if that none is left at the end is as good as gone dark.

    Two or more points without one, for longer than ``tolerate``; else the end of the grid.
    """
    last, count = last_sample(values), shared.grid.count
    missing = int((~shared.blind[last + 1 :]).sum())
    if missing < 2 or shared.blind[-1]:
        return count
    after = shared.spans[PhaseName.AFTER]
    phase = PhaseName.AFTER if after.stop > after.start else PhaseName.DURING
    span = shared.spans[phase]
    inside = int((~shared.blind[max(last + 1, span.start) : span.stop]).sum())
    share = np.array([inside / max(span.stop - span.start, 1)])
    seconds = np.array([missing * shared.grid.step])
    return last if exceeds(slo.rule(phase).tolerate, seconds, share).all() else count


def exceeds(tolerate: Tolerance | None, seconds: Floats, share: Floats) -> Bools:
    """Whether a breach this long, or this share of the points, is more than tolerated."""
    if tolerate is None:
        return np.asarray(seconds > 0, dtype=bool)
    if tolerate.seconds is not None:
        return np.asarray(seconds > tolerate.seconds + _SLACK, dtype=bool)
    return np.asarray(share > (tolerate.share or 0.0) + 1e-9, dtype=bool)


def blindness(
    gap: Bools, blind: Bools, judged: Bools, rule: PhaseRule, step: float, *, one_is_short: bool
) -> tuple[Bools, Ints]:
    """Of a phase's points: where Prometheus was away for longer than tolerated, and for how many points.

    ``blind`` (points,). One gap alone is forgiven, whoever was away.
    """
    rows = len(gap)
    unseen = gap & blind
    longest, all_of_it = longest_run(unseen, ~gap), unseen.sum(axis=1)
    share = all_of_it / np.maximum(all_of_it + judged.sum(axis=1), 1)
    forgiven = (longest == 1) if one_is_short else np.zeros(rows, dtype=bool)
    beyond = exceeds(rule.tolerate, longest * step, share) & ~forgiven & (longest > 0)
    by_share = rule.tolerate is not None and rule.tolerate.seconds is None
    return beyond, all_of_it if by_share else longest
