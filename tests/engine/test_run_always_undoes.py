"""Once something was injected it is undone: whoever stops listening, whatever raises, whenever."""

from __future__ import annotations

import contextlib
import dataclasses
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sloguard.core.events import (
    ActivityEnded,
    FaultChanged,
    Interrupted,
    Note,
    Observed,
    RunEnded,
)
from sloguard.core.model import ActivityStatus, Outcome
from sloguard.engine.run import drive, run
from sloguard.providers.result import Result
from tests.support.engine_world import (
    World,
    action,
    breaking,
    ended,
    experiment,
    open_intents,
    probe,
    slo,
)


def busy_world() -> World:
    world = World()
    world.functions["look"] = lambda stop: 1
    world.functions["load"] = lambda stop: world.sleep(stop, 12.0)
    world.functions["back"] = lambda stop: world.sleep(stop, 1.0)
    return world


def busy_experiment(**parts):
    """Probes, a foreign background action, two faults (one of which takes its time), pauses, rollbacks."""
    return experiment(
        slos=(slo(during="< 60%"),),
        probes=(probe("hypothesis[0]", "look", tolerance=1),),
        method=(
            action("method[0]", "load", background=True, pause_before=1.0),
            breaking("method[1]", "a", "b", arguments={"takes": 2.0}, pause_after=3.0),
            breaking("method[2]", "c", background=True, arguments={"takes": 60.0}),
            probe("method[3]", "look"),
        ),
        rollbacks=(action("rollbacks[0]", "back"), action("rollbacks[1]", "back", background=True)),
        **parts,
    )


def nothing_left(world: World) -> bool:
    return not world.broken and not open_intents(world) and not world.locks.table


def rollbacks_ran_if_begun(world: World) -> bool:
    began = any(key.startswith("method") for key in world.ledger.begun.get("r1", {}))
    done = {k for k, s in world.ledger.begun.get("r1", {}).items() if s == "succeeded"}
    return not began or {"rollbacks[0]", "rollbacks[1]"} <= done


EVENTS = len(busy_world().run(busy_experiment()))


def test_the_busy_experiment_is_met():
    world = busy_world()
    events = world.run(busy_experiment())
    assert ended(events).outcome is Outcome.MET, ended(events).reason
    assert nothing_left(world)
    assert rollbacks_ran_if_begun(world)
    assert EVENTS > 60


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(stop_at=st.integers(0, EVENTS - 1))
def test_a_consumer_may_stop_listening_at_any_event(stop_at):
    world = busy_world()
    events = run(busy_experiment(), world.ports(), world.options())
    for _ in range(stop_at + 1):
        next(events)
    events.close()
    assert nothing_left(world)
    assert rollbacks_ran_if_begun(world)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(stop_at=st.integers(0, EVENTS - 1))
def test_an_exception_may_be_thrown_in_at_any_event(stop_at):
    world = busy_world()
    events = run(busy_experiment(), world.ports(), world.options())
    for _ in range(stop_at + 1):
        next(events)
    with pytest.raises(KeyboardInterrupt):
        events.throw(KeyboardInterrupt())
    assert nothing_left(world)
    assert rollbacks_ran_if_begun(world)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(stop_at=st.integers(0, EVENTS - 2), again=st.booleans())
def test_an_abort_may_come_at_any_event(stop_at, again):
    world = busy_world()
    seen = []
    for event in run(busy_experiment(), world.ports(), world.options(), world.control):
        seen.append(event)
        if len(seen) == stop_at + 1:
            world.control.abort("SIGINT")
        if again and len(seen) == stop_at + 3:
            world.control.abort("SIGINT")
    last = ended(seen)
    assert nothing_left(world)
    assert rollbacks_ran_if_begun(world)
    begun = any(key.startswith("method") for key in world.ledger.begun.get("r1", {}))
    if any(isinstance(event, Interrupted) for event in seen):
        assert last.outcome is (Outcome.ABORTED if begun else Outcome.NOT_STARTED)
        assert "SIGINT" in last.reason
    else:
        assert stop_at > EVENTS - 15
        assert last.outcome is Outcome.MET


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(at=st.floats(0, 70))
def test_an_abort_may_come_at_any_time_and_is_heard_within_a_second(at):
    world = busy_world()
    world.clock.at(at, lambda: world.control.abort("SIGTERM"))
    events = world.run(busy_experiment())
    assert nothing_left(world)
    assert rollbacks_ran_if_begun(world)
    heard = [e.at - world.clock._start for e in events if isinstance(e, Interrupted)]
    if heard:
        assert at <= heard[0] + 0.001 <= at + 1.0


