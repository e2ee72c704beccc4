"""People who answer by a script, in the world's time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from sloguard.core.people import Ask, Decision, Step, StepAnswer, Voice
from sloguard.ports import OutsideError

Wait = Callable[[threading.Event, float], bool]


class FakeApprovals:
    """ports.people.Approvals. ``script``: after so many seconds such a decision, one an ask; None: never."""

    def __init__(self, wait: Wait, *script: tuple[float, Decision] | None) -> None:
        self._wait, self._script = wait, list(script)
        self.asks: list[Ask] = []
        self.withdrawn: list[tuple[str, str]] = []
        self.away = ""
        self.when_asked: Callable[[Ask], Any] = lambda _ask: None
        self.before_answer: Callable[[Ask], Any] = lambda _ask: None

    def open(self, ask: Ask) -> str:
        if self.away:
            raise OutsideError(self.away)
        self.asks.append(ask)
        self.when_asked(ask)
        return "by script"

    def decide(self, ask: Ask, stop: threading.Event) -> Decision:
        entry = self._script.pop(0)
        seconds, decision = entry or (1e9, Decision(answer=""))
        if self._wait(stop, seconds):
            return Decision(answer="")
        self.before_answer(ask)
        return decision

    def withdraw(self, ask: Ask, why: str) -> None:
        self.withdrawn.append((ask.id, why))


class FakeSteps:
    """ports.people.Steps. ``script``: after so many seconds such an answer."""

    def __init__(self, wait: Wait, script: Sequence[tuple[float, StepAnswer]]) -> None:
        self._wait, self._script = wait, list(script)
        self.asked: list[Step] = []
        self.stopped = 0

    def ask(self, step: Step, stop: threading.Event) -> StepAnswer | None:
        self.asked.append(step)
        seconds, answer = self._script.pop(0)
        if self._wait(stop, seconds):
            self.stopped += 1
            return None
        return answer


def yes(by: str = "user:ada", reason: str = "") -> Decision:
    return Decision(
        answer="approved",
        voices=(Voice(by=by, answer="approved", at=1.0, from_="10.0.0.7", reason=reason),),
        reason=reason,
    )


def no(by: str = "user:ada", reason: str = "") -> Decision:
    return Decision(
        answer="refused",
        voices=(Voice(by=by, answer="refused", at=1.0, from_="10.0.0.7", reason=reason),),
        reason=reason,
    )


def step_answer(choice: Any, text: str = "", by: str = "ada@desk") -> StepAnswer:
    return StepAnswer(choice=choice, text=text, by=by)
