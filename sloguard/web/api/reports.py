"""Reports that are kept: listed, read in every form, made, deleted."""

from __future__ import annotations

import threading
from typing import Annotated, Any, Literal, Self

from flask import Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from sloguard.core.reporting import ReportLine, StoredReport, file_name
from sloguard.core.text import iso_time
from sloguard.ports.service import Scope
from sloguard.render.report import ReportError, period
from sloguard.service.reporting import ReportDesk, known_of
from sloguard.web.answers import json_answer, lasting, tag_of, unchanged
from sloguard.web.api.finding import ended_run
from sloguard.web.api.timing import Moment, seconds
from sloguard.web.endpoints import Answer, Body, Query, Resource
from sloguard.web.identity import who
from sloguard.web.parts import Service, service
from sloguard.web.problems import Problem
from sloguard.web.schemas import RUN_PATTERN, Open, Shape, Time
from sloguard.web.shaping import API, page_answer, time_or_none

resource = Resource("reports", API, about="Reports of runs and of weeks, kept in the store.")

#: Making one, or a PDF of it, takes a processor for itself.
_MAKING = threading.BoundedSemaphore(1)
_MEDIA = {
    "html": "text/html",
    "pdf": "application/pdf",
    "md": "text/markdown",
}
#: A page of its own: its style stands inside, its pictures are data, and it does nothing.
_ALONE = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_ETAG = {"ETag": "changes with the content"}
Zone = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9+_-]+(/[A-Za-z0-9+_-]+)*$")]


class ReportsQuery(Query):
    """Which reports."""

    kind: Literal["weekly", "run"] | None = Field(None, description="Only these.")
    limit: int = Field(50, ge=1, le=200, description="At most so many.")
    before: str | None = Field(
        None, description="The last report of the page before this one.", pattern=RUN_PATTERN
    )


class ReportRow(Shape):
    """One line of a list of reports."""

    report: str
    kind: Literal["weekly", "run"]
    name: str = Field(description="the week, the window, or the run")
    title: str
    summary: str
    start: Time = Field(description="of what it covers")
    end: Time
    created: Time
    created_by: str = Field(description="empty: the schedule")
    announced: Time | None = Field(description="when it was told that it is there")
    href: str


class ReportList(Shape):
    """A page of reports, newest first."""

    reports: list[ReportRow]
    next: str | None = Field(description="the next page, also in the Link header")


class Model(Open):
    """All that a report says: the same numbers as in its other forms."""

    kind: Literal["weekly", "run"]
    title: str
    headline: str


class ReportShape(ReportRow):
    """A report, whole."""

    model: Model


class Made(BaseModel):
    """Where the new report is."""

    report: str
    href: str
    title: str
    summary: str


