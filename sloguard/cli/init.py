"""``sloguard init``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sloguard.cli.common import config_option, fail, prometheus_option, settings_from

if TYPE_CHECKING:
    from sloguard.core.backlog import Hypothesis
    from sloguard.settings import Settings
    from sloguard.spec.starter import Found


@click.command("init")
@click.argument("file", type=click.Path(path_type=Path), default=Path("experiment.yaml"))
@prometheus_option
@config_option
@click.option("--title", help="What the experiment is called.")
@click.option("--service", help="Judge only this service (or job), not every one.")
@click.option("--errors", help="Highest share of failed requests, such as 1%.")
@click.option("--latency", help="Highest 99th percentile, such as 300ms.")
@click.option("--lookback", default="1m", show_default=True, help="What the rates average over.")
@click.option("--kill", metavar="PATTERN", help="Kill one process whose command line matches.")
@click.option(
    "--backlog", "hypothesis", metavar="ID", help="The hypothesis of the backlog that it tests."
)
@click.option("--yes", "-y", is_flag=True, help="Ask nothing; take what is found.")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def command(
    file: Path,
    prometheus: str | None,
    config: Path | None,
    title: str | None,
    service: str | None,
    errors: str | None,
    latency: str | None,
    lookback: str,
    kill: str | None,
    hypothesis: str | None,
    yes: bool,
    force: bool,
) -> None:
    """Write a first experiment into FILE (experiment.yaml) from what Prometheus has.

    Looks for request counters and histograms by their usual names, asks what is promised, and writes
    a commented file to begin with.

    \b
      sloguard init --prometheus http://localhost:9090
      sloguard init shop.yaml --service checkout --errors 0.5% --latency 250ms --yes
    """
    from sloguard.bootstrap import open_metrics
    from sloguard.ports import OutsideError
    from sloguard.spec import starter

    if file.exists() and not force:
        fail(f"{file} exists; name another file, or overwrite it with --force")
    settings = settings_from(config, prometheus=prometheus)
    tested = None if hypothesis is None else _hypothesis(settings, hypothesis)
    try:
        metrics = open_metrics(settings)

        def ask(query: str) -> list[dict[str, str]]:
            return [dict(sample.labels) for sample in metrics.instant(query).samples]

        counters, histograms = starter.look(ask)
    except OutsideError as error:
        fail(f"{error}\nName a Prometheus with --prometheus URL.", code=1)
    asking = not yes and sys.stdin.isatty()
    counter = _choose("Which counter tells failures?", counters, asking=asking)
    histogram = _choose("Which histogram tells latency?", histograms, asking=asking)
    choice = starter.Choice(
        title=_answer(title, "Title", tested.name if tested else _title(counter, service), asking),
        counter=counter,
        histogram=histogram,
        only=service or _which_group(counter or histogram, asking=asking),
        errors=_bound(errors, "--errors", "Highest share of failed requests", "1%", asking),
        latency=_bound(latency, "--latency", "Highest 99th percentile", "300ms", asking),
        lookback=lookback,
        kill=_answer(
            kill, "Kill one process whose command line matches (empty: nothing)", "", asking
        ),
        hypothesis=tested.id if tested else "",
    )
    file.write_text(starter.write(choice), encoding="utf-8")
    found = [f.metric for f in (counter, histogram) if f] or ["only 'up'"]
    click.echo(f"{file}: written from {', '.join(found)}", err=True)
    click.echo(f"Next: sloguard validate {file} --prometheus URL", err=True)


def _hypothesis(settings: Settings, id: str) -> Hypothesis:
    """One of the backlog; ends with what is wrong."""
    from sloguard.bootstrap import backlog_file
    from sloguard.documents.problems import did_you_mean
    from sloguard.spec import SpecError
    from sloguard.spec.backlog import load_backlog

    file = backlog_file(settings)
    if file is None:
        fail("--backlog: there is no backlog; write experiments/backlog.yaml, or set backlog.file")
    try:
        backlog = load_backlog(file)
    except SpecError as error:
        fail(str(error))
    found = backlog.get(id)
    if found is None:
        hint = did_you_mean(id, backlog.ids)
        fail(f"--backlog: {file} has no hypothesis '{id}'" + (f"; {hint}" if hint else ""))
    return found


def _title(counter: object, service: str | None) -> str:
    subject = service or "The service"
    return (
        f"{subject} keeps its promise while something breaks" if counter else f"{subject} stays up"
    )


def _bound(given: str | None, option: str, question: str, default: str, asking: bool) -> str:
    """A number with a unit; asked again until it is one."""
    from sloguard.core.objective import ObjectiveError, parse_quantity

    def read(text: str) -> str:
        try:
            parse_quantity(text)
        except ObjectiveError as error:
            raise click.BadParameter(str(error)) from error
        return text

    if given is None and asking:
        answer: str = click.prompt(question, default=default, err=True, value_proc=read)
        return answer
    try:
        return read(default if given is None else given)
    except click.BadParameter as error:
        fail(f"{option}: {error.message}")


def _answer(given: str | None, question: str, default: str, asking: bool) -> str:
    if given is not None:
        return given
    if not asking:
        return default
    answer: str = click.prompt(question, default=default, err=True, show_default=bool(default))
    return answer


def _choose(question: str, found: Sequence[Found], *, asking: bool) -> Found | None:
    if not found:
        return None
    if not asking or len(found) == 1:
        return found[0]
    click.echo(question, err=True)
    for number, one in enumerate(found, start=1):
        click.echo(f"  {number}  {one.metric}", err=True)
    picked = click.prompt("Number", type=click.IntRange(1, len(found)), default=1, err=True)
    return found[picked - 1]


def _which_group(found: Found | None, *, asking: bool) -> str:
    if not asking or found is None or len(found.groups) < 2:
        return ""
    shown = ", ".join(found.groups[:10])
    answer: str = click.prompt(
        f"Only one {found.group} ({shown}; empty: each by itself)",
        default="",
        show_default=False,
        err=True,
    )
    return answer
