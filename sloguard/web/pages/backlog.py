"""The hypothesis backlog: the risk matrix, what to do next, and every hypothesis with its runs."""

from __future__ import annotations

from typing import Literal

from flask import Response
from pydantic import Field

from sloguard.core.backlog import Standing, Status, next_of
from sloguard.ports.service import Scope
from sloguard.render.backlog import SIGNS, counted, of_matrix, said
from sloguard.service.backlog import Look
from sloguard.web.api.refusing import finding
from sloguard.web.endpoints import Answer, Resource
from sloguard.web.pages.forms import PageQuery
from sloguard.web.pages.rendering import page
from sloguard.web.parts import service

resource = Resource("backlog-pages", "/backlog", documented=False)
HTML = [Answer(description="A page.", media=("text/html",))]
Statuses = Literal["refuted", "running", "open", "planned", "confirmed", "accepted", "dropped"]


class Wanted(PageQuery):
    """Which hypotheses."""

    status: Statuses | None = Field(None, description="Only these.")
    q: str | None = Field(None, max_length=200, description="Part of its words.")


@resource.get("", scope=Scope.READ, query=Wanted, answers=HTML)
def backlog(query: Wanted) -> Response:
    """All hypotheses, the highest risk first."""
    desk = service().parts.backlog
    look = Look(file="") if desk is None else desk.look()
    rows = [
        one
        for one in look.standings
        if (query.status is None or one.status == query.status)
        and (query.q is None or matches(one, query.q))
    ]
    following = next_of(look.standings)
    doing = (("Mend", following.mend), ("Run", following.run), ("Write", following.write))
    return page(
        "backlog",
        section="Backlog",
        title=look.title,
        # Where the directory lies is the operator's business.
        file=look.file.rpartition("/")[2],
        problems=[finding(p) for p in look.problems],
        unknown=look.unknown if not look.problems else (),
        rows=rows,
        wanted=query,
        statuses=list(map(str, Status)),
        doing=[(do, one) for do, one in doing if one is not None],
        matrix=of_matrix(look.standings),
        counts=counted(look.standings),
        signs=SIGNS,
        said=said,
    )


def matches(one: Standing, text: str) -> bool:
    """Whether a hypothesis is what somebody looks for."""
    own = one.hypothesis
    words = (own.id, own.title, own.hypothesis, own.owner, own.notes, *own.services)
    return any(text.lower() in word.lower() for word in words)
