"""Processes for tests to break, known by a word of their command line."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sloguard.host.identity import Identity, identify
from sloguard.host.marks import RUN, marked
from sloguard.host.signals import end
from tests.support.calling import eventually

_SLEEP = "import time\nprint('up', flush=True)\nwhile True: time.sleep(0.05)\n"


@dataclass
class Victims:
    """Started processes; ``word`` is in the command line of each, and of nothing else."""

    directory: Path
    word: str = field(default_factory=lambda: f"victim-{uuid.uuid4().hex[:10]}")
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def script(self) -> Path:
        return self.directory / f"{self.word}.py"

    def start(self, count: int = 1, code: str = _SLEEP, *words: str) -> list[Identity]:
        """Start some, and wait until each is up. One after the other, so the order of age is known."""
        self.script.write_text(code)
        started = []
        for _ in range(count):
            process = subprocess.Popen(
                [sys.executable, str(self.script), *words], stdout=subprocess.PIPE
            )
            assert process.stdout
            assert process.stdout.readline() == b"up\n"
            self.processes.append(process)
            found = identify(process.pid)
            assert found
            started.append(found)
        return started

    def stop(self) -> None:
        """End all, and whatever was started again in their place."""
        for process in self.processes:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
        end(marked(**{RUN: self.word}), grace=0)


@contextlib.contextmanager
def victims_in(directory: Path) -> Iterator[Victims]:
    """Processes that are gone when the block ends."""
    made = Victims(directory)
    try:
        yield made
    finally:
        made.stop()


def state(identity: Identity) -> str:
    return identity.state()


def is_stopped(identity: Identity) -> bool:
    return identity.state() in ("T", "t")


def until_stopped(*identities: Identity) -> None:
    eventually(lambda: all(is_stopped(i) for i in identities))


def until_running(*identities: Identity) -> None:
    eventually(lambda: all(i.state() in ("R", "S") for i in identities))
