"""A stored answer (the JSON document) -> the results, the timeline and the alerts that it was made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sloguard.core.model import PhaseName, Timeline, Verdict
from sloguard.core.results import PhaseResult, SeriesResult, SloResult
from sloguard.core.series import SloEvidence, label_set
from sloguard.render.charts.model import AlertSpan, ChartError

_MARKS = ("start", "fault", "restored", "end")
#: The names that Prometheus, Alertmanager and sloguard's own document use for the same thing.
_START = ("start", "starts_at", "startsAt", "active_at", "activeAt", "started_at")
_END = ("end", "ends_at", "endsAt", "resolved_at", "ended_at")


def seconds_of(moment: Any, what: str = "time") -> float:
    """ISO 8601 or seconds since the epoch -> seconds; a time without a zone is UTC."""
    if isinstance(moment, int | float) and not isinstance(moment, bool):
        return float(moment)
    try:
        read = datetime.fromisoformat(str(moment))
    except ValueError as error:
        raise ChartError(f"{what}: '{moment}' is not an ISO 8601 time") from error
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


def timeline_of(document: Mapping[str, Any]) -> Timeline:
    """The four marks; raises ChartError where there is none (nothing was injected)."""
    marks = document.get("timeline") or {}
    missing = [name for name in _MARKS if marks.get(name) is None]
    if missing:
        raise ChartError(f"the run has no timeline to draw: no {' and no '.join(missing)} is known")
    try:
        return Timeline(*(seconds_of(marks[name], f"timeline.{name}") for name in _MARKS))
    except ChartError:
        raise
    except ValueError as error:
        raise ChartError(str(error)) from error


def result_of(document: Mapping[str, Any], evidence: SloEvidence) -> SloResult | None:
    """What was judged of the SLO of this evidence; None where the document does not hold it."""
    name = evidence.slo.name
    found = next((s for s in document.get("slos") or () if s.get("name") == name), None)
    if found is None:
        return None
    return SloResult(
        name=name,
        verdict=Verdict(found.get("verdict", Verdict.NOT_JUDGED)),
        reason=str(found.get("reason", "")),
        evidence=evidence,
        series=tuple(_series(each) for each in found.get("series") or ()),
    )


def _series(found: Mapping[str, Any]) -> SeriesResult:
    phases = found.get("phases") or {}
    return SeriesResult(
        labels=label_set(found.get("labels") or {}),
        verdict=Verdict(found.get("verdict", Verdict.NOT_JUDGED)),
        reason=str(found.get("reason", "")),
        phases={name: _phase(phases[name.value]) for name in PhaseName if name.value in phases},
        baseline=_number(found.get("baseline")),
        budget_burned=_number(found.get("budget_burned")),
        note=str(found.get("note", "")),
    )


def _phase(found: Mapping[str, Any]) -> PhaseResult:
    at, between = found.get("worst_at"), found.get("recovered_between_seconds")
    return PhaseResult(
        verdict=Verdict(found.get("verdict", Verdict.NOT_JUDGED)),
        reason=str(found.get("reason", "")),
        points=int(found.get("points") or 0),
        gaps=int(found.get("gaps") or 0),
        idle=int(found.get("idle") or 0),
        breach_seconds=float(found.get("breach_seconds") or 0),
        longest_breach_seconds=float(found.get("longest_breach_seconds") or 0),
        worst=_number(found.get("worst")),
        worst_at=None if at is None else seconds_of(at, "worst_at"),
        first_breach_seconds=_number(found.get("first_breach_seconds")),
        recovered_seconds=_number(found.get("recovered_seconds")),
        recovered_between_seconds=(float(between[0]), float(between[1])) if between else None,
    )


def _number(value: Any) -> float | None:
    """±Inf comes as text; float() reads it."""
    return None if value is None else float(value)


def alerts_of(alerts: Iterable[AlertSpan | Mapping[str, Any]]) -> tuple[AlertSpan, ...]:
    """Spans from mappings as Prometheus, Alertmanager or a stored answer write them.

    What never started has no span and is left out.
    """
    made = [a if isinstance(a, AlertSpan) else _alert(a) for a in alerts]
    return tuple(sorted((a for a in made if a is not None), key=lambda a: (a.start, a.name)))


def _alert(found: Mapping[str, Any]) -> AlertSpan | None:
    start = _first(found, _START)
    if start is None:
        return None
    end = _first(found, _END)
    labels = found.get("labels") or {}
    name = found.get("name") or found.get("alertname") or labels.get("alertname") or "alert"
    began = seconds_of(start, f"alert {name}")
    ended = None if end is None else seconds_of(end, f"alert {name}")
    # Alertmanager writes the year 1 where an alert has not ended.
    still = ended is None or ended <= 0
    state = str(found.get("state") or found.get("status") or "firing")
    expected = found.get("expected") is True
    return AlertSpan(str(name), began, None if still else ended, state != "pending", expected)


def _first(found: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((found[name] for name in names if found.get(name) is not None), None)
