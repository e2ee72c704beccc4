"""``--approve`` and ``--step``: the person at the terminal, as the engine asks them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sloguard.cli.asking import Terminal, here, is_a_terminal, person
from sloguard.cli.common import fail

if TYPE_CHECKING:
    from sloguard.adapters.store import Store
    from sloguard.core.model import Experiment
    from sloguard.core.people import Answer, Ask, Choice, Decision, Step, StepAnswer
    from sloguard.engine.options import Options
    from sloguard.engine.ports_bundle import Ports
    from sloguard.settings import Settings

_WITHOUT = {
    "--approve": "use --approve-by-link: others approve on a page, by a link, or with 'sloguard runs approve'",
    "--step-by-step": "run it where somebody can be asked, or leave the flag out",
}

Command = TypeVar("Command", bound=Callable[..., Any])


def people_options(command: Command) -> Command:
    """``--approve``, ``--approve-by-link`` and ``--step-by-step``."""
    command = click.option(
        "--step-by-step",
        is_flag=True,
        help="Ask before each activity and before the undo: go, skip, note, abort, continue.",
    )(command)
    command = click.option(
        "--approve-by-link",
        is_flag=True,
        help="Wait before the first fault until others approve: on a page, by a link, by a command.",
    )(command)
    return click.option(
        "--approve",
        is_flag=True,
        help="Show what will be hit before the first fault, and ask here whether to go on.",
    )(command)


def with_people(
    made: Ports,
    chosen: Options,
    flags: Mapping[str, Any],
    settings: Settings,
    store: Store,
    experiment: Experiment,
) -> tuple[Ports, Options, Terminal | None]:
    """The ports and options with those who are asked, and the terminal where somebody is asked on it.

    Ends with a message for flags that cannot be used here.
    """
    from sloguard.bootstrap import approval_needed, stored_approvals
    from sloguard.core.model import Approval

    if flags["approve"] and flags["approve_by_link"]:
        fail(
            "--approve and --approve-by-link do not go together: give the one by which people answer"
        )
    for flag, wanted in (
        ("--approve", flags["approve"]),
        ("--step-by-step", flags["step_by_step"]),
    ):
        if wanted and not is_a_terminal():
            fail(f"{flag} needs a terminal (stdin and stderr): {_WITHOUT[flag]}")
    approval = approval_needed(settings, experiment)
    if approval is None and (flags["approve"] or flags["approve_by_link"]):
        approval = experiment.approval or Approval()
    own = experiment.approval
    asked = approval is not None or (own is not None and own.required)
    terminal = Terminal() if flags["step_by_step"] or (asked and is_a_terminal()) else None
    if flags["approve_by_link"]:
        approvals = stored_approvals(settings, store, requester=person(), run=chosen.run)
        made = replace(made, approvals=approvals)
    elif asked and terminal is not None:
        made = replace(
            made, approvals=TerminalApprovals(terminal, four_eyes=settings.approvals.four_eyes)
        )
    if flags["step_by_step"] and terminal is not None:
        made = replace(made, steps=TerminalSteps(terminal))
    return made, replace(chosen, approval=approval), terminal


class TerminalApprovals:
    """ports.people.Approvals: whoever sits at the terminal. ``four_eyes``: they have started the run, and
    somebody else has to approve it."""

    def __init__(self, terminal: Terminal, *, four_eyes: bool = False) -> None:
        self._terminal, self._four_eyes = terminal, four_eyes

    def open(self, ask: Ask) -> str:
        """Raises OutsideError where the person here may not, or is not enough."""
        from sloguard.ports import OutsideError

        who = person()
        if self._four_eyes:
            raise OutsideError(
                f"{who} has started this run; somebody else has to approve it: use --approve-by-link"
            )
        if ask.by and who not in ask.by:
            raise OutsideError(
                f"{who} may not approve it; those who may: {', '.join(ask.by)}: use --approve-by-link"
            )
        if ask.minimum > 1:
            raise OutsideError(
                f"{ask.minimum} people have to agree, and at a terminal there is one: use --approve-by-link"
            )
        return "at this terminal"

    def decide(self, ask: Ask, stop: threading.Event) -> Decision:
        """Show what will happen, and ask."""
        from sloguard.core.people import Decision

        head = [*plan_lines(ask)]
        while True:
            left = max(0, round((ask.until - time.time()) / 60))
            prompt = f"Type yes to go on, or no (REASON) to leave it; {left}m to decide: "
            typed = self._terminal.ask(head, prompt, stop, until=ask.until)
            if typed is None:
                late = time.time() >= ask.until
                return Decision(answer="", reason="" if late else "nobody answered at the terminal")
            word, _, rest = typed.partition(" ")
            if typed.lower() == "yes":
                return _decided("approved")
            if word.lower() in ("no", "n"):
                return _decided("refused", _reason(rest))
            head = ["  neither yes nor no"] if typed else []

    def withdraw(self, ask: Ask, why: str) -> None:
        """The question is closed with the run."""


def _reason(typed: str) -> str:
    """What is left of it for the record: a no is a no, whatever stands behind it."""
    from sloguard.core.people import LONGEST_REASON, NoteError, note_text

    try:
        return note_text(typed, max(len(typed), 1))[:LONGEST_REASON]
    except NoteError:
        return ""


def _decided(answer: Answer, reason: str = "") -> Decision:
    from sloguard.core.people import Decision, Voice

    said = Voice(by=person(), answer=answer, at=time.time(), from_=here(), reason=reason)
    return Decision(answer=answer, voices=(said,), reason=reason)


def plan_lines(ask: Ask) -> Iterator[str]:
    """What is asked about, for a terminal."""
    from sloguard.core.visible import visible

    plan: Mapping[str, Any] = ask.plan
    yield ""
    if ask.again:
        yield visible(f"! {ask.again}")
    yield "Nothing was injected yet. This is what will happen:"
    actions: Sequence[Mapping[str, Any]] = plan.get("actions") or ()
    for number, action in enumerate(actions, 1):
        yield visible(f"  {number}. {_action(action)}")
        for name, why in (action.get("spared") or ())[:5]:
            yield visible(f"     spared: {name} ({why})")
    if not actions:
        yield "  nothing is injected"
    during = (plan.get("phases") or {}).get("during", "")
    back = ", ".join(map(str, plan.get("rollbacks") or ()))
    after = f"; rollbacks: {back}" if back else ""
    yield visible(f"  held for {during}, then all of it is undone{after}")
    for guard in plan.get("guards") or ():
        yield visible(f"  stopped and undone unless {guard}")
    steady: Sequence[Mapping[str, Any]] = plan.get("steady") or ()
    if steady:
        yield "The steady state, as it was found:"
    for one in steady:
        yield visible(f"  {one.get('verdict')}: {one.get('name')}")


def _action(action: Mapping[str, Any]) -> str:
    targets = action.get("targets")
    text = f"{action.get('kind')} {action.get('name')}: {action.get('does')}"
    if action.get("background"):
        text += " (in the background)"
    if targets:
        more = int(action.get("count") or 0) - len(targets)
        text += f"; hits {', '.join(map(str, targets))}" + (f" and {more} more" if more > 0 else "")
    return text


_HELP = "go | skip [WHY] | note TEXT | abort [WHY] | continue (ask no more); Enter shows the values again"
_CHOICES: Mapping[str, Choice] = {
    "g": "go",
    "go": "go",
    "s": "skip",
    "skip": "skip",
    "n": "note",
    "note": "note",
    "a": "abort",
    "abort": "abort",
    "c": "continue",
    "continue": "continue",
}


class TerminalSteps:
    """ports.people.Steps: whoever sits at the terminal."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._asked: Step | None = None

    def ask(self, step: Step, stop: threading.Event) -> StepAnswer | None:
        """Show what comes, the values, and ask; None where nobody waits for it, or nobody is there any more."""
        from sloguard.core.people import StepAnswer

        again = self._asked == step
        head = ["  noted"] if again else list(step_lines(step))
        self._asked = step
        while True:
            typed = self._terminal.ask(head, "? ", stop, values=True)
            if typed is None:
                if stop.is_set():
                    return None
                return StepAnswer(choice="abort", by=person(), text="the terminal was closed")
            answer, said = understood(typed, step)
            if answer is not None:
                return answer
            head = [f"  {said}"] if said else []