def test_a_foreign_activity_is_stopped_and_recorded_as_aborted():
    world = busy_world()
    world.functions["long"] = lambda stop: world.sleep(stop, 500.0)
    world.clock.at(5.0, lambda: world.control.abort("SIGINT"))
    events = world.run(experiment(method=(action("method[0]", "long"),)))
    (record,) = [e.record for e in events if isinstance(e, ActivityEnded)]
    assert record.status is ActivityStatus.ABORTED
    assert record.end - record.start < 6
    assert world.ledger.begun["r1"]["method[0]"] == "aborted"


def test_background_activities_are_stopped_too():
    world = busy_world()
    world.functions["long"] = lambda stop: world.sleep(stop, 500.0)
    world.clock.at(5.0, lambda: world.control.abort("SIGINT"))
    made = experiment(method=(action("method[0]", "long", background=True), breaking("method[1]")))
    events = world.run(made)
    assert world.ledger.begun["r1"] == {"method[0]": "aborted", "method[1]": "succeeded"}
    assert world.clock.monotonic() < 8
    assert ended(events).outcome is Outcome.ABORTED


def test_an_activity_that_ignores_the_stop_does_not_hold_the_undo_up():
    world = busy_world()
    world.functions["deaf"] = lambda stop: world.sleep(threading.Event(), 100.0)
    world.clock.at(5.0, lambda: world.control.abort("SIGINT"))
    made = experiment(method=(breaking(), action("method[1]", "deaf")))
    events = world.run(made)
    undone = next(
        e.at for e in events if isinstance(e, FaultChanged) and e.fault.status == "undone"
    )
    assert undone - world.clock._start < 5 + 0.25 + 1 + 0.1
    # The rollbacks wait a little longer for it.
    assert ended(events).outcome is Outcome.ABORTED


def test_an_injection_that_ignores_the_stop_is_undone_again_when_it_has_ended():
    world = busy_world()
    world.clock.at(5.0, lambda: world.control.abort("SIGINT"))
    made = experiment(method=(breaking(arguments={"takes": 20.0, "stubborn": 30.0}),))
    last = ended(world.run(made))
    assert world.log.count("undo a") >= 2
    assert world.log[-1] == "undo a"
    assert nothing_left(world)
    assert last.outcome is Outcome.ABORTED


def test_a_second_abort_cuts_a_pause_of_a_rollback_and_skips_nothing():
    world = busy_world()
    world.clock.at(5.0, lambda: world.control.abort("SIGINT"))
    world.clock.at(8.0, lambda: world.control.abort("SIGINT"))
    made = experiment(rollbacks=(action("rollbacks[0]", "back", pause_before=600.0),))
    events = world.run(made)
    assert "call back" in world.log
    assert world.clock.monotonic() < 15
    assert any(isinstance(e, Note) and "already ending" in e.message for e in events)


def test_an_error_of_sloguards_own_is_raised_once_all_is_undone():
    world = busy_world()

    made = busy_experiment()
    seen = []
    metrics = world.metrics

    def broken_range(query, grid):
        if metrics.offset == 0 and world.broken == {} and world.log.count("undo c"):
            raise RuntimeError("a bug")
        return original(query, grid)

    original, metrics.range = metrics.range, broken_range
    events = run(made, world.ports(), world.options())
    with pytest.raises(RuntimeError, match="a bug"):
        seen.extend(events)
    assert nothing_left(world)
    assert rollbacks_ran_if_begun(world)
    assert not any(isinstance(event, RunEnded) for event in seen)


