"""``sloguard demo``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from sloguard.cli.common import FAILED, fail


@click.command("demo")
@click.option("--keep", is_flag=True, help="Leave the shop up and print what to try, until Ctrl-C.")
@click.option("--no-tour", is_flag=True, help="With --keep: run no experiment.")
@click.option(
    "--charts",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the charts of every run into a directory.",
)
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the shop keeps its files (default: a temporary one).",
)
def command(keep: bool, no_tour: bool, charts: Path | None, directory: Path | None) -> None:  # fmt: skip
    """See it work: a shop of real processes behind Envoy, watched by a real Prometheus, broken four times.

    Needs Prometheus and Alertmanager (Debian: prometheus, prometheus-alertmanager) and the demo extra.
    Takes less than three minutes; everything is stopped and removed at the end, also on Ctrl-C.
    """
    try:
        from sloguard.demo.environment import DemoError
        from sloguard.demo.tour import demonstrate, subprocess_runner
    except ModuleNotFoundError as error:
        if error.name != "sloguard.demo":
            raise
        fail(
            "this sloguard was installed without its demo, as images are; clone it, and 'make demo'"
        )
    if no_tour and not keep:
        fail("--no-tour goes with --keep")
    options = ["--charts", str(charts.resolve())] if charts else []
    try:
        code = demonstrate(
            subprocess_runner(*options),
            click.echo,
            keep=keep,
            tell=not no_tour,
            directory=directory,
        )
    except DemoError as error:
        fail(str(error), FAILED)
    if charts is not None and charts.is_dir():
        click.echo(f"Charts: {charts}")
    sys.exit(code)
