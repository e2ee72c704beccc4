"""A run that is over: the verdict, and everything that it stands on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response

from sloguard.core.backlog import ids_in
from sloguard.core.history import StoredRun
from sloguard.core.model import PhaseName
from sloguard.core.text import format_duration, format_series, format_value
from sloguard.ports.service import Job
from sloguard.render.alerting import (
    coverage_lines,
    expectations_of,
    fired_alerts,
    proposals,
)
from sloguard.render.report.hypotheses import hypotheses_of
from sloguard.render.summary import (
    OUTCOME_SENTENCES,
    budget_lines,
    key_times,
    probe_rows,
    slo_rows,
    victim_lines,
)
from sloguard.web.pages.forms import Refused
from sloguard.web.pages.rendering import as_yaml, page
from sloguard.web.pages.story import offset_text, story
from sloguard.web.parts import Service

#: More series of one SLO are in the verdict as JSON; the worst are shown.
MOST_SERIES = 30
_WORST = {"deviated": 0, "inconclusive": 1, "met": 2, "not-judged": 3}
#: So many pictures are open at once; the others open when somebody wants them.
_OPEN_CHARTS = 2


def report(here: Service, run: StoredRun, job: Job | None, refused: Refused | None) -> Response:
    """The page of a run that has ended, or whose process is gone."""
    document = run.document or {}
    events = here.store.story(run.id)
    notes = here.store.notes_of(run.id)
    tests = tested(here, run.tags, run.source)
    return page(
        "run",
        status=200 if refused is None else 422,
        section="Runs",
        run=run,
        job=job,
        refused=refused,
        sentence=OUTCOME_SENTENCES.get(run.state, ""),
        times=list(key_times(document)) if document else [],
        tests=tests,
        rows=[*slo_rows(document), *probe_rows(document)],
        slos=[_slo(slo) for slo in document.get("slos") or ()],
        charts=_charts(here, run, document),
        told=story(events, document, run.timeline, notes),
        observations=notes,
        approval=document.get("approval"),
        steps=document.get("steps") or (),
        offset=offset_text,
        alerts=[_alert(alert) for alert in fired_alerts(document)],
        expectations=expectations_of(document),
        coverage=list(coverage_lines(document)),
        proposals=proposals(document),
        budgets=list(budget_lines(document)) if document else [],
        victims=victim_lines(document),
        notes=document.get("notes") or (),
        faults=run.faults,
        left=[fault for fault in run.faults if fault.status == "left"],
        definition=as_yaml(run.resolved or run.declared),
        sets=[entry for entry in here.parts.catalogue.slo_sets() if entry.valid],
    )


def tested(here: Service, tags: Sequence[str], file: str) -> list[dict[str, Any]]:
    """The hypotheses that a run or an experiment tests, with what is known of each."""
    desk = here.parts.backlog
    found = () if desk is None else desk.tested_by(tags, file)
    rows = hypotheses_of(found, ids_in(tags), file)
    return [{**row, "known": bool(row["hypothesis"])} for row in rows]


def _charts(here: Service, run: StoredRun, document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every SLO whose samples are kept, the worst first."""
    if run.timeline is None or run.document is None:
        return []
    known = {slo["name"]: slo for slo in document.get("slos") or ()}
    names = [name for name in here.store.evidence_names(run.id) if name in known]
    worst = sorted(names, key=lambda name: _WORST.get(known[name]["verdict"], 3))
    return [
        {
            "name": name,
            "verdict": known[name]["verdict"],
            "reason": known[name]["reason"],
            "open": index == 0 or (index < _OPEN_CHARTS and known[name]["verdict"] != "met"),
        }
        for index, name in enumerate(worst)
    ]


def _slo(slo: Mapping[str, Any]) -> dict[str, Any]:
    series = sorted(slo.get("series") or (), key=lambda s: _WORST.get(s["verdict"], 3))
    unit = str(slo.get("unit", ""))
    return {
        **slo,
        "shown": [_series(slo["name"], one, unit) for one in series[:MOST_SERIES]],
        "hidden": max(0, len(series) - MOST_SERIES),
        "omitted": slo.get("series_omitted", {}).get("count", 0),
    }


def _series(name: str, series: Mapping[str, Any], unit: str) -> dict[str, Any]:
    phases = series.get("phases") or {}
    burned = series.get("budget_burned")
    return {
        "name": format_series(name, tuple(series["labels"].items())),
        "verdict": series["verdict"],
        "reason": series.get("reason", ""),
        "note": series.get("note", ""),
        "baseline": _number(series.get("baseline"), unit),
        "burned": "" if burned is None else _number(burned, "%"),
        "phases": [_phase(phases.get(str(phase)) or {}, unit) for phase in PhaseName],
    }


def _phase(phase: Mapping[str, Any], unit: str) -> dict[str, Any]:
    parts = []
    if phase.get("breach_seconds"):
        parts.append(f"{format_duration(float(phase['breach_seconds']))} in breach")
    if phase.get("recovered_seconds"):
        parts.append(f"back in {_recovered(phase)}")
    if phase.get("gaps"):
        parts.append(f"{phase['gaps']} gaps")
    if phase.get("idle"):
        parts.append(f"{phase['idle']} idle")
    return {
        "verdict": phase.get("verdict", "not-judged"),
        "worst": _number(phase.get("worst"), unit),
        "more": ", ".join(parts),
        "reason": phase.get("reason", ""),
    }


def _recovered(phase: Mapping[str, Any]) -> str:
    """A span where it is one: a rate cannot tell when within its lookback all was well again."""
    between = phase.get("recovered_between_seconds")
    if between and between[0] != between[1]:
        return f"{format_duration(float(between[0]))} to {format_duration(float(between[1]))}"
    return format_duration(float(phase["recovered_seconds"]))


def _number(value: Any, unit: str) -> str:
    return "" if value is None else format_value(float(value), unit)


def _alert(alert: Mapping[str, Any]) -> dict[str, Any]:
    labels = alert.get("labels") or {}
    after = alert.get("time_to_alert_seconds")
    over = alert.get("time_to_resolve_seconds")
    return {
        **alert,
        "label_text": ", ".join(f'{key}="{value}"' for key, value in labels.items()),
        "after": "" if after is None else format_duration(float(after)),
        "over": "" if over is None else format_duration(float(over)),
    }
