"""Questions on a terminal, while a run goes on behind them.

What is typed is read a line at a time beside the run; what the run says meanwhile waits until the question is
answered, except the values of the SLOs, which are kept up to date above the line that is typed on.
"""

from __future__ import annotations

import os
import select
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from sloguard.cli.streams import tell

if TYPE_CHECKING:
    from sloguard.core.events import Event, SloReading

#: How soon a question notices that nobody waits for its answer any more, seconds.
_LOOK = 0.1
_LONGEST_LINE = 8192
_SIGNS = {"met": "✓", "deviated": "✗", "inconclusive": "?", "not-judged": "·"}


def is_a_terminal() -> bool:
    """Whether there is somebody to ask: what is typed and what is shown are both a terminal."""
    try:
        return sys.stdin.isatty() and sys.stderr.isatty()
    except ValueError:  # closed
        return False


def person() -> str:
    """Who sits here, as the audit log names them."""
    import getpass

    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return f"cli:uid-{os.getuid()}"


def here() -> str:
    """The machine that they sit at."""
    import socket

    return socket.gethostname()


class Terminal:
    """One terminal: what is said on it, and the one question that can be open. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._open = False
        self._shown = 0
        self._waiting: list[str] = []
        self._readings: Sequence[SloReading] = ()
        self._rest = b""
        self._redraws = os.environ.get("TERM", "dumb") != "dumb"

    def say(self, text: str) -> None:
        """A line, now or once the question is answered."""
        with self._lock:
            if self._open:
                self._waiting.append(text)
                return
        tell(text)

    def progress(self, event: Event) -> None:
        """A consumer of events: one line each, the live picture only where it is asked for."""
        from sloguard.core.events import Observed
        from sloguard.render.lines import line

        if isinstance(event, Observed):
            with self._lock:
                self._readings = event.readings
                self._refresh()
            return
        text = line(event)
        if text:
            self.say(text)

    def ask(
        self,
        head: Sequence[str],
        prompt: str,
        stop: threading.Event,
        *,
        values: bool = False,
        until: float | None = None,
    ) -> str | None:
        """What was typed, stripped; None where the input is over, ``stop`` was set or ``until`` has passed.

        ``head``: lines above; ``values``: the SLOs right now between these and the prompt.
        """
        self._forget_what_was_typed()
        with self._lock:
            for line in head:
                tell(line)
            self._open = True
            shown = self._value_lines() if values else []
            self._shown = len(shown)
            for line in shown:
                tell(line)
            self._write(prompt)
        try:
            return self._line(stop, until)
        finally:
            with self._lock:
                self._open, waiting, self._waiting = False, self._waiting, []
                self._shown = 0
            for text in waiting:
                tell(text)

    def _line(self, stop: threading.Event, until: float | None) -> str | None:
        while not stop.is_set():
            if b"\n" in self._rest:
                line, _, self._rest = self._rest.partition(b"\n")
                return line.decode("utf-8", "replace").strip()
            if until is not None and time.time() >= until:
                break
            if not select.select([0], [], [], _LOOK)[0]:
                continue
            try:
                read = os.read(0, _LONGEST_LINE)
            except OSError:  # the terminal is gone
                read = b""
            if not read:
                break
            self._rest = (self._rest + read)[-_LONGEST_LINE:]
        self._write("\n")
        return None

    def _forget_what_was_typed(self) -> None:
        """What was typed before the question stood there is no answer to it."""
        self._rest = b""
        import termios

        with suppress(termios.error, OSError):
            termios.tcflush(0, termios.TCIFLUSH)

    def _value_lines(self) -> list[str]:
        from sloguard.core.visible import visible
        from sloguard.render.lines import reading

        width = max(shutil.get_terminal_size().columns - 1, 20)
        return [
            visible(f"  {_SIGNS.get(str(one.verdict), '·')} {reading(one)}")[:width]
            for one in self._readings
        ]

    def _refresh(self) -> None:
        """Rewrite the values where they stand. What is being typed below stays as it is."""
        rows = shutil.get_terminal_size().lines
        if not (self._open and self._shown and self._redraws) or self._shown > rows - 3:
            return
        lines = self._value_lines()[: self._shown]
        if len(lines) < self._shown:
            return
        drawn = "".join(f"\x1b[2K{line}\r\n" for line in lines)
        self._write(f"\x1b7\x1b[{self._shown}A\r{drawn}\x1b8")

    def _write(self, text: str) -> None:
        from sloguard.cli.streams import deliver

        deliver(text, err=True)
        with suppress(OSError, ValueError):
            sys.stderr.flush()
