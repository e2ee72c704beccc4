"""The hypothesis gate: probes and SLOs have to be met before anything is injected."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sloguard.core.condensing import Condensed
from sloguard.core.events import EvidenceCollected, PhaseStarted, Waiting
from sloguard.core.judge import judge_slo
from sloguard.core.model import (
    Activity,
    ActivityRecord,
    ActivityStatus,
    Experiment,
    Json,
    PhaseName,
    Timeline,
    Verdict,
)
from sloguard.core.outcome import ProbeResult
from sloguard.core.results import SloResult
from sloguard.core.series import LabelSet, SloEvidence, Surroundings
from sloguard.core.text import format_duration
from sloguard.engine.activities import Activities, journal_run
from sloguard.engine.aliases import resolved
from sloguard.engine.budgeting import gate_budget
from sloguard.engine.controls import Controls
from sloguard.engine.evidence import collecting
from sloguard.engine.history import missing_history
from sloguard.engine.holding import Held
from sloguard.engine.loop import Work
from sloguard.engine.session import NotStarted, Session
from sloguard.host.marks import ACTIVITY, RUN
from sloguard.providers.result import Refused, Result, one_line
from sloguard.providers.tolerance import Tolerated, within
from sloguard.spec.substitution import substitute

TOO_MANY = (
    "the samples of the time before the fault are too many to be kept with a run that did not start; "
    "sloguard judge reads them again"
)


def gate(
    session: Session, activities: Activities, controls: Controls, *, ask_probes: bool = True
) -> Work[None]:
    """Raises NotStarted with everything that is not met, or cannot be told."""
    experiment = session.experiment
    session.start = round(session.now() - experiment.phases.before, 3)
    yield PhaseStarted(session.now(), PhaseName.BEFORE)
    if experiment.slos and experiment.phases.before > 0:
        yield from _slos(session)
    probes: list[ProbeResult] = []
    if ask_probes:
        probes = yield from hypothesis(session, activities, controls, PhaseName.BEFORE)
    against = [s.reason for s in session.gate if s.verdict.rank > Verdict.MET.rank]
    against += [f"{p.name}: {p.reason}" for p in probes if _speaks_against(p, session)]
    if against:
        # Kept with the run, as it is what the refusal stands on.
        for result in session.gate:
            if result.evidence.answers:
                yield EvidenceCollected(session.now(), result.evidence)
        if any(not result.evidence.answers for result in session.gate):
            session.notes.append(TOO_MANY)
        raise NotStarted("the steady state was not met before the fault: " + "; ".join(against))
    yield from gate_budget(session)


def _speaks_against(probe: ProbeResult, session: Session) -> bool:
    """A probe that a dry run leaves out says nothing."""
    out = session.options.toolkit.leaves_out(probe.record.activity)
    return probe.verdict is not Verdict.MET and not out


def _slos(session: Session) -> Work[None]:
    """Judge history; where Prometheus does not reach back far enough, wait for what is missing."""
    before = session.experiment.phases.before
    missing = yield from _missing(session)
    if missing > 0:
        # A breach that history already shows is not worth the wait.
        yield from _judge(session)
        if not any(s.verdict is Verdict.DEVIATED for s in session.gate):
            until = session.now() + missing
            have = format_duration(max(before - missing, 0))
            reason = f"Prometheus has {have} of the {format_duration(before)} before the fault"
            yield Waiting(session.now(), reason, until)
            yield from session.pause(missing)
            session.start = round(session.now() - before, 3)
    yield from _judge(session)


def _judge(session: Session) -> Work[None]:
    experiment, metrics, queries = session.experiment, session.ports.metrics, session.queries
    if metrics is None or queries is None or session.start is None:
        raise NotStarted("the SLOs cannot be judged without a Prometheus")
    now = session.now()
    timeline = Timeline(session.start, now, now, now)
    judged = Condensed(session.options.max_series)
    held = Held(session.options.held_samples, always=guarded_budgets(experiment))

    def take(evidence: SloEvidence, surroundings: Surroundings) -> Work[None]:
        judged.add(judge_slo(evidence, timeline, surroundings, experiment.phases.after))
        held.add(evidence)
        yield from ()

    yield from collecting(
        session.loop,
        experiment.slos,
        queries,
        timeline,
        metrics,
        session.options,
        give_up=lambda: session.stop is not None,
        window=experiment.phases.during + experiment.phases.after,
        take=take,
    )
    session.check()
    session.gate = with_samples(judged.results(), held)


def with_samples(results: tuple[SloResult, ...], held: Held) -> tuple[SloResult, ...]:
    """The results with as much of their evidence as is held."""
    return tuple(replace(r, evidence=held.of(r.name) or r.evidence) for r in results)


def guarded_budgets(experiment: Experiment) -> frozenset[str]:
    """The SLOs whose guards of the error budget measure by what was before the fault."""
    limits = experiment.budget
    if limits is None or not limits.guards:
        return frozenset()
    return frozenset(slo.name for slo in limits.of(experiment.slos))


def _missing(session: Session) -> Work[float]:
    """How much of ``before`` Prometheus cannot have."""
    metrics, before, now = session.ports.metrics, session.experiment.phases.before, session.now()
    if metrics is None:
        return 0.0
    return (yield from session.attempt(lambda: missing_history(metrics, now, before), "history"))


def baselines(results: tuple[SloResult, ...]) -> dict[str, dict[LabelSet, float]]:
    """Of the SLOs whose objectives name it: the baseline of each series."""
    return {
        result.name: {s.labels: s.baseline for s in result.series if s.baseline is not None}
        if result.baselines is None
        else dict(result.baselines)
        for result in results
        if any(result.evidence.slo.rule(p).objective.names_baseline for p in PhaseName)
    }


def hypothesis(
    session: Session, activities: Activities, controls: Controls, phase: PhaseName
) -> Work[list[ProbeResult]]:
    """Every probe of the hypothesis, held against its tolerance and kept."""
    return (yield from asking_all(session, activities, controls, phase, session.probes.append))


def asking_all(
    session: Session,
    activities: Activities,
    controls: Controls,
    phase: PhaseName,
    keep: Callable[[ProbeResult], None],
) -> Work[list[ProbeResult]]:
    """Every probe of the hypothesis, held against its tolerance; one that fails ends none of the others.

    ``keep`` gets each result as soon as there is one: what comes after may be stopped.
    """
    results: list[ProbeResult] = []
    if not session.experiment.probes:
        return results
    yield from controls.apply("hypothesis", "before")
    for activity in session.experiment.probes:
        result = yield from ask(session, activities, activity, phase)
        results.append(result)
        keep(result)
    met = all(r.verdict is Verdict.MET for r in results)
    state = {"steady_state_met": met, "probes": [journal_run(r.record) for r in results]}
    yield from controls.apply("hypothesis", "after", state=state)
    return results


def ask(
    session: Session, activities: Activities, activity: Activity, phase: PhaseName
) -> Work[ProbeResult]:
    """One probe, held against its tolerance."""
    found: list[Tolerated] = []

    def hold(output: Json) -> bool:
        found.append(_within(session, activities.current(activity), output))
        return found[-1].ok

    record = yield from activities.carry_out(
        activity, "hypothesis", phase=phase, hold=hold if activity.has_tolerance else None
    )
    return _result(session, record, phase, found)


def _result(
    session: Session, record: ActivityRecord, phase: PhaseName, held: list[Tolerated]
) -> ProbeResult:
    """Out of tolerance, refused or timed out: deviated; any other error: inconclusive."""
    name = record.activity.name
    if record.status is not ActivityStatus.SUCCEEDED:
        verdict = Verdict.DEVIATED if record.unreachable else Verdict.INCONCLUSIVE
        return ProbeResult(name, phase, verdict, record.error or str(record.status), record)
    if not held:
        reason = "it has no tolerance to be held against"
        return ProbeResult(name, phase, Verdict.INCONCLUSIVE, reason, record)
    verdict = Verdict.MET if held[0].ok else Verdict.DEVIATED
    return ProbeResult(name, phase, verdict, session.masker.text(held[0].reason), record)


def _within(session: Session, activity: Activity, output: Json) -> Tolerated:
    """Blocking: a tolerance may be a probe itself."""
    experiment = session.experiment
    tolerance = substitute(activity.tolerance, experiment.configuration, experiment.secrets)

    def call(provider: Mapping[str, Any], **variables: Any) -> Result:
        try:
            meant = resolved(provider, experiment.secrets, session.drivers)
        except Refused as error:
            return Result(error=one_line(error))
        environment = {**experiment.environment, RUN: session.run, ACTIVITY: activity.key}
        return session.ports.call(
            meant, stop=threading.Event(), environment=environment, **variables
        )

    return within(
        tolerance,
        output,
        configuration=experiment.configuration,
        secrets=experiment.secrets,
        call=call,
    )
