"""``sloguard worker``: the processes of the service that are no web pages. People have no use for it."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from sloguard.cli.common import config_option, settings_from, store_option

if TYPE_CHECKING:
    from sloguard.adapters.store import Store
    from sloguard.service.catalogue import Catalogue
    from sloguard.settings import Settings

log = logging.getLogger("sloguard.worker")


@click.group("worker", hidden=True)
def command() -> None:
    """Carry out the jobs of a service; started by 'sloguard serve'."""


@command.command("job")
@click.argument("job")
@click.option(
    "--taking", metavar="DIGEST", help="Which taking of the job; its claim is in the store then."
)
def job(job: str, taking: str | None) -> None:
    """Carry out one job whose claim is in the environment. The exit code is that of 'sloguard run'; of the
    worker of a Job (``--taking``) it is 0 for every outcome, since a Job that has failed is one that nobody has told of.
    """
    from sloguard.bootstrap import bench
    from sloguard.cli.run import stopping
    from sloguard.engine.control import Control
    from sloguard.ports import OutsideError
    from sloguard.service.executor import CLAIM
    from sloguard.service.worker import carry_out
    from sloguard.telemetry import traces

    # What the run starts has no use for it.
    claim = os.environ.pop(CLAIM, "")
    settings, store, known = _opened("worker", run=job)
    control = Control()
    try:
        if taking is not None:
            claim = _claim(store, job, taking)
        made = replace(bench(settings, store, known), tracing=traces.start("worker"))
        with stopping(control), redirect_stdout(sys.stderr):
            code = carry_out(job, claim, made, control)
    except OutsideError as error:
        _fail(error)
    traces.close_all()
    # Threads of functions that hang have nothing more to say.
    sys.stderr.flush()
    os._exit(code if taking is None else code_of_job(code))


def code_of_job(code: int) -> int:
    """How the pod of a Job ends: well, where its run has an outcome, whichever that is."""
    from sloguard.core.model import EXIT_CODES

    return 0 if code in EXIT_CODES.values() else code


def _claim(store: Store, job: str, taking: str) -> str:
    """The claim of this taking; empty where the job was taken again since, or is over."""
    from sloguard.ports.service import taking_of

    found = store.job(job)
    return found.claim if found and found.claim and taking_of(found.claim) == taking else ""


@command.command("recover")
@click.option("--elsewhere", is_flag=True, help="Also runs of other machines.")
@click.option("--left-too", is_flag=True, help="Also what could not be undone before.")
@click.option(
    "--over", multiple=True, metavar="RUN", help="A run whose process is known to be over."
)
def recover(elsewhere: bool, left_too: bool, over: tuple[str, ...]) -> None:
    """Finish what killed runs have left, each within what its directory allows."""
    from sloguard.bootstrap import bench, loader
    from sloguard.ports import OutsideError
    from sloguard.render.lines import line
    from sloguard.service.starting import recover_dead

    settings, store, known = _opened("recovery")
    try:
        made = bench(settings, store, known)
        events = recover_dead(
            store, made, loader(), elsewhere=elsewhere, left_too=left_too, over=over
        )
        for event in events:
            if text := line(event):
                log.info("%s", text)
    except OutsideError as error:
        _fail(error)


@command.command("serve")
@click.option("--until-eof", is_flag=True, help="Also end when the standard input does.")
@store_option
@config_option
def serve(until_eof: bool, store: str | None, config: Path | None) -> None:
    """Take jobs and give them to workers until a signal comes; no web pages."""
    from sloguard.bootstrap import service

    settings, opened, known = _opened("dispatcher", config, store=store)
    made = service(settings, opened, known, config=config)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if until_eof:
        # Whoever started this holds the other end, and it closes however that one dies.
        threading.Thread(target=_read_to_end, args=(stop,), daemon=True).start()
    made.start()
    stop.wait()
    # Jobs are not this service's alone: they go on with any other one.
    drain = settings.serve.drain if settings.serve.executor == "local" else 0.0
    if not made.stop(abort=drain > 0, patience=drain) and drain:
        log.error("runs are still under way after %g s: whoever recovers finishes them", drain)


def _read_to_end(stop: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    stop.set()


def _opened(
    process: str, config: Path | None = None, *, store: str | None = None, run: str = ""
) -> tuple[Settings, Store, Catalogue]:
    from sloguard.bootstrap import catalogue, open_store
    from sloguard.cli.logs import start_logs
    from sloguard.ports import OutsideError

    settings = settings_from(config, store=store)
    start_logs(settings, process, always={"run": run} if run else None)
    try:
        return settings, open_store(settings), catalogue(settings)
    except OutsideError as error:
        _fail(error)


def _fail(error: Exception) -> NoReturn:
    """Nobody reads this on a terminal: it goes where everything else is told."""
    log.error("%s", error)
    sys.exit(1)
