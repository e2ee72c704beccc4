"""``sloguard serve``."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sloguard.cli.common import USAGE, config_option, fail, prometheus_option, store_option

if TYPE_CHECKING:
    from flask import Flask

    from sloguard.documents.problems import Problem
    from sloguard.settings import Settings

_BIND = re.compile(r"(?P<host>\[[0-9a-fA-F:.%]+\]|[^:\[\]\s]+):(?P<port>[0-9]{1,5})")


@click.command("serve")
@click.option("--bind", metavar="HOST:PORT", help="Where it listens.  [default: 127.0.0.1:8088]")
@click.option(
    "--experiments",
    multiple=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of experiments that it offers; can be repeated.",
)
@click.option(
    "--slos",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of named sets of SLOs.",
)
@click.option(
    "--auth",
    type=click.Choice(["auto", "on", "off"]),
    help="Whether a token is asked for; auto: unless only this machine can reach it.",
)
@click.option("--workers", type=click.IntRange(1), help="Processes that answer requests.")
@prometheus_option
@store_option
@config_option
def command(config: Path | None, **flags: Any) -> None:
    """Serve verdicts, charts and runs over HTTP, and carry runs out.

    Runs are carried out by processes of their own: they go on when the service stops, and it finds them when
    it starts again. What killed runs have left is undone first. Ctrl-C and SIGTERM let requests finish.

    \b
      sloguard serve --experiments experiments --prometheus http://localhost:9090
      curl http://127.0.0.1:8088/api/v1/runs/latest/verdict?wait=60s
    """
    from sloguard.cli.logs import start_logs
    from sloguard.web.logged import request_facts

    settings = _settings(config, flags)
    start_logs(settings, "web", facts=[request_facts])
    host, port = _checked(settings)
    with _multiprocess(settings.serve.workers):
        _serve(settings, config, host, port)


def _settings(config: Path | None, flags: dict[str, Any]) -> Settings:
    from sloguard.settings import SettingsError, load_settings

    experiments = tuple(str(path) for path in flags["experiments"])
    slos = flags["slos"]
    given = {
        "serve.bind": flags["bind"],
        "serve.experiments": experiments or None,
        "serve.slos": None if slos is None else str(slos),
        "serve.workers": flags["workers"],
        "serve.auth": flags["auth"],
        "prometheus.url": flags["prometheus"],
        "store.url": flags["store"],
    }
    try:
        return load_settings(config, flags=given)
    except SettingsError as error:
        fail(f"the settings do not fit:\n{error}")


def _checked(settings: Settings) -> tuple[str, int]:
    """Host and port; ends with everything that is wrong. Makes and migrates the store."""
    problems: list[Problem] = []

    def wrong(name: str, message: str, expected: str = "", hint: str = "") -> None:
        from sloguard.documents.problems import Problem

        origin = settings.origins.get(name, "default")
        problems.append(Problem(message, name, origin, expected=expected, hint=hint))

    where = _where(settings, wrong)
    _check_directories(settings, wrong)
    _check_access(settings, wrong)
    _check_outside(settings, wrong)
    _check_reports(settings, wrong)
    _check_executor(settings, wrong)
    if problems:
        shown = "\n".join(str(problem) for problem in problems)
        count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
        fail(f"the service cannot start: {count}\n{shown}", USAGE)
    return where


_Wrong = Callable[..., None]


def _where(settings: Settings, wrong: _Wrong) -> tuple[str, int]:
    bind = settings.serve.bind
    found = _BIND.fullmatch(bind)
    if found is None or not 0 <= int(found["port"]) <= 65535:
        wrong("serve.bind", f"found '{bind}'", "HOST:PORT, such as 127.0.0.1:8088 or [::1]:8088")
        return "", 0
    host = found["host"].strip("[]")
    return host, int(found["port"])


def _check_reports(settings: Settings, wrong: _Wrong) -> None:
    from sloguard.render.report import ReportError
    from sloguard.service.report_schedule import Rhythm

    group = settings.reports
    for name, at, zone in (
        ("reports.at", group.at, "UTC"),
        ("reports.time_zone", "07:00", group.time_zone),
    ):
        try:
            Rhythm.of(0, at, zone)
        except ReportError as error:
            wrong(name, str(error))


def _check_executor(settings: Settings, wrong: _Wrong) -> None:
    from sloguard.bootstrap import executor_misfits

    for misfit in executor_misfits(settings):
        wrong(*misfit)


def _check_access(settings: Settings, wrong: _Wrong) -> None:
    from sloguard.web.access.starting import misfits

    for misfit in misfits(settings.serve):
        wrong(*misfit)


def _check_directories(settings: Settings, wrong: _Wrong) -> None:
    group = settings.serve
    places = [("serve.experiments", place) for place in group.experiments]
    if group.slos is not None:
        places.append(("serve.slos", str(group.slos)))
    for name, place in places:
        path = Path(place).expanduser()
        if not path.is_dir():
            wrong(name, f"{place} is no directory", "a directory that exists")
        elif not os.access(path, os.R_OK | os.X_OK):
            wrong(name, f"{place} may not be read", "read access to it")
    known = {os.path.abspath(os.path.expanduser(place)) for place in group.experiments}
    for name, named in (("serve.allow", group.allow), ("serve.targets", group.targets)):
        for place in named:
            if os.path.abspath(os.path.expanduser(place)) not in known:
                wrong(name, f"{place} is none of serve.experiments", "one of these directories")


def _check_outside(settings: Settings, wrong: _Wrong) -> None:
    from sloguard.bootstrap import catalogue, open_metrics, open_store
    from sloguard.ports import OutsideError

    checks: tuple[tuple[str, Callable[[], Any]], ...] = (
        ("serve.allow", lambda: catalogue(settings)),
        ("prometheus.url", lambda: open_metrics(settings)),
        # Here, before anything serves: one migrates, and the others find it done.
        ("store.url", lambda: open_store(settings).dispose()),
    )
    for name, check in checks:
        try:
            check()
        except OutsideError as error:
            wrong(name, str(error))


@contextmanager
def _multiprocess(workers: int) -> Iterator[None]:
    """Where several processes add up what they count; must be known before prometheus-client is loaded."""
    if workers == 1:
        yield
        return
    import tempfile

    with tempfile.TemporaryDirectory(prefix="sloguard-metrics-") as directory:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
        yield


def _serve(settings: Settings, config: Path | None, host: str, port: int) -> None:
    from sloguard.bootstrap import child_environ, open_store
    from sloguard.web.access.starting import told
    from sloguard.web.companion import Dispatching
    from sloguard.web.opening import open_web
    from sloguard.web.server import WAITING_SHARE, Server

    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    threads = settings.serve.threads
    command = (sys.executable, "-m", "sloguard", "worker", "serve", "--until-eof")
    environ = child_environ(settings, config)
    environ.pop("PROMETHEUS_MULTIPROC_DIR", None)

    def make(stopping: Callable[[], bool]) -> Flask:
        return open_web(settings, stopping=stopping, most_waiting=int(threads * WAITING_SHARE))

    store = open_store(settings)
    warnings = tuple(told(settings.serve, store))
    store.dispose()

    def ready() -> None:
        for warning in warnings:
            logging.getLogger("sloguard").warning("%s", warning)
        logging.getLogger("sloguard").info("listening on http://%s", address)

    Server(
        make,
        Dispatching(command, environ, drain=settings.serve.drain),
        bind=address,
        workers=settings.serve.workers,
        threads=threads,
        ready=ready,
    ).run()
