"""Alerts that fired while something was broken."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Response
from pydantic import Field

from sloguard.ports.service import Scope
from sloguard.web.api.timing import Moment, seconds
from sloguard.web.endpoints import Answer, Query, Resource
from sloguard.web.parts import service
from sloguard.web.schemas import NAME_PATTERN, RUN_PATTERN, AlertList
from sloguard.web.shaping import API, page_answer

resource = Resource("alerts", API, about="Alerts that fired during and after faults.")


class AlertsQuery(Query):
    """Of which runs."""

    experiment: str | None = Field(None, description="Of this name.", pattern=NAME_PATTERN)
    run: str | None = Field(None, description="Of this run alone.", pattern=RUN_PATTERN)
    since: Moment | None = Field(None, description="Of runs started then or later.")
    until: Moment | None = Field(None, description="Of runs started before.")
    limit: int = Field(50, ge=1, le=200, description="Of at most so many runs.")
    before: str | None = Field(
        None, description="The last run of the page before this one.", pattern=RUN_PATTERN
    )


class _Alerts(msgspec.Struct):
    """All that is read of a document here."""

    alerts: list[dict[str, Any]] = []


_alerts_of = msgspec.json.Decoder(_Alerts).decode


@resource.get(
    "/alerts",
    scope=Scope.READ,
    query=AlertsQuery,
    answers=[
        Answer(
            description="The alerts of a page of runs, newest run first.",
            model=AlertList,
            headers={"Link": '`rel="next"`: the page after this one'},
        )
    ],
)
def alerts(query: AlertsQuery) -> Response:
    """Alerts that fired in `during` or `after` of runs, with how long they took."""
    store = service().store
    if query.run is not None:
        known = store.answer(query.run)
        pairs = [] if known is None else [(known.run, known.title)]
        full = False
    else:
        found = store.runs(
            query.limit,
            query.before,
            name=query.experiment,
            since=seconds(query.since),
            until=seconds(query.until),
        )
        pairs = [(run.id, run.experiment) for run in found]
        full = len(found) == query.limit
    rows = [row for run, name in pairs for row in _rows(run, name)]
    return page_answer("alerts", rows, f"{API}/alerts", query, pairs[-1][0] if full else None)


def _rows(run: str, experiment: str) -> list[dict[str, Any]]:
    found = service().store.answer(run)
    if found is None or found.document is None:
        return []
    alerts = _alerts_of(found.document).alerts
    return [{"run": run, "experiment": experiment, **alert} for alert in alerts]
