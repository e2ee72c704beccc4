"""Step by step: before each activity a person sees what comes, and says go, skip, abort or continue.

Clocks go on while they think, guard rails too: one that trips ends the question and undoes everything.
"""

from __future__ import annotations

import threading

from sloguard.core.events import Note, NoteTaken, StepDecided
from sloguard.core.model import Activity
from sloguard.core.people import Step, StepAnswer
from sloguard.core.text import iso_time
from sloguard.engine.loop import Work
from sloguard.engine.session import STOPPED_WITHIN, Session, Stopped
from sloguard.engine.undo import by_hand
from sloguard.ports.people import Steps


class Stepping:
    """The questions of one method; without anybody to ask nothing is asked."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._steps: Steps | None = session.ports.steps
        self._number = 0

    def before(self, activity: Activity) -> Work[str | None]:
        """Ask about an activity: None to go on with it, else why it is left out. Raises Stopped to abort."""
        if self._steps is None:
            return None
        self._number += 1
        answer = yield from self._answered(self._steps, self._step(activity))
        if answer.choice != "skip":
            return None
        why = f": {answer.text}" if answer.text else ""
        return self._session.masker.text(f"left out by {answer.by or 'a person'}{why}")

    def before_undoing(self) -> Work[None]:
        """Ask before the rollbacks and the undo, where there is anything to undo."""
        session = self._session
        if self._steps is None or not (session.experiment.rollbacks or session.injected):
            return
        self._number += 1
        targets = tuple(f"{e.intent.fault} on {e.intent.target}" for e in session.injected)
        about = ", ".join(activity.name for activity in session.experiment.rollbacks)
        step = Step(
            number=self._number,
            count=self._count(),
            name="",
            kind="undo",
            about=session.masker.text(about),
            targets=targets,
        )
        yield from self._answered(self._steps, step)

    def _count(self) -> int:
        return len(self._session.experiment.method) + 1

    def _step(self, activity: Activity) -> Step:
        session = self._session
        plan = session.plans.get(activity.key)
        about = plan.summary if plan is not None and plan.summary else by_hand(activity.provider)
        targets = () if plan is None else tuple(i.shown for i in plan.injections)
        return Step(
            number=self._number,
            count=self._count(),
            name=session.masker.text(activity.name),
            kind=activity.kind,
            about=session.masker.text(about),
            targets=tuple(session.masker.text(target) for target in targets),
            background=activity.background,
        )

    def _answered(self, steps: Steps, step: Step) -> Work[StepAnswer]:
        """What to do; notes are kept and it is asked again."""
        session, asked = self._session, self._session.now()
        what = step.name or "the undo"
        yield Note(asked, "info", f"waits for a person before step {step.number}: {what}")
        while True:
            answer = yield from self._heard(steps, step)
            text = session.masker.text(answer.text)
            answer = StepAnswer(choice=answer.choice, by=session.masker.text(answer.by), text=text)
            if answer.choice != "note":
                break
            if text:
                yield NoteTaken(session.now(), text, answer.by)
        yield StepDecided(session.now(), step, answer, asked)
        session.steps.append(
            {
                "step": step.name or "undo",
                "choice": answer.choice,
                "by": answer.by,
                "at": iso_time(session.now()),
                "waited_seconds": round(session.now() - asked, 3),
                "text": text,
            }
        )
        if answer.choice == "continue":
            self._steps = None
        if answer.choice == "abort":
            why = f": {text}" if text else ""
            session.ask(f"stopped by {answer.by or 'a person'} before {what}{why}")
            session.check()
        return answer

    def _heard(self, steps: Steps, step: Step) -> Work[StepAnswer]:
        session, stop = self._session, threading.Event()
        task = session.begin(lambda: steps.ask(step, stop), stop, f"step {step.number}")
        try:
            yield from session.until(task.done)
        except Stopped:
            stop.set()
            yield from session.until(task.done, STOPPED_WITHIN, stoppable=False)
            raise
        finally:
            stop.set()
        try:
            answer = task.result()
        except Exception as error:  # noqa: BLE001 - without anybody to ask it does not go on by itself
            return StepAnswer(choice="abort", text=f"nobody can be asked: {error}")
        return answer or StepAnswer(choice="abort", text="nobody answers")
