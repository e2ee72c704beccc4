"""``sloguard discover``."""

from __future__ import annotations

import difflib
import json
from dataclasses import replace
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

    NAME is a family (pods), one fault or probe (pods.terminate_pods), which is then shown whole, with an
    activity to copy; or a driver of the Chaos Toolkit (chaosk8s, chaosistio.fault.actions), for what
    stands in for its functions.

    \b
      sloguard discover
      sloguard discover load.http_load
      sloguard discover chaosk8s
    """
    from sloguard.engine.driver_names import DRIVERS

    entries = _entries()
    if name is not None and name.partition(".")[0] in DRIVERS:
        entries = _stand_ins(name, entries)
    elif name is not None:
        entries = _found(name, entries)
    if format_ == "json":
        click.echo(json.dumps([e.as_json() for e in entries], indent=2, ensure_ascii=False))
    elif len(entries) == 1:
        click.echo(_whole(entries[0]))
    elif name is not None and name.partition(".")[0] in DRIVERS:
        _drivers_table(name, entries)
    else:
        _table(entries)


def _entries() -> tuple[Entry, ...]:
    """All faults and probes by name, each with the drivers' functions that it stands in for."""
    from sloguard.engine.driver_names import TABLE
    from sloguard.faults.catalogue import catalogue as faults
    from sloguard.probes.catalogue import catalogue as probes

    also: dict[str, list[str]] = {}
    for alias in TABLE.values():
        also.setdefault(alias.target, []).append(alias.name)
    found = [
        replace(one, also=tuple(sorted(also.get(f"{one.module}.{one.func}", ()))))
        for one in (*faults(), *probes())
    ]
    return tuple(sorted(found, key=lambda one: one.name))


def _found(name: str, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """A family, or one of them; ends with the nearest name."""
    family = tuple(e for e in entries if e.name.split(".", 1)[0] == name)
    found = family or tuple(e for e in entries if e.name == name)
    if not found:
        near = difflib.get_close_matches(name, [e.name for e in entries], n=1)
        families = ", ".join(dict.fromkeys(e.name.partition(".")[0] for e in entries))
        hint = f"did you mean '{near[0]}'?" if near else f"families: {families}"
        fail(f"no fault or probe named '{name}'; {hint}")
    return found


def _stand_ins(name: str, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """What stands in for a driver, a module of it, or one function."""
    found = tuple(e for e in entries if any(_within(name, other) for other in e.also))
    if not found:
        known = [other for e in entries for other in e.also]
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        fail(f"sloguard has no function of its own for '{name}'{hint}")
    return found


def _within(name: str, function: str) -> bool:
    return function == name or function.startswith(f"{name}.")


def _drivers_table(name: str, entries: tuple[Entry, ...]) -> None:
    rows = sorted((other, e.name) for e in entries for other in e.also if _within(name, other))
    width = max(len(function) for function, _ in rows)
    for function, own in rows:
        click.echo(f"{function:<{width}}  {own}")
    click.echo("\nOne of them whole, with its arguments: sloguard discover NAME")


def _table(entries: tuple[Entry, ...]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("fault or probe", no_wrap=True)
    table.add_column("what it does", overflow="fold")
    table.add_column("arguments (* needed)", overflow="fold", style="dim")
    for one in entries:
        arguments = ", ".join(f"{a.name}*" if a.required else a.name for a in one.arguments)
        kind = "" if one.type == "action" else " (probe)"
        table.add_row(Text(f"{one.name}{kind}"), Text(one.summary), Text(arguments))
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
    if one.also:
        lines += ["", "Stands in for:", *(f"  {name}" for name in one.also)]
    needed = [a for a in one.arguments if a.required]
    lines += [
        "",
        f"- type: {one.type}",
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
