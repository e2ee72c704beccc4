"""The error budget around a run: asked for, kept, watched live, and told at the end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sloguard.core.document import document
from sloguard.core.events import GuardTripped, Preflight
from sloguard.core.model import Budget, Outcome, PhaseName, Phases, Timeline
from sloguard.core.series import Sample, Vector, label_set
from sloguard.engine.budget_watch import BudgetWatch
from sloguard.engine.budgeting import histories
from sloguard.engine.dry import dry_run
from sloguard.engine.rejudge import budget_again
from sloguard.engine.window import judge_window
from sloguard.ports import AnswerTooLarge, BadQuery, MetricsUnreachable
from tests.fakes.metrics import FakeMetrics
from tests.fakes.simulation import START
from tests.support.engine_world import World, breaking, ended, experiment, open_intents, slo

DAY = 86400.0
TOTAL, BAD = "sum(rate(t[1s]))", "sum(rate(b[1s]))"
OVER = ("sum(increase(t[1d]))", "sum(increase(b[1d]))")
#: At most so much of a second's events may fail; the world fails half of them.
PAIR = {"target": 0.99, "period": DAY, "total": TOTAL, "bad": BAD}


class Returned:
    """A generator's items, and what it returned after the last of them."""

    def __init__(self, work):
        self.work, self.value = work, None

    def __iter__(self):
        self.value = yield from self.work


def world(*, spent: float = 0.1, offset: float = 0.0) -> World:
    """100 events a second, and a day in which ``spent`` of the budget went."""
    made = World(offset)
    made.metrics.series |= {
        TOTAL: lambda _t: {(): 100.0},
        BAD: lambda t: {(): 100.0 * made.value(t)},
        OVER[0]: lambda _t: {(): 8_640_000.0},
        OVER[1]: lambda _t: {(): 86_400.0 * spent},
    }
    return made


def paired(**more):
    return slo("errors", "< 60%", **{**PAIR, **more})


def trial(budget=None, **more):
    return experiment(slos=(paired(),), budget=budget, **more)


# What was left.


def test_without_a_word_about_it_the_verdict_tells_the_budget():
    here = world(spent=0.1)
    entry = ended(here.run(trial())).document["budget"][0]
    assert entry["left_before"] == pytest.approx(0.9)
    # 20 s of 50 bad events a second, of 864 a day that are allowed for each of 100 a second.
    assert entry["spent_by_run"] == pytest.approx(50 * 20 / 86_400, rel=0.06)
    assert entry["left_after"] == entry["left_before"] - entry["spent_by_run"]
    assert (entry["basis"], entry["known_share"]) == ("counters", 1.0)
    assert entry["queries"] == {"total": OVER[0], "bad": OVER[1]}
    assert "gate" not in entry
    assert "guard" not in entry


def test_it_is_not_asked_for_where_that_is_set():
    here = world()
    entry = ended(here.run(trial(), budget_history=False)).document["budget"][0]
    assert entry["left_before"] is None
    assert entry["spent_by_run"] is not None
    assert OVER[0] not in {query for _, query, _ in here.metrics.asked}


def test_a_prometheus_that_does_not_tell_changes_no_verdict():
    here = world()
    here.metrics.fail = {OVER[0]: BadQuery("no"), "count(up)": BadQuery("neither")}
    here.metrics.born = -1.0
    last = ended(here.run(trial()))
    assert last.outcome is Outcome.MET
    assert last.document["budget"][0]["known_share"] < 0.01


def test_nothing_waits_long_for_it():
    here = world()
    quick = here.run(trial())[-1].at
    slow = world()

    def hours(_t):
        import threading

        slow.clock.wait(threading.Event(), 3600)
        return {}

    slow.metrics.series[OVER[0]] = hours
    last = ended(slow.run(trial()))
    assert last.at - quick < 60
    assert last.outcome is Outcome.MET
    assert last.document["budget"][0]["reason"] == "no answer within 45s"


# The gate.


def test_with_enough_left_it_starts_and_says_so():
    events = world(spent=0.5).run(trial(Budget(keep_at_least=0.2)))
    told = [e for e in events if isinstance(e, Preflight) and e.name == "error budget"]
    assert [e.ok for e in told] == [True]
    last = ended(events)
    assert last.outcome is Outcome.MET
    gate = last.document["budget"][0]["gate"]
    assert (gate["verdict"], gate["keep_at_least"]) == ("met", 0.2)


