"""Jobs: requests to do something with an experiment, and what became of them.

A job is carried out by a worker process of its own, which writes the run with the same id. Times are seconds since the
epoch, UTC.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol

JobKind = Literal["run", "window", "rejudge"]


class JobState(StrEnum):
    """Where a job stands. The last three are its end."""

    QUEUED = "queued"
    #: Taken by an executor; its worker has not spoken yet, and nothing was touched.
    STARTING = "starting"
    RUNNING = "running"
    #: Its run (or, of a dry run, its result) is there.
    ENDED = "ended"
    #: Stopped before a worker had it: there is no run.
    CANCELLED = "cancelled"
    #: The worker failed before there was a run; ``detail`` says why. Nothing was touched.
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self in _OVER


_OVER = (JobState.ENDED, JobState.CANCELLED, JobState.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """What is asked for. ``id`` will be the run's.

    ``experiment``: its name in the catalogue, empty for a window. ``source``: its file, absolute, or empty.
    ``variables``: configuration values of the request; never secret (secrets come from the service's own
    environment and files). ``payload``: JSON; of a window its marks and the name of its SLOs, of a
    rejudgement the run and the SLOs. ``not_before``: it stays in the queue until then. ``exclusive``: no two
    jobs with the same text are under way at once; empty: it stands in nobody's way.
    """

    id: str
    kind: JobKind = "run"
    experiment: str = ""
    source: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)
    dry_run: bool = False
    tags: tuple[str, ...] = ()
    seed: int | None = None
    requested_by: str = ""
    requested_from: str = ""
    idempotency_key: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict)
    not_before: float = 0.0
    exclusive: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(JobRequest):
    """A job as it stands.

    ``executor``: the name of the executor that has taken it; ``claim``: the secret of this one taking, by
    which a worker shows that the job is still its own; ``attempts``: how often it was taken. ``worker``: the
    worker process for people (``host:pid``). ``alive``: its worker (while starting: its executor) still runs;
    ``here``: that is a process of this machine, so it is certain; else it goes by the last sign of life.
    ``exit_code``: the worker's, as of ``sloguard run``. ``result``: JSON; of a dry run ``could_start``,
    ``checks``, ``plans`` and ``notes``.
    """

    state: JobState
    requested_at: float
    started_at: float | None = None
    ended_at: float | None = None
    executor: str = ""
    claim: str = field(default="", repr=False)
    attempts: int = 0
    worker: str = ""
    alive: bool = False
    here: bool = True
    exit_code: int | None = None
    detail: str = ""
    abort_reason: str = ""
    abort_by: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)


class Jobs(Protocol):
    """The queue, and what became of everything that was in it. Safe for several services at once."""

    def enqueue(self, request: JobRequest, *, most: int = 0) -> tuple[Job, bool]:
        """Put a job into the queue. False: the requester had sent this idempotency key before, and this
        is the job of then.

        Raises KeyReused if the request of then was another one, JobExists for an id that is taken, and
        QueueFull where ``most`` (0: no limit) jobs are waiting already.
        """
        ...

    def claim(self, executor: str, *, limit: int) -> Job | None:
        """Take the oldest job that may start: due, and nothing with its ``exclusive`` under way.

        None where there is none, or where ``limit`` jobs of this executor are under way. A job is given
        to one caller only, whoever asks at the same moment.
        """
        ...

    def requeue(
        self,
        id: str,
        claim: str,
        detail: str,
        *,
        not_before: float | None = None,
        begun: bool = True,
    ) -> bool:
        """Put back what was taken and has touched nothing. False: this claim does not hold it any more.

        ``not_before``: it waits for something until then, at the soonest, and this was no failed attempt.
        ``begun`` False: only if its worker has not begun meanwhile.
        """
        ...

    def job_waits(self, id: str, claim: str, detail: str) -> bool:
        """What a worker that has not begun waits for, for people. False: this claim does not hold it any more."""
        ...

    def job_started(self, id: str, claim: str) -> bool:
        """The calling process is the worker of this claim, and begins. False: the job is somebody else's
        or over, and the caller must do nothing."""
        ...

    def beat_job(self, id: str, claim: str) -> str:
        """Say that the worker is alive; the reason to abort, or an empty text while nobody has asked."""
        ...

    def job_ended(
        self,
        id: str,
        state: JobState,
        *,
        exit_code: int | None = None,
        detail: str = "",
        result: Mapping[str, Any] | None = None,
        claim: str = "",
    ) -> bool:
        """How it ended. False: it was over before, or ``claim`` is given and does not hold it."""
        ...

    def ask_abort(self, id: str, reason: str, by: str) -> bool:
        """Stop a job: a waiting one is cancelled at once, the worker of another one sees it within about
        a second. False: there is no such job, or it is over. The first reason stays."""
        ...

    def abort_asked(self, id: str) -> str:
        """The reason to abort; empty while nobody has asked."""
        ...

    def job(self, id: str) -> Job | None:
        """The job of this id (whole), or None."""
        ...

    def jobs(
        self, states: Sequence[JobState] = (), *, limit: int = 100, before: str | None = None
    ) -> Sequence[Job]:
        """Jobs in these states (none: all), newest first; ``before``: the id of the page before's last."""
        ...

    def job_counts(self) -> Mapping[JobState, int]:
        """How many there are in each state; every state is there."""
        ...

    def run_outcome(self, id: str) -> str | None:
        """What came of a run: empty while it has not ended, None where the store has none of this id."""
        ...

    def prune_jobs(self, older_than: float) -> int:
        """Forget jobs that ended before this time and have no run in the store; how many these were."""
        ...


def taking_of(claim: str) -> str:
    """A name of one taking of a job, which everybody may read: it does not tell the claim."""
    return hashlib.sha256(claim.encode()).hexdigest()[:16]
