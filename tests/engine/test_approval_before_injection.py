"""Nothing is injected that people have not agreed to, and what they agreed to stands in the record."""

from __future__ import annotations

import pytest

from sloguard.core.events import (
    ApprovalAsked,
    ApprovalDecided,
    Note,
    PhaseStarted,
    Preflight,
    Waiting,
)
from sloguard.core.model import Approval, Outcome, PhaseName
from sloguard.core.people import Decision
from sloguard.engine.approving import MOST_ASKS, STALE
from sloguard.engine.dry import dry_run
from sloguard.engine.run import run
from tests.fakes.locks import FakeLocks
from tests.fakes.people import FakeApprovals, no, yes
from tests.support.engine_world import World, action, breaking, ended, experiment, slo

NEEDED = Approval(within=600.0)


def carried_out(world, approvals, *, options=None, **parts):
    parts = {"slos": (slo(during="< 60%"),), "approval": NEEDED, **parts}
    made = run(
        experiment(**parts),
        world.ports(approvals=approvals),
        world.options(**(options or {})),
        world.control,
    )
    return list(made)


def only(events, kind):
    return [event for event in events if isinstance(event, kind)]


def test_what_is_approved_is_injected_and_who_agreed_is_in_the_record():
    world = World()
    approvals = FakeApprovals(world.clock.wait, (5.0, yes(reason="go ahead")))
    events = carried_out(world, approvals)
    last = ended(events)
    assert last.outcome is Outcome.MET
    assert world.log == ["break a", "undo a"]
    ask = approvals.asks[0]
    assert ask.plan["actions"][0]["targets"] == ["a"]
    assert ask.plan["steady"][0]["verdict"] == "met"
    told = last.document["approval"]
    assert told["answer"] == "approved"
    assert told["plan"] == ask.digest
    assert told["voices"][0]["by"] == "user:ada"
    assert told["voices"][0]["from"] == "10.0.0.7"
    assert told["voices"][0]["reason"] == "go ahead"
    assert told["waited_seconds"] == pytest.approx(5.0, abs=0.5)
    asked, decided = only(events, ApprovalAsked)[0], only(events, ApprovalDecided)[0]
    fault = next(e for e in events if isinstance(e, PhaseStarted) and e.phase is PhaseName.DURING)
    assert asked.at < decided.at <= fault.at


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        (no(reason="not on a Friday"), "refused by user:ada: not on a Friday"),
        (Decision(answer="", reason="it cannot be told"), "not approved: it cannot be told"),
    ],
)
def test_without_a_yes_nothing_is_injected(decision, said):
    world = World()
    events = carried_out(world, FakeApprovals(world.clock.wait, (3.0, decision)))
    last = ended(events)
    assert last.outcome is Outcome.NOT_STARTED
    assert said in last.reason
    assert world.log == []
    assert world.locks.table == {}
    assert last.document["approval"]["answer"] in ("refused", "none")


def test_nobody_answers_in_time():
    world = World()
    approvals = FakeApprovals(world.clock.wait, None)
    events = carried_out(world, approvals, approval=Approval(within=120.0))
    last = ended(events)
    assert last.outcome is Outcome.NOT_STARTED
    assert "nobody decided within 2m" in last.reason
    assert 120 <= last.at - events[0].at < 130
    assert approvals.withdrawn
    assert world.log == []


def test_nobody_to_ask_is_told_before_anything_is_looked_at():
    world = World()
    events = carried_out(world, None)
    last = ended(events)
    assert last.outcome is Outcome.NOT_STARTED
    assert "--approve" in last.reason
    assert not only(events, Preflight)


def test_a_question_that_cannot_be_asked_starts_nothing():
    world = World()
    approvals = FakeApprovals(world.clock.wait)
    approvals.away = "the store is away"
    last = ended(carried_out(world, approvals))
    assert last.outcome is Outcome.NOT_STARTED
    assert "the store is away" in last.reason


def test_options_ask_where_the_experiment_does_not():
    world = World()
    approvals = FakeApprovals(world.clock.wait, (1.0, yes()))
    options = {"approval": Approval(), "approval_within": 90.0, "approval_minimum": 2}
    last = ended(carried_out(world, approvals, approval=None, options=options))
    assert last.outcome is Outcome.MET
    ask = approvals.asks[0]
    assert (ask.until - ask.asked_at, ask.minimum) == (pytest.approx(90, abs=1), 2)


def test_what_need_not_be_approved_is_not_asked_for():
    world = World()
    approvals = FakeApprovals(world.clock.wait)
    last = ended(carried_out(world, approvals, approval=Approval(required=False)))
    assert last.outcome is Outcome.MET
    assert approvals.asks == []
    assert "approval" not in last.document


def test_no_target_is_locked_while_people_think():
    world = World()
    approvals = FakeApprovals(world.clock.wait, (30.0, yes()))
    held: list[object] = []
    approvals.before_answer = lambda _ask: held.append(dict(world.locks.table))
    events = carried_out(world, approvals)
    assert ended(events).outcome is Outcome.MET
    assert held == [{}]
    assert "no target is locked" in next(
        e.reason for e in only(events, Waiting) if "approval" in e.reason
    )


def test_a_run_that_took_the_target_meanwhile_comes_first():
    world = World()
    approvals = FakeApprovals(world.clock.wait, (30.0, yes()))
    other = FakeLocks(world.locks.table)
    approvals.before_answer = lambda _ask: other.acquire(["thing:a"], "run r0")
    last = ended(carried_out(world, approvals))
    assert last.outcome is Outcome.NOT_STARTED
    assert "another run is on it" in last.reason
    assert world.log == []


