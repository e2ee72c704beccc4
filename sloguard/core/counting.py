"""Counts of one phase, one entry a series: how many points of which kind, and which was the worst."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sloguard.core.arrays import Bools, Floats, Ints, anywhere, count, runs
from sloguard.core.deciding import INCONCLUSIVE, NOT_JUDGED, Codes, Decided, PhasePoints, Why
from sloguard.core.model import PhaseName
from sloguard.core.points import Frame, Points
from sloguard.core.windows import phase_span


@dataclass(slots=True)
class PhaseColumns:
    """One phase, one entry a series. Counts are in points; indices into the phase, -1 where none."""

    verdict: Codes
    why: Codes
    points: Ints
    gaps: Ints
    idle: Ints
    judged: Ints
    breaches: Ints
    longest: Ints
    first_breach: Ints
    last_breach: Ints
    worst: Ints
    worst_value: Floats
    worst_breaks: Bools
    dark: Ints
    blind: Ints
    recovered: Floats
    recovered_from: Floats
    recovered_to: Floats
    held: Floats
    seen: Ints
    asked: Ints


def counted(
    sets: PhasePoints,
    points: Points,
    span: slice,
    decided: Decided,
    worst: Ints,
    values: Floats,
    blind: Ints,
) -> PhaseColumns:
    found = runs(sets.breach, sets.ok)
    worst_value = np.full(len(worst), np.nan)
    worst_breaks = np.zeros(len(worst), dtype=bool)
    if values.shape[1]:
        there = worst >= 0
        worst_value[there] = values[there, worst[there]]
        worst_breaks[there] = sets.breach[there, worst[there]]
    return PhaseColumns(
        verdict=decided.verdict,
        why=decided.why,
        points=count(points.life.alive[:, span]),
        gaps=count(points.raw_gap[:, span]),
        idle=count(points.raw_idle[:, span]),
        judged=count(sets.ok | sets.breach),
        breaches=found.members,
        longest=found.longest,
        first_breach=found.first,
        last_breach=found.last,
        worst=worst,
        worst_value=worst_value,
        worst_breaks=worst_breaks,
        dark=count(sets.dark),
        blind=blind,
        recovered=decided.recovered,
        recovered_from=decided.recovered_from,
        recovered_to=decided.recovered_to,
        held=decided.held,
        seen=decided.seen,
        asked=decided.asked,
    )


def lowest(margin: Floats, which: Bools, breach: Bools) -> Ints:
    """Of each series the index of the smallest margin among ``which``; -1 where there is none."""
    if margin.shape[1] == 0:
        return np.full(len(margin), -1, dtype=np.intp)
    rows = np.arange(len(margin))
    among = margin if which.all() else np.where(which, margin, np.inf)
    index = among.argmin(axis=1)
    # An infinite margin is one all the same: of a value of -Inf under an upper bound.
    index = np.where(which[rows, index], index, which.argmax(axis=1))
    found = which[rows, index]
    # Of values as near to a bound as equals it, one that breaches it (it may be ``<``) is the worse one.
    doubtful = np.flatnonzero(found & anywhere(breach) & ~breach[rows, index])
    level = breach[doubtful] & which[doubtful]
    for at in np.flatnonzero(level.any(axis=1)):
        row, columns = doubtful[at], np.flatnonzero(level[at])
        index[row] = columns[among[row, columns].argmin()]
    return np.where(found, index, -1)


def settle_empty(columns: PhaseColumns, phase: PhaseName, points: Points, shared: Frame) -> None:
    """Series without a point in the phase: not judged, unless it is the grid that has none there."""
    span = shared.spans[phase]
    outside = columns.points == 0
    columns.verdict[outside] = NOT_JUDGED
    columns.why[outside] = Why.OUTSIDE_LIFE
    if span.stop > span.start:
        return
    columns.why[:] = Why.EMPTY_PHASE
    left, right = phase_span(shared.timeline, phase)
    if right > left:
        # Too short for a point, but not of length 0: nobody knows what it was like, least of all those
        # series that live beside it.
        beside = points.life.alive[:, -1 if phase is PhaseName.AFTER else 0]
        columns.verdict[beside] = INCONCLUSIVE
        columns.why[:] = np.where(beside, Why.NO_GRID_POINT, Why.OUTSIDE_LIFE)
