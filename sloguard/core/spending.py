"""What had been spent of error budgets before a run, from what Prometheus remembers of their periods.

All numbers are shares of the whole budget of an SLO over its period: (1 - target) of what happens in it.
What is left can be below 0. What nobody knows is None, and there is a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from sloguard.core.arrays import Floats
from sloguard.core.budget import burning_shares
from sloguard.core.comparing import assess
from sloguard.core.model import PhaseName, Slo
from sloguard.core.points import Values, slo_values
from sloguard.core.series import LabelSet, SloEvidence


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What had been spent of one SLO's budget in the period up to ``at``.

    ``spent`` by label set. ``known``: the share of the period that Prometheus knows; of the rest nothing
    is counted, so with less than 1 what is left is an upper bound. ``basis``: ``counters`` (the increase
    over the whole period), ``sampled`` (points over the period) or ``recorded`` (a query of what is left).
    ``problem``: why nothing is known.
    """

    slo: str
    at: float
    spent: Mapping[LabelSet, float] = field(default_factory=dict)
    known: float = 0.0
    basis: str = ""
    queries: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


def ratio_spent(bad: float, total: float, target: float, known: float) -> float:
    """Of a pair: its bad and all its events of the part of the period that is ``known``.

    What is not known counts as time with as many events and none of them bad.
    """
    if total <= 0:
        return 0.0
    return min(max(bad / total, 0.0), 1.0) * known / (1.0 - target)


def sampled_spent(evidence: SloEvidence, known: float) -> dict[LabelSet, float]:
    """What points over the period up to now say; raises ValueError where they cannot say anything.

    ``known`` counts for pairs only: what has no sample adds nothing to the others.
    """
    slo, values = evidence.slo, slo_values(evidence)
    if slo.target is None or slo.period is None:
        raise ValueError("there is no target or no period")
    if slo.is_pair and values.total is not None:
        there = values.has_value
        totals = np.where(there, values.total, 0.0)
        bad = np.where(there, values.values, 0.0) * totals
        spent = [
            ratio_spent(float(b), float(t), slo.target, known)
            for b, t in zip(bad.sum(axis=1), totals.sum(axis=1), strict=True)
        ]
    else:
        allowed = slo.period * (1.0 - slo.target)
        shares = np.where(values.has_value, bad_shares(slo, values, PhaseName.BEFORE), 0.0)
        finite = np.where(np.isfinite(shares), np.maximum(shares, 0.0), 0.0)
        spent = [float(s) * evidence.grid.step / allowed for s in finite.sum(axis=1)]
    return dict(zip(values.labels, spent, strict=True))


def bad_shares(
    slo: Slo, values: Values, phase: PhaseName, baseline: Floats | None = None
) -> Floats:
    """Which share of each point is bad: 0 or 1 where an SLO tells no shares; NaN where there is none."""
    shares = burning_shares(slo, values.values)
    if shares is not None:
        return shares
    objective = slo.rule(phase).objective
    if objective.names_baseline and baseline is None:
        raise ValueError("its objective names the baseline, which no history has")
    known = np.full(len(values.labels), np.nan) if baseline is None else baseline
    filled = np.where(values.has_value, values.values, 0.0)
    breach = assess(objective, filled, known).breach
    return np.where(values.has_value, breach.astype(float), np.nan)


def usual_totals(evidence: SloEvidence) -> dict[LabelSet, float]:
    """A pair's events a second by series, before a fault: the median of what this evidence holds."""
    values = slo_values(evidence)
    if values.total is None:
        return {}
    found = {}
    for labels, row in zip(values.labels, values.total, strict=True):
        finite = row[np.isfinite(row)]
        if len(finite) and float(np.median(finite)) > 0:
            found[labels] = float(np.median(finite))
    return found
