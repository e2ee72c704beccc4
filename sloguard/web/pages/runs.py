"""Runs: the list, and one run, be it under way, planned or over."""

from __future__ import annotations

from typing import Any, Literal

from flask import Response, request
from pydantic import Field

from sloguard.core.history import StoredRun
from sloguard.ports.service import Job, JobState, Scope
from sloguard.web.api.finding import no_run, stored_run, whole_id
from sloguard.web.api.runs import Outcomes, Tag
from sloguard.web.endpoints import Answer, Resource
from sloguard.web.identity import who
from sloguard.web.pages.addressing import with_query
from sloguard.web.pages.forms import FORM, PageQuery, Refused, asking, see, sent
from sloguard.web.pages.live import live_page
from sloguard.web.pages.rendering import page
from sloguard.web.pages.report import report
from sloguard.web.parts import Service, service
from sloguard.web.people import ANSWERS, add_note, approvals, deciding
from sloguard.web.problems import Problem
from sloguard.web.schemas import NAME_PATTERN, RUN_PATTERN

resource = Resource("run-pages", "/runs", documented=False)
HTML = [Answer(description="A page.", media=("text/html",))]
GONE_ON = [Answer(description="Go on there.", status=303, media=())]
_PAGE = 50
_ACTION = "action "
_WAITING = (JobState.QUEUED, JobState.STARTING)


class Wanted(PageQuery):
    """Which runs."""

    experiment: str | None = Field(None, pattern=NAME_PATTERN, description="Of this name.")
    outcome: Outcomes | None = Field(None, description="Ended so, or not yet.")
    kind: Literal["run", "window", "rejudge"] | None = Field(None, description="Only these.")
    tag: Tag | None = Field(None, description="With this tag.")
    before: str | None = Field(None, pattern=RUN_PATTERN, description="Older than this run.")


@resource.get("", scope=Scope.READ, query=Wanted, answers=HTML)
def runs(query: Wanted) -> Response:
    """Runs, newest first."""
    here = service()
    found = here.store.runs(
        _PAGE + 1,
        query.before,
        name=query.experiment,
        outcome=query.outcome,
        kind=query.kind,
        tag=query.tag,
    )
    shown = found[:_PAGE]
    filters = query.model_dump(exclude_none=True, exclude={"before"})
    older = with_query("/runs", {**filters, "before": shown[-1].id}) if len(found) > _PAGE else ""
    first = query.before is None and not filters
    return page(
        "runs",
        section="Runs",
        runs=shown,
        waiting=here.store.jobs(_WAITING, limit=_PAGE) if first else (),
        wanted=query,
        filtered=bool(filters),
        older=older,
        newest=with_query("/runs", filters) if query.before else "",
        names=[entry.name for entry in here.parts.catalogue.entries()],
        outcomes=Outcomes.__args__,  # type: ignore[attr-defined]  # a Literal has its words there
    )


@resource.get("/<run>", scope=Scope.READ, answers=HTML)
def run(run: str) -> Response:
    """A run: its verdict, or what it does now, or its plan."""
    here = service()
    found = whole_id(here, run)
    if found != run:
        return see(f"/runs/{found}")
    return _shown(here, found, None)


def _shown(here: Service, id: str, refused: Refused | None) -> Response:
    stored, job = stored_run(here, id), here.store.job(id)
    if stored is not None:
        if stored.ended_at is None and stored.alive:
            return live_page(here, stored, job)
        return report(here, stored, job, refused)
    if job is not None:
        return _job(job)
    window = here.store.window(id)
    if window is not None:
        return see(f"/windows/{id}")
    raise no_run(here, id)


def _job(job: Job) -> Response:
    """A job that has left no run: it waits, plans, was a plan, or came to nothing."""
    return page("job", section="Runs", job=job, result=_result(job))


def _result(job: Job) -> dict[str, Any]:
    checks = job.result.get("checks") or ()
    # A dry run plans while it checks: what each action would do stands in the check of that name.
    planned = [
        {"activity": str(check["name"]).removeprefix(_ACTION), "summary": check.get("message", "")}
        for check in checks
        if check.get("ok") and str(check.get("name", "")).startswith(_ACTION)
    ]
    order = {False: 0, None: 1, True: 2}
    return {
        "could_start": bool(job.result.get("could_start")),
        "checks": sorted(checks, key=lambda check: order.get(check.get("ok"), 1)),
        "plans": job.result.get("plans") or planned,
        "notes": job.result.get("notes") or (),
    }


@resource.post("/<run>/abort", scope=Scope.RUN, raw=(FORM,), answers=GONE_ON)
def abort(run: str) -> Response:
    """Stop a run."""
    here = service()
    given = sent(("reason",))
    id = _named(here, run)
    if not here.parts.jobs.abort(id, reason=given.get("reason", "")[:500], by=who().name):
        job = here.store.job(id)
        if job is None:
            detail = "this run was not started by the service: stop it where it was started"
            raise Problem("conflict", detail)
    return see(f"/runs/{id}")


@resource.post("/<run>/approve", scope=Scope.RUN, raw=(FORM,), answers=GONE_ON)
def approve(run: str) -> Response:
    """Approve what a run is about to inject, or refuse it."""
    here = service()
    given = sent(("answer", "reason", "plan"))
    id = _named(here, run)
    answer = ANSWERS.get(given.get("answer", ""))
    if answer is None:
        raise Problem("invalid", "say whether it is approved or refused")
    with deciding():
        approvals(here).decide(
            id,
            answer,
            by=who().name,
            from_=request.remote_addr or "",
            reason=given.get("reason", ""),
            plan=given.get("plan", ""),
        )
    return see(f"/runs/{id}")


@resource.post("/<run>/notes", scope=Scope.RUN, raw=(FORM,), answers=GONE_ON)
def note(run: str) -> Response:
    """Attach an observation to a run, or to a window."""
    here = service()
    given = sent(("text", "name", "back"))
    id = _named(here, run)
    add_note(here, id, given.get("text", ""), origin="page", name=given.get("name", ""))
    return see(f"/windows/{id}" if given.get("back") == "window" else f"/runs/{id}#observations")


@resource.post("/<run>/rejudge", scope=Scope.RUN, raw=(FORM,), answers=GONE_ON)
def rejudge(run: str) -> Response:
    """Judge the evidence of a run again."""
    here = service()
    given = sent(("slos",))
    id = _named(here, run)
    stored = _judged(here, id)
    try:
        with asking():
            job, _ = here.parts.jobs.submit_rejudge(
                stored.id,
                slos=given.get("slos", ""),
                by=who().name,
                from_=request.remote_addr or "",
                key=given.get("key", ""),
            )
    except Refused as refused:
        return _shown(here, id, refused)
    return see(f"/runs/{job.id}")


def _named(here: Service, run: str) -> str:
    id = whole_id(here, run)
    if id != run:
        raise Problem("conflict", "name the run by its id: 'latest' may be another one by now")
    return id


def _judged(here: Service, id: str) -> StoredRun:
    stored = stored_run(here, id)
    if stored is None:
        raise no_run(here, id)
    if stored.ended_at is None or stored.timeline is None:
        raise Problem("conflict", "only a run that has ended, and had a fault, can be judged again")
    return stored
