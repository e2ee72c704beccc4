"""The Chaos Toolkit's policy over sloguard's own: what is judged counts, and its own faults are undone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sloguard.core.model import Outcome
from sloguard.engine.toolkit import Ending, Toolkit, ending_of, rollback_strategy, rolls_back
from tests.support.engine_world import (
    World,
    action,
    ended,
    experiment,
    guard,
    open_intents,
    slo,
)


@pytest.mark.parametrize(
    ("strategy", "ending", "carried_out"),
    [
        ("default", Ending("completed"), True),
        ("default", Ending("completed", deviated=True), True),
        ("default", Ending("failed", deviated=True), False),
        ("default", Ending("interrupted"), False),
        ("deviated", Ending("completed"), False),
        ("deviated", Ending("failed", deviated=True), True),
        ("deviated", Ending("interrupted"), False),
        ("always", Ending("interrupted"), True),
        ("never", Ending("completed", deviated=True), False),
    ],
)
def test_the_policy_of_rollbacks(strategy, ending, carried_out):
    assert rolls_back(strategy, ending) is carried_out


def test_without_probes_the_run_has_completed():
    assert ending_of((), ()) == Ending("completed")
    assert ending_of((), ()).exit_code == 0
    assert ending_of((), (), refused=True).exit_code == 1
    assert ending_of((), (), interrupted=True).exit_code == 1


def test_what_can_stop_the_method_is_rolled_back():
    plain = experiment()
    guarded = replace(plain, guards=(guard(),))
    assert rollback_strategy(plain) == "default"
    assert rollback_strategy(guarded) == "always"
    never = replace(guarded, runtime={"rollbacks": {"strategy": "never"}})
    assert rollback_strategy(never) == "never"


def _run(**parts):
    """A fault of sloguard's own and a declared rollback."""
    world, called = World(), []
    world.functions["back"] = lambda stop: called.append("back")
    made = experiment(rollbacks=(action("rollbacks[0]", "back", name="back"),), **parts)
    last = ended(world.run(made, toolkit=Toolkit(compat=True)))
    assert open_intents(world) == []
    assert world.value(world.clock.monotonic()) < 0.1
    return last, called


def test_a_verdict_of_slos_is_the_exit_code():
    last, called = _run(slos=(slo(during="< 60%"),))
    assert last.outcome is Outcome.MET, last.reason
    assert last.document["compat"]["exit_code"] == 0
    assert called == ["back"]
    deviated, _ = _run(slos=(slo(),))
    assert deviated.outcome is Outcome.DEVIATED
    assert deviated.document["compat"]["exit_code"] == 1
    assert "the verdict is deviated" in deviated.document["compat"]["why"]


def test_rollbacks_that_were_not_asked_for_are_left_and_own_faults_are_not():
    last, called = _run(slos=(), runtime={"rollbacks": {"strategy": "never"}})
    assert called == []
    assert last.outcome is Outcome.NOT_RESTORED
    assert "the rollbacks (back) were not carried out: the strategy is 'never'" in last.reason
    assert any("sloguard itself has injected is undone" in note for note in last.document["notes"])
    # Nothing was judged but what the Chaos Toolkit judges too.
    assert last.document["compat"]["exit_code"] == 0


def test_a_guard_rolls_back_by_default():
    last, called = _run(guards=(guard(),))
    assert last.outcome is Outcome.ABORTED
    assert called == ["back"]
    assert last.document["compat"]["exit_code"] == 1
