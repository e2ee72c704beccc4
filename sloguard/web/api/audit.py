"""The audit log: who changed what, when, from where."""

from __future__ import annotations

from typing import Any

from flask import Response
from pydantic import BaseModel, Field

from sloguard.core.text import iso_time
from sloguard.ports.service import AuditEntry, Scope
from sloguard.web.endpoints import Answer, Query, Resource
from sloguard.web.parts import service
from sloguard.web.shaping import API, page_answer

resource = Resource("audit", API, about="Who changed what, when, from where; failed logins too.")


class AuditQuery(Query):
    """Which entries."""

    who: str | None = Field(
        None, description="Of this one: token:NAME, user:NAME.", min_length=1, max_length=300
    )
    target: str | None = Field(
        None, description="About this run, window or token.", min_length=1, max_length=300
    )
    limit: int = Field(50, ge=1, le=200, description="At most so many.")
    before: int | None = Field(
        None,
        ge=1,
        le=2**53 - 1,
        description="The number of the last entry of the page before this one.",
    )


class EntryShape(BaseModel):
    """One entry."""

    number: int
    at: str = Field(json_schema_extra={"format": "date-time"})
    who: str
    where: str = Field(description="address", alias="from")
    action: str = Field(description="the endpoint, or what was tried")
    target: str
    detail: dict[str, Any]


class AuditList(BaseModel):
    """A page of the log."""

    entries: list[EntryShape]
    next: str | None


@resource.get(
    "/audit",
    scope=Scope.ADMIN,
    query=AuditQuery,
    answers=[
        Answer(
            description="A page of the log, newest first.",
            model=AuditList,
            headers={"Link": '`rel="next"`: the page after this one'},
        )
    ],
)
def audit(query: AuditQuery) -> Response:
    """The audit log, newest first.

    An entry is kept of every request that changed something, of logins, and of credentials that were refused.
    """
    found = service().store.audit_entries(
        limit=query.limit, before=query.before, target=query.target, who=query.who
    )
    last = str(found[-1].number) if len(found) == query.limit else None
    return page_answer("entries", [_row(entry) for entry in found], f"{API}/audit", query, last)


def _row(entry: AuditEntry) -> dict[str, Any]:
    return {
        "number": entry.number,
        "at": iso_time(entry.at),
        "who": entry.who,
        "from": entry.where,
        "action": entry.action,
        "target": entry.target,
        "detail": entry.detail,
    }
