"""The Chaos Toolkit's hypothesis strategies."""

from __future__ import annotations

import itertools

import pytest

from sloguard.core.model import Outcome
from sloguard.providers.result import Result
from tests.support.engine_world import World, action, ended, experiment, probe, slo


def run(strategy, results=None, **parts):
    world = World()
    asked = []

    def ask(stop):
        asked.append(world.clock.monotonic())
        return results(world, len(asked)) if results else Result(1)

    world.functions["ask"] = ask
    world.functions["back"] = lambda stop: None
    made = experiment(
        slos=(slo(during="< 60%"),),
        probes=(probe("hypothesis[0]", "ask", tolerance=1, name="asked"),),
        rollbacks=(action("rollbacks[0]", "back"),),
        runtime={"hypothesis": {"strategy": strategy}} if strategy else {},
        **parts,
    )
    return world, ended(world.run(made)), asked


@pytest.mark.parametrize(
    ("strategy", "phases", "probes"),
    [
        (None, (20, 20, 3), ["before", "during", "after"]),
        ("default", (20, 20, 3), ["before", "during", "after"]),
        ("before-method-only", (20, 20, 0), ["before"]),
        ("after-method-only", (0, 20, 3), ["during", "after"]),
        ("during-method-only", (0, 20, 0), ["during"]),
        ("continuously", (20, 20, 3), ["before", "during", "after"]),
        ("continously", (20, 20, 3), ["before", "during", "after"]),
    ],
)
def test_when_the_probes_are_asked_and_which_phases_there_are(strategy, phases, probes):
    _, last, _ = run(strategy)
    timeline = last.timeline
    spans = (
        timeline.fault - timeline.start,
        timeline.restored - timeline.fault,
        timeline.end - timeline.restored,
    )
    assert spans == pytest.approx(phases, abs=1.5)
    assert [p["phase"] for p in last.document["probes"]] == probes
    assert last.outcome is Outcome.MET, last.reason


def test_a_before_that_was_not_asked_for_has_no_length_however_long_the_first_action_paused():
    world = World()
    world.functions["fault"] = lambda stop: None
    paused = action("method[0]", "fault", pause_before=8)
    made = experiment(
        slos=(slo(during="< 60%"),),
        method=(paused,),
        runtime={"hypothesis": {"strategy": "during-method-only"}},
    )
    last = ended(world.run(made))
    assert last.timeline.start == last.timeline.fault
    assert last.document["slos"][0]["series"][0]["phases"]["before"]["verdict"] == "not-judged"
    assert last.outcome is Outcome.MET, last.reason


def test_skip_proves_nothing():
    world, last, asked = run("skip")
    assert asked == []
    assert last.outcome is Outcome.INCONCLUSIVE
    assert world.broken == {}


def test_under_the_fault_the_probes_are_asked_every_second():
    _, _, asked = run("during-method-only")
    assert 18 <= len(asked) <= 22


def test_one_answer_out_of_tolerance_under_the_fault_is_a_deviation():
    _, last, asked = run("continuously", lambda world, n: Result(2 if n == 7 else 1))
    assert last.outcome is Outcome.DEVIATED
    assert last.reason == "asked: 2 is not 1 (during)"
    assert len(asked) > 10


def test_a_probe_that_a_stop_cuts_short_says_nothing():
    world = World()
    world.functions["ask"] = lambda stop: world.sleep(stop, 300.0) if world.broken else Result(1)
    world.clock.at(5.0, lambda: world.control.abort("SIGINT"))
    made = experiment(
        probes=(probe("hypothesis[0]", "ask", tolerance=1),),
        runtime={"hypothesis": {"strategy": "continuously"}},
    )
    last = ended(world.run(made))
    assert last.outcome is Outcome.ABORTED
    assert [p["phase"] for p in last.document["probes"]] == ["before"]
    assert world.clock.monotonic() < 9


def _hypothesis(**declared):
    return {"hypothesis": {"strategy": "during-method-only", **declared}}


def test_the_frequency_of_the_file_is_the_rest_between_two_looks():
    world, asked = World(), []
    world.functions["ask"] = lambda stop: asked.append(world.clock.monotonic()) or Result(1)
    world.functions["fault"] = lambda stop: None
    made = experiment(
        slos=(),
        probes=(probe("hypothesis[0]", "ask", tolerance=1),),
        method=(action("method[0]", "fault", pause_after=21),),
        runtime=_hypothesis(frequency="10s"),
    )
    ended(world.run(made))
    rests = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert rests == pytest.approx([10, 10], abs=0.5)


@pytest.mark.parametrize(
    ("declared", "outcome"), [({"fail_fast": True}, Outcome.ABORTED), ({}, Outcome.DEVIATED)]
)
def test_the_first_look_that_is_not_met_ends_the_method_where_it_fails_fast(declared, outcome):
    world, called = World(), []
    world.functions["ask"] = lambda stop: Result(0 if called else 1)
    world.functions["fault"] = lambda stop: called.append("fault")
    world.functions["later"] = lambda stop: called.append("later")
    world.functions["back"] = lambda stop: called.append("back")
    made = experiment(
        slos=(),
        probes=(probe("hypothesis[0]", "ask", tolerance=1, name="well"),),
        method=(action("method[0]", "fault", pause_after=30), action("method[1]", "later")),
        rollbacks=(action("rollbacks[0]", "back"),),
        runtime=_hypothesis(**declared),
    )
    last = ended(world.run(made))
    assert last.outcome is outcome
    assert "well: 0 is not 1" in last.reason
    assert called == (["fault", "back"] if declared else ["fault", "later", "back"])
