"""Beside the Chaos Toolkit's own run: error budgets are asked for before it, watched in it, and told at its end."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from sloguard.chaostoolkit import control
from sloguard.chaostoolkit.companion import Companion
from sloguard.chaostoolkit.reading import experiment_of
from sloguard.chaostoolkit.surround import Refusal, Surround
from sloguard.core.alert_rules import Alerting, AlertPattern, ExpectedAlert, Matcher
from sloguard.core.episodes import AlertEpisode
from sloguard.core.model import Budget
from sloguard.engine.options import Options
from tests.fakes.alerts import FakeAlerts
from tests.fakes.clock import FakeClock
from tests.fakes.simulation import START
from tests.support.engine_world import WorldMetrics, experiment, slo

TOTAL, BAD = "sum(rate(t[1s]))", "sum(rate(b[1s]))"
OVER = ("sum(increase(t[1d]))", "sum(increase(b[1d]))")
HIGH = AlertPattern((Matcher("alertname", "=", "High"),))


class Beside:
    """A companion in a world where 100 requests a second come, and half of them fail under the fault."""

    def __init__(self, *, spent: float = 0.1, **parts: Any) -> None:
        self.clock = FakeClock()
        self.fault = self.restored = float("inf")
        self.metrics = WorldMetrics(self.clock)  # type: ignore[arg-type]  # it asks for the time only
        self.metrics.series |= {
            TOTAL: lambda _: {(): 100.0},
            BAD: lambda t: {(): 50.0 if self.broken(t + START) else 0.0},
            OVER[0]: lambda _: {(): 8_640_000.0},
            OVER[1]: lambda _: {(): 86_400.0 * spent},
        }
        self.alerts: list[AlertEpisode] = []
        self.stopped = threading.Event()
        around = Surround(
            metrics=self.metrics,
            live=self.metrics,
            clock=self.clock,
            options=Options(run="r1"),
            sources=[FakeAlerts(lambda: self.alerts)],
        )
        pair = slo("errors", "< 60%", target=0.99, period=86400.0, total=TOTAL, bad=BAD)
        made = experiment(slos=(pair,), **parts)
        self.companion = Companion(made, around, lambda _: self.stopped.set())

    def broken(self, at: float) -> bool:
        return self.fault <= at < self.restored

    def begin(self) -> None:
        self.companion.begin()
        self.companion.gate()

    def break_it(self) -> None:
        self.fault = self.clock.now()
        self.companion.fault_begins()

    def finish(self) -> dict[str, Any]:
        self.companion.hold()
        self.restored = self.clock.now()
        return self.companion.finish({"status": "completed", "run": [], "experiment": {}})


def test_nothing_is_broken_where_too_little_is_left() -> None:
    beside = Beside(spent=0.9, budget=Budget(keep_at_least=0.2))
    with pytest.raises(Refusal, match="10% of the error budget of 1d is left, at least 20% asked"):
        beside.begin()
    made = beside.companion.finish({"status": "interrupted"})
    assert made["outcome"] == "not-started"
    assert made["budget"][0]["gate"]["verdict"] == "deviated"


def test_a_run_that_spends_too_much_is_stopped() -> None:
    beside = Beside(budget=Budget(keep_at_least=0.2, abort_spent=0.002))
    beside.begin()
    beside.break_it()
    assert beside.stopped.wait(60)
    assert "0.2% allowed" in beside.companion.stopped
    made = beside.finish()
    assert made["outcome"] == "aborted"
    (entry,) = made["budget"]
    assert (entry["gate"]["verdict"], entry["guard"]["verdict"]) == ("met", "deviated")
    assert entry["left_before"] == pytest.approx(0.9)


def test_what_was_left_is_told_without_a_word_about_it() -> None:
    beside = Beside()
    beside.begin()
    beside.break_it()
    made = beside.finish()
    assert made["outcome"] == "met"
    assert made["budget"][0]["left_before"] == pytest.approx(0.9)
    assert made["budget"][0]["spent_by_run"] > 0


def test_alerts_that_others_tell_of_are_judged() -> None:
    beside = Beside(alerts=Alerting(expect=(ExpectedAlert(HIGH, 60.0),)))
    beside.begin()
    beside.break_it()
    began = beside.clock.now() + 2
    beside.alerts = [
        AlertEpisode(labels={"alertname": "High"}, starts_at=began, ends_at=None, origin="webhook")
    ]
    made = beside.finish()
    told = [entry for entry in made["alerts"] if "expectation" in entry]
    assert [entry["verdict"] for entry in told] == ["met"]


@pytest.mark.parametrize(
    "declared",
    [
        {"abort-when": [{"name": "a", "query": "up", "objective": "> 0"}]},
        {"alerts": {"abort_on": ["High"]}},
        {"budget": {"abort_when": {"spent": "5%"}}},
    ],
)
def test_whatever_may_stop_a_run_has_it_rolled_back(declared: dict[str, Any]) -> None:
    assert handlers(declared) == 1


@pytest.mark.parametrize("declared", [{}, {"alerts": {"expect": ["High"]}}])
def test_what_stops_nothing_leaves_the_strategy_alone(declared: dict[str, Any]) -> None:
    assert handlers(declared) == 0


def test_a_file_of_slos_brings_its_alerts(tmp_path: Path) -> None:
    pytest.importorskip("chaoslib")
    file = tmp_path / "shop.yaml"
    file.write_text(
        "alerts: {expect: [{alertname: High}], abort_on: [Down]}\n"
        "slos:\n- {name: up, query: up, objective: '>= 1', target: 99.9%, period: 30d}\n",
        encoding="utf-8",
    )
    made = experiment_of({"title": "t", "method": []}, {}, {}, str(file))
    assert [str(one.pattern) for one in made.alerts.expect] == ["High"]
    assert handlers({}, slos=str(file)) == 1
    own: dict[str, Any] = {"title": "t", "method": [], "alerts": {"forbid": ["Low"]}}
    assert experiment_of(own, {}, {}, str(file)).alerts.expect == ()


def handlers(declared: dict[str, Any], **arguments: Any) -> int:
    """How many handlers the control registers for an experiment."""
    pytest.importorskip("chaoslib")

    class Registry:
        count = 0

        def register(self, _handler: object) -> None:
            self.count += 1

    registry = Registry()
    control.configure_control(declared, event_registry=registry, **arguments)
    return registry.count
