"""Short forms: an event without what stands in tables of its own, a verdict as rows to query."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sloguard.core import events as announced
from sloguard.core.jsonable import dump, jsonable

PHASES = ("before", "during", "after")


def of_event(event: announced.Event) -> Any:
    """The event's fields as JSON; documents, samples and outputs stand in their tables, not here twice."""
    match event:
        case announced.RunStarted():
            return {"run": event.run, "title": event.experiment.title}
        case announced.ActivityStarted():
            return {
                "key": event.activity.key,
                "name": event.activity.name,
                "type": event.activity.kind,
                "background": event.activity.background,
                "section": event.section,
                "phase": event.phase,
            }
        case announced.ActivityEnded():
            return _activity_ended(event)
        case announced.EvidenceCollected():
            found = event.evidence
            series = {role: len(matrix.labels) for role, matrix in found.answers.items()}
            return {
                "slo": found.slo.name,
                "series": series,
                "points": found.grid.count,
                "error": found.error,
            }
        case announced.SurroundingsCollected():
            return {"away": len(event.surroundings.away)}
        case announced.Judged():
            return {
                "outcome": event.outcome,
                "reason": event.document.get("reason"),
                "score": event.document.get("score"),
            }
        case announced.RunEnded():
            return {"run": event.run, "outcome": event.outcome, "reason": event.reason}
    fields: dict[str, Any] = jsonable(event)
    del fields["at"]
    return fields


def _activity_ended(event: announced.ActivityEnded) -> dict[str, Any]:
    record = event.record
    return {
        "key": record.activity.key,
        "name": record.activity.name,
        "section": record.section,
        "phase": record.phase,
        "status": record.status,
        "error": record.error,
        "tolerance_met": record.tolerance_met,
        "start": record.start,
        "end": record.end,
    }


def of_document(document: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Rows of verdicts: the SLO itself (no labels), then each of its series."""
    for slo in document.get("slos") or ():
        row = {"slo": slo["name"], "verdict": slo["verdict"], "reason": slo["reason"]}
        yield {**row, "labels": "", **dict.fromkeys(PHASES, "")}
        for series in slo["series"]:
            phases = series.get("phases") or {}
            yield {
                "slo": slo["name"],
                "labels": dump(series["labels"]),
                "verdict": series["verdict"],
                "reason": series["reason"],
                **{phase: (phases.get(phase) or {}).get("verdict", "") for phase in PHASES},
            }
