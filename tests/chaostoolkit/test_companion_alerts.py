"""Beside the Chaos Toolkit's own run: nothing is broken while alerts fire, and one of them stops it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from sloguard.chaostoolkit.companion import Companion
from sloguard.chaostoolkit.surround import Refusal, Surround
from sloguard.core.alert_rules import Alerting, AlertPattern, ExpectedAlert, Matcher, Silence
from sloguard.core.alerts import NOW_QUERY, QUERY
from sloguard.core.events import Event, GuardTripped
from sloguard.engine.options import Options
from sloguard.ports.silences import AlertsError
from tests.fakes.alerts import FakeAlerts
from tests.fakes.clock import FakeClock
from tests.fakes.simulation import START
from tests.support.engine_world import WorldMetrics, experiment

HIGH = AlertPattern((Matcher("alertname", "=", "High"),))
LABELS = (("alertname", "High"), ("alertstate", "firing"))


def companion(
    alerting: Alerting,
    *,
    fires: bool,
    silences: Silences | None = None,
    clock: FakeClock | None = None,
) -> tuple[Companion, WorldMetrics, list[Event], threading.Event]:
    clock = clock or FakeClock()
    metrics = WorldMetrics(clock)  # type: ignore[arg-type]  # it asks for the time only
    metrics.series["ratio"] = lambda _: {(): 0.0}
    firing(metrics, fires)
    seen: list[Event] = []
    stopped = threading.Event()
    around = Surround(
        metrics=metrics,
        live=metrics,
        clock=clock,
        options=Options(run="r1"),
        sources=[FakeAlerts()],
        silences=silences,
        consumers=[seen.append],
    )
    made = replace(experiment(), alerts=alerting)
    return Companion(made, around, lambda _: stopped.set()), metrics, seen, stopped


def firing(metrics: WorldMetrics, fires: bool) -> None:
    found: Any = {LABELS: 1.0} if fires else {}
    metrics.series[NOW_QUERY] = metrics.series[QUERY] = lambda _: found


@pytest.mark.parametrize("key", ["refuse_when_firing", "abort_on"])
def test_it_does_not_begin_while_one_fires(key: str) -> None:
    alerting = Alerting(**{key: (HIGH,)})
    with pytest.raises(Refusal, match=f"High fires, which '{key}' names"):
        companion(alerting, fires=True)[0].begin()
    companion(alerting, fires=False)[0].begin()


def test_one_that_fires_under_the_fault_stops_the_run() -> None:
    made, metrics, seen, stopped = companion(Alerting(abort_on=(HIGH,)), fires=False)
    made.begin()
    firing(metrics, True)
    made.fault_begins()
    assert stopped.wait(60)
    assert "alert High fires" in made.stopped
    assert any(isinstance(event, GuardTripped) for event in seen)


class Silences:
    """An Alertmanager that remembers what it was asked."""

    def __init__(self, problem: str = "") -> None:
        self.problem = problem
        self.asked: list[tuple[str, str]] = []

    def create(self, matchers: Sequence[Matcher], seconds: float, comment: str, token: str) -> str:
        if self.problem:
            raise AlertsError(self.problem)
        self.asked.append(("create", f"{', '.join(map(str, matchers))} {seconds:g}s: {comment}"))
        return "s1"

    def expire(self, token: str, known: str = "") -> str:
        self.asked.append(("expire", known))
        return "ended the silence"

    def check(self) -> str:
        return "somebody"


SILENCE = Alerting(silence=Silence((Matcher("a", "=", "b"),), 60.0, "on purpose"))


def finished(made: Companion) -> dict[str, Any]:
    made.hold()
    return made.finish({"status": "completed", "run": [], "experiment": {}})


def test_a_silence_is_made_with_the_fault_and_ended_with_it() -> None:
    silences = Silences()
    made, *_ = companion(SILENCE, fires=True, silences=silences)
    made.begin()
    made.gate()
    assert silences.asked == []
    made.fault_begins()
    assert finished(made)["outcome"] == "met"
    said = 'a="b" 60s: on purpose: a small experiment (run r1)'
    assert silences.asked == [("create", said), ("expire", "s1")]


def test_a_silence_that_cannot_be_made_is_told_and_the_run_goes_on() -> None:
    made, *_ = companion(SILENCE, fires=True, silences=Silences("it is full"))
    made.begin()
    made.gate()
    made.fault_begins()
    document = finished(made)
    assert document["outcome"] == "met"
    assert any("the silence could not be made: it is full" in note for note in document["notes"])


def test_without_an_alertmanager_nothing_is_broken() -> None:
    made, *_ = companion(SILENCE, fires=True)
    with pytest.raises(Refusal, match="no Alertmanager is configured"):
        made.begin()


def test_an_alert_that_is_expected_later_is_waited_for() -> None:
    """It is over 30 s after the fault, as it should be; ``after`` is 20 s."""
    expected = ExpectedAlert(HIGH, 60.0, resolved_within=60.0)
    clock = FakeClock()
    made, metrics, *_ = companion(Alerting(expect=(expected,)), fires=False, clock=clock)
    made.begin()
    made.gate()
    made.fault_begins()
    began = clock.now()

    def fires(at: float) -> Any:
        return {LABELS: 1.0} if began + 5 <= at + START < began + 50 else {}

    for query in (NOW_QUERY, QUERY):
        metrics.series[query] = fires
    document = finished(made)
    (told,) = [entry for entry in document["alerts"] if "expectation" in entry]
    assert told["verdict"] == "met", told["reason"]
    assert clock.now() >= began + 50
