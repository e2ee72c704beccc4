"""Runs: asked for, listed, looked at, stopped, judged again, deleted."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

import msgspec
from flask import Response, request
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from sloguard.ports.service import Job, JobState, Scope
from sloguard.service.jobs import LARGEST_SEED, MOST_TAGS
from sloguard.web.answers import json_answer
from sloguard.web.api.finding import LATEST, no_run, stored_run, whole_id
from sloguard.web.api.refusing import refusals
from sloguard.web.api.timing import Moment, seconds
from sloguard.web.endpoints import Answer, Body, Query, Resource
from sloguard.web.identity import who
from sloguard.web.parts import Service, service
from sloguard.web.problems import Problem
from sloguard.web.schemas import NAME_PATTERN, RUN_PATTERN, RunList, RunShape, Started
from sloguard.web.shaping import (
    API,
    job_row,
    job_shape,
    line_row,
    page_answer,
    run_href,
    run_row,
    run_shape,
    waiting_shape,
)

resource = Resource("runs", API, about="Runs of experiments, under way and ended.")

Tag = Annotated[str, Field(min_length=1, max_length=100)]
Reason = Annotated[str, Field(max_length=500)]
_WAITING = (JobState.QUEUED, JobState.STARTING)
_LOCATION = {"Location": "the run", "Idempotency-Replayed": "`true` where the key was known"}


#: Those of core.model.Outcome, and what has not ended.
Outcomes = Literal[
    "met", "deviated", "inconclusive", "not-started", "aborted", "not-restored", "running"
]


class RunsQuery(Query):
    """Which runs."""

    experiment: str | None = Field(None, description="Of this name.", pattern=NAME_PATTERN)
    outcome: Outcomes | None = Field(None, description="Ended so, or `running`: not ended.")
    kind: Literal["run", "window", "rejudge"] | None = Field(None, description="Only these.")
    tag: Tag | None = Field(None, description="With this tag.")
    since: Moment | None = Field(None, description="Started then or later.")
    until: Moment | None = Field(None, description="Started before.")
    limit: int = Field(50, ge=1, le=200, description="At most so many.")
    before: str | None = Field(
        None, description="The last run of the page before this one.", pattern=RUN_PATTERN
    )


class Key(Query):
    """What makes a request safe to repeat."""

    key: str | None = Field(
        None,
        alias="Idempotency-Key",
        description="Sent again with the same body, it gives the first answer's job again.",
        pattern=r"^[A-Za-z0-9._:/+=@-]{1,200}$",
    )


_PLAIN = {"type": ["string", "number", "boolean", "null"]}


def _plain(value: Any) -> Any:
    """Said once, not once for every type that it could have been."""
    items = value if isinstance(value, list) else [value]
    if not all(item is None or isinstance(item, str | int | float) for item in items):
        raise ValueError("expected a text, a number, true, false, null, or a list of these")
    return value


def _whole(value: Any) -> Any:
    """JSON does not tell 270 from 270.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Variable = Annotated[
    Any,
    AfterValidator(_plain),
    WithJsonSchema({"anyOf": [_PLAIN, {"type": "array", "items": _PLAIN}]}),
]


class Order(Body):
    """A run that is asked for."""

    experiment: str = Field(description="its name in the catalogue", pattern=NAME_PATTERN)
    variables: dict[str, Variable] = Field(
        default={}, description="configuration values, as --var gives them", max_length=200
    )
    dry_run: bool = Field(default=False, description="look and plan only; touch nothing")
    tags: list[Tag] = Field(default=[], max_length=MOST_TAGS)
    seed: Annotated[int | None, BeforeValidator(_whole)] = Field(
        default=None, ge=0, le=LARGEST_SEED, description="repeats random choices"
    )


class Stop(Body):
    """Why a run is stopped."""

    reason: Reason = Field(default="", description="it stands in the verdict")


