"""The end of a run: collect the evidence, judge, say it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sloguard.core.condensing import Condensed
from sloguard.core.document import document
from sloguard.core.events import (
    EvidenceCollected,
    Judged,
    RunEnded,
    SurroundingsCollected,
    Waiting,
)
from sloguard.core.judge import judge_slo
from sloguard.core.model import Outcome, PhaseName
from sloguard.core.outcome import RunFacts, conclude
from sloguard.core.series import SloEvidence, Surroundings
from sloguard.engine.activities import journal_run
from sloguard.engine.alert_findings import alerts_alone, hold_alerts
from sloguard.engine.alert_sources import other_sources
from sloguard.engine.budgeting import asking_history, entries
from sloguard.engine.evidence import Collected, collecting
from sloguard.engine.loop import Work
from sloguard.engine.session import Session
from sloguard.engine.toolkit import Status, exit_as_there


def settling(session: Session) -> Work[None]:
    """Wait until Prometheus can have the last point. Asking to stop ends the wait."""
    asked = session.experiment.slos or session.experiment.alerts.declared
    if session.queries is None or session.end is None or not asked:
        return
    if session.stop is not None and session.stop.kind == "asked":
        return
    until = session.end + session.queries.delay(session.experiment.slos, session.options)
    left = until - session.now()
    if left > 0:
        yield Waiting(session.now(), "the last samples", until)
        yield from session.pause(left, stoppable=False)


def collecting_all(session: Session, early: Collected | None) -> Work[None]:
    """The evidence over the whole timeline, told and judged. A Prometheus that is away is waited for."""
    metrics, queries, timeline = session.ports.metrics, session.queries, session.timeline()
    experiment, options = session.experiment, session.options
    if timeline is None:
        return
    if metrics is None or queries is None or not (experiment.slos or experiment.alerts.declared):
        yield from alerts_alone(session, timeline)
        return
    judged = Condensed(options.max_series, budget=experiment.budget, timeline=timeline)

    def take(evidence: SloEvidence, surroundings: Surroundings) -> Work[None]:
        # What is judged is told and let go: no more samples are held than are under way.
        yield EvidenceCollected(session.now(), evidence)
        judged.add(judge_slo(evidence, timeline, surroundings, experiment.phases.after))

    collected = early
    if collected is None:
        asked = len(session.control.reasons)
        # Somebody who has asked the run to stop does not want to wait for a Prometheus to come back.
        patience = 0.0 if asked else options.metrics_patience
        collected = yield from collecting(
            session.loop,
            experiment.slos,
            queries,
            timeline,
            metrics,
            options,
            patience=patience,
            removed=session.removed,
            give_up=lambda: len(session.control.reasons) > asked,
            sources=other_sources(session),
            alerts_alone=experiment.alerts.declared,
            take=take,
        )
        yield from session.hear()
    session.notes.extend(collected.notes)
    hold_alerts(session, collected.alerts, timeline)
    for evidence in collected.evidence:
        yield from take(evidence, collected.surroundings)
    yield SurroundingsCollected(session.now(), collected.surroundings)
    session.slos = judged.results()
    yield from asking_history(session)


def ending(session: Session, not_started: str = "") -> Work[None]:
    """The last two events of every run, and whatever was still to be told before them."""
    yield from session.drain()
    facts = _facts(session, not_started)
    conclusion, made = conclude(facts), session.masker.data(document(facts))
    if session.options.toolkit.compat:
        made["compat"] = _as_there(session, facts, conclusion.outcome)
    reason = session.masker.text(conclusion.reason)
    yield Judged(session.now(), conclusion.outcome, made)
    timeline = facts.timeline
    yield RunEnded(session.now(), session.run, conclusion.outcome, reason, made, timeline)


def _facts(session: Session, not_started: str) -> RunFacts:
    facts = RunFacts(
        experiment=session.experiment.title,
        run=session.run,
        seed=session.seed,
        probes=tuple(session.probes),
        activities=tuple(session.records),
        faults=tuple(session.faults.values()),
        notes=tuple(session.notes),
        approval=session.approval,
        steps=tuple(session.steps),
    )
    if not_started:
        budget = entries(session, over=False)
        return replace(facts, not_started=not_started, slos=session.gate, budget=budget)
    facts = replace(facts, timeline=session.timeline(), slos=session.slos, alerts=session.alerts)
    facts = replace(facts, alert_scope=session.alert_scope)
    facts = replace(facts, budget=entries(session, over=True))
    stop = session.stop
    if stop is None:
        return facts
    if stop.kind == "blind":
        notes = (*facts.notes, stop.reason)
        return replace(facts, inconclusive=(stop.reason,), notes=notes)
    return replace(facts, aborted=stop.reason)


def _as_there(session: Session, facts: RunFacts, outcome: Outcome) -> dict[str, Any]:
    found: dict[str, Any] = session.masker.data(
        exit_as_there(
            session.experiment,
            session.ending(refused=bool(facts.not_started)),
            outcome,
            facts.faults,
        )
    )
    return found


def journal(session: Session, not_started: str = "") -> dict[str, Any]:
    """The run as the Chaos Toolkit hands it to the controls after an experiment."""
    facts = _facts(session, not_started)
    outcome = conclude(facts).outcome
    status: Status = "completed"
    if not_started:
        status = "failed"
    elif session.stop is not None:
        status = "interrupted"
    deviated = outcome is Outcome.DEVIATED
    if session.options.toolkit.compat:
        there = session.ending(refused=bool(not_started))
        status, deviated = there.status, there.deviated
    steady = {
        str(phase): [journal_run(p.record) for p in session.probes if p.phase is phase]
        for phase in (PhaseName.BEFORE, PhaseName.AFTER)
    }

    def of(section: str) -> list[dict[str, Any]]:
        return [journal_run(r) for r in session.records if r.section == section]

    return {
        "experiment": dict(session.experiment.declared),
        "status": status,
        "deviated": deviated,
        "steady_states": {**steady, "during": []},
        "run": of("method"),
        "rollbacks": of("rollbacks"),
        "sloguard": {"run": session.run, "outcome": str(outcome)},
    }
