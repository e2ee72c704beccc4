"""``sloguard recover``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from sloguard.cli.common import config_option, plain_logs, settings_from, store_option, the_store


@click.command("recover")
@store_option
@config_option
def command(store: str | None, config: Path | None) -> None:
    """Finish what killed runs have left: end their processes, undo their faults, run their rollbacks.

    Runs that are alive are left alone. Safe to call at any time, again, and twice at once. Ends with 0
    when nothing is left, with 14 when something could not be undone; what and how is printed.
    """
    from sloguard.bootstrap import loader, options, ports
    from sloguard.core.events import RunEnded
    from sloguard.core.model import EXIT_CODES, Outcome
    from sloguard.engine.recover import recover
    from sloguard.render.lines import line

    settings = settings_from(config, store=store)
    plain_logs()
    opened = the_store(settings)
    made = ports(settings, opened, metrics=False)
    left, finished = 0, 0
    for event in recover(opened, made, loader(), options(settings), left_too=True):
        if isinstance(event, RunEnded):
            finished += 1
            left += event.outcome is Outcome.NOT_RESTORED
            click.echo(f"run {event.run}: {event.outcome}: {event.reason}")
            for fault in event.document["faults"]:
                if fault["status"] == "left":
                    click.echo(
                        f"  {fault['fault']} on {fault['target']}; by hand: {fault['by_hand']}"
                    )
        elif text := line(event):
            click.echo(text, err=True)
    if not finished:
        alive = sum(run.alive for run in opened.unfinished())
        more = f"; {alive} run{'s' if alive != 1 else ''} under way" if alive else ""
        click.echo(f"nothing to recover{more}")
    sys.exit(EXIT_CODES[Outcome.NOT_RESTORED] if left else 0)
