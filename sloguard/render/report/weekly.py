"""The sums of a period, by pandas: what was run, what recovered how fast, what it cost, who was told.

``Frames`` holds the rows with the number of their period (the last one is the report's); each function
gives one part of the model: JSON, spans in seconds (``…_seconds``), shares 0 to 1 (``…_share``, ``spent``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from sloguard.core.model import Outcome
from sloguard.core.text import iso_time
from sloguard.render.report.period import Period
from sloguard.render.report.tables import Frames, Json, floats, grouped, median, most, records

OUTCOMES = tuple(str(outcome) for outcome in Outcome)
#: The worst first: so tables are sorted.
WORST = ("not-restored", "deviated", "aborted", "inconclusive", "not-started", "met")
NO_TEAM = ""
#: More lines than these are in the store, and on nobody's desk.
MOST = {"experiments": 40, "runs": 40, "services": 40, "alerts": 25}


def counted(outcomes: Iterable[str]) -> dict[str, int]:
    """How often each outcome, all six named."""
    made = dict.fromkeys(OUTCOMES, 0)
    for outcome in outcomes:
        made[outcome] = made.get(outcome, 0) + 1
    return made


def held(outcomes: Mapping[str, int]) -> float | None:
    """The share of the runs with a verdict in which the steady state held; None where none had one."""
    decided = outcomes["met"] + outcomes["deviated"]
    return round(outcomes["met"] / decided, 4) if decided else None


# --- what was run --------------------------------------------------------------------------------


def run_sums(frames: Frames, now: float) -> Json:
    """Outcomes of this period and of those before, by team and by experiment."""
    weeks = [_week(frames, number, period, now) for number, period in enumerate(frames.periods)]
    mine, runs = weeks[-1], frames.now(frames.runs)
    before = [w["total"] for w in weeks[:-1]]
    old = counted(frames.runs[frames.runs["period"] < frames.last]["outcome"])
    listed = _not_met(runs)
    return {
        "total": mine["total"],
        "outcomes": mine["outcomes"],
        "held_share": mine["held_share"],
        "unreadable": int((~runs["readable"].astype(bool)).sum()) if len(runs) else 0,
        "before": {
            "periods": len(before),
            "mean_total": round(sum(before) / len(before), 2) if before else None,
            "held_share": held(old),
        },
        "periods": weeks,
        "teams": _teams(runs),
        **_experiments(runs),
        "not_met": listed[: MOST["runs"]],
        "not_met_more": max(0, len(listed) - MOST["runs"]),
    }


def _week(frames: Frames, number: int, period: Period, now: float) -> Json:
    runs = frames.runs[frames.runs["period"] == number]
    outcomes = counted(runs["outcome"])
    return {
        "name": period.name,
        "label": period.label,
        "start": iso_time(period.start),
        "end": iso_time(period.end),
        "over": period.end <= now,
        "total": len(runs),
        "outcomes": outcomes,
        "held_share": held(outcomes),
    }


def _teams(runs: pd.DataFrame) -> list[Json]:
    found: dict[str, list[str]] = {}
    for teams, outcome in zip(runs["teams"], runs["outcome"], strict=True):
        for team in teams or (NO_TEAM,):
            found.setdefault(team, []).append(outcome)
    made = []
    # Those without a team come last.
    for team in sorted(found, key=lambda name: (name == NO_TEAM, name)):
        outcomes = counted(found[team])
        made.append(
            {
                "team": team,
                "runs": len(found[team]),
                "outcomes": outcomes,
                "held_share": held(outcomes),
            }
        )
    return made


def _experiments(runs: pd.DataFrame) -> Json:
    made = []
    for (name,), rows in grouped(runs, "experiment").items():
        newest = rows[-1]
        outcomes = counted(row["outcome"] for row in rows)
        made.append(
            {
                "experiment": name,
                "title": newest["title"],
                "runs": len(rows),
                "outcomes": outcomes,
                "held_share": held(outcomes),
                "last_run": newest["run"],
                "last_outcome": newest["outcome"],
                "last_at": iso_time(newest["started_at"]),
            }
        )
    made.sort(key=lambda e: ([-e["outcomes"].get(o, 0) for o in WORST[:-1]], e["experiment"]))
    return {
        "experiments": made[: MOST["experiments"]],
        "experiments_more": max(0, len(made) - MOST["experiments"]),
        "experiments_count": len(made),
    }


def _not_met(runs: pd.DataFrame) -> list[Json]:
    """Every run that was not met, the worst outcome first and of these the newest."""
    rest = runs[runs["outcome"] != "met"]
    rows = records(rest[["run", "experiment", "title", "outcome", "reason", "started_at"]])
    rows.sort(key=lambda r: (WORST.index(r["outcome"]), -r["started_at"]))
    return [{**row, "started_at": iso_time(row["started_at"])} for row in rows]


# --- how fast it recovered -----------------------------------------------------------------------


def recovery_sums(frames: Frames) -> Json:
    """Recoveries of everything that had been in breach, over all services and of each."""
    slos = _by_service(frames.slos)
    mine = frames.now(slos)
    worst = _recovering(mine).groupby("service").agg({"lost": "sum", "recovered": "max"})
    worst = worst.sort_values(["lost", "recovered"], ascending=False, kind="stable")
    shown = [str(name) for name in worst.index[: MOST["services"]]]
    rows = [
        {"service": name, **_recovered(mine[mine["service"] == name]), **_trend(frames, slos[slos["service"] == name])}
        for name in shown
    ]  # fmt: skip
    return {
        **_recovered(mine),
        **_trend(frames, slos),
        "services": rows,
        "services_more": len(worst) - len(rows),
    }


def _by_service(slos: pd.DataFrame) -> pd.DataFrame:
    """A service has recovered when the last of its SLOs has."""
    rows = slos[["run", "period", "service", "recovered", "lost"]].copy()
    rows["recovered"] = pd.to_numeric(rows["recovered"], errors="coerce")
    rows["lost"] = rows["lost"].astype(bool)
    grouped = rows.groupby(["run", "period", "service"], sort=False, as_index=False)
    return grouped.agg({"recovered": "max", "lost": "any"})


def _recovering(slos: pd.DataFrame) -> pd.DataFrame:
    return slos[slos["recovered"].notna() | slos["lost"].astype(bool)]


def _recovered(group: pd.DataFrame) -> Json:
    spans = floats(group, "recovered")
    return {
        "count": len(spans),
        "lost": int(group["lost"].astype(bool).sum()),
        "median_seconds": median(spans),
        "worst_seconds": most(spans),
    }


def _trend(frames: Frames, own: pd.DataFrame) -> Json:
    return {
        "before_median_seconds": median(floats(own[own["period"] < frames.last], "recovered")),
        "periods": [
            median(floats(own[own["period"] == number], "recovered"))
            for number in range(len(frames.periods))
        ],
    }


# --- what it cost --------------------------------------------------------------------------------


def budget_sums(frames: Frames) -> Json:
    """Error budget burned by chaos: of every service and SLO the sum over its runs."""
    burned = frames.slos[frames.slos["burned"].notna()]
    left = _left(frames)
    made = []
    for (service, slo), rows in grouped(burned, "service", "slo").items():
        mine = [row for row in rows if row["period"] == frames.last]
        if not mine:
            continue
        sums = [0.0] * len(frames.periods)
        for row in rows:
            sums[row["period"]] += row["burned"]
        earlier = sums[:-1]
        made.append(
            {
                "service": service,
                "slo": slo,
                "spent": round(sums[-1], 8),
                "at_least": any(row["at_least"] for row in mine),
                "runs": len({row["run"] for row in mine}),
                "before_mean": round(sum(earlier) / len(earlier), 8) if earlier else None,
                "periods": [round(spent, 8) for spent in sums],
                "left": left.get((service, slo)),
            }
        )
    made.sort(key=lambda r: (-r["spent"], r["service"], r["slo"]))
    return {
        "services": made[: MOST["services"]],
        "services_more": max(0, len(made) - MOST["services"]),
    }


def _left(frames: Frames) -> dict[tuple[Any, ...], float]:
    """What the newest run of the period says is left of each budget."""
    known = frames.now(frames.budgets)
    known = known[known["left_after"].notna()]
    rows = grouped(known, "service", "slo")
    return {key: round(float(several[-1]["left_after"]), 6) for key, several in rows.items()}


# --- who was told --------------------------------------------------------------------------------


def alert_sums(frames: Frames) -> Json:
    """Blind spots, noise, time to alert, and the expectations that were not met."""
    coverage = frames.now(frames.coverage)
    fired = frames.alerts[frames.alerts["verdict"] == ""]
    expected = frames.now(frames.alerts[frames.alerts["verdict"] != ""])
    runs = frames.now(frames.runs)
    spans = floats(frames.now(fired), "seconds")
    return {
        "runs": len(runs),
        "looked": int(runs["looked"].astype(bool).sum()) if len(runs) else 0,
        "covered": int((coverage["kind"] == "covered").sum()),
        "blind": _spots(
            coverage[coverage["kind"] == "blind"], ["service", "slo", "experiment"], "rule"
        ),
        "noise": _spots(coverage[coverage["kind"] == "noise"], ["alert", "service"], "experiment"),
        "fired": len(spans),
        "median_seconds": median(spans),
        "worst_seconds": most(spans),
        "before_median_seconds": median(
            floats(fired[fired["period"] < frames.last], "seconds"),
        ),
        "periods": [
            median(floats(fired[fired["period"] == number], "seconds"))
            for number in range(len(frames.periods))
        ],
        "expected": {str(k): int(v) for k, v in expected["verdict"].value_counts().items()},
        "missed": _spots(
            expected[expected["verdict"] == "deviated"], ["name", "service", "experiment"], "reason"
        ),
    }


def _spots(frame: pd.DataFrame, keys: Sequence[str], told: str) -> list[Json]:
    """One line for each, how often, and the newest run that showed it."""
    made = []
    for key, rows in grouped(frame, *keys).items():
        newest = rows[-1]
        made.append(
            {
                **dict(zip(keys, key, strict=True)),
                told: newest[told],
                "reason": newest["reason"],
                "count": len({row["run"] for row in rows}),
                "run": newest["run"],
            }
        )
    made.sort(key=lambda row: (-row["count"], *(str(row[key]) for key in keys)))
    return made
