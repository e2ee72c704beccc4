"""``sloguard recover``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sloguard.cli.common import config_option, plain_logs, settings_from, store_option, the_store
from sloguard.cli.recovering import Known
from sloguard.cli.streams import deliver, tell

if TYPE_CHECKING:
    from sloguard.adapters.store import Store
    from sloguard.engine.ports_bundle import Ports


@click.command("recover")
@click.option(
    "--cluster",
    is_flag=True,
    help="Undo what is found on the cluster as well, by the records on its objects, whoever put it there.",
)
@click.option("--context", help="Context of the kubeconfig, with --cluster.")
@click.option(
    "--ns",
    "namespaces",
    multiple=True,
    metavar="NAMESPACE",
    help="Look only into this namespace, with --cluster; can be repeated.",
)
@store_option
@config_option
def command(
    cluster: bool,
    context: str | None,
    namespaces: tuple[str, ...],
    store: str | None,
    config: Path | None,
) -> None:
    """Finish what killed runs have left: end their processes, undo their faults, run their rollbacks.

    Runs that are alive are left alone. Safe to call at any time, again, and twice at once. Ends with 0
    when nothing is left, with 14 when something could not be undone; what and how is printed.
    """
    from sloguard.bootstrap import loader, options, ports
    from sloguard.cli.common import fail
    from sloguard.cli.telling import Telling
    from sloguard.core.events import RunEnded
    from sloguard.core.model import EXIT_CODES, Outcome
    from sloguard.engine.recover import recover
    from sloguard.ports import OutsideError
    from sloguard.render.lines import line

    settings = settings_from(config, store=store)
    known = Known(loader())
    plain_logs(known.mask)
    opened = the_store(settings)
    made = ports(settings, opened, metrics=False)
    try:
        telling = Telling(settings, opened)
    except OutsideError as error:
        fail(str(error))
    left, finished = 0, 0
    runs = telling.runs()
    for event in known.quietly(recover(runs, made, known, options(settings), left_too=True)):
        if isinstance(event, RunEnded):
            finished += 1
            left += event.outcome is Outcome.NOT_RESTORED
            say(f"run {event.run}: {event.outcome}: {event.reason}")
            for fault in event.document["faults"]:
                if fault["status"] == "left":
                    say(f"  {fault['fault']} on {fault['target']}; by hand: {fault['by_hand']}")
        elif text := line(event):
            tell(text)
    if cluster:
        found, stuck = _recover_cluster(made, opened, context, namespaces or None)
        finished, left = finished + found, left + stuck
    if not finished:
        alive = sum(run.alive for run in opened.unfinished())
        more = f"; {alive} run{'s' if alive != 1 else ''} under way" if alive else ""
        say(f"nothing to recover{more}")
    telling.finish()
    sys.exit(EXIT_CODES[Outcome.NOT_RESTORED] if left else 0)


def say(text: str) -> None:
    """A line on stdout. Whoever stops reading (``| head``) does not stop the undoing."""
    from sloguard.core.visible import visible

    deliver(visible(text) + "\n")


def _recover_cluster(
    made: Ports, opened: Store, context: str | None, namespaces: tuple[str, ...] | None
) -> tuple[int, int]:
    """How much was found on the cluster, and how much of it is left."""
    from sloguard.cli.common import fail
    from sloguard.core.model import EXIT_FAILED
    from sloguard.engine.recover_cluster import recover_cluster
    from sloguard.ports import ClusterError

    alive = [run.id for run in opened.unfinished() if run.alive]
    found = left = 0
    try:
        for fault in recover_cluster(made.clusters, context, alive=alive, namespaces=namespaces):
            found += 1
            left += fault.status == "left"
            say(f"{fault.target}: {fault.status}: {fault.fault} {fault.detail}".rstrip())
            if fault.status == "left" and fault.by_hand:
                say(f"  by hand: {fault.by_hand}")
    except ClusterError as error:
        fail(str(error), EXIT_FAILED)
    return found, left
