"""Judging a window after the fact: nothing is run, only Prometheus is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sloguard.core.alerting import AlertsRead, judge_alerts
from sloguard.core.budget_entries import budget_entries
from sloguard.core.condensing import Condensed
from sloguard.core.judge import judge_slo
from sloguard.core.model import Experiment, Timeline
from sloguard.core.outcome import RunFacts
from sloguard.core.results import SloResult
from sloguard.core.series import SloEvidence, Surroundings
from sloguard.engine.budgeting import histories
from sloguard.engine.evidence import Collected, collecting, unasked
from sloguard.engine.loop import Loop, Work
from sloguard.engine.options import Options
from sloguard.engine.ports_bundle import Executor, Threads
from sloguard.engine.queries import look_up
from sloguard.ports import Clock, Metrics, MetricsError
from sloguard.ports.alerts import AlertSource

#: Called with the evidence of each SLO before it is judged and let go.
Each = Callable[[SloEvidence], object]


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
    take: Callable[[SloEvidence, Surroundings], object] | None = None,
) -> Collected:
    """The evidence of every SLO of an experiment over a timeline. Blocking.

    A query that fails is in its SLO's evidence as ``error``, at once: a window of the past does not
    wait for a Prometheus to come back. ``removed``: names of objects that the fault took away, by label.
    ``sources``: who else knows of alerts, if they still know of that time. ``take``: is handed the evidence
    SLO by SLO, and the answer holds none of it.
    """
    options = options or Options()
    loop = Loop(clock, executor or Threads())
    try:
        queries = look_up(experiment.slos, (), metrics, at_once=options.concurrency)
    except MetricsError as error:
        evidence = unasked(experiment.slos, timeline, options, str(error))
        unread = AlertsRead(unread=(f"alerts could not be read: {error}",))
        surroundings = Surroundings(removed=dict(removed or {}))
        if take is not None:
            for one in evidence:
                take(one, surroundings)
            evidence = ()
        return Collected(evidence, surroundings, alerts=unread)

    def taking(evidence: SloEvidence, surroundings: Surroundings) -> Work[None]:
        if take is not None:
            take(evidence, surroundings)
        yield from ()

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
            take=None if take is None else taking,
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

    An error of Prometheus is never a breach: its SLO is inconclusive, with the error. The results hold all
    samples: see ``judge_streamed`` for many SLOs.
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


def judge_streamed(
    experiment: Experiment,
    timeline: Timeline,
    metrics: Metrics,
    clock: Clock,
    options: Options | None = None,
    *,
    removed: Mapping[str, frozenset[str]] | None = None,
    executor: Executor | None = None,
    sources: Sequence[AlertSource] = (),
    run: str = "",
    each: Each = lambda _: None,
) -> tuple[RunFacts, Surroundings]:
    """As ``judge_window``, with what surrounded all SLOs. No more samples are held than are under way."""
    options = options or Options()
    judged = Condensed(options.max_series, budget=experiment.budget, timeline=timeline)

    def take(evidence: SloEvidence, surroundings: Surroundings) -> None:
        each(evidence)
        judged.add(judge_slo(evidence, timeline, surroundings, experiment.phases.after))

    collected = collect(
        experiment,
        timeline,
        metrics,
        clock,
        options,
        removed=removed,
        executor=executor,
        sources=sources,
        take=take,
    )
    facts = _facts(experiment, timeline, collected, judged.results(), run)
    return with_budget(facts, experiment, metrics, options), collected.surroundings


def judge_collected(
    experiment: Experiment, timeline: Timeline, collected: Collected, run: str = ""
) -> RunFacts:
    """Judge evidence that is at hand, and keep it with the results: just collected, or kept with a run."""
    slos = tuple(
        judge_slo(e, timeline, collected.surroundings, experiment.phases.after)
        for e in collected.evidence
    )
    return _facts(experiment, timeline, collected, slos, run)


def _facts(
    experiment: Experiment,
    timeline: Timeline,
    collected: Collected,
    slos: tuple[SloResult, ...],
    run: str,
) -> RunFacts:
    held = judge_alerts(collected.alerts, experiment.alerts, timeline)
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
