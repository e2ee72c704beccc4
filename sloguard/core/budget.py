"""Error budget: how much of a period's allowed bad events or bad time a window has burned."""

from __future__ import annotations

import numpy as np

from sloguard.core.arrays import Floats
from sloguard.core.columns import Columns
from sloguard.core.model import PhaseName, Slo
from sloguard.core.objective import comparisons
from sloguard.core.points import Frame, Values

_BURNING = (PhaseName.DURING, PhaseName.AFTER)


def budget_burned(
    slo: Slo, values: Values, shared: Frame, columns: Columns, row: int
) -> tuple[float | None, bool]:
    """The share of the period's budget burned in ``during`` and ``after``, and if it is a lower bound.

    None where the SLO has no target, or where there was nothing to burn from.
    """
    spans = [shared.spans[p] for p in _BURNING]
    spans = [span for span in spans if span.stop > span.start]
    lived = sum(int(columns.phases[p].points[row]) for p in _BURNING)
    counts = lived > 0 and not columns.series.ended[row]
    if slo.target is None or slo.period is None or not counts or not spans:
        return None, False
    allowed = slo.period * (1.0 - slo.target)
    if slo.is_pair:
        allowed *= _usual_total(values, shared, row)
    if allowed <= 0:
        return None, False
    gaps = any(int(columns.phases[p].gaps[row]) for p in _BURNING)
    burning = _burning(slo, values, slice(spans[0].start, spans[-1].stop), row)
    if burning is None:
        points = sum(int(columns.phases[p].breaches[row]) for p in _BURNING)
        return points * shared.grid.step / allowed, gaps
    finite = np.isfinite(burning)
    # What is infinite cannot be added up: then, too, it is a lower bound.
    spent = float(np.maximum(burning[finite], 0.0).sum()) * shared.grid.step
    return spent / allowed, gaps or not finite.all()


def _usual_total(values: Values, shared: Frame, row: int) -> float:
    """A pair's events a second in ``before``: the median; 0 if nothing is known of them."""
    if values.total is None:
        return 0.0
    totals = values.total[row, shared.spans[PhaseName.BEFORE]]
    totals = totals[np.isfinite(totals)]
    return float(np.median(totals)) if len(totals) else 0.0


def _burning(slo: Slo, values: Values, window: slice, row: int) -> Floats | None:
    """What every point with a value burns a second; None where that is told by breaches alone."""
    there = values.has_value[row, window]
    numbers = values.values[row, window][there]
    if values.total is not None:
        # The share and not the other query's number: scrapes that differ can make more bad than all.
        with np.errstate(invalid="ignore"):
            return np.asarray(numbers * values.total[row, window][there])
    return burning_shares(slo, numbers)


def burning_shares(slo: Slo, numbers: Floats) -> Floats | None:
    """Which share of what happens is bad, for values of an SLO; None where its values tell no share."""
    if slo.is_pair:
        return numbers
    shares = [(op, bound) for op, bound in comparisons(slo.objective) if bound.unit == "%"]
    if not shares:
        return None
    # Of a share of good events (at least 99%, at most all) it is what is missing that burns.
    limited = any(op not in (">", ">=") and bound.value < 1 for op, bound in shares)
    return numbers if limited else 1.0 - numbers
