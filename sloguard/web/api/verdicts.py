"""Verdicts: one link away, and waited for."""

from __future__ import annotations

import time
from functools import lru_cache

from flask import Response
from pydantic import Field

from sloguard.core.objective import parse_duration
from sloguard.core.tallies import StoredAnswer
from sloguard.ports.service import Scope
from sloguard.web.answers import json_answer, lasting, tag_of, unchanged
from sloguard.web.api.finding import LATEST, job_words, known_experiment, unknown_run, whole_id
from sloguard.web.api.timing import Duration
from sloguard.web.endpoints import JSON, Answer, Query, Resource
from sloguard.web.parts import Service, service
from sloguard.web.problems import Problem
from sloguard.web.schemas import NAME_PATTERN, LatestVerdicts, VerdictDocument
from sloguard.web.shaping import latest_shape

resource = Resource("verdicts", "/api/v1", about="Verdicts of runs.")

#: Longer than this nobody holds a connection; ask again.
MOST_SECONDS = 300.0
#: Characters of a document whose tag is kept: to compute it costs more than to find it.
_SMALL = 16 << 10


class VerdictQuery(Query):
    """How long to wait."""

    wait: Duration | None = Field(
        None, description="Hold the answer until there is a verdict, at most so long (up to 5m)."
    )


class LatestQuery(Query):
    """Of which experiment."""

    experiment: str | None = Field(
        None, description="Only of this experiment (its name).", pattern=NAME_PATTERN
    )


@resource.get(
    "/runs/<run>/verdict",
    scope=Scope.READ,
    query=VerdictQuery,
    answers=[
        Answer(
            description="The verdict.",
            model=VerdictDocument,
            headers={"ETag": "changes with the verdict"},
        ),
        Answer(status=304, description="You have it already."),
    ],
    problems=["unknown-run", "no-verdict", "too-many-waiting"],
)
def verdict(run: str, query: VerdictQuery) -> Response:
    """The verdict of a run, the document of `sloguard run --format json`.

    While there is none the answer is 404 with the type `no-verdict`, the run's `state`, and Retry-After
    where it is worth asking again: a pipeline never takes "not yet" for a pass.
    """
    here = service()
    if run == LATEST:
        run = whole_id(here, run)
    found = here.store.answer(run)
    if query.wait is not None and not _is_final(found):
        found = _waited(here, run, min(parse_duration(query.wait), MOST_SECONDS))
    if found is None or found.ended_at is None or found.document is None:
        raise _no_verdict(here, run, found)
    body, tag = _sent(found.document) if len(found.document) < _SMALL else _made(found.document)
    return unchanged(tag) or lasting(body, JSON, tag)


def _made(document: str) -> tuple[bytes, str]:
    """The body and its tag."""
    body = document.encode()
    return body, tag_of(body)


_sent = lru_cache(256)(_made)


def _is_final(found: StoredAnswer | None) -> bool:
    return found is not None and found.ended_at is not None


def _waited(here: Service, run: str, seconds: float) -> StoredAnswer | None:
    """What there is once the run has ended, or the time is over."""
    deadline = time.monotonic() + seconds
    with here.watcher.place():
        while True:
            turn = here.watcher.turn
            found = here.store.answer(run)
            if _is_final(found) or here.watcher.stopping:
                return found
            if found is None and _is_over(here, run):
                return here.store.answer(run)
            left = deadline - time.monotonic()
            if left <= 0:
                return found
            here.watcher.wait(turn, left)


def _is_over(here: Service, run: str) -> bool:
    """There is no run: will there be one?"""
    job = here.store.job(run)
    if job is None:
        window = here.store.window(run)
        return window is None
    return job.state.is_over


def _no_verdict(here: Service, run: str, found: StoredAnswer | None) -> Problem:
    again = {"Retry-After": "5"}
    if found is not None and found.ended_at is None:
        detail = f"run '{run}' has not ended"
        return Problem("no-verdict", detail, headers=again, state="running", run=run)
    if found is not None:
        detail = f"run '{run}' ended without a verdict: {found.reason or 'no reason is known'}"
        return Problem("no-verdict", detail, state="ended", run=run)
    job = here.store.job(run)
    if job is not None:
        headers = {} if job.state.is_over else again
        detail = f"there is no run '{run}': {job_words(job)}"
        return Problem("no-verdict", detail, headers=headers, state=str(job.state), run=run)
    window = here.store.window(run)
    if window is not None:
        detail = f"the window '{run}' is {window.state}; once closed it is judged"
        return Problem("no-verdict", detail, headers=again, state=str(window.state), run=run)
    return unknown_run(run)


@resource.get(
    "/verdicts/latest",
    scope=Scope.READ,
    query=LatestQuery,
    answers=[Answer(description="The newest verdicts.", model=LatestVerdicts)],
    problems=["unknown-experiment"],
)
def latest(query: LatestQuery) -> Response:
    """The newest verdict of every experiment, or of one.

    Rejudgements do not count. An experiment that has no ended run and is not in the catalogue is unknown.
    """
    here = service()
    found = here.store.latest_runs(query.experiment)
    name = query.experiment
    if not found and name is not None and not known_experiment(here, name):
        raise Problem(
            "unknown-experiment", f"there is neither an experiment '{name}' nor a run of it"
        )
    kept = [latest_shape(run) for run in found if run.ended_at is not None]
    return json_answer({"verdicts": kept})
