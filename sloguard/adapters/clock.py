"""The system's clock."""

from __future__ import annotations

import time
from threading import Event


class SystemClock:
    """Implements ``ports.Clock``: local UTC time as the kernel tells it, not corrected."""

    def now(self) -> float:
        """Seconds since the epoch, UTC, local clock."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def wait(self, flag: Event, seconds: float) -> bool:
        """Wait until ``flag`` is set or ``seconds`` have passed; True if it is set."""
        return flag.wait(max(seconds, 0.0))
