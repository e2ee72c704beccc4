"""The dispatcher of jobs as a process beside the web's: what it does never slows a page, nor the reverse."""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

log = logging.getLogger("sloguard.web")

#: One that dies at once is not started more often than this, seconds.
_BACK_OFF = (0.0, 1.0, 5.0, 15.0, 60.0)
#: One that has lived for so long has earned a fresh start.
_SETTLED = 120.0
#: It finishes what it is writing; its workers go on by themselves, or it waits for them longer.
_PATIENCE = 20.0


class Dispatching:
    """Starts a command, and starts it again when it ends. It reads EOF where this process is gone.

    ``drain`` (s): how much longer it may take to end.
    """

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        *,
        drain: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic, self._patience = monotonic, _PATIENCE + drain
        self._command, self._environ = tuple(command), dict(environ)
        self._process: subprocess.Popen[bytes] | None = None
        self._started = float("-inf")
        self._deaths = 0
        self._ending = False

    def look(self) -> None:
        """Start it where it does not run, unless that was tried a moment ago."""
        if self._ending or (self._process is not None and self._process.poll() is None):
            return
        now = self._monotonic()
        if self._process is not None:
            if now - self._started > _SETTLED:
                self._deaths = 0
            self._deaths += 1
            log.error("the dispatcher of jobs has ended; it is started again")
            self._let_go()
        if now - self._started < _BACK_OFF[min(self._deaths, len(_BACK_OFF) - 1)]:
            return
        self._started = now
        try:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, env=self._environ
            )
        except OSError as error:
            self._deaths += 1
            log.error("the dispatcher of jobs cannot be started: %s", error)

    def ask_to_stop(self) -> None:
        """It takes no more jobs, and ends."""
        self._ending = True
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def stop(self) -> None:
        """Wait for it, and end it where that takes too long."""
        self.ask_to_stop()
        if self._process is None:
            return
        try:
            self._process.wait(self._patience)
        except subprocess.TimeoutExpired:
            log.error("the dispatcher of jobs did not end in time")
            self._process.kill()
            self._process.wait()
        self._let_go()

    def _let_go(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None
