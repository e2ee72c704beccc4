"""Alerts that fired while something was broken, by run."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Response
from pydantic import Field

from sloguard.core.text import format_duration
from sloguard.ports.service import Scope
from sloguard.web.endpoints import Answer, Resource
from sloguard.web.pages.addressing import with_query
from sloguard.web.pages.forms import PageQuery
from sloguard.web.pages.rendering import page
from sloguard.web.parts import service
from sloguard.web.schemas import NAME_PATTERN, RUN_PATTERN

resource = Resource("alert-pages", "/alerts", documented=False)
HTML = [Answer(description="A page.", media=("text/html",))]
#: Runs whose alerts stand on one page.
_RUNS = 40


class Wanted(PageQuery):
    """Of which runs."""

    experiment: str | None = Field(None, pattern=NAME_PATTERN, description="Of this name.")
    before: str | None = Field(None, pattern=RUN_PATTERN, description="Older than this run.")


class _Alerts(msgspec.Struct):
    """All that is read of a document here."""

    alerts: list[dict[str, Any]] = []


_alerts_of = msgspec.json.Decoder(_Alerts).decode


@resource.get("", scope=Scope.READ, query=Wanted, answers=HTML)
def alerts(query: Wanted) -> Response:
    """The alerts of a page of runs, newest run first."""
    store = service().store
    found = store.runs(_RUNS + 1, query.before, name=query.experiment)
    shown = [run.id for run in found[:_RUNS]]
    groups = []
    for kept in store.documents(shown):
        rows = [_row(alert) for alert in _alerts_of(kept.document).alerts]
        if rows:
            groups.append({"run": kept, "alerts": rows})
    more = len(found) > _RUNS
    name = {"experiment": query.experiment}
    return page(
        "alerts",
        section="Alerts",
        groups=groups,
        looked=len(shown),
        wanted=query,
        older=with_query("/alerts", {**name, "before": shown[-1]}) if more else "",
        newest=with_query("/alerts", name) if query.before else "",
    )


def _row(alert: dict[str, Any]) -> dict[str, Any]:
    labels = alert.get("labels") or {}
    after = alert.get("time_to_alert_seconds")
    return {
        **alert,
        "label_text": ", ".join(f'{key}="{value}"' for key, value in labels.items()),
        "after": "" if after is None else format_duration(float(after)),
    }
