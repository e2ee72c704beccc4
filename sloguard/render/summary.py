"""A verdict document as rows that every text format shares: SLO by phase, probes, faults, marks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sloguard.core.model import PhaseName, Verdict
from sloguard.core.results import IDLE_NOTE
from sloguard.core.text import format_duration, format_series, format_value

Document = Mapping[str, Any]

MARKS = {
    Verdict.MET: "✓",
    Verdict.DEVIATED: "✗",
    Verdict.INCONCLUSIVE: "?",
    Verdict.NOT_JUDGED: "–",
}

OUTCOME_SENTENCES = {
    "met": "the steady state held before, during and after",
    "deviated": "the steady state did not hold: a weakness was found",
    "inconclusive": "no evidence either way",
    "not-started": "nothing was injected",
    "aborted": "stopped, and everything was undone",
    "not-restored": "a fault could not be undone",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One phase of one row: the verdict and the number behind it."""

    verdict: Verdict
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """One SLO or probe. ``reason`` is why it ended as it did."""

    name: str
    objective: str
    cells: tuple[Cell, Cell, Cell]
    verdict: Verdict
    reason: str


def slo_rows(document: Document) -> list[Row]:
    """One row an SLO; a cell shows the worst series of that phase."""
    return [_slo_row(slo) for slo in document.get("slos", ())]


def _slo_row(slo: Mapping[str, Any]) -> Row:
    series = slo["series"]
    # What was left out of the verdict is left out of the cells too.
    counted = [s for s in series if s.get("note") != IDLE_NOTE] or series
    # Of many series the verdict tells the worst one by one, and how many there are beside them.
    count = len(series) + slo.get("series_omitted", {}).get("count", 0)
    name = slo["name"] if count < 2 else f"{slo['name']} ({count} series)"
    # The number nearest to its bound is the highest one, unless the objective is a lower bound.
    sign = -1.0 if str(slo.get("objective", "")).startswith(">") else 1.0
    cells = [_cell(counted, phase, slo.get("unit", ""), sign) for phase in PhaseName]
    return Row(
        name,
        slo.get("objective", ""),
        (cells[0], cells[1], cells[2]),
        Verdict(slo["verdict"]),
        slo["reason"],
    )


def _cell(series: Sequence[Mapping[str, Any]], phase: PhaseName, unit: str, sign: float) -> Cell:
    counted = [s["phases"][phase] for s in series if s["verdict"] != Verdict.NOT_JUDGED]
    if not counted:
        return Cell(Verdict.NOT_JUDGED, "")
    worst = max(
        counted,
        key=lambda p: (
            Verdict(p["verdict"]).rank,
            p["breach_seconds"] or 0,
            float("-inf") if p["worst"] is None else sign * float(p["worst"]),
        ),
    )
    return Cell(Verdict(worst["verdict"]), _cell_text(worst, phase, unit))


def _cell_text(phase: Mapping[str, Any], name: PhaseName, unit: str) -> str:
    if phase["worst"] is None:
        return ""
    text = format_value(float(phase["worst"]), unit)
    if name is PhaseName.AFTER and phase.get("recovered_seconds"):
        return f"{text}, back in {format_duration(phase['recovered_seconds'])}"
    if name is not PhaseName.AFTER and phase["breach_seconds"]:
        return f"{text} for {format_duration(phase['breach_seconds'])}"
    return text


def probe_rows(document: Document) -> list[Row]:
    """One row a probe of the hypothesis."""
    names = dict.fromkeys(p["name"] for p in document.get("probes", ()))
    return [_probe_row(name, document["probes"]) for name in names]


def _probe_row(name: str, probes: Sequence[Mapping[str, Any]]) -> Row:
    mine = [p for p in probes if p["name"] == name]
    cells = []
    for phase in PhaseName:
        here = [p for p in mine if p["phase"] == phase]
        worst = max(here, key=lambda p: Verdict(p["verdict"]).rank, default=None)
        cells.append(
            Cell(Verdict.NOT_JUDGED, "")
            if worst is None
            else Cell(Verdict(worst["verdict"]), shortened(worst["value"]))
        )
    overall = max(mine, key=lambda p: Verdict(p["verdict"]).rank)
    return Row(
        name,
        "tolerance",
        (cells[0], cells[1], cells[2]),
        Verdict(overall["verdict"]),
        overall["reason"],
    )


def shortened(value: Any, width: int = 24) -> str:
    """A value of any kind in one short line."""
    if isinstance(value, Mapping):
        value = value.get("status", value)
    text = " ".join(str(value).split())
    return text if len(text) <= width else text[: width - 1] + "…"