def test_trouble_inside_a_fault_is_an_activity_that_failed():
    world = busy_world()
    calls = []

    def take(keys, holder):
        calls.append(holder)
        if len(calls) == 3:
            raise MemoryError("no room")

    world.locks.acquire = take
    last = ended(list(run(busy_experiment(), world.ports(), world.options())))
    assert last.outcome is Outcome.INCONCLUSIVE
    assert nothing_left(world)


def test_a_probe_under_way_is_stopped_where_nobody_listens_any_more():
    world = busy_world()
    flags = []

    def slow(stop):
        flags.append(stop)
        return world.sleep(stop, 500.0)

    world.functions["slow"] = slow
    made = experiment(slos=(slo(during="< 60%"),), probes=(probe("hypothesis[0]", "slow"),))
    events = run(made, world.ports(), world.options())
    for _ in events:
        if flags and isinstance(_, Observed):
            break
    events.close()
    assert flags[0].is_set()


# Consumers.


def driven(world, *consumers, made=None):
    return drive(run(made or busy_experiment(), world.ports(), world.options()), consumers)


def test_a_consumer_that_fails_is_told_to_the_others_and_changes_nothing():
    world = busy_world()
    seen, tries = [], []

    def broken(event):
        tries.append(event)
        raise OSError("disk full")

    last = driven(world, broken, seen.append)
    assert last is not None
    assert last.outcome is Outcome.MET
    notes = [e.message for e in seen if isinstance(e, Note) and "disk full" in e.message]
    assert len(notes) == 1
    assert "OSError: disk full" in notes[0]
    assert len([e for e in tries if isinstance(e, RunEnded)]) == 1
    assert nothing_left(world)


@pytest.mark.parametrize("stop_at", [5, 15, 25, 40])
def test_what_ends_the_driver_undoes_first(stop_at):
    world = busy_world()
    seen = []

    def interrupted(event):
        seen.append(event)
        if len(seen) == stop_at:
            raise KeyboardInterrupt

    events = run(busy_experiment(), world.ports(), world.options())
    with pytest.raises(KeyboardInterrupt):
        drive(events, [interrupted])
    assert nothing_left(world)
    assert rollbacks_ran_if_begun(world)


def test_a_second_interrupt_during_the_silent_undo_does_not_skip_it():
    world = busy_world()
    mend, raised = world.mend, []

    class Clock:
        """Raises in the main thread while it rests, as a signal handler would."""

        def __getattr__(self, name):
            return getattr(world.clock, name)

        def wait(self, flag, seconds):
            main = threading.current_thread() is threading.main_thread()
            if raised == ["undoing"] and main:
                raised.append("again")
                raise KeyboardInterrupt
            return world.clock.wait(flag, seconds)

    def slow(target):
        raised.append("undoing") if not raised else None
        world.clock.wait(threading.Event(), 2.0)
        return mend(target)

    world.mend = slow
    ports = dataclasses.replace(world.ports(), clock=Clock())
    events = run(busy_experiment(), ports, world.options())
    for event in events:
        if isinstance(event, FaultChanged):
            break
    with contextlib.suppress(KeyboardInterrupt):
        events.close()
    assert raised == ["undoing", "again"]
    assert nothing_left(world)
    assert rollbacks_ran_if_begun(world)


def test_an_action_that_raises_is_a_failed_activity():
    world = busy_world()

    def explode(stop):
        raise ValueError("what a provider should have caught")

    world.functions["explode"] = explode
    last = ended(world.run(experiment(method=(action("method[0]", "explode"),))))
    assert last.outcome is Outcome.INCONCLUSIVE
    assert "what a provider should have caught" in last.reason


def test_secrets_stay_inside():
    world = busy_world()
    world.functions["leak"] = lambda stop: Result({"token": "s3cr3t-token"})
    made = experiment(
        secrets={"api": {"token": "s3cr3t-token"}},
        configuration={"note": "uses s3cr3t-token"},
        method=(action("method[0]", "leak"),),
    )
    seen = [repr(event) for event in world.run(made)]
    assert not any("s3cr3t" in text for text in seen)
    assert any("*****" in text for text in seen)
