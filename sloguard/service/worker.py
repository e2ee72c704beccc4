"""One job, carried out in a process of its own, which outlives the service that started it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from sloguard.core.events import Event, FaultPlanned, Note, Preflight
from sloguard.core.history import StoredRun
from sloguard.core.masking import Masker
from sloguard.core.model import (
    EXIT_CODES,
    EXIT_FAILED,
    EXIT_USAGE,
    Approval,
    Experiment,
    Outcome,
)
from sloguard.core.series import SloEvidence
from sloguard.documents.problems import DocumentError
from sloguard.engine.control import Control
from sloguard.engine.dry import dry_run
from sloguard.engine.options import Options
from sloguard.engine.ports_bundle import Ports
from sloguard.engine.run import Consumer, drive, run
from sloguard.engine.tracing import traced
from sloguard.ports import Clock, Metrics, MetricsError, OutsideError
from sloguard.ports.alerts import AlertSource
from sloguard.ports.people import Approvals
from sloguard.ports.service import Job, Jobs, JobState, ServiceError, Windows
from sloguard.providers.result import UrlPolicy
from sloguard.service.announcing import Announcer
from sloguard.service.catalogue import Catalogue, Entry, NotUsable, usable
from sloguard.service.guarding import guarded, guarded_probe
from sloguard.service.judging import Judgement, judge_again, judge_window
from sloguard.service.permissions import refused
from sloguard.service.recording import Patient
from sloguard.service.turns import Door, Noticing, look_again
from sloguard.spec import load, parse_slos
from sloguard.telemetry.run_spans import RunSpans
from sloguard.telemetry.traces import Tracing

log = logging.getLogger(__name__)

#: How often a worker looks whether it should stop, and how often it says that it is alive, in seconds.
LOOK_SECONDS = 0.5
BEAT_SECONDS = 15.0
#: How long a store that is away is waited for once all is undone and judged, in seconds.
STORE_PATIENCE = 600.0
#: And to keep what is told to others, which no run waits for long.
TELLING_PATIENCE = 10.0


class Recorder(Protocol):
    """Keeps the events of one run."""

    def record(self, event: Event) -> None:
        """One event, as it happens; raises OutsideError."""
        ...

    def record_whole(self, told: Iterable[Event]) -> None:
        """All events of a run that is over, or none; raises OutsideError."""
        ...


class WorkerStore(Jobs, Windows, Protocol):
    """What a worker needs of the store."""

    def recorder(self, *, experiment: str = "", kind: str = "run", origin: str = "") -> Recorder:
        """For the events of one run."""
        ...

    def beat(self, run: str) -> None:
        """Say that a run's process is alive."""
        ...

    def run(self, run: str) -> StoredRun:
        """A run that was kept; raises OutsideError."""
        ...

    def each_evidence(self, run: str) -> Iterator[SloEvidence]:
        """The samples of a run that was kept."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What a worker works with.

    ``ports`` gives everything that a run needs (False: it asks no Prometheus), ``metrics`` the Prometheus
    alone, ``options`` the engine's options with what a job chooses. ``allow_url``: see ``urls``.
    ``tracing``: where runs are told as traces. ``announcers`` makes what tells others of one run, with the
    arguments of Announcer; None where nobody is to be told. ``alert_sources``: who knows of alerts of windows,
    beside Prometheus. ``approvals``: where a job's run is approved; ``approval``: what of an experiment has to be, by the
    settings.
    """

    store: WorkerStore
    catalogue: Catalogue
    ports: Callable[[bool], Ports]
    metrics: Callable[[], Metrics]
    clock: Clock
    options: Callable[..., Options]
    allow_url: UrlPolicy
    patience: float = STORE_PATIENCE
    tracing: Tracing | None = None
    announcers: Callable[..., Announcer] | None = None
    alert_sources: Callable[[], Sequence[AlertSource]] = tuple
    approvals: Callable[[Job], Approvals] | None = None
    approval: Callable[[Experiment], Approval | None] = lambda _experiment: None


