"""From what a path says to what the store has; raises Problem."""

from __future__ import annotations

import re

from sloguard.core.history import StoredRun
from sloguard.ports.service import Job
from sloguard.service.catalogue import Entry, UnknownExperiment
from sloguard.web.parts import Service
from sloguard.web.problems import Problem
from sloguard.web.schemas import RUN_PATTERN

LATEST = "latest"
_FIT = re.compile(RUN_PATTERN)


def unknown_run(run: str) -> Problem:
    """404, told apart from a path that is none."""
    if not _FIT.fullmatch(run):
        return Problem("not-found", "that is no run's id")
    return Problem("unknown-run", f"there is no run '{run}'; GET /api/v1/runs lists them")


def whole_id(service: Service, run: str) -> str:
    """``latest`` as an id; every other text as it is."""
    if run != LATEST:
        if not _FIT.fullmatch(run):
            raise unknown_run(run)
        return run
    newest = service.store.runs(1)
    if not newest:
        raise Problem("unknown-run", "there is no run yet")
    return newest[0].id


def stored_run(service: Service, run: str) -> StoredRun | None:
    """The run of a whole id, or None."""
    from sloguard.adapters.store import AmbiguousRun, RunNotFound

    try:
        found = service.store.run(run)
    except (RunNotFound, AmbiguousRun):
        return None
    # The store also finds runs by the beginning of their id; an address is whole.
    return found if found.id == run else None


def ended_run(service: Service, run: str) -> StoredRun:
    """A run of which something can be shown; raises a Problem where there is none."""
    found = stored_run(service, whole_id(service, run))
    if found is None:
        raise no_run(service, run)
    return found


def no_run(service: Service, run: str) -> Problem:
    """Why there is no run: it waits, it was cancelled, or nobody knows of it."""
    job = service.store.job(run)
    if job is None:
        return unknown_run(run)
    return Problem(
        "no-evidence", f"run '{run}' has left nothing: {job_words(job)}", state=job.state
    )


def job_words(job: Job) -> str:
    """What became of a job without a run."""
    if job.state.is_over:
        if job.dry_run and not job.detail:
            return "it was a dry run; GET /api/v1/runs/ID has its result"
        return f"the job is {job.state}: {job.detail or job.abort_reason or 'no reason is known'}"
    return f"the job is {job.state}"


def entry_of(service: Service, name: str) -> Entry:
    """An experiment of the catalogue; raises a Problem with the nearest name."""
    try:
        return service.parts.catalogue.get(name)
    except UnknownExperiment as error:
        raise Problem("unknown-experiment", str(error)) from None


def known_experiment(service: Service, name: str) -> bool:
    """Whether the catalogue has it."""
    try:
        service.parts.catalogue.get(name)
    except UnknownExperiment:
        return False
    return True
