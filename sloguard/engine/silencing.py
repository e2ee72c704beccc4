"""The silence of an experiment: made once the fault has begun, ended as soon as all is undone.

It is in the ledger as a fault is, so that whoever is killed in between leaves none behind. Nothing waits
for Alertmanager: it is made beside the method and ended beside ``after``.
"""

from __future__ import annotations

import threading

from sloguard.core.text import format_time
from sloguard.engine.injection import context_of
from sloguard.engine.ledger import Injected
from sloguard.engine.loop import Work
from sloguard.engine.session import Session
from sloguard.engine.undo import undoing_last
from sloguard.faults import silencing
from sloguard.faults.base import Injection
from sloguard.faults.silencing import NAME, silence

#: A silence of less than this is not worth making, seconds.
_SHORTEST = 1.0


def making_silence(session: Session) -> Work[None]:
    """Once the fault has begun. What goes wrong is told, and the run goes on. Raises Stopped."""
    declared = session.experiment.alerts.silence
    if declared is None:
        return
    yield from session.until(lambda: session.fault is not None)
    until = (session.fault or session.now()) + declared.at_most
    seconds = until - session.now()
    if seconds < _SHORTEST:
        return
    said = f"{declared.comment}: " if declared.comment else ""
    arguments = {
        "matchers": [matcher.plain for matcher in declared.matchers],
        "seconds": seconds,
        "until": round(until, 3),
        "comment": f"{said}{session.experiment.title} (run {session.run})",
    }
    stop = threading.Event()
    plan = silence.fault.plan(arguments, context_of(session, stop))
    yield from _made(session, plan.injections[0], stop, until)


def _made(
    session: Session, injection: Injection, stop: threading.Event, until: float
) -> Work[None]:
    ledger, made = session.ports.ledger, silence.fault
    entry = Injected.planned(session.run, "alerts.silence", made, silencing.__name__, injection)
    entry.stop = stop
    session.injected.append(entry)
    if not session.keep(lambda: ledger.intend(entry.intent), "a silence"):
        session.injected.remove(entry)
        return
    context = context_of(session, stop)
    context.save = lambda record: entry.save(ledger, record)
    # Not among what has to end before the rollbacks: these do not wait for an Alertmanager.
    entry.task = session.loop.submit(lambda: made.inject(injection, context), NAME)
    yield from session.until(entry.task.done)
    try:
        entry.task.result()
    except Exception as error:  # noqa: BLE001 - without a silence the run is as it would be without it
        session.say("warning", f"the silence could not be made: {error}")
        return
    entry.injected_at = session.now()
    session.keep(lambda: ledger.mark(entry.intent.id, "injected"), "the silence was made")
    session.say(
        "info", f"silenced {injection.target} in Alertmanager, until {format_time(until)} at most"
    )


def ending_silence(session: Session, *, patient: bool) -> Work[None]:
    """End it. ``patient``: try for as long as any undo is tried, and tell it as left if that fails."""
    yield from undoing_last(session, patient=patient)
