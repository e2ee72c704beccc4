"""A command at a terminal of its own, with somebody who reads it and types."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Mapping
from fcntl import ioctl
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.command import environment

PATIENCE = 60.0
_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|[78=>])")


class AtTerminal:
    """``sloguard ARGUMENTS`` with stdin, stdout and stderr on one pseudo-terminal, which is its controlling one."""

    def __init__(
        self, *arguments: str, home: Path, env: Mapping[str, str] | None = None, columns: int = 100
    ) -> None:
        self.raw = b""
        self._at = 0
        made = {**environment(home), "TERM": "xterm", **(env or {})}
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(home)
                os.execve(sys.executable, [sys.executable, "-m", "sloguard", *arguments], made)
            finally:
                os._exit(127)
        ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self._code: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _at: TracebackType | None,
    ) -> None:
        if self._code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        with contextlib.suppress(OSError):
            os.close(self._fd)

    @property
    def screen(self) -> str:
        """All that was shown, without control sequences."""
        return _ESCAPES.sub("", self.raw.decode("utf-8", "replace")).replace("\r\n", "\n")

    def expect(self, text: str, seconds: float = PATIENCE) -> str:
        """Wait until this is shown, after what was expected before; all up to it."""
        deadline = time.monotonic() + seconds
        while (found := self.screen.find(text, self._at)) < 0:
            left = deadline - time.monotonic()
            if left <= 0 or not self._read(left):
                raise AssertionError(f"no '{text}' in:\n{self.screen[self._at :]}")
        before, self._at = self.screen[self._at : found], found + len(text)
        return before

    def type(self, text: str) -> None:
        """A line."""
        os.write(self._fd, text.encode() + b"\n")

    def press(self, keys: bytes) -> None:
        """Keys as they are: b"\\x03" is Ctrl-C, b"\\x04" Ctrl-D."""
        os.write(self._fd, keys)

    def hang_up(self) -> None:
        """Close the terminal."""
        os.close(self._fd)

    def ended(self, seconds: float = PATIENCE) -> int:
        """Wait for its end; its exit code."""
        deadline = time.monotonic() + seconds
        while self._code is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"it does not end:\n{self.screen[self._at :]}")
            self._read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        while self._read(0.05):
            pass
        return self._code

    def _read(self, seconds: float) -> bool:
        """Whether there was something."""
        try:
            if not select.select([self._fd], [], [], seconds)[0]:
                return False
            read = os.read(self._fd, 65536)
        except OSError:  # the other end is closed
            return False
        self.raw += read
        return bool(read)
