"""Chaos windows of other tools: opened, closed, judged by a named set of SLOs."""

from __future__ import annotations

from typing import Annotated

from flask import Response, request
from pydantic import Field

from sloguard.core.objective import parse_duration
from sloguard.ports.service import Scope, WindowState
from sloguard.service.jobs import MOST_TAGS
from sloguard.web.answers import json_answer
from sloguard.web.api.refusing import refusals
from sloguard.web.api.runs import Key, Tag
from sloguard.web.api.timing import Duration, Moment, seconds
from sloguard.web.endpoints import Answer, Body, Query, Resource
from sloguard.web.identity import who
from sloguard.web.parts import service
from sloguard.web.problems import Problem
from sloguard.web.schemas import NAME_PATTERN, RUN_PATTERN, WindowList, WindowShape
from sloguard.web.shaping import API, page_answer, window_shape

resource = Resource(
    "windows", API, about="Windows in which another tool breaks things, judged here."
)
Name = Annotated[str, Field(min_length=1, max_length=200)]
Removed = Annotated[
    dict[Name, Annotated[list[Name], Field(max_length=1000)]],
    Field(
        max_length=20,
        description="objects that the fault took away, by label: {pod: [web-1]}",
    ),
]
_LOCATION = {"Location": "the window", "Idempotency-Replayed": "`true` where the key was known"}


class Opening(Body):
    """A window that begins."""

    slos: str = Field(description="a named set of SLOs: see GET /slos", pattern=NAME_PATTERN)
    title: str = Field(default="", max_length=300, description="else that of the set")
    tool: str = Field(default="", max_length=100, description="who breaks things: litmus, gameday")
    tags: list[Tag] = Field(default=[], max_length=MOST_TAGS)
    removed: Removed = Field(default={})
    fault: Moment | None = Field(default=None, description="when it began; now, if left out")
    before: Duration | None = Field(default=None, description="else as the set declares")
    after: Duration | None = Field(default=None, description="else as the set declares")
    longest: Duration | None = Field(
        default=None, description="closed after so long, if nobody does; at most serve.window_max"
    )


class Closing(Body):
    """A window that ends."""

    restored: Moment | None = Field(default=None, description="when it ended; now, if left out")
    removed: Removed = Field(default={})
    detail: str = Field(default="", max_length=500, description="a word on how it ended")


class WindowsQuery(Query):
    """Which windows."""

    state: WindowState | None = Field(None, description="Only those.")
    limit: int = Field(50, ge=1, le=200, description="At most so many.")
    before: str | None = Field(
        None, description="The last window of the page before this one.", pattern=RUN_PATTERN
    )


@resource.get(
    "/windows",
    scope=Scope.READ,
    query=WindowsQuery,
    answers=[
        Answer(
            description="A page of windows, newest first.",
            model=WindowList,
            headers={"Link": '`rel="next"`: the page after this one'},
        )
    ],
)
def windows(query: WindowsQuery) -> Response:
    """Windows, newest first."""
    found = service().store.windows(query.state, limit=query.limit, before=query.before)
    rows = [window_shape(window) for window in found]
    last = found[-1].id if len(found) == query.limit else None
    return page_answer("windows", rows, f"{API}/windows", query, last)


@resource.post(
    "/windows",
    scope=Scope.RUN,
    body=Opening,
    headers=Key,
    answers=[
        Answer(status=201, description="It is open.", model=WindowShape, headers=_LOCATION),
        Answer(
            description="The key was known: the window of then.",
            model=WindowShape,
            headers=_LOCATION,
        ),
    ],
    problems=["unknown-experiment", "invalid-experiment", "idempotency-key-reused"],
)
def open(body: Opening, headers: Key) -> Response:
    """Open a window: another tool is about to break something.

    Close it when that is undone. It is then judged by its set of SLOs, and is a run like any other, with the
    same id.
    """
    desk = service().parts.windows
    with refusals():
        window, new = desk.open(
            slos=body.slos,
            title=body.title,
            tool=body.tool,
            tags=body.tags,
            removed=body.removed,
            fault_at=seconds(body.fault),
            before=_length(body.before),
            after=_length(body.after),
            longest=_length(body.longest),
            by=who().name,
            from_=request.remote_addr or "",
            key=headers.key or "",
        )
    made = window_shape(window)
    told = {"Location": made["href"]}
    if not new:
        told["Idempotency-Replayed"] = "true"
    return json_answer(made, 201 if new else 200, headers=told)


@resource.get(
    "/windows/<window>",
    scope=Scope.READ,
    answers=[Answer(description="The window.", model=WindowShape)],
    problems=["unknown-window"],
)
def window(window: str) -> Response:
    """One window."""
    found = service().store.window(window)
    if found is None:
        raise Problem("unknown-window", f"there is no window '{window}'")
    return json_answer(window_shape(found))


@resource.post(
    "/windows/<window>/close",
    scope=Scope.RUN,
    body=Closing,
    answers=[Answer(description="It is closed, and will be judged.", model=WindowShape)],
    problems=["unknown-window", "conflict", "invalid-experiment"],
)
def close(window: str, body: Closing) -> Response:
    """Close a window: what was broken is undone. Its judgement waits until `after` has passed.

    Closing it again without a mark, or with the same one, changes nothing.
    """
    desk = service().parts.windows
    with refusals():
        found = desk.close(
            window,
            restored_at=seconds(body.restored),
            removed=body.removed,
            detail=body.detail,
            by=who().name,
        )
    return json_answer(window_shape(found))


def _length(text: str | None) -> float | None:
    return None if text is None else parse_duration(text)
