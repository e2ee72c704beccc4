"""A whole run as the engine announces it, made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sloguard.core import events
from sloguard.core.document import document
from sloguard.core.model import (
    Activity,
    ActivityRecord,
    ActivityStatus,
    Experiment,
    FaultRecord,
    Outcome,
    PhaseName,
    PhaseRule,
    Slo,
    Timeline,
    Tolerance,
    Verdict,
)
from sloguard.core.objective import parse_objective
from sloguard.core.outcome import ProbeResult, RunFacts, conclude
from sloguard.core.results import PhaseResult, SeriesResult, SloResult
from sloguard.core.series import Matrix, SloEvidence, Surroundings
from sloguard.core.windows import Grid

FAULT = 1_767_268_800.0  # 2026-01-01T12:00:00Z
TIMELINE = Timeline(FAULT - 60, FAULT, FAULT + 60, FAULT + 120)
RUN = "20260101T115900-ab12cd"
SECRET = "hunter2-the-secret"

PROBE = Activity(
    key="hypothesis[0]",
    kind="probe",
    name="front-answers",
    provider={"type": "http", "url": "http://127.0.0.1/health"},
    has_tolerance=True,
    tolerance=200,
    declared={
        "type": "probe",
        "name": "front-answers",
        "tolerance": 200,
        "provider": {"type": "http", "url": "http://127.0.0.1/health"},
    },
)
KILL = Activity(
    key="method[0]",
    kind="action",
    name="lose-a-replica",
    provider={
        "type": "python",
        "module": "sloguard.faults.processes",
        "func": "kill",
        "arguments": {"pattern": "checkout", "token": SECRET},
    },
    pause_after=5.0,
    declared={
        "type": "action",
        "name": "lose-a-replica",
        "provider": {
            "type": "python",
            "module": "sloguard.faults.processes",
            "func": "kill",
            "arguments": {"pattern": "checkout", "token": "${token}"},
        },
        "pauses": {"after": 5},
    },
)
BACK = Activity(
    key="rollbacks[0]",
    kind="action",
    name="start-it-again",
    provider={"type": "process", "path": "/bin/true", "arguments": ["--again"]},
)


def make_slo(name: str = "error-ratio") -> Slo:
    """A pair with every kind of rule."""
    return Slo(
        name=name,
        objective=parse_objective("< 1%"),
        before=PhaseRule(parse_objective("< 1%")),
        during=PhaseRule(
            parse_objective(["< 5%", "<= baseline + 50%"]), Tolerance(20.0, None, "20s")
        ),
        after=PhaseRule(parse_objective("between 0 and 1%"), None, 60.0, 15.0),
        total="sum by (service) (rate(requests_total[30s]))",
        bad='sum by (service) (rate(requests_total{code=~"5.."}[30s]))',
        no_data=0.0,
        idle="met",
        target=0.999,
        period=2_592_000.0,
    )


def make_matrix(grid: Grid, series: int = 2, seed: int = 1) -> Matrix:
    """Random samples with gaps, NaN and infinities among them."""
    random = np.random.default_rng(seed)
    values = random.random((series, grid.count))
    present = random.random((series, grid.count)) > 0.1
    values[random.random(values.shape) < 0.02] = np.inf
    values[~present | (random.random(values.shape) < 0.05)] = np.nan
    labels = tuple((("instance", f"10.0.0.{i}:80"), ("service", "kasse ✓")) for i in range(series))
    return Matrix(grid, labels, values, present, ("a note",))


def make_evidence(
    name: str = "error-ratio", series: int = 2, points: int = 24, seed: int = 1
) -> SloEvidence:
    """Evidence of a pair."""
    grid = Grid(FAULT - 60, 5.0, points)
    return SloEvidence(
        make_slo(name),
        grid,
        {
            "total": make_matrix(grid, series, seed),
            "bad": make_matrix(grid, max(series - 1, 0), seed + 1),
        },
        30.0,
        scrape_interval=5.0,
        same_metric=True,
        notes=("Prometheus said something",),
    )


def experiment(source: str = "shop.yaml") -> Experiment:
    """One with a secret, tags, a probe, an action and a rollback."""
    declared: dict[str, Any] = {
        "title": "Losing a replica",
        "description": "Nobody notices.",
        "tags": ["shop", "process"],
        "secrets": {"shop": {"token": SECRET, "other": {"type": "env", "key": "OTHER"}}},
        "steady-state-hypothesis": {"title": "It answers", "probes": [PROBE.declared]},
        "method": [KILL.declared],
        "rollbacks": [{"type": "action", "name": BACK.name, "provider": BACK.provider}],
    }
    return Experiment(
        title="Losing a replica",
        description="Nobody notices.",
        tags=("shop", "process"),
        slos=(make_slo(),),
        probes=(PROBE,),
        method=(KILL,),
        rollbacks=(BACK,),
        secrets={"shop": {"token": SECRET, "other": "another-secret"}},
        source=source,
        declared=declared,
    )


def resolved() -> dict[str, Any]:
    """As spec gives it: substituted, and masked."""
    found = dict(experiment().declared)
    found["secrets"] = {"shop": {"token": "*****", "other": "*****"}}
    return found


def record(
    activity: Activity,
    section: Any,
    at: float,
    *,
    status: ActivityStatus = ActivityStatus.SUCCEEDED,
    phase: PhaseName | None = None,
    **more: Any,
) -> ActivityRecord:
    """What an activity did, in half a second."""
    return ActivityRecord(activity, section, status, at, at + 0.5, phase=phase, **more)


def fault(status: Any, **more: Any) -> FaultRecord:
    """The one fault of this run."""
    return FaultRecord("intent-1", "processes.kill", "checkout[4711]", status, **more)


def facts(verdict: Verdict = Verdict.DEVIATED, run: str = RUN, **more: Any) -> RunFacts:
    """What the document is made of."""
    met, bad = PhaseResult(Verdict.MET, "fine"), PhaseResult(verdict, "12% at 12:00:10Z, not < 5%")
    phases = {PhaseName.BEFORE: met, PhaseName.DURING: bad, PhaseName.AFTER: met}
    series = SeriesResult((("service", "checkout"),), verdict, "12%, not < 5%", phases, 0.001)
    slo = SloResult("error-ratio", verdict, "12%, not < 5%", make_evidence(), (series,))
    probe = record(PROBE, "hypothesis", FAULT - 1, output={"status": 200}, tolerance_met=True)
    return RunFacts(
        experiment="Losing a replica",
        run=run,
        **{
            "timeline": TIMELINE,
            "slos": (slo,),
            "probes": (ProbeResult(PROBE.name, PhaseName.BEFORE, Verdict.MET, "200", probe),),
            "faults": (fault("undone", injected_at=FAULT, undone_at=FAULT + 60),),
            **more,
        },
    )


def opening(run: str = RUN, variables: Mapping[str, Any] | None = None) -> list[events.Event]:
    """Up to the fault."""
    first = record(
        PROBE,
        "hypothesis",
        FAULT - 1,
        phase=PhaseName.BEFORE,
        output={"status": 200, "body": float("nan")},
        tolerance_met=True,
    )
    return [
        events.RunStarted(FAULT - 60, run, experiment(), resolved(), variables or {}),
        events.Preflight(FAULT - 59, "prometheus", True, "answers in 3 ms"),
        events.PhaseStarted(FAULT - 59, PhaseName.BEFORE, FAULT),
        events.ActivityStarted(FAULT - 1, PROBE, "hypothesis", PhaseName.BEFORE),
        events.ActivityEnded(FAULT - 0.5, first),
        events.FaultPlanned(FAULT - 0.1, "lose-a-replica", "processes.kill", ("checkout[4711]",)),
        events.PhaseStarted(FAULT, PhaseName.DURING, FAULT + 60),
        events.ActivityStarted(FAULT, KILL, "method", PhaseName.DURING),
    ]


def whole(
    run: str = RUN, verdict: Verdict = Verdict.DEVIATED, evidence: Sequence[SloEvidence] = ()
) -> list[events.Event]:
    """A whole run, start to end."""
    killed = record(KILL, "method", FAULT, phase=PhaseName.DURING, output=f"used {SECRET}")
    again = record(BACK, "rollbacks", FAULT + 59, output={"status": 0})
    last = record(
        PROBE,
        "hypothesis",
        FAULT + 110,
        phase=PhaseName.AFTER,
        status=ActivityStatus.FAILED,
        error="connection refused",
        unreachable=True,
        tolerance_met=False,
    )
    done = facts(verdict, run)
    answer, outcome = document(done), conclude(done)
    reading = events.SloReading(
        "error-ratio", Verdict.MET, 0.001, "< 5%", 'service="checkout"', 1, "%"
    )
    return [
        *opening(run),
        events.FaultChanged(FAULT + 0.1, fault("injected", injected_at=FAULT)),
        events.ActivityEnded(FAULT + 0.5, killed),
        events.Observed(FAULT + 1, PhaseName.DURING, (reading,)),
        events.ActivityStarted(FAULT + 59, BACK, "rollbacks"),
        events.ActivityEnded(FAULT + 59.5, again),
        events.FaultChanged(FAULT + 60, fault("undone", injected_at=FAULT, undone_at=FAULT + 60)),
        events.PhaseStarted(FAULT + 60, PhaseName.AFTER, FAULT + 120),
        events.ActivityStarted(FAULT + 110, PROBE, "hypothesis", PhaseName.AFTER),
        events.ActivityEnded(FAULT + 110.5, last),
        *(events.EvidenceCollected(FAULT + 120, e) for e in evidence or (make_evidence(),)),
        events.SurroundingsCollected(
            FAULT + 120,
            Surroundings(np.array([FAULT + 5.0]), 5.0, {"pod": frozenset({"b", "a"})}),
        ),
        events.Note(FAULT + 121, "info", "the end is near"),
        events.Judged(FAULT + 122, outcome.outcome, answer),
        events.RunEnded(
            FAULT + 122, run, Outcome(outcome.outcome), outcome.reason, answer, TIMELINE
        ),
    ]
