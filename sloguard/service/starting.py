"""What a service finds when it starts, and now and then: jobs whose workers have died, runs that nobody
finishes, windows that nobody closes, runs that are older than they are kept."""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sloguard.core.events import Event, RunEnded
from sloguard.core.model import EXIT_CODES, Experiment, FaultRecord, Outcome
from sloguard.engine.recover import recover
from sloguard.ports import Runs, UnfinishedRun
from sloguard.ports.service import Job, Jobs, JobState, Leases
from sloguard.service.announcing import AnnouncedRuns
from sloguard.service.executor import give_back
from sloguard.service.guarding import guarded, guarded_probe
from sloguard.service.permissions import PERMISSIONS
from sloguard.service.windows import WindowDesk
from sloguard.service.worker import Bench
from sloguard.spec import load

log = logging.getLogger(__name__)

#: Between two looks, in seconds.
TURN_SECONDS = 5.0
LEASE_SECONDS = 30.0
#: A silence counts as death only after the store could be reached for so long: it may have been the store.
SURE_SECONDS = 90.0
RETENTION_SECONDS = 600.0
#: Jobs without a run, and what workers have said, are kept for so long, in seconds.
KEPT_SECONDS = 30 * 86400.0
_UNDER_WAY = (JobState.STARTING, JobState.RUNNING)


class JanitorStore(Jobs, Leases, Runs, Protocol):
    """What the janitor needs of the store."""

    def prune(self, *, keep: int | None = None, older_than: float | None = None) -> Sequence[str]:
        """Delete ended runs."""
        ...

    def prune_audit(self, older_than: float) -> int:
        """Forget what was done before this time."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How much is kept; None: all. ``days`` and ``runs`` hold independently of each other.

    ``audit_days``: of the audit log.
    """

    days: float | None = None
    runs: int | None = None
    audit_days: float | None = None


