"""Did the alerting see what the judge saw? Blind spots, noise, and what was covered.

Works on the JSON of SLOs and alerts, so that a stored document can be looked at again. What it finds
changes no outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sloguard.core.alerting import AlertScope, fired
from sloguard.core.model import PhaseName, Timeline, Verdict
from sloguard.core.series import label_set
from sloguard.core.text import format_duration, format_series, format_time

Coverage = dict[str, Any]
#: A rule for an SLO that nothing watched, as YAML: its JSON and that of its worst series.
Propose = Callable[[Mapping[str, Any], Mapping[str, Any]], str]


def coverage(
    slos: Sequence[Mapping[str, Any]],
    entries: Iterable[Mapping[str, Any]],
    scope: AlertScope,
    timeline: Timeline,
    propose: Propose,
) -> Coverage:
    """What was covered, what was not, and what fired for nothing.

    A blind spot is an SLO of some weight that deviated under or after the fault while no alert that counts
    fired; noise is an alert that the fault set off while every SLO was met, unless it was expected.
    ``unknown``: why neither can be told.
    """
    alerts = list(fired(entries))
    new = sorted((a for a in alerts if a.get("counts")), key=lambda a: str(a["starts_at"]))
    made: Coverage = {"blind_spots": [], "noise": [], "covered": []}
    if scope.where.matchers:
        made["where"] = scope.where.plain
    suffered = [(slo, *found) for slo in slos if slo["weight"] and (found := _suffered(slo))]
    for slo, series, phase in suffered:
        if new:
            made["covered"].append(_covered(slo, series, phase, new[0], timeline))
        elif not scope.unknown and not _known_before(alerts, scope):
            made["blind_spots"].append(_blind(slo, series, phase, timeline, propose))
    if slos and all(slo["verdict"] == Verdict.MET for slo in slos):
        made["noise"] = [noise(alert) for alert in new if not alert.get("expected")]
    if scope.unknown:
        made["unknown"] = scope.unknown
    return made


def noise(alert: Mapping[str, Any]) -> dict[str, Any]:
    """An alert that nobody needed."""
    return {"alert": alert["name"], "labels": alert["labels"], "starts_at": alert["starts_at"]}


def _suffered(slo: Mapping[str, Any]) -> tuple[Mapping[str, Any], PhaseName] | None:
    """The series that deviated longest under or after the fault, and where."""
    found = [
        (phase is PhaseName.DURING, series["phases"][phase]["longest_breach_seconds"] or 0, i)
        for i, series in enumerate(slo["series"])
        for phase in (PhaseName.DURING, PhaseName.AFTER)
        if series["phases"].get(phase, {}).get("verdict") == Verdict.DEVIATED
    ]
    if not found:
        return None
    under, _, index = max(found, key=lambda one: (one[1], one[0], -one[2]))
    return slo["series"][index], PhaseName.DURING if under else PhaseName.AFTER


def _known_before(alerts: Iterable[Mapping[str, Any]], scope: AlertScope) -> bool:
    """Whether an alert that was expected may have been there all the time: then nothing can be said."""
    if not scope.expected:
        return False
    labels = ({"alertname": a["name"], **a["labels"]} for a in alerts if not a.get("counts"))
    return any(scope.counts(found) for found in labels)


def _covered(
    slo: Mapping[str, Any],
    series: Mapping[str, Any],
    phase: PhaseName,
    alert: Mapping[str, Any],
    timeline: Timeline,
) -> dict[str, Any]:
    first = _first_breach(series, phase, timeline)
    at = datetime.fromisoformat(alert["starts_at"]).timestamp()
    return {
        "slo": slo["name"],
        "alert": alert["name"],
        "seconds": alert["time_to_alert_seconds"],
        "after_breach_seconds": None if first is None else round(at - first, 3),
    }


def _first_breach(series: Mapping[str, Any], phase: PhaseName, timeline: Timeline) -> float | None:
    found = series["phases"].get(PhaseName.DURING, {}).get("first_breach_seconds")
    if found is not None:
        return timeline.fault + float(found)
    return None if phase is PhaseName.DURING else timeline.restored


def _blind(
    slo: Mapping[str, Any],
    series: Mapping[str, Any],
    phase: PhaseName,
    timeline: Timeline,
    propose: Propose,
) -> dict[str, Any]:
    name = format_series(slo["name"], label_set(series["labels"]))
    lasted = series["phases"][phase]["longest_breach_seconds"]
    what = f"was in breach for {format_duration(float(lasted))}" if lasted else "deviated"
    began = _first_breach(series, phase, timeline)
    since = "" if began is None or not lasted else f" from {format_time(began)}"
    span = format_duration(timeline.end - timeline.fault)
    return {
        "slo": slo["name"],
        "series": name,
        "phase": str(phase),
        "reason": f"{name} {what}{since} ({phase}), and no alert fired in the {span} after the fault",
        "proposed_rule": propose(slo, series),
    }