def test_with_too_little_left_nothing_is_touched():
    here = world(spent=0.9)
    last = ended(here.run(trial(Budget(keep_at_least=0.2))))
    assert last.outcome is Outcome.NOT_STARTED
    assert last.document["exit_code"] == 12
    assert "errors: 10% of the error budget of 1d is left, at least 20% asked" in last.reason
    assert here.log == []
    assert open_intents(here) == []
    entry = last.document["budget"][0]
    assert entry["left_before"] == pytest.approx(0.1)
    assert (entry["spent_by_run"], entry["left_after"]) == (None, None)
    assert entry["gate"]["verdict"] == "deviated"


def test_without_a_before_the_refusal_is_told_as_well():
    here = world(spent=0.9)
    quick = Phases(0.0, 20.0, 20.0)
    last = ended(here.run(trial(Budget(keep_at_least=0.2), phases=quick)))
    assert last.outcome is Outcome.NOT_STARTED
    (entry,) = last.document["budget"]
    assert entry["left_before"] == pytest.approx(0.1)
    assert entry["gate"]["verdict"] == "deviated"


@pytest.mark.parametrize(
    ("trouble", "why"),
    [
        ({OVER[0]: MetricsUnreachable("no route to Prometheus")}, "no route to Prometheus"),
        ({OVER[0]: BadQuery("a"), TOTAL: None}, "of the 1d of its error budget are known"),
    ],
)
def test_what_cannot_be_read_does_not_start(trouble, why):
    here = world(spent=0.0)
    here.metrics.fail = {query: error for query, error in trouble.items() if error is not None}
    if TOTAL in trouble:
        here.metrics.born = -3600.0
    last = ended(here.run(trial(Budget(keep_at_least=0.2))))
    assert last.outcome is Outcome.NOT_STARTED
    assert why in last.reason
    assert here.log == []


def test_half_a_history_is_enough_where_that_is_said():
    here = world(spent=0.0)
    here.metrics.born = -DAY / 2
    budget = Budget(keep_at_least=0.2, min_history=0.4)
    last = ended(here.run(trial(budget)))
    assert last.outcome is Outcome.MET
    assert last.document["budget"][0]["known_share"] == pytest.approx(0.5, abs=0.01)


def test_a_series_that_is_long_gone_closes_no_gate():
    here = world(spent=0.0)
    old, new = label_set({"pod": "old"}), label_set({"pod": "new"})
    rate, over = "sum by (pod) (rate({}[1s]))", "sum by (pod) (increase({}[1d]))"
    here.metrics.series |= {
        rate.format("t"): lambda _t: {new: 100.0},
        rate.format("b"): lambda _t: {},
        over.format("t"): lambda _t: {old: 1000.0, new: 1000.0},
        over.format("b"): lambda _t: {old: 1000.0},
    }
    declared = paired(total=rate.format("t"), bad=rate.format("b"))
    last = ended(here.run(experiment(slos=(declared,), budget=Budget(keep_at_least=0.5))))
    assert last.outcome is Outcome.MET
    assert last.document["budget"][0]["left_before"] == 1.0


@pytest.mark.parametrize(("spent", "starts"), [(0.5, True), (0.9, False)])
def test_a_dry_run_looks_at_the_gate_and_breaks_nothing(spent, starts):
    here = world(spent=spent)
    limits = Budget(keep_at_least=0.2)
    watched = Returned(dry_run(trial(limits), here.ports(), here.options(), here.control))
    told = list(watched)
    assert watched.value is starts
    checks = [e.ok for e in told if isinstance(e, Preflight) and e.name == "error budget"]
    assert checks == [starts]
    assert here.log == []


# The guard.


def test_a_run_that_spends_too_much_is_stopped_and_undone():
    here = world()
    events = here.run(trial(Budget(abort_spent=0.002)))
    last = ended(events)
    assert last.outcome is Outcome.ABORTED
    assert here.log == ["break a", "undo a"]
    assert open_intents(here) == []
    tripped = next(e for e in events if isinstance(e, GuardTripped))
    assert tripped.guard == "budget of errors"
    assert "of its budget of 1d by 12:00:" in tripped.reason
    assert "0.2% allowed" in tripped.reason
    # 864 events are allowed in a day, 173 by the guard: less than 5 s at 50 a second.
    assert tripped.at - START < 8
    guard = last.document["budget"][0]["guard"]
    assert (guard["verdict"], guard["spent"]) == ("deviated", 0.002)


