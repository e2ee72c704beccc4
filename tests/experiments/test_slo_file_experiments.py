"""Ready experiments by SLO files are run: the files' SLOs are what is judged, and what is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sloguard.core.events import RunStarted
from sloguard.core.model import Outcome
from sloguard.spec import load
from tests.support.engine_world import World, breaking, ended

FILE = Path(__file__).resolve().parents[2] / "experiments" / "slo-files" / "replica-killed.yaml"


def run(*, left: float, errors: float) -> tuple[Outcome, dict[str, str], str]:
    """The outcome, the verdicts by SLO and the kept document, in a world where the fault leaves so many replicas."""
    read = load(FILE, environ={"DEMO_CHECKOUT_PIDFILE": "/nowhere"})
    world = World()
    for slo in read.slos:
        labels = (("service", "x"),) if "sum by" in "".join(slo.queries.values()) else ()
        for role, query in slo.queries.items():
            world.metrics.series[query] = {
                "total": lambda _t, at=labels: {at: 100.0},
                "bad": lambda t, at=labels: {at: errors if world.value(t) else 0.0},
                "good": lambda _t, at=labels: {at: 100.0},
                "query": lambda t, at=labels, quick=bool(labels): {
                    at: 0.02 if quick else (left if world.value(t) else 3.0)
                },
            }[role]
    # What it breaks is a process of the demo; here it is the world's.
    fault = breaking()
    declared = {**read.declared, "method": [dict(fault.declared)]}
    events = world.run(replace(read, method=(fault,), declared=declared))
    last, started = ended(events), events[0]
    assert isinstance(started, RunStarted)
    verdicts = {slo["name"]: slo["verdict"] for slo in last.document["slos"]}
    return last.outcome, verdicts, json.dumps(started.resolved)


def test_what_the_files_promise_is_kept() -> None:
    outcome, verdicts, kept = run(left=2.0, errors=0.0)
    assert outcome is Outcome.MET
    assert set(verdicts.values()) == {"met"}
    assert len(verdicts) == 5
    assert "front.yaml#front-availability" in kept
    assert '"from"' not in kept


@pytest.mark.parametrize(
    ("left", "errors", "broken"),
    [
        (1.0, 0.0, {"checkout-replicas"}),
        # One in a thousand is the promise of front, one in two thousand that of checkout.
        (2.0, 0.08, {"checkout-availability"}),
        (2.0, 0.2, {"checkout-availability", "front-availability"}),
    ],
)
def test_what_they_do_not_promise_deviates(left: float, errors: float, broken: set[str]) -> None:
    outcome, verdicts, _ = run(left=left, errors=errors)
    assert outcome is Outcome.DEVIATED
    assert {name for name, verdict in verdicts.items() if verdict == "deviated"} == broken
