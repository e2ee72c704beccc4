"""Guard rails: when they trip, when they are blind, and that they do so in time."""

from __future__ import annotations

import math
import threading

import pytest

from sloguard.core.events import GuardTripped, Observed
from sloguard.core.model import Guard, Outcome, Verdict
from sloguard.core.objective import parse_objective
from sloguard.core.series import Sample, Vector, label_set
from sloguard.engine.guard import GuardWatch, Unreadable, Values
from sloguard.ports import BadQuery, MetricsUnreachable
from tests.fakes.simulation import START
from tests.support.engine_world import (
    World,
    action,
    breaking,
    ended,
    experiment,
    guard,
    open_intents,
    probe,
    slo,
)


def vector(*values, at=0.0):
    return Vector(tuple(Sample(label_set({"pod": n}), at, v) for n, v in values))


def plain(hold_for=0.0, objective="< 50%", interval=1.0):
    watch = GuardWatch(
        Guard("g", parse_objective(objective), hold_for, query="q"), interval=interval
    )
    watch.start()
    return watch


def pair(*, same_metric=True):
    made = Guard("g", parse_objective("< 50%"), 0.0, total="t", bad="b")
    watch = GuardWatch(made, interval=1.0, same_metric=same_metric)
    watch.start()
    return watch


# One guard, reading by reading.


def test_a_breach_trips_at_once_where_nothing_is_allowed():
    reason = plain().take({"query": vector(("a", 0.1), ("b", 0.62))}, 1_767_268_955.0)
    assert reason == 'guard g{pod="b"}: 62% at 12:02:35Z, not < 50%'


def test_a_breach_trips_once_it_was_held_for_as_long_as_allowed():
    watch = plain(10.0)
    bad = {"query": vector(("a", 0.6))}
    assert [watch.take(bad, t) is not None for t in (0, 5, 9, 10)] == [False, False, False, True]
    assert "10s in breach, 10s allowed" in str(watch.take(bad, 10))


def test_each_series_is_held_for_itself():
    watch = plain(10.0)
    assert watch.take({"query": vector(("a", 0.6), ("b", 0.1))}, 0) is None
    assert watch.take({"query": vector(("a", 0.1), ("b", 0.6))}, 10) is None
    assert watch.take({"query": vector(("a", 0.1), ("b", 0.6))}, 20) is not None


def test_what_was_all_right_in_between_starts_again():
    watch = plain(10.0)
    for at, value in ((0, 0.6), (5, 0.1), (6, 0.6)):
        assert watch.take({"query": vector(("a", value))}, at) is None
    assert watch.take({"query": vector(("a", 0.6))}, 15) is None
    assert watch.take({"query": vector(("a", 0.6))}, 16) is not None


@pytest.mark.parametrize("quiet", [vector(), vector(("a", math.nan))])
def test_no_value_trips_nothing_and_ends_a_breach(quiet):
    watch = plain(10.0)
    watch.take({"query": vector(("a", 0.6))}, 0)
    assert watch.take({"query": quiet}, 5) is None
    assert watch.take({"query": vector(("a", 0.6))}, 12) is None
    assert watch.blind(12) is None


def test_a_read_that_fails_does_not_end_a_breach():
    watch = plain(10.0)
    watch.take({"query": vector(("a", 0.6))}, 0)
    watch.failed("timeout")
    assert watch.take({"query": vector(("a", 0.6))}, 10) is not None


def test_infinity_is_a_value():
    assert plain().take({"query": vector(("a", math.inf))}, 0) is not None


def test_blind_is_for_and_two_intervals():
    watch = plain(10.0, interval=2.0)
    watch.asked(2)
    watch.take({"query": vector()}, 2)
    watch.asked(3)
    watch.failed("no route")
    watch.asked(4)
    assert watch.blind(17.0) is None
    reason = watch.blind(17.5)
    assert reason is not None
    assert "could not be read for 14.5s, 14s allowed: no route" in reason


def test_a_pair_is_a_share():
    answers = {"total": vector(("a", 50.0)), "bad": vector(("a", 30.0))}
    assert "60%" in str(pair().take(answers, 0))


def test_an_absent_bad_is_none_bad_and_an_idle_total_is_no_value():
    assert pair().take({"total": vector(("a", 50.0)), "bad": vector()}, 0) is None
    assert pair().take({"total": vector(("a", 0.0)), "bad": vector(("a", 3.0))}, 0) is None


