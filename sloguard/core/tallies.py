"""What is counted over all runs that are kept, and the short forms in which the service hands them out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class RunLine(NamedTuple):
    """One line of a list of runs, as the store has it: ``tags`` is JSON text.

    ``outcome`` and ``score`` may be there before the run has ended (``ended_at``). ``alive``: its process
    still runs.
    """

    id: str
    kind: str
    experiment: str
    title: str
    tags: str
    started_at: float
    ended_at: float | None
    outcome: str | None
    score: float | None
    reason: str
    origin: str
    alive: bool


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """A run's verdict as it is kept: ``document`` is the text of the JSON document, or None.

    ``ended_at`` None: the run has not ended, and what there is may change.
    """

    run: str
    title: str
    ended_at: float | None
    outcome: str | None
    reason: str
    document: str | None


@dataclass(frozen=True, slots=True)
class Tally:
    """How many ended runs of an experiment have an outcome, and the newest of them."""

    experiment: str
    kind: str
    outcome: str
    count: int
    newest: str


@dataclass(frozen=True, slots=True)
class LatestRun:
    """The newest ended run of an experiment."""

    run: str
    experiment: str
    title: str
    outcome: str
    score: float | None
    reason: str
    ended_at: float | None