def understood(typed: str, step: Step) -> tuple[StepAnswer | None, str]:
    """What a line means, or what to say to it."""
    from sloguard.core.people import NoteError, StepAnswer, note_text

    if not typed:
        return None, ""
    word, rest = [*typed.split(None, 1), ""][:2]
    choice = _CHOICES.get(word.lower())
    if choice is None:
        return None, _HELP
    if choice == "skip" and not step.name:
        return None, "the undo is never left out: go, or abort"
    if choice != "note":
        return StepAnswer(choice=choice, by=person(), text=_reason(rest)), ""
    try:
        text = note_text(rest)
    except NoteError as error:
        return None, f"{error}: note TEXT"
    return StepAnswer(choice=choice, by=person(), text=text), ""


def step_lines(step: Step) -> Iterator[str]:
    """What comes, for a terminal."""
    from sloguard.core.visible import visible

    yield ""
    what = f"{step.kind} {step.name}" if step.name else "the rollbacks, and the undo of all faults"
    yield visible(f"── step {step.number} of {step.count}: {what} ──")
    behind = " (in the background)" if step.background else ""
    if step.about:
        yield visible(f"  {step.about}{behind}")
    if step.targets:
        shown = ", ".join(step.targets[:20])
        more = len(step.targets) - 20
        word = "hits" if step.name else "undone are"
        yield visible(f"  {word} {shown}" + (f" and {more} more" if more > 0 else ""))
    yield f"  {_HELP}"
