"""Reports: those that are kept, one of them, and a form to make one."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Response
from markupsafe import Markup
from pydantic import Field

from sloguard.ports.service import Scope
from sloguard.render.report import ReportError, period
from sloguard.web.api.reports import kept, made
from sloguard.web.endpoints import Answer, Resource
from sloguard.web.pages.addressing import with_query
from sloguard.web.pages.forms import FORM, PageQuery, Refused, see, sent
from sloguard.web.pages.rendering import CSP, page
from sloguard.web.parts import service
from sloguard.web.problems import Problem
from sloguard.web.schemas import RUN_PATTERN

resource = Resource("report-pages", "/reports", documented=False)
HTML = [Answer(description="A page.", media=("text/html",))]
GONE_ON = [Answer(description="Go on there.", status=303, media=())]
_PAGE = 30
#: Its pictures stand inside of it.
_WITH_PICTURES = CSP.replace("img-src 'self'", "img-src 'self' data:")


class Wanted(PageQuery):
    """Which reports."""

    before: str | None = Field(None, pattern=RUN_PATTERN, description="Older than this one.")


@resource.get("", scope=Scope.READ, query=Wanted, answers=HTML)
def reports(query: Wanted) -> Response:
    """Reports, newest first, and a form to make one."""
    return _list(query, {}, None)


def _list(query: Wanted, given: Mapping[str, str], refused: Refused | None) -> Response:
    here = service()
    group = here.parts.settings.reports
    found = here.store.reports(_PAGE + 1, query.before)
    shown = found[:_PAGE]
    try:
        last = period.last_whole_week(here.parts.now(), group.time_zone).name
    except ReportError:
        last = ""
    return page(
        "reports",
        status=200 if refused is None else 422,
        section="Reports",
        reports=shown,
        wanted=query,
        older=with_query("/reports", {"before": shown[-1].id}) if len(found) > _PAGE else "",
        newest="/reports" if query.before else "",
        schedule=group,
        last=last,
        given=given,
        refused=refused,
    )


@resource.post("", scope=Scope.RUN, raw=(FORM,), answers=GONE_ON)
def make() -> Response:
    """Make the report of a week."""
    given = sent(("week", "time_zone"))
    try:
        report = made(week=given.get("week"), zone=given.get("time_zone"))
    except Problem as problem:
        if problem.kind != "unusable-report":
            raise
        errors = ({"at": "", "message": problem.detail, "hint": ""},)
        refused = Refused("the report cannot be made like this", errors)
        return _list(Wanted(before=None), given, refused)
    return see(f"/reports/{report.id}")


@resource.get("/<report>", scope=Scope.READ, answers=HTML)
def report(report: str) -> Response:
    """One report."""
    found = kept(report)
    # It was escaped when it was written, and is kept as it was.
    body = Markup(found.body)  # noqa: S704 - see above
    made = page("report", section="Reports", report=found, body=body)
    made.headers["Content-Security-Policy"] = _WITH_PICTURES
    return made
