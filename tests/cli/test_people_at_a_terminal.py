"""Approval and steps as somebody at a terminal meets them, and what those without one are told."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sloguard.adapters.store import Store
from sloguard.cli.asking import Terminal
from sloguard.cli.people import TerminalApprovals, understood
from sloguard.cli.toolkit import as_flagged
from sloguard.core.people import LONGEST_REASON, Ask, Step
from sloguard.engine.toolkit import rollback_strategy
from sloguard.ports import OutsideError
from sloguard.ports.people import AskState
from sloguard.spec import load
from tests.support.command import sloguard, start
from tests.support.terminals import AtTerminal

PATIENCE = 60.0


def experiment(home: Path, **keys: Any) -> Path:
    """Two actions that leave files, and a rollback that takes them away."""
    made = {
        "title": "a game day",
        "description": "d",
        "phases": {"before": "0s", "during": "0s", "after": "0s"},
        "method": [touching(home, "one"), touching(home, "two")],
        "rollbacks": [
            {
                "type": "action",
                "name": "mend",
                "provider": {
                    "type": "process",
                    "path": "rm",
                    "arguments": ["-f", str(home / "one"), str(home / "two")],
                },
            }
        ],
        **keys,
    }
    file = home / "experiment.json"
    file.write_text(json.dumps(made), "utf-8")
    return file


def touching(home: Path, name: str) -> dict[str, Any]:
    trace = str(home / "trace")
    script = f"echo {name} >> {trace}; touch {home / name}"
    provider = {"type": "process", "path": "sh", "arguments": ["-c", script]}
    return {"type": "action", "name": f"break {name}", "provider": provider}


def injected(home: Path) -> list[str]:
    trace = home / "trace"
    return trace.read_text().split() if trace.exists() else []


def document(home: Path) -> dict[str, Any]:
    return dict(sloguard("runs", "show", "-o", "json", home=home).json)


def test_yes_at_the_terminal_and_then_step_by_step(tmp_path: Path) -> None:
    file = experiment(tmp_path)
    with AtTerminal("run", str(file), "--approve", "--step-by-step", home=tmp_path) as at:
        shown = at.expect("Type yes to go on")
        assert "Nothing was injected yet" in shown
        assert "1. action break one: sh -c" in shown
        assert injected(tmp_path) == []
        at.type("perhaps")
        at.expect("neither yes nor no")
        at.expect("to decide: ")
        at.type("yes")
        at.expect("step 1 of 3: action break one")
        at.expect("? ")
        at.type("n it looks quiet")
        at.expect("noted")
        at.expect("? ")
        at.type("what")
        at.expect("go | skip")
        at.expect("? ")
        at.type("go")
        at.expect("step 2 of 3: action break two")
        at.expect("? ")
        assert injected(tmp_path) == ["one"]
        at.type("skip two is on call")
        at.expect("step 3 of 3: the rollbacks")
        at.expect("? ")
        at.type("skip")
        at.expect("the undo is never left out")
        at.expect("? ")
        assert (tmp_path / "one").exists()
        at.type("go")
        assert at.ended() == 11
    assert injected(tmp_path) == ["one"]
    assert not (tmp_path / "one").exists()
    told = document(tmp_path)
    assert told["approval"]["answer"] == "approved"
    assert [one["choice"] for one in told["steps"]] == ["go", "skip", "go"]
    assert "two is on call" in told["reason"]
    text = sloguard("runs", "show", home=tmp_path).out
    assert "Observations" in text
    assert "it looks quiet" in text


def test_what_was_typed_before_the_question_is_no_answer_and_ctrl_c_injects_nothing(
    tmp_path: Path,
) -> None:
    file = experiment(tmp_path, approval={"required": True})
    with AtTerminal("run", str(file), home=tmp_path) as at:
        at.type("yes")
        at.expect("to decide: ")
        at.press(b"\x03")
        at.expect("not-started")
        assert at.ended() == 12
    assert injected(tmp_path) == []
    assert "SIGINT" in document(tmp_path)["reason"]


class Script(Terminal):
    """A terminal at which such lines are typed, and then nobody is there."""

    def __init__(self, *lines: str) -> None:
        super().__init__()
        self.lines = list(lines)
        self.shown: list[str] = []

    def ask(self, head: Sequence[str], *_: Any, **__: Any) -> str | None:
        self.shown += head
        return self.lines.pop(0) if self.lines else None


@pytest.mark.parametrize(
    ("lines", "answer", "reason"),
    [
        (["yes"], "approved", ""),
        (["y", "", "YES"], "approved", ""),
        (["no it is Friday"], "refused", "it is Friday"),
        (["N"], "refused", ""),
        (["no \x01\u202e"], "refused", ""),
        (["no " + "x" * 3000], "refused", "x" * LONGEST_REASON),
        (["yes please"], "", "nobody answered at the terminal"),
        ([], "", "nobody answered at the terminal"),
    ],
)
def test_only_yes_is_a_yes(lines: list[str], answer: str, reason: str) -> None:
    now = time.time()
    ask = Ask(
        id="q", run="r", title="t", digest="d", plan={"steady": []}, asked_at=now, until=now + 60
    )
    terminal = Script(*lines)
    decision = TerminalApprovals(terminal).decide(ask, threading.Event())
    assert (decision.answer, decision.reason) == (answer, reason)
    assert "Nothing was injected yet. This is what will happen:" in terminal.shown


@pytest.mark.parametrize("more", [{"by": ("user:ada",)}, {"minimum": 2}])
def test_one_person_at_a_terminal_is_not_enough_where_others_are_wanted(more: Any) -> None:
    ask = Ask(id="q", run="r", title="t", digest="d", plan={}, asked_at=1.0, until=2.0, **more)
    with pytest.raises(OutsideError, match="--approve-by-link"):
        TerminalApprovals(Script()).open(ask)


def test_whoever_starts_a_run_is_not_asked_where_two_have_to_look(tmp_path: Path) -> None:
    file = experiment(tmp_path)
    (tmp_path / "sloguard.yaml").write_text("approvals: {four_eyes: true}")
    with AtTerminal("run", str(file), "--approve", home=tmp_path) as at:
        assert at.ended() == 12
    assert "has started this run; somebody else has to approve it: use --approve-by-link" in (
        " ".join(at.screen.split())
    )
    assert injected(tmp_path) == []


@pytest.mark.parametrize(
    ("declared", "flag", "counts"),
    [
        (None, None, "always"),
        (None, "deviated", "always"),
        ("default", None, "always"),
        ("never", None, "never"),
        ("default", "never", "never"),
    ],
)
def test_an_abort_at_a_step_rolls_back_also_as_chaos_run(
    declared: str | None, flag: str | None, counts: str
) -> None:
    runtime = {} if declared is None else {"rollbacks": {"strategy": declared}}
    plain = load({"title": "t", "description": "d", "method": [], "runtime": runtime})
    nothing = ("hypothesis_strategy", "hypothesis_frequency", "fail_fast")
    flags = {**dict.fromkeys(nothing), "rollback_strategy": flag, "compat": True}
    stepped = as_flagged(plain, {**flags, "step_by_step": True}, {})
    assert rollback_strategy(stepped) == counts
    assert stepped.declared["runtime"]["rollbacks"]["strategy"] == counts
    alone = as_flagged(plain, {**flags, "step_by_step": False}, {})
    assert rollback_strategy(alone) == (flag or declared or "default")


def test_a_terminal_that_closes_undoes_everything(tmp_path: Path) -> None:
    file = experiment(tmp_path)
    with AtTerminal("run", str(file), "--step-by-step", home=tmp_path) as at:
        at.expect("? ")
        at.type("g")
        at.expect("step 2 of 3")
        at.hang_up()
        assert at.ended() in (13, -signal.SIGHUP)
    assert not (tmp_path / "one").exists()
    assert document(tmp_path)["outcome"] == "aborted"


@pytest.mark.parametrize("flag", ["--approve", "--step-by-step"])
def test_without_a_terminal_it_is_refused_with_what_to_do(tmp_path: Path, flag: str) -> None:
    ran = sloguard("run", experiment(tmp_path), flag, home=tmp_path)
    assert ran.code == 2
    assert f"{flag} needs a terminal" in ran.err
    assert injected(tmp_path) == []


def test_both_ways_of_approval_are_refused(tmp_path: Path) -> None:
    ran = sloguard("run", experiment(tmp_path), "--approve", "--approve-by-link", home=tmp_path)
    assert (ran.code, "do not go together" in ran.err) == (2, True)


def test_what_has_to_be_approved_does_not_start_without_anybody(tmp_path: Path) -> None:
    file = experiment(tmp_path, approval={})
    (tmp_path / "sloguard.yaml").write_text("{}")
    ran = sloguard("run", file, home=tmp_path)
    assert ran.code == 12
    assert "nobody can be asked here" in ran.out
    plain = experiment(tmp_path)
    (tmp_path / "sloguard.yaml").write_text(f"approvals: {{directories: ['{tmp_path}']}}")
    ran = sloguard("run", plain, home=tmp_path)
    assert ran.code == 12
    assert injected(tmp_path) == []


def store_of(home: Path) -> Store:
    return Store(str(home / "data" / "sloguard" / "sloguard.db"))


def asked(home: Path) -> str:
    """The run that waits; once it does."""
    deadline = time.monotonic() + PATIENCE
    path = home / "data" / "sloguard" / "sloguard.db"
    while time.monotonic() < deadline:
        if path.exists():
            with store_of(home) as store:
                waiting = store.waiting_asks()
            if waiting:
                return waiting[0].ask.run
        time.sleep(0.05)
    raise AssertionError("it asks nobody")


def test_others_approve_by_a_command(tmp_path: Path) -> None:
    process = start("run", experiment(tmp_path), "--approve-by-link", home=tmp_path)
    try:
        run = asked(tmp_path)
        assert injected(tmp_path) == []
        unsure = sloguard("runs", "approve", run, home=tmp_path)
        assert (unsure.code, "--yes" in unsure.err) == (2, True)
        done = sloguard("runs", "approve", run, "--yes", "--reason", "fine", home=tmp_path)
        assert done.code == 0, done.err
        assert "it was approved by cli:" in done.out
        assert "break one" in done.err
        process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert injected(tmp_path) == ["one", "two"]
    told = document(tmp_path)["approval"]
    assert told["voices"][0]["reason"] == "fine"
    with store_of(tmp_path) as store:
        assert [entry.action for entry in store.audit_entries()] == ["runs.approve"]
    late = sloguard("runs", "refuse", run, home=tmp_path)
    assert (late.code, "approved by cli:" in late.err) == (2, True)


def test_killed_while_it_waits_it_leaves_nothing(tmp_path: Path) -> None:
    process = start("run", experiment(tmp_path), "--approve-by-link", home=tmp_path)
    run = asked(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    late = sloguard("runs", "approve", run, "--yes", home=tmp_path)
    assert (late.code, "is gone" in late.err) == (2, True)
    assert sloguard("recover", home=tmp_path).code == 0
    assert injected(tmp_path) == []
    with store_of(tmp_path) as store:
        found = store.ask_of(run)
        assert found is not None
        assert found.state is AskState.WITHDRAWN
        assert store.waiting_asks() == ()
        assert store.run(run).ended_at is not None
        assert list(store.open_intents(run)) == []


def test_notes_are_written_by_a_command(tmp_path: Path) -> None:
    sloguard("run", experiment(tmp_path), home=tmp_path)
    done = sloguard(
        "runs", "note", "latest", "p99 was odd", "--at", "-5m", "--by", "Ada", home=tmp_path
    )
    assert done.code == 0, done.err
    hostile = "\x1b[31mred\u202e"
    assert sloguard("runs", "note", "latest", hostile, home=tmp_path).code == 0
    text = sloguard("runs", "show", home=tmp_path).out
    assert "Ada (by cli:" in text
    assert "\x1b" not in text
    journal = sloguard("runs", "export", "-o", "journal", home=tmp_path).json
    assert [one["text"] for one in journal["sloguard-observations"]] == ["p99 was odd", "[31mred"]
    assert len(sloguard("runs", "export", home=tmp_path).json["observations"]) == 2
    for words in ("", "x" * 3000):
        assert sloguard("runs", "note", "latest", words, home=tmp_path).code == 2
    assert sloguard("runs", "note", "nothing", "x", home=tmp_path).code == 2


STEP = Step(number=1, count=2, name="break", kind="action")
UNDO = Step(number=2, count=2, name="", kind="undo")


@pytest.mark.parametrize(
    ("typed", "step", "choice", "text"),
    [
        ("g", STEP, "go", ""),
        ("GO", STEP, "go", ""),
        ("skip because", STEP, "skip", "because"),
        ("n  two words ", STEP, "note", "two words"),
        ("abort", STEP, "abort", ""),
        ("abort\tnow", STEP, "abort", "now"),
        ("a \x01", STEP, "abort", ""),
        ("abort " + "x" * 3000, UNDO, "abort", "x" * LONGEST_REASON),
        ("c", UNDO, "continue", ""),
        ("", STEP, None, ""),
        ("gogo", STEP, None, ""),
        ("n", STEP, None, ""),
        ("n \x1b", STEP, None, ""),
        ("s", UNDO, None, ""),
    ],
)
def test_what_a_line_means(typed: str, step: Step, choice: str | None, text: str) -> None:
    answer, said = understood(typed, step)
    if choice is None:
        assert answer is None
        assert said or not typed
    else:
        assert answer is not None
        assert (answer.choice, answer.text) == (choice, text)
        assert answer.by.startswith("cli:")
