"""Beside the Chaos Toolkit's own run: nothing is broken while alerts fire, and one of them stops it."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from sloguard.chaostoolkit.companion import Companion, Refusal, Surround
from sloguard.core.alert_rules import Alerting, AlertPattern, Matcher, Silence
from sloguard.core.alerts import NOW_QUERY, QUERY
from sloguard.core.events import Event, GuardTripped, Note
from sloguard.engine.options import Options
from tests.fakes.alerts import FakeAlerts
from tests.fakes.clock import FakeClock
from tests.support.engine_world import WorldMetrics, experiment

HIGH = AlertPattern((Matcher("alertname", "=", "High"),))
LABELS = (("alertname", "High"), ("alertstate", "firing"))


def companion(
    alerting: Alerting, *, fires: bool
) -> tuple[Companion, WorldMetrics, list[Event], threading.Event]:
    clock = FakeClock()
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


def test_a_silence_is_left_out_and_told() -> None:
    alerting = Alerting(silence=Silence((Matcher("a", "=", "b"),), 60.0))
    made, _, seen, _ = companion(alerting, fires=True)
    made.begin()
    assert any("alerts.silence is left out" in e.message for e in seen if isinstance(e, Note))
