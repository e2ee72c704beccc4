"""``sloguard backlog``."""

from __future__ import annotations

import difflib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from sloguard.cli.common import (
    FAILED,
    USAGE,
    config_option,
    console,
    fail,
    settings_from,
    store_option,
    the_store,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sloguard.documents.problems import Problem
    from sloguard.service.backlog import BacklogDesk, Look

_STATUSES = ("open", "planned", "running", "confirmed", "refuted", "accepted", "dropped")

format_option = click.option(
    "-o",
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How it is printed.",
)
file_option = click.option(
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The backlog.  [default: the setting, else backlog.yaml in ./experiments or here]",
)


class _ListsAlone(click.Group):
    """Without the name of a command it is ``list``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, with that name put in."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group("backlog", cls=_ListsAlone)
def command() -> None:
    """What could go wrong, how much it matters, and what runs have said about it.

    'sloguard backlog' alone is 'sloguard backlog list'. The backlog is a file of hypotheses with likelihood and impact. A run tests the hypotheses that its
    experiment names ('backlog: ID'), or that name its file: met confirms them, deviated refutes them, anything else
    leaves them as they were. What runs say is worked out from the runs that are kept; the file is yours.
    """


@command.command("list")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(_STATUSES),
    help="Only these; can be repeated.",
)
@click.option("--owner", help="Only those of this owner.")
@click.option("--service", help="Only those about this service.")
@click.option("--no-runs", is_flag=True, help="Only the file: no store is opened.")
@format_option
@file_option
@store_option
@config_option
def list_(statuses: tuple[str, ...], owner: str | None, service: str | None, format_: str, **flags: Any) -> None:  # fmt: skip
    """All hypotheses, the highest risk first."""
    from sloguard.render.backlog import counted, of_matrix, of_standing, print_list

    look = _look(flags)
    found = [
        one
        for one in look.standings
        if (not statuses or str(one.status) in statuses)
        and (owner is None or one.hypothesis.owner == owner)
        and (service is None or service in one.hypothesis.services)
    ]
    if format_ == "json":
        _print_json(
            {
                "file": look.file,
                "title": look.title,
                "counts": counted(found),
                "hypotheses": [of_standing(one) for one in found],
                "matrix": of_matrix(found),
            }
        )
        return
    if not found:
        click.echo(
            "no hypothesis fits" if look.standings else f"{look.file} holds no hypothesis yet"
        )
        return
    print_list(found, console())
    told = [f"{count} {status}" for status, count in counted(found).items() if count]
    count = _count(len(found), "hypothesis", "hypotheses")
    click.echo(f"{count}: {', '.join(told)}", err=True)


@command.command("show")
@click.argument("id")
@format_option
@click.option("--no-runs", is_flag=True, help="Only the file: no store is opened.")
@file_option
@store_option
@config_option
def show(id: str, format_: str, **flags: Any) -> None:
    """One hypothesis with its experiments and runs."""
    from sloguard.documents.problems import did_you_mean
    from sloguard.render.backlog import of_standing, print_one

    look = _look(flags)
    found = look.get(id)
    if found is None:
        hint = did_you_mean(id, [one.hypothesis.id for one in look.standings])
        fail(f"{look.file} has no hypothesis '{id}'" + (f"; {hint}" if hint else ""))
    if format_ == "json":
        _print_json(of_standing(found))
    else:
        print_one(found, console())


@command.command("next")
@format_option
@file_option
@store_option
@config_option
def next_(format_: str, **flags: Any) -> None:
    """What to do first: a weakness to mend, an experiment to run, and one to write.

    Each is the highest risk of its kind.
    """
    from sloguard.core.backlog import next_of
    from sloguard.core.visible import visible
    from sloguard.render.backlog import of_standing, said

    look = _look(flags)
    found = next_of(look.standings)
    parts = {"mend": found.mend, "run": found.run, "write": found.write}
    if format_ == "json":
        _print_json({k: None if one is None else of_standing(one) for k, one in parts.items()})
        return
    if not any(parts.values()):
        click.echo("nothing is open: every hypothesis was answered, accepted or dropped")
    for do, one in parts.items():
        if one is None:
            continue
        own = one.hypothesis
        click.echo(visible(f"{do:<6}{own.id} (risk {own.risk}): {own.name}"))
        detail = f"      {said(one)}"
        if do == "run":
            detail = f"      sloguard run {_short(one.experiments[0].file)}"
        elif do == "write":
            file = Path(look.file).parent / f"{own.id}.yaml"
            detail = f"      sloguard init {_short(str(file))} --backlog {own.id}"
        click.echo(visible(detail))


@command.command("check")
@click.option("--strict", is_flag=True, help="A hypothesis without an experiment is an error too.")
@format_option
@file_option
@config_option
def check(strict: bool, format_: str, **flags: Any) -> None:
    """All problems of the file at once, and of what it and the experiments say of each other.

    Ends with 0 if all is well, 2 if something is wrong. No store is opened.
    """
    from dataclasses import replace

    look = _look({**flags, "no_runs": True}, failing=False)
    file = _short(look.file)
    errors = [str(replace(problem, file=_short(problem.file))) for problem in look.problems]
    errors += _dangling(look)
    warnings = [
        f"{file}:{one.hypothesis.line}: {one.hypothesis.id} (risk {one.hypothesis.risk}) has no experiment yet"
        for one in look.standings
        if not one.experiments
        and not one.hypothesis.experiments
        and str(one.status) not in ("accepted", "dropped")
    ]
    if strict:
        errors, warnings = errors + warnings, []
    if format_ == "json":
        _print_json({"file": look.file, "errors": errors, "warnings": warnings})
    else:
        for text in (*errors, *warnings):
            click.echo(text)
        told = f"{_count(len(errors), 'error')}, {_count(len(warnings), 'warning')}"
        fine = f"ok, {_count(len(look.standings), 'hypothesis', 'hypotheses')}"
        click.echo(f"{file}: {told if errors or warnings else fine}")
    sys.exit(USAGE if errors else 0)


def _dangling(look: Look) -> list[str]:
    """Experiments that a hypothesis names and there are not, and the other way round."""
    from sloguard.documents.problems import did_you_mean
    from sloguard.render.backlog import missing

    made = [
        f"{_short(look.file)}:{one.hypothesis.line}: {one.hypothesis.id}: there is no experiment '{pattern}'"
        for one in look.standings
        for pattern in missing(one.hypothesis, one.experiments)
    ]
    if look.problems:
        return made
    ids = [one.hypothesis.id for one in look.standings]
    for id, names in look.unknown:
        hint = did_you_mean(id, ids)
        text = f"{_short(look.file)}: the experiment {', '.join(names)} names '{id}', and there is no such hypothesis"
        made.append(f"{text}; {hint}" if hint else text)
    return made


@command.command("update")
@click.option("--write", is_flag=True, help="Write it; without, it is only shown.")
@file_option
@store_option
@config_option
def update(write: bool, **flags: Any) -> None:
    """Show the statuses that runs give and the file does not say yet, as a diff; with --write, write them.

    Only 'status' and 'last_run' of these hypotheses change; comments, order and everything else stay. What people
    accepted or dropped stays so.
    """
    from sloguard.spec import SpecError
    from sloguard.spec.backlog_writing import Change, updated

    look = _look(flags)
    path = Path(look.file)
    changes = {
        one.hypothesis.id: Change(one.to_write, one.decided.run)
        for one in look.standings
        if one.to_write is not None and one.decided is not None
    }
    if not changes:
        click.echo(f"{_short(look.file)} says what the runs say")
        return
    try:
        # As it is: with its line ends, and with its byte order mark if it has one.
        text = path.read_bytes().decode("utf-8")
        mark = "\ufeff" if text.startswith("\ufeff") else ""
        made = mark + updated(text.removeprefix("\ufeff"), look.file, changes)
    except SpecError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{path} cannot be read: {error.strerror}", FAILED)
    name = _short(look.file)
    lines = difflib.unified_diff(text.splitlines(), made.splitlines(), name, name, lineterm="")
    click.echo("\n".join(lines))
    if not write:
        click.echo("nothing is written; do it with --write", err=True)
        return
    from sloguard.render.files import write_atomically

    try:
        write_atomically(path.resolve(), made.encode("utf-8"))
    except OSError as error:
        fail(f"{path} could not be written: {error.strerror}", FAILED)
    click.echo(f"{name}: {len(changes)} written", err=True)


def _look(flags: dict[str, Any], *, failing: bool = True) -> Look:
    """How it stands; ends with all problems of the file."""
    from sloguard.ports import OutsideError

    try:
        look = _desk(flags).look()
    except OutsideError as error:
        fail(str(error), FAILED)
    if failing and look.problems:
        _refuse(look.file, look.problems)
    return look


def _desk(flags: dict[str, Any]) -> BacklogDesk:
    from dataclasses import replace

    from sloguard.bootstrap import backlog_desk

    settings = settings_from(flags["config"], store=flags.get("store"))
    if flags["file"] is not None:
        settings = replace(settings, backlog=replace(settings.backlog, file=flags["file"]))
    store = None if flags.get("no_runs") else the_store(settings)
    desk = backlog_desk(settings, store)
    if desk is None:
        fail(
            "there is no backlog: name one with --file or the setting backlog.file, or write "
            "experiments/backlog.yaml ('sloguard schema --backlog' says how)"
        )
    return desk


def _refuse(file: str, problems: Sequence[Problem]) -> NoReturn:
    for problem in problems:
        click.echo(str(problem), err=True)
    fail(f"{_short(file)} has {_count(len(problems), 'problem')}")


def _count(number: int, what: str, several: str = "") -> str:
    return f"{number} {what if number == 1 else several or what + 's'}"


def _short(file: str) -> str:
    """A path from here on, where that is shorter."""
    try:
        return str(Path(file).relative_to(Path.cwd()))
    except ValueError:
        return file


def _print_json(data: Any) -> None:
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))
