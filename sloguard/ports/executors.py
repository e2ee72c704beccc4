"""What carries jobs out: worker processes here, or Jobs of a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from sloguard.ports.jobs import Job


class Executor(Protocol):
    """What carries jobs out: worker processes here, or Jobs of a cluster."""

    def start(self, job: Job) -> str:
        """Start a worker for a claimed job; a handle by which it is found again. Raises ServiceError;
        NoPlaceNow where it may be tried again later."""
        ...

    def alive(self, handle: str) -> bool:
        """Whether that worker still runs."""
        ...

    def stop(self, handle: str) -> None:
        """Ask a worker to stop: it undoes what it has done, and ends."""
        ...


class WorkerPhase(StrEnum):
    """Where a worker stands that another machine carries."""

    #: Its process has not begun, or nobody can say that it has.
    WAITING = "waiting"
    RUNNING = "running"
    #: It was told to end, and undoes; or the machine that it is on does not answer.
    ENDING = "ending"
    #: Its process is over for certain.
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenWorker:
    """A worker as its executor sees it.

    ``job``: the id of its job. ``detail``: what it waits for, or why and how it ended. ``age``: seconds since
    it was asked for.
    """

    handle: str
    job: str
    phase: WorkerPhase
    detail: str = ""
    age: float = 0.0


class SharedExecutor(Executor, Protocol):
    """An executor whose workers belong to no service: each one sees them all, and can look after them."""

    def handle_of(self, job: Job) -> str:
        """The handle of the worker of a claimed job, whoever has started it."""
        ...

    def look(self) -> Mapping[str, SeenWorker]:
        """Every worker that is there, by its handle. Raises OutsideError where that cannot be told."""
        ...
