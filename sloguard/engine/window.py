"""Judging a window after the fact: nothing is run, only Prometheus is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sloguard.core.alerting import AlertsRead, judge_alerts
from sloguard.core.budget_entries import budget_entries
from sloguard.core.judge import judge_slo
from sloguard.core.model import Experiment, Timeline
from sloguard.core.outcome import RunFacts
from sloguard.core.series import Surroundings
from sloguard.engine.budgeting import histories
from sloguard.engine.evidence import Collected, collecting, unasked
from sloguard.engine.loop import Loop
from sloguard.engine.options import Options
from sloguard.engine.ports_bundle import Executor, Threads
from sloguard.engine.queries import look_up
from sloguard.ports import Clock, Metrics, MetricsError
from sloguard.ports.alerts import AlertSource


def collect(
    experiment: Experiment,
    timeline: Timeline,
    metrics: Metrics,
    clock: Clock,
    options: Options | None = None,
    *,
    removed: Mapping[str, frozenset[str]] | None = None,
    executor: Executor | None = None,
    sources: Sequence[AlertSource] = (),
) -> Collected:
    """The evidence of every SLO of an experiment over a timeline. Blocking.

    A query that fails is in its SLO's evidence as ``error``, at once: a window of the past does not
    wait for a Prometheus to come back. ``removed``: names of objects that the fault took away, by label.
    ``sources``: who else knows of alerts, if they still know of that time.
    """
    options = options or Options()
    loop = Loop(clock, executor or Threads())
    try:
        queries = look_up(experiment.slos, (), metrics)
    except MetricsError as error:
        evidence = unasked(experiment.slos, timeline, options, str(error))
        unread = AlertsRead(unread=(f"alerts could not be read: {error}",))
        return Collected(evidence, Surroundings(removed=dict(removed or {})), alerts=unread)
    return loop.complete(
        collecting(
            loop,
            experiment.slos,
            queries,
            timeline,
            metrics,
            options,
            removed=removed,
            sources=sources,
            alerts_alone=experiment.alerts.declared,
        )
    )


def judge_window(
    experiment: Experiment,
    timeline: Timeline,
    metrics: Metrics,
    clock: Clock,
    options: Options | None = None,
    *,
    removed: Mapping[str, frozenset[str]] | None = None,
    executor: Executor | None = None,
    sources: Sequence[AlertSource] = (),
) -> RunFacts:
    """What ``sloguard judge`` says of a window; ``core.document.document`` makes the answer of it.

    An error of Prometheus is never a breach: its SLO is inconclusive, with the error.
    """
    collected = collect(
        experiment,
        timeline,
        metrics,
        clock,
        options,
        removed=removed,
        executor=executor,
        sources=sources,
    )
    facts = judge_collected(experiment, timeline, collected)
    return with_budget(facts, experiment, metrics, options)


def judge_collected(
    experiment: Experiment, timeline: Timeline, collected: Collected, run: str = ""
) -> RunFacts:
    """Judge evidence that is at hand: just collected, or kept with a run."""
    held = judge_alerts(collected.alerts, experiment.alerts, timeline)
    slos = tuple(
        judge_slo(e, timeline, collected.surroundings, experiment.phases.after)
        for e in collected.evidence
    )
    return RunFacts(
        experiment=experiment.title,
        run=run,
        timeline=timeline,
        slos=slos,
        alerts=held.entries,
        alert_scope=held.scope,
        notes=(*collected.notes, *held.notes),
        budget=budget_entries(slos, (), experiment.budget, timeline),
    )


def with_budget(
    facts: RunFacts, experiment: Experiment, metrics: Metrics, options: Options | None = None
) -> RunFacts:
    """The same with what was left of the error budgets before the fault. Blocking."""
    asked = (options or Options()).budget_history
    if facts.timeline is None or not asked or all(slo.evidence.error for slo in facts.slos):
        return facts
    found = histories(experiment.slos, metrics, facts.timeline.fault)
    budget = budget_entries(facts.slos, found, experiment.budget, facts.timeline)
    return replace(facts, budget=budget)