def key_times(document: Document) -> Iterator[tuple[str, str]]:
    """Time to impact, to alert, to recover, and the budget burned, as far as they are known."""
    for key, name in (
        ("time_to_impact_seconds", "time to impact"),
        ("time_to_alert_seconds", "time to alert"),
        ("time_to_recover_seconds", "time to recover"),
    ):
        if document.get(key) is not None:
            yield name, format_duration(float(document[key]))
    burned = [
        (s["budget_burned"], slo["name"])
        for slo in document.get("slos", ())
        for s in slo["series"]
        if s.get("budget_burned")
    ]
    if burned:
        most, name = max(burned)
        yield "error budget burned", f"{format_value(most, '%')} ({name})"


def budget_lines(document: Document) -> Iterator[str]:
    """Each error budget that was asked about: what was left before the run, what it spent, what is left.

    Where only what the run spent is known that is among the ``key_times``.
    """
    for entry in document.get("budget") or ():
        guard, gate = entry.get("guard"), entry.get("gate")
        if entry["left_before"] is not None:
            yield _budget_line(entry)
        elif gate is not None or guard is not None:
            yield f"error budget of {entry['slo']}: unknown: {entry['reason']}"
        for limit in (gate, guard):
            if limit is not None and limit["verdict"] != Verdict.MET:
                yield limit["reason"]


def _budget_line(entry: Mapping[str, Any]) -> str:
    name = format_series(entry["slo"], tuple(entry["labels"].items()))
    period = format_duration(float(entry["period_seconds"]))
    most = "at most " if (entry["known_share"] or 0) < 1 else ""
    parts = [f"{most}{format_value(entry['left_before'], '%')} left before"]
    if entry["spent_by_run"] is not None:
        least = "at least " if entry.get("spent_is_lower_bound") else ""
        parts.append(f"{least}{format_value(entry['spent_by_run'], '%')} spent by the run")
    if entry["left_after"] is not None:
        parts.append(f"{format_value(entry['left_after'], '%')} left")
    if most:
        known = format_duration(float(entry["known_share"]) * float(entry["period_seconds"]))
        parts.append(f"{known} of the period known")
    return f"error budget of {name}, {period} at {format_value(entry['target'], '%')}: {', '.join(parts)}"


_MOST_VICTIMS, _MOST_SUFFERING = 20, 5


def victim_lines(document: Document) -> list[str]:
    """Each victim with the series that suffered after it was hit; nothing where there was but one, and
    nobody suffered. Without a series that was judged nobody knows."""
    victims = document.get("victims") or ()
    if len(victims) < 2 and not any(victim["suffered"] for victim in victims):
        return []
    seen = any(slo["series"] for slo in document.get("slos") or ())
    nobody = "nobody suffered" if seen else "unknown who suffered: no series was judged"
    lines = []
    for victim in victims[:_MOST_VICTIMS]:
        suffered = [_sufferer(one) for one in victim["suffered"]]
        more = len(suffered) - _MOST_SUFFERING
        shown = ", ".join(suffered[:_MOST_SUFFERING]) + (f" and {more} more" if more > 0 else "")
        lines.append(f"{victim['fault']} on {victim['target']} → {shown or nobody}")
    if len(victims) > _MOST_VICTIMS:
        lines.append(f"and {len(victims) - _MOST_VICTIMS} more victims")
    return lines


def _sufferer(one: Mapping[str, Any]) -> str:
    """``front (error-ratio, 5s later)``: a series by its labels, or its SLO where it has none."""
    labels = one["labels"]
    named = ", ".join(str(value) for value in labels.values())
    said = [one["slo"]] if named else []
    if one["after_seconds"] is not None:
        said.append(f"{format_duration(float(one['after_seconds']))} later")
    if one["verdict"] != Verdict.DEVIATED:
        said.append("within what is tolerated" if one["verdict"] == Verdict.MET else one["verdict"])
    return f"{named or one['slo']} ({', '.join(said)})" if said else named or one["slo"]


def unhappy(rows: Sequence[Row]) -> list[Row]:
    """Rows whose reasons must be read, the worst first."""
    return sorted((r for r in rows if r.verdict is not Verdict.MET), key=lambda r: -r.verdict.rank)


def headline(document: Document) -> str:
    """One sentence: the outcome and what it means."""
    outcome = document["outcome"]
    sentence = OUTCOME_SENTENCES[outcome]
    score = document.get("score")
    return f"{outcome}: {sentence}" + ("" if score is None else f" (score {score:g})")
