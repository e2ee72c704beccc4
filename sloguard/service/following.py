"""Takes jobs from the queue for workers that run elsewhere, and looks after them: whichever service does it.

Nothing is remembered that another replica would need: what is under way stands in the store, and who works on
it can be seen by everybody. So one service goes on where another one died.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from sloguard.ports.service import (
    Job,
    Jobs,
    JobState,
    NoPlaceNow,
    SeenWorker,
    ServiceError,
    SharedExecutor,
    WorkerPhase,
)
from sloguard.service.executor import give_back

log = logging.getLogger(__name__)

#: How often the workers are looked at while there are any, and while there are none, in seconds.
LOOK_SECONDS = 2.0
IDLE_SECONDS = 60.0
#: A worker that nobody sees may just be asked for by another service, for so long, in seconds.
MISSING_SECONDS = 10.0
#: A worker whose process runs has so long to begin, in seconds.
START_SECONDS = 120.0
#: One that nobody waits for any more may be about to end by itself, for so long, in seconds.
STRAY_SECONDS = 60.0
#: A job that nothing could take looks again after so long, in seconds.
AGAIN_SECONDS = 10.0
_UNDER_WAY = (JobState.STARTING, JobState.RUNNING)
_WHO = "executor"


class Follower:
    """A dispatcher over an executor that several services share.

    ``name``: the same for all of these, so that ``limit`` is one for all of them. ``pending``: seconds after which a worker
    that has not begun is taken back. ``ended`` is called when a worker was found dead.
    """

    def __init__(
        self,
        jobs: Jobs,
        executor: SharedExecutor,
        *,
        name: str,
        limit: int,
        pending: float = 300.0,
        ended: Callable[[], object] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._jobs, self._executor, self._now = jobs, executor, now
        self._name, self._limit, self._pending = name, limit, pending
        self._ended, self._monotonic = ended, monotonic
        self._look_at = self._peek_at = monotonic()
        self._gone: frozenset[str] = frozenset()
        self._since: dict[str, float] = {}
        self._taken_back: dict[str, str] = {}

    @property
    def name(self) -> str:
        """Of the executor, as jobs have it."""
        return self._name

    @property
    def busy(self) -> bool:
        """False: workers are no part of this process, and it need not wait for them."""
        return False

    @property
    def gone(self) -> frozenset[str]:
        """Jobs whose workers had begun and are over for certain, without having ended their jobs."""
        return self._gone

    def turn(self, *, take: bool = True) -> None:
        """Look after the workers, and take what may start. Raises OutsideError where the store or the
        cluster is away."""
        while take and (job := self._jobs.claim(self._name, limit=self._limit)):
            # What has no place for this one has none for those behind it.
            take = self._start(job)
        if self._monotonic() >= self._look_at or self._others_began():
            self._look_at = self._peek_at = self._monotonic() + LOOK_SECONDS
            self._look()

    def _others_began(self) -> bool:
        """Whether another service has taken something while this one had nothing to look at."""
        if self._monotonic() < self._peek_at:
            return False
        self._peek_at = self._monotonic() + LOOK_SECONDS
        return bool(self._jobs.jobs(_UNDER_WAY, limit=1))

    def stop_all(self) -> None:
        """Nothing: the workers are not this process's alone, and other services go on with them."""

    def _start(self, job: Job) -> bool:
        """Whether it may be gone on with the next one."""
        try:
            handle = self._executor.start(job)
        except NoPlaceNow as error:
            log.warning("job %s waits: %s", job.id, error, extra={"run": job.id})
            if self._jobs.abort_asked(job.id):
                give_back(self._jobs, self._jobs.job(job.id) or job, str(error))
            else:
                at = self._now() + AGAIN_SECONDS
                self._jobs.requeue(job.id, job.claim, str(error), not_before=at)
            return False
        except ServiceError as error:
            log.error("job %s: %s", job.id, error, extra={"run": job.id})
            give_back(self._jobs, job, str(error))
            return True
        log.info("job %s: worker %s", job.id, handle, extra={"run": job.id})
        self._look_at = min(self._look_at, self._monotonic() + LOOK_SECONDS)
        return True

    def _look(self) -> None:
        # In this order: a worker that was over before its job was read cannot begin it any more.
        seen = self._executor.look()
        under_way = self._jobs.jobs(_UNDER_WAY, limit=1000)
        mine = {self._executor.handle_of(j): j for j in under_way if j.executor == self._name}
        gone: set[str] = set()
        for handle, job in mine.items():
            worker = seen.get(handle)
            # One that this service has stopped is gone once it is not there any more.
            asked = handle in self._taken_back
            if (
                worker is None
                and not asked
                and not self._lasts(f"missing {handle}", MISSING_SECONDS)
            ):
                continue
            if job.state is JobState.STARTING:
                self._before_it_began(job, handle, worker)
            elif worker is None or worker.phase is WorkerPhase.ENDED:
                gone.add(job.id)
                self._told_dead(job, worker)
            elif worker.phase is WorkerPhase.ENDING and not job.abort_reason:
                # It undoes already; this tells people why.
                self._jobs.ask_abort(job.id, worker.detail, _WHO)
        new, self._gone = gone - self._gone, frozenset(gone)
        self._tidy(seen, mine)
        self._forget(seen, mine)
        if new:
            self._ended()
        if not mine and not seen:
            self._look_at = self._monotonic() + IDLE_SECONDS

    def _before_it_began(self, job: Job, handle: str, worker: SeenWorker | None) -> None:
        if worker is None or worker.phase is WorkerPhase.ENDED:
            why = self._taken_back.pop(handle, "")
            why = why or (worker.detail if worker else "its worker is not there any more")
            log.warning("job %s has not begun: %s", job.id, why, extra={"run": job.id})
            give_back(self._jobs, job, why)
        elif job.abort_reason:
            # Given back, and with it cancelled, once it is certain that nobody works on it.
            self._take_back(job, handle, job.abort_reason)
        elif worker.phase is WorkerPhase.WAITING:
            if worker.detail != job.detail:
                self._jobs.job_waits(job.id, job.claim, worker.detail)
            if worker.age > self._pending:
                self._take_back(job, handle, f"not begun after {worker.age:.0f}s: {worker.detail}")
        elif worker.phase is WorkerPhase.RUNNING and worker.age > self._pending + START_SECONDS:
            self._take_back(job, handle, "its process runs, and has not begun in time")

    def _take_back(self, job: Job, handle: str, why: str) -> None:
        if handle not in self._taken_back:
            log.warning("job %s: its worker is taken back: %s", job.id, why, extra={"run": job.id})
        self._taken_back[handle] = why
        self._executor.stop(handle)

    def _told_dead(self, job: Job, worker: SeenWorker | None) -> None:
        if job.id in self._gone:
            return
        why = worker.detail if worker and worker.detail else "its worker is not there any more"
        log.warning("job %s: its worker is dead: %s", job.id, why, extra={"run": job.id})
        # One without a run has touched nothing, and is tried again.
        if not job.abort_reason and self._jobs.run_outcome(job.id) is not None:
            self._jobs.ask_abort(job.id, why, _WHO)

    def _tidy(self, seen: Mapping[str, SeenWorker], mine: Mapping[str, Job]) -> None:
        """Workers whose jobs are somebody else's by now, or over: they do nothing, but hold a place."""
        for handle, worker in seen.items():
            if handle in mine or worker.phase in (WorkerPhase.ENDING, WorkerPhase.ENDED):
                continue
            if not self._lasts(f"stray {handle}", STRAY_SECONDS):
                continue
            # Another store's are none of this one's business.
            if (job := self._jobs.job(worker.job)) is None:
                continue
            if job.state in _UNDER_WAY and self._executor.handle_of(job) == handle:
                continue
            log.warning("nobody waits for the worker %s any more", handle, extra={"run": job.id})
            self._executor.stop(handle)

    def _lasts(self, what: str, seconds: float) -> bool:
        """Whether this has been so, look by look, for this long."""
        now = self._monotonic()
        return now - self._since.setdefault(what, now) >= seconds

    def _forget(self, seen: Mapping[str, SeenWorker], mine: Mapping[str, Job]) -> None:
        kept = {f"missing {handle}" for handle in mine if handle not in seen}
        kept |= {f"stray {handle}" for handle in seen if handle not in mine}
        self._since = {what: since for what, since in self._since.items() if what in kept}
        self._taken_back = {h: why for h, why in self._taken_back.items() if h in mine}
