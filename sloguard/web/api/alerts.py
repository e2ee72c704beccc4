"""Alerts that Alertmanager told of, with the runs in whose time they fell; and what was refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from flask import Response
from pydantic import BaseModel, Field

from sloguard.core.text import iso_time
from sloguard.ports.alert_inbox import LeftOut, Received
from sloguard.ports.service import Scope
from sloguard.web.alerting import Wanted, alert_rows, matchers
from sloguard.web.answers import json_answer
from sloguard.web.api.timing import Moment, seconds
from sloguard.web.endpoints import Answer, Query, Resource
from sloguard.web.parts import service
from sloguard.web.schemas import RUN_PATTERN
from sloguard.web.shaping import API, page_answer

resource = Resource("alerts", API, about="Alerts that Alertmanager told of, and their runs.")

_MATCHER = r"[a-zA-Z_][a-zA-Z0-9_]{0,99}!?=([^,~\x00-\x1f][^,\x00-\x1f]{0,199})?"
MATCHERS_PATTERN = f"^{_MATCHER}(,{_MATCHER}){{0,9}}$"
NAME = Annotated[str, Field(min_length=1, max_length=500)]


class AlertsQuery(Query):
    """Which alerts."""

    run: str | None = Field(
        None, description="That fell into the time of this run.", pattern=RUN_PATTERN
    )
    name: NAME | None = Field(None, description="With this alertname.")
    labels: str | None = Field(
        None,
        description="With these labels, or without: service=cart,severity!=page.",
        pattern=MATCHERS_PATTERN,
        examples=["service=cart,severity!=page"],
    )
    firing: bool | None = Field(None, description="Only those that fire; false: only others.")
    since: Moment | None = Field(None, description="That began then or later.")
    until: Moment | None = Field(None, description="That began before.")
    limit: int = Field(50, ge=1, le=200, description="At most so many.")
    before: int | None = Field(
        None,
        ge=1,
        le=2**53 - 1,
        description="The number of the last alert of the page before this one.",
    )


class AlertRun(BaseModel):
    """A run in whose time an alert fell, and what its verdict says of it."""

    run: str
    title: str
    experiment: str
    outcome: str | None
    in_verdict: bool = Field(description="whether the verdict speaks of it")
    firing_before: bool | None
    time_to_alert_seconds: float | None
    time_to_resolve_seconds: float | None
    late: bool = Field(description="it came after the run had ended")


class AlertRow(BaseModel):
    """An alert from its start to its end."""

    number: int | None = Field(description="none where no webhook brought it")
    name: str
    labels: dict[str, str]
    annotations: dict[str, str]
    fingerprint: str
    generator_url: str
    origin: str = Field(description="webhook, alertmanager or prometheus")
    state: Literal["firing", "resolved", "stale"] = Field(
        description="stale: it fired, and was not heard of for longer than alerts.stale_after"
    )
    starts_at: str = Field(json_schema_extra={"format": "date-time"})
    ends_at: str | None
    first_received: str | None
    last_received: str | None
    runs: list[AlertRun]


class LeftOutShape(BaseModel):
    """A group of alerts that Alertmanager did not send whole, so that the picture is incomplete."""

    receiver: str
    group: str
    first_at: str
    last_at: str
    payloads: int
    most: int = Field(description="so many alerts were missing at once")


class AlertPage(BaseModel):
    """A page of alerts, the newest start first."""

    alerts: list[AlertRow]
    next: str | None


class LeftOutList(BaseModel):
    """Groups that were not sent whole."""

    groups: list[LeftOutShape]


@resource.get(
    "/alerts",
    scope=Scope.READ,
    query=AlertsQuery,
    answers=[
        Answer(
            description="A page of alerts, the newest start first.",
            model=AlertPage,
            headers={"Link": '`rel="next"`: the page after this one'},
        )
    ],
)
def alerts(query: AlertsQuery) -> Response:
    """Alerts that Alertmanager told of, also outside of any run.

    With `run` also those that its verdict has from Prometheus or from Alertmanager's API.
    """
    equal, unlike = matchers(query.labels) if query.labels else ({}, {})
    wanted = Wanted(
        limit=query.limit,
        before=query.before,
        run=query.run,
        since=seconds(query.since),
        until=seconds(query.until),
        name=query.name,
        equal=equal,
        unlike=unlike,
        firing=query.firing,
    )
    rows, last = alert_rows(service(), wanted)
    return page_answer("alerts", rows, f"{API}/alerts", query, None if last is None else str(last))


class SpanQuery(Query):
    """Of which time."""

    since: Moment | None = Field(None, description="Only groups that were not whole then or later.")
    until: Moment | None = Field(None, description="Only groups that were not whole before.")


@resource.get(
    "/alerts/left-out",
    scope=Scope.READ,
    query=SpanQuery,
    answers=[Answer(description="Groups that were not sent whole.", model=LeftOutList)],
)
def left_out(query: SpanQuery) -> Response:
    """Groups of which Alertmanager has left alerts out (`truncatedAlerts`), the newest first, at most 100.

    Its receiver's `max_alerts` is too small for them: what is shown of that time is incomplete.
    """
    since, until = seconds(query.since), seconds(query.until)
    found = service().store.alerts_left_out(since or 0.0, 1e12 if until is None else until)
    return json_answer({"groups": [_left_out(group) for group in found]})


def _left_out(group: LeftOut) -> dict[str, Any]:
    return {
        "receiver": group.receiver,
        "group": group.group,
        "first_at": iso_time(group.first_at),
        "last_at": iso_time(group.last_at),
        "payloads": group.payloads,
        "most": group.most,
    }


class RefusedQuery(Query):
    """Which page."""

    limit: int = Field(50, ge=1, le=200, description="At most so many.")
    before: int | None = Field(
        None,
        ge=1,
        le=2**53 - 1,
        description="The number of the last one of the page before this one.",
    )


class RefusedShape(BaseModel):
    """A payload that could not be taken, or not whole."""

    number: int
    received_at: str = Field(json_schema_extra={"format": "date-time"})
    sender: str
    address: str
    reason: str
    alerts: int = Field(description="that it says to hold")
    size: int = Field(description="bytes")
    body: str = Field(description="its beginning")


class RefusedList(BaseModel):
    """A page of them, newest first."""

    payloads: list[RefusedShape]
    next: str | None


@resource.get(
    "/alerts/refused",
    scope=Scope.ADMIN,
    query=RefusedQuery,
    answers=[
        Answer(
            description="A page of refused payloads, newest first.",
            model=RefusedList,
            headers={"Link": '`rel="next"`: the page after this one'},
        )
    ],
)
def refused(query: RefusedQuery) -> Response:
    """Payloads of webhooks that could not be taken, or not whole, with the reason."""
    found = service().store.refused_payloads(query.limit, before=query.before)
    last = str(found[-1].number) if len(found) == query.limit else None
    rows = [refused_shape(payload) for payload in found]
    return page_answer("payloads", rows, f"{API}/alerts/refused", query, last)


def refused_shape(payload: Received) -> dict[str, Any]:
    """As JSON."""
    return {
        "number": payload.number,
        "received_at": iso_time(payload.received_at),
        "sender": payload.sender,
        "address": payload.address,
        "reason": payload.reason,
        "alerts": payload.alerts,
        "size": payload.size,
        "body": payload.body.decode("utf-8", "backslashreplace"),
    }
