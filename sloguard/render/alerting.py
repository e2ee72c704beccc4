"""What a verdict says of alerts, as lines that every text format shares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sloguard.core.alerting import expectations, fired
from sloguard.core.model import Verdict
from sloguard.core.text import format_duration

Document = Mapping[str, Any]

_KINDS = {"expect": "expected", "forbid": "forbidden", "abort_on": "aborts the run"}


@dataclass(frozen=True, slots=True)
class Expectation:
    """One expectation: which, what came of it and why. ``late``: what it would be judged as by alerts that
    came after the run."""

    kind: str
    name: str
    verdict: Verdict
    reason: str
    late: str = ""

    @property
    def title(self) -> str:
        """As a row or a case is named."""
        return f"{self.name} ({_KINDS.get(self.kind, self.kind)})"


def expectations_of(document: Document) -> list[Expectation]:
    """In the order of the file."""
    return [
        Expectation(
            str(entry["expectation"]),
            str(entry.get("name", "")),
            Verdict(entry["verdict"]),
            str(entry.get("reason", "")),
            _late(entry),
        )
        for entry in expectations(document.get("alerts") or ())
    ]


def _late(entry: Mapping[str, Any]) -> str:
    if "late_verdict" not in entry:
        return ""
    return (
        f"with what came later it would be {entry['late_verdict']}: {entry.get('late_reason', '')}"
    )


def alert_lines(document: Document) -> Iterator[str]:
    """What fired since the fault, one line each; what an expectation tells of is not told twice."""
    entries = document.get("alerts") or ()
    told = {entry.get("alert") for entry in expectations(entries)}
    for number, alert in enumerate(entries):
        after = alert.get("time_to_alert_seconds")
        if number in told or after is None or alert.get("firing_before"):
            continue
        until = f"until {alert['ends_at'][11:]}" if alert["ends_at"] else "still firing at the end"
        late = ", told only after the run" if alert.get("late") else ""
        yield (
            f"alert {alert['name']} fired {format_duration(float(after))} after the fault, {until}{late}"
        )


def coverage_lines(document: Document) -> Iterator[str]:
    """Blind spots and noise; nothing where there is neither."""
    found = document.get("alert_coverage") or {}
    for spot in found.get("blind_spots") or ():
        yield f"blind spot: {spot['reason']}"
    noise = found.get("noise") or ()
    names = list(dict.fromkeys(str(alert["alert"]) for alert in noise))
    if names:
        yield f"noise: {', '.join(names)} fired though every SLO was met"


def proposals(document: Document) -> Sequence[tuple[str, str]]:
    """(SLO, rule file as YAML) of every blind spot that has one."""
    found = document.get("alert_coverage") or {}
    return [
        (str(spot["slo"]), str(spot["proposed_rule"]))
        for spot in found.get("blind_spots") or ()
        if spot.get("proposed_rule")
    ]


def fired_alerts(document: Document) -> list[Mapping[str, Any]]:
    """The alerts themselves."""
    return list(fired(document.get("alerts") or ()))
