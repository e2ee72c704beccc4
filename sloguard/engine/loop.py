"""One thread, many waits: work written as generators, blocking calls beside it.

A piece of ``Work`` yields events as they happen, and None whenever it has to wait. Whoever drives it
rests on None until something is due, and calls again. So a run is one plain sequence that can be
stopped at every wait, and tests drive it with a clock of their own.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Generator
from typing import TypeAlias, TypeVar

from sloguard.core.events import Event
from sloguard.engine.ports_bundle import Executor, Task
from sloguard.ports import Clock

T = TypeVar("T")
Work: TypeAlias = Generator[Event | None, None, T]

#: The longest rest: how late an abort is noticed.
LONGEST_REST = 0.25


class Loop:
    """Where work rests, and what wakes it."""

    def __init__(self, clock: Clock, executor: Executor) -> None:
        self._clock, self._executor = clock, executor
        self._wake = threading.Event()
        self._due = math.inf
        # Later times follow the monotonic clock, so that a step of the wall clock moves no mark.
        self._anchor = clock.now() - clock.monotonic()
        #: Prometheus's clock less the local one.
        self.offset = 0.0

    def now(self) -> float:
        """Seconds since the epoch, UTC, on Prometheus's clock."""
        return self._anchor + self._clock.monotonic() + self.offset

    def submit(self, work: Callable[[], T], name: str) -> Task[T]:
        """Do blocking work elsewhere; the loop wakes when it has ended."""
        return self._executor.submit(work, name=name, then=self._wake.set)

    def wake_by(self, at: float) -> None:
        """Do not rest beyond this time."""
        self._due = min(self._due, at)

    def rest(self) -> None:
        """Wait until something has ended, something is due, or it is time to look around."""
        seconds = min(LONGEST_REST, self._due - self.now())
        self._due = math.inf
        # A floor, so that rounding cannot turn the last microsecond of a wait into a spin.
        self._clock.wait(self._wake, max(seconds, 0.001))
        self._wake.clear()

    def until(self, ready: Callable[[], bool], timeout: float = math.inf) -> Work[bool]:
        """Wait until ``ready``; False if ``timeout`` seconds passed first."""
        deadline = self.now() + timeout
        while not ready():
            if self.now() >= deadline:
                return False
            self.wake_by(deadline)
            yield None
        return True

    def attempt(self, work: Callable[[], T], name: str) -> Work[T]:
        """Do blocking work elsewhere and wait for what it gives or raises."""
        task = self.submit(work, name)
        yield from self.until(task.done)
        return task.result()

    def complete(self, work: Work[T]) -> T:
        """Drive work to its end; its events are nobody's."""
        try:
            while True:
                if next(work) is None:
                    self.rest()
        except StopIteration as end:
            value: T = end.value
            return value
        finally:
            work.close()


class Background:
    """Work that goes on beside other work."""

    def __init__(self) -> None:
        self._works: list[Work[object]] = []

    @property
    def busy(self) -> bool:
        """Whether any of it has not ended."""
        return bool(self._works)

    def start(self, work: Work[object]) -> None:
        """Take it on; it moves with the next ``pump``."""
        self._works.append(work)

    def pump(self, *ending: type[Exception]) -> Generator[Event, None, None]:
        """Move each piece on until it waits. An exception of ``ending`` ends its piece quietly."""
        for work in list(self._works):
            yield from self._move(work, ending)

    def _move(
        self, work: Work[object], ending: tuple[type[Exception], ...]
    ) -> Generator[Event, None, None]:
        endings: tuple[type[Exception], ...] = (StopIteration, *ending)
        while True:
            try:
                item = next(work)
            except endings:
                self._works.remove(work)
                return
            if item is None:
                return
            yield item

    def alongside(self, work: Work[T], *ending: type[Exception]) -> Work[T]:
        """Drive ``work``; whenever it waits, everything here moves on too."""
        try:
            while True:
                try:
                    item = next(work)
                except StopIteration as end:
                    value: T = end.value
                    return value
                if item is None:
                    yield from self.pump(*ending)
                yield item
        finally:
            work.close()

    def close(self) -> None:
        """Give up whatever has not ended."""
        for work in self._works:
            work.close()
        self._works.clear()
