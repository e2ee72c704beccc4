"""Carries jobs out by worker processes of this machine."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sloguard.host.identity import Identity, identify
from sloguard.host.signals import send
from sloguard.ports.service import Job, Jobs, JobState, ServiceError
from sloguard.telemetry.logs import readable

log = logging.getLogger(__name__)

#: The variable in which a worker finds its claim.
CLAIM = "SLOGUARD_JOB_CLAIM"
#: A job that was taken so often and never began is not taken again.
MOST_ATTEMPTS = 3
#: How often the queue is looked at, in seconds; a new job of this process is taken at once.
LOOK_SECONDS = 0.5
#: A worker that has not begun by then never will, in seconds.
START_SECONDS = 120.0
#: How often it is looked for jobs that were taken here and then lost, in seconds.
LOST_SECONDS = 5.0
_TAIL = 2000


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    identity: Identity | None
    log: Path


@dataclass(slots=True)
class _Taken:
    """``begins_by`` None: it was looked at already."""

    job: Job
    begins_by: float | None


class LocalExecutor:
    """ports.service.Executor: a process in a session of its own, so that it survives this one.

    ``command`` is called with the job's id; it finds its claim in the environment. What it says goes to
    ``logs``/ID.log: a pipe would break when its reader dies, and a run with it.
    """

    def __init__(
        self, command: Sequence[str], logs: Path, environ: Mapping[str, str] | None = None
    ) -> None:
        self._command, self._logs = tuple(command), logs
        self._environ = dict(os.environ if environ is None else environ)
        self._workers: dict[str, _Worker] = {}
        self._guard = threading.Lock()

    def start(self, job: Job) -> str:
        """Start a worker for a claimed job; its handle. Raises ServiceError."""
        path = self._logs / f"{job.id}.log"
        try:
            self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(path, "ab", opener=_private) as output:
                process = subprocess.Popen(
                    [*self._command, job.id],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env={**self._environ, CLAIM: job.claim},
                    start_new_session=True,
                )
        except OSError as error:
            raise ServiceError(f"no worker could be started: {error}") from error
        handle = f"{process.pid}"
        with self._guard:
            self._workers[handle] = _Worker(process, identify(process.pid), path)
        return handle

    def alive(self, handle: str) -> bool:
        """Whether that worker still runs."""
        worker = self._workers.get(handle)
        return worker is not None and worker.process.poll() is None

    def stop(self, handle: str) -> None:
        """Ask a worker to stop: it undoes what it has done, and ends."""
        worker = self._workers.get(handle)
        if worker is not None and worker.identity is not None:
            send(worker.identity, signal.SIGTERM)

    def kill(self, handle: str) -> None:
        """End a worker that has not begun: it has nothing to undo."""
        worker = self._workers.get(handle)
        if worker is not None and worker.identity is not None:
            send(worker.identity, signal.SIGKILL)

    def forget(self, handle: str) -> str:
        """Of a worker that has ended: how, and the end of what it said."""
        with self._guard:
            worker = self._workers.pop(handle, None)
        if worker is None:
            return ""
        code = worker.process.wait()
        how = f"signal {-code}" if code < 0 else f"code {code}"
        return f"the worker ended with {how}\n{_tail(worker.log)}".strip()


class Dispatcher:
    """Takes jobs from the queue while there is room, and gives them to an executor."""

    def __init__(
        self,
        jobs: Jobs,
        executor: LocalExecutor,
        *,
        name: str,
        limit: int,
        ended: Callable[[], object] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._jobs, self._executor = jobs, executor
        self._name, self._limit, self._ended = name, limit, ended
        self._monotonic = monotonic
        self._under_way: dict[str, _Taken] = {}
        self._looked = monotonic()

    @property
    def busy(self) -> bool:
        """Whether a worker of this process is under way."""
        return bool(self._under_way)

    def turn(self, *, take: bool = True) -> None:
        """Look after the workers, and take what may start. Raises OutsideError where the store is away."""
        for handle in list(self._under_way):
            if not self._executor.alive(handle):
                self._after(handle)
            else:
                self._check(handle)
        self._find_lost()
        while take and (job := self._jobs.claim(self._name, limit=self._limit)):
            self._start(job)

    def stop_all(self) -> None:
        """Ask every worker of this process to stop and undo."""
        for handle in self._under_way:
            self._executor.stop(handle)

    def _start(self, job: Job) -> None:
        try:
            handle = self._executor.start(job)
        except ServiceError as error:
            log.error("job %s: %s", job.id, error, extra={"run": job.id})
            give_back(self._jobs, job, str(error))
            return
        log.info("job %s: worker %s", job.id, handle, extra={"run": job.id})
        self._under_way[handle] = _Taken(job, self._monotonic() + START_SECONDS)

    def _check(self, handle: str) -> None:
        """A worker that hangs before it has begun holds a place, and hears no abort."""
        taken = self._under_way[handle]
        if taken.begins_by is None or self._monotonic() < taken.begins_by:
            return
        taken.begins_by = None
        job = self._jobs.job(taken.job.id)
        if job is not None and job.state is JobState.STARTING and job.claim == taken.job.claim:
            told = "job %s: its worker has not begun in time, and is ended"
            log.error(told, job.id, extra={"run": job.id})
            self._executor.kill(handle)

    def _find_lost(self) -> None:
        """Jobs that this process took while the store was going away, so that nobody works on them."""
        now = self._monotonic()
        if now - self._looked < LOST_SECONDS:
            return
        self._looked = now
        known = {taken.job.claim for taken in self._under_way.values()}
        me = f"{socket.gethostname()}:{os.getpid()}"
        for job in self._jobs.jobs((JobState.STARTING,)):
            if (job.executor, job.worker) == (self._name, me) and job.claim not in known:
                give_back(self._jobs, job, "it was taken, and the store went away")

    def _after(self, handle: str) -> None:
        """A worker has ended. One that never began gives its job back; the rest is the janitor's."""
        taken = self._under_way[handle].job
        job = self._jobs.job(taken.id)
        how = self._executor.forget(handle)
        del self._under_way[handle]
        if job is None or job.state.is_over or job.claim != taken.claim:
            return
        log.warning("job %s: %s", job.id, how, extra={"run": job.id})
        if job.state is JobState.STARTING:
            give_back(self._jobs, job, how)
        else:
            self._ended()


def give_back(jobs: Jobs, job: Job, why: str) -> None:
    """A job that was taken and has touched nothing: into the queue again, or over."""
    if job.abort_reason:
        jobs.job_ended(job.id, JobState.CANCELLED, detail=job.abort_reason, claim=job.claim)
    elif job.attempts >= MOST_ATTEMPTS:
        detail = f"tried {job.attempts} times: {why}"
        jobs.job_ended(job.id, JobState.FAILED, exit_code=1, detail=detail, claim=job.claim)
    else:
        # One that begins at this very moment has its job.
        jobs.requeue(job.id, job.claim, why, begun=job.state is JobState.RUNNING)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            return readable(file.read().decode("utf-8", "replace")).strip()
    except OSError:
        return ""