class Janitor:
    """Looks around; whatever several services on one store could all do, one of them does.

    ``recovery``: the command that finishes dead runs, in a process of its own; with the word ``elsewhere``
    also those of other machines. ``name``: of this service, unlike any other's on this store. ``followed``: the
    executor whose jobs somebody else gives back that have not begun. ``gone`` gives the jobs whose workers are known to be over,
    on whatever machine they were.
    """

    def __init__(
        self,
        store: JanitorStore,
        desk: WindowDesk,
        *,
        name: str,
        recovery: Sequence[str],
        environ: Mapping[str, str] | None = None,
        retention: Retention | None = None,
        logs: Path | None = None,
        followed: str = "",
        gone: Callable[[], Collection[str]] = tuple,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._desk, self._name = store, desk, name
        self._command, self._environ = tuple(recovery), environ
        self._retention, self._logs = retention or Retention(), logs
        self._followed, self._gone = followed, gone
        self._now, self._monotonic = now, monotonic
        self._recovery: subprocess.Popen[bytes] | None = None
        self._first, self._again = True, False
        self._reached: float | None = None
        self._led_at = self._cleared_at = float("-inf")
        self._leads = False

    @property
    def recovering(self) -> bool:
        """Whether dead runs are being finished right now."""
        return self._recovery is not None and self._recovery.poll() is None

    def unreachable(self) -> None:
        """The store did not answer: whoever was silent meanwhile may be alive."""
        self._reached = None

    def try_again(self) -> None:
        """What ended runs have left may be undone by now: the next look sees to their records. From any thread."""
        self._again = True

    def turn(self) -> None:
        """Look around once. Raises OutsideError where the store is away."""
        self._lead()
        sure = self._sure()
        self._look_at_runs(elsewhere=sure)
        self._look_at_jobs(elsewhere=sure)
        if self._leads:
            self._desk.expire()
            self._clear_out()
        self._first = False

    def _lead(self) -> None:
        now = self._monotonic()
        if now - self._led_at >= LEASE_SECONDS / 3:
            self._leads = self._store.hold_lease("janitor", self._name, LEASE_SECONDS)
            self._led_at = now

    def _sure(self) -> bool:
        """Whether the silence of another machine's process means that it is dead, and is ours to see to."""
        now = self._monotonic()
        if self._reached is None:
            self._reached = now
        return self._leads and now - self._reached >= SURE_SECONDS

    def _look_at_runs(self, *, elsewhere: bool) -> None:
        if self.recovering:
            return
        if self._recovery is not None:
            log.info("the recovery ended with code %s", self._recovery.returncode)
            self._recovery = None
        gone = self._gone() if self._leads else ()
        open_ones = self._store.unfinished()
        dead = [run for run in open_ones if run.id in gone or _is_dead(run, elsewhere=elsewhere)]
        # What could not be undone is tried once more by every service that starts.
        again, self._again = self._again, False
        left = list(self._store.not_restored()) if self._first or again else []
        if not dead and not left:
            return
        log.warning("to be recovered: %s", ", ".join(run.id for run in (*dead, *left)))
        words = [*(["--elsewhere"] if elsewhere else []), *(["--left-too"] if left else [])]
        words += [word for run in dead if run.id in gone for word in ("--over", run.id)]
        self._recovery = self._recover(words)

    def _recover(self, words: Sequence[str]) -> subprocess.Popen[bytes]:
        """It says what it does into a file: a pipe would break when this process dies, and it with it."""
        place = Path(os.devnull)
        if self._logs is not None:
            self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
            place = self._logs / "recovery.log"
        with place.open("ab") as output:
            return subprocess.Popen(
                [*self._command, *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=None if self._environ is None else dict(self._environ),
                start_new_session=True,
            )

    def _look_at_jobs(self, *, elsewhere: bool) -> None:
        gone = self._gone() if self._leads else ()
        for job in self._store.jobs(_UNDER_WAY, limit=1000):
            if self._followed == job.executor and job.state is JobState.STARTING:
                continue
            if job.id in gone or (not job.alive and (job.here or elsewhere)):
                self._close(job)

    def _close(self, job: Job) -> None:
        outcome = self._store.run_outcome(job.id)
        if job.state is JobState.STARTING or outcome is None:
            # Nothing is injected before the ledger, and with it the store, knows of the run.
            give_back(self._store, job, "its process ended before it had begun")
        elif outcome:
            self._store.job_ended(
                job.id,
                JobState.ENDED,
                exit_code=EXIT_CODES[Outcome(outcome)],
                detail=f"its worker died; the run ended {outcome}",
                claim=job.claim,
            )

    def _clear_out(self) -> None:
        now = self._monotonic()
        if now - self._cleared_at < RETENTION_SECONDS:
            return
        self._cleared_at = now
        at = self._now()
        gone: list[str] = []
        if self._retention.days is not None:
            gone += self._store.prune(older_than=at - self._retention.days * 86400.0)
        if self._retention.runs is not None:
            gone += self._store.prune(keep=self._retention.runs)
        if gone:
            log.info("deleted %d runs that were older than they are kept", len(gone))
        if self._retention.audit_days is not None:
            self._store.prune_audit(at - self._retention.audit_days * 86400.0)
        self._store.prune_jobs(at - KEPT_SECONDS)
        if self._logs is not None and self._logs.is_dir():
            _clear_logs(self._logs, at - KEPT_SECONDS)


def recover_dead(
    store: JanitorStore,
    bench: Bench,
    load_any: Any,
    *,
    elsewhere: bool,
    left_too: bool,
    over: Collection[str] = (),
) -> Iterator[Event]:
    """Finish every dead run of this machine, and with ``elsewhere`` of all others; its events.

    A run that the service had started is held to the addresses that are allowed; the rest of it was
    looked at before it began, and it is undone whatever its directory allows by now. ``load_any`` reads
    the experiments of the others (``engine.recover.Load``). ``left_too``: also what could not be undone
    before. ``over``: runs whose processes are known to be over, whatever the store thinks.
    """
    unfinished = store.unfinished()
    seen = [run for run in unfinished if run.id in over or _is_dead(run, elsewhere=elsewhere)]
    if left_too:
        seen += store.not_restored()
    for run in seen:
        ports, reading = bench.ports(False), load_any
        if store.job(run.id) is not None:
            ports = guarded(ports, PERMISSIONS, bench.allow_url)
            reading = _reader(bench)
        only: Runs = _Only(store, run.id)
        if bench.announcers is not None:
            job = store.job(run.id)
            only = AnnouncedRuns(only, bench.announcers(experiment=job.experiment if job else ""))
        made = recover(only, ports, reading, bench.options(), left_too=left_too, over=over)
        for event in made:
            yield event
            if isinstance(event, RunEnded):
                told = "run %s: %s: %s"
                log.info(told, event.run, event.outcome, event.reason, extra={"run": event.run})


def _reader(bench: Bench) -> Callable[[str | Mapping[str, Any], Mapping[str, Any]], Experiment]:
    probe = guarded_probe(PERMISSIONS, bench.allow_url)

    def read(source: str | Mapping[str, Any], variables: Mapping[str, Any]) -> Experiment:
        return load(source, variables=variables, run_probe=probe)

    return read


class _Only:
    """ports.Runs, as if there were no other run."""

    def __init__(self, runs: Runs, run: str) -> None:
        self._runs, self._run = runs, run

    def unfinished(self) -> Sequence[UnfinishedRun]:
        """This one, if it has not ended."""
        return [run for run in self._runs.unfinished() if run.id == self._run]

    def not_restored(self) -> Sequence[UnfinishedRun]:
        """This one, if something of it is left."""
        return [run for run in self._runs.not_restored() if run.id == self._run]

    def close(self, run: str, outcome: str, reason: str, faults: Sequence[FaultRecord]) -> None:
        """As the store does."""
        self._runs.close(run, outcome, reason, faults)


def _is_dead(run: UnfinishedRun, *, elsewhere: bool) -> bool:
    return not run.alive and (run.here or elsewhere)


def _clear_logs(directory: Path, older_than: float) -> None:
    for file in directory.glob("*.log"):
        try:
            if file.stat().st_mtime < older_than:
                file.unlink()
        except OSError as error:
            log.warning("%s stays: %s", file, error)
