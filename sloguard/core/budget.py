"""Error budget: how much of a period's allowed bad events or bad time a window has burned."""

from __future__ import annotations

import numpy as np

from sloguard.core.columns import Columns
from sloguard.core.model import PhaseName, Slo
from sloguard.core.objective import Comparison
from sloguard.core.points import Frame, Values


def budget_burned(
    slo: Slo, values: Values, shared: Frame, columns: Columns, row: int
) -> tuple[float | None, bool]:
    """The share of the period's budget burned in ``during`` and ``after``, and if it is a lower bound.

    None where the SLO has no target, or where there was nothing to burn from.
    """
    if slo.target is None or slo.period is None:
        return None, False
    budget_share = 1.0 - slo.target
    step = shared.grid.step
    window = slice(shared.fault, shared.grid.count)
    gaps = any(int(columns.phases[p].gaps[row]) for p in (PhaseName.DURING, PhaseName.AFTER))
    if values.total is not None and values.bad is not None:
        totals = values.total[row, shared.spans[PhaseName.BEFORE]]
        totals = totals[np.isfinite(totals)]
        usual = float(np.median(totals)) if len(totals) else 0.0
        allowed = usual * slo.period * budget_share
        # Where nothing was asked for, nothing was bad, whatever the other query says.
        happened = values.total[row, window] > 0
        bad = values.bad[row, window][happened]
        spent = float(np.sum(bad[np.isfinite(bad)])) * step
    else:
        allowed = slo.period * budget_share
        spent = _plain_spent(slo, values, window, columns, row, step)
    if allowed <= 0:
        return None, False
    return spent / allowed, gaps


def _plain_spent(
    slo: Slo, values: Values, window: slice, columns: Columns, row: int, step: float
) -> float:
    if _is_share(slo):
        numbers = values.values[row, window]
        return float(np.sum(numbers[np.isfinite(numbers)])) * step
    breaches = (
        columns.phases[PhaseName.DURING].breaches[row]
        + columns.phases[PhaseName.AFTER].breaches[row]
    )
    return float(breaches) * step


def _is_share(slo: Slo) -> bool:
    """Whether the bound of a plain query is a percentage."""
    members = slo.objective.members
    return any(isinstance(m, Comparison) and m.bound.unit == "%" for m in members)
