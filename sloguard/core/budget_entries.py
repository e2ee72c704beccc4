"""Error budgets as JSON: of each SLO what was left before the run, what the run spent, what is left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sloguard.core.budget_limits import check_gate, judge_guard
from sloguard.core.model import Budget, Slo, Timeline
from sloguard.core.results import SeriesResult, SloResult
from sloguard.core.series import LabelSet
from sloguard.core.spending import History
from sloguard.core.text import iso_time

#: So many series of an SLO are told one by one, those with the least left first.
MOST_SERIES = 20

_NOT_ASKED = "what was left before was not asked for"
Entry = dict[str, Any]


def budget_entries(
    results: Sequence[SloResult],
    histories: Iterable[History] = (),
    limits: Budget | None = None,
    timeline: Timeline | None = None,
    unjudged: Iterable[Slo] = (),
) -> tuple[Entry, ...]:
    """One entry for every SLO with a target and a period.

    Its numbers are those of the series with the least left; ``series`` holds more of them. All are shares
    of the whole budget, None where unknown, with the ``reason``. ``known_share``: how much of the period
    Prometheus knows; below 1 ``left_before`` and ``left_after`` are upper bounds. With ``limits`` it has
    ``gate`` and, once there is a ``timeline``, ``guard``, each with a verdict. ``unjudged``: SLOs of which
    no result is among ``results``, as where a run did not start.
    """
    by_name = {history.slo: history for history in histories}
    judged = {result.name for result in results}
    of: list[tuple[Slo, SloResult | None]] = [(r.evidence.slo, r) for r in results]
    of += [(slo, None) for slo in unjudged if slo.name not in judged]
    return tuple(
        _entry(slo, result, by_name.get(slo.name), limits, timeline)
        for slo, result in of
        if slo.has_budget
    )


def _entry(
    slo: Slo,
    result: SloResult | None,
    history: History | None,
    limits: Budget | None,
    timeline: Timeline | None,
) -> Entry:
    rows = _rows(result, history)
    worst = rows[0] if rows else {"labels": {}, **_numbers(None, None)}
    made: Entry = {
        "slo": slo.name,
        "target": slo.target,
        "period_seconds": slo.period,
        **worst,
        "known_share": None if history is None or history.problem else round(history.known, 4),
        "basis": history.basis if history is not None else "",
        "queries": dict(history.queries) if history is not None else {},
        "at": None if history is None else iso_time(history.at),
        "reason": _reason(slo, history, worst, None if timeline is None else result),
        "series": rows[:MOST_SERIES],
        "series_count": len(rows),
    }
    if limits is not None and slo in limits.of([slo]):
        made |= _limits(limits, slo, result, history, timeline)
    return made


def _limits(
    limits: Budget,
    slo: Slo,
    result: SloResult | None,
    history: History | None,
    timeline: Timeline | None,
) -> Entry:
    made: Entry = {}
    if limits.keep_at_least is not None:
        whole = result is not None and result.omitted is None
        labels = [series.labels for series in result.series] or None if result and whole else None
        verdict, reason = check_gate(limits, slo, history, labels)
        made["gate"] = {
            "keep_at_least": limits.keep_at_least,
            "min_history": limits.min_history,
            "verdict": str(verdict),
            "reason": reason,
        }
    if limits.guards and timeline is not None and result is not None:
        # Where the samples were let go it was judged before.
        made["guard"] = dict(result.guard or judge_guard(limits, result, timeline))
    return made


def _rows(result: SloResult | None, history: History | None) -> list[Entry]:
    """Every series, the one with the least left first; among equals the one that spent most."""
    spent = history.spent if history is not None else {}
    series = () if result is None else result.series
    judged: dict[LabelSet, SeriesResult] = {one.labels: one for one in series}
    # Before a run has judged anything, those of the history are all that is known.
    # So are they of the series that a result does not tell one by one.
    whole = result is not None and result.omitted is None
    known = judged if judged and whole else {**judged, **spent}
    rows = [_row(labels, spent.get(labels), judged.get(labels)) for labels in known]
    return sorted(rows, key=_order)


def _order(row: Mapping[str, Any]) -> tuple[float, float]:
    left = row["left_after"] if row["left_after"] is not None else row["left_before"]
    return (left if left is not None else float("inf"), -(row["spent_by_run"] or 0.0))


def _row(labels: LabelSet, before: float | None, series: SeriesResult | None) -> Entry:
    spent = series.budget_burned if series is not None else None
    made = {"labels": dict(labels), **_numbers(before, spent)}
    if series is not None and series.budget_is_lower_bound:
        made["spent_is_lower_bound"] = True
    return made


def _numbers(before: float | None, spent: float | None) -> Entry:
    left = None if before is None else 1.0 - before
    return {
        "left_before": left,
        "spent_by_run": spent,
        "left_after": None if left is None or spent is None else left - spent,
    }


def _reason(
    slo: Slo, history: History | None, worst: Mapping[str, Any], result: SloResult | None
) -> str:
    """Why something is unknown; empty where all is known. ``result``: None before anything was judged."""
    said = []
    if worst["left_before"] is None:
        if history is None:
            said.append(_NOT_ASKED)
        else:
            said.append(history.problem or "no data of this series in the period before")
    if result is not None and worst["spent_by_run"] is None:
        why = "nothing happened before the fault to measure it by" if slo.is_pair else "no points"
        if result.omitted and all(dict(s.labels) != worst["labels"] for s in result.series):
            why = "of so many series this one is not told (runs.max_series)"
        said.append(f"what the run spent is unknown: {why}")
    return "; ".join(said)


def kept_histories(entries: Iterable[Mapping[str, Any]], slos: Iterable[Slo]) -> list[History]:
    """What the document of a run kept of its history, for SLOs with the same promise."""
    promised = {slo.name: (slo.target, slo.period) for slo in slos}
    return [
        _kept(e) for e in entries if promised.get(e["slo"]) == (e["target"], e["period_seconds"])
    ]


def kept_limits(entries: Iterable[Mapping[str, Any]]) -> Budget | None:
    """What the document of a run kept of its limits; None where it had none."""
    limited = [entry for entry in entries if entry.get("gate") or entry.get("guard")]
    if not limited:
        return None
    # The same for every SLO that they are about; an SLO that was not judged has no guard.
    gate: Mapping[str, Any] = next((e["gate"] for e in limited if e.get("gate")), {})
    guard: Mapping[str, Any] = next((e["guard"] for e in limited if e.get("guard")), {})
    usual = Budget()
    return Budget(
        slos=tuple(entry["slo"] for entry in limited),
        keep_at_least=gate.get("keep_at_least"),
        min_history=gate.get("min_history", usual.min_history),
        abort_spent=guard.get("spent"),
        abort_burn_rate=guard.get("burn_rate"),
        hold_for=guard.get("for_seconds", usual.hold_for),
    )


def _kept(entry: Mapping[str, Any]) -> History:
    spent = {
        tuple(sorted(row["labels"].items())): 1.0 - row["left_before"]
        for row in entry["series"]
        if row["left_before"] is not None
    }
    return History(
        slo=entry["slo"],
        at=0.0 if entry["at"] is None else datetime.fromisoformat(entry["at"]).timestamp(),
        spent=spent,
        known=entry["known_share"] or 0.0,
        basis=entry["basis"],
        queries=entry["queries"],
        problem="" if spent else entry["reason"] or _NOT_ASKED,
    )
