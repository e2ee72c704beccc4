"""Events on their way into a store that may be away for a while: kept in order, and tried again."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable

from sloguard.core.events import Event, Observed, RunEnded
from sloguard.ports import OutsideError

log = logging.getLogger(__name__)

#: After a failure the store is left alone for so long, in seconds: a run has better things to do.
PAUSE_SECONDS = 1.0


class Patient:
    """A consumer of a run's events that never fails and loses none but the live picture.

    ``write`` keeps one event and raises OutsideError. Once the run is over ``flush`` waits for the store.
    """

    def __init__(
        self,
        write: Callable[[Event], object],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._write, self._monotonic, self._sleep = write, monotonic, sleep
        self._waiting: deque[Event] = deque()
        self._not_before = float("-inf")

    @property
    def waiting(self) -> int:
        """How many events are not kept yet."""
        return len(self._waiting)

    def record(self, event: Event) -> None:
        """Keep an event, now or later."""
        if self._waiting and isinstance(event, Observed):
            return
        self._waiting.append(event)
        # The end may be the last chance: whoever waits for the run is waiting for it.
        if isinstance(event, RunEnded) or self._monotonic() >= self._not_before:
            self._drain()

    def flush(self, patience: float) -> bool:
        """Write what is left, for at most ``patience`` seconds; whether all of it is kept."""
        deadline = self._monotonic() + patience
        while not self._drain():
            if self._monotonic() >= deadline:
                return False
            self._sleep(PAUSE_SECONDS)
        return True

    def _drain(self) -> bool:
        while self._waiting:
            try:
                self._write(self._waiting[0])
            except OutsideError as error:
                log.warning("an event is not kept yet, and will be tried again: %s", error)
                self._not_before = self._monotonic() + PAUSE_SECONDS
                return False
            self._waiting.popleft()
        return True
