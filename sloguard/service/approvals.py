"""Approvals by others: a run waits on the store, and people decide there by a link, a page or a command."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from sloguard.core.model import Approval, Experiment
from sloguard.core.people import LONGEST_REASON as LONGEST
from sloguard.core.people import Answer, Ask, Decision, Voice, name_text, note_text
from sloguard.ports import OutsideError
from sloguard.ports.people import (
    AskOver,
    Asks,
    AskState,
    Link,
    MayNot,
    NothingAsked,
    StoredAsk,
)

log = logging.getLogger(__name__)

#: How often a waiting run looks whether it was decided, seconds.
LOOK_SECONDS = 1.0
#: Who decides by a link is known by the channel that it was sent to.
BY_LINK = "link:"


def has_to_be_approved(experiment: Experiment, directories: Iterable[str]) -> bool:
    """Whether it is in one of the directories whose experiments have to be, also by another name of its file."""
    if not experiment.source:
        return False
    file = Path(experiment.source).absolute()
    names = {file, file.resolve()}
    for directory in directories:
        place = Path(directory).expanduser().absolute()
        if any(name.is_relative_to(one) for name in names for one in {place, place.resolve()}):
            return True
    return False


def needed(experiment: Experiment, directories: Iterable[str]) -> Approval | None:
    """What has to be approved by the settings, beside what the experiment says. Its own names, time and number
    count as well; that it need not be does not."""
    if not has_to_be_approved(experiment, directories):
        return None
    own = experiment.approval
    if own is None:
        return Approval()
    return Approval(by=own.by, within=own.within, minimum=own.minimum)


class StoredApprovals:
    """ports.people.Approvals over a store. ``requester``: who started the run; ``reach``: how people are reached,
    in words."""

    def __init__(
        self,
        asks: Asks,
        *,
        requester: str,
        reach: str,
        now: Callable[[], float] = time.time,
        look: float = LOOK_SECONDS,
    ) -> None:
        self._asks, self._requester, self._reach = asks, requester, reach
        self._now, self._look = now, look

    def open(self, ask: Ask) -> str:
        """Keep it where others see it."""
        self._asks.open_ask(ask, requester=self._requester)
        return self._reach

    def decide(self, ask: Ask, stop: threading.Event) -> Decision:
        """Look until it is decided. A store that is away for a while is waited for."""
        while True:
            late = self._now() >= ask.until
            try:
                found = self._asks.ask(ask.id)
            except OutsideError as error:
                log.warning("whether run %s is approved cannot be told: %s", ask.run, error)
            else:
                if found is None:
                    return Decision(answer="", reason="the run was deleted from the store")
                if found.state is AskState.WITHDRAWN:
                    return Decision(answer="", reason=found.detail)
                if found.decision.answer or found.state is AskState.EXPIRED:
                    return found.decision
            if late or stop.wait(self._look):
                return Decision(answer="")

    def withdraw(self, ask: Ask, why: str) -> None:
        """Nobody waits for it any more."""
        late = self._now() >= ask.until
        self._asks.end_ask(ask.id, AskState.EXPIRED if late else AskState.WITHDRAWN, why)


class ApprovalDesk:
    """Where people decide. ``four_eyes``: a requester may not approve their own run."""

    def __init__(
        self, asks: Asks, *, four_eyes: bool = False, now: Callable[[], float] = time.time
    ) -> None:
        self._asks, self._four_eyes, self._now = asks, four_eyes, now

    def decide(
        self, run: str, answer: Answer, *, by: str, from_: str, reason: str = "", plan: str = ""
    ) -> StoredAsk:
        """Say yes or no to what a run asks for now; ``plan``: the hash of what was looked at, if known.

        Raises NothingAsked, AskOver, MayNot; ValueError for a reason that is too long.
        """
        asked = self._asks.ask_of(run)
        if asked is None:
            raise NothingAsked(f"run {run} does not wait for an approval")
        return self._said(asked, answer, by, from_, reason, plan)

    def opened(self, secret: str, run: str) -> tuple[Link, StoredAsk]:
        """What a link is about, also one that was used or is too old. Raises NothingAsked."""
        link = self._asks.link(secret) if secret else None
        asked = None if link is None else self._asks.ask(link.ask)
        if link is None or asked is None or asked.ask.run != run:
            raise NothingAsked("this link is not, or no longer, good for anything")
        return link, asked

    def decide_by_link(
        self,
        secret: str,
        run: str,
        answer: Answer,
        *,
        from_: str,
        name: str = "",
        reason: str = "",
        plan: str = "",
        known_as: str = "",
    ) -> StoredAsk:
        """The same by a one-time link. ``known_as``: who is logged in beside it, and counts in its place;
        ``name``: who they say they are, which proves nothing and is kept with the reason."""
        link, asked = self.opened(secret, run)
        if link.used_at is not None:
            raise AskOver("this link was used before")
        said = name_text(name)
        if said and not known_as:
            reason = f"{said}: {reason}" if reason else said
        place = f"{from_} by {link.channel}".strip()
        by = known_as or f"{BY_LINK}{link.channel}"
        return self._said(asked, answer, by, place, reason, plan, secret)

    def _said(
        self,
        asked: StoredAsk,
        answer: Answer,
        by: str,
        from_: str,
        reason: str,
        plan: str,
        secret: str = "",
    ) -> StoredAsk:
        ask = asked.ask
        if asked.state is not AskState.WAITING:
            raise AskOver(over(asked))
        if plan and plan != ask.digest:
            raise AskOver("what would be hit has changed since you looked: look again")
        if ask.by and by not in ask.by:
            raise MayNot(f"{by} may not decide this; those who may: {', '.join(ask.by)}")
        if self._four_eyes and answer == "approved" and by == asked.requester:
            raise MayNot(f"{by} has started this run; somebody else has to approve it")
        voice = Voice(
            by=by,
            answer=answer,
            at=self._now(),
            from_=from_,
            reason=note_text(reason, LONGEST) if reason.strip() else "",
        )
        return self._asks.add_voice(ask.id, voice, token=secret)


def over(asked: StoredAsk) -> str:
    """What came of it, in a sentence."""
    names = ", ".join(asked.decision.names)
    match asked.state:
        case AskState.APPROVED | AskState.REFUSED:
            return f"it was {asked.state} by {names}"
        case AskState.EXPIRED:
            return "nobody decided in time, and the run was not started"
        case AskState.WITHDRAWN:
            return f"the run does not wait for it any more: {asked.detail or 'it was withdrawn'}"
    return "it waits for a decision"