def carry_out(id: str, claim: str, bench: Bench, control: Control) -> int:
    """Do the job that this claim holds; the exit code of ``sloguard run``. ``control`` stops it.

    Where the claim does not hold it any more nothing is done at all, and the answer is 0.
    """
    store = bench.store
    job = store.job(id)
    if job is None or not store.job_started(id, claim):
        log.warning("job %s is not this worker's any more: nothing is done", id)
        return 0
    with _watched(store, job, claim, control):
        try:
            ending = _KINDS[job.kind](job, bench, control)
        except _NotItsTurn as wait:
            return _wait(bench, job, claim, wait)
        except (NotUsable, DocumentError, ServiceError) as error:
            ending = _Ending(JobState.FAILED, EXIT_USAGE, _said(error))
        except OutsideError as error:
            ending = _Ending(JobState.FAILED, EXIT_FAILED, str(error))
        except Exception as error:
            # Whatever it was, it has been undone: the run itself is closed by the service's next look.
            log.exception("job %s failed", id)
            ending = _Ending(JobState.ENDED, EXIT_FAILED, f"{type(error).__name__}: {error}")
        log.info("job %s %s with code %d %s", id, ending.state, ending.code, ending.detail)
        _end(bench, job, claim, ending)
    return ending.code


@dataclass(frozen=True, slots=True)
class _Ending:
    state: JobState
    code: int
    detail: str = ""
    result: Mapping[str, Any] | None = None


class _NotItsTurn(Exception):
    """Another run is on the target: nothing was touched, and nothing told."""


def _wait(bench: Bench, job: Job, claim: str, why: _NotItsTurn) -> int:
    """Back into the queue, where it shows what it waits for."""
    now = bench.clock.now()
    at = now + look_again(now - job.requested_at)
    log.info("job %s waits: %s", job.id, why)
    _insist(lambda: bench.store.requeue(job.id, claim, str(why), not_before=at), bench.patience)
    return 0


def _run(job: Job, bench: Bench, control: Control) -> _Ending:
    """A run, or a dry run, of an experiment."""
    entry = _entry(job, bench.catalogue)
    variables = usable(entry, job.variables)
    probe = guarded_probe(entry.allowed, bench.allow_url)
    experiment = load(
        entry.file,
        variables=variables,
        run_probe=probe,
        slo_roots=bench.catalogue.slo_roots,
        scrape_interval=bench.options().fallback_step,
    )
    # The file may be another one by now than the catalogue has read.
    forbidden = refused(experiment.declared, entry.allowed)
    if forbidden:
        raise NotUsable("; ".join(f"{need.path}: {need.message}" for need in forbidden))
    experiment = replace(experiment, tags=tuple(dict.fromkeys((*experiment.tags, *job.tags))))
    asks = bool(experiment.slos or experiment.guards or experiment.alerts.declared)
    ports = guarded(bench.ports(asks), entry.allowed, bench.allow_url)
    locks = Noticing(ports.locks)
    approvals = bench.approvals(job) if bench.approvals else None
    ports = replace(ports, locks=locks, approvals=approvals)
    options = bench.options(run=job.id, seed=job.seed, variables=variables, use_drivers=False)
    options = replace(options, approval=bench.approval(experiment))
    if job.dry_run:
        return _dry(experiment, ports, locks, options, control)
    patient = Patient(bench.store.recorder(experiment=entry.name).record)
    announcer = bench.announcers(experiment=entry.name) if bench.announcers else None
    keep = patient.record
    told: list[Consumer] = announcer.around(keep) if announcer else [keep]
    doors = [Door(consumer, locks) for consumer in told]
    consumers: list[Consumer] = [door.record for door in doors]
    with ExitStack() as stack:
        if bench.tracing is not None:
            spans = RunSpans(bench.tracing)
            stack.callback(spans.close)
            ports = traced(ports, spans)
            consumers.append(spans.record)
        try:
            ended = drive(run(experiment, ports, options, control), consumers)
            if locks.held is not None and not control.reasons and not doors[0].passed:
                raise _NotItsTurn(f"another run is on its target: {locks.held}")
            for door in doors:
                door.let_in()
        finally:
            kept = patient.flush(bench.patience)
            if announcer is not None:
                announcer.flush(TELLING_PATIENCE)
    if ended is None or not kept:
        return _Ending(JobState.ENDED, EXIT_FAILED, "the run's end could not be kept in the store")
    return _Ending(JobState.ENDED, int(ended.document["exit_code"]))


