"""What ``recover`` does about runs whose process is gone, in a world of fakes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from sloguard.core.events import FaultChanged, Note, RunEnded
from sloguard.core.masking import MASK
from sloguard.core.model import Outcome
from sloguard.engine.recover import recover
from sloguard.engine.run import run
from sloguard.host.identity import identify
from sloguard.ports import UnfinishedRun
from tests.fakes.ledger import FakeRuns
from tests.fakes.locks import FakeLocks
from tests.support.engine_world import World, action, breaking, experiment, open_intents


class Killed(BaseException):
    """Ends a run as SIGKILL does: nothing of the engine runs after it."""


def killed_at(world: World, made, stop_at: int) -> list:
    """Run up to an event and then forget the generator without closing it."""
    events = run(made, world.ports(), world.options())
    seen = [next(events) for _ in range(stop_at + 1)]
    # Whoever holds a generator for ever never closes it.
    _undead.append(events)
    world.locks = FakeLocks()
    return seen


_undead: list = []


@pytest.fixture(scope="module", autouse=True)
def bury():
    yield
    for events in _undead:
        events.close()
    _undead.clear()


def dead(
    made, *, began: bool = True, alive: bool = False, document=None, source: str = ""
) -> UnfinishedRun:
    kept = made.declared if document is None else document
    return UnfinishedRun("r1", made.title, source, kept, {}, alive, began, 0.0)


def recovered(world: World, runs: FakeRuns, load, **more) -> list:
    return list(recover(runs, world.ports(), load, world.options(), **more))


def loads(made):
    return lambda _path, _variables: made


def two_faults(**more):
    return experiment(
        method=(breaking("method[0]", "a", "b"), breaking("method[1]", "c")),
        rollbacks=(action("rollbacks[0]", "back"), action("rollbacks[1]", "more")),
        **more,
    )


def ready() -> World:
    world = World()
    world.functions["back"] = lambda stop: None
    world.functions["more"] = lambda stop: None
    return world


EVENTS = len(ready().run(two_faults()))


@pytest.mark.parametrize("stop_at", range(EVENTS))
def test_whenever_a_run_was_killed_nothing_stays_injected(stop_at):
    world = ready()
    made = two_faults()
    killed_at(world, made, stop_at)
    began = bool(world.ledger.begun) or bool(world.ledger.intents)
    runs = FakeRuns(dead(made, began=began))
    events = recovered(world, runs, loads(made))
    assert world.broken == {}
    assert open_intents(world) == []
    last = events[-1]
    assert isinstance(last, RunEnded)
    assert (last.outcome, last.reason) == (Outcome.ABORTED, "interrupted")
    assert runs.closed["r1"][:2] == ("aborted", "interrupted")
    if began:
        done = world.ledger.begun["r1"]
        assert {done["rollbacks[0]"], done["rollbacks[1]"]} == {"succeeded"}
    else:
        assert "call back" not in world.log
    assert recovered(world, runs, loads(made)) == []
    assert world.locks.table == {}


def test_undo_is_newest_first_and_before_the_rollbacks():
    world = ready()
    made = two_faults()
    events = run(made, world.ports(), world.options())
    for event in events:
        if isinstance(event, FaultChanged) and event.fault.target == "c":
            break
    _undead.append(events)
    world.locks = FakeLocks()
    world.log.clear()
    recovered(world, FakeRuns(dead(made)), loads(made))
    assert world.log == ["undo c", "undo b", "undo a", "call back", "call more"]


def broken_run(world: World, made, targets=("a",)):
    """A run that was killed right after its faults were injected."""
    seen = 0
    events = run(made, world.ports(), world.options())
    for event in events:
        seen += isinstance(event, FaultChanged)
        if seen == len(targets):
            break
    _undead.append(events)
    world.locks = FakeLocks()
    world.log.clear()


def test_a_rollback_that_had_succeeded_is_not_run_again():
    world = ready()
    made = two_faults()
    broken_run(world, made)
    world.ledger.begun["r1"]["rollbacks[0]"] = "succeeded"
    recovered(world, FakeRuns(dead(made)), loads(made))
    assert "call back" not in world.log
    assert "call more" in world.log


def test_a_live_run_is_left_alone():
    world = ready()
    made = two_faults()
    broken_run(world, made)
    assert recovered(world, FakeRuns(dead(made, alive=True)), loads(made)) == []
    assert world.log == []
    assert world.broken


def test_a_run_whose_engine_ended_in_a_process_that_lives_is_finished_for_its_owner():
    world = ready()
    made = two_faults()
    broken_run(world, made)
    runs = FakeRuns(dead(made, alive=True))
    last = recovered(world, runs, loads(made), over=["r1"])[-1]
    assert isinstance(last, RunEnded)
    assert (last.outcome, last.reason) == ("aborted", "interrupted")
    assert not world.broken
    assert recovered(world, runs, loads(made), over=["r1"]) == []


def test_two_recoveries_at_once_do_not_double():
    world = ready()
    made = two_faults()
    broken_run(world, made)
    runs = FakeRuns(dead(made))
    table: dict[str, str] = {}
    world.locks = FakeLocks(table)
    first = recover(runs, world.ports(), loads(made), world.options())
    next(first)
    world.locks = FakeLocks(table)
    second = recovered(world, runs, loads(made))
    assert [type(e) for e in second] == [Note]
    assert "is being recovered" in second[0].message
    assert world.log == []
    list(first)
    assert world.log.count("undo a") == 1
    assert recovered(world, runs, loads(made)) == []


def test_a_run_that_somebody_else_finished_meanwhile_is_not_touched():
    world = ready()
    made = two_faults()
    broken_run(world, made)
    runs = FakeRuns(dead(made))

    class Late(FakeLocks):
        def acquire(self, keys, holder):
            super().acquire(keys, holder)
            runs.close("r1", "aborted", "interrupted", ())

    world.locks = Late()
    assert recovered(world, runs, loads(made)) == []
    assert world.log == []


def test_what_cannot_be_undone_is_left_and_told_and_can_be_tried_again():
    world = ready()
    made = experiment()
    broken_run(world, made)
    world.undo_fails["a"] = 10_000
    runs = FakeRuns(dead(made))
    last = recovered(world, runs, loads(made))[-1]
    assert last.outcome is Outcome.NOT_RESTORED
    assert "a cannot be reached" in last.reason
    (left,) = runs.closed["r1"][2]
    assert (left.status, left.by_hand) == ("left", "mend a")
    assert recovered(world, runs, loads(made)) == []
    world.undo_fails.clear()
    again = recovered(world, runs, loads(made), left_too=True)
    assert again[-1].outcome is Outcome.ABORTED
    assert world.broken == {}
    assert recovered(world, runs, loads(made), left_too=True) == []


def test_a_fault_that_nobody_knows_any_more_is_left():
    world = ready()
    made = experiment()
    broken_run(world, made)
    (intent,) = world.ledger.intents.values()
    gone = {**intent.record, "sloguard.module": "no.such.module"}
    world.ledger.intents[intent.id] = replace(intent, fault="unknown.fault", record=gone)
    last = recovered(world, FakeRuns(dead(made)), loads(made))[-1]
    assert last.outcome is Outcome.NOT_RESTORED
    assert "no.such.module" in last.reason


# Reading the experiment again.


def secretive(token="${token}", **more):
    rollback = action("rollbacks[0]", "back", arguments={"token": token})
    declared = {"secrets": {"api": {"token": MASK}}}
    return experiment(rollbacks=(rollback,), declared=declared, **more)


def with_back(world: World) -> list:
    given: list = []
    world.functions["back"] = lambda stop, **kw: given.append(kw)
    return given


SECRET = {"api": {"token": "t0ken-value"}}


def test_the_configuration_is_that_of_the_run_and_not_of_today():
    world = ready()
    given = with_back(world)
    made = experiment(rollbacks=(action("rollbacks[0]", "back", arguments={"ns": "${ns}"}),))
    broken_run(world, made)
    resolved = {**made.declared, "configuration": {"ns": "shop"}}
    asked: list = []

    def load(source, variables):
        asked.append((source, dict(variables)))
        return replace(made, configuration=source["configuration"])

    unfinished = replace(dead(made, source="/changed.yaml"), resolved=resolved, variables={"x": 1})
    recovered(world, FakeRuns(unfinished), load)
    assert asked == [(resolved, {"x": 1})]
    assert given == [{"ns": "shop"}]


def test_secrets_that_were_not_kept_come_from_the_file():
    world = ready()
    given = with_back(world)
    made = secretive()
    broken_run(world, made)

    def load(source, variables):
        return replace(made, secrets=SECRET if source == "/made.yaml" else {"api": {"token": MASK}})

    events = recovered(world, FakeRuns(dead(made, source="/made.yaml")), load)
    assert given == [{"token": "t0ken-value"}]
    assert events[-1].outcome is Outcome.ABORTED
    assert "t0ken-value" not in repr(events)


def test_a_literal_secret_of_a_rollback_comes_from_the_file_if_that_is_the_same_but_for_it():
    world = ready()
    given = with_back(world)
    made = secretive(token=f"Bearer {MASK}")
    broken_run(world, made)
    file = secretive(token="Bearer abcdef", secrets=SECRET)

    def load(source, variables):
        return file if source == "/made.yaml" else made

    recovered(world, FakeRuns(dead(made, source="/made.yaml")), load)
    assert given == [{"token": "Bearer abcdef"}]


def test_a_file_that_has_changed_is_not_believed():
    world = ready()
    made = secretive(token=f"Bearer {MASK}")
    with_back(world)
    broken_run(world, made)
    file = experiment(rollbacks=(action("rollbacks[0]", "delete_everything"),), secrets=SECRET)

    def load(source, variables):
        return file if source == "/made.yaml" else made

    last = recovered(world, FakeRuns(dead(made, source="/made.yaml")), load)[-1]
    assert world.log == ["undo a"]
    assert last.outcome is Outcome.NOT_RESTORED


@pytest.mark.parametrize("found", [{"api": {"token": MASK}}, {}])
def test_a_rollback_that_needs_a_secret_nobody_has_is_left_and_not_run(found):
    world = ready()
    given = with_back(world)
    made = secretive()
    broken_run(world, made)

    def load(source, variables):
        if source == "/gone.yaml":
            raise OSError("no such file")
        if not found and "secrets" in source:
            raise ValueError("the environment variable TOKEN is not set")
        return replace(made, secrets=found)

    last = recovered(world, FakeRuns(dead(made, source="/gone.yaml")), load)[-1]
    assert given == []
    assert last.outcome is Outcome.NOT_RESTORED
    assert "it needs a secret" in last.reason
    assert world.broken == {}
    (left,) = [f for f in last.document["faults"] if f["status"] == "left"]
    assert left["by_hand"] == "python: tests.support.nothing.back(token='${token}')"


def test_an_experiment_that_nobody_can_read_leaves_its_rollbacks_and_undoes_its_faults():
    world = ready()
    made = experiment(rollbacks=(action("rollbacks[0]", "back", name="put it back"),))
    broken_run(world, made)

    def load(source, variables):
        raise ValueError("line 3: what is this?")

    last = recovered(world, FakeRuns(dead(made)), load)[-1]
    assert world.log == ["undo a"]
    assert last.outcome is Outcome.NOT_RESTORED
    assert "rollback on put it back: the experiment cannot be read any more" in last.reason


# Processes that the dead run has left.


def orphan(key: str) -> subprocess.Popen:
    environment = {**os.environ, "SLOGUARD_RUN": "r1", "SLOGUARD_ACTIVITY": key}
    command = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"]
    made = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, start_new_session=True
    )
    assert made.stdout is not None
    made.stdout.readline()
    return made


def test_processes_of_activities_that_had_not_ended_are_ended():
    world = ready()
    made = two_faults()
    broken_run(world, made)
    world.ledger.begun["r1"].update({"method[0]": "succeeded", "method[1]": "begun"})
    left, kept = orphan("method[1]"), orphan("method[0]")
    try:
        events = recovered(world, FakeRuns(dead(made)), loads(made))
        deadline = time.monotonic() + 5
        while left.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert left.poll() is not None
        # What an activity that ended has left running, it may have meant to.
        assert identify(kept.pid) is not None
        assert kept.poll() is None
        assert any("method[1]: ended" in e.message for e in events if isinstance(e, Note))
    finally:
        for process in (left, kept):
            process.kill()
            process.wait()
            process.stdout.close()
