"""Parent of all the demo's processes: ``python -m sloguard.demo.supervisor DIRECTORY``.

It starts what the directory's manifest names, starts a dead service again after a while, as a Deployment
does, and keeps the manifest current. It lives as long as its standard input is open: when the one who holds
the other end closes it or dies, in whatever way, it kills everything, removes the directory and ends. Should
it be killed itself, the kernel kills its children.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sloguard.host.identity import identify

#: How often children are looked at, in seconds.
TICK = 0.1

_PR_SET_PDEATHSIG = 1


class Supervisor:
    """Runs the programs of one manifest."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._manifest: dict[str, Any] = json.loads((directory / "manifest.json").read_text())
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._due: dict[str, float] = {}
        self._stopping = False

    def run(self) -> None:
        """Until standard input ends or SIGTERM comes; then nothing is left, not even the directory."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the holder decides what Ctrl-C means
        try:
            for name in self._manifest["programs"]:
                self._start(name)
            self._write()
            while not self._stopping and not _ended(TICK):
                self._look()
        finally:
            self._kill_all()
            shutil.rmtree(self._directory, ignore_errors=True)

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _start(self, name: str) -> None:
        entry = self._manifest["programs"][name]
        with (self._directory / "logs" / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                entry["command"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._directory,
                preexec_fn=_die_with(os.getpid()),  # safe: this process has one thread
            )
        self._running[name] = child
        identity = identify(child.pid)
        entry["process"] = identity.record() if identity else None
        entry["starts"] = entry.get("starts", 0) + 1

    def _look(self) -> None:
        now = time.monotonic()
        changed = False
        for name, child in list(self._running.items()):
            if child.poll() is None:
                continue
            del self._running[name]
            changed = True
            entry = self._manifest["programs"][name]
            entry.update(process=None, exit=child.returncode)
            if entry["restart"]:
                self._due[name] = now + self._manifest["restart_after"]
        for name, due in list(self._due.items()):
            if due <= now:
                del self._due[name]
                self._start(name)
                changed = True
        if changed:
            self._write()

    def _write(self) -> None:
        _replace(self._directory / "manifest.json", json.dumps(self._manifest, indent=2))
        for group, members in self._manifest["pidfiles"].items():
            pids = [self._running[name].pid for name in members if name in self._running]
            _replace(self._directory / group, "".join(f"{pid}\n" for pid in pids))

    def _kill_all(self) -> None:
        for child in self._running.values():
            child.kill()  # nothing here has to be kept, so nobody is asked to end nicely
        for child in self._running.values():
            child.wait()


def _replace(path: Path, text: str) -> None:
    """Readers see the old file or the new one, never half of one."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text)
    fresh.replace(path)


def _ended(timeout: float) -> bool:
    """Whether the holder of standard input has let go."""
    readable, _, _ = select.select([0], [], [], timeout)
    return bool(readable) and not os.read(0, 4096)


def _die_with(parent: int) -> Callable[[], None]:
    """For a child, before it becomes its program: be killed when ``parent`` dies."""
    prctl = ctypes.CDLL(None).prctl

    def arrange() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died in between
            os._exit(1)

    return arrange


if __name__ == "__main__":
    Supervisor(Path(sys.argv[1])).run()
