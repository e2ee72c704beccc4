"""Everything injected is undone, every declared rollback is run, whatever happens.

Order: first sloguard's own faults, newest first, then the declared rollbacks in their order. What
sloguard injected came after the state that the author's rollbacks assume (a proxy that a rollback
takes away must still be there while the fault on it is undone), and it is undone within a moment, while
a rollback may pause, be tried again, or have to wait for an activity that is slow to stop. Each undo is tried for a while with growing pauses, and one that
fails keeps none of the others waiting.

All of it can be called again at any point: what is done is not done twice.
"""

from __future__ import annotations

import functools
import logging
import threading
import uuid
from collections.abc import Mapping
from typing import Any

from sloguard.core.model import Activity, ActivityStatus, FaultRecord
from sloguard.engine.activities import Activities, journal_run
from sloguard.engine.controls import Controls
from sloguard.engine.injection import context_of
from sloguard.engine.ledger import Injected
from sloguard.engine.loop import Background, Work
from sloguard.engine.session import Session
from sloguard.engine.toolkit import not_rolled_back, rollback_strategy, rolls_back

log = logging.getLogger(__name__)

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 10.0


def undoing(session: Session, activities: Activities, controls: Controls) -> Work[None]:
    """Stop what still runs, undo, roll back, and set the mark ``restored``."""
    if session.undone:
        return
    if session.method_end is None:
        session.method_end = session.now()
    for _, stop in session.running:
        stop.set()
    yield from _undo_all(session)
    yield from _await_running(session)
    if session.method_hooks_open:
        session.method_hooks_open = False
        state = [journal_run(r) for r in session.records if r.section == "method"]
        yield from controls.apply("method", "after", state=state, stoppable=False)
    yield from _roll_back(session, activities, controls)
    if session.restored is None:
        touched = bool(session.experiment.rollbacks) or any(
            f.status in ("undone", "left") for f in session.faults.values()
        )
        session.restored = session.now() if touched else session.method_end
    session.undone = True


def undoing_last(session: Session, *, patient: bool) -> Work[None]:
    """Undo what outlasts the fault. Without patience it is tried once, and what is left is left to the
    end of the run."""
    if patient:
        yield from _undo_all(session, last=True)
        return
    for entry in [e for e in session.injected if e.lasts and not e.over]:
        yield from _undo_one(session, entry)


def rolling_back(session: Session, activities: Activities, controls: Controls) -> Work[None]:
    """The declared rollbacks of a run that has not begun, where the Chaos Toolkit's policy says so."""
    if _asked_for(session):
        yield from _roll_back(session, activities, controls)


def _await_running(session: Session) -> Work[None]:
    """Whatever still goes on has this long to end before the declared rollbacks begin."""
    yield from session.until(
        lambda: all(task.done() for task, _ in session.running),
        session.options.stop_grace,
        stoppable=False,
    )


def _undo_all(session: Session, *, last: bool = False) -> Work[None]:
    """In rounds over all that is left, so that a stubborn one does not keep the rest waiting."""
    options = session.options
    deadline, pause, rounds = session.now() + options.undo_patience, _FIRST_PAUSE, 0

    def left() -> list[Injected]:
        return [e for e in reversed(session.injected) if not e.over and e.lasts is last]

    while pending := left():
        for entry in pending:
            yield from _undo_one(session, entry)
        rounds += 1
        if all(entry.over for entry in pending):
            return
        if rounds >= options.undo_attempts and session.now() >= deadline:
            break
        # A pause here is not cut short: it is what gives the other side time to come back.
        yield from session.until(lambda: False, pause, stoppable=False)
        pause = min(pause * 2, _LONGEST_PAUSE)
    for entry in pending:
        if not entry.over:
            entry.over = True
            error = session.masker.text(entry.error)
            mark = functools.partial(session.ports.ledger.mark, entry.intent.id, "failed", error)
            session.keep(mark, f"left {entry.intent.target}")
            if entry.lasts and entry.injected_at is None and entry.task is not None:
                text = f"whether there is a silence is not known ({entry.error}); {entry.by_hand}"
                session.say("warning", text)
            else:
                yield session.tell(entry.told("left", detail=entry.error))


