"""What a run waits for, when it may end early, and what it does about a Prometheus that goes away."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from sloguard.core.events import EvidenceCollected, Observed, SurroundingsCollected, Waiting
from sloguard.core.model import Outcome, Phases, Timeline
from sloguard.core.series import label_set
from sloguard.engine.evidence import collecting
from sloguard.engine.loop import Loop
from sloguard.engine.options import Options
from sloguard.engine.queries import look_up
from sloguard.engine.window import collect, judge_window
from sloguard.ports import AnswerTooLarge, BadAnswer, RecordingRule
from tests.fakes.simulation import START, SimulatedThreads
from tests.support.engine_world import World, ended, experiment, slo


def fine(**more):
    return experiment(slos=(slo(during="< 60%", **more),))


# Before: history.


def test_history_is_read_and_not_waited_for():
    world = World()
    events = world.run(fine())
    assert ended(events).timeline.fault == START
    assert not [e for e in events if isinstance(e, Waiting) and "before" in e.reason]


def test_only_what_prometheus_lacks_is_waited_for():
    world = World()
    world.metrics.born = -8.0
    events = world.run(fine())
    (waiting,) = [e for e in events if isinstance(e, Waiting) and "before" in e.reason]
    assert waiting.reason == "Prometheus has 8s of the 20s before the fault"
    assert ended(events).timeline.fault == pytest.approx(START + 12, abs=0.01)
    assert ended(events).outcome is Outcome.MET
    assert any(isinstance(e, Observed) and e.phase == "before" for e in events)


def test_a_prometheus_that_has_just_begun_is_waited_for_before_data_is_missed():
    world = World()
    world.metrics.born = 0.0
    world.metrics.series["ratio"] = lambda t: {(): world.value(t)} if t > 3 else {}
    assert ended(world.run(fine())).outcome is Outcome.MET


def test_a_breach_in_the_history_there_is_ends_the_wait_before_it_began():
    world = World()
    world.metrics.born = -8.0
    world.metrics.series["ratio"] = lambda t: {(): 0.5}
    last = ended(world.run(experiment()))
    assert last.outcome is Outcome.NOT_STARTED
    assert world.clock.monotonic() < 1


def test_an_abort_ends_the_wait():
    world = World()
    world.metrics.born = 0.0
    world.clock.at(5.0, lambda: world.control.abort("SIGINT"))
    last = ended(world.run(fine()))
    assert last.outcome is Outcome.NOT_STARTED
    assert "SIGINT" in last.reason
    assert world.clock.monotonic() < 6.1
    assert world.log == []


def test_a_young_service_under_an_old_prometheus_is_not_waited_for():
    world = World()
    world.metrics.series["ratio"] = lambda t: {(): world.value(t)} if t > -6 else {}
    assert ended(world.run(fine())).timeline.fault == START


# After: early, or not.


def test_after_ends_once_recovery_has_held():
    world = World()
    timeline = ended(world.run(fine())).timeline
    # restored + L (0) + hold (3 steps of 1 s) is the earliest end, seen once the samples can be there.
    assert timeline.end - timeline.restored == pytest.approx(3, abs=0.3)


def test_after_does_not_end_before_a_slow_recovery_has_held():
    world = World()
    world.metrics.series["ratio"] = lambda t: {(): 0.5 if 0 <= t < 29 else 0.0}
    last = ended(world.run(fine()))
    assert last.outcome is Outcome.MET
    # Points at 9, 10 and 11 s are three steps.
    assert 11 <= last.timeline.end - last.timeline.restored <= 15
    assert last.document["slos"][0]["series"][0]["phases"]["after"]["recovered_seconds"] == 9


def test_a_series_that_is_dark_keeps_after_open():
    world = World()
    world.metrics.series["ratio"] = lambda t: {(): 0.0} if t < 21 else {}
    last = ended(world.run(experiment()))
    assert last.timeline.end - last.timeline.restored == 20
    assert last.outcome is Outcome.DEVIATED


def test_one_slo_that_has_not_settled_keeps_after_open():
    world = World()
    world.metrics.series["other"] = lambda t: {(): 0.5 if t > 15 else 0.0}
    made = experiment(slos=(slo(during="< 60%"), slo("late", during="< 60%", query="other")))
    last = ended(world.run(made))
    assert last.timeline.end - last.timeline.restored == 20
    assert last.outcome is Outcome.DEVIATED


def test_after_can_be_kept_whole():
    last = ended(World().run(fine(), end_early=False))
    assert last.timeline.end - last.timeline.restored == 20


def test_the_lookback_counts_for_the_early_end():
    world = World()
    query = "max_over_time(ratio[10s])"
    world.metrics.series[query] = lambda t: {(): max(world.value(t - s) for s in range(11))}
    made = experiment(slos=(slo(during="< 60%", query=query),), phases=Phases(20, 20, 40))
    last = ended(world.run(made))
    assert last.outcome is Outcome.MET, last.reason
    assert 13 <= last.timeline.end - last.timeline.restored < 20
    assert last.document["slos"][0]["lookback_seconds"] == 10


def test_an_early_end_is_judged_on_the_evidence_that_allowed_it():
    world = World()
    events = world.run(fine())
    (collected,) = [e for e in events if isinstance(e, EvidenceCollected)]
    timeline = ended(events).timeline
    assert collected.evidence.grid.last <= timeline.end
    assert timeline.end - collected.evidence.grid.last < 1


def test_the_last_query_waits_for_the_last_sample():
    world = World()
    world.metrics.interval = 5.0
    world.run(fine(), end_early=False)
    last_range = max(at for method, _, at in world.metrics.asked if method == "range")
    assert last_range >= 40 + 5 + 1


# Prometheus goes away.


def test_a_prometheus_that_comes_back_in_time_is_waited_for():
    world = World()
    world.metrics.outages = [(10.0, 90.0)]
    last = ended(world.run(experiment(slos=(slo(during="< 60%"),))))
    assert world.broken == {}
    assert last.outcome is Outcome.INCONCLUSIVE
    assert "Prometheus was away" in last.reason
    assert world.clock.monotonic() < 110


def test_a_prometheus_that_stays_away_leaves_the_run_inconclusive():
    world = World()
    world.metrics.outages = [(10.0, 10_000.0)]
    last = ended(world.run(fine()))
    assert world.broken == {}
    assert last.outcome is Outcome.INCONCLUSIVE
    assert "refused the connection" in last.reason
    assert world.clock.monotonic() < 42 + 75 + 5


@pytest.mark.parametrize("ends", [True, False])
def test_a_prometheus_that_goes_away_late_is_waited_for_too(ends):
    """To ask for many SLOs takes longer than anybody waits for one that is away."""
    world = World()
    made = experiment(slos=tuple(slo(f"slo-{n:02d}", query=f"ratio_{n}") for n in range(30)))
    began = []

    def answer(t, n):
        if n == 20 and world.metrics.slow and not began:
            began.append(world.clock.monotonic())
            world.metrics.outages = [(began[0] + 1, began[0] + (4.0 if ends else 1000.0))]
        return {(): 0.0}

    for n in range(30):
        world.metrics.series[f"ratio_{n}"] = lambda t, n=n: answer(t, n)
    timeline = Timeline(START - 20, START, START + 10, START + 30)
    world.clock.wait(threading.Event(), 40.0)
    loop = Loop(world.clock, SimulatedThreads(world.clock))
    queries = look_up(made.slos, (), world.metrics)
    world.metrics.slow = 1.0
    options = Options(concurrency=1)
    asked = world.clock.monotonic()
    found = loop.complete(
        collecting(loop, made.slos, queries, timeline, world.metrics, options, patience=8.0)
    )
    lost = [e.slo.name for e in found.evidence if e.error]
    assert began[0] - asked > 8.0
    if ends:
        assert lost == []
    else:
        assert lost == [f"slo-{n:02d}" for n in range(21, 30)]
        assert world.clock.monotonic() < began[0] + 20


def test_a_short_absence_is_nobodys_darkness():
    world = World()
    world.metrics.outages = [(24.0, 29.0)]
    events = world.run(fine(), end_early=False)
    (found,) = [e.surroundings for e in events if isinstance(e, SurroundingsCollected)]
    assert list(found.away - START) == [24, 25, 26, 27, 28]
    assert "gone dark" not in ended(events).reason


def test_what_a_prometheus_that_was_away_says_of_that_time_proves_nothing():
    world = World()
    # As with its default staleness: the last value goes on while nothing was scraped.
    world.metrics.blind = [(24.0, 29.0)]
    events = world.run(fine(), end_early=False)
    assert ended(events).outcome is Outcome.INCONCLUSIVE
    assert "Prometheus was away for 5s (after)" in ended(events).reason
    (collected,) = [e.evidence for e in events if isinstance(e, EvidenceCollected)]
    times = collected.grid.times[~collected.answers["query"].present[0]] - START
    assert list(times) == [24, 25, 26, 27, 28]


@pytest.mark.parametrize("blind", [(24.0, 25.0), (-15.0, -5.0)])
def test_one_late_scrape_and_what_was_before_the_fault_take_nothing_away(blind):
    world = World()
    world.metrics.blind = [blind]
    assert ended(world.run(fine(), end_early=False)).outcome is Outcome.MET


def test_a_second_abort_ends_the_wait_for_prometheus():
    world = World()
    world.metrics.outages = [(10.0, 10_000.0)]
    world.clock.at(50.0, lambda: world.control.abort("SIGINT"))
    last = ended(world.run(fine()))
    assert world.clock.monotonic() < 54
    assert last.outcome is Outcome.ABORTED


def test_an_abort_does_not_wait_for_prometheus():
    world = World()
    world.metrics.outages = [(3.0, 10_000.0)]
    world.clock.at(5.0, lambda: world.control.abort("SIGINT"))
    assert ended(world.run(fine())).outcome is Outcome.ABORTED
    assert world.clock.monotonic() < 8


# A window after the fact.


def window(world, made, **more):
    timeline = Timeline(START - 20, START, START + 20, START + 40)
    world.clock.wait(_never(), 100)
    return judge_window(
        made, timeline, world.metrics, world.clock, executor=SimulatedThreads(world.clock), **more
    )


def _never():
    import threading

    return threading.Event()


def test_a_window_is_judged_as_a_run_over_it_would_be():
    world = World()
    world.metrics.series["ratio"] = lambda t: {(): 0.5 if 0 <= t < 20 else 0.0}
    facts = window(world, experiment())
    (result,) = facts.slos
    assert result.verdict == "deviated"
    assert "20s in breach" in result.reason
    other = World()
    run = ended(other.run(experiment(), end_early=False)).document["slos"][0]["reason"]
    assert result.reason == run


def test_an_error_of_prometheus_is_never_a_breach():
    world = World()
    world.metrics.fail["ratio"] = AnswerTooLarge("query processing would load too many samples")
    (result,) = window(world, experiment()).slos
    assert result.verdict == "inconclusive"
    assert result.reason == "errors: query: query processing would load too many samples"


def test_a_prometheus_that_is_away_is_said_at_once():
    world = World()
    world.metrics.outages = [(0, 10_000)]
    made = experiment(slos=tuple(slo(f"s{i}") for i in range(20)))
    facts = window(world, made)
    assert {s.verdict for s in facts.slos} == {"inconclusive"}
    assert len(world.metrics.asked) == 1
    assert world.clock.monotonic() < 101


def test_removed_objects_are_known_to_the_judge():
    world = World()
    collected = collect(
        experiment(),
        Timeline(START - 20, START, START + 20, START + 40),
        world.metrics,
        world.clock,
        removed={"pod": frozenset({"a"})},
        executor=SimulatedThreads(world.clock),
    )
    assert collected.surroundings.removed == {"pod": frozenset({"a"})}


def test_a_refused_lookup_of_rules_is_a_note_and_no_end():
    world = World()

    def rules():
        raise BadAnswer("404: no such page")

    world.metrics.recording_rules = rules
    queries = look_up((slo(),), (), world.metrics)
    assert queries.rules == ()
    assert "404" in queries.problems[0]


def test_recording_rules_are_followed_to_what_is_scraped():
    world = World()
    asked = []

    def interval(selections):
        asked.append([str(s) for s in selections])
        return 5.0

    world.metrics.scrape_interval = interval
    world.metrics.rules = (
        RecordingRule("job:errors", 'rate(errors_total{job="shop"}[30s])', 20.0, {}),
        RecordingRule("all:errors", "sum(job:errors)", 10.0, {}),
    )
    made = slo(query="all:errors")
    queries = look_up((made,), (), world.metrics)
    assert asked == [['errors_total{job="shop"}']]
    assert queries.slos["errors"].rule_interval == 20.0
    assert queries.delay((made,), Options()) == 5 + 20 + 1
    assert queries.lookback(made, window=60).seconds == 60.0


@pytest.mark.parametrize(
    ("flag", "own", "interval", "step"),
    [
        (7.0, 3.0, 5.0, 7.0),
        (None, 3.0, 5.0, 3.0),
        (None, None, 5.0, 5.0),
        (None, None, None, 15.0),
        (None, None, 0.2, 1.0),
    ],
)
def test_the_step(flag, own, interval, step):
    world = World()
    world.metrics.interval = interval
    made = slo(step=own)
    assert look_up((made,), (), world.metrics).step(made, Options(step=flag)) == step


def test_a_pair_is_collected_by_role_on_the_pinned_grid():
    world = World()
    key = label_set({"service": "x"})
    world.metrics.series["all_total"] = lambda t: {key: 50.0}
    world.metrics.series["bad_total"] = lambda t: {key: 30.0} if 0 <= t < 10 else {}
    pair = slo(total="all_total", bad="bad_total")
    facts = window(world, experiment(slos=(pair,)), options=Options(step=5.0))
    (result,) = facts.slos
    assert result.evidence.answers.keys() == {"total", "bad"}
    assert not result.evidence.same_metric
    assert np.allclose((result.evidence.grid.times - START) % 5, 0)
    assert result.verdict == "deviated"
    assert "60%" in result.reason


def test_queries_are_fanned_out_a_few_at_a_time():
    world = World()
    made = experiment(slos=tuple(slo(f"s{i}") for i in range(10)))
    world.metrics.slow = 1.0
    window(world, made, options=Options(concurrency=4))
    times = sorted(at for method, _, at in world.metrics.asked if method == "range")
    # Ten SLOs, whether Prometheus was there, its alerts, and since when their conditions hold.
    assert len(times) == 13
    assert max(sum(1 for t in times if low <= t < low + 0.99) for low in times) == 4
    assert times[-1] - times[0] < 4
