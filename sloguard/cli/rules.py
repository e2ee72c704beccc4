"""``sloguard rules``."""

from __future__ import annotations

import difflib
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sloguard.cli.common import FAILED, USAGE, fail

if TYPE_CHECKING:
    from sloguard.adapters.promtool import Promtool
    from sloguard.render.rules.groups import LevelRules

files_argument = click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
promtool_option = click.option(
    "--promtool", type=click.Path(dir_okay=False), help="promtool; else the one in PATH."
)


@dataclass(frozen=True, slots=True)
class _Of:
    """The rules of one SLO file."""

    file: Path
    rules: tuple[LevelRules, ...]


@click.group("rules")
def command() -> None:
    """Recording rules and burn-rate alerts of SLO files, and their unit tests.

    FILES are OpenSLO v1, read together: an SLO may refer to an SLI of another one.
    """


@command.command("check")
@files_argument
@click.option("--strict", is_flag=True, help="Warnings are errors too.")
def check(files: tuple[Path, ...], strict: bool) -> None:
    """Show what SLO files promise and which alerts they get, and all that is wrong with them.

    \b
      sloguard rules check rules/slos/*.yaml
    """
    from sloguard.core.visible import visible

    read, warned = _read(files)
    for one in read:
        for rules in one.rules:
            click.echo(visible(f"{one.file}: {_told(rules)}"))
            for note in rules.notes:
                click.echo(visible(f"{one.file}: {rules.level.name}: {note}"))
    sys.exit(USAGE if warned and strict else 0)


@command.command("generate")
@files_argument
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write NAME.rules.yaml for each NAME.yaml into this directory; else all go to stdout.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["prometheus", "kubernetes"]),
    default="prometheus",
    show_default=True,
    help="A file of rules, or a PrometheusRule of the Prometheus operator.",
)
@click.option(
    "--tests", is_flag=True, help="Write the unit tests too, NAME.test.yaml. Needs --out."
)
@click.option("--check", "checking", is_flag=True, help="Write nothing: fail where --out is stale.")
def generate(files: tuple[Path, ...], out: Path | None, format_: str, tests: bool, checking: bool) -> None:  # fmt: skip
    """Write recording rules and multi-window burn-rate alerts of SLO files.

    Ends with 2 if an SLO file is wrong, or with --check if what is in DIR is not what would be written.

    \b
      sloguard rules generate rules/slos/*.yaml --out rules/generated --tests
      sloguard rules generate rules/slos/checkout.yaml --format kubernetes | kubectl apply -f -
      sloguard rules generate rules/slos/*.yaml --out rules/generated --tests --check
    """
    if out is None and (checking or tests):
        fail("--check and --tests need --out DIR")
    if tests and format_ == "kubernetes":
        fail("--tests: promtool tests files of rules, not PrometheusRules")
    read, _ = _read(files)
    texts = _texts(read, format_, tests=tests)
    if out is None:
        click.echo(("---\n" if format_ == "kubernetes" else "").join(texts.values()), nl=False)
    elif checking:
        _compare(out, texts)
    else:
        _write(out, texts)


@command.command("test")
@files_argument
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the files of rules and of tests in this directory.",
)
@promtool_option
def test(files: tuple[Path, ...], out: Path | None, promtool: str | None) -> None:
    """Write unit tests of the rules of SLO files and run them with promtool.

    Simulated are a fast burn and its end, a slow one, one that the objective allows, and no traffic. A query
    that is too much for that is replaced by a stand-in, which is said.

    \b
      sloguard rules test rules/slos/*.yaml
    """
    from sloguard.adapters.promtool import Promtool
    from sloguard.ports import OutsideError

    read, _ = _read(files)
    if out is not None:
        _write(out, _texts(read, "prometheus", tests=True))
    try:
        tool = Promtool(promtool)
        with tempfile.TemporaryDirectory(prefix="sloguard-rules-") as temporary:
            good = []
            for number, one in enumerate(read):
                directory = Path(temporary) / str(number)
                directory.mkdir()
                good.append(_tested(one, directory, tool))
    except OutsideError as error:
        fail(str(error), FAILED)
    sys.exit(0 if all(good) else FAILED)


def _read(files: Sequence[Path]) -> tuple[list[_Of], bool]:
    """The rules by file, and if there were warnings; ends with every problem."""
    from sloguard.render.rules.files import all_rules
    from sloguard.render.rules.groups import RulesError
    from sloguard.spec import SpecError
    from sloguard.spec.openslo import read_levels

    try:
        read = read_levels(dict.fromkeys(files))
        for warning in read.warnings:
            click.echo(f"warning: {warning}", err=True)
        rules = all_rules(read.levels)
    except SpecError as error:
        click.echo(str(error), err=True)
        fail(
            f"{len(error.problems)} problem{'s' if len(error.problems) != 1 else ''}; nothing was written"
        )
    except RulesError as error:
        click.echo(str(error), err=True)
        fail("these SLOs cannot be rules; nothing was written")
    if not rules:
        fail("there is no SLO in these files")
    made = []
    for file in dict.fromkeys(files):
        own = tuple(one for one in rules if one.level.source == str(file))
        if own:
            made.append(_Of(file, own))
    return made, bool(read.warnings)