def test_a_run_that_burns_too_fast_for_too_long_is_stopped():
    here = world()
    events = here.run(trial(Budget(abort_burn_rate=40, hold_for=10)))
    assert ended(events).outcome is Outcome.ABORTED
    tripped = next(e for e in events if isinstance(e, GuardTripped))
    assert "burns at 50x" in tripped.reason
    assert "40x allowed; 10s above, 10s allowed" in tripped.reason
    assert 10 <= tripped.at - START < 13
    assert here.log == ["break a", "undo a"]


@pytest.mark.parametrize(
    "budget",
    [Budget(abort_spent=0.05), Budget(abort_burn_rate=51), Budget(abort_burn_rate=40, hold_for=30)],
)
def test_a_run_within_what_it_may_spend_goes_on(budget):
    last = ended(world().run(trial(budget)))
    assert last.outcome is Outcome.MET
    assert last.document["budget"][0]["guard"]["verdict"] == "met"


def test_only_the_named_slos_are_guarded():
    here = world()
    other = slo("other", "< 60%", **PAIR)
    budget = Budget(slos=("other",), abort_spent=0.5)
    entries = ended(here.run(experiment(slos=(paired(), other), budget=budget))).document["budget"]
    assert ["guard" in entry for entry in entries] == [False, True]


def test_a_guard_with_nothing_to_measure_by_does_not_start():
    here = world()
    here.metrics.series[TOTAL] = lambda t: {(): 0.0 if t < 0.5 else 100.0}
    declared = paired(idle="met")
    budget = Budget(abort_spent=0.05)
    last = ended(here.run(experiment(slos=(declared,), budget=budget)))
    assert last.outcome is Outcome.NOT_STARTED
    assert here.log == []


def test_a_guard_that_cannot_be_read_ends_the_run_without_a_verdict():
    here = world()
    here.metrics.outages = [(5.0, 14.0)]
    last = ended(here.run(trial(Budget(abort_spent=0.5))))
    assert last.outcome is Outcome.INCONCLUSIVE
    assert "budget of errors could not be read" in last.reason
    assert here.log == ["break a", "undo a"]


# The watch, reading by reading.


def vector(value):
    return Vector((Sample((), 0.0, value),))


def watch(limits, declared=None, **more):
    made = BudgetWatch(
        declared or paired(),
        limits,
        **{
            "usual": {(): 100.0},
            "baselines": {},
            "interval": 1.0,
            "same_metric": True,
            "fault": lambda: 0.0,
            "phase": lambda: PhaseName.DURING,
            **more,
        },
    )
    made.start()
    return made


def bad(share):
    return {"total": vector(100.0), "bad": vector(100.0 * share)}


def test_what_was_burned_before_the_fault_is_not_the_runs():
    made = watch(Budget(abort_spent=0.001), fault=lambda: 100.0)
    assert made.take(bad(1.0), 0.0) is None
    assert made.take(bad(1.0), 100.0) is None
    # A second of nothing but failures is 1/864 of the day's budget.
    assert made.take(bad(1.0), 100.8) is None
    assert made.take(bad(1.0), 101.0) is not None


def test_a_series_without_a_past_spends_what_nobody_can_tell_but_burns():
    assert watch(Budget(abort_spent=0.0001), usual={}).take(bad(1.0), 5.0) is None
    reason = watch(Budget(abort_burn_rate=10), usual={}).take(bad(1.0), 5.0)
    assert reason is not None
    assert "burns at 100x" in reason


def test_a_breach_of_a_latency_burns_all_of_its_time():
    declared = slo("slow", "<= 300ms", target=0.99, period=DAY)
    made = watch(Budget(abort_spent=10 / 864), declared)
    assert made.take({"query": vector(0.1)}, 0.0) is None
    assert made.take({"query": vector(0.5)}, 1.0) is None
    assert made.take({"query": vector(0.5)}, 10.4) is None
    assert made.take({"query": vector(0.5)}, 10.6) is not None


def test_silence_and_an_idle_service_spend_nothing():
    made = watch(Budget(abort_spent=0.0001, abort_burn_rate=1))
    assert made.take({"total": vector(0.0), "bad": vector(0.0)}, 0.0) is None
    assert made.take({"total": vector(0.0), "bad": vector(0.0)}, 1000.0) is None
    assert made.take({"total": Vector(()), "bad": Vector(())}, 1001.0) is None
    made.asked(1002.0)
    assert made.blind(1010.0) is not None


# Asking Prometheus.


