"""The numbers of a weekly report a second time: SQL and plain Python over the store's file, without pandas and
without any code of the report."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

WEEK = 7 * 86400.0


@dataclass
class Sums:
    """What a report has to say of the week that begins at ``monday`` (UTC), among ``weeks`` weeks."""

    monday: float
    weeks: int
    outcomes: list[Counter[str]] = field(default_factory=list)
    teams: Counter[str] = field(default_factory=Counter)
    recoveries: dict[str, list[list[float]]] = field(default_factory=dict)
    spent: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    open: dict[tuple[str, str, str], str] = field(default_factory=dict)
    fixed: set[tuple[str, str, str]] = field(default_factory=set)
    blind: set[tuple[str, str, str]] = field(default_factory=set)
    alert_seconds: list[float] = field(default_factory=list)
    hit: dict[str, int] = field(default_factory=dict)


def sums(path: Path, monday: datetime, weeks: int = 5) -> Sums:
    """All of them."""
    start = monday.timestamp() - (weeks - 1) * WEEK
    end = monday.timestamp() + WEEK
    made = Sums(monday.timestamp(), weeks, outcomes=[Counter() for _ in range(weeks)])
    with sqlite3.connect(path) as connection:
        rows = connection.execute(
            "SELECT id, experiment, tags, started_at, outcome, document FROM runs WHERE kind <> 'rejudge' "
            "AND started_at >= ? AND started_at < ? ORDER BY started_at, id",
            (start, end),
        ).fetchall()
        connection.row_factory = None
    connection.close()
    verdicts: dict[tuple[str, str, str], list[tuple[float, int, str]]] = defaultdict(list)
    for _run, experiment, tags, at, outcome, text in rows:
        number = int((at - start) // WEEK)
        made.outcomes[number][outcome] += 1
        document = json.loads(text)
        if number == weeks - 1:
            for tag in json.loads(tags):
                if tag.startswith("team:"):
                    made.teams[tag[5:]] += 1
            _alerts(made, experiment, document)
        _recovered(made, number, document)
        _spent(made, number, document)
        for slo in document["slos"]:
            for series in slo["series"]:
                verdict = series["verdict"]
                whole = outcome in ("met", "deviated")
                if verdict == "deviated" or (verdict == "met" and whole):
                    key = (experiment, slo["name"], series["labels"]["service"])
                    verdicts[key].append((at, number, verdict))
    _weaknesses(made, verdicts)
    _hits(made, rows)
    return made


def _alerts(made: Sums, experiment: str, document: dict[str, Any]) -> None:
    for spot in document["alert_coverage"]["blind_spots"]:
        made.blind.add((spot["series"].split('"')[1], spot["slo"], experiment))
    for alert in document["alerts"]:
        made.alert_seconds.append(alert["time_to_alert_seconds"])


def _recovered(made: Sums, number: int, document: dict[str, Any]) -> None:
    longest: dict[str, float] = {}
    for slo in document["slos"]:
        for series in slo["series"]:
            seconds = series["phases"]["after"]["recovered_seconds"]
            if seconds:
                service = series["labels"]["service"]
                longest[service] = max(longest.get(service, 0.0), seconds)
    for service, seconds in longest.items():
        of = made.recoveries.setdefault(service, [[] for _ in range(made.weeks)])
        of[number].append(seconds)


def _spent(made: Sums, number: int, document: dict[str, Any]) -> None:
    for slo in document["slos"]:
        for series in slo["series"]:
            if series["budget_burned"] is not None:
                key = (series["labels"]["service"], slo["name"])
                made.spent.setdefault(key, [0.0] * made.weeks)[number] += series["budget_burned"]


def _weaknesses(
    made: Sums, verdicts: dict[tuple[str, str, str], list[tuple[float, int, str]]]
) -> None:
    for key, several in verdicts.items():
        mine = [one for one in several if one[1] == made.weeks - 1]
        if not mine:
            continue
        if several[-1][2] == "deviated":
            began = several[-1][0]
            for at, _, verdict in reversed(several):
                if verdict == "met":
                    break
                began = at
            made.open[key] = datetime.fromtimestamp(began, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            continue
        older = [verdict for _, number, verdict in several if number < made.weeks - 1]
        if any(verdict == "deviated" for _, _, verdict in mine) or older[-1:] == ["deviated"]:
            made.fixed.add(key)


def _hits(made: Sums, rows: list[Any]) -> None:
    """Runs that hit a service, by the words of its targets: no name of these holds another one."""
    for service in ("checkout", "cart", "payment", "catalogue", "front"):
        made.hit[service] = sum(
            any(service in fault["target"] for fault in json.loads(row[5])["faults"])
            for row in rows
        )


def middle(values: list[float]) -> float | None:
    """None of nothing."""
    return median(values) if values else None