def test_an_absent_good_is_all_bad():
    watch = GuardWatch(Guard("g", parse_objective("< 50%"), 0.0, total="t", good="g"), interval=1.0)
    assert "100%" in str(watch.take({"total": vector(("a", 5.0)), "good": vector()}, 0))


def test_an_absent_half_of_another_metric_is_unknown_once_it_was_seen():
    values = Values(is_pair=True, same_metric=False)
    label = label_set({"pod": "a"})
    assert values.of({"total": vector(("a", 5.0)), "good": vector()}) == {label: 1.0}
    values.of({"total": vector(("a", 5.0)), "good": vector(("a", 5.0))})
    assert math.isnan(values.of({"total": vector(("a", 5.0)), "good": vector()})[label])


def test_a_total_that_is_gone_entirely_cannot_be_read():
    values = Values(is_pair=True)
    assert values.of({"total": vector(), "bad": vector()}) == {}
    values.of({"total": vector(("a", 5.0)), "bad": vector()})
    with pytest.raises(Unreadable):
        values.of({"total": vector(), "bad": vector()})


def test_the_halves_of_a_pair_meet_in_spite_of_their_names():
    values = Values(is_pair=True)
    total = Vector((Sample(label_set({"__name__": "all", "pod": "a"}), 0, 10.0),))
    bad = Vector((Sample(label_set({"__name__": "bad", "pod": "a"}), 0, 4.0),))
    assert values.of({"total": total, "bad": bad}) == {label_set({"pod": "a"}): 0.4}


def test_reasons_leave_the_metrics_name_out():
    answer = Vector((Sample(label_set({"__name__": "ratio", "pod": "a"}), 0, 0.6),))
    assert str(plain().take({"query": answer}, 0)).startswith('guard g{pod="a"}: 60%')


def test_a_share_stays_within_0_and_1():
    values = Values(is_pair=True)
    found = values.of(
        {"total": vector(("a", 5.0), ("b", 5.0)), "bad": vector(("a", 9.0), ("b", -1.0))}
    )
    assert sorted(found.values()) == [0.0, 1.0]


# In a run.


def tripped(events):
    return next((e for e in events if isinstance(e, GuardTripped)), None)


def test_a_guard_stops_the_method_and_undoes_everything_within_two_seconds():
    world = World()
    world.functions["long"] = lambda stop: world.sleep(stop, 500.0)
    made = experiment(
        guards=(guard(),),
        method=(
            action("method[0]", "long", background=True),
            breaking("method[1]", "a", pause_before=7.3),
            action("method[2]", "long"),
        ),
    )
    events = world.run(made)
    last = ended(events)
    assert last.outcome is Outcome.ABORTED
    assert last.reason.startswith("guard rail: 50% at 12:00:0")
    assert world.broken == {}
    assert open_intents(world) == []
    broken_at = next(t for t, level in world.changes if level)
    mended_at = world.changes[-1][0]
    assert mended_at - broken_at <= 1 + 2
    assert world.ledger.begun["r1"]["method[0]"] == "aborted"
    assert world.ledger.begun["r1"]["method[2]"] == "aborted"


def test_a_guard_with_a_patience_trips_after_it():
    world = World()
    events = world.run(experiment(guards=(guard(hold_for=10.0),)))
    assert ended(events).outcome is Outcome.ABORTED
    assert 10 <= world.changes[-1][0] <= 10 + 3


def test_a_guard_stops_a_fault_that_is_being_injected():
    world = World()
    made = experiment(guards=(guard(),), method=(breaking(arguments={"takes": 300.0}),))
    assert ended(world.run(made)).outcome is Outcome.ABORTED
    assert world.changes[-1][0] < 3
    assert world.broken == {}


def test_a_guard_also_watches_after():
    world = World()
    world.metrics.series["late"] = lambda t: {(): 1.0 if t > 25 else 0.0}
    events = world.run(
        experiment(guards=(guard(query="late"),), slos=(slo(during="< 60%"),)), end_early=False
    )
    last = ended(events)
    assert last.outcome is Outcome.ABORTED
    assert last.timeline is not None
    assert last.timeline.end - START < 28