def _dry(
    experiment: Experiment, ports: Ports, locks: Noticing, options: Options, control: Control
) -> _Ending:
    """What a run would do. One that would wait for another run can start all the same."""
    result: dict[str, Any] = {"could_start": False, "checks": [], "plans": [], "notes": []}
    events = dry_run(experiment, ports, options, control)
    while True:
        try:
            event = next(events)
        except StopIteration as stop:
            result["could_start"] = bool(stop.value)
            break
        _planned(event, result)
    if locks.held is not None and not control.reasons:
        _would_wait(result)
    code = 0 if result["could_start"] else EXIT_CODES[Outcome.NOT_STARTED]
    shown = Masker.of(experiment.secrets).data(result)
    return _Ending(JobState.ENDED, code, "a dry run: nothing was touched", shown)


def _would_wait(result: dict[str, Any]) -> None:
    result["could_start"] = True
    for check in result["checks"]:
        # The only one against it: the locks are tried last, where nothing else is.
        if check["ok"] is False:
            check["ok"] = None
    result["notes"] = [note for note in result["notes"] if note["level"] != "error"]
    text = "another run is on its target: a run would wait in the queue until that one is over"
    result["notes"].append({"level": "warning", "message": text})


def _planned(event: Event, result: dict[str, Any]) -> None:
    match event:
        case Preflight():
            check = {"name": event.name, "ok": event.ok, "message": event.message}
            result["checks"].append(check)
        case FaultPlanned():
            plan = {
                "activity": event.activity,
                "fault": event.fault,
                "targets": list(event.targets),
                "spared": [list(pair) for pair in event.spared],
                "summary": event.summary,
            }
            result["plans"].append(plan)
        case Note():
            result["notes"].append({"level": event.level, "message": event.message})


def _window(job: Job, bench: Bench, control: Control) -> _Ending:
    """A window that another tool has closed."""
    window = bench.store.window(job.id)
    if window is None:
        raise NotUsable(f"there is no window '{job.id}'")
    slos = _slo_set(bench.catalogue, window.slos)
    metrics = bench.metrics()
    options = bench.options(run=job.id)
    _await(metrics, options.metrics_patience, bench.clock, control)
    if control.reasons:
        return _Ending(JobState.CANCELLED, 0, control.reasons[0])
    sources = bench.alert_sources()
    judgement = judge_window(window, slos, metrics, bench.clock, options, sources)
    return _keep(judgement, bench, experiment=window.slos, kind="window")


def _rejudge(job: Job, bench: Bench, control: Control) -> _Ending:
    """The evidence of an earlier run, judged again."""
    stored = bench.store.run(str(job.payload["run"]))
    other = None
    if "slos" in job.payload:
        other = _slo_set(bench.catalogue, str(job.payload["slos"]))
    elif "definition" in job.payload:
        other = parse_slos(job.payload["definition"], environ={})
    if control.reasons:
        return _Ending(JobState.CANCELLED, 0, control.reasons[0])
    evidence = bench.store.each_evidence(stored.id)
    options = bench.options(run=job.id)
    try:
        judgement = judge_again(job.id, stored, evidence, other, bench.clock.now(), options)
    except ValueError as error:
        raise NotUsable(str(error)) from None
    return _keep(judgement, bench, experiment=stored.experiment, kind="rejudge", origin=stored.id)