class Again(Body):
    """With which SLOs the evidence is judged: a set's, those sent, else the run's own."""

    model_config = ConfigDict(json_schema_extra={"not": {"required": ["slos", "definition"]}})

    slos: str | None = Field(default=None, description="a named set", pattern=NAME_PATTERN)
    definition: dict[str, Any] | None = Field(
        default=None, description="SLOs as in a file: {slos: [...]}"
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if {"slos", "definition"} <= self.model_fields_set:
            raise ValueError("give the name of a set or a definition, not both")
        return self


@resource.get(
    "/runs",
    scope=Scope.READ,
    query=RunsQuery,
    answers=[
        Answer(
            description="A page of runs, newest first.",
            model=RunList,
            headers={"Link": '`rel="next"`: the page after this one'},
        )
    ],
)
def runs(query: RunsQuery) -> Response:
    """Runs, newest first; what still waits in the queue stands on the first page.

    Follow `next` (or the Link header) for older ones; pages stay whole while new runs come in.
    """
    here = service()
    rows, last = _found(here, query)
    if _wants_queue(query) and here.store.jobs_wait():
        rows = [*_queued(here, query), *rows]
    return page_answer("runs", rows, f"{API}/runs", query, last)


def _found(
    here: Service, query: RunsQuery
) -> tuple[list[dict[str, Any] | msgspec.Raw], str | None]:
    """A page, and the id of its last one where there may be more."""
    ids: list[str]
    rows: list[dict[str, Any] | msgspec.Raw]
    if query.tag is None and query.since is None and query.until is None:
        lines = here.store.run_lines(
            query.limit,
            before=query.before,
            name=query.experiment,
            kind=query.kind,
            outcome=query.outcome,
        )
        ids = [line.id for line in lines]
        rows = [line_row(line) for line in lines]
    else:
        summaries = here.store.runs(
            query.limit,
            query.before,
            name=query.experiment,
            outcome=query.outcome,
            kind=query.kind,
            tag=query.tag,
            since=seconds(query.since),
            until=seconds(query.until),
        )
        ids = [summary.id for summary in summaries]
        rows = [run_row(summary) for summary in summaries]
    return rows, ids[-1] if len(ids) == query.limit else None


def _wants_queue(query: RunsQuery) -> bool:
    """The first page, without a filter that a waiting job cannot meet."""
    first = query.before is None and query.since is None and query.until is None
    return first and query.outcome in (None, "running")


def _queued(here: Service, query: RunsQuery) -> list[dict[str, Any]]:
    waiting = here.store.jobs(_WAITING, limit=query.limit)
    return [
        job_row(job)
        for job in waiting
        if query.experiment in (None, job.experiment)
        and query.kind in (None, job.kind)
        and (query.tag is None or query.tag in job.tags)
    ]


@resource.post(
    "/runs",
    scope=Scope.RUN,
    body=Order,
    headers=Key,
    answers=[
        Answer(status=201, description="It is queued.", model=Started, headers=_LOCATION),
        Answer(description="The key was known: the job of then.", model=Started, headers=_LOCATION),
    ],
    problems=[
        "unknown-experiment",
        "invalid-experiment",
        "idempotency-key-reused",
        "queue-full",
    ],
)
def start(body: Order, headers: Key) -> Response:
    """Run an experiment of the catalogue, or plan it with `dry_run`.

    The run is queued, carried out by a worker process, and found at Location from now on. Its verdict is at
    `/runs/ID/verdict?wait=60s`.
    """
    desk = service().parts.jobs
    with refusals():
        job, new = desk.submit_run(
            body.experiment,
            variables=body.variables,
            dry_run=body.dry_run,
            tags=body.tags,
            seed=body.seed,
            by=who().name,
            from_=request.remote_addr or "",
            key=headers.key or "",
        )
    return accepted(job, new=new)


def accepted(job: Job, *, new: bool) -> Response:
    """201 for what was queued, 200 for what had been."""
    href = run_href(job.id)
    headers = {"Location": href} if new else {"Location": href, "Idempotency-Replayed": "true"}
    made = {"run": job.id, "href": href, "job": job_shape(job)}
    return json_answer(made, 201 if new else 200, headers=headers)


@resource.get(
    "/runs/<run>",
    scope=Scope.READ,
    answers=[Answer(description="The run.", model=RunShape)],
    problems=["unknown-run"],
)
def run(run: str) -> Response:
    """A run, or the job that will be one: what it is, where it stands, what it did.

    Its verdict, journal, charts, samples and events are under `links`.
    """
    here = service()
    found = whole_id(here, run)
    stored = stored_run(here, found)
    job = here.store.job(found)
    if stored is not None:
        return json_answer(run_shape(stored, job, here.store.evidence_names(found)))
    if job is not None:
        return json_answer(waiting_shape(job))
    raise no_run(here, found)


@resource.post(
    "/runs/<run>/abort",
    scope=Scope.RUN,
    body=Stop,
    answers=[
        Answer(status=202, description="It was asked to stop, and will undo all.", model=Started)
    ],
    problems=["unknown-run", "conflict"],
)
def abort(run: str, body: Stop) -> Response:
    """Stop a run: what it injected is undone, and the outcome is `aborted`. A queued one is cancelled.

    Ended runs cannot be stopped, nor those that the service did not start.
    """
    here = service()
    found = _own(here, run)
    if not here.parts.jobs.abort(found, reason=body.reason, by=who().name):
        job = here.store.job(found)
        if job is None:
            detail = "this run was not started by the service: stop it where it was started"
            raise Problem("conflict", detail)
        raise Problem("conflict", f"it is over already: the job is {job.state}")
    job = here.store.job(found)
    if job is None:
        raise no_run(here, found)
    return json_answer({"run": found, "href": run_href(found), "job": job_shape(job)}, 202)


def _own(here: Service, run: str) -> str:
    """The whole id of a run or job that there is. What changes something names it whole."""
    if run == LATEST:
        raise Problem("conflict", "name the run by its id: 'latest' may be another one by now")
    found = whole_id(here, run)
    if here.store.job(found) is None and stored_run(here, found) is None:
        raise no_run(here, found)
    return found


@resource.post(
    "/runs/<run>/rejudge",
    scope=Scope.RUN,
    body=Again,
    headers=Key,
    answers=[
        Answer(status=201, description="It is queued.", model=Started, headers=_LOCATION),
        Answer(description="The key was known: the job of then.", model=Started, headers=_LOCATION),
    ],
    problems=[
        "unknown-run",
        "unknown-experiment",
        "invalid-experiment",
        "conflict",
        "idempotency-key-reused",
        "queue-full",
    ],
)
def rejudge(run: str, body: Again, headers: Key) -> Response:
    """Judge the stored evidence of an ended run again: by a named set of SLOs, by SLOs sent, or by its own.

    It becomes a run of its own (kind `rejudge`); the verdict of then stays.
    """
    here = service()
    found = whole_id(here, run)
    stored = stored_run(here, found)
    if stored is None:
        raise no_run(here, found)
    if stored.ended_at is None or stored.timeline is None:
        detail = "only a run that has ended, and had a fault, can be judged again"
        raise Problem("conflict", detail)
    with refusals():
        job, new = here.parts.jobs.submit_rejudge(
            found,
            slos=body.slos or "",
            definition=body.definition,
            by=who().name,
            from_=request.remote_addr or "",
            key=headers.key or "",
        )
    return accepted(job, new=new)


@resource.delete(
    "/runs/<run>",
    scope=Scope.ADMIN,
    answers=[Answer(status=204, description="It is gone, with all that belonged to it.")],
    problems=["unknown-run", "conflict"],
)
def delete(run: str) -> Response:
    """Delete an ended run with its evidence. One with faults left behind stays: its ledger is the way back."""
    from sloguard.adapters.store import OpenFaults

    here = service()
    found = _own(here, run)
    if stored_run(here, found) is None:
        raise Problem("conflict", "it has left no run; what waits is cancelled with POST /abort")
    try:
        here.store.delete(found)
    except OpenFaults as error:
        raise Problem("conflict", str(error)) from None
    return Response(status=204)
