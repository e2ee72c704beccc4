"""How many requests are under way at once: as many as are allowed, fewer while the server has too much.

A server that answers "too many" is asked half as much at once, and one more again for every round that goes
well; nothing is sent before the time that it asked for, a minute at most: whoever is told of a day (by a proxy,
by a clock that is wrong) would be blind for a day.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

#: However long the server asks to wait, it is asked again after so long, seconds.
LONGEST_WAIT = 60.0


class Fanout:
    """Places for ``most`` requests. Any thread may call it."""

    def __init__(self, most: int, now: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self._now = now
        self._allowed = float(most)
        self._under_way = 0
        self._not_before = 0.0
        self._shrunk_at = float("-inf")
        self._changed = threading.Condition()

    @property
    def allowed(self) -> int:
        """How many may be under way now."""
        return int(self._allowed)

    def enter(self, patience: float) -> float | None:
        """Wait for a place; when it was taken, or None where there was none in ``patience`` seconds."""
        deadline = self._now() + patience
        with self._changed:
            while True:
                now = self._now()
                pause = max(self._not_before - now, 0.0)
                if not pause and self._under_way < self.allowed:
                    self._under_way += 1
                    return now
                left = deadline - now
                if left <= 0 or pause > left:
                    return None
                self._changed.wait(min(left, pause) if pause else left)

    def leave(self, entered: float, *, busy: bool = False, wait: float = 0.0) -> None:
        """Give the place back. ``busy``: the server said that it is asked too much, and to wait so long."""
        with self._changed:
            self._under_way -= 1
            if not busy:
                self._allowed = min(self._allowed + 1.0 / self._allowed, float(self.most))
            else:
                self._not_before = max(self._not_before, self._now() + min(wait, LONGEST_WAIT))
                # Those that were under way together are one sign, not many.
                if entered > self._shrunk_at:
                    self._allowed = float(max(self.allowed // 2, 1))
                    self._shrunk_at = self._now()
            self._changed.notify_all()
