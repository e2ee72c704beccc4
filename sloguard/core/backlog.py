"""The hypothesis backlog: what could go wrong, how much it matters, and what runs have said about it.

The file is people's and says what they know; what runs say is worked out of the runs each time and kept
nowhere else. A run tests a hypothesis where it bears its tag (``backlog: ID`` in the experiment gives it one), or
where the hypothesis names the run's file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any, NamedTuple

#: Before the id of a hypothesis: the tag of the runs that test it.
TAG = "backlog:"
ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
#: Steps of likelihood and of impact, and the words for them.
SCALE: Mapping[str, int] = {"very low": 1, "low": 2, "medium": 3, "high": 4, "very high": 5}
STEPS = tuple(SCALE.values())
#: From this risk on (likelihood x impact, 1 to 25) it is one of this level.
LEVELS = (("high", 12), ("medium", 6), ("low", 1))
_ENDING = re.compile(r"\.(?:ya?ml|json)$")
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._*?\[\]-]+")


class Status(StrEnum):
    """Of a hypothesis. ``refuted``: a weakness was found and is still to be mended."""

    REFUTED = "refuted"
    RUNNING = "running"
    OPEN = "open"
    PLANNED = "planned"
    CONFIRMED = "confirmed"
    ACCEPTED = "accepted"
    DROPPED = "dropped"


#: What people may write. That a run is under way only runs know.
WRITABLE = tuple(s for s in Status if s is not Status.RUNNING)
#: What people decided; no run changes it.
SETTLED = (Status.ACCEPTED, Status.DROPPED)
#: What nobody knows yet.
UNKNOWN = (Status.OPEN, Status.PLANNED, Status.RUNNING)
#: The outcomes that answer the question, with the answer.
ANSWERS: Mapping[str, Status] = {"met": Status.CONFIRMED, "deviated": Status.REFUTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """One entry of the file. ``likelihood`` and ``impact``: 1 to 5. ``status``: as it is written there.

    ``experiments``: files or patterns, as written. ``last_run``: the run that gave the written status.
    """

    id: str
    hypothesis: str
    likelihood: int
    impact: int
    title: str = ""
    services: tuple[str, ...] = ()
    status: Status = Status.OPEN
    owner: str = ""
    experiments: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    notes: str = ""
    last_run: str = ""
    line: int = 0

    @property
    def risk(self) -> int:
        """Likelihood times impact: 1 to 25."""
        return self.likelihood * self.impact

    @property
    def level(self) -> str:
        """``high``, ``medium`` or ``low``."""
        return level_of(self.risk)

    @property
    def name(self) -> str:
        """Its title, else the hypothesis itself."""
        return self.title or self.hypothesis

    @property
    def tag(self) -> str:
        """The tag of the runs that test it."""
        return TAG + self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """All hypotheses in the order of their file."""

    hypotheses: tuple[Hypothesis, ...] = ()
    title: str = ""
    file: str = ""

    @property
    def ids(self) -> tuple[str, ...]:
        """In the order of the file."""
        return tuple(one.id for one in self.hypotheses)

    def get(self, id: str) -> Hypothesis | None:
        """The hypothesis with this id."""
        return next((one for one in self.hypotheses if one.id == id), None)


class Attempt(NamedTuple):
    """A run that tests a hypothesis. ``state``: its outcome, running or interrupted. Seconds since the epoch."""

    run: str
    experiment: str
    title: str
    source: str
    tags: tuple[str, ...]
    started_at: float
    ended_at: float | None
    state: str
    reason: str

    @property
    def answer(self) -> Status | None:
        """What it says of the hypothesis; None: nothing."""
        return ANSWERS.get(self.state) if self.ended_at is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """An experiment that there is. ``hypotheses``: the ids that it names itself."""

    name: str
    file: str
    title: str = ""
    hypotheses: tuple[str, ...] = ()
    valid: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How it stands with a hypothesis.

    ``decided``: the newest run that answered. ``attempts``: all runs that are known of it, newest first.
    ``experiments``: those that there are and test it.
    """

    hypothesis: Hypothesis
    status: Status
    decided: Attempt | None = None
    attempts: tuple[Attempt, ...] = ()
    experiments: tuple[Offered, ...] = ()

    @property
    def unanswered(self) -> tuple[Attempt, ...]:
        """Runs after the deciding one that said nothing and are over; newest first."""
        later = (
            self.attempts
            if self.decided is None
            else self.attempts[: self.attempts.index(self.decided)]
        )
        return tuple(a for a in later if a.state != "running")

    @property
    def to_write(self) -> Status | None:
        """The status that runs give it, where the file says another one."""
        one = self.hypothesis
        answer = self.decided.answer if self.decided else None
        return None if answer is None or one.status in (*SETTLED, answer) else answer


def level_of(risk: int) -> str:
    """``high``, ``medium`` or ``low``."""
    return next(name for name, least in LEVELS if risk >= least)


def tags_of(ids: Iterable[str]) -> tuple[str, ...]:
    """The tags of runs that test these hypotheses."""
    return tuple(TAG + one for one in ids)


def ids_in(tags: Iterable[str]) -> tuple[str, ...]:
    """The hypotheses that these tags name."""
    return tuple(dict.fromkeys(tag[len(TAG) :] for tag in tags if tag.startswith(TAG)))


