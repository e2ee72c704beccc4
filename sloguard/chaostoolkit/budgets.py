"""Error budgets of a run of the Chaos Toolkit: the gate before it, the guards in it, what it has spent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sloguard.core.budget_entries import budget_entries
from sloguard.core.budget_limits import check_gate
from sloguard.core.model import Experiment, PhaseName, Timeline, Verdict
from sloguard.core.results import SloResult
from sloguard.core.spending import History
from sloguard.engine.budget_watch import BudgetWatch, budget_watches
from sloguard.engine.budgeting import histories
from sloguard.engine.options import Options
from sloguard.engine.queries import Queries
from sloguard.engine.session import NotStarted
from sloguard.ports import Metrics


@dataclass(slots=True)
class Budgets:
    """The budgets of one experiment. ``before``: what was judged of the time before the fault."""

    experiment: Experiment
    metrics: Metrics
    options: Options
    before: Sequence[SloResult] = ()
    watches: Sequence[BudgetWatch] = ()
    _histories: tuple[History, ...] = field(default=())

    def gate(self, at: float) -> str:
        """Why nothing may be broken at ``at``; empty where enough is left. Blocking."""
        limits = self.experiment.budget
        if limits is None or limits.keep_at_least is None:
            return ""
        slos = limits.of(self.experiment.slos)
        self._histories = histories(slos, self.metrics, at)
        known = {history.slo: history for history in self._histories}
        judged = {
            result.name: [s.labels for s in result.series]
            for result in self.before
            if result.omitted is None
        }
        held = [check_gate(limits, slo, known.get(slo.name), judged.get(slo.name)) for slo in slos]
        return "; ".join(reason for verdict, reason in held if verdict is not Verdict.MET)

    def prepare(
        self,
        queries: Queries,
        fault: Callable[[], float | None],
        phase: Callable[[], PhaseName],
    ) -> str:
        """Make the guards; why what the run spends could not be told, or empty."""
        try:
            self.watches = budget_watches(
                self.experiment, self.before, queries, self.options, fault=fault, phase=phase
            )
        except NotStarted as refused:
            return str(refused)
        return ""

    def entries(
        self, results: Sequence[SloResult], timeline: Timeline | None
    ) -> tuple[dict[str, Any], ...]:
        """For the document; without a timeline, of a run that did not start. Blocking."""
        limits, slos = self.experiment.budget, self.experiment.slos
        if timeline is None:
            unjudged = () if limits is None else limits.of(slos)
            return budget_entries(self.before, self._histories, limits, None, unjudged)
        told = {history.slo for history in self._histories}
        left = [slo for slo in slos if slo.has_budget and slo.name not in told]
        away = bool(results) and all(result.evidence.error for result in results)
        if left and self.options.budget_history and not away:
            more = histories(left, self.metrics, timeline.fault)
            self._histories = (*self._histories, *more)
        return budget_entries(results, self._histories, limits, timeline)
