"""Every way in which a run can end, and what it says then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sloguard.core import alerts
from sloguard.core.events import (
    ActivityEnded,
    EvidenceCollected,
    FaultChanged,
    FaultPlanned,
    GuardTripped,
    Judged,
    PhaseStarted,
    Preflight,
    RunEnded,
    RunStarted,
    SurroundingsCollected,
)
from sloguard.core.model import ActivityStatus, Outcome, PhaseName, Phases
from sloguard.engine.run import run
from sloguard.ports import BadQuery
from sloguard.providers.calls import check
from sloguard.providers.result import Result
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


def kinds(events):
    return [type(event) for event in events]


def only(events, kind):
    return [event for event in events if isinstance(event, kind)]


def test_a_breach_within_what_is_declared_is_met():
    world = World()
    events = world.run(experiment(slos=(slo(during="< 60%"),)))
    last = ended(events)
    assert last.outcome is Outcome.MET
    assert world.broken == {}
    assert world.log == ["break a", "undo a"]
    assert open_intents(world) == []


def test_a_breach_is_a_deviation_with_its_numbers():
    world = World()
    last = ended(world.run(experiment()))
    assert last.outcome is Outcome.DEVIATED
    assert last.reason.startswith("errors: 50% at 12:00:00Z, not < 10% (during); 20s in breach")


def test_the_events_come_in_the_order_of_a_run():
    events = World().run(experiment())
    order = [
        RunStarted,
        Preflight,
        PhaseStarted,
        PhaseStarted,
        FaultPlanned,
        FaultChanged,
        ActivityEnded,
        FaultChanged,
        PhaseStarted,
        EvidenceCollected,
        SurroundingsCollected,
        Judged,
        RunEnded,
    ]
    positions, at = [], 0
    for kind in order:
        at = next(i for i in range(at, len(events)) if isinstance(events[i], kind)) + 1
        positions.append(at)
    assert positions == sorted(positions)
    assert isinstance(events[-1], RunEnded)
    assert isinstance(events[-2], Judged)
    assert kinds(events).count(RunEnded) == 1
    assert [e.at for e in events] == sorted(e.at for e in events)


def test_the_marks_are_of_the_first_action_the_last_rollback_and_the_hold():
    world = World()
    world.functions["look"] = lambda stop: world.sleep(stop, 3.0)
    world.functions["clean"] = lambda stop: world.sleep(stop, 2.0)
    made = experiment(
        method=(probe("method[0]", "look"), breaking("method[1]", pause_before=4.0)),
        rollbacks=(action("rollbacks[0]", "clean"),),
    )
    timeline = ended(world.run(made)).timeline
    assert timeline is not None
    assert timeline.start == START - 20
    assert timeline.fault == START + 7
    assert timeline.restored == START + 7 + 20 + 2


def test_a_method_that_is_longer_than_declared_is_not_cut():
    world = World()
    made = experiment(method=(breaking(arguments={"takes": 45.0}),))
    timeline = ended(world.run(made)).timeline
    assert timeline is not None
    assert timeline.restored - timeline.fault == 45


def test_marks_are_on_the_clock_of_prometheus():
    world = World(offset=5.0)
    last = ended(world.run(experiment()))
    assert last.timeline is not None
    assert last.timeline.fault == START + 5
    assert last.outcome is Outcome.DEVIATED


def test_without_an_action_the_fault_is_the_start_of_the_method():
    world = World()
    world.functions["look"] = lambda stop: world.sleep(stop, 3.0)
    last = ended(world.run(experiment(method=(probe("method[0]", "look"),))))
    assert last.timeline is not None
    assert last.timeline.fault == START
    assert last.timeline.restored == START + 20
    assert last.outcome is Outcome.MET


def test_an_empty_method_is_judged_too():
    assert ended(World().run(experiment(method=()))).outcome is Outcome.MET


def test_no_slo_and_no_probe_proves_nothing():
    world = World()
    last = ended(world.run(experiment(slos=()), metrics=False))
    assert last.outcome is Outcome.INCONCLUSIVE
    assert "no SLO and no probe" in last.reason
    assert world.log == ["break a", "undo a"]


def test_a_plain_experiment_without_slos_does_not_wait_for_defaults():
    world = World()
    world.functions["fine"] = lambda stop: True
    made = experiment(
        slos=(),
        phases=Phases(),
        probes=(probe("hypothesis[0]", "fine", tolerance=True),),
        declared={"phases": None},
    )
    last = ended(world.run(made, metrics=False))
    assert last.outcome is Outcome.MET
    assert world.clock.monotonic() < 1


def test_a_plain_experiment_waits_for_what_it_declares():
    world = World()
    world.functions["fine"] = lambda stop: True
    made = experiment(slos=(), probes=(probe("hypothesis[0]", "fine", tolerance=True),))
    last = ended(world.run(made, metrics=False))
    assert last.timeline is not None
    assert (last.timeline.restored - last.timeline.fault) == 20
    assert (last.timeline.end - last.timeline.restored) == 20


# Not started: nothing was touched.


def refused(world: World, made) -> str:
    events = world.run(made)
    last = ended(events)
    assert last.outcome is Outcome.NOT_STARTED
    assert last.timeline is None
    assert not only(events, FaultPlanned)
    assert not [line for line in world.log if line.startswith("break")]
    assert world.locks.table == {}
    return last.reason


def test_a_steady_state_that_is_not_met_starts_nothing():
    world = World()
    world.break_it("before")
    world.log.clear()
    world.changes = [(float("-inf"), 0.5)]
    assert "errors: 50%" in refused(world, experiment())


def test_no_data_starts_nothing():
    world = World()
    reason = refused(world, experiment(slos=(slo(query="typo_total"),)))
    assert reason == "slo errors: no data: the query typo_total answers with no series"


def test_a_wrong_query_is_told_word_for_word():
    world = World()
    world.metrics.fail["ratio"] = BadQuery("unknown function with name 'raet'")
    assert "unknown function with name 'raet'" in refused(world, experiment())


def test_a_prometheus_that_is_away_starts_nothing():
    world = World()
    world.metrics.outages = [(0, 1000)]
    assert "refused the connection" in refused(world, experiment())


def test_slos_without_a_prometheus_start_nothing():
    world = World()
    events = world.run(experiment(), metrics=False)
    assert ended(events).outcome is Outcome.NOT_STARTED
    assert "no Prometheus is configured" in ended(events).reason


def test_a_guard_that_is_in_breach_already_starts_nothing():
    world = World()
    reason = refused(world, experiment(guards=(guard("> 40%"),)))
    assert "guard rail: rail is 0%, not > 40%, before anything was broken" in reason


def test_a_guard_that_cannot_be_read_starts_nothing():
    world = World()
    world.metrics.fail["rail_query"] = BadQuery("no")
    assert "it cannot be read: no" in refused(
        world, experiment(guards=(guard(query="rail_query"),))
    )


def test_a_fault_without_a_target_starts_nothing():
    assert "there is no 'nowhere'" in refused(
        World(), experiment(method=(breaking("method[0]", "nowhere"),))
    )


def test_a_later_fault_may_need_what_an_earlier_action_makes():
    world = World()
    world.functions["make"] = lambda stop: None
    made = experiment(method=(action("method[0]", "make"), breaking("method[1]", "nowhere")))
    events = world.run(made)
    warned = [e for e in only(events, Preflight) if e.ok is None]
    assert "there is no 'nowhere'" in warned[0].message
    assert ended(events).outcome is Outcome.INCONCLUSIVE


MADE = {"type": "process", "path": "./made/by/the/first"}


@pytest.mark.parametrize(
    ("section", "provider", "starts"),
    [
        ("method", {"type": "python", "module": "no_such_driver", "func": "act"}, False),
        ("rollbacks", {"type": "python", "module": "no_such_driver", "func": "back"}, False),
        ("rollbacks", {"type": "process", "path": "no-such-program"}, False),
        ("method", MADE, True),
        ("rollbacks", MADE, True),
    ],
)
def test_a_driver_that_is_missing_behind_an_action_starts_nothing(section, provider, starts):
    world = World()
    world.functions["act"] = lambda stop: None
    world.functions["back"] = lambda stop: None
    first = action("method[0]", "act")
    behind = replace(action(f"{section}[1]", "back", name="behind"), provider=provider)
    parts = (
        {"method": (first, behind)}
        if section == "method"
        else {section: (behind,), "method": (first,)}
    )
    ports = replace(
        world.ports(),
        check=lambda p: (
            None if p.get("func") == "act" and p["module"] != "no_such_driver" else check(p)
        ),
    )
    events = list(run(experiment(**parts), ports, world.options(), world.control))
    told = [e for e in only(events, Preflight) if e.name == "action behind"]
    assert [e.ok for e in told] == [None if starts else False]
    assert ("call act" in world.log) is starts
    if not starts:
        assert ended(events).outcome is Outcome.NOT_STARTED
        assert "action behind: " in ended(events).reason


def test_arguments_that_do_not_fit_start_nothing():
    made = experiment(method=(breaking(arguments={"colour": "red"}),))
    assert "colour" in refused(World(), made)


def test_another_run_on_the_same_target_is_named():
    world = World()
    world.locks.table["thing:a"] = "run r0 (another experiment)"
    last = ended(world.run(experiment()))
    assert last.outcome is Outcome.NOT_STARTED
    assert "run r0 (another experiment)" in last.reason
    assert world.log == []
    assert world.locks.table == {"thing:a": "run r0 (another experiment)"}


def test_the_same_experiment_does_not_run_twice_at_once():
    world = World()
    world.locks.table["experiment:a small experiment"] = "run r0"
    assert "run r0" in ended(world.run(experiment())).reason


def test_all_that_speaks_against_a_run_is_named_together():
    made = experiment(slos=(slo(query="typo"),), method=(breaking("method[0]", "nowhere"),))
    reason = refused(World(), made)
    assert "typo" in reason
    assert "nowhere" in reason


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (Result(3), "3 is not 4"),
        (Result(error="refused", unreachable=True), "refused"),
        (Result(error="KeyError: 'x'"), "KeyError: 'x'"),
    ],
)
def test_a_probe_out_of_tolerance_starts_nothing(result, said):
    world = World()
    world.functions["ask"] = lambda stop: result
    made = experiment(probes=(probe("hypothesis[0]", "ask", tolerance=4),))
    assert said in refused(world, made)


# Judged by probes.


@pytest.mark.parametrize(
    ("last", "outcome"),
    [
        (Result(1), Outcome.MET),
        (Result(2), Outcome.DEVIATED),
        (Result(error="refused", unreachable=True), Outcome.DEVIATED),
        (Result(error="KeyError: 'x'"), Outcome.INCONCLUSIVE),
    ],
)
@pytest.mark.parametrize("phase", ["during", "after"])
def test_probes_are_asked_again_under_the_fault_and_after_it(last, outcome, phase):
    world = World()
    answers = iter(
        [Result(1), last, Result(1)] if phase == "during" else [Result(1), Result(1), last]
    )
    world.functions["ask"] = lambda stop: next(answers)
    made = experiment(
        slos=(slo(during="< 60%"),), probes=(probe("hypothesis[0]", "ask", tolerance=1),)
    )
    last = ended(world.run(made))
    assert last.outcome is outcome
    assert [p["phase"] for p in last.document["probes"]] == ["before", "during", "after"]


def test_what_a_rollback_mends_is_no_excuse():
    world = World()
    state = {"broken": False}
    world.functions["break"] = lambda stop: state.update(broken=True)
    world.functions["mend"] = lambda stop: state.update(broken=False)
    world.functions["ask"] = lambda stop: Result(not state["broken"])
    made = experiment(
        slos=(),
        probes=(probe("hypothesis[0]", "ask", tolerance=True, name="well"),),
        method=(action("method[0]", "break"),),
        rollbacks=(action("rollbacks[0]", "mend"),),
    )
    last = ended(world.run(made))
    assert last.outcome is Outcome.DEVIATED
    assert last.reason == "well: false is not true (during)"
    assert [p["verdict"] for p in last.document["probes"]] == ["met", "deviated", "met"]


def test_where_nothing_is_undone_the_probes_are_asked_twice():
    world = World()
    world.functions["act"] = world.functions["ask"] = lambda stop: Result(1)
    made = experiment(
        slos=(),
        probes=(probe("hypothesis[0]", "ask", tolerance=1),),
        method=(action("method[0]", "act"),),
        phases=Phases(0.0, 0.0, 0.0),
    )
    assert [p["phase"] for p in ended(world.run(made)).document["probes"]] == ["before", "after"]


# An action that fails is never green.


@pytest.mark.parametrize(
    "result",
    [
        Result(error="boom"),
        Result(error="timed out after 3s", unreachable=True),
    ],
)
def test_a_failed_action_is_inconclusive(result):
    world = World()
    world.functions["act"] = lambda stop: result
    world.functions["back"] = lambda stop: None
    made = experiment(
        method=(action("method[0]", "act"),), rollbacks=(action("rollbacks[0]", "back"),)
    )
    events = world.run(made)
    assert ended(events).outcome is Outcome.INCONCLUSIVE
    assert ended(events).reason.startswith("the fault was not injected: act method[0]: ")
    assert "call back" in world.log
    assert ended(events).document["score"] is None


@pytest.mark.parametrize(
    ("provider", "output"),
    [
        ({"type": "process", "path": "false"}, {"status": 1, "stdout": "", "stderr": ""}),
        ({"type": "http", "url": "http://x"}, {"status": 500, "headers": {}, "body": ""}),
    ],
)
def test_an_exit_code_and_an_http_error_are_failures(provider, output):
    world = World()
    world.functions["act"] = lambda stop: Result(output)
    act = action("method[0]", "act")
    act.provider.update(provider)
    last = ended(world.run(experiment(method=(act,))))
    assert last.outcome is Outcome.INCONCLUSIVE
    assert last.document["activities"][0]["status"] == "failed"


def test_a_failed_action_does_not_hide_a_deviation():
    world = World()
    world.functions["act"] = lambda stop: Result(error="boom")
    made = experiment(method=(breaking(), action("method[1]", "act")))
    assert ended(world.run(made)).outcome is Outcome.DEVIATED


def test_after_a_failed_activity_the_next_one_is_carried_out():
    world = World()
    world.functions["act"] = lambda stop: Result(error="boom")
    world.functions["next"] = lambda stop: None
    world.run(experiment(method=(action("method[0]", "act"), action("method[1]", "next"))))
    assert world.log == ["call act", "call next"]


def test_where_nothing_was_injected_nothing_is_held_open():
    world = World()
    world.functions["act"] = lambda stop: Result(error="boom")
    timeline = ended(world.run(experiment(method=(action("method[0]", "act"),)))).timeline
    assert timeline is not None
    assert timeline.restored == timeline.fault


def test_the_first_failure_of_a_fault_ends_it_and_what_was_injected_is_undone():
    world = World()
    made = experiment(method=(breaking("method[0]", "a", "b", "c", arguments={"fails": "b"}),))
    events = world.run(made)
    assert world.log == ["break a", "undo b", "undo a"]
    assert open_intents(world) == []
    assert "b cannot be broken" in ended(events).document["activities"][0]["error"]
    assert [f["status"] for f in ended(events).document["faults"]] == ["undone", "nothing-to-undo"]


def test_a_fault_that_takes_longer_than_its_timeout_has_failed():
    world = World()
    made = experiment(method=(breaking(arguments={"takes": 30.0}, timeout=5),))
    last = ended(world.run(made))
    assert "timed out after 5s" in last.document["activities"][0]["error"]
    assert world.broken == {}


# Not restored.


def test_an_undo_that_fails_for_good_is_told_with_the_way_out():
    world = World()
    world.undo_fails["a"] = 10_000
    last = ended(world.run(experiment(slos=(slo(during="< 60%"),))))
    assert last.outcome is Outcome.NOT_RESTORED
    assert "a cannot be reached" in last.reason
    assert last.document["faults"][0]["by_hand"] == "mend a"
    assert [i.status for i in open_intents(world)] == ["failed"]


def test_an_undo_that_fails_for_a_while_is_tried_again():
    world = World()
    world.undo_fails["a"] = 4
    last = ended(world.run(experiment(slos=(slo(during="< 60%"),))))
    assert last.outcome is not Outcome.NOT_RESTORED
    assert world.broken == {}


def test_a_stubborn_undo_keeps_none_of_the_others_waiting():
    world = World()
    world.undo_fails["b"] = 3
    world.run(experiment(method=(breaking("method[0]", "a", "b", "c"),)))
    assert world.log[-3:] == ["undo c", "undo a", "undo b"]


def test_a_rollback_that_fails_for_good_is_not_restored_and_ends_none_of_the_others():
    world = World()
    world.functions["one"] = lambda stop: Result(error="no way")
    world.functions["two"] = lambda stop: None
    made = experiment(
        rollbacks=(action("rollbacks[0]", "one"), action("rollbacks[1]", "two")),
    )
    last = ended(world.run(made))
    assert last.outcome is Outcome.NOT_RESTORED
    assert "rollback on one rollbacks[0]: no way" in last.reason
    assert world.log == ["break a", "undo a", "call one", "call one", "call one", "call two"]
    left = [f for f in last.document["faults"] if f["status"] == "left"]
    assert left[0]["by_hand"] == "python: tests.support.nothing.one()"


def test_a_rollback_that_fails_once_is_tried_again():
    world = World()
    results = iter([Result(error="busy"), Result(None)])
    world.functions["one"] = lambda stop: next(results)
    made = experiment(slos=(slo(during="< 60%"),), rollbacks=(action("rollbacks[0]", "one"),))
    assert ended(world.run(made)).outcome is Outcome.MET
    assert world.ledger.begun["r1"]["rollbacks[0]"] == "succeeded"


def test_a_rollback_that_hangs_is_stopped_and_tried_again():
    world = World()
    waits = iter([1000.0, 1.0])
    world.functions["one"] = lambda stop: world.sleep(stop, next(waits))
    made = experiment(rollbacks=(action("rollbacks[0]", "one"),))
    events = world.run(made, rollback_timeout=30.0)
    records = [e.record for e in only(events, ActivityEnded) if e.record.section == "rollbacks"]
    assert [r.status for r in records] == [ActivityStatus.FAILED, ActivityStatus.SUCCEEDED]


def test_sloguards_faults_are_undone_before_the_declared_rollbacks_newest_first():
    world = World()
    world.functions["back"] = lambda stop: None
    made = experiment(
        method=(breaking("method[0]", "a", "b"), breaking("method[1]", "c")),
        rollbacks=(action("rollbacks[0]", "back"),),
    )
    world.run(made)
    assert world.log == [
        *("break a", "break b", "break c"),
        *("undo c", "undo b", "undo a", "call back"),
    ]


# The ledger.


def test_every_intent_is_durable_before_its_injection():
    world = World()
    seen = []
    break_it = world.break_it

    def look(target, value=0.5):
        seen.append([i.target for i in open_intents(world)])
        break_it(target, value)

    world.break_it = look
    world.run(experiment(method=(breaking("method[0]", "a", "b"),)))
    assert seen == [["a"], ["a", "b"]]


def test_a_fault_that_saves_a_newer_record_is_undone_from_it():
    world = World()
    world.run(experiment(method=(breaking(arguments={"saves": True}),)))
    (intent,) = world.ledger.intents.values()
    assert intent.record["saved"] is True
    assert intent.status == "undone"


def test_what_cannot_be_written_down_is_not_injected():
    world = World()
    world.ledger.fail_on = {"intend"}
    last = ended(world.run(experiment()))
    assert world.log == []
    assert last.outcome is Outcome.INCONCLUSIVE
    assert "the ledger could not be written" in last.reason


def test_an_action_that_cannot_be_written_down_is_not_begun():
    world = World()
    world.functions["act"] = lambda stop: None
    world.ledger.fail_on = {"begin"}
    made = experiment(method=(action("method[0]", "act"),))
    last = ended(world.run(made))
    assert world.log == []
    assert "the ledger could not be written" in last.reason


def test_a_ledger_that_fails_later_does_not_stand_before_the_undo():
    world = World()
    world.functions["back"] = lambda stop: None

    def full(target, value=0.5):
        world.ledger.fail_on = {"begin", "finish", "mark", "intend"}
        world.broken[target] = value

    world.break_it = full
    world.run(experiment(rollbacks=(action("rollbacks[0]", "back"),)))
    assert world.broken == {}
    assert "call back" in world.log


# Phases of length 0, and what is asked of Prometheus.


def test_phases_of_length_zero_are_not_judged():
    world = World()
    made = experiment(phases=Phases(0.0, 0.0, 0.0))
    assert ended(world.run(made)).outcome is Outcome.INCONCLUSIVE


def test_each_query_is_sent_once_for_the_whole_timeline():
    world = World()
    last = ended(world.run(experiment(phases=Phases(20.0, 20.0, 20.0)), end_early=False))
    assert last.timeline is not None
    ranges = [q for method, q, at in world.metrics.asked if method == "range" and at > 20]
    up = "count(count_over_time(up[2000ms]))"
    assert sorted(ranges) == sorted([alerts.QUERY, alerts.SINCE_QUERY, up, "ratio"])


def test_phase_marks_are_told_as_they_pass():
    phases = [e.phase for e in World().run(experiment()) if isinstance(e, PhaseStarted)]
    assert phases == [PhaseName.BEFORE, PhaseName.DURING, PhaseName.AFTER]


def test_a_removed_object_may_end():
    world = World()
    events = world.run(experiment())
    assert only(events, SurroundingsCollected)[0].surroundings.removed == {}
    assert not only(events, GuardTripped)
