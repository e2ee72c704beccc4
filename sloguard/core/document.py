"""The answer as JSON: one shape for runs, ``judge`` and the web API. Times ISO 8601 UTC, ±Inf as strings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sloguard.core.coverage import coverage
from sloguard.core.model import (
    EXIT_CODES,
    ActivityRecord,
    FaultRecord,
    Json,
    PhaseName,
    Timeline,
    Verdict,
)
from sloguard.core.outcome import ProbeResult, RunFacts, conclude
from sloguard.core.proposing import proposed_rule
from sloguard.core.results import Omitted, PhaseResult, SeriesResult, SloResult
from sloguard.core.text import iso_time
from sloguard.core.victims import victims

Document = dict[str, Any]


def document(facts: RunFacts) -> Document:
    """The whole document of a run or of a judged window."""
    conclusion = conclude(facts)
    # Each row of an answer is made when it is read: once is enough.
    slos = [slo_json(slo) for slo in facts.slos]
    phases = [series["phases"] for slo in slos for series in slo["series"]]
    # What weighs nothing is watched, as a proof that a fault is felt, say: nobody suffers from it.
    heavy = [slo for slo in slos if slo["weight"]]
    return {
        "outcome": str(conclusion.outcome),
        "exit_code": EXIT_CODES[conclusion.outcome],
        "reason": conclusion.reason,
        "score": conclusion.score,
        "experiment": facts.experiment,
        "run": facts.run,
        "seed": facts.seed,
        "timeline": timeline_json(facts.timeline),
        "time_to_impact_seconds": _time_to_impact(heavy),
        "time_to_alert_seconds": _time_to_alert(facts),
        "time_to_recover_seconds": _time_to_recover(phases, slos),
        "slos": slos,
        "probes": [probe_json(probe) for probe in facts.probes],
        "alerts": [safe(alert) for alert in facts.alerts],
        **_coverage(facts, slos),
        "budget": [safe(entry) for entry in facts.budget],
        "faults": [fault_json(fault) for fault in facts.faults],
        "victims": victims(facts.faults, heavy, facts.timeline),
        "activities": [activity_json(record) for record in facts.activities],
        "notes": list(facts.notes),
        **_people(facts),
    }


def _people(facts: RunFacts) -> Document:
    """What people decided, in the runs in which they were asked."""
    told: Document = {}
    if facts.approval is not None:
        told["approval"] = safe(facts.approval)
    if facts.steps:
        told["steps"] = [safe(step) for step in facts.steps]
    return told


def timeline_json(timeline: Timeline | None) -> Document | None:
    """The four marks, ISO 8601 UTC."""
    if timeline is None:
        return None
    marks = ("start", "fault", "restored", "end")
    return {mark: iso_time(getattr(timeline, mark)) for mark in marks}


def _time_to_impact(slos: Sequence[Document]) -> Json:
    """The first breach of any series under the fault, in seconds from the fault."""
    phases = (series["phases"] for slo in slos for series in slo["series"])
    spans = [p[PhaseName.DURING]["first_breach_seconds"] for p in phases]
    spans += [one["first_breach_seconds"] for one in _omitted(slos)]
    return min((span for span in spans if span is not None), default=None)


def _omitted(slos: Sequence[Document]) -> list[Document]:
    return [slo["series_omitted"] for slo in slos if "series_omitted" in slo]


def _time_to_recover(phases: Sequence[Document], slos: Sequence[Document]) -> Json:
    """The longest recovery of any series, in seconds from ``restored``.

    None if none was judged, or if one did not recover, whether it was in breach or gone dark.
    """
    omitted = _omitted(slos)
    if any(one["not_recovered"] for one in omitted):
        return None
    spans = [one["recovered_seconds"] for one in omitted if one["recovered_seconds"] is not None]
    for after in (p[PhaseName.AFTER] for p in phases):
        if after["recovered_seconds"] is not None:
            spans.append(after["recovered_seconds"])
        elif after["breach_seconds"] or after["verdict"] == Verdict.DEVIATED:
            return None
    return max(spans, default=None)


def _time_to_alert(facts: RunFacts) -> float | None:
    spans = [
        a["time_to_alert_seconds"]
        for a in facts.alerts
        if a.get("time_to_alert_seconds") is not None and a.get("counts", True)
    ]
    return min(spans, default=None)


def _coverage(facts: RunFacts, slos: Sequence[Document]) -> Document:
    """``alert_coverage``, where alerts were read at all."""
    if facts.alert_scope is None or facts.timeline is None:
        return {}
    declared = {slo.name: slo.evidence.slo for slo in facts.slos}
    found = coverage(
        slos,
        facts.alerts,
        facts.alert_scope,
        facts.timeline,
        lambda slo, series: proposed_rule(declared[slo["name"]], series),
    )
    return {"alert_coverage": found}


def slo_json(slo: SloResult) -> Document:
    """One SLO with its series: all of them, or the worst and how many there are beside them."""
    evidence = slo.evidence
    queries = evidence.slo.queries
    made: Document = {
        "name": slo.name,
        "verdict": str(slo.verdict),
        "reason": slo.reason,
        "objective": evidence.slo.objective.text,
        "unit": evidence.slo.unit,
        "weight": number(evidence.slo.weight),
        "query": queries.get("query") or _pair_text(queries),
        "queries": queries,
        "lookback_seconds": number(evidence.lookback),
        "step_seconds": number(evidence.grid.step),
        "series": [series_json(series) for series in slo.series],
        "notes": list(slo.notes),
    }
    if slo.omitted is not None:
        made["series_omitted"] = omitted_json(slo.omitted)
    return made


def omitted_json(omitted: Omitted) -> Document:
    """The series of an SLO that are not told one by one: how many, and what of them counts."""
    return {
        "count": omitted.count,
        "verdicts": dict(omitted.verdicts),
        "first_breach_seconds": number(omitted.first_breach_seconds),
        "recovered_seconds": number(omitted.recovered_seconds),
        "not_recovered": omitted.not_recovered,
    }


def _pair_text(queries: Mapping[str, str]) -> str:
    total = queries["total"]
    if "bad" in queries:
        return f"({queries['bad']}) / ({total})"
    return f"(({total}) - ({queries['good']})) / ({total})"


def series_json(series: SeriesResult) -> Document:
    """One series in three phases."""
    made: Document = {
        "labels": dict(series.labels),
        "verdict": str(series.verdict),
        "reason": series.reason,
        "baseline": number(series.baseline),
        "budget_burned": number(series.budget_burned),
        "phases": {str(name): phase_json(name, phase) for name, phase in series.phases.items()},
    }
    if series.budget_is_lower_bound:
        made["budget_burned_is_lower_bound"] = True
    if series.note:
        made["note"] = series.note
    return made


def phase_json(name: PhaseName, phase: PhaseResult) -> Document:
    """One phase of one series."""
    made: Document = {
        "verdict": str(phase.verdict),
        "reason": phase.reason,
        "points": phase.points,
        "gaps": phase.gaps,
        "idle": phase.idle,
        "breach_seconds": number(phase.breach_seconds),
        "longest_breach_seconds": number(phase.longest_breach_seconds),
        "worst": number(phase.worst),
        "worst_at": None if phase.worst_at is None else iso_time(phase.worst_at),
        "first_breach_seconds": number(phase.first_breach_seconds),
    }
    if name is PhaseName.AFTER:
        between = phase.recovered_between_seconds
        made["recovered_seconds"] = number(phase.recovered_seconds)
        made["recovered_between_seconds"] = (
            None if between is None else [number(s) for s in between]
        )
    return made


def probe_json(probe: ProbeResult) -> Document:
    """A probe of the hypothesis."""
    return {
        "name": probe.name,
        "phase": str(probe.phase),
        "verdict": str(probe.verdict),
        "reason": probe.reason,
        "value": safe(probe.record.output),
        "at": iso_time(probe.record.start),
    }


def fault_json(fault: FaultRecord) -> Document:
    """One injection and how it came undone."""
    return {
        "id": fault.id,
        "fault": fault.fault,
        "target": fault.target,
        "status": fault.status,
        "injected_at": None if fault.injected_at is None else iso_time(fault.injected_at),
        "undone_at": None if fault.undone_at is None else iso_time(fault.undone_at),
        "detail": fault.detail,
        "by_hand": fault.by_hand,
        **({"hit": list(fault.hit)} if fault.hit else {}),
    }


def activity_json(record: ActivityRecord) -> Document:
    """One activity as it went."""
    own = {"runs_as": record.activity.runs_as} if record.activity.runs_as else {}
    return {
        "name": record.activity.name,
        "type": record.activity.kind,
        "section": record.section,
        "phase": None if record.phase is None else str(record.phase),
        "background": record.activity.background,
        "status": str(record.status),
        "start": iso_time(record.start),
        "end": iso_time(record.end),
        "output": safe(record.output),
        "error": record.error,
        "tolerance_met": record.tolerance_met,
        **own,
    }


def number(value: float | None) -> float | int | str | None:
    """A JSON number: whole ones without a fraction, ±Inf as a string, NaN as null."""
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return int(value) if value == int(value) and abs(value) < 2**53 else float(value)


def safe(value: Any) -> Any:
    """JSON data without the floats that JSON does not have."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else number(value)
    if isinstance(value, Mapping):
        return {str(k): safe(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [safe(v) for v in value]
    return value
