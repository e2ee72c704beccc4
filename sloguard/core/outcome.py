"""Verdicts, probes and what happened -> one outcome, its reason and the score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sloguard.core.alerting import AlertScope
from sloguard.core.model import (
    ActivityRecord,
    ActivityStatus,
    FaultRecord,
    Json,
    Outcome,
    PhaseName,
    Timeline,
    Verdict,
    worst,
)
from sloguard.core.results import SloResult
from sloguard.core.windows import phase_span

_OF_VERDICT = {
    Verdict.MET: Outcome.MET,
    Verdict.INCONCLUSIVE: Outcome.INCONCLUSIVE,
    Verdict.DEVIATED: Outcome.DEVIATED,
}


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """A probe of the hypothesis, held against its tolerance in one phase."""

    name: str
    phase: PhaseName
    verdict: Verdict
    reason: str
    record: ActivityRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """All that an outcome follows from.

    ``aborted`` and ``not_started``: why, or empty. ``inconclusive``: reasons of the run as a whole (a
    guard that could not be read …). ``seed``: of the random choices, where there were any to make. ``alerts``: JSON of alerts and of
    what was expected of them, with a verdict; ``alert_scope``: which of them count, where alerts were read.
    ``budget``: JSON of the error budgets, whose guards have a verdict. ``approval``: JSON of who agreed to the
    plan, None where nobody was asked; ``steps``: JSON of what a person decided on the way. Neither judges.
    """

    experiment: str
    run: str = ""
    timeline: Timeline | None = None
    slos: tuple[SloResult, ...] = ()
    probes: tuple[ProbeResult, ...] = ()
    activities: tuple[ActivityRecord, ...] = ()
    faults: tuple[FaultRecord, ...] = ()
    aborted: str = ""
    not_started: str = ""
    inconclusive: tuple[str, ...] = ()
    alerts: tuple[Mapping[str, Json], ...] = ()
    notes: tuple[str, ...] = ()
    seed: int | None = None
    alert_scope: AlertScope | None = None
    budget: tuple[Mapping[str, Json], ...] = ()
    approval: Mapping[str, Json] | None = None
    steps: tuple[Mapping[str, Json], ...] = ()


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What is said at the end of a run."""

    outcome: Outcome
    reason: str
    score: float | None


def conclude(facts: RunFacts) -> Conclusion:
    """not-restored, aborted, deviated, inconclusive, met: the first that is true."""
    left = [fault for fault in facts.faults if fault.status == "left"]
    if left:
        shown = "; ".join(f"{f.fault} on {f.target}: {f.detail or 'not undone'}" for f in left[:3])
        more = f" (and {len(left) - 3} more)" if len(left) > 3 else ""
        return Conclusion(Outcome.NOT_RESTORED, f"left behind: {shown}{more}", None)
    if facts.not_started:
        return Conclusion(Outcome.NOT_STARTED, facts.not_started, None)
    if facts.aborted:
        return Conclusion(Outcome.ABORTED, facts.aborted, None)
    verdict, reason = _verdict(facts)
    return Conclusion(_OF_VERDICT[verdict], reason, _score(facts))


def failed_actions(facts: RunFacts) -> list[ActivityRecord]:
    """Actions of the method that did not do what they should: the fault may not have been there."""
    return [
        record
        for record in facts.activities
        if record.activity.kind == "action"
        and record.section == "method"
        and record.status is not ActivityStatus.SUCCEEDED
    ]


def _verdict(facts: RunFacts) -> tuple[Verdict, str]:
    judged = list(_judged(facts))
    verdict = worst(v for v, _ in judged)
    if verdict is Verdict.NOT_JUDGED or (verdict is Verdict.MET and not _asked(facts)):
        return Verdict.INCONCLUSIVE, "nothing was judged: the experiment has no SLO and no probe"
    reasons = [reason for v, reason in judged if v is verdict]
    if verdict is Verdict.MET:
        count = len(judged)
        return verdict, f"{'all ' if count > 1 else ''}{count} held {_phases(facts)}".rstrip()
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return verdict, reasons[0] + more


def _asked(facts: RunFacts) -> bool:
    """Whether there was anything to hold: alerts alone prove no steady state."""
    return bool(facts.slos or facts.probes)


def _phases(facts: RunFacts) -> str:
    """The phases in which something was asked, as people list them."""
    spans = {} if facts.timeline is None else {p: phase_span(facts.timeline, p) for p in PhaseName}
    asked = {phase for phase, (left, right) in spans.items() if facts.slos and right > left}
    asked |= {probe.phase for probe in facts.probes}
    names = [str(phase) for phase in PhaseName if phase in asked]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _judged(facts: RunFacts) -> Iterator[tuple[Verdict, str]]:
    # What cut the run short explains more than what it left undecided.
    for reason in facts.inconclusive:
        yield Verdict.INCONCLUSIVE, reason
    for record in failed_actions(facts):
        why = record.error or record.status
        yield Verdict.INCONCLUSIVE, f"the fault was not injected: {record.activity.name}: {why}"
    for slo in facts.slos:
        yield slo.verdict, slo.reason
    for probe in facts.probes:
        yield probe.verdict, f"{probe.name}: {probe.reason} ({probe.phase})"
    for alert in facts.alerts:
        if "verdict" in alert:
            yield Verdict(alert["verdict"]), str(alert.get("reason", ""))
    for entry in facts.budget:
        guard = entry.get("guard")
        if guard is not None:
            yield Verdict(guard["verdict"]), str(guard["reason"])


def _score(facts: RunFacts) -> float | None:
    """100 x the weights of the SLOs that are met / all weights."""
    weights = [slo.evidence.slo.weight for slo in facts.slos]
    if sum(weights) <= 0 or failed_actions(facts):
        return None
    met = sum(s.evidence.slo.weight for s in facts.slos if s.verdict is Verdict.MET)
    return round(100 * met / sum(weights), 1)
