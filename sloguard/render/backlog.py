"""The backlog as tables: on a terminal, and as the JSON that commands, the API and reports share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sloguard.core.backlog import (
    ANSWERS,
    STEPS,
    Attempt,
    Hypothesis,
    Offered,
    Standing,
    Status,
    matrix,
)
from sloguard.core.text import iso_time
from sloguard.core.visible import visible

if TYPE_CHECKING:
    from rich.console import Console

Json = dict[str, Any]
#: To be told apart without colour.
SIGNS: Mapping[str, str] = {
    Status.CONFIRMED: "✓",
    Status.REFUTED: "✗",
    Status.RUNNING: "●",
    Status.OPEN: "○",
    Status.PLANNED: "◔",
    Status.ACCEPTED: "–",
    Status.DROPPED: "–",
}
STYLES: Mapping[str, str] = {
    Status.CONFIRMED: "green",
    Status.REFUTED: "bold red",
    Status.RUNNING: "bold cyan",
    Status.ACCEPTED: "dim",
    Status.DROPPED: "dim",
}
LEVEL_STYLES: Mapping[str, str] = {"high": "bold red", "medium": "yellow", "low": "green"}
#: So many runs of a hypothesis are told.
_MOST_RUNS = 10


def of_standing(one: Standing) -> Json:
    """All of a hypothesis, as JSON."""
    hypothesis = one.hypothesis
    return {
        "id": hypothesis.id,
        "title": hypothesis.name,
        "hypothesis": hypothesis.hypothesis,
        "services": list(hypothesis.services),
        "likelihood": hypothesis.likelihood,
        "impact": hypothesis.impact,
        "risk": hypothesis.risk,
        "level": hypothesis.level,
        "status": str(one.status),
        "written_status": str(hypothesis.status),
        "owner": hypothesis.owner,
        "links": list(hypothesis.links),
        "notes": hypothesis.notes,
        "experiments": [{"name": o.name, "title": o.title} for o in one.experiments],
        "declared_experiments": list(hypothesis.experiments),
        "decided_by": None if one.decided is None else of_attempt(one.decided),
        "unanswered": len(one.unanswered),
        "runs": [of_attempt(a) for a in one.attempts[:_MOST_RUNS]],
    }


def of_attempt(attempt: Attempt) -> Json:
    """A run that tests it, as JSON."""
    return {
        "run": attempt.run,
        "experiment": attempt.experiment,
        "title": attempt.title,
        "started": iso_time(attempt.started_at),
        "ended": None if attempt.ended_at is None else iso_time(attempt.ended_at),
        "state": attempt.state,
        "reason": attempt.reason,
    }


def counted(found: Iterable[Standing]) -> dict[str, int]:
    """How many there are of each status, all of them named."""
    made = dict.fromkeys(map(str, Status), 0)
    for one in found:
        made[str(one.status)] += 1
    return made


def of_matrix(found: Sequence[Standing]) -> Json:
    """The risk matrix as JSON: rows from the highest likelihood down."""
    return {
        "impacts": list(STEPS),
        "rows": [
            {
                "likelihood": row[0].likelihood,
                "cells": [
                    {
                        "impact": cell.impact,
                        "risk": cell.risk,
                        "level": cell.level,
                        "hypotheses": [
                            {"id": s.hypothesis.id, "status": str(s.status)} for s in cell.standings
                        ],
                    }
                    for cell in row
                ],
            }
            for row in matrix(found)
        ],
    }


def said(one: Standing) -> str:
    """In words: what its newest runs said of it, and what did not."""
    parts = []
    running = next((a for a in one.attempts if a.state == "running"), None)
    if running is not None:
        parts.append(f"run {running.run} is under way")
    if one.decided is not None:
        word = "met" if ANSWERS[one.decided.state] is Status.CONFIRMED else "deviated"
        parts.append(f"{word} in {one.decided.run}, {iso_time(one.decided.started_at)[:10]}")
    elif one.hypothesis.last_run:
        parts.append(f"{one.hypothesis.status} by {one.hypothesis.last_run}, as it is written")
    if one.unanswered:
        newest = one.unanswered[0]
        times = "1 run" if len(one.unanswered) == 1 else f"{len(one.unanswered)} runs"
        since = " since" if one.decided else ""
        parts.append(f"{times} without an answer{since}, the newest {newest.state} ({newest.run})")
    return "; ".join(parts) or "no run yet"


def print_list(found: Sequence[Standing], console: Console) -> None:
    """A table by risk; one under the other where there is no room for it."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    if console.width < 72:
        for one in found:
            console.print(_stacked(one))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("risk", justify="right", no_wrap=True)
    table.add_column("L×I", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("hypothesis", overflow="fold", ratio=5)
    table.add_column("owner", overflow="fold", ratio=1)
    table.add_column("experiment", overflow="fold", ratio=2)
    for one in found:
        own = one.hypothesis
        words = Text(visible(own.id), style="bold")
        words.append(f"\n{visible(own.name)}", style="not bold")
        table.add_row(
            Text(str(own.risk), style=LEVEL_STYLES[own.level]),
            Text(f"{own.likelihood}×{own.impact}", style="dim"),
            _status(one),
            words,
            Text(visible(own.owner)),
            Text(visible(_experiments(one)), style="" if one.experiments else "yellow"),
        )
    console.print(table)


def _stacked(one: Standing) -> Any:
    from rich.text import Text

    own = one.hypothesis
    text = Text(f"{own.risk:>2} ", style=LEVEL_STYLES[own.level])
    text.append_text(_status(one))
    text.append(f" {visible(own.id)}", style="bold")
    text.append(f"\n   {visible(own.name)}\n   {visible(_experiments(one))}", style="not bold")
    return text


def _status(one: Standing) -> Any:
    from rich.text import Text

    return Text(f"{SIGNS[one.status]} {one.status}", style=STYLES.get(one.status, ""))


def _experiments(one: Standing) -> str:
    names = list(dict.fromkeys(o.name for o in one.experiments))
    if not names:
        return "none yet"
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def print_one(one: Standing, console: Console) -> None:
    """Everything of a hypothesis."""
    from rich.text import Text

    own = one.hypothesis
    console.print(Text(visible(own.id), style="bold"))
    if own.title:
        console.print(Text(visible(own.title)))
    console.print(Text(visible(own.hypothesis)))
    line = _status(one)
    line.append(f"  {said(one)}", style="not bold dim")
    console.print(line)
    facts = [
        ("risk", f"{own.risk} ({own.level}): likelihood {own.likelihood} × impact {own.impact}"),
        ("services", ", ".join(own.services)),
        ("owner", own.owner),
        *(("experiment", f"{o.title} ({o.file})") for o in one.experiments),
        *(("experiment", f"{p}: there is no such file") for p in missing(own, one.experiments)),
        *(("link", link) for link in own.links),
        ("notes", " ".join(own.notes.split())),
    ]
    for name, value in facts:
        if value:
            console.print(Text(f"  {name:<12}").append(visible(value)))
    for attempt in one.attempts[:_MOST_RUNS]:
        text = Text(f"  {'run':<12}{attempt.run}  ")
        text.append(attempt.state, style=STYLES.get(ANSWERS.get(attempt.state, ""), "dim"))
        console.print(text.append(f"  {visible(attempt.reason)}", style="not bold"))
    if len(one.attempts) > _MOST_RUNS:
        console.print(Text(f"  and {len(one.attempts) - _MOST_RUNS} older runs", style="dim"))


def missing(hypothesis: Hypothesis, offered: Sequence[Offered]) -> list[str]:
    """What it names under ``experiment`` and there is not."""
    from sloguard.core.backlog import names_file

    return [
        pattern
        for pattern in hypothesis.experiments
        if not any(names_file(pattern, o.file) for o in offered)
    ]