_KINDS: Mapping[str, Callable[[Job, Bench, Control], _Ending]] = {
    "run": _run,
    "window": _window,
    "rejudge": _rejudge,
}


def _keep(judgement: Judgement, bench: Bench, **what: str) -> _Ending:
    recorder = bench.store.recorder(**what)
    if bench.announcers is not None:
        _announce(bench.announcers(**what), judgement.told())
    # Told anew each time: the samples are read one SLO at a time.
    _insist(lambda: recorder.record_whole(judgement.told()), bench.patience)
    return _Ending(JobState.ENDED, int(judgement.document["exit_code"]))


def _announce(announcer: Announcer, story: Iterable[Event]) -> None:
    """Tell others of a run that is over; what fails is logged, and the run is kept all the same."""
    for event in story:
        try:
            announcer.record(event)
        except Exception as error:  # noqa: BLE001 - whatever it is, the judgement stands
            log.warning("not told to others yet: %s", error)
    announcer.flush(TELLING_PATIENCE)


def _entry(job: Job, catalogue: Catalogue) -> Entry:
    """The experiment of a job; by its file where it has another name since."""
    try:
        entry = catalogue.get(job.experiment)
    except ServiceError:
        found = catalogue.of_file(job.source)
        if found is None:
            raise
        return found
    if job.source and entry.file != job.source:
        return catalogue.of_file(job.source) or entry
    return entry


def _slo_set(catalogue: Catalogue, name: str) -> Experiment:
    entry = catalogue.slo_set(name)
    if entry.experiment is None or not entry.valid:
        raise NotUsable(f"the set of SLOs '{name}' cannot be used", entry.problems)
    return entry.experiment


def _await(metrics: Metrics, patience: float, clock: Clock, control: Control) -> None:
    """Until Prometheus is there: a judgement without it is worth little, and the window is over anyway."""
    deadline, idle = clock.monotonic() + patience, threading.Event()
    while not control.reasons:
        try:
            metrics.clock_offset()
            return
        except MetricsError:
            if clock.monotonic() >= deadline:
                return
        clock.wait(idle, 2.0)


def _end(bench: Bench, job: Job, claim: str, ending: _Ending) -> None:
    def say() -> None:
        bench.store.job_ended(
            job.id,
            ending.state,
            exit_code=ending.code,
            detail=ending.detail,
            result=ending.result,
            claim=claim,
        )

    _insist(say, bench.patience)


def _insist(write: Callable[[], object], patience: float) -> None:
    """Try until it is done; raises the last OutsideError once ``patience`` seconds have passed."""
    deadline, pause = time.monotonic() + patience, 0.5
    while True:
        try:
            write()
            return
        except OutsideError as error:
            if time.monotonic() + pause >= deadline:
                raise
            log.warning("the store does not take it yet: %s", error)
        time.sleep(pause)
        pause = min(2 * pause, 5.0)


@contextmanager
def _watched(store: WorkerStore, job: Job, claim: str, control: Control) -> Iterator[None]:
    """Beside the work: look whether somebody wants it stopped, and say that it is alive."""
    done = threading.Event()

    def look() -> None:
        told, beat_at = False, time.monotonic() + BEAT_SECONDS
        while not done.wait(LOOK_SECONDS):
            try:
                reason = "" if told else store.abort_asked(job.id)
                if time.monotonic() >= beat_at:
                    store.beat_job(job.id, claim)
                    store.beat(job.id)
                    beat_at = time.monotonic() + BEAT_SECONDS
            except OutsideError as error:
                log.warning("the store does not answer: %s", error)
                continue
            if reason:
                told = True
                control.abort(reason)

    watcher = threading.Thread(target=look, name="watching", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join(5.0)


def _said(error: Exception) -> str:
    problems = getattr(error, "problems", ())
    lines = [str(problem) for problem in problems]
    if isinstance(error, NotUsable):
        return "\n".join([str(error), *lines])
    return str(error)
