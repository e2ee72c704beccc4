"""A person goes through the method step by step; clocks and guard rails go on meanwhile."""

from __future__ import annotations

import pytest

from sloguard.core.events import GuardTripped, NoteTaken, StepDecided
from sloguard.core.model import ActivityStatus, Outcome
from sloguard.core.people import StepAnswer
from sloguard.engine.run import run
from tests.fakes.people import FakeSteps, step_answer
from tests.support.engine_world import (
    World,
    action,
    breaking,
    ended,
    experiment,
    guard,
    open_intents,
    slo,
)


def carried_out(world, script, **parts):
    steps = FakeSteps(world.clock.wait, script)
    parts = {"slos": (slo(during="< 60%"),), **parts}
    made = run(experiment(**parts), world.ports(steps=steps), world.options(), world.control)
    return list(made), steps


def only(events, kind):
    return [event for event in events if isinstance(event, kind)]


GO = (1.0, step_answer("go"))


def test_each_step_and_the_undo_wait_for_a_go():
    world = World()
    method = (breaking("method[0]", "a"), breaking("method[1]", "b"))
    events, steps = carried_out(world, [GO, GO, GO], method=method)
    last = ended(events)
    assert last.outcome is Outcome.MET
    assert [(step.number, step.count, step.kind) for step in steps.asked] == [
        (1, 3, "action"),
        (2, 3, "action"),
        (3, 3, "undo"),
    ]
    assert steps.asked[0].targets == ("a",)
    told = last.document["steps"]
    assert [one["choice"] for one in told] == ["go", "go", "go"]
    assert told[0]["by"] == "ada@desk"
    assert told[0]["waited_seconds"] == pytest.approx(1.0, abs=0.3)


def test_a_step_that_is_left_out_proves_nothing():
    world = World()
    method = (breaking("method[0]", "a"), breaking("method[1]", "b"))
    events, _ = carried_out(
        world, [GO, (1.0, step_answer("skip", "b is on call")), GO], method=method
    )
    last = ended(events)
    assert last.outcome is Outcome.INCONCLUSIVE
    assert "the fault was not injected" in last.reason
    assert "left out by ada@desk: b is on call" in last.reason
    assert "break b" not in world.log
    skipped = [a for a in last.document["activities"] if a["status"] == ActivityStatus.SKIPPED]
    assert len(skipped) == 1


def test_all_steps_left_out_is_inconclusive_and_had_no_fault():
    world = World()
    events, _ = carried_out(world, [(1.0, step_answer("skip"))])
    last = ended(events)
    assert last.outcome is Outcome.INCONCLUSIVE
    assert last.timeline is None
    assert world.log == []


def test_notes_are_kept_and_it_is_asked_again():
    world = World()
    events, steps = carried_out(
        world,
        [(1.0, step_answer("note", "p99 looks odd")), (2.0, step_answer("go")), GO],
    )
    assert ended(events).outcome is Outcome.MET
    taken = only(events, NoteTaken)
    assert [(note.text, note.by) for note in taken] == [("p99 looks odd", "ada@desk")]
    assert steps.asked[0] == steps.asked[1]
    decided = only(events, StepDecided)[0]
    assert decided.at - decided.asked == pytest.approx(3.0, abs=0.5)


def test_abort_undoes_everything():
    world = World()
    method = (breaking("method[0]", "a"), breaking("method[1]", "b"))
    events, _ = carried_out(
        world, [GO, (1.0, step_answer("abort", "the shop is down"))], method=method
    )
    last = ended(events)
    assert last.outcome is Outcome.ABORTED
    assert "stopped by ada@desk" in last.reason
    assert "the shop is down" in last.reason
    assert world.log == ["break a", "undo a"]
    assert open_intents(world) == []


def test_continue_asks_no_more():
    world = World()
    method = (breaking("method[0]", "a"), breaking("method[1]", "b"))
    events, steps = carried_out(world, [(1.0, step_answer("continue"))], method=method)
    assert ended(events).outcome is Outcome.MET
    assert len(steps.asked) == 1


def test_the_fault_goes_on_while_a_person_thinks():
    world = World()
    events, _ = carried_out(world, [GO, (100.0, step_answer("go"))])
    timeline = ended(events).timeline
    # 20 s as declared, then the question before the undo.
    assert timeline.restored - timeline.fault == pytest.approx(120.0, abs=1.0)


def test_during_is_held_as_declared_however_quick_a_person_is():
    world = World()
    events, _ = carried_out(world, [(0.1, step_answer("go")), (0.1, step_answer("go"))])
    timeline = ended(events).timeline
    assert timeline.restored - timeline.fault == pytest.approx(20.1, abs=0.5)


def test_thinking_between_steps_counts_into_during():
    world = World()
    method = (breaking("method[0]", "a"), breaking("method[1]", "b"))
    events, _ = carried_out(
        world, [GO, (15.0, step_answer("go")), (0.1, step_answer("go"))], method=method
    )
    timeline = ended(events).timeline
    assert timeline.restored - timeline.fault == pytest.approx(20.1, abs=0.5)


def test_a_guard_rail_trips_while_the_question_is_open():
    world = World()
    method = (breaking("method[0]", "a"), breaking("method[1]", "b"))
    events, steps = carried_out(
        world, [GO, (10_000.0, step_answer("go"))], method=method, guards=(guard(hold_for=3.0),)
    )
    last = ended(events)
    assert last.outcome is Outcome.ABORTED
    assert only(events, GuardTripped)
    assert steps.stopped == 1
    assert last.at - events[0].at < 60
    assert world.log == ["break a", "undo a"]


def test_a_signal_ends_the_question():
    world = World()
    world.clock.at(30.0, lambda: world.control.abort("SIGINT"))
    events, steps = carried_out(world, [GO, (10_000.0, step_answer("go"))])
    last = ended(events)
    assert (last.outcome, last.reason) == (Outcome.ABORTED, "SIGINT")
    assert steps.stopped == 1
    assert world.broken == {}


def test_background_activities_end_beside_the_question():
    world = World()
    world.functions["long"] = lambda stop: world.sleep(stop, 5.0)
    method = (action("method[0]", "long", background=True), breaking("method[1]", "a"))
    events, _ = carried_out(world, [GO, (30.0, step_answer("go")), GO], method=method)
    last = ended(events)
    assert last.outcome is Outcome.MET
    records = {a["name"]: a for a in last.document["activities"]}
    assert records["long method[0]"]["status"] == "succeeded"


class Broken:
    def ask(self, step, stop):
        raise OSError("the terminal is gone")


class Mute:
    def ask(self, step, stop):
        return None


@pytest.mark.parametrize("steps", [Broken(), Mute()])
def test_without_anybody_to_ask_it_does_not_go_on(steps):
    world = World()
    events = list(run(experiment(), world.ports(steps=steps), world.options(), world.control))
    assert ended(events).outcome is Outcome.ABORTED
    assert world.log == []


def test_secrets_in_what_is_typed_are_masked():
    world = World()
    note = StepAnswer(choice="note", text="password hunter2-secret", by="ada")
    events, _ = carried_out(
        world, [(0.5, note), GO, GO], secrets={"db": {"password": "hunter2-secret"}}
    )
    assert "hunter2-secret" not in str([e for e in events if isinstance(e, NoteTaken)])
