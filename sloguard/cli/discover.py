"""``sloguard discover``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from sloguard.cli.common import console, fail

if TYPE_CHECKING:
    from sloguard.core.describing import Entry


@click.command("discover")
@click.argument("name", required=False)
@click.option(
    "-o",
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How it is printed.",
)
def command(name: str | None, format_: str) -> None:  # fmt: skip
    """List the faults and probes with their arguments.

    NAME is a family (processes) or one fault (processes.kill), which is then shown whole, with an
    activity to copy.

    \b
      sloguard discover
      sloguard discover load.http_load
    """
    from sloguard.faults.base import FaultError
    from sloguard.faults.catalogue import catalogue, entry

    entries = catalogue()
    if name is not None:
        family = [e for e in entries if e.name.split(".", 1)[0] == name]
        try:
            entries = tuple(family) or (entry(name),)
        except FaultError as error:
            fail(str(error))
    if format_ == "json":
        click.echo(json.dumps([e.as_json() for e in entries], indent=2, ensure_ascii=False))
    elif len(entries) == 1:
        click.echo(_whole(entries[0]))
    else:
        _table(entries)


def _table(entries: tuple[Entry, ...]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("fault", no_wrap=True)
    table.add_column("what it does", overflow="fold")
    table.add_column("arguments (* needed)", overflow="fold", style="dim")
    for one in entries:
        arguments = ", ".join(f"{a.name}*" if a.required else a.name for a in one.arguments)
        table.add_row(Text(one.name), Text(one.summary), Text(arguments))
    console().print(table)
    click.echo("\nOne of them whole, with an activity to copy: sloguard discover NAME")


def _whole(one: Entry) -> str:
    lines = [f"{one.name}: {one.summary}", ""]
    if one.doc.strip():
        lines += [one.doc.strip(), ""]
    if one.arguments:
        lines.append("Arguments:")
    for argument in one.arguments:
        default = "needed" if argument.required else f"default {json.dumps(argument.default)}"
        lines.append(f"  {argument.name}: {argument.type} ({default})")
        if argument.doc:
            lines.append(f"      {argument.doc}")
    needed = [a for a in one.arguments if a.required]
    lines += [
        "",
        "- type: action",
        f"  name: {one.func.replace('_', '-')}",
        "  provider:",
        "    type: python",
        f"    module: {one.module}",
        f"    func: {one.func}",
    ]
    if needed:
        lines.append("    arguments:")
        lines += [f"      {a.name}: …" for a in needed]
    return "\n".join(lines)
