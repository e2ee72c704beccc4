"""Time that passes only when it is told to, or when somebody waits."""

from __future__ import annotations

import threading


class FakeClock:
    """ports.Clock. Waiting returns at once, with the time moved on; ``waits`` holds every length asked.

    ``monotonic`` moves with ``now`` but starts at 0, so that a mix-up of the two shows.
    """

    def __init__(self, now: float = 1_767_268_800.0) -> None:
        self.start = now
        self.waits: list[float] = []
        self._elapsed = 0.0
        self._lock = threading.Lock()

    def now(self) -> float:
        return self.start + self._elapsed

    def monotonic(self) -> float:
        return self._elapsed

    def wait(self, flag: threading.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        if not flag.is_set():
            self.advance(max(seconds, 0.0))
        return flag.is_set()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self._elapsed += seconds