def answers(tags: Iterable[str], outcome: str) -> tuple[str, ...]:
    """What a run with this outcome says of the hypotheses that its tags name, a line each."""
    said = ANSWERS.get(outcome)
    told = str(said) if said else f"as it was: a run that is {outcome} says nothing of it"
    return tuple(f"hypothesis {one}: {told}" for one in ids_in(tags))


def declared_ids(declared: Any) -> tuple[str, ...]:
    """The ids under ``backlog`` of an experiment's document; what fits nowhere is left out."""
    found = declared.get("backlog") if isinstance(declared, Mapping) else None
    ids = found if isinstance(found, list | tuple) else [found]
    texts = (str(one).strip() for one in ids if isinstance(one, str | int | float))
    return tuple(one for one in texts if re.fullmatch(ID_PATTERN, one))


@lru_cache(maxsize=4096)
def names_file(pattern: str, file: str) -> bool:
    """Whether a pattern of the backlog means this file: its path ends so, part by part.

    A run may have read its file elsewhere than the backlog stands; so much of the path has to be the same
    as the pattern gives. Remembered: many runs are of few files.
    """
    tail = "/".join(part for part in pattern.split("/") if part not in ("", ".", ".."))
    if not tail or not file:
        return False
    if pattern.startswith("/"):
        return fnmatchcase(file, pattern)
    return PurePosixPath(file).match(tail)


def may_be_named(pattern: str, name: str) -> bool:
    """Whether runs of an experiment of this name (in a catalogue, else its file's) may be meant."""
    stem = _NOT_IN_A_NAME.sub("-", _ENDING.sub("", pattern.rpartition("/")[2])).strip("-")
    return bool(stem) and (fnmatchcase(name, stem) or fnmatchcase(name, f"*.{stem}"))


def is_tested_by(hypothesis: Hypothesis, ids: Iterable[str], file: str) -> bool:
    """Whether what names these ids, and is in this file, tests it."""
    return hypothesis.id in ids or any(names_file(p, file) for p in hypothesis.experiments)


def standing(
    hypothesis: Hypothesis, attempts: Sequence[Attempt], offered: Sequence[Offered]
) -> Standing:
    """``attempts``: any runs; those that do not test it are left out."""
    mine = [a for a in attempts if is_tested_by(hypothesis, ids_in(a.tags), a.source)]
    # The ids of runs of the same second are in no order.
    mine = sorted({a.run: a for a in mine}.values(), key=_began, reverse=True)
    decided = next((a for a in mine if a.answer is not None), None)
    return Standing(
        hypothesis=hypothesis,
        status=_status(hypothesis, mine, decided),
        decided=decided,
        attempts=tuple(mine),
        experiments=tuple(o for o in offered if is_tested_by(hypothesis, o.hypotheses, o.file)),
    )


def _began(attempt: Attempt) -> tuple[float, str]:
    return attempt.started_at, attempt.run


def _status(hypothesis: Hypothesis, mine: Sequence[Attempt], decided: Attempt | None) -> Status:
    if hypothesis.status in SETTLED:
        return hypothesis.status
    if any(a.state == "running" for a in mine):
        return Status.RUNNING
    if decided is not None and decided.answer is not None:
        return decided.answer
    # Without runs that are kept, what was written when they were is what is known.
    return hypothesis.status


def standings(
    backlog: Backlog, attempts: Sequence[Attempt], offered: Sequence[Offered]
) -> tuple[Standing, ...]:
    """All of them, the highest risk first; of equal risk the greater impact, then the order of the file.

    What was dropped comes last.
    """
    by_id: dict[str, list[Attempt]] = {}
    by_file: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        by_file.setdefault(attempt.source, []).append(attempt)
        for id in ids_in(attempt.tags):
            by_id.setdefault(id, []).append(attempt)

    def candidates(one: Hypothesis) -> list[Attempt]:
        files = [f for f in by_file if any(names_file(p, f) for p in one.experiments)]
        return [*by_id.get(one.id, ()), *(a for file in files for a in by_file[file])]

    found = [standing(one, candidates(one), offered) for one in backlog.hypotheses]
    found.sort(key=lambda s: (s.status is Status.DROPPED, -s.hypothesis.risk, -s.hypothesis.impact))
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """What to do first, each the highest risk of its kind: a weakness to mend, an experiment to run, one to write."""

    mend: Standing | None
    run: Standing | None
    write: Standing | None


def next_of(found: Sequence[Standing]) -> Next:
    """``found``: by risk, as ``standings`` gives them."""
    waiting = [s for s in found if s.status in (Status.OPEN, Status.PLANNED)]
    return Next(
        mend=next((s for s in found if s.status is Status.REFUTED), None),
        run=next((s for s in waiting if s.experiments), None),
        write=next((s for s in waiting if not s.experiments), None),
    )


class Cell(NamedTuple):
    """A field of the risk matrix, with what is in it."""

    likelihood: int
    impact: int
    risk: int
    level: str
    standings: tuple[Standing, ...]


def matrix(found: Sequence[Standing]) -> tuple[tuple[Cell, ...], ...]:
    """Rows from the highest likelihood down, columns from the lowest impact up; what was dropped is left out."""
    kept = [s for s in found if s.status is not Status.DROPPED]
    return tuple(
        tuple(
            Cell(
                likelihood,
                impact,
                likelihood * impact,
                level_of(likelihood * impact),
                tuple(
                    s
                    for s in kept
                    if (s.hypothesis.likelihood, s.hypothesis.impact) == (likelihood, impact)
                ),
            )
            for impact in STEPS
        )
        for likelihood in reversed(STEPS)
    )
