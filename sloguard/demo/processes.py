"""Processes told apart for certain: a pid alone may belong to somebody else by now."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Identity:
    """A process: its pid and when it started, in the kernel's ticks since boot (no clock moves these)."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """The process that has this pid now; None if there is none."""
        started = _started(pid)
        return None if started is None else cls(pid, started)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Identity:
        """The reverse of ``document``."""
        return cls(int(document["pid"]), int(document["started"]))

    def document(self) -> dict[str, int]:
        """For a manifest."""
        return asdict(self)

    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        return _started(self.pid) == self.started

    def kill(self, mention: str) -> None:
        """SIGKILL, if it is still the same process and its command line mentions ``mention``."""
        try:
            handle = os.pidfd_open(self.pid)
        except OSError:
            return
        try:
            # Looked at with the handle open: the pid cannot pass to another process any more.
            if self.alive() and mention in _command_line(self.pid):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        except ProcessLookupError:
            pass
        finally:
            os.close(handle)


def _started(pid: int) -> int | None:
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The name stands in parentheses and may hold anything, so the fields count from its end.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def _command_line(pid: int) -> str:
    try:
        return (
            (_PROC / str(pid) / "cmdline")
            .read_bytes()
            .replace(b"\0", b" ")
            .decode(errors="replace")
        )
    except OSError:
        return ""
