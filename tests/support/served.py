"""``sloguard serve`` as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from tests.support.servers import free_port
from tests.support.service import EXPERIMENT, SLOS

PATIENCE = 60.0


class Served:
    """A running service."""

    def __init__(
        self,
        directory: Path,
        *flags: str,
        environ: Mapping[str, str] | None = None,
        within: Sequence[str] = (),
    ) -> None:
        """``environ``: what it gets beside a clean environment; ``within``: the command that becomes it."""
        self.directory, self.port = directory, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "sloguard", "serve", "--bind", f"127.0.0.1:{self.port}"]
        self.log = (directory / "log").open("wb")
        self.process = subprocess.Popen(
            [*within, *command, *flags],
            cwd=directory,
            env={**environment(directory), **(environ or {})},
            stderr=self.log,
        )

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.get("/healthz")
                return
            except (urllib.error.URLError, ConnectionError):
                assert self.process.poll() is None, self.said()
                assert time.monotonic() < deadline, self.said()
                time.sleep(0.02)

    def get(self, path: str) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(self.url + path, timeout=PATIENCE) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def dispatcher(self) -> int:
        """The process id of the dispatcher of jobs."""
        deadline = time.monotonic() + PATIENCE
        while not (found := [p.pid for p, words in self._children() if "worker" in words]):
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.02)
        return found[0]

    def web_processes(self) -> list[psutil.Process]:
        """Those that answer requests."""
        return [p for p, words in self._children() if "worker" not in words]

    def _children(self) -> Iterator[tuple[psutil.Process, list[str]]]:
        for child in psutil.Process(self.process.pid).children():
            # One that has just ended is none.
            with suppress(psutil.Error):
                yield child, child.cmdline()

    def said(self) -> str:
        return (self.directory / "log").read_text()

    def end(self, number: int) -> tuple[int, list[psutil.Process]]:
        """Its exit code, and which of its processes still live."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        _, alive = psutil.wait_procs(family, timeout=PATIENCE)
        return code, alive


def environment(directory: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SLOGUARD_")}
    return {**kept, "XDG_DATA_HOME": str(directory / "data"), "XDG_CONFIG_HOME": str(directory)}


@contextmanager
def serving(
    directory: Path, *flags: str, environ: Mapping[str, str] | None = None
) -> Iterator[Served]:
    """A service with one experiment and one set of SLOs, and no Prometheus."""
    for name, text in (("experiments", EXPERIMENT), ("slos", SLOS)):
        (directory / name).mkdir(exist_ok=True)
        (directory / name / "checkout.yaml").write_text(text)
    usual = ("--experiments", "experiments", "--slos", "slos")
    prometheus = ("--prometheus", f"http://127.0.0.1:{free_port()}")
    running = Served(directory, *usual, *prometheus, *flags, environ=environ)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.end(signal.SIGKILL)
        running.log.close()
