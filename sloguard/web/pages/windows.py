"""Windows in which another tool breaks things: those that there are, one to open, one to close."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Response, request
from pydantic import Field

from sloguard.core.objective import ObjectiveError, parse_duration
from sloguard.ports.service import Scope, Window, WindowState
from sloguard.web.endpoints import Answer, Resource
from sloguard.web.identity import who
from sloguard.web.pages.addressing import with_query
from sloguard.web.pages.forms import FORM, PageQuery, Refused, asking, see, sent
from sloguard.web.pages.rendering import page
from sloguard.web.parts import service
from sloguard.web.problems import Problem
from sloguard.web.schemas import RUN_PATTERN

resource = Resource("window-pages", "/windows", documented=False)
HTML = [Answer(description="A page.", media=("text/html",))]
GONE_ON = [Answer(description="Go on there.", status=303, media=())]
_PAGE = 50
_LENGTHS = ("before", "after", "longest")


class Wanted(PageQuery):
    """Which windows."""

    state: WindowState | None = Field(None, description="Only those.")
    before: str | None = Field(None, pattern=RUN_PATTERN, description="Older than this one.")


@resource.get("", scope=Scope.READ, query=Wanted, answers=HTML)
def windows(query: Wanted) -> Response:
    """Windows, newest first, and a form to open one."""
    return _list(query, {}, None)


def _list(query: Wanted, given: Mapping[str, str], refused: Refused | None) -> Response:
    here = service()
    found = here.store.windows(query.state, limit=_PAGE + 1, before=query.before)
    shown = found[:_PAGE]
    state = {"state": query.state.value if query.state else ""}
    older = with_query("/windows", {**state, "before": shown[-1].id}) if len(found) > _PAGE else ""
    return page(
        "windows",
        status=200 if refused is None else 422,
        section="Windows",
        windows=shown,
        wanted=query,
        states=list(WindowState),
        older=older,
        newest=with_query("/windows", state) if query.before else "",
        sets=[entry for entry in here.parts.catalogue.slo_sets() if entry.valid],
        directory=here.parts.settings.serve.slos,
        given=given,
        refused=refused,
    )


@resource.post("", scope=Scope.RUN, raw=(FORM,), answers=GONE_ON)
def open() -> Response:
    """Open a window."""
    given = sent(("slos", "title", "tool", "tags", *_LENGTHS))
    desk = service().parts.windows
    try:
        lengths = _lengths(given)
        with asking():
            window, _new = desk.open(
                slos=given.get("slos", ""),
                title=given.get("title", "")[:300],
                tool=given.get("tool", "")[:100],
                tags=[tag for tag in given.get("tags", "").split(",") if tag.strip()],
                by=who().name,
                from_=request.remote_addr or "",
                key=given.get("key", ""),
                before=lengths.get("before"),
                after=lengths.get("after"),
                longest=lengths.get("longest"),
            )
    except Refused as refused:
        return _list(Wanted(state=None, before=None), given, refused)
    return see(f"/windows/{window.id}")


def _lengths(given: Mapping[str, str]) -> dict[str, float]:
    found, errors = {}, []
    for name in _LENGTHS:
        if name in given:
            try:
                found[name] = parse_duration(given[name])
            except ObjectiveError as error:
                errors.append({"at": name, "message": str(error), "hint": "such as 90s or 2m"})
    if errors:
        raise Refused("the window cannot be opened like this", tuple(errors))
    return found


@resource.get("/<window>", scope=Scope.READ, answers=HTML)
def window(window: str) -> Response:
    """One window, and the form to close it."""
    here = service()
    found = _found(window)
    answer = None if found.state is WindowState.OPEN else here.store.answer(found.id)
    return page(
        "window",
        section="Windows",
        window=found,
        notes=here.store.notes_of(found.id),
        judged=answer,
        job=here.store.job(found.id) if found.state is not WindowState.OPEN else None,
    )


def _found(id: str) -> Window:
    found = service().store.window(id)
    if found is None:
        raise Problem("unknown-window", f"there is no window '{id}'")
    return found


@resource.post("/<window>/close", scope=Scope.RUN, raw=(FORM,), answers=GONE_ON)
def close(window: str) -> Response:
    """Close a window: what was broken is undone."""
    given = sent(("detail",))
    found = _found(window)
    with asking():
        service().parts.windows.close(found.id, detail=given.get("detail", "")[:500], by=who().name)
    return see(f"/windows/{found.id}")
