"""Python controls are called as the Chaos Toolkit calls them, and can break nothing."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from chaoslib.types import Dry

from sloguard.core.events import ActivityEnded, Note
from sloguard.core.model import Outcome
from sloguard.providers.result import Result
from tests.support import recording_control
from tests.support.engine_world import World, action, ended, experiment, open_intents, probe, slo

MODULE = "tests.support.recording_control"


def control(name="watch", **more):
    return {
        "name": name,
        "provider": {"type": "python", "module": MODULE, **more.pop("provider", {})},
        **more,
    }


@pytest.fixture
def calls():
    recording_control.calls.clear()
    recording_control.raises.clear()
    recording_control.before.clear()
    yield recording_control.calls
    recording_control.raises.clear()
    recording_control.before.clear()


def busy(*controls, **parts):
    declared = {
        "steady-state-hypothesis": {
            "title": "all is well",
            "controls": parts.pop("of_hypothesis", []),
        }
    }
    return experiment(
        slos=(slo(during="< 60%"),),
        probes=(probe("hypothesis[0]", "look", tolerance=1, name="look"),),
        rollbacks=(action("rollbacks[0]", "back", name="back"),),
        controls=controls,
        declared=declared,
        **parts,
    )


def run(made, world=None):
    world = world or World()
    world.functions.setdefault("look", lambda stop: 1)
    world.functions.setdefault("back", lambda stop: None)
    return world, world.run(made)


def test_every_hook_in_its_order(calls):
    run(busy(control()))
    hooks = [(hook, name) for hook, name, _, _ in calls]
    title, fault = "a small experiment", "break_things method[0]"
    assert hooks == [
        ("configure", title),
        ("before_experiment", title),
        ("before_hypothesis", "all is well"),
        ("before_activity", "look"),
        ("after_activity", "look"),
        ("after_hypothesis", "all is well"),
        ("before_method", title),
        ("before_activity", fault),
        ("after_activity", fault),
        ("after_method", title),
        ("before_hypothesis", "all is well"),
        ("before_activity", "look"),
        ("after_activity", "look"),
        ("after_hypothesis", "all is well"),
        ("before_rollback", title),
        ("before_activity", "back"),
        ("after_activity", "back"),
        ("after_rollback", title),
        ("before_hypothesis", "all is well"),
        ("before_activity", "look"),
        ("after_activity", "look"),
        ("after_hypothesis", "all is well"),
        ("after_experiment", title),
        ("cleanup", None),
    ]


def test_hooks_get_their_arguments_and_what_they_ask_for(calls):
    made = busy(
        control(provider={"arguments": {"colour": "${shade}"}}),
        configuration={"shade": "red"},
        secrets={"api": {"token": "t0ken"}},
    )
    # Only configure_control takes a colour; the others take anything.
    run(made)
    given = {hook: more for hook, _, _, more in reversed(calls)}
    assert given["configure"] == {
        "configuration": {"shade": "red"},
        "secrets": {"api": {"token": "t0ken"}},
        # The Chaos Toolkit fills nothing in here.
        "colour": "${shade}",
    }
    assert given["before_experiment"]["kwargs"] == {"colour": "red"}
    assert given["before_activity"] == {"secrets": {"api": {"token": "t0ken"}}}
    assert given["before_method"]["experiment"]["title"] == "a small experiment"


def test_every_look_under_the_fault_has_the_hooks_of_the_hypothesis(calls):
    runtime = {"hypothesis": {"strategy": "during-method-only", "frequency": "15s"}}
    _, events = run(busy(control(), runtime=runtime))
    assert ended(events).outcome is Outcome.MET
    looks = [hook for hook, *_ in calls if "hypothesis" in hook]
    # The fault is held for 20 s.
    assert looks == ["before_hypothesis", "after_hypothesis"] * 2


def test_states_are_the_chaos_toolkits(calls):
    run(busy(control()))
    states = {hook: state for hook, _, state, _ in calls}
    assert states["after_hypothesis"]["steady_state_met"] is True
    assert states["after_hypothesis"]["probes"][0]["tolerance_met"] is True
    assert states["after_method"][0]["status"] == "succeeded"
    assert states["after_method"][0]["output"] == [{"broken": "a"}]
    assert states["after_rollback"][0]["activity"]["name"] == "back"
    assert states["after_experiment"]["status"] == "completed"
    assert states["after_experiment"]["deviated"] is False
    assert len(states["after_experiment"]["run"]) == 1


def test_a_scope_limits_a_control_to_one_side(calls):
    run(busy(control(scope="before")))
    assert not [hook for hook, *_ in calls if hook.startswith("after")]


def test_a_control_that_is_not_automatic_is_for_those_who_name_it(calls):
    back = action("rollbacks[0]", "back", name="back", controls=({"ref": "watch"},))
    made = busy(control(automatic=False))
    run(replace(made, rollbacks=(back,)))
    assert [(h, n) for h, n, *_ in calls if "activity" in h] == [
        ("before_activity", "back"),
        ("after_activity", "back"),
    ]
    # At the level of the experiment every declared control is called.
    assert ("before_experiment", "a small experiment") in [(h, n) for h, n, *_ in calls]


def test_a_name_is_not_called_twice_at_one_place(calls):
    made = busy(control())
    back = action("rollbacks[0]", "back", name="back", controls=(control(),))
    run(replace(made, rollbacks=(back,)))
    assert len([1 for h, n, *_ in calls if (h, n) == ("before_activity", "back")]) == 1
    assert len([1 for h, *_ in calls if h == "configure"]) == 1


def test_the_hooks_of_the_rollbacks_are_called_also_where_there_are_none(calls):
    run(replace(busy(control()), rollbacks=()))
    assert [hook for hook, *_ in calls if "rollback" in hook] == [
        "before_rollback",
        "after_rollback",
    ]


def test_a_probe_that_fails_has_not_met_its_tolerance(calls):
    world = World()
    world.functions["look"] = lambda stop: Result(error="nobody there")
    world.functions["back"] = lambda stop: None
    world.run(busy(control()))
    state = next(state for hook, _, state, _ in calls if hook == "after_hypothesis")
    assert state["steady_state_met"] is False
    assert state["probes"][0]["tolerance_met"] is False


def test_controls_of_the_hypothesis_alone(calls):
    run(busy(of_hypothesis=[control("own")]))
    assert [h for h, *_ in calls if "hypothesis" in h] == [
        "before_hypothesis",
        "after_hypothesis",
    ] * 3


@pytest.mark.parametrize(
    "hook",
    [
        *(
            "configure",
            "before_experiment",
            "before_hypothesis",
            "before_activity",
            "before_method",
        ),
        *(
            "after_activity",
            "after_method",
            "before_rollback",
            "after_rollback",
            "after_experiment",
        ),
        "cleanup",
    ],
)
@pytest.mark.parametrize("error", [ValueError("oops"), SystemExit(3)])
def test_what_a_control_raises_is_noted_and_ends_nothing(calls, hook, error):
    recording_control.raises[hook] = error
    world, events = run(busy(control()))
    last = ended(events)
    assert last.outcome is Outcome.MET
    assert world.broken == {}
    notes = [e for e in events if isinstance(e, Note) and "failed" in e.message]
    assert notes
    assert type(error).__name__ in notes[0].message
    assert last.document["notes"] == [n.message for n in notes]


@pytest.mark.parametrize(
    ("hook", "outcome"),
    [
        ("before_experiment", Outcome.NOT_STARTED),
        ("before_hypothesis", Outcome.NOT_STARTED),
        ("before_method", Outcome.ABORTED),
        ("after_method", Outcome.ABORTED),
    ],
)
def test_a_control_may_interrupt_the_run(calls, hook, outcome):
    recording_control.raises[hook] = recording_control.InterruptExecution("not today")
    world, events = run(busy(control()))
    last = ended(events)
    assert last.outcome is outcome
    assert "a control interrupted the run: not today" in last.reason
    assert world.broken == {}
    assert open_intents(world) == []
    if outcome is Outcome.ABORTED:
        assert "call back" in world.log
        assert "after_method" in [hook for hook, *_ in calls]


def test_an_interruption_of_the_undo_is_too_late(calls):
    recording_control.raises["before_rollback"] = recording_control.InterruptExecution("stop!")
    world, events = run(busy(control()))
    assert "call back" in world.log
    assert ended(events).outcome is Outcome.MET
    assert any("too late" in e.message for e in events if isinstance(e, Note))


def test_a_control_that_hangs_is_left_behind(calls):
    world = World()
    recording_control.before["before_rollback"] = lambda: world.clock.wait(threading.Event(), 1e3)
    _, events = run(busy(control()), world)
    assert "call back" in world.log
    assert any("took longer than 60s" in e.message for e in events if isinstance(e, Note))


def test_a_control_that_does_not_exist_is_a_warning(calls):
    made = busy({"name": "gone", "provider": {"type": "python", "module": "no.such.module"}})
    _, events = run(made)
    assert ended(events).outcome is Outcome.MET
    assert any(
        "no.such.module" in e.message or "'no'" in e.message for e in events if isinstance(e, Note)
    )


def test_a_control_cannot_change_the_experiment(calls):
    world = World()
    made = busy(control())
    run(made, world)
    first = next(c for c in calls if c[0] == "before_activity")
    assert first[1] == "look"
    assert made.declared["title"] == "a small experiment"


# What controls change counts.


def document():
    """The experiment as the last hook got it."""
    return recording_control.calls[-1][3]["experiment"]


def notes(events):
    return [e.message for e in events if isinstance(e, Note) and e.level == "warning"]


def test_an_activity_is_carried_out_as_a_control_has_changed_it(calls):
    def change():
        document()["rollbacks"][0]["provider"]["func"] = "other"
        document()["rollbacks"][0]["pauses"] = {"before": 7}

    recording_control.before["before_method"] = change
    world = World()
    world.functions["other"] = lambda stop: "another"
    world, events = run(busy(control()), world)
    assert "call other" in world.log
    assert "call back" not in world.log
    record = next(
        e.record for e in events if isinstance(e, ActivityEnded) and e.record.section == "rollbacks"
    )
    assert record.output == "another"
    assert record.activity.declared["provider"]["func"] == "other"
    assert notes(events) == ["a control changed 'back' (provider, pauses)"]
    assert ended(events).document["notes"] == notes(events)


@pytest.mark.parametrize("dry", [True, "activities", "actions", Dry.ACTIONS])
def test_what_a_control_takes_out_of_the_run_is_not_carried_out_and_never_green(calls, dry):
    recording_control.before["before_method"] = lambda: document()["method"][0].update(dry=dry)
    world, events = run(busy(control()))
    assert world.ledger.intents == {}
    last = ended(events)
    assert last.outcome is Outcome.INCONCLUSIVE
    assert "a control took it out of the run" in last.reason
    method = next(state for hook, _, state, _ in calls if hook == "after_method")
    assert method[0]["status"] == "skipped"


def test_a_mark_for_probes_leaves_actions_alone(calls):
    recording_control.before["before_method"] = lambda: document()["method"][0].update(dry="probes")
    _, events = run(busy(control()))
    assert ended(events).outcome is Outcome.MET


def test_a_rollback_that_a_control_takes_out_is_not_left_behind(calls):
    recording_control.before["before_method"] = lambda: document()["rollbacks"][0].update(dry=True)
    world, events = run(busy(control()))
    assert "call back" not in world.log
    assert ended(events).outcome is Outcome.MET


def test_one_activity_more_is_told_and_not_carried_out(calls):
    recording_control.before["before_method"] = lambda: document()["method"].append(
        {"name": "more"}
    )
    _, events = run(busy(control()))
    assert ended(events).outcome is Outcome.MET
    assert notes(events) == [
        "a control changed the list of 'method': what the file declares is carried out"
    ]


def test_an_entry_may_be_put_in_the_place_of_another(calls):
    def change():
        rollbacks = document()["rollbacks"]
        rollbacks[0] = {**rollbacks[0], "provider": {"type": "python", "func": "other"}}

    recording_control.before["before_method"] = change
    world = World()
    world.functions["other"] = lambda stop: None
    world, _ = run(busy(control()), world)
    assert "call other" in world.log


def test_what_a_control_makes_of_a_provider_may_be_nonsense(calls):
    recording_control.before["before_method"] = lambda: document()["method"][0].update(
        provider=3, pauses="x"
    )
    _, events = run(busy(control()))
    assert ended(events).outcome is Outcome.INCONCLUSIVE


def test_secrets_that_a_control_finds_are_masked(calls):
    found = {"api": {"token": "t0ken"}}
    recording_control.before["before_experiment"] = lambda: found.update(more={"key": "f0und-key"})
    world = World()
    world.functions["back"] = lambda stop: "it said f0und-key"
    _, events = run(busy(control(), secrets=found), world)
    told = [e.record.output for e in events if isinstance(e, ActivityEnded)]
    assert "it said *****" in told


def test_all_hooks_run_in_one_thread(calls):
    seen = set()
    for hook in ("configure", "before_experiment", "before_activity", "after_method", "cleanup"):
        recording_control.before[hook] = lambda: seen.add(threading.get_ident())
    run(busy(control()))
    assert len(seen) == 1
    assert threading.get_ident() not in seen


def test_a_hook_that_is_interrupted_keeps_nobody_waiting(calls):
    world = World()
    recording_control.before["before_method"] = lambda: world.clock.wait(threading.Event(), 1e3)
    world.clock.at(2.0, lambda: world.control.abort("SIGINT"))
    run(busy(control()), world)
    assert world.clock.monotonic() < 20
    assert [hook for hook, *_ in calls][-1] == "cleanup"
    assert "call back" in world.log


def test_a_control_that_is_not_there_is_told_once():
    missing = {"name": "gone", "provider": {"type": "python", "module": "tests.support.no_such"}}
    _, events = run(busy(missing))
    assert notes(events) == [
        "control gone is not called: no module named 'tests.support.no_such'; "
        "is it installed here, or in the working directory?"
    ]


def test_a_control_that_finds_itself_misdeclared_starts_nothing(calls):
    def refuses(declared):
        raise ValueError(f"'{declared['name']}' wants a colour")

    recording_control.validate_control = refuses
    try:
        world, events = run(busy(control()))
    finally:
        del recording_control.validate_control
    assert ended(events).outcome is Outcome.NOT_STARTED
    assert ended(events).reason == "control watch: 'watch' wants a colour"
    assert world.log == []


def test_a_change_that_is_taken_back_is_told_once(calls):
    marked = {}

    def mark():
        marked.update(live=document()["method"][0])
        marked["live"]["dry"] = "pause"

    recording_control.before["before_method"] = mark
    recording_control.before["after_method"] = lambda: marked["live"].pop("dry")
    _, events = run(busy(control()))
    assert "dry" not in marked["live"]
    assert notes(events) == ["a control changed 'break_things method[0]' (dry)"]
