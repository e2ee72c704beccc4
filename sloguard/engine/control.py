"""The one way in from outside while a run goes on: ask it to stop."""

from __future__ import annotations

from collections import deque


class Control:
    """Asks a run to stop, from a signal handler, another thread or a web request.

    Nothing here takes a lock: a signal handler may interrupt the very thread that would hold it. The
    run looks here several times a second.
    """

    def __init__(self) -> None:
        self._reasons: deque[str] = deque()

    def abort(self, reason: str) -> None:
        """Ask the run to stop and undo. Asking again shortens waits, and never skips the undo."""
        self._reasons.append(reason)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Every reason given so far, the first one first."""
        return tuple(self._reasons)
