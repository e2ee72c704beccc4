"""What people are asked and say while a run goes on: approval of a plan, a step, an observation.

Times are seconds since the epoch, UTC. Texts are masked before they get here, and are other people's: whoever
shows them escapes them.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sloguard.core.jsonable import dump
from sloguard.core.model import Json

#: Characters of a note, and of the reason of a decision.
LONGEST_NOTE, LONGEST_REASON = 2000, 500

Answer = Literal["approved", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Approval is asked for. ``id``: of this question, of which a run can have several, one after the other.

    ``plan``: JSON for people, see ``engine.approving``; ``digest``: what was asked about, as a hash of what
    will be done and to what. ``until``: when it is too late. ``minimum``: so many different people have to
    agree; ``by``: only these may (empty: whoever may start runs). ``again``: why it is asked once more.
    """

    id: str
    run: str
    title: str
    digest: str
    plan: Mapping[str, Json]
    asked_at: float
    until: float
    minimum: int = 1
    by: tuple[str, ...] = ()
    again: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """What one person said: ``by`` as the audit log names them, ``from_``: an address, or how they were reached."""

    by: str
    answer: Answer
    at: float
    from_: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What came of an ask. ``answer`` empty: nobody decided."""

    answer: Answer | Literal[""]
    voices: tuple[Voice, ...] = ()
    reason: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Those who said what was decided."""
        return tuple(voice.by for voice in self.voices if voice.answer == self.answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What comes next, and waits for a person. ``name`` empty: the rollbacks and the undo."""

    number: int
    count: int
    name: str
    kind: str = ""
    about: str = ""
    targets: tuple[str, ...] = ()
    background: bool = False


Choice = Literal["go", "skip", "note", "abort", "continue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepAnswer:
    """What a person wants. ``text``: of a note, or why."""

    choice: Choice
    by: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNote:
    """An observation that somebody attached to a run. ``at``: what it is about; ``written_at``: when it was
    said. ``origin``: step, cli, api or page."""

    run: str
    text: str
    at: float
    by: str
    written_at: float
    origin: str = ""
    where: str = ""
    number: int = 0


def digest_of(plan: Mapping[str, Any]) -> str:
    """A hash of what will be done and to what: 64 hexadecimal digits."""
    return hashlib.sha256(dump(_sorted(plan)).encode()).hexdigest()


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _sorted(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list | tuple):
        return [_sorted(one) for one in value]
    return value


class NoteError(ValueError):
    """A text that is no note. Says why."""


def note_text(text: str, most: int = LONGEST_NOTE) -> str:
    """A text as it is kept: line breaks stay, everything else that no page or terminal shows is left out.

    Raises NoteError for one that is empty or too long.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    kept = "\n".join("".join(filter(_shows, line)).rstrip() for line in lines).strip()
    if not kept:
        raise NoteError("a note needs a text")
    if len(kept) > most:
        raise NoteError(f"{len(kept)} characters, at most {most}")
    return kept


def name_text(text: str, most: int = 80) -> str:
    """A name on one line, cut to what fits."""
    return " ".join("".join(c if _shows(c) else " " for c in text).split())[:most]


def _shows(character: str) -> bool:
    """Not: control, format (bidirectional overrides, zero width), surrogates, private, separators of lines."""
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