def _whole(value: Any) -> Any:
    """JSON does not tell 5 from 5.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Wanted(Body):
    """Which report is to be made: of a week (the last one that is over), of a window, or of runs."""

    model_config = ConfigDict(
        json_schema_extra={
            "not": {"anyOf": [{"required": ["week", "runs"]}, {"required": ["since", "runs"]}, {"required": ["week", "since"]}]},
            "dependentRequired": {"until": ["since"]},
        }
    )  # fmt: skip

    week: str | None = Field(
        default=None, description="an ISO week", pattern=r"^[0-9]{4}-W[0-9]{2}$", examples=["2026-W47"]
    )  # fmt: skip
    since: Annotated[Moment | None, Field(strict=False)] = Field(
        default=None, description="in place of a week: from then on"
    )
    until: Annotated[Moment | None, Field(strict=False)] = Field(
        default=None, description="up to then; else now"
    )
    weeks: Annotated[int | None, BeforeValidator(_whole)] = Field(
        default=None, ge=1, le=26, description="weeks or windows side by side"
    )
    time_zone: Zone | None = Field(default=None, description="of the borders and of all times")
    runs: Annotated[
        list[Annotated[str, Field(pattern=RUN_PATTERN)]] | None,
        Field(min_length=1, max_length=50),
    ] = Field(default=None, description="of these runs alone")

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        given = [n for n in ("week", "since", "runs") if n in self.model_fields_set]
        if len(given) > 1:
            raise ValueError(f"give one of week, since and runs; found {' and '.join(given)}")
        if "until" in self.model_fields_set and "since" not in self.model_fields_set:
            raise ValueError("until needs since")
        return self


@resource.get(
    "/reports",
    scope=Scope.READ,
    query=ReportsQuery,
    answers=[
        Answer(
            description="A page of reports, newest first.",
            model=ReportList,
            headers={"Link": '`rel="next"`: the page after this one'},
        )
    ],
)
def reports(query: ReportsQuery) -> Response:
    """Reports that are kept, newest first."""
    found = service().store.reports(query.limit, query.before, kind=query.kind)
    last = found[-1].id if len(found) == query.limit else None
    return page_answer("reports", [row(line) for line in found], f"{API}/reports", query, last)


@resource.post(
    "/reports",
    scope=Scope.RUN,
    body=Wanted,
    answers=[
        Answer(status=201, description="It is made and kept.", model=Made, headers={"Location": "the report"})
    ],
    problems=["unknown-run", "no-evidence", "unusable-report"],
)  # fmt: skip
def make(body: Wanted) -> Response:
    """Make a report and keep it.

    Of `runs`, of a `week`, of a window from `since` on, or of the last week that is over. Its forms are at
    Location with `.html`, `.pdf` or `.md` after it.
    """
    report = made(
        week=body.week,
        since=seconds(body.since),
        until=seconds(body.until),
        weeks=body.weeks,
        zone=body.time_zone,
        runs=body.runs,
    )
    href = f"{API}/reports/{report.id}"
    shown = {"report": report.id, "href": href, "title": report.title, "summary": report.summary}
    return json_answer(shown, 201, headers={"Location": href})


def made(
    *,
    week: str | None = None,
    since: float | None = None,
    until: float | None = None,
    weeks: int | None = None,
    zone: str | None = None,
    runs: list[str] | None = None,
) -> StoredReport:
    """A new report, kept. Raises a Problem."""
    here = service()
    group = here.parts.settings.reports
    zone = zone or group.time_zone
    # A run that there is not has a problem of its own.
    found = [ended_run(here, run).id for run in runs or ()]
    try:
        with _MAKING:
            desk = _desk(here)
            if runs:
                report = desk.runs(desk.stored(found), zone=zone, by=who().name)
            else:
                span = _period(week, since, until, zone, here.parts.now())
                report = desk.weekly(span, weeks=weeks or group.weeks, by=who().name)
    except ReportError as error:
        raise Problem("unusable-report", str(error)) from None
    here.store.keep_report(report)
    return report


def _desk(here: Service) -> ReportDesk:
    from sloguard.bootstrap import new_run_id

    known = here.parts.catalogue
    return ReportDesk(
        here.store,
        known=lambda: known_of(known),
        new_id=new_run_id,
        now=here.parts.now,
        backlog=here.parts.backlog,
    )


def _period(
    week: str | None, since: float | None, until: float | None, zone: str, now: float
) -> period.Period:
    if week is not None:
        return period.week(week, zone)
    if since is not None:
        return period.window(since, now if until is None else until, zone)
    return period.last_whole_week(now, zone)


@resource.get(
    "/reports/<report>",
    scope=Scope.READ,
    answers=[Answer(description="The report with all its numbers.", model=ReportShape)],
    problems=["unknown-report"],
)
def report(report: str) -> Response:
    """A report as data; `latest` is the newest one."""
    found = kept(report)
    return json_answer({**row(found), "model": found.model})


@resource.get(
    "/reports/<report>.<any(html,pdf,md):shape>",
    scope=Scope.READ,
    answers=[
        Answer(description="The report.", media=("text/html", "application/pdf", "text/markdown"), headers=_ETAG),
        Answer(status=304, description="You have it already."),
    ],
    problems=["unknown-report", "not-installed"],
)  # fmt: skip
def written(report: str, shape: Literal["html", "pdf", "md"]) -> Response:
    """A report as a page of its own (HTML), for print (PDF), or as text (Markdown)."""
    here = service()
    found = kept(report)
    tag = tag_of(found.id, shape, str(found.created_at), here.parts.settings.serve.base_url)
    answer = unchanged(tag)
    if answer is not None:
        return answer
    content = here.pictures.get(tag) or _write(here, found, shape)
    here.pictures.put(tag, content)
    answer = lasting(content, _MEDIA[shape], tag)
    answer.headers["Content-Disposition"] = f'inline; filename="{file_name(found, shape)}"'
    if shape == "html":
        answer.headers["Content-Security-Policy"] = _ALONE
    return answer


def _write(here: Service, report: StoredReport, shape: str) -> bytes:
    from sloguard.render.report.pdf import NotInstalled, pdf_of
    from sloguard.render.report.writing import markdown_of, page_of

    if shape == "md":
        return markdown_of(report.model).encode("utf-8", "backslashreplace")
    page = page_of(report.model, report.body, here.parts.settings.serve.base_url)
    if shape == "html":
        return page.encode("utf-8", "backslashreplace")
    try:
        with _MAKING:
            return pdf_of(page)
    except NotInstalled as error:
        raise Problem("not-installed", str(error)) from None


@resource.delete(
    "/reports/<report>",
    scope=Scope.ADMIN,
    answers=[Answer(status=204, description="It is gone.", media=())],
    problems=["unknown-report"],
)
def delete(report: str) -> Response:
    """Delete a report."""
    if not service().store.delete_report(report):
        raise _unknown(report)
    return Response(status=204)


def kept(report: str) -> StoredReport:
    """A report by its id or ``latest``; raises a Problem."""
    found = service().store.report(report)
    if found is None:
        raise _unknown(report)
    return found


def _unknown(report: str) -> Problem:
    if report == "latest":
        return Problem("unknown-report", "there is no report yet; POST /api/v1/reports makes one")
    return Problem(
        "unknown-report", f"there is no report '{report}'; GET /api/v1/reports lists them"
    )


def row(line: ReportLine) -> dict[str, Any]:
    """As JSON."""
    return {
        "report": line.id,
        "kind": line.kind,
        "name": line.name,
        "title": line.title,
        "summary": line.summary,
        "start": iso_time(line.start),
        "end": iso_time(line.end),
        "created": iso_time(line.created_at),
        "created_by": line.created_by,
        "announced": time_or_none(line.announced_at),
        "href": f"{API}/reports/{line.id}",
    }