@pytest.mark.parametrize(("thinks", "gates"), [(STALE - 10, 1), (STALE + 10, 2)])
def test_a_steady_state_of_long_ago_is_looked_for_again(thinks, gates):
    world = World()
    events = carried_out(world, FakeApprovals(world.clock.wait, (thinks, yes())))
    assert ended(events).outcome is Outcome.MET
    before = [e for e in only(events, PhaseStarted) if e.phase is PhaseName.BEFORE]
    assert len(before) == gates
    timeline = ended(events).timeline
    assert timeline.fault - timeline.start < STALE + 20


def test_what_broke_while_people_thought_stops_it():
    world = World()
    approvals = FakeApprovals(world.clock.wait, (300.0, yes()))
    world.clock.at(250.0, lambda: world.changes.append((250.0, 0.9)))
    last = ended(carried_out(world, approvals))
    assert last.outcome is Outcome.NOT_STARTED
    assert "the steady state was not met" in last.reason
    assert world.log == []


def test_other_targets_than_those_approved_are_asked_for_again():
    world = World()
    targets = ["a"]
    approvals = FakeApprovals(world.clock.wait, (2.0, yes()), (2.0, no(reason="not that one")))
    method = (breaking(arguments={"targets": targets}),)
    approvals.before_answer = lambda _ask: targets.__setitem__(0, "b")
    events = carried_out(world, approvals, method=method)
    last = ended(events)
    assert [ask.plan["actions"][0]["targets"] for ask in approvals.asks] == [["a"], ["b"]]
    assert "changed since it was approved" in approvals.asks[1].again
    assert approvals.asks[0].digest != approvals.asks[1].digest
    assert "not that one" in last.reason
    assert world.log == []


def test_targets_that_never_hold_still_are_given_up():
    world = World()
    targets = ["0"]
    approvals = FakeApprovals(world.clock.wait, *[(1.0, yes())] * MOST_ASKS)
    approvals.before_answer = lambda _ask: targets.__setitem__(0, f"{targets[0]}x")
    last = ended(carried_out(world, approvals, method=(breaking(arguments={"targets": targets}),)))
    assert last.outcome is Outcome.NOT_STARTED
    assert "changed 5 times" in last.reason
    assert world.log == []


def test_targets_that_change_behind_the_last_look_are_not_hit():
    world = World()
    targets = ["a"]
    method = (breaking(arguments={"targets": targets}, pause_before=5.0),)
    approvals = FakeApprovals(world.clock.wait, (2.0, yes()))
    world.clock.at(5.0, lambda: targets.__setitem__(0, "b"))
    last = ended(carried_out(world, approvals, method=method))
    assert last.outcome is Outcome.INCONCLUSIVE
    assert "not as approved: it would hit b, a was approved" in last.reason
    assert world.log == []


def test_after_the_first_action_targets_may_have_other_names_but_not_be_more():
    world = World()
    second = ["b"]
    method = (
        breaking("method[0]", "a"),
        breaking("method[1]", arguments={"targets": second}, pause_before=5.0),
    )

    def others(*names):
        second[:] = names

    world.clock.at(5.0, lambda: others("c"))
    last = ended(carried_out(world, FakeApprovals(world.clock.wait, (1.0, yes())), method=method))
    assert last.outcome is Outcome.MET
    assert world.broken == {}
    assert "break c" in world.log
    assert any("had other names when it was approved" in note for note in last.document["notes"])

    world = World()
    others("b")
    world.clock.at(5.0, lambda: others("b", "c"))
    last = ended(carried_out(world, FakeApprovals(world.clock.wait, (1.0, yes())), method=method))
    assert last.outcome is Outcome.INCONCLUSIVE
    assert "it would hit 2 targets, 1 were approved" in last.reason
    assert "break c" not in world.log


def test_an_abort_while_people_think_leaves_nothing():
    world = World()
    approvals = FakeApprovals(world.clock.wait, None)
    world.clock.at(40.0, lambda: world.control.abort("SIGTERM"))
    last = ended(carried_out(world, approvals))
    assert last.outcome is Outcome.NOT_STARTED
    assert "SIGTERM" in last.reason
    assert approvals.withdrawn[0][1] == "the run was stopped: SIGTERM"
    assert world.log == []
    assert world.locks.table == {}


def test_secrets_are_masked_in_what_people_see():
    world = World()
    approvals = FakeApprovals(world.clock.wait, (1.0, no(reason="hunter2-secret is bad")))
    world.functions["call"] = lambda stop, **_: None
    method = (action("method[0]", "call", arguments={"password": "hunter2-secret"}),)
    last = ended(
        carried_out(world, approvals, method=method, secrets={"db": {"password": "hunter2-secret"}})
    )
    assert "hunter2-secret" not in str(approvals.asks)
    assert "hunter2-secret" not in last.reason
    assert "hunter2-secret" not in str(last.document)


def test_a_dry_run_says_that_somebody_would_be_asked():
    world = World()
    made = dry_run(experiment(approval=Approval(by=("user:ada",))), world.ports(), world.options())
    told = [e.message for e in made if isinstance(e, Note)]
    assert "a run would wait for an approval by user:ada before its first fault" in told


def test_looking_again_is_told():
    world = World()
    events = carried_out(world, FakeApprovals(world.clock.wait, (1.0, yes())))
    assert any("looks again at what will be hit" in e.message for e in only(events, Note))
