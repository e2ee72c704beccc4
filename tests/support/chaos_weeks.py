"""Weeks of runs as they come in a real shop: judged by the real judge, kept by the real recorder.

Three teams, five services, six experiments. What happens in which week is written down in ``PLAN``, so that
a test can say what a report has to find.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from sloguard.adapters.store import Store
from sloguard.core import events
from sloguard.core.document import document
from sloguard.core.judge import judge_slo
from sloguard.core.model import (
    Activity,
    ActivityRecord,
    ActivityStatus,
    Experiment,
    FaultRecord,
    PhaseName,
    PhaseRule,
    Slo,
    Timeline,
    Tolerance,
)
from sloguard.core.objective import parse_objective
from sloguard.core.outcome import RunFacts, conclude
from sloguard.core.series import Matrix, SloEvidence, label_set
from sloguard.core.text import format_series, iso_time
from sloguard.core.windows import Grid, pinned_grid

#: Monday of 2026-W47, 00:00 UTC.
MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
STEP = 5.0


@dataclass(frozen=True)
class Setup:
    """One experiment: whose it is, what it breaks and whom that may reach."""

    name: str
    title: str
    tags: tuple[str, ...]
    fault: str
    target: str
    services: tuple[str, ...]


SETUPS = {
    setup.name: setup
    for setup in (
        Setup("lose-a-pod", "Checkout survives a lost pod", ("team:payments", "kubernetes"), "pods.terminate_pods", "shop/checkout-7d4f9-x2k", ("checkout", "cart")),
        Setup("slow-network", "Catalogue bears a slow network", ("team:catalogue",), "network.delay", "catalogue eth0", ("catalogue",)),
        Setup("kill-front", "The front comes back when it is killed", ("team:web", "process"), "processes.kill", "front[4711]", ("front",)),
        Setup("drain-a-node", "A drained node costs nobody an order", ("team:payments",), "nodes.drain_nodes", "node-3", ("checkout", "cart", "payment")),
        Setup("cut-off-payment", "Payment waits for a bank that is away", ("team:payments", "network"), "network.partition", "payment", ("payment",)),
        Setup("busy-catalogue", "Catalogue under full load", ("team:catalogue", "load"), "processes.cpu_stress", "catalogue[81]", ("catalogue",)),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """What customers of one service see. ``during``: seconds of breach under the fault, ``after``: until it is
    back; ``peak``: share of errors; None as ``peak``: no samples at all."""

    during: float = 0.0
    after: float = 0.0
    peak: float | None = 0.2


@dataclass(frozen=True)
class Happening:
    """One run: week (0 is the oldest), day, experiment, and what comes of it."""

    week: int
    day: int
    setup: str
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    ends: str = ""
    alert: float | None = None
    noise: bool = False
    left: float | None = None


def _whole() -> Iterator[Happening]:
    """Five weeks: checkout breaks from the second one on, the front is repaired in the last, payment is new."""
    for week in range(5):
        yield Happening(week, 0, "slow-network", {"catalogue": Shape(10, 0, 0.02)}, noise=week == 4)
        yield Happening(week, 2, "busy-catalogue", {"catalogue": Shape(15, 20 + 10 * week, 0.1)})
        bad = {"checkout": Shape(45, 40 + 8 * week), "cart": Shape(5, 0, 0.03)}
        fine = {"checkout": Shape(10, 15), "cart": Shape()}
        yield Happening(
            week,
            1,
            "lose-a-pod",
            bad if week else fine,
            alert=None if week == 4 else 25.0,
            left=0.6,
        )
        yield Happening(
            week,
            3,
            "kill-front",
            {"front": Shape(50, 30) if week < 4 else Shape(10, 10)},
            alert=20.0 + week,
        )
    yield Happening(0, 4, "drain-a-node", {"checkout": Shape(5, 0), "payment": Shape()})
    yield Happening(4, 4, "drain-a-node", {}, ends="inconclusive")
    yield Happening(3, 5, "cut-off-payment", {"payment": Shape(10, 10)})
    yield Happening(4, 5, "cut-off-payment", {"payment": Shape(55, 100)}, left=0.11)
    yield Happening(4, 5, "cut-off-payment", {}, ends="not-restored")
    yield Happening(2, 6, "busy-catalogue", {"catalogue": Shape()}, ends="aborted")
    yield Happening(4, 6, "busy-catalogue", {}, ends="not-started")


PLAN = tuple(_whole())


def fill(
    store: Store,
    plan: Sequence[Happening] = PLAN,
    *,
    last_monday: datetime = MONDAY,
    weeks: int = 5,
    setups: Mapping[str, Setup] = SETUPS,
    seed: int = 7,
) -> list[str]:
    """Put every run of the plan into the store, oldest first; their ids."""
    dice = random.Random(seed)
    made = []
    for number, what in enumerate(sorted(plan, key=lambda h: (h.week, h.day))):
        day = last_monday + timedelta(days=7 * (what.week - weeks + 1) + what.day)
        fault = (day + timedelta(hours=9, minutes=dice.randrange(0, 480))).timestamp()
        run = f"{datetime.fromtimestamp(fault, UTC):%Y%m%dT%H%M%S}-{number:06x}"
        setup = setups[what.setup]
        recorder = store.recorder(experiment=setup.name)
        recorder.record_whole(told(run, setup, what, fault))
        made.append(run)
    return made


def told(run: str, setup: Setup, what: Happening, fault: float) -> list[events.Event]:
    """Everything that the engine would announce."""
    marks = Timeline(fault - 120, fault, fault + 60, fault + 180)
    broken = what.ends != "not-started"
    evidence = [] if not broken else [_errors(setup, what, marks), _latency(setup, what, marks)]
    results = tuple(judge_slo(item, marks, None, 120.0) for item in evidence)
    status = "left" if what.ends == "not-restored" else "undone"
    fault_record = FaultRecord(
        f"{run}-1", setup.fault, setup.target, status, fault,
        None if status == "left" else fault + 60,
        "the rule is still there" if status == "left" else "",
        "iptables -D OUTPUT -d 10.0.0.7 -j DROP" if status == "left" else "",
    )  # fmt: skip
    facts = RunFacts(
        experiment=setup.title,
        run=run,
        timeline=marks if broken else None,
        slos=results,
        activities=(_activity(setup, fault),) if broken else (),
        faults=(fault_record,) if broken else (),
        aborted="the guard everything-is-down: 61% at 10:00:05Z, not < 50%"
        if what.ends == "aborted"
        else "",
        not_started="the steady state was not met before: error-ratio 3% at 09:59:10Z, not < 1%"
        if not broken
        else "",
        alerts=_alerts(what, fault),
        notes=("Prometheus answered slowly once",) if what.noise else (),
    )
    answer, end = document(facts), conclude(facts)
    answer["alert_coverage"] = _coverage(answer, what, fault)
    if what.left is not None:
        answer["budget"] = [
            {"slo": "error-ratio", "target": 0.999, "period_seconds": 2_592_000, "left_before": what.left + 0.01,
             "spent_by_run": 0.01, "left_after": what.left,
             "series": [{"labels": {"service": setup.services[0]}, "left_before": what.left + 0.01,
                         "spent_by_run": 0.01, "left_after": what.left}]}
        ]  # fmt: skip
    declared = _declared(setup)
    experiment = Experiment(
        title=setup.title, tags=setup.tags, source=f"{setup.name}.yaml", declared=declared
    )
    return [
        events.RunStarted(marks.start, run, experiment, declared, {}),
        events.PhaseStarted(marks.start, PhaseName.BEFORE, fault),
        *([events.FaultChanged(fault, fault_record)] if broken else []),
        *(events.EvidenceCollected(marks.end, item) for item in evidence),
        events.Judged(marks.end + 1, end.outcome, answer),
        events.RunEnded(marks.end + 1, run, end.outcome, end.reason, answer, facts.timeline),
    ]


def _declared(setup: Setup) -> dict[str, Any]:
    module, _, func = setup.fault.partition(".")
    return {
        "title": setup.title,
        "description": "Nobody notices.",
        "tags": list(setup.tags),
        "steady-state-hypothesis": {"title": "It serves", "slos": [{"name": "error-ratio"}]},
        "method": [
            {"type": "action", "name": "break", "provider": {"type": "python", "module": f"sloguard.faults.{module}", "func": func}}
        ],
    }  # fmt: skip


def _activity(setup: Setup, fault: float) -> ActivityRecord:
    activity = Activity(
        key="method[0]",
        kind="action",
        name=f"break {setup.target}",
        provider={"type": "python", "func": setup.fault},
    )
    return ActivityRecord(activity, "method", ActivityStatus.SUCCEEDED, fault, fault + 1)


def _rule(objective: str, tolerate: float | None = None, within: float | None = None) -> PhaseRule:
    allowed = None if tolerate is None else Tolerance(tolerate, None, f"{tolerate:g}s")
    return PhaseRule(parse_objective(objective), allowed, within)


def _errors(setup: Setup, what: Happening, marks: Timeline) -> SloEvidence:
    slo = Slo(
        name="error-ratio",
        objective=parse_objective("< 1%"),
        before=_rule("< 1%"),
        during=_rule("< 5%", 20.0),
        after=_rule("< 1%", None, 60.0),
        total="sum by (service) (rate(http_requests_total[15s]))",
        bad='sum by (service) (rate(http_requests_total{code=~"5.."}[15s]))',
        target=0.999,
        period=2_592_000.0,
    )
    grid = pinned_grid(marks, STEP)
    bad = {s: 50 * _curve(grid, marks, what.shapes.get(s, Shape()), 0.002) for s in setup.services}
    total = {s: np.where(np.isnan(row), np.nan, 50.0) for s, row in bad.items()}
    if what.ends == "inconclusive":
        bad, total = {}, {}
    answers = {"bad": _matrix(grid, bad), "total": _matrix(grid, total)}
    return SloEvidence(slo, grid, answers, 15.0, scrape_interval=STEP, same_metric=True)


def _latency(setup: Setup, what: Happening, marks: Timeline) -> SloEvidence:
    slo = Slo(
        name="p99-latency",
        objective=parse_objective("<= 300ms"),
        before=_rule("<= 300ms"),
        during=_rule("<= 900ms", 30.0),
        after=_rule("<= 300ms", None, 90.0),
        query="histogram_quantile(0.99, sum by (le, service) (rate(http_request_duration_seconds_bucket[15s])))",
    )
    grid = pinned_grid(marks, STEP)
    rows = {
        s: 0.12 + 2 * _curve(grid, marks, what.shapes.get(s, Shape()), 0.01) for s in setup.services
    }
    if what.ends == "inconclusive":
        rows = {}
    return SloEvidence(slo, grid, {"query": _matrix(grid, rows)}, 15.0, scrape_interval=STEP)


def _curve(grid: Grid, marks: Timeline, shape: Shape, rest: float) -> np.ndarray:
    """Errors at rest, then the peak from 5 s after the fault on, and again until it is back."""
    age = grid.times - marks.fault
    made = np.full(grid.count, rest)
    if shape.peak is None:
        return np.full(grid.count, np.nan)
    made[(age >= 5) & (age < 5 + shape.during)] = shape.peak
    late = grid.times - marks.restored
    made[(late >= 0) & (late < shape.after)] = shape.peak
    return made


def _matrix(grid: Grid, rows: Mapping[str, np.ndarray]) -> Matrix:
    labels = tuple(label_set({"service": name}) for name in rows)
    values = np.array(list(rows.values()), dtype=float).reshape(len(rows), grid.count)
    return Matrix(grid, labels, values, ~np.isnan(values))


def _alerts(what: Happening, fault: float) -> tuple[dict[str, Any], ...]:
    if what.alert is None and not what.noise:
        return ()
    name, after = ("QueueGrows", 30.0) if what.noise else ("ErrorsAreHigh", what.alert or 0.0)
    return (
        {
            "name": name,
            "labels": {"severity": "page", "service": SETUPS[what.setup].services[0]},
            "starts_at": iso_time(fault + after),
            "ends_at": iso_time(fault + after + 70),
            "firing_before": False,
            "time_to_alert_seconds": after,
            "time_to_resolve_seconds": after + 10,
        },
    )


def _coverage(answer: Mapping[str, Any], what: Happening, fault: float) -> dict[str, Any]:
    bad = [
        (slo["name"], series["labels"])
        for slo in answer["slos"]
        for series in slo["series"]
        if series["verdict"] == "deviated"
    ]
    if what.noise:
        alert = {"alert": "QueueGrows", "labels": {"service": "catalogue"}}
        return {
            "blind_spots": [],
            "noise": [{**alert, "starts_at": iso_time(fault)}],
            "covered": [],
        }
    if what.alert is not None:
        covered = [{"slo": slo, "alert": "ErrorsAreHigh", "seconds": what.alert} for slo, _ in bad]
        return {"blind_spots": [], "noise": [], "covered": covered}
    blind = [
        {"slo": slo, "series": format_series(slo, tuple(labels.items())), "reason": "it deviated and no alert fired", "proposed_rule": RULE}
        for slo, labels in bad
    ]  # fmt: skip
    return {"blind_spots": blind, "noise": [], "covered": []}


RULE = """\
- alert: ErrorRatioHigh
  expr: sum by (service) (rate(http_requests_total{code=~"5.."}[2m])) / sum by (service) (rate(http_requests_total[2m])) > 0.01
  for: 1m
  labels: {severity: page}
"""
