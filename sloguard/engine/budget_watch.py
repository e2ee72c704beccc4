"""The guard of an error budget, judged live: how much this run has spent, and how fast it burns.

Chosen here: between two readings what was burned is taken to be the mean of both; a series that began
after the fault, or had no events before it, spends what cannot be told, and only its burn rate counts.
The verdict does not depend on it: it is judged again, from all samples, once the run is over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from sloguard.core.budget import burning_shares
from sloguard.core.comparing import assess
from sloguard.core.model import Budget, Experiment, Guard, PhaseName, Slo
from sloguard.core.objective import EQUAL_WITHIN
from sloguard.core.results import SloResult
from sloguard.core.series import LabelSet
from sloguard.core.spending import usual_totals
from sloguard.core.text import format_duration, format_series, format_time, format_value
from sloguard.engine.gate import baselines
from sloguard.engine.guard import Answers, GuardWatch, nameless, shown
from sloguard.engine.options import Options
from sloguard.engine.queries import Queries
from sloguard.engine.session import NotStarted, Session
from sloguard.engine.watch import Watcher


def guard_budgets(session: Session, watcher: Watcher) -> None:
    """Watch the budgets too; raises NotStarted where what a run spends could not be told."""
    if session.queries is None:
        return
    found = budget_watches(
        session.experiment,
        session.gate,
        session.queries,
        session.options,
        fault=lambda: session.fault,
        phase=lambda: session.phase,
    )
    for watch in found:
        watcher.add(watch)


def budget_watches(
    experiment: Experiment,
    gate: Sequence[SloResult],
    queries: Queries,
    options: Options,
    *,
    fault: Callable[[], float | None],
    phase: Callable[[], PhaseName],
) -> list[BudgetWatch]:
    """A guard for every budget that has one. ``gate``: what was judged of the time before the fault.

    Raises NotStarted where what a run spends could not be told.
    """
    limits = experiment.budget
    if limits is None or not limits.guards:
        return []
    evidence = {result.name: result.evidence for result in gate}
    named = baselines(tuple(gate))
    made = []
    for slo in limits.of(experiment.slos):
        usual = usual_totals(evidence[slo.name]) if slo.name in evidence else {}
        if slo.is_pair and not usual and limits.abort_spent is not None:
            raise NotStarted(
                f"budget: what the run spends of {slo.name} cannot be told: no events before the fault "
                "to measure it by"
            )
        asked = queries.slos[slo.name]
        watch = BudgetWatch(
            slo,
            limits,
            usual=usual,
            baselines=named.get(slo.name, {}),
            interval=asked.scrape_interval or options.fallback_step,
            same_metric=asked.same_metric,
            fault=fault,
            phase=phase,
        )
        made.append(watch)
    return made


class BudgetWatch(GuardWatch):
    """One SLO's budget from reading to reading.

    ``usual``: of a pair, each series' events a second before the fault. ``fault``: when it began, or None
    so far; what was burned earlier is not the run's.
    """

    def __init__(
        self,
        slo: Slo,
        limits: Budget,
        *,
        usual: Mapping[LabelSet, float],
        baselines: Mapping[LabelSet, float],
        interval: float,
        same_metric: bool,
        fault: Callable[[], float | None],
        phase: Callable[[], PhaseName],
    ) -> None:
        name = f"budget of {slo.name}"
        guard = Guard(name, slo.objective, limits.hold_for, **slo.queries)
        super().__init__(guard, interval=interval, same_metric=same_metric)
        self.slo, self._limits = slo, limits
        self._usual, self._baselines = usual, baselines
        self._fault, self._phase = fault, phase
        self._spent: dict[LabelSet, float] = {}
        self._last: dict[LabelSet, tuple[float, float]] = {}

    def take(self, answers: Answers, at: float) -> str | None:
        """A reading of ``at``; the reason if it trips."""
        values = self.read(answers)
        if values is None:
            return None
        shares = self._shares({k: v for k, v in values.items() if not math.isnan(v)})
        self._spend(shares, answers, at)
        return self._overspent(at) or self._too_fast(shares, at)

    def _shares(self, values: Mapping[LabelSet, float]) -> dict[LabelSet, float]:
        """Which share of what happens is bad now, by series."""
        if not values:
            return {}
        numbers = np.array(list(values.values()))
        shares = burning_shares(self.slo, numbers)
        if shares is None:
            known = np.array([self._baselines.get(k, math.nan) for k in values])
            objective = self.slo.rule(self._phase()).objective
            shares = assess(objective, numbers[:, None], known).breach[:, 0].astype(float)
        return {k: max(float(v), 0.0) for k, v in zip(values, shares, strict=True)}

    def _spend(self, shares: Mapping[LabelSet, float], answers: Answers, at: float) -> None:
        fault = self._fault()
        totals = nameless(answers["total"]) if self.slo.is_pair else {}
        for labels, share in shares.items():
            usual = self._usual.get(labels, 0.0) if self.slo.is_pair else 1.0
            burning = share * totals.get(labels, 0.0) if self.slo.is_pair else share
            since, before = self._last.get(labels, (at, burning))
            self._last[labels] = (at, burning)
            if fault is None or usual <= 0:
                continue
            seconds = max(at - max(since, fault), 0.0)
            allowed = (self.slo.period or 0.0) * (1.0 - (self.slo.target or 0.0)) * usual
            spent = (before + burning) / 2 * seconds / allowed
            self._spent[labels] = self._spent.get(labels, 0.0) + spent

    def _overspent(self, at: float) -> str | None:
        limit = self._limits.abort_spent
        if limit is None or not self._spent:
            return None
        worst = max(self._spent, key=lambda labels: self._spent[labels])
        if self._spent[worst] < limit * (1 - EQUAL_WITHIN):
            return None
        period = format_duration(self.slo.period or 0.0)
        return (
            f"error budget: {self._named(worst)} spent {format_value(self._spent[worst], '%')} of its "
            f"budget of {period} by {format_time(at)}, {format_value(limit, '%')} allowed"
        )

    def _too_fast(self, shares: Mapping[LabelSet, float], at: float) -> str | None:
        limit = self._limits.abort_burn_rate
        if limit is None:
            return None
        rates = {k: share / (1.0 - (self.slo.target or 0.0)) for k, share in shares.items()}
        found = self.held([k for k, rate in rates.items() if rate > limit * (1 + EQUAL_WITHIN)], at)
        if found is None:
            return None
        longest, held, _ = found
        text = (
            f"error budget: {self._named(longest)} burns at {format_value(rates[longest])}x at "
            f"{format_time(at)}, {format_value(limit)}x allowed"
        )
        if self._limits.hold_for:
            allowed = format_duration(self._limits.hold_for)
            text += f"; {format_duration(held)} above, {allowed} allowed"
        return text

    def _named(self, labels: LabelSet) -> str:
        return format_series(self.slo.name, shown(labels))