def test_counters_that_are_too_many_are_looked_at_by_points():
    here = FakeMetrics(now=lambda: START)
    here.add(TOTAL, 100.0).add(BAD, lambda at: 100.0 if at > START - DAY / 100 else 0.0)
    here.add("count(up)", 3.0)
    here.fail(AnswerTooLarge("too many samples"), query=OVER[0])
    found = histories([paired()], here, START)[0]
    assert (found.basis, found.problem, found.known) == ("sampled", "", 1.0)
    assert found.spent[()] == pytest.approx(1.0, rel=0.03)
    grids = [asked.grid for asked in here.asked if asked.query == TOTAL and asked.grid]
    assert [(g.last, g.count, g.step) for g in grids] == [(START, 4320, 20.0)]


def test_a_rule_that_records_what_is_left_is_believed():
    here = FakeMetrics(now=lambda: START)
    here.add("left", 0.25, {"service": "a"})
    found = histories([paired(budget_left="left")], here, START)[0]
    assert (found.basis, found.known) == ("recorded", 1.0)
    assert found.spent == {label_set({"service": "a"}): 0.75}
    assert [asked.query for asked in here.asked] == ["left"]


def test_a_rule_that_records_nothing_is_a_problem():
    here = FakeMetrics(now=lambda: START).add("left")
    assert (
        "answers with no series" in histories([paired(budget_left="left")], here, START)[0].problem
    )


def test_a_partial_answer_is_none():
    here = FakeMetrics(now=lambda: START)
    here.add(OVER[0], 1000.0).add(OVER[1], 0.0)
    here.notes[OVER[0]] = ("the answer is partial: store 2 is away",)
    assert "store 2 is away" in histories([paired()], here, START)[0].problem


def test_one_refusal_is_enough():
    here = FakeMetrics(now=lambda: START)
    here.fail(MetricsUnreachable("nobody there"), times=1)
    found = histories([paired(), slo("other", **PAIR), slo("none")], here, START)
    assert [h.problem for h in found] == ["nobody there"] * 2
    assert len(here.asked) == 1


def test_where_there_is_no_up_the_slos_own_series_tell_how_much_is_known():
    here = FakeMetrics(now=lambda: START)
    here.add(OVER[0], 1000.0).add(OVER[1], 10.0).add("count(up)")
    here.add(TOTAL, lambda at: 1.0 if at > START - DAY / 4 else None)
    found = histories([paired()], here, START)[0]
    assert found.known == pytest.approx(0.25, abs=0.01)
    # As many events, none of them bad, are assumed for the rest of the day.
    assert found.spent[()] == pytest.approx(found.known)


def test_a_judged_window_tells_its_budget_at_its_own_fault():
    here = world(spent=0.1)
    here.clock.at(0.0, lambda: None)
    timeline = Timeline(START - 40, START - 20, START - 10, START)
    facts = judge_window(trial(Budget(abort_spent=0.5)), timeline, here.metrics, here.clock)
    entry = facts.budget[0]
    assert entry["left_before"] == pytest.approx(0.9)
    assert entry["at"] == "2026-01-01T11:59:40Z"
    assert entry["guard"]["verdict"] == "met"


def test_the_method_and_its_order_are_as_ever():
    here = world()
    ended(here.run(trial(Budget(keep_at_least=0.1, abort_spent=0.9), method=(breaking(),))))
    assert here.log == ["break a", "undo a"]


# Judged again.


def test_judged_again_the_limits_of_a_run_count_and_so_do_those_of_others():
    here = world()
    limits = Budget(keep_at_least=0.2, abort_burn_rate=49, hold_for=60)
    made = trial(limits)
    last = ended(here.run(made))
    stricter = replace(made, budget=replace(limits, hold_for=0.0))
    facts = judge_window(stricter, last.timeline, here.metrics, here.clock)
    kept = document(facts)
    assert (kept["outcome"], kept["budget"][0]["guard"]["verdict"]) == ("deviated", "deviated")
    again = budget_again(facts.slos, kept, None, last.timeline)
    assert again[0]["guard"] == kept["budget"][0]["guard"]
    assert again[0]["gate"] == kept["budget"][0]["gate"]
    other = replace(made, budget=Budget(abort_burn_rate=1000))
    assert budget_again(facts.slos, kept, other, last.timeline)[0]["guard"]["verdict"] == "met"
    none = replace(made, budget=None)
    assert "guard" not in budget_again(facts.slos, kept, none, last.timeline)[0]
