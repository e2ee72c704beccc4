"""What an experiment may cost of an error budget: the gate before it, and the guard judged after it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from sloguard.core.arrays import runs
from sloguard.core.model import Budget, PhaseName, Slo, Timeline, Verdict
from sloguard.core.objective import EQUAL_WITHIN
from sloguard.core.points import Values, slo_values
from sloguard.core.results import SeriesResult, SloResult
from sloguard.core.series import LabelSet
from sloguard.core.spending import History, bad_shares
from sloguard.core.text import format_duration, format_series, format_value
from sloguard.core.windows import phase_slice

_BURNING = (PhaseName.DURING, PhaseName.AFTER)
_Said = tuple[Verdict, str]


def check_gate(
    limits: Budget, slo: Slo, history: History | None, labels: Iterable[LabelSet] | None = None
) -> _Said:
    """Whether as much is left as has to be: met, deviated (less), inconclusive (nobody knows).

    ``labels``: the series that count, where these are known; else all of the history.
    """
    least, period = limits.keep_at_least or 0.0, format_duration(slo.period or 0.0)
    if history is None or history.problem:
        why = history.problem if history is not None else "it was not asked for"
        return (
            Verdict.INCONCLUSIVE,
            f"{slo.name}: what is left of its error budget is unknown: {why}",
        )
    counted = _counted(history, labels)
    if not counted:
        return (
            Verdict.INCONCLUSIVE,
            f"{slo.name}: what is left of its error budget is unknown: no data in the last {period}",
        )
    worst = max(counted, key=lambda key: counted[key])
    left = 1.0 - counted[worst]
    at_most = "at most " if history.known < 1 else ""
    told = (
        f"{format_series(slo.name, worst)}: {at_most}{format_value(left, '%')} of the error budget of "
        f"{period} is left, at least {format_value(least, '%')} asked"
    )
    if left < least - EQUAL_WITHIN:
        return Verdict.DEVIATED, told
    if history.known < limits.min_history - EQUAL_WITHIN:
        known = format_duration(history.known * (slo.period or 0.0))
        return (
            Verdict.INCONCLUSIVE,
            f"{slo.name}: only {known} of the {period} of its error budget are known, at least "
            f"{format_value(limits.min_history, '%')} asked (budget.min_history)",
        )
    return Verdict.MET, told


def _counted(history: History, labels: Iterable[LabelSet] | None) -> dict[LabelSet, float]:
    wanted = None if labels is None else set(labels)
    return {k: v for k, v in history.spent.items() if wanted is None or k in wanted}


def judge_guard(limits: Budget, result: SloResult, timeline: Timeline) -> dict[str, Any]:
    """The guard of one SLO's budget, held against all the evidence once the run is over."""
    made: dict[str, Any] = {
        "spent": limits.abort_spent,
        "burn_rate": limits.abort_burn_rate,
        "for_seconds": limits.hold_for,
    }
    said: list[_Said] = []
    if limits.abort_spent is not None:
        said += _spent(limits.abort_spent, result)
    if limits.abort_burn_rate is not None:
        said += _burned(limits.abort_burn_rate, limits.hold_for, result, timeline)
    unknown = (
        Verdict.INCONCLUSIVE,
        f"{result.name}: what the run spent of its error budget is unknown",
    )
    verdict, reason = max(said, key=lambda one: one[0].rank, default=unknown)
    return {**made, "verdict": str(verdict), "reason": reason}


def _spent(limit: float, result: SloResult) -> Iterator[_Said]:
    slo = result.evidence.slo
    for series in result.series:
        if series.budget_burned is not None:
            yield _spent_of(limit, slo, series, result.evidence.grid.step)


def _spent_of(limit: float, slo: Slo, series: SeriesResult, step: float) -> _Said:
    spent = series.budget_burned or 0.0
    name = format_series(slo.name, series.labels)
    said = f"{format_value(spent, '%')} of its error budget"
    allowed = f"{format_value(limit, '%')} allowed"
    if spent >= limit * (1 - EQUAL_WITHIN):
        return Verdict.DEVIATED, f"{name} spent {said}, {allowed}"
    # What gaps could have hidden at the very most: nothing but bad events.
    gaps = sum(series.phases[p].gaps for p in _BURNING)
    hidden = gaps * step / ((slo.period or 0.0) * (1.0 - (slo.target or 0.0)))
    if series.budget_is_lower_bound and (not gaps or spent + hidden >= limit):
        return Verdict.INCONCLUSIVE, f"{name} spent at least {said}, {allowed}"
    return Verdict.MET, f"{name} spent {said}, {allowed}"


def _burned(
    limit: float, hold_for: float, result: SloResult, timeline: Timeline
) -> Iterator[_Said]:
    """Each series' longest time above the burn rate. Gaps neither end nor lengthen it."""
    evidence = result.evidence
    if evidence.slo.target is None or not result.series:
        return
    values = slo_values(evidence)
    baselines = {series.labels: series.baseline for series in result.series}
    column = np.array(
        [np.nan if baselines.get(k) is None else baselines[k] for k in values.labels], dtype=float
    )
    parts = [
        bad_shares(evidence.slo, _cut(values, phase_slice(timeline, evidence.grid, p)), p, column)
        for p in _BURNING
    ]
    rates = np.concatenate(parts, axis=1) / (1.0 - evidence.slo.target)
    known = ~np.isnan(rates)
    over = known & (np.nan_to_num(rates, posinf=np.inf) > limit * (1 + EQUAL_WITHIN))
    longest = runs(over, known & ~over).longest * evidence.grid.step
    for row, labels in enumerate(values.labels):
        if known[row].any():
            fastest = float(rates[row][known[row]].max())
            yield _burned_of(
                limit, hold_for, format_series(result.name, labels), fastest, float(longest[row])
            )


def _burned_of(limit: float, hold_for: float, name: str, fastest: float, held: float) -> _Said:
    said = f"{name} burned its error budget at up to {format_value(fastest)}x"
    allowed = f"{format_value(limit)}x allowed"
    if held <= 0 or held < hold_for:
        return Verdict.MET, f"{said}, {allowed}"
    longer = f" for {format_duration(hold_for)}" if hold_for else ""
    return Verdict.DEVIATED, f"{said}, {format_duration(held)} above the {allowed}{longer}"


def _cut(values: Values, part: slice) -> Values:
    """Some of the points."""
    columns = (values.values[:, part], values.has_value[:, part], values.idle[:, part])
    return Values(values.labels, *columns)
