"""What the service needs of its store: jobs, tokens, the audit log, windows that others open.

A job is a request to do something with an experiment, and what became of it. It is carried out by a
worker process of its own, which writes the run with the same id. Times are seconds since the epoch, UTC.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol

from sloguard.ports.base import OutsideError

JobKind = Literal["run", "window", "rejudge"]


class ServiceError(OutsideError):
    """A request that the service cannot accept. The text says why, and what would be accepted."""


class KeyReused(ServiceError):
    """An idempotency key came again with another request."""


class QueueFull(ServiceError):
    """As many jobs are waiting as may."""


class JobExists(ServiceError):
    """Another job, or a run, has this id."""


class WindowNotFound(ServiceError):
    """No window of this id."""


class WindowOver(ServiceError):
    """The window was closed before, with other marks."""


class TokenNotFound(ServiceError):
    """No token of this id."""


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

    def requeue(self, id: str, claim: str, detail: str, *, not_before: float | None = None) -> bool:
        """Put back what was taken and has touched nothing. False: this claim does not hold it any more.

        ``not_before``: it waits for something until then, at the soonest, and this was no failed attempt.
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


class Leases(Protocol):
    """What only one of several services does at a time."""

    def hold_lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take or prolong a lease; False while another holder has it and it has not run out."""
        ...


class Scope(StrEnum):
    """What a token may do. ``admin`` may do everything; ``run`` may read; ``webhook`` nothing else."""

    READ = "read"
    RUN = "run"
    WEBHOOK = "webhook"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token without its secret, which nobody but its owner has. ``expires_at`` None: never."""

    id: str
    name: str
    scopes: frozenset[Scope]
    created_at: float
    created_by: str = ""
    expires_at: float | None = None
    last_used_at: float | None = None
    revoked_at: float | None = None
    revoked_by: str = ""


class Tokens(Protocol):
    """Tokens, hashed at rest."""

    def create_token(
        self, name: str, scopes: Sequence[Scope], *, expires_at: float | None = None, by: str = ""
    ) -> tuple[Token, str]:
        """A new token and its secret (``slg_ID_…``), which is told this once only."""
        ...

    def verify_token(self, secret: str) -> Token | None:
        """The valid token of a secret; None for one that is unknown, expired or revoked.

        Compared in constant time. ``last_used_at`` is written at most once a minute.
        """
        ...

    def tokens(self) -> Sequence[Token]:
        """All, oldest first, the expired and revoked ones too."""
        ...

    def revoke_token(self, id: str, *, by: str = "") -> Token:
        """End a token at once; again changes nothing. Raises TokenNotFound."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A login of a browser. It ends with its token, whatever ``expires_at`` says."""

    token: Token
    created_at: float
    expires_at: float


class Sessions(Protocol):
    """Logins, the same for every process and replica of a service; hashed at rest."""

    def create_session(self, token: str, *, expires_at: float) -> str:
        """Begin a session of a token (its id); its secret, which is told this once only."""
        ...

    def verify_session(self, secret: str) -> Session | None:
        """The session of a secret; None for one that is unknown or over, or whose token is."""
        ...

    def end_session(self, secret: str) -> bool:
        """End a session at once; False: there was none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Something was changed: who (``token:ci``, ``user:ada``), from where (address), what, on what.

    ``detail``: JSON without secrets. ``number`` is given by the store.
    """

    at: float
    who: str
    where: str
    action: str
    target: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    number: int = 0


class Audit(Protocol):
    """Who changed what, when, from where. Only ever added to."""

    def append_audit(self, entry: AuditEntry) -> int:
        """Keep an entry, on disk before this returns; its number."""
        ...

    def audit_entries(
        self,
        *,
        limit: int = 100,
        before: int | None = None,
        target: str | None = None,
        who: str | None = None,
    ) -> Sequence[AuditEntry]:
        """Newest first; ``before``: the number of the page before's last."""
        ...

    def prune_audit(self, older_than: float) -> int:
        """Forget what is older than this time; how many entries these were."""
        ...


class WindowState(StrEnum):
    """Where a window stands; it is a run once it is judged."""

    OPEN = "open"
    CLOSED = "closed"
    #: Nobody closed it within its longest time, so sloguard did.
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A chaos window that another tool opens and closes. ``id`` is that of the run which judges it.

    ``slos``: the name of a set of SLOs. ``tool``: who breaks things, in its own words. ``removed``: names
    that the fault took out of the world, by label. ``before`` and ``after`` (seconds) None: as the set
    declares. ``expires_at``: when it is closed if nobody does. ``restored_at`` None: it is open.
    """

    id: str
    title: str
    slos: str
    opened_at: float
    fault_at: float
    expires_at: float
    tool: str = ""
    tags: tuple[str, ...] = ()
    removed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    before: float | None = None
    after: float | None = None
    opened_by: str = ""
    opened_from: str = ""
    idempotency_key: str = ""
    state: WindowState = WindowState.OPEN
    restored_at: float | None = None
    closed_at: float | None = None
    closed_by: str = ""
    detail: str = ""


class Windows(Protocol):
    """Windows that others open and close."""

    def open_window(self, window: Window) -> tuple[Window, bool]:
        """Keep a new window. False: this opener had sent this idempotency key before. Raises KeyReused."""
        ...

    def close_window(
        self,
        id: str,
        restored_at: float,
        *,
        not_before: float,
        by: str = "",
        detail: str = "",
        removed: Mapping[str, Sequence[str]] | None = None,
        expired: bool = False,
    ) -> Window:
        """Close it, and queue the job (kind window, same id) that judges it, due at ``not_before``: both
        or neither. Closing it again with the same mark, or by expiry, changes nothing.

        Raises WindowNotFound, and WindowOver where it was closed with another mark.
        """
        ...

    def window(self, id: str) -> Window | None:
        """The window of this id, or None."""
        ...

    def windows(
        self, state: WindowState | None = None, *, limit: int = 100, before: str | None = None
    ) -> Sequence[Window]:
        """Newest first; ``before``: the id of the page before's last."""
        ...

    def expired_windows(self) -> Sequence[Window]:
        """Open ones whose longest time has passed, oldest first."""
        ...


class Executor(Protocol):
    """What carries jobs out: worker processes here, or Jobs of a cluster."""

    def start(self, job: Job) -> str:
        """Start a worker for a claimed job; a handle by which it is found again. Raises ServiceError."""
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


def taking_of(claim: str) -> str:
    """A name of one taking of a job, which everybody may read: it does not tell the claim."""
    return hashlib.sha256(claim.encode()).hexdigest()[:16]
