"""``sloguard runs``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sloguard.cli.common import (
    FAILED,
    FORMATS,
    config_option,
    console,
    fail,
    settings_from,
    show_verdict,
    store_option,
    the_store,
)
from sloguard.cli.deciding import approve, note, refuse
from sloguard.cli.moments import moment

if TYPE_CHECKING:
    from sloguard.adapters.store import Store
    from sloguard.core.history import RunSummary, StoredRun
    from sloguard.core.people import RunNote

run_argument = click.argument("run", default="latest")


@click.group("runs")
def command() -> None:
    """List, show, approve, annotate, delete and export the runs that were kept.

    RUN is an id, a unique beginning of one, or latest.
    """


for _one in (approve, refuse, note):
    command.add_command(_one)


def _opened(flags: dict[str, Any]) -> Store:
    return the_store(settings_from(flags["config"], store=flags["store"]))


def _asked(ask: Callable[[], Any]) -> Any:
    """Ask the store; what it refuses is a message."""
    from sloguard.ports import OutsideError

    try:
        return ask()
    except OutsideError as error:
        fail(str(error))


@command.command("list")
@click.option(
    "--limit",
    default=20,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="At most this many.",
)
@click.option("--before", metavar="RUN", help="Only runs before this one (the next page).")
@click.option("--experiment", metavar="TEXT", help="Only where the title holds this.")
@click.option("--outcome", help="Only with this outcome, or running.")
@click.option("--tag", help="Only with this tag.")
@click.option("--since", metavar="TIME", help="Only those started then or later.")
@click.option("--until", metavar="TIME", help="Only those started before.")
@click.option(
    "-o",
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How it is printed.",
)
@store_option
@config_option
def list_(limit: int, format_: str, **flags: Any) -> None:  # fmt: skip
    """The newest runs first."""
    store = _opened(flags)
    found: tuple[RunSummary, ...] = _asked(
        lambda: store.runs(
            limit,
            flags["before"],
            experiment=flags["experiment"],
            outcome=flags["outcome"],
            tag=flags["tag"],
            since=moment(flags["since"], "--since"),
            until=moment(flags["until"], "--until"),
        )
    )
    if format_ == "json":
        click.echo(json.dumps([_summary(run) for run in found], indent=2, ensure_ascii=False))
    elif not found:
        click.echo(f"no runs in {store.where}; 'sloguard run FILE' makes one, 'sloguard demo' four")
    else:
        _print_list(found)


def _summary(run: RunSummary) -> dict[str, Any]:
    from sloguard.core.text import iso_time

    return {
        "run": run.id,
        "experiment": run.title,
        "tags": list(run.tags),
        "started": iso_time(run.started_at),
        "ended": None if run.ended_at is None else iso_time(run.ended_at),
        "outcome": run.state,
        "score": run.score,
        "reason": run.reason,
        "source": run.source,
    }


def _print_list(found: Iterable[RunSummary]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from sloguard.core.text import iso_time
    from sloguard.core.visible import visible
    from sloguard.render.console import OUTCOME_STYLES

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title in ("run", "started", "outcome"):
        table.add_column(title, no_wrap=True)
    table.add_column("score", justify="right")
    table.add_column("experiment", overflow="fold")
    for run in found:
        table.add_row(
            Text(run.id),
            Text(iso_time(run.started_at).partition(".")[0].rstrip("Z") + "Z"),
            Text(run.state, style=OUTCOME_STYLES.get(run.state, "dim")),
            Text("" if run.score is None else f"{run.score:g}"),
            Text(visible(run.title)),
        )
    console().print(table)


@command.command("show")
@run_argument
@click.option(
    "-o",
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="How the verdict is printed.",
)
@click.option("--events", is_flag=True, help="Also everything that happened, with times.")
@store_option
@config_option
def show(run: str, format_: str, events: bool, **flags: Any) -> None:  # fmt: skip
    """The verdict of a run, and with --events its story."""
    from sloguard.core.text import format_time

    store = _opened(flags)
    stored: StoredRun = _asked(lambda: store.run(run))
    if events:
        for event in store.events(stored.id):
            if event.kind not in (
                "RunStarted",
                "EvidenceCollected",
                "Judged",
                "RunEnded",
                "Observed",
            ):
                data = json.dumps(event.data, ensure_ascii=False)
                click.echo(f"{format_time(event.at)} {event.kind} {data}")
    notes = _asked(lambda: store.notes_of(stored.id))
    if stored.document is None:
        _print_notes(notes)
        fail(f"run {stored.id} ({stored.title}) is {stored.state}: there is no verdict yet")
    if not show_verdict(stored.document, format_, None):
        sys.exit(FAILED)
    if format_ == "text":
        _print_notes(notes)
        click.echo(f"run {stored.id}, from {stored.source or 'an unknown file'}", err=True)


def _print_notes(notes: Iterable[RunNote]) -> None:
    from sloguard.core.visible import visible
    from sloguard.render.observations import note_lines

    lines = [visible(line) for line in note_lines(notes)]
    if lines:
        click.echo("\n".join(["", "Observations", *(f"  {line}" for line in lines)]))


@command.command("export")
@run_argument
@click.option(
    "-o",
    "--format",
    "format_",
    type=click.Choice(["json", "csv", "journal"]),
    default="json",
    show_default=True,
    help="All of the run, its samples, or a Chaos Toolkit journal.",
)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="A file; else stdout."
)
@store_option
@config_option
def export(run: str, format_: str, output: Path | None, **flags: Any) -> None:  # fmt: skip
    """A run for other tools: everything as JSON, its samples as CSV, or a Chaos Toolkit journal."""
    from sloguard.render.export import run_json, samples_csv
    from sloguard.render.journal import journal_of

    store = _opened(flags)
    stored: StoredRun = _asked(lambda: store.run(run))
    notes = _asked(lambda: store.notes_of(stored.id))
    pieces: Iterable[str]
    if format_ == "csv":
        pieces = samples_csv(store.each_evidence(stored.id))
    elif format_ == "journal":
        made = journal_of(stored, store.events(stored.id), notes)
        pieces = [json.dumps(made, indent=2, ensure_ascii=False, allow_nan=False) + "\n"]
    else:
        pieces = run_json(stored, store.events(stored.id), notes)
    if output is None:
        sys.stdout.writelines(pieces)
        return
    try:
        with output.open("w", encoding="utf-8") as file:
            file.writelines(pieces)
    except OSError as error:
        fail(f"{output} could not be written: {error.strerror}", 1)


@command.command("delete")
@click.argument("runs", nargs=-1, required=True)
@store_option
@config_option
def delete(runs: tuple[str, ...], **flags: Any) -> None:
    """Delete runs with all that belongs to them. One with faults left behind stays."""
    store = _opened(flags)
    for run in runs:
        click.echo(f"deleted {_asked(partial(store.delete, run))}")


@command.command("prune")
@click.option("--keep", type=click.IntRange(0), help="Keep the newest N.")
@click.option(
    "--older-than",
    metavar="DURATION",
    help="Delete only those that started longer ago, such as 30d.",
)
@store_option
@config_option
def prune(keep: int | None, older_than: str | None, **flags: Any) -> None:  # fmt: skip
    """Delete old runs. Runs with faults left behind, and runs under way, stay."""
    if keep is None and older_than is None:
        fail("say what may go: --keep N, --older-than 30d, or both")
    store = _opened(flags)
    bound = None if older_than is None else moment(f"-{older_than}", "--older-than")
    gone = _asked(lambda: store.prune(keep=keep, older_than=bound))
    click.echo(f"deleted {len(gone)} run{'s' if len(gone) != 1 else ''}")