def _undo_one(session: Session, entry: Injected) -> Work[None]:
    """One attempt. An injection that has not ended is undone, and then once more when it has."""
    injecting = entry.injecting
    context = context_of(session, threading.Event())
    task = session.loop.submit(
        lambda: entry.fault().undo(entry.record, context),
        f"undo {entry.intent.fault} {entry.intent.target}",
    )
    if not (yield from session.until(task.done, session.options.undo_timeout, stoppable=False)):
        context.stop.set()
        entry.error = f"no end of the undo after {session.options.undo_timeout:g}s"
        return
    try:
        done = task.result()
    except Exception as error:  # noqa: BLE001 - any failure is tried again, then reported as left
        entry.error = str(error) or type(error).__name__
        session.say("warning", f"undoing {entry.intent.fault} on {entry.intent.target}: {error}")
        return
    if injecting:
        entry.error = "its injection has not ended"
        return
    entry.over = True
    session.keep(
        lambda: session.ports.ledger.mark(entry.intent.id, "undone", session.masker.text(done)),
        f"undone {entry.intent.target}",
    )
    if entry.lasts:
        session.say("info", done or "no silence was left to end")
        return
    status = "undone" if done else "nothing-to-undo"
    yield session.tell(entry.told(status, session.now(), done))


def _roll_back(session: Session, activities: Activities, controls: Controls) -> Work[None]:
    """The declared rollbacks in their order; background ones beside them, and waited for."""
    left = [a for a in session.experiment.rollbacks if a.key not in session.rolled_back]
    # As in the Chaos Toolkit the hooks are called also where nothing is declared.
    if not left and session.experiment.rollbacks:
        return
    if not _asked_for(session):
        session.rolled_back.update(activity.key for activity in left)
        if left:
            strategy = rollback_strategy(session.experiment)
            yield session.tell(not_rolled_back(left, strategy))
            session.say("warning", _own_faults(session))
        return
    background = Background()
    try:
        yield from controls.apply("rollback", "before", stoppable=False)
        for activity in left:
            work = _rolled_back(session, activities, activity)
            if activity.background:
                background.start(work)
                yield from background.pump()
            else:
                yield from background.alongside(work)
        yield from background.alongside(session.until(lambda: not background.busy, stoppable=False))
        state = [journal_run(r) for r in session.records if r.section == "rollbacks"]
        yield from controls.apply("rollback", "after", state=state, stoppable=False)
    finally:
        background.close()


def _asked_for(session: Session) -> bool:
    """Whether declared rollbacks are carried out: always, but where the Chaos Toolkit's policy is asked for."""
    if not session.options.toolkit.compat:
        return True
    return rolls_back(rollback_strategy(session.experiment), session.ending())


def _own_faults(session: Session) -> str:
    said = "the declared rollbacks are not carried out"
    if not session.injected:
        return said
    return f"{said}; what sloguard itself has injected is undone all the same"


def _rolled_back(session: Session, activities: Activities, activity: Activity) -> Work[None]:
    """One rollback, tried again with growing pauses; one that fails for good is left, and told."""
    pause, error = _FIRST_PAUSE, ""
    # The Chaos Toolkit tries once.
    attempts = 1 if session.options.toolkit.compat else session.options.rollback_attempts
    for attempt in range(attempts):
        if attempt:
            yield from session.until(lambda: False, pause, stoppable=False)
            pause = min(pause * 2, _LONGEST_PAUSE)
        try:
            record = yield from activities.carry_out(
                activity, "rollbacks", stoppable=False, timeout=session.options.rollback_timeout
            )
        except Exception as broken:
            log.exception("rollback %s", activity.name)
            error = f"{type(broken).__name__}: {broken}"
            continue
        if record.status in (ActivityStatus.SUCCEEDED, ActivityStatus.SKIPPED):
            session.rolled_back.add(activity.key)
            return
        error = record.error or str(record.status)
    session.rolled_back.add(activity.key)
    yield session.tell(left_rollback(activity, error))


def left_rollback(activity: Activity, error: str) -> FaultRecord:
    """A declared rollback that did not work, as something left behind."""
    return FaultRecord(
        id=uuid.uuid4().hex,
        fault="rollback",
        target=activity.name,
        status="left",
        detail=error,
        by_hand=by_hand(activity.provider),
    )


def by_hand(provider: Mapping[str, Any]) -> str:
    """What a person would do in an activity's place, from the declaration: ``${x}`` stay as they are."""
    kind, arguments = provider.get("type"), provider.get("arguments")
    if kind == "process":
        path = str(provider.get("path", ""))
        if isinstance(arguments, Mapping):
            words = [
                str(w) for pair in arguments.items() for w in pair if w is not None and w != ""
            ]
        elif isinstance(arguments, list | tuple):
            words = [str(w) for w in arguments]
        else:
            words = [str(arguments)] if arguments else []
        return " ".join([path, *words])
    if kind == "http":
        return f"{provider.get('method', 'GET')} {provider.get('url', '')}"
    shown = ", ".join(f"{k}={v!r}" for k, v in dict(arguments or {}).items())
    return f"python: {provider.get('module')}.{provider.get('func')}({shown})"
