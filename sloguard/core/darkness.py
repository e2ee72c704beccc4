"""Gaps after the fault: whose they are, which are forgiven, and which series went dark.

Arrays are series x points over the whole grid unless said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sloguard.core.model import PhaseName, Slo, Tolerance
from sloguard.core.objective import Bools, Floats, Ints
from sloguard.core.points import Frame, Points

#: Steps and scrape intervals that differ by less than this are the same.
_SLACK = 1e-6


@dataclass(frozen=True, slots=True)
class Darkness:
    """``dark``: gaps that are held against the series. ``gone`` (per series, by phase): gone dark.

    ``blind_run`` (per series, by phase): the longest run (points) for which Prometheus was away.
    """

    dark: Bools
    gone: dict[PhaseName, Bools]
    blind_run: dict[PhaseName, Ints] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Runs:
    """Runs of gaps, flat: the row, first and last column, points in all, and points not blind."""

    row: Ints
    first: Ints
    last: Ints
    seeing: Ints


def darkness(points: Points, shared: Frame, slo: Slo, scrape_interval: float | None) -> Darkness:
    """Sort the gaps of all series."""
    step = shared.grid.step
    one_gap_is_short = scrape_interval is None or step <= scrape_interval + _SLACK
    from_fault = np.arange(shared.grid.count) >= shared.fault
    runs = _runs(points.gap & from_fault, shared.blind)
    dark = points.gap & from_fault & ~shared.blind & points.life.can_go_dark[:, None]
    if one_gap_is_short:
        for run in np.flatnonzero(runs.seeing == 1):
            dark[runs.row[run], runs.first[run] : runs.last[run] + 1] = False
    gone = {phase: _gone_at_end_of(phase, runs, points, shared, slo) for phase in PhaseName}
    blind = {phase: _blind_run(points, shared, phase, one_gap_is_short) for phase in PhaseName}
    return Darkness(dark, gone, blind)


def _runs(gap: Bools, blind: Bools) -> _Runs:
    rows, columns = gap.shape
    padded = np.zeros((rows, columns + 2), dtype=np.int8)
    padded[:, 1:-1] = gap
    edges = np.diff(padded, axis=1)
    row, first = np.nonzero(edges == 1)
    _, beyond = np.nonzero(edges == -1)
    seeing_until = np.concatenate(([0], np.cumsum(~blind)))
    return _Runs(row, first, beyond - 1, seeing_until[beyond] - seeing_until[first])


def _gone_at_end_of(
    phase: PhaseName, runs: _Runs, points: Points, shared: Frame, slo: Slo
) -> Bools:
    """Two or more gaps, lasting longer than ``tolerate``, that hold the phase's last point."""
    gone = np.zeros(len(points.gap), dtype=bool)
    span = shared.spans[phase]
    if phase is PhaseName.BEFORE or span.stop <= span.start or shared.blind[span.stop - 1]:
        return gone
    last = span.stop - 1
    # A run is not cut at the border here: darkness that begins before it does not become younger.
    long_enough = (runs.seeing >= 2) & exceeds(
        slo.rule(phase).tolerate,
        runs.seeing * shared.grid.step,
        runs.seeing / max(span.stop - span.start, 1),
    )
    holds_last = (runs.first <= last) & (runs.last >= last)
    gone[runs.row[long_enough & holds_last]] = True
    return gone & points.life.can_go_dark & ~points.life.removed


def nothing_left(points: Points, sampled: Bools, shared: Frame, slo: Slo) -> Bools:
    """Series whose object the fault removed, where no series of the SLO is left at the end of ``after``."""
    removed = points.life.removed & points.life.can_go_dark
    ends = shared.last_seen_points(PhaseName.AFTER, 2)
    if len(ends) < 2 or not removed.any() or sampled[:, ends].any():
        return np.zeros(len(removed), dtype=bool)
    last_sample = np.max(np.where(sampled, np.arange(sampled.shape[1]), -1))
    missing = int((~shared.blind[last_sample + 1 :]).sum())
    span = shared.spans[PhaseName.AFTER]
    lasted = exceeds(
        slo.after.tolerate,
        np.array([missing * shared.grid.step]),
        np.array([missing / max(span.stop - span.start, 1)]),
    )
    return removed & lasted


def exceeds(tolerate: Tolerance | None, seconds: Floats, share: Floats) -> Bools:
    """Whether a breach this long, or this share of the points, is more than tolerated."""
    if tolerate is None:
        return np.asarray(seconds > 0, dtype=bool)
    if tolerate.seconds is not None:
        return np.asarray(seconds > tolerate.seconds + _SLACK, dtype=bool)
    return np.asarray(share > (tolerate.share or 0.0) + 1e-9, dtype=bool)


def _blind_run(points: Points, shared: Frame, phase: PhaseName, forgive_one: bool) -> Ints:
    span = shared.spans[phase]
    if not shared.blind[span].any():
        return np.zeros(len(points.gap), dtype=np.intp)
    longest = longest_run(points.gap[:, span] & shared.blind[span], ~points.gap[:, span])
    if forgive_one:
        alone = longest == 1
        longest = np.where(alone, 0, longest)
    return longest


def run_lengths(members: Bools, ends: Bools) -> Ints:
    """At each point, how many members the run up to here holds; a point of ``ends`` starts anew."""
    counted = np.cumsum(members, axis=1)
    return np.asarray(counted - np.maximum.accumulate(np.where(ends, counted, 0), axis=1))


def longest_run(members: Bools, ends: Bools) -> Ints:
    """The longest run of each series, in points."""
    if not members.any():
        return np.zeros(len(members), dtype=np.intp)
    return np.asarray(run_lengths(members, ends).max(axis=1))
