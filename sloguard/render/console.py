"""A verdict on a terminal: a table of SLOs by phase, the reasons, the outcome. Results only: stdout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sloguard.core.model import PhaseName, Verdict
from sloguard.render.alerting import alert_lines, coverage_lines, expectations_of, proposals
from sloguard.render.summary import (
    MARKS,
    Cell,
    Document,
    Row,
    budget_lines,
    headline,
    key_times,
    probe_rows,
    slo_rows,
    unhappy,
    victim_lines,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

#: Chosen to be told apart without colour too: every verdict has its own mark beside it.
STYLES = {
    Verdict.MET: "green",
    Verdict.DEVIATED: "bold red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.NOT_JUDGED: "dim",
}
OUTCOME_STYLES = {
    "met": "bold green",
    "deviated": "bold red",
    "inconclusive": "bold yellow",
    "not-started": "bold yellow",
    "aborted": "bold magenta",
    "not-restored": "bold white on red",
}
#: Columns of a terminal below which a table would break its words.
_TABLE_FITS = 60


def print_verdict(document: Document, console: Console) -> None:
    """The whole verdict, as text with tables."""
    from rich.text import Text

    rows = slo_rows(document) + probe_rows(document)
    console.print(Text(document["experiment"], style="bold"))
    if rows and console.width >= _TABLE_FITS:
        console.print(_table(rows))
    else:
        for row in rows:
            console.print(_stacked(row))
    for row in unhappy(rows):
        console.print(_bullet(MARKS[row.verdict], STYLES[row.verdict], row.reason))
    expected = expectations_of(document)
    said = {row.reason for row in rows} | {one.reason for one in expected}
    # What is left behind is said below, with how to undo it.
    told = document["outcome"] in ("met", "not-restored") or _already(document["reason"], said)
    if not told:
        console.print(_bullet("•", "", document["reason"]))
    for text in victim_lines(document):
        console.print(_bullet("•", "", text))
    for one in expected:
        console.print(_bullet(MARKS[one.verdict], STYLES[one.verdict], one.reason))
        if one.late:
            console.print(_bullet("•", "dim", one.late))
    for text in alert_lines(document):
        console.print(_bullet("!", "", text))
    for text in coverage_lines(document):
        console.print(_bullet("!", "yellow", text))
    if proposals(document):
        console.print(_bullet("•", "dim", "an alert rule is proposed for it: --format markdown"))
    for text in budget_lines(document):
        console.print(_bullet("•", "", text))
    for note in document.get("notes", ()):
        console.print(_bullet("•", "dim", note))
    _print_failed(document, console)
    _print_left(document, console)
    _print_times(document, console)
    style = OUTCOME_STYLES[document["outcome"]]
    console.print(Text(headline(document), style=style))


def _already(reason: str, said: set[str]) -> bool:
    return any(reason.startswith(text) for text in said if text)


def _table(rows: list[Row]) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
    table.add_column("SLO", overflow="fold")
    table.add_column("objective", overflow="fold", style="dim")
    for phase in PhaseName:
        table.add_column(str(phase), overflow="fold")
    table.add_column("verdict", no_wrap=True)
    for row in rows:
        table.add_row(
            Text(row.name),
            Text(row.objective),
            *(_cell(c) for c in row.cells),
            Text(f"{MARKS[row.verdict]} {row.verdict}", style=STYLES[row.verdict]),
        )
    return table


def _stacked(row: Row) -> Text:
    """A row of the table as lines, where there is no room for columns."""
    from rich.text import Text

    mark = f"{MARKS[row.verdict]} {row.verdict}"
    lines = [Text.assemble((mark, STYLES[row.verdict]), f" {row.name} {row.objective}".rstrip())]
    phases = zip(PhaseName, row.cells, strict=True)
    lines += [Text.assemble(f"  {phase}: ", _cell(cell)) for phase, cell in phases]
    return Text("\n").join(lines)


def _cell(cell: Cell) -> Text:
    from rich.text import Text

    return Text(f"{MARKS[cell.verdict]} {cell.text}".strip(), style=STYLES[cell.verdict])


def _bullet(mark: str, style: str, text: str) -> Any:
    """A hanging indent, so that long reasons stay readable."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(mark, style=style), Text(text))
    return grid


def _print_failed(document: Document, console: Console) -> None:
    for activity in document.get("activities", ()):
        if activity["status"] == "failed" and activity["type"] == "action":
            text = f"{activity['section']}: {activity['name']} failed: {activity['error']}"
            # Where it is the reason of the whole run it has been said.
            told = f"{activity['name']}: {activity['error']}" in document["reason"]
            if activity["error"] and not told:
                console.print(_bullet("!", "yellow", text))


def _print_left(document: Document, console: Console) -> None:
    for fault in document.get("faults", ()):
        if fault["status"] == "left":
            by_hand = fault["by_hand"] or "see its detail"
            text = f"left behind: {fault['fault']} on {fault['target']}; undo by hand: {by_hand}"
            console.print(_bullet("!", "bold red", text))


def _print_times(document: Document, console: Console) -> None:
    from rich.text import Text

    parts = [f"{name} {value}" for name, value in key_times(document)]
    timeline: Mapping[str, str] | None = document.get("timeline")
    if timeline:
        clock = {mark: at[11:] for mark, at in timeline.items()}
        parts.append(f"fault {clock['fault']}, restored {clock['restored']}, end {clock['end']}")
    if parts:
        console.print(Text("; ".join(parts), style="dim"))
