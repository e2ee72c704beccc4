"""The model of a report of runs: one run whole, or several side by side and then each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from sloguard import __version__
from sloguard.core.backlog import TAG, Standing, declared_ids, ids_in
from sloguard.core.jsonable import jsonable
from sloguard.core.model import Verdict
from sloguard.core.text import format_series, format_value, iso_time
from sloguard.render.report import ReportError
from sloguard.render.report.happened import lines_of
from sloguard.render.report.hypotheses import hypotheses_of
from sloguard.render.report.making import harmless
from sloguard.render.report.period import zone_of
from sloguard.render.report.rows import number
from sloguard.render.report.subjects import Subject
from sloguard.render.summary import (
    OUTCOME_SENTENCES,
    Row,
    key_times,
    probe_rows,
    shortened,
    slo_rows,
    victim_lines,
)

Json = dict[str, Any]
#: More runs side by side tell nothing; a window of time does.
MOST_RUNS = 50
#: Pictures of all runs together.
MOST_CHARTS = 24
_RANK = {"deviated": 0, "inconclusive": 1, "met": 2, "not-judged": 3}
_LONGEST_DEFINITION = 20_000


def runs_model(
    subjects: Sequence[Subject],
    *,
    now: float,
    zone: str = "UTC",
    backlog: Sequence[Standing] = (),
) -> Json:
    """Everything of these runs, in their order; every text is harmless to show. Raises ReportError."""
    if not subjects:
        raise ReportError("there is no run to report of; name one, or a file")
    if len(subjects) > MOST_RUNS:
        raise ReportError(
            f"{len(subjects)} runs are more than a report of runs holds ({MOST_RUNS}); "
            "take 'sloguard report weekly --since … --until …' for many"
        )
    zone_of(zone)
    runs = [
        {**_run(one), "tests": hypotheses_of(backlog, _ids(one), one.source)} for one in subjects
    ]
    times = [run["started"] for run in runs if run["started"]]
    several = len(runs) > 1
    model: Json = {
        "kind": "run",
        "format": 1,
        "title": "Runs side by side" if several else runs[0]["title"],
        "name": f"{len(runs)} runs" if several else runs[0]["id"] or runs[0]["origin"],
        "label": "",
        "start": min(times, default=iso_time(now)),
        "end": max([r["ended"] for r in runs if r["ended"]], default=iso_time(now)),
        "time_zone": zone,
        "created": iso_time(now),
        "version": __version__,
        "headline": _headline(runs),
        "subjects": runs,
        "comparison": _comparison(runs) if several else None,
        "charts": _charts(subjects, runs),
    }
    model["summary"] = model["headline"]
    shown: Json = harmless(model)
    return shown


def _ids(subject: Subject) -> tuple[str, ...]:
    """The hypotheses that a run names: by its tags, or in its definition."""
    return (*ids_in(subject.tags), *declared_ids(subject.definition))


def _run(subject: Subject) -> Json:
    try:
        return _told(subject)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ReportError(
            f"{subject.origin}: this is no verdict document: {type(error).__name__} {error}"
        ) from error


def _told(subject: Subject) -> Json:
    document = subject.document
    timeline = document.get("timeline")
    rows = [*slo_rows(document), *probe_rows(document)]
    activities = document["activities"]
    started = (timeline or {}).get("start") or min((a["start"] for a in activities), default=None)
    ended = (timeline or {}).get("end") or max((a["end"] for a in activities), default=None)
    outcome = str(document["outcome"])
    sentence = subject.sentence or OUTCOME_SENTENCES[outcome]
    return {
        "id": str(document.get("run") or subject.stored),
        "stored": bool(subject.stored),
        "origin": subject.origin,
        "title": str(document.get("experiment") or "an experiment without a title"),
        # What it tests is told as such.
        "tags": [tag for tag in subject.tags if not tag.startswith(TAG)],
        "outcome": outcome,
        "sentence": sentence[:1].upper() + sentence[1:],
        "reason": str(document.get("reason") or ""),
        "score": number(document.get("score")),
        "started": started,
        "ended": ended,
        "marks": timeline,
        "times": [[name, value] for name, value in key_times(document)],
        "impact_seconds": number(document.get("time_to_impact_seconds")),
        "alert_seconds": number(document.get("time_to_alert_seconds")),
        "recover_seconds": number(document.get("time_to_recover_seconds")),
        "rows": [_row(row) for row in rows],
        "slos": [_slo(slo) for slo in document["slos"]],
        "alerts": [_alert(a) for a in document["alerts"] if "verdict" not in a],
        "expectations": [_expectation(a) for a in document["alerts"] if "verdict" in a],
        "coverage": _coverage(document.get("alert_coverage")),
        "budget": [_budget(one) for one in document.get("budget") or ()],
        "faults": [_fault(one) for one in document["faults"]],
        "victims": victim_lines(document),
        "activities": [_activity(one) for one in activities],
        "happened": lines_of(document),
        "notes": [str(note) for note in document["notes"]],
        "observations": [_observed(one) for one in subject.observations],
        "definition": _yaml(subject.definition),
    }


def _observed(note: Mapping[str, Any]) -> Json:
    return {
        "at": str(note["at"]),
        "by": str(note.get("by") or "somebody"),
        # A report shows it as one paragraph.
        "text": " ".join(str(note.get("text") or "").split()),
    }


def _row(row: Row) -> Json:
    return {
        "name": row.name,
        "objective": row.objective,
        # A probe that gave nothing has no value to show.
        "cells": [
            {"verdict": str(c.verdict), "text": "" if c.text == "None" else c.text}
            for c in row.cells
        ],
        "verdict": str(row.verdict),
        "reason": row.reason,
    }


def _slo(slo: Mapping[str, Any]) -> Json:
    return {
        "name": str(slo["name"]),
        "verdict": str(slo["verdict"]),
        "query": str(slo.get("query") or ""),
        "lookback_seconds": number(slo.get("lookback_seconds")),
        "step_seconds": number(slo.get("step_seconds")),
        "series": len(slo.get("series") or ()) + slo.get("series_omitted", {}).get("count", 0),
    }


def _alert(alert: Mapping[str, Any]) -> Json:
    labels = alert.get("labels") or {}
    return {
        "name": str(alert.get("name") or ""),
        "labels": format_series("", tuple((str(k), str(v)) for k, v in labels.items())),
        "starts_at": alert.get("starts_at"),
        "ends_at": alert.get("ends_at"),
        "firing_before": bool(alert.get("firing_before")),
        "late": bool(alert.get("late")),
        "alert_seconds": number(alert.get("time_to_alert_seconds")),
        "resolve_seconds": number(alert.get("time_to_resolve_seconds")),
    }


def _expectation(entry: Mapping[str, Any]) -> Json:
    return {
        "expectation": str(entry.get("expectation") or ""),
        "name": str(entry.get("name") or ""),
        "verdict": str(entry["verdict"]),
        "reason": str(entry.get("reason") or ""),
        "late_verdict": str(entry.get("late_verdict") or ""),
        "late_reason": str(entry.get("late_reason") or ""),
    }


def _coverage(found: Any) -> Json | None:
    if not isinstance(found, Mapping):
        return None
    return {
        "unknown": str(found.get("unknown") or ""),
        "blind": [
            {"slo": str(b.get("slo")), "reason": str(b.get("reason") or ""), "rule": str(b.get("proposed_rule") or "")}
            for b in found.get("blind_spots") or ()
        ],
        "noise": [str(n.get("alert") or "") for n in found.get("noise") or ()],
        "covered": [
            {"slo": str(c.get("slo")), "alert": str(c.get("alert")), "seconds": number(c.get("seconds"))}
            for c in found.get("covered") or ()
        ],
    }  # fmt: skip


def _budget(one: Mapping[str, Any]) -> Json:
    return {
        "slo": str(one.get("slo") or ""),
        "target": number(one.get("target")),
        "period_seconds": number(one.get("period_seconds")),
        "left_before": number(one.get("left_before")),
        "spent": number(one.get("spent_by_run")),
        "left_after": number(one.get("left_after")),
        "reason": str(one.get("reason") or ""),
        # What was asked of it, and was not so.
        "limits": [
            str(limit.get("reason") or "")
            for limit in (one.get("gate"), one.get("guard"))
            if limit and limit.get("verdict") != Verdict.MET
        ],
    }


def _fault(one: Mapping[str, Any]) -> Json:
    keys = ("fault", "target", "status", "injected_at", "undone_at", "detail", "by_hand")
    return {key: one.get(key) or "" for key in keys}


def _activity(one: Mapping[str, Any]) -> Json:
    output = one.get("output")
    return {
        "section": str(one.get("section") or ""),
        "name": str(one["name"]),
        "type": str(one.get("type") or ""),
        "status": str(one["status"]),
        "start": one["start"],
        "end": one["end"],
        "output": "" if output is None else shortened(output, 200),
        "error": str(one.get("error") or ""),
    }


def _yaml(definition: Mapping[str, Any]) -> str:
    if not definition:
        return ""
    text: str = yaml.safe_dump(
        jsonable(definition), sort_keys=False, allow_unicode=True, width=90, default_flow_style=False
    )  # fmt: skip
    if len(text) <= _LONGEST_DEFINITION:
        return text
    return text[:_LONGEST_DEFINITION] + "\n… it is longer; 'sloguard runs export' has all of it"


def _headline(runs: Sequence[Json]) -> str:
    if len(runs) == 1:
        run = runs[0]
        score = "" if run["score"] is None else f" (score {format_value(run['score'])})"
        return f"{run['sentence']}{score}."
    outcomes: dict[str, int] = {}
    for run in runs:
        outcomes[run["outcome"]] = outcomes.get(run["outcome"], 0) + 1
    told = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
    return f"{len(runs)} runs: {told}."


def _comparison(runs: Sequence[Json]) -> Json:
    """Each run a line, and each SLO or probe a line with its verdict in each run."""
    names = dict.fromkeys(row["name"] for run in runs for row in _named(run))
    made = []
    for name in names:
        cells = [next((r for r in _named(run) if r["name"] == name), None) for run in runs]
        verdicts = [c["verdict"] for c in cells if c is not None]
        made.append(
            {
                "name": name,
                "cells": [
                    {"verdict": "", "text": ""}
                    if c is None
                    else {"verdict": c["verdict"], "text": _during(c)}
                    for c in cells
                ],
                "differs": len(set(verdicts)) > 1,
            }
        )
    made.sort(key=lambda row: not row["differs"])
    return {"rows": made, "same": sum(not row["differs"] for row in made)}


def _named(run: Json) -> list[Json]:
    """Rows by the bare name of their SLO: how many series it had is another matter."""
    return [{**row, "name": str(row["name"]).partition(" (")[0]} for row in run["rows"]]


def _during(row: Json) -> str:
    return str(row["cells"][1]["text"] or row["cells"][2]["text"] or "")


def _charts(subjects: Sequence[Subject], runs: Sequence[Json]) -> list[Json]:
    """Of one run every SLO, the worst first; of several those that are not met, two of each run."""
    made = []
    for index, (subject, run) in enumerate(zip(subjects, runs, strict=True)):
        if not subject.stored or not subject.document.get("timeline"):
            continue
        slos = sorted(run["slos"], key=lambda slo: _RANK.get(slo["verdict"], 3))
        if len(runs) > 1:
            slos = [slo for slo in slos if slo["verdict"] != "met"][:2]
        made += [{"run": subject.stored, "slo": slo["name"], "of": index} for slo in slos]
    return made[:MOST_CHARTS]
