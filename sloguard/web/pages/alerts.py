"""Alerts that Alertmanager told of, with the runs in whose time they fell; the alerts of runs; what was refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from flask import Response, request
from pydantic import Field

from sloguard.core.alerting import fired
from sloguard.core.text import format_duration
from sloguard.ports.service import Scope
from sloguard.web.alerting import Wanted as Asked
from sloguard.web.alerting import alert_rows, matchers
from sloguard.web.api.alerts import MATCHERS_PATTERN, refused_shape
from sloguard.web.endpoints import Answer, Resource
from sloguard.web.pages.addressing import with_query
from sloguard.web.pages.forms import PageQuery
from sloguard.web.pages.rendering import page
from sloguard.web.parts import Service, service
from sloguard.web.schemas import NAME_PATTERN, RUN_PATTERN

resource = Resource("alert-pages", "/alerts", documented=False)
HTML = [Answer(description="A page.", media=("text/html",))]
_PAGE = 50
#: Runs whose alerts stand on one page.
_RUNS = 40
_DAY = 86400.0


class Wanted(PageQuery):
    """Which alerts."""

    name: str | None = Field(None, max_length=500, description="With this alertname.")
    labels: str | None = Field(None, pattern=MATCHERS_PATTERN, description="With these labels.")
    run: str | None = Field(None, pattern=RUN_PATTERN, description="In the time of this run.")
    firing: bool | None = Field(None, description="Only those that fire, or others.")
    before: int | None = Field(None, ge=1, le=2**53 - 1, description="Older than this one.")


@resource.get("", scope=Scope.READ, query=Wanted, answers=HTML)
def alerts(query: Wanted) -> Response:
    """What Alertmanager told, the newest first."""
    here = service()
    equal, unlike = matchers(query.labels) if query.labels else ({}, {})
    rows, last = alert_rows(
        here,
        Asked(
            limit=_PAGE,
            before=query.before,
            run=query.run,
            name=query.name,
            equal=equal,
            unlike=unlike,
            firing=query.firing,
        ),
    )
    given = query.model_dump(mode="json", exclude={"before"}, exclude_none=True)
    filtered = bool(given)
    any_ = bool(rows) or here.store.has_episodes()
    return page(
        "alerts",
        section="Alerts",
        alerts=[_shown(row) for row in rows],
        wanted=query,
        filtered=filtered,
        any=any_,
        left_out=_left_out(here),
        # Where nothing is sent, what Prometheus had firing in runs is all that is known.
        groups=() if any_ else _groups(here, None, None)[0],
        older=with_query("/alerts", {**given, "before": last}) if last is not None else "",
        newest=with_query("/alerts", given) if query.before else "",
        **_setup(here),
    )


def _setup(here: Service) -> dict[str, Any]:
    """What the receiver in Alertmanager's configuration has to say."""
    base = here.parts.settings.serve.base_url.rstrip("/") or request.host_url.rstrip("/")
    return {"hook": f"{base}/webhooks/alertmanager", "asks": here.parts.logins is not None}


def _left_out(here: Service) -> Any:
    now = here.parts.now()
    return here.store.alerts_left_out(now - _DAY, now + _DAY)


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    runs = [{**run, "how": _how(run)} for run in row["runs"]]
    return {**row, "label_text": _labels(row["labels"]), "runs": runs}


def _how(run: Mapping[str, Any]) -> str:
    """What the alert was to a run."""
    if not run["in_verdict"]:
        return "at that time"
    if run["firing_before"]:
        return "fired before the fault"
    after = run["time_to_alert_seconds"]
    text = "in its verdict" if after is None else f"{format_duration(float(after))} after the fault"
    return f"{text}, came late" if run["late"] else text


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f'{key}="{value}"' for key, value in labels.items())


class WantedRuns(PageQuery):
    """Of which runs."""

    experiment: str | None = Field(None, pattern=NAME_PATTERN, description="Of this name.")
    before: str | None = Field(None, pattern=RUN_PATTERN, description="Older than this run.")


class _Alerts(msgspec.Struct):
    """All that is read of a document here."""

    alerts: list[dict[str, Any]] = []


_alerts_of = msgspec.json.Decoder(_Alerts).decode


@resource.get("/runs", scope=Scope.READ, query=WantedRuns, answers=HTML)
def by_run(query: WantedRuns) -> Response:
    """The alerts of a page of runs, newest run first."""
    groups, looked, last = _groups(service(), query.experiment, query.before)
    name = {"experiment": query.experiment}
    return page(
        "alerts_by_run",
        section="Alerts",
        groups=groups,
        looked=looked,
        wanted=query,
        older=with_query("/alerts/runs", {**name, "before": last}) if last else "",
        newest=with_query("/alerts/runs", name) if query.before else "",
    )


def _groups(
    here: Service, experiment: str | None, before: str | None
) -> tuple[list[dict[str, Any]], int, str]:
    """Runs with the alerts of their verdicts; how many were looked at, and the last one if there are more."""
    found = here.store.runs(_RUNS + 1, before, name=experiment)
    shown = [run.id for run in found[:_RUNS]]
    groups = []
    for kept in here.store.documents(shown):
        rows = [_of_verdict(alert) for alert in fired(_alerts_of(kept.document).alerts)]
        if rows:
            groups.append({"run": kept, "alerts": rows})
    return groups, len(shown), shown[-1] if len(found) > _RUNS else ""


def _of_verdict(alert: Mapping[str, Any]) -> dict[str, Any]:
    after = alert.get("time_to_alert_seconds")
    return {
        **alert,
        "label_text": _labels(alert.get("labels") or {}),
        "after": "" if after is None else format_duration(float(after)),
    }


class WantedRefused(PageQuery):
    """Which page."""

    before: int | None = Field(None, ge=1, le=2**53 - 1, description="Older than this one.")


@resource.get("/refused", scope=Scope.ADMIN, query=WantedRefused, answers=HTML)
def refused(query: WantedRefused) -> Response:
    """Payloads that could not be taken, newest first."""
    found = service().store.refused_payloads(_PAGE, before=query.before)
    older = {"before": found[-1].number} if len(found) == _PAGE else {}
    return page(
        "alerts_refused",
        section="Alerts",
        payloads=[refused_shape(payload) for payload in found],
        older=with_query("/alerts/refused", older) if older else "",
        newest="/alerts/refused" if query.before else "",
    )