def _texts(read: Sequence[_Of], format_: str, *, tests: bool) -> dict[str, str]:
    """What is written for all files, by name."""
    texts: dict[str, str] = {}
    for one in read:
        made = {
            f"{one.file.stem}.rules.yaml": _text(one, format_),
            **(_tests(one) if tests else {}),
        }
        for name, text in made.items():
            if name in texts:
                fail(f"{one.file}: another file would be written as {name} too; rename one of them")
            texts[name] = text
    return texts


def _text(one: _Of, format_: str) -> str:
    from sloguard.render.rules.files import prometheus_rule, rule_file

    if format_ == "kubernetes":
        return prometheus_rule(one.rules, one.file.name, one.file.stem)
    return rule_file(one.rules, one.file.name)


def _tests(one: _Of) -> dict[str, str]:
    """Files of tests by name, and the rules of stand-ins that they need."""
    from sloguard.render.rules.files import all_rules, rule_file
    from sloguard.render.rules.unit_tests import unit_test_files

    stem = one.file.stem
    stand_in = f"{stem}.stand-in.rules.yaml"
    made = {}
    for found in unit_test_files(one.rules, f"{stem}.rules.yaml", stand_in):
        if found.stand_ins:
            made[stand_in] = rule_file(all_rules(found.levels), one.file.name)
            made[f"{stem}.stand-in.test.yaml"] = found.text
        else:
            made[f"{stem}.test.yaml"] = found.text
    return made


def _write(out: Path, texts: dict[str, str]) -> None:
    from sloguard.render.files import write_atomically

    for name, text in texts.items():
        try:
            write_atomically(out / name, text.encode())
        except OSError as error:
            fail(f"{out / name} cannot be written: {error.strerror or error}", FAILED)
        click.echo(f"{out / name}: written", err=True)


def _compare(out: Path, texts: dict[str, str]) -> None:
    from sloguard.core.visible import visible

    stale = 0
    for name, text in texts.items():
        file = out / name
        try:
            old = file.read_text(encoding="utf-8")
        except FileNotFoundError:
            old = ""
        except (OSError, UnicodeDecodeError) as error:
            fail(f"{file} cannot be read: {error}", FAILED)
        if old != text:
            stale += 1
            diff = difflib.unified_diff(
                old.splitlines(), text.splitlines(), str(file), "made anew", lineterm=""
            )
            click.echo("\n".join(visible(line) for line in list(diff)[:40]), err=True)
    if stale:
        fail(f"{stale} of {len(texts)} files in {out} are stale: generate them again")


def _tested(one: _Of, directory: Path, tool: Promtool) -> bool:
    """Check a file's rules, and test each SLO with its own: promtool evaluates all that it is given in every test."""
    from sloguard.core.visible import visible

    whole = directory / f"{one.file.stem}.rules.yaml"
    whole.write_text(_text(one, "prometheus"), encoding="utf-8")
    tests: list[Path] = []
    stood_in = 0
    for number, rules in enumerate(one.rules):
        single = _Of(one.file, (rules,))
        texts = {whole.name: _text(single, "prometheus"), **_tests(single)}
        stood_in += any(".stand-in." in name for name in texts)
        place = directory / f"{one.file.stem}-{number}"
        place.mkdir()
        for name, text in texts.items():
            (place / name).write_text(text, encoding="utf-8")
        tests += [place / name for name in texts if name.endswith(".test.yaml")]
    for checked in (tool.check_rules([whole]), tool.test_rules(tests)):
        if not checked.good:
            click.echo("\n".join(visible(line) for line in checked.said.splitlines()), err=True)
            click.echo(f"{one.file}: failed")
            return False
    count = len(one.rules)
    replaced = f", {stood_in} of them with a stand-in for its query" if stood_in else ""
    click.echo(f"{one.file}: {count} SLO{'s' if count != 1 else ''} tested, ok{replaced}")
    return True


def _told(rules: LevelRules) -> str:
    """``checkout: 99.95% over 28d; page at 13.44 (1h, 5m) …``."""
    from sloguard.core.objective import format_share
    from sloguard.promql.windowed import window_text

    level = rules.level
    alerts = [
        f"{burn.severity} at {burn.factor:.6g} x the budget over {window_text(burn.long)} and {window_text(burn.short)}"
        for burn in rules.burns.alerts
    ]
    promise = f"{level.name}: {format_share(level.target)} over {window_text(level.period)} ({level.budgeting.value})"
    return "; ".join([promise, *alerts])
