"""One run at a time on a target: a run that finds another one on its target waits for it in the queue.

What an experiment will hit is known once it has been planned, so it is the worker that finds out: it
plans, and tries the locks that keep all runs apart, those of ``sloguard run`` too. Until it has them
nothing is told of the run, and where another run holds one of them there was none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sloguard.core.events import Event, FaultPlanned, Note, Preflight, RunStarted
from sloguard.ports import Held, Locks

#: A waiting job looks again after a quarter of the time that it has waited, within these bounds, seconds.
SOONEST, LATEST = 5.0, 60.0
#: What a run tells before it holds its locks.
_AT_THE_DOOR = (RunStarted, Preflight, FaultPlanned, Note)


def look_again(waited: float) -> float:
    """Seconds until a job that has waited so long looks again."""
    return min(LATEST, max(SOONEST, waited / 4))


class Noticing:
    """ports.Locks that remember who held what was wanted, until it was free."""

    def __init__(self, locks: Locks) -> None:
        self._locks = locks
        self.held: Held | None = None

    def acquire(self, keys: Iterable[str], holder: str) -> None:
        """As the locks do."""
        self.held = None
        try:
            self._locks.acquire(keys, holder)
        except Held as error:
            self.held = error
            raise

    def release(self) -> None:
        """As the locks do."""
        self._locks.release()


class Door:
    """Keeps what is told of a run to itself until the run has its target, and then tells it all."""

    def __init__(self, consumer: Callable[[Event], object], locks: Noticing) -> None:
        self._consumer, self._locks = consumer, locks
        self._waiting: list[Event] = []
        self.passed = False

    def record(self, event: Event) -> None:
        """One event, as it happens; raises what the consumer raises."""
        if self.passed:
            self._consumer(event)
            return
        self._waiting.append(event)
        if not isinstance(event, _AT_THE_DOOR) and self._locks.held is None:
            self.let_in()

    def let_in(self) -> None:
        """Tell what has waited, and everything from now on."""
        self.passed = True
        while self._waiting:
            self._consumer(self._waiting.pop(0))
