"""What to do next: one line each, the most urgent first, and no more than a team can take on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sloguard.core.text import format_duration, format_value
from sloguard.render.report.tables import Frames, Json, records

Model = Mapping[str, Any]
#: Nobody does more in a week.
MOST_NEXT = 12
_EACH = 3
#: So much slower is no accident.
_SLOWER = 1.5
#: A budget below this has no room for another surprise.
_LITTLE_LEFT = 0.2


def next_steps(frames: Frames, model: Model) -> list[Json]:
    """``do`` in the imperative, ``why`` with the numbers; ``kind`` and ``run`` where one shows it."""
    if not model["runs"]["total"]:
        return list(_after_nothing(model))[:MOST_NEXT]
    found = [
        *_left(frames),
        *_weak(model),
        *_hypotheses(model),
        *_blind(model),
        *_unproven(model),
        *_slower(model),
        *_spent(model),
        *_untried(model),
        *_noise(model),
    ]
    return found[:MOST_NEXT] or [_step("more", "Break something new.", _all_well(model))]


def _step(kind: str, do: str, why: str, run: str = "") -> Json:
    return {"kind": kind, "do": do, "why": why, "run": run}


def times(count: int, word: str) -> str:
    """'1 run', '2 runs'."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def where(row: Model) -> str:
    """'checkout: error-ratio', or the SLO alone."""
    return f"{row['service']}: {row['slo']}" if row["service"] else str(row["slo"])


def _left(frames: Frames) -> Iterator[Json]:
    mine = frames.now(frames.faults)
    for row in records(mine[mine["status"] == "left"].tail(_EACH)):
        how = f" with: {row['by_hand']}" if row["by_hand"] else ""
        yield _step(
            "left",
            f"Undo {row['fault']} on {row['target']} by hand{how}, or run 'sloguard recover'.",
            f"It was left behind in {row['title']}: {row['detail'] or 'not undone'}.",
            row["run"],
        )


def _together(rows: Iterable[Json]) -> list[list[Json]]:
    """What breaks together is repaired together: SLOs of one service under one experiment, in their order."""
    made: dict[tuple[str, str], list[Json]] = {}
    for row in rows:
        made.setdefault((row["service"], row["experiment"]), []).append(row)
    return list(made.values())


def _place(rows: Sequence[Json]) -> str:
    """'payment: error-ratio, p99-latency'."""
    slos = _named([str(row["slo"]) for row in rows])
    return f"{rows[0]['service']}: {slos}" if rows[0]["service"] else slos


def _weak(model: Model) -> Iterator[Json]:
    groups = _together(model["weaknesses"]["open"])
    shown = groups[:_EACH]
    for rows in shown:
        row = rows[0]
        often = f"{row['deviated']} of {times(row['judged'], 'run')} deviated"
        since = "new in this period" if row["is_new"] else f"open since {row['since'][:10]}"
        yield _step("weakness", f"Repair {_place(rows)} under '{row['title']}'.", f"{often}, {since}. {row['reason']}", row["run"])  # fmt: skip
    more = model["weaknesses"]["counts"]["open"] - sum(map(len, shown))
    if more:
        yield _step(
            "weakness",
            f"Give {'an owner' if more == 1 else 'owners'} to {more} more open {'weakness' if more == 1 else 'weaknesses'}.",
            "They are listed under Weaknesses.",
        )  # fmt: skip


def _hypotheses(model: Model) -> Iterator[Json]:
    """The highest risks of the backlog: one to mend, one to try, one that nothing tries."""
    backlog = model.get("backlog")
    if not backlog:
        return
    for row in backlog["refuted"][:1]:
        yield _step(
            "hypothesis",
            f"Mend what refutes '{row['title']}', and run {_named(row['experiments']) or 'it'} again.",
            f"Risk {row['risk']}; {row['said']}.",
            row["run"],
        )
    for row in [r for r in backlog["open"] if r["experiments"] and r["status"] != "running"][:1]:
        yield _step("hypothesis", f"Try '{row['title']}': run {_named(row['experiments'])}.", f"Risk {row['risk']}; {row['said']}.")  # fmt: skip
    for row in backlog["unwritten"][:1]:
        yield _step("hypothesis", f"Write an experiment for '{row['title']}'.", f"Risk {row['risk']}, and nothing tests it.")  # fmt: skip


