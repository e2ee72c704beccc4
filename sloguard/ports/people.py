"""People in the loop: who is asked before a fault, who goes through it step by step, and what they write down.

``Approvals`` and ``Steps`` are what the engine asks; ``People`` is what keeps asks, voices, one-time tokens
and notes. Times are seconds since the epoch, UTC.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from sloguard.core.people import Answer, Ask, Decision, RunNote, Step, StepAnswer, Voice
from sloguard.ports.service import ServiceError


class Approvals(Protocol):
    """Where approval comes from: a terminal, or a store in which others decide."""

    def open(self, ask: Ask) -> str:
        """Ask; how people can answer, in words. Raises OutsideError where nobody can be asked."""
        ...

    def decide(self, ask: Ask, stop: threading.Event) -> Decision:
        """Wait until it is decided, ``stop`` is set or it is too late. Blocking, called beside the loop."""
        ...

    def withdraw(self, ask: Ask, why: str) -> None:
        """Nobody waits for an answer any more. Raises OutsideError."""
        ...


class Steps(Protocol):
    """A person who goes through the method step by step."""

    def ask(self, step: Step, stop: threading.Event) -> StepAnswer | None:
        """Show what comes and ask; None once ``stop`` is set. Blocking, called beside the loop."""
        ...


class AskState(StrEnum):
    """Where an ask stands. The last four are its end."""

    WAITING = "waiting"
    APPROVED = "approved"
    REFUSED = "refused"
    #: Nobody decided in time.
    EXPIRED = "expired"
    #: The run ended, or asks anew.
    WITHDRAWN = "withdrawn"


_DECIDED: Mapping[AskState, Answer] = {
    AskState.APPROVED: "approved",
    AskState.REFUSED: "refused",
}


class NothingAsked(ServiceError):
    """No such run or link, or it waits for nobody."""


class AskOver(ServiceError):
    """It was decided, or nobody waits any more. The text says what came of it."""


class TooManyNotes(ServiceError):
    """A run has as many notes as it may."""


class MayNot(ServiceError):
    """This person may not decide this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAsk:
    """An ask as it is kept. ``requester``: who started the run; ``detail``: why it ended, where nobody decided."""

    ask: Ask
    state: AskState
    requester: str = ""
    voices: tuple[Voice, ...] = ()
    decided_at: float | None = None
    detail: str = ""

    @property
    def decision(self) -> Decision:
        """What came of it so far."""
        ended = _DECIDED.get(self.state)
        if ended is None:
            return Decision(answer="", voices=self.voices, reason=self.detail)
        reasons = [v.reason for v in self.voices if v.answer == ended and v.reason]
        return Decision(answer=ended, voices=self.voices, reason="; ".join(reasons))


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A one-time token as it is kept, without its secret. ``channel``: to whom it was sent."""

    ask: str
    channel: str
    expires_at: float
    used_at: float | None = None
    answer: str = ""


class Asks(Protocol):
    """Asks and what was said to them. Safe for several processes at once."""

    def open_ask(self, ask: Ask, *, requester: str = "") -> None:
        """Keep an ask, durably; what the run had asked before is withdrawn."""
        ...

    def ask_of(self, run: str) -> StoredAsk | None:
        """The newest ask of a run, past its time as expired; None where it never asked."""
        ...

    def ask(self, id: str) -> StoredAsk | None:
        """An ask by its id."""
        ...

    def waiting_asks(self) -> Sequence[StoredAsk]:
        """Those that wait for an answer, the oldest first."""
        ...

    def add_voice(self, id: str, voice: Voice, *, token: str = "") -> StoredAsk:
        """Add what one person says, and use up the ``token`` (its secret) it was said with, both or neither.

        One refusal refuses; ``minimum`` different people approve. The same person again counts once.
        Raises AskOver where it is decided or too late, and NothingAsked.
        """
        ...

    def end_ask(self, id: str, state: AskState, detail: str) -> None:
        """It waits no more (expired, withdrawn); one that is decided stays as it is."""
        ...

    def new_link(self, ask: str, channel: str) -> str:
        """A new one-time token of an ask that waits: its secret, told this once. Raises AskOver."""
        ...

    def link(self, secret: str) -> Link | None:
        """What is known of a token, used and expired ones too; None for an unknown one."""
        ...


class RunNotes(Protocol):
    """Observations of people."""

    def add_note(self, note: RunNote) -> RunNote:
        """Keep a note, with the number that it gets. Raises TooManyNotes."""
        ...

    def notes_of(self, run: str) -> Sequence[RunNote]:
        """Those of a run, by the time that they are about."""
        ...


class People(Asks, RunNotes, Protocol):
    """All of it."""
