"""What alerts do to a run: it looks on for them, ends by them, does not begin for them, and silences them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from sloguard.core.alert_rules import Alerting, AlertPattern, ExpectedAlert, Matcher, Silence
from sloguard.core.alerts import NOW_QUERY, QUERY, SINCE_QUERY
from sloguard.core.episodes import AlertEpisode
from sloguard.core.events import Event, GuardTripped, Note, Preflight, Waiting
from sloguard.core.model import Experiment, Outcome, Phases
from sloguard.core.series import LabelSet
from sloguard.engine.recover import recover
from sloguard.engine.run import run
from sloguard.ports import UnfinishedRun
from tests.fakes.alerts import FakeAlerts, FakeSilences
from tests.fakes.ledger import FakeRuns
from tests.fakes.locks import FakeLocks
from tests.fakes.simulation import START
from tests.support.engine_world import World, action, breaking, ended, experiment, open_intents, slo

HIGH = AlertPattern((Matcher("alertname", "=", "High"),))
PAGE = Matcher("severity", "=", "page")
LABELS: LabelSet = (("alertname", "High"), ("severity", "page"))


class Alarmed(World):
    """A world in which High fires from ``delay`` seconds after something broke until ``lasts`` after it
    was mended."""

    def __init__(self, delay: float = 4.0, lasts: float = 3.0) -> None:
        super().__init__()
        self.delay, self.lasts = delay, lasts
        self.silences = FakeSilences()
        self.sources: list[Any] = []
        self.metrics.series[QUERY] = lambda t: self._firing(t, START + t)
        self.metrics.series[NOW_QUERY] = lambda t: self._firing(t, 1.0)
        self.metrics.series[SINCE_QUERY] = self._since

    def fires(self, at: float) -> bool:
        broken = [since for since, level in self.changes if level and since + self.delay <= at]
        if not broken:
            return False
        mended = [since for since, level in self.changes if not level and since > broken[-1]]
        return not mended or at < mended[0] + self.lasts

    def _firing(self, at: float, value: float) -> Mapping[LabelSet, float | None]:
        labels = (
            ("__name__", "ALERTS"),
            ("alertname", "High"),
            ("alertstate", "firing"),
            ("severity", "page"),
        )
        return {labels: value} if self.fires(at) else {}

    def _since(self, at: float) -> Mapping[LabelSet, float | None]:
        broken = [since for since, level in self.changes if level and since <= at]
        labels = (("__name__", "ALERTS_FOR_STATE"), *LABELS)
        return {labels: START + broken[-1]} if broken and self.fires(at) else {}

    def ports(self, *, metrics: bool = True, **more: Any) -> Any:
        more = {"alert_sources": self.sources, "silences": self.silences, **more}
        return super().ports(metrics=metrics, **more)


def alarming(**alerts: Any) -> Experiment:
    parts = {k: alerts.pop(k) for k in ("phases", "slos", "method", "rollbacks") if k in alerts}
    made = experiment(slos=parts.pop("slos", (slo(during="< 60%"),)), **parts)
    from dataclasses import replace

    return replace(made, alerts=Alerting(**alerts))


def of(events: list[Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def entry(events: list[Event]) -> Any:
    (found,) = [e for e in ended(events).document["alerts"] if "expectation" in e]
    return found


def expecting(within: float | None = None, resolved: float | None = None) -> Any:
    return {"expect": (ExpectedAlert(HIGH, within, resolved),)}


def test_an_expected_alert_is_in_the_verdict_with_its_times() -> None:
    events = Alarmed().run(alarming(**expecting(10.0, 10.0)))
    assert ended(events).outcome is Outcome.MET, ended(events).reason
    assert entry(events)["reason"] == (
        "High fired 4s after the fault, within 10s; resolved 3s after restored, within 10s"
    )


def test_a_missing_one_makes_the_run_deviate_although_every_slo_was_met() -> None:
    events = Alarmed(delay=1e6).run(alarming(**expecting(10.0)))
    assert ended(events).outcome is Outcome.DEVIATED
    assert (
        ended(events).reason
        == "High did not fire within 10s of the fault: the alerting is the weakness"
    )


def test_after_does_not_end_early_while_an_alert_is_waited_for() -> None:
    early = ended(Alarmed().run(alarming(phases=Phases(20.0, 20.0, 60.0)))).timeline
    assert early is not None
    assert early.end - early.restored < 20
    events = Alarmed(lasts=30.0).run(
        alarming(phases=Phases(20.0, 20.0, 60.0), **expecting(10.0, 50.0))
    )
    timeline = ended(events).timeline
    assert timeline is not None
    # Once it was over, nothing is waited for any more.
    assert 30 <= timeline.end - timeline.restored < 40
    assert entry(events)["verdict"] == "met"


def test_the_declared_phase_goes_on_for_it_and_says_so() -> None:
    events = Alarmed(lasts=50.0).run(
        alarming(phases=Phases(20.0, 20.0, 20.0), **expecting(10.0, 90.0))
    )
    timeline = ended(events).timeline
    assert timeline is not None
    assert 50 <= timeline.end - timeline.restored < 56
    waits = [w for w in of(events, Waiting) if "resolve" in w.reason]
    assert [w.reason for w in waits] == ["High may still resolve"]
    assert waits[0].until == pytest.approx(timeline.restored + 90)
    assert entry(events)["verdict"] == "met"


def test_nor_longer_than_it_may_take() -> None:
    events = Alarmed(delay=1e6).run(alarming(phases=Phases(20.0, 20.0, 20.0), **expecting(70.0)))
    timeline = ended(events).timeline
    assert timeline is not None
    assert 70 <= timeline.end - timeline.fault < 73
    assert entry(events)["verdict"] == "deviated"
    still = Alarmed(lasts=1e6).run(
        alarming(phases=Phases(20.0, 20.0, 20.0), **expecting(70.0, 40.0))
    )
    assert entry(still)["verdict"] == "deviated"
    assert "still firing" in entry(still)["reason"]


def test_whoever_asks_to_stop_does_not_wait_for_an_alert() -> None:
    world = Alarmed(delay=1e6)
    world.clock.at(90.0, lambda: world.control.abort("enough"))
    last = ended(world.run(alarming(phases=Phases(20.0, 20.0, 20.0), **expecting(3600.0))))
    assert last.outcome is Outcome.ABORTED
    assert last.timeline is not None
    assert last.timeline.end - START < 95


# Live.


def test_an_alert_that_aborts_is_seen_live_and_all_is_undone() -> None:
    world = Alarmed()
    events = world.run(
        alarming(abort_on=(AlertPattern((PAGE,)),), phases=Phases(20.0, 300.0, 20.0))
    )
    last = ended(events)
    assert last.outcome is Outcome.ABORTED
    assert 'alert High{severity="page"} fires at ' in last.reason
    assert last.timeline is not None
    assert 4 <= last.timeline.restored - last.timeline.fault < 8
    (tripped,) = of(events, GuardTripped)
    assert (tripped.guard, tripped.blind) == ('alert {severity="page"}', False)
    assert world.broken == {}
    assert [e["verdict"] for e in last.document["alerts"] if "expectation" in e] == ["deviated"]


def test_one_that_only_others_know_of_aborts_too() -> None:
    world = Alarmed(delay=1e6)
    source = FakeAlerts(
        lambda: (
            [
                AlertEpisode(
                    labels=dict(LABELS), starts_at=START + 30, ends_at=START + 31, origin="webhook"
                )
            ]
            if world.clock.monotonic() >= 31
            else []
        )
    )
    world.sources = [source]
    last = ended(world.run(alarming(abort_on=(HIGH,), phases=Phases(20.0, 300.0, 20.0))))
    assert last.outcome is Outcome.ABORTED
    assert last.timeline is not None
    assert last.timeline.restored - START < 36


def test_alerts_that_cannot_be_read_end_the_method_as_a_blind_guard_does() -> None:
    world = Alarmed(delay=1e6)
    world.metrics.outages.append((30.0, 500.0))
    events = world.run(
        alarming(abort_on=(HIGH,), phases=Phases(20.0, 300.0, 20.0)),
        fallback_step=5.0,
        metrics_patience=5.0,
    )
    last = ended(events)
    assert last.outcome is Outcome.INCONCLUSIVE
    assert any(t.blind for t in of(events, GuardTripped))
    assert "alerts that end the run could not be read for" in " ".join(last.document["notes"])
    assert world.broken == {}


def test_an_alert_elsewhere_ends_nothing() -> None:
    where = AlertPattern((Matcher("namespace", "=", "shop"),))
    last = ended(Alarmed().run(alarming(abort_on=(HIGH,), where=where)))
    assert last.outcome is Outcome.MET


# Before.


def refused(world: Alarmed, **alerts: Any) -> str:
    last = ended(world.run(alarming(**alerts)))
    assert last.outcome is Outcome.NOT_STARTED, last.reason
    assert world.log == []
    return last.reason


def firing_already() -> Alarmed:
    world = Alarmed()
    world.fires = lambda at: True  # type: ignore[method-assign]  # whatever happens
    return world


def test_nothing_is_broken_while_one_fires() -> None:
    reason = refused(firing_already(), refuse_when_firing=(AlertPattern(),))
    assert "High{severity=\"page\"} fires, which 'refuse_when_firing' names" in reason
    assert "'abort_on' names" in refused(firing_already(), abort_on=(HIGH,))


def test_where_an_expected_one_fires_already_it_warns_and_is_inconclusive() -> None:
    events = firing_already().run(alarming(**expecting(10.0)))
    odd = [p for p in of(events, Preflight) if p.name == "alerts" and p.ok is None]
    assert "fires already" in odd[0].message
    assert ended(events).outcome is Outcome.INCONCLUSIVE
    assert "cannot be told" in ended(events).reason


def test_a_source_that_is_away_stops_what_depends_on_it() -> None:
    world = Alarmed()
    source = FakeAlerts()
    source.away = True
    world.sources = [source]
    assert "refused the connection" in refused(world, refuse_when_firing=(HIGH,))
    other = Alarmed(delay=1e6)
    other.sources = [source]
    events = other.run(alarming(**expecting(10.0)))
    assert entry(events)["verdict"] == "inconclusive"
    assert ended(events).document["alert_coverage"]["unknown"]


def test_without_anybody_to_ask_it_does_not_start() -> None:
    world = Alarmed()
    made = alarming(slos=(), **expecting(10.0))
    last = ended(world.run(made, metrics=False))
    assert last.outcome is Outcome.NOT_STARTED
    assert "nobody can be asked for alerts" in last.reason


def test_alerts_alone_prove_no_steady_state_but_a_weakness() -> None:
    assert (
        ended(Alarmed().run(alarming(slos=(), **expecting(10.0)))).outcome is Outcome.INCONCLUSIVE
    )
    missing = Alarmed(delay=1e6).run(alarming(slos=(), **expecting(10.0)))
    assert ended(missing).outcome is Outcome.DEVIATED


# Silences.

SILENCE = {"silence": Silence((PAGE,), 600.0, "game day")}


def test_the_silence_is_made_at_the_fault_and_ended_once_all_is_undone() -> None:
    world = Alarmed()
    world.functions["back"] = lambda stop: world.log.append(
        f"{len(world.silences.active)} silences"
    )
    events = world.run(alarming(rollbacks=(action("rollbacks[0]", "back"),), **SILENCE))
    last = ended(events)
    assert last.outcome is Outcome.MET
    assert [method for method, _ in world.silences.log] == ["check", "create", "expire"]
    seconds = world.silences.log[1][1]
    assert 595 < seconds <= 600
    # It outlasts the undo and the rollbacks.
    assert "1 silences" in world.log
    assert world.silences.active == {}
    assert open_intents(world) == []
    assert [fault["fault"] for fault in last.document["faults"]] == ["world.break_things"]
    texts = [note.message for note in of(events, Note)]
    assert any(t.startswith('silenced severity="page" in Alertmanager, until ') for t in texts)
    assert "ended the silence" in texts


def test_its_comment_names_the_run_and_the_experiment() -> None:
    world = Alarmed()
    seen: list[str] = []
    made = world.silences.create

    def create(matchers: Any, seconds: float, comment: str, token: str) -> str:
        seen.extend((comment, token))
        return made(matchers, seconds, comment, token)

    world.silences.create = create  # type: ignore[method-assign]  # to hear what is said
    world.run(alarming(**SILENCE))
    assert seen[0] == "game day: a small experiment (run r1)"
    assert "r1" in seen[1]


def test_an_alertmanager_that_is_away_before_keeps_the_run_from_starting() -> None:
    world = Alarmed()
    world.silences = FakeSilences(fail=["check"])
    assert "silence: it could not be made" in refused(world, **SILENCE)
    world = Alarmed()
    world.silences = None  # type: ignore[assignment]  # none is configured
    assert "set alertmanager.url" in refused(world, **SILENCE)


def test_one_that_goes_away_later_is_told_and_the_run_goes_on() -> None:
    world = Alarmed()
    world.silences = FakeSilences(fail=["create"])
    last = ended(world.run(alarming(**SILENCE)))
    assert last.outcome is Outcome.MET
    assert any("the silence could not be made" in note for note in last.document["notes"])
    assert open_intents(world) == []


def test_a_silence_whose_answer_was_lost_is_ended_all_the_same() -> None:
    world = Alarmed()
    world.silences = FakeSilences(lost=True)
    assert ended(world.run(alarming(**SILENCE))).outcome is Outcome.MET
    assert world.silences.active == {}


def test_one_that_cannot_be_ended_is_left_and_told_with_the_way_out() -> None:
    world = Alarmed()
    world.silences = FakeSilences(fail=["expire"])
    last = ended(world.run(alarming(**SILENCE), undo_patience=5.0))
    assert last.outcome is Outcome.NOT_RESTORED
    (left,) = [fault for fault in last.document["faults"] if fault["status"] == "left"]
    assert left["fault"] == "alertmanager.silence"
    assert "it ends by itself at 2026-01-01T12:" in left["by_hand"]
    # The fault itself was undone, and the run was not held up for the silence.
    assert world.broken == {}


def test_neither_is_left_by_an_aborted_run() -> None:
    world = Alarmed()
    world.clock.at(10.0, lambda: world.control.abort("enough"))
    assert ended(world.run(alarming(**SILENCE))).outcome is Outcome.ABORTED
    assert world.silences.active == {}


_undead: list[Any] = []


@pytest.fixture(scope="module", autouse=True)
def bury() -> Any:
    yield
    for events in _undead:
        events.close()


def test_nor_by_one_that_was_killed() -> None:
    world = Alarmed()
    made = alarming(method=(breaking(),), phases=Phases(20.0, 60.0, 20.0), **SILENCE)
    events = run(made, world.ports(), world.options(), world.control)
    _undead.append(events)
    while not world.silences.active:
        next(events)
    world.locks = FakeLocks()
    dead = UnfinishedRun("r1", made.title, "", {"title": "x"}, {}, False, True, 0.0)
    told = list(recover(FakeRuns(dead), world.ports(), lambda *_: made, world.options()))
    assert world.silences.active == {}
    assert open_intents(world) == []
    assert any("ended the silence" in note.message for note in of(told, Note))
    assert world.broken == {}
