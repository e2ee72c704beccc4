"""Approval: people see what will be hit, after the gate and before the first fault, and agree or do not.

While they think no target is locked. So before anything is injected it is looked once more: at every plan, and
where it took them long at the steady state too, for that of half an hour ago is no evidence. Where something
else would be hit by then than they have agreed to, they are asked again.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from typing import Protocol

from sloguard.core.events import ApprovalAsked, ApprovalDecided, Note, Waiting
from sloguard.core.model import Approval, Json
from sloguard.core.people import Ask, Decision
from sloguard.core.text import format_duration, iso_time
from sloguard.engine.approved import targets_of
from sloguard.engine.loop import Work
from sloguard.engine.session import STOPPED_WITHIN, NotStarted, Session, Stopped
from sloguard.engine.shown_plan import plan_digest, shown_plan
from sloguard.ports import OutsideError
from sloguard.ports.people import Approvals

#: A steady state that was found longer ago is looked for again, seconds.
STALE = 60.0
#: Targets that never hold still are nothing that anybody could agree to.
MOST_ASKS = 5
#: An answer that came in time may take this long to be heard of, seconds.
_GRACE = 5.0

_NOBODY = (
    "it has to be approved, and nobody can be asked here: run it at a terminal with --approve, or with "
    "--approve-by-link"
)


class Look(Protocol):
    """Preflight, and the gate where it is wanted."""

    def __call__(self, *, at_the_steady_state: bool) -> Work[None]: ...


def wanted(session: Session) -> Approval | None:
    """What has to be approved; None where nothing has."""
    declared = session.experiment.approval
    if declared is not None and declared.required:
        return declared
    return session.options.approval


def somebody_to_ask(session: Session) -> None:
    """Raises NotStarted at once where nobody could approve, before anybody waits for a gate."""
    if wanted(session) is not None and session.ports.approvals is None:
        raise NotStarted(_NOBODY)


def approving(session: Session, look: Look) -> Work[None]:
    """Raises NotStarted unless the plan is approved. The targets are locked again when this returns."""
    approval, approvals = wanted(session), session.ports.approvals
    if approval is None or approvals is None:
        return
    began, again = session.now(), ""
    for _ in range(MOST_ASKS):
        ask = _ask(session, approval, began, again)
        looked = session.now()
        yield from _decided(session, approvals, ask, began)
        stale = session.now() - looked > STALE
        yield Note(session.now(), "info", _looking_again(stale))
        yield from look(at_the_steady_state=stale)
        if plan_digest(session) == ask.digest:
            session.approved = {key: targets_of(plan) for key, plan in session.plans.items()}
            return
        again = "what would be hit has changed since it was approved"
        yield Note(session.now(), "warning", f"{again}: it is asked for once more")
    raise NotStarted(f"what would be hit changed {MOST_ASKS} times while it was approved")


def _looking_again(stale: bool) -> str:
    also = ", and at the steady state, which was found too long ago" if stale else ""
    return f"approved: looks again at what will be hit{also}"


def _ask(session: Session, approval: Approval, began: float, again: str) -> Ask:
    options = session.options
    within = options.approval_within if approval.within is None else approval.within
    # People and their store go by the clock of this machine.
    offset = session.loop.offset
    return Ask(
        id=uuid.uuid4().hex,
        run=session.run,
        title=session.masker.text(session.experiment.title),
        digest=plan_digest(session),
        plan=shown_plan(session),
        asked_at=round(session.now() - offset, 3),
        until=round(began + within - offset, 3),
        minimum=options.approval_minimum if approval.minimum is None else approval.minimum,
        by=approval.by,
        again=again,
    )


def _decided(session: Session, approvals: Approvals, ask: Ask, began: float) -> Work[None]:
    """Wait; raises NotStarted for anything but a yes, Stopped where the run is aborted meanwhile."""
    try:
        how = yield from session.attempt(lambda: approvals.open(ask), "asking for approval")
    except OutsideError as error:
        raise NotStarted(f"approval could not be asked for: {error}") from None
    session.ports.locks.release()
    watcher = session.watcher
    if watcher is not None:
        watcher.phase = None
    until = ask.until + session.loop.offset
    yield ApprovalAsked(session.now(), ask)
    yield Waiting(
        session.now(),
        f"approval ({session.masker.text(how)}); no target is locked meanwhile",
        until,
    )
    try:
        decision = yield from _heard(session, approvals, ask, until)
    except Stopped as stopped:
        yield from _withdrawn(session, approvals, ask, f"the run was stopped: {stopped}")
        raise
    yield ApprovalDecided(session.now(), ask.id, ask.digest, decision)
    session.approval = record(ask, decision, session.now() - began)
    if decision.answer == "approved":
        return
    if decision.answer == "refused":
        why = f": {decision.reason}" if decision.reason else ""
        raise NotStarted(session.masker.text(f"refused by {', '.join(decision.names)}{why}"))
    within = format_duration(round(max(session.now() - began, 0.0)))
    why = decision.reason or f"nobody decided within {within}"
    yield from _withdrawn(session, approvals, ask, why)
    raise NotStarted(session.masker.text(f"not approved: {why}"))


def _heard(session: Session, approvals: Approvals, ask: Ask, until: float) -> Work[Decision]:
    stop = threading.Event()
    task = session.begin(lambda: approvals.decide(ask, stop), stop, "waiting for approval")
    try:
        if not (yield from session.until(task.done, until + _GRACE - session.now())):
            return Decision(answer="")
        return task.result()
    except OutsideError as error:
        return Decision(answer="", reason=f"it cannot be told what was decided: {error}")
    except Stopped:
        stop.set()
        yield from session.until(task.done, STOPPED_WITHIN, stoppable=False)
        raise
    finally:
        stop.set()


def _withdrawn(session: Session, approvals: Approvals, ask: Ask, why: str) -> Work[None]:
    try:
        yield from session.attempt(
            lambda: approvals.withdraw(ask, why), "withdrawing", stoppable=False
        )
    except OutsideError as error:
        session.say("info", f"the question stays open until it is too late: {error}")


def record(ask: Ask, decision: Decision, waited: float) -> Mapping[str, Json]:
    """What the verdict keeps of it."""
    return {
        "answer": decision.answer or "none",
        "plan": ask.digest,
        "asked_at": iso_time(ask.asked_at),
        "waited_seconds": round(max(waited, 0.0), 3),
        "minimum": ask.minimum,
        "voices": [
            {
                "by": voice.by,
                "answer": voice.answer,
                "at": iso_time(voice.at),
                "from": voice.from_,
                "reason": voice.reason,
            }
            for voice in decision.voices
        ],
    }