def test_a_slow_prometheus_delays_neither_the_run_nor_the_other_guard():
    world = World()
    original = world.metrics.instant

    def instant(query, at=None):
        if query == "slow":
            world.clock.wait(threading.Event(), 8.0)
        return original(query, at)

    world.metrics.series["slow"] = lambda t: {(): 0.0}
    world.metrics.instant = instant
    world.metrics.interval = 10.0
    slow = Guard("slow", parse_objective("< 50%"), 0.0, query="slow")
    events = world.run(
        experiment(guards=(slow, guard()), slos=(), declared={"phases": {"during": 20}})
    )
    assert tripped(events).guard == "rail"
    broken_at = next(t for t, level in world.changes if level)
    assert world.changes[-1][0] - broken_at <= 3


def test_a_guard_that_cannot_be_read_ends_the_run_inconclusive():
    world = World()
    world.metrics.outages = [(5.0, 60.0)]
    events = world.run(
        experiment(guards=(guard("< 90%", hold_for=3.0),), slos=(slo(during="< 60%"),))
    )
    last = ended(events)
    assert tripped(events).blind
    assert last.outcome is Outcome.INCONCLUSIVE
    (note,) = [
        n for n in last.document["notes"] if n.startswith("guard rail could not be read for")
    ]
    assert "refused the connection" in note
    undone = world.changes[-1][0]
    assert 5 + 3 + 2 <= undone <= 5 + 3 + 2 + 2
    assert world.broken == {}


def test_a_guard_that_is_blind_for_a_moment_goes_on():
    world = World()
    original = world.metrics.instant

    def instant(query, at=None):
        if 5.5 < world.clock.monotonic() < 7.5:
            raise MetricsUnreachable("gone for a moment")
        return original(query, at)

    world.metrics.instant = instant
    events = world.run(experiment(guards=(guard("< 90%"),), slos=(slo(during="< 60%"),)))
    assert tripped(events) is None
    assert ended(events).outcome is Outcome.MET


def test_guards_watch_nothing_before_the_method():
    world = World()
    world.metrics.series["early"] = lambda t: {(): 1.0 if 5 < t < 25 else 0.0}
    world.functions["slow"] = lambda stop: [world.sleep(stop, 30.0), 1][1]
    made_with_probe = experiment(
        guards=(guard(query="early"),),
        slos=(slo(during="< 60%"),),
        probes=(probe("hypothesis[0]", "slow", tolerance=1),),
    )
    assert tripped(world.run(made_with_probe)) is None


# The live picture.


def test_the_live_picture_comes_every_tick_with_the_worst_series():
    world = World()
    world.metrics.series["ratio"] = lambda t: {
        label_set({"pod": "a"}): world.value(t),
        label_set({"pod": "b"}): 0.01,
    }
    events = world.run(experiment(slos=(slo(during="< 40%"),)), tick=5.0)
    seen = [e for e in events if isinstance(e, Observed)]
    during = [e for e in seen if e.phase == "during" and e.at > START + 1]
    assert [e.at - START for e in during] == [5, 10, 15]
    (reading,) = during[0].readings
    assert (reading.value, reading.labels, reading.series) == (0.5, '{pod="a"}', 2)
    assert (reading.verdict, reading.objective, reading.unit) == (Verdict.DEVIATED, "< 40%", "%")
    after = [e.readings[0] for e in seen if e.phase == "after"]
    assert after[-1].verdict is Verdict.MET


def test_the_live_picture_knows_the_baseline():
    world = World()
    world.metrics.series["ratio"] = lambda t: {(): 0.2 + world.value(t)}
    events = world.run(experiment(slos=(slo(objective="<= 90%", during="<= baseline + 10%"),)))
    seen = [e.readings[0] for e in events if isinstance(e, Observed) and e.phase == "during"]
    assert seen[-1].verdict is Verdict.DEVIATED
    assert ended(events).outcome is Outcome.DEVIATED


def test_errors_of_the_live_picture_end_nothing():
    world = World()
    original = world.metrics.instant
    calls = []

    def instant(query, at=None):
        calls.append(query)
        if len(calls) > 1:
            raise BadQuery("no")
        return original(query, at)

    world.metrics.instant = instant
    events = world.run(experiment(slos=(slo(during="< 60%"),)))
    assert ended(events).outcome is Outcome.MET
    assert {r.value for e in events if isinstance(e, Observed) for r in e.readings} == {None}
