"""Looking at an experiment's queries before a run: the lint, and what each of them answers now."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sloguard.core.model import Activity, Experiment, Guard, Slo
from sloguard.engine.options import Options
from sloguard.engine.queries import Queries, look_up
from sloguard.ports import Metrics, MetricsError
from sloguard.promql.findings import Finding
from sloguard.promql.lint import lint

#: Functions that take pods away, by what their names hold.
_KILLERS = ("terminate_pods", "delete_pods", "evict", "drain", "delete_nodes", "rollout_restart")


@dataclass(frozen=True, slots=True)
class Answered:
    """One SLO's queries, sent once. ``series`` by role; spans in seconds; ``problem``: why not."""

    series: Mapping[str, int]
    step: float | None = None
    lookback: float | None = None
    lookback_problem: str = ""
    notes: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Inspected:
    """One SLO or guard: what the lint says, and what Prometheus answered if it was asked."""

    declared: Slo | Guard
    findings: tuple[Finding, ...]
    answered: Answered | None = None


def inspected(
    experiment: Experiment, metrics: Metrics | None = None, options: Options | None = None
) -> list[Inspected]:
    """Every SLO and guard. Raises MetricsError where Prometheus cannot be asked at all."""
    options = options or Options()
    everything: Sequence[Slo | Guard] = (*experiment.slos, *experiment.guards)
    if metrics is None:
        return [Inspected(one, _findings(experiment, one, options)) for one in everything]
    queries = look_up(experiment.slos, experiment.guards, metrics)
    return [_asked(experiment, one, metrics, queries, options) for one in everything]


def _asked(
    experiment: Experiment, one: Slo | Guard, metrics: Metrics, queries: Queries, options: Options
) -> Inspected:
    values: list[float] = []
    series: dict[str, int] = {}
    notes: dict[str, None] = {}
    problem = ""
    for role, query in one.queries.items():
        try:
            answer = metrics.instant(query)
        except MetricsError as error:
            problem = problem or f"{role}: {error}"
            continue
        series[role] = len(answer.samples)
        notes.update(dict.fromkeys(answer.notes))
        if role == "query":
            values = [s.value for s in answer.samples if math.isfinite(s.value)]
    asked = (queries.slos if isinstance(one, Slo) else queries.guards)[one.name]
    observed = (min(values), max(values)) if values else None
    found = _findings(experiment, one, options, queries, asked.scrape_interval, observed)
    step, lookback, why = None, None, ""
    if isinstance(one, Slo):
        phases = experiment.phases
        step = queries.step(one, options)
        look = queries.lookback(one, window=phases.during + phases.after)
        lookback, why = look.seconds, look.problem
    return Inspected(one, found, Answered(series, step, lookback, why, tuple(notes), problem))


def _findings(
    experiment: Experiment,
    one: Slo | Guard,
    options: Options,
    queries: Queries | None = None,
    scrape_interval: float | None = None,
    observed: tuple[float, float] | None = None,
) -> tuple[Finding, ...]:
    return tuple(
        lint(
            one,
            phases=experiment.phases,
            scrape_interval=scrape_interval,
            rules=None if queries is None else queries.rules,
            kills_pods=any(_kills(activity) for activity in experiment.method),
            observed=observed,
            default_step=options.fallback_step,
        )
    )


def _kills(activity: Activity) -> bool:
    provider = activity.provider
    return activity.kind == "action" and any(k in str(provider.get("func", "")) for k in _KILLERS)