def _blind(model: Model) -> Iterator[Json]:
    for rows in _together(model["alerts"]["blind"])[:_EACH]:
        row = rows[0]
        have = "add the rule that is proposed under Alerts" if row["rule"] else "add an alert rule"
        yield _step("blind", f"Let somebody be told when {_place(rows)} breaks: {have}.", f"It deviated in {times(row['count'], 'run')} and no alert fired.", row["run"])  # fmt: skip
    for row in model["alerts"]["missed"][:_EACH]:
        yield _step(
            "blind", f"Repair the alert {row['name']}.", str(row["reason"]), str(row["run"])
        )


def _unproven(model: Model) -> Iterator[Json]:
    outcomes = model["runs"]["outcomes"]
    for outcome, do in (
        ("inconclusive", "Give inconclusive runs the evidence that they lack."),
        ("not-started", "Bring back the steady state that runs wait for."),
        ("aborted", "Look at why runs had to be stopped."),
    ):
        if outcomes[outcome]:
            rows = [r for r in model["runs"]["not_met"] if r["outcome"] == outcome]
            newest = f" The newest says: {rows[0]['reason']}" if rows and rows[0]["reason"] else ""
            why = f"{times(outcomes[outcome], 'run')} ended {outcome}.{newest}"
            yield _step("unproven", do, why, rows[0]["run"] if rows else "")


def _slower(model: Model) -> Iterator[Json]:
    for row in model["recovery"]["services"]:
        old, new = row["before_median_seconds"], row["median_seconds"]
        if old and new and row["count"] >= 2 and new > old * _SLOWER and new - old > 5:
            yield _step(
                "slower",
                f"Find out why {row['service'] or 'what has no service label'} recovers more slowly.",
                f"Median {format_duration(new)}, before {format_duration(old)}.",
            )


def _spent(model: Model) -> Iterator[Json]:
    for row in model["budget"]["services"]:
        if row["left"] is not None and row["left"] < _LITTLE_LEFT:
            yield _step(
                "budget",
                f"Let {where(row)} rest: break it again when its error budget has recovered.",
                f"{format_value(row['left'], '%')} of the budget is left; chaos spent {format_value(row['spent'], '%')}.",
            )


def _untried(model: Model) -> Iterator[Json]:
    radius = model["radius"]
    for row in radius["stale"][:_EACH]:
        if row["last_outcome"] == "deviated":
            continue  # it stands above, as a weakness
        days = "ever" if row["days"] is None else f"for {times(row['days'], 'day')}"
        yield _step("stale", f"Run {row['experiment']} until it is met.", f"It had no success {days}: {row['why']}.", row["last_run"])  # fmt: skip
    if radius["experiments_never"]:
        names = _named([row["experiment"] for row in radius["experiments_never"]])
        yield _step("never", f"Run what was never run: {names}.", "An experiment that nobody runs finds nothing.")  # fmt: skip
    if radius["services_never"]:
        names = _named(radius["services_never"])
        yield _step("never", f"Break something in {names}.", "Nothing was injected there in these weeks.")  # fmt: skip


def _noise(model: Model) -> Iterator[Json]:
    for row in model["alerts"]["noise"][:_EACH]:
        yield _step("noise", f"Make the alert {row['alert']} quieter.", f"It fired in {times(row['count'], 'run')} while every SLO was met.", row["run"])  # fmt: skip


def _named(names: list[str], most: int = 4) -> str:
    shown = ", ".join(names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def _all_well(model: Model) -> str:
    return (
        f"All {times(model['runs']['total'], 'run')} were met, and every known service was hit. "
        "A harder fault, a longer one, or two at once may still find something."
    )


def _after_nothing(model: Model) -> Iterator[Json]:
    """An empty period says what to run, not only that there was nothing."""
    radius = model["radius"]
    yield from _hypotheses(model)
    yield from _untried(model)
    for row in model["weaknesses"]["untried"][:_EACH]:
        yield _step(
            "retry",
            f"Run '{row['title']}' again.",
            f"{where(row)} deviated in its newest run, on {row['last_at'][:10]}.",
            row["run"],
        )
    if not radius["experiments_known"]:
        yield _step(
            "first",
            "Write a first experiment: sloguard init --prometheus URL",
            "There is none yet, and none was ever run.",
        )
    yield _step(
        "plan",
        "Put runs on a schedule: a job of your CI with 'sloguard run', or POST /api/v1/runs of the service.",
        "Nothing was run in this period, so nothing is known of how the system behaves when it breaks.",
    )
