"""Values held against objectives: margins and breaches of many series at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sloguard.core.arrays import Bools, Floats
from sloguard.core.objective import (
    EQUAL_WITHIN,
    Bound,
    Comparison,
    Member,
    Objective,
    comparisons,
)


@dataclass(frozen=True, slots=True)
class Assessment:
    """How values stand to an objective; all arrays are series x points, aligned with the values.

    ``breach``: a decided breach. ``undecided``: no decided breach, and a member could not be decided.
    ``margin``: the smallest distance to a bound, negative in breach, NaN where nothing is decided.
    """

    breach: Bools
    undecided: Bools
    margin: Floats


def assess(objective: Objective, values: Floats, baseline: Floats) -> Assessment:
    """Hold ``values`` (series x points, no NaN where it matters) against ``objective``.

    ``baseline``: one number a series, NaN where there is none.
    """
    if len(objective.members) == 1 and not objective.names_baseline:
        # The usual case, without the passes over the array that the others need.
        margin, breach = _held_against(objective.members[0], values, baseline)
        return Assessment(breach, np.zeros(values.shape, dtype=bool), margin)
    breach = np.zeros(values.shape, dtype=bool)
    undecided = np.zeros(values.shape, dtype=bool)
    margin = np.full(values.shape, np.inf)
    for op, bound in comparisons(objective):
        distance, is_breach = _compare(op, values, bound.resolve(baseline)[:, None])
        unknown = _undecided(bound, values, baseline)
        breach |= is_breach & ~unknown
        undecided |= unknown
        # fmin ignores the NaN of an undecided bound.
        margin = np.fmin(margin, np.where(unknown, np.nan, distance))
    margin[np.isposinf(margin) & undecided] = np.nan
    return Assessment(breach, undecided & ~breach, margin)


def _held_against(member: Member, values: Floats, baseline: Floats) -> tuple[Floats, Bools]:
    """Margin and breach of one member."""
    if isinstance(member, Comparison):
        return _compare(member.op, values, member.bound.resolve(baseline)[:, None])
    low_margin, under = _compare(">=", values, member.low.resolve(baseline)[:, None])
    high_margin, over = _compare("<=", values, member.high.resolve(baseline)[:, None])
    return np.minimum(low_margin, high_margin), under | over


def _undecided(bound: Bound, values: Floats, baseline: Floats) -> Bools:
    """No baseline; or a baseline of 0 with a relative allowance, for every value other than 0."""
    if not bound.baseline:
        return np.zeros(values.shape, dtype=bool)
    missing = np.broadcast_to(~np.isfinite(baseline)[:, None], values.shape)
    if not bound.relative:
        return missing.copy()
    return np.asarray(missing | ((baseline == 0)[:, None] & (values != 0)), dtype=bool)


def _compare(op: str, values: Floats, bound: Floats) -> tuple[Floats, Bools]:
    """Margin (negative in breach) and breach. A value within EQUAL_WITHIN of a bound equals it."""
    with np.errstate(invalid="ignore", over="ignore"):
        margin = bound - values if op in ("<", "<=") else values - bound
        near = EQUAL_WITHIN * np.abs(bound)
        if not np.isfinite(bound).all():
            # inf - inf is NaN: an infinite value equals an infinite bound.
            margin[np.isnan(margin) & (values == bound)] = 0.0
            near = np.where(np.isfinite(near), near, 0.0)
        if op in ("<", ">"):
            return margin, margin <= near
        if op in ("<=", ">="):
            return margin, margin < -near
        distance = np.abs(margin)
        equal = distance <= near
        return (-distance, ~equal) if op == "==" else (distance, equal)
