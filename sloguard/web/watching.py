"""Waiting for what other processes write: one thread asks the store for all who wait in this process.

Workers are processes of their own, perhaps on other machines, so nothing here is told of an event. One
cheap question a tick (the number of the newest event) stands for every waiting request; these read the
store themselves only when it has changed. Nobody asks while nobody waits.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from sloguard.ports import OutsideError
from sloguard.web.problems import Problem

#: How often the store is asked, seconds.
TICK = 0.25
#: Some changes make no event (a queued job is cancelled, recovery closes a run): look at least so often.
AT_LEAST = 2.0
log = logging.getLogger("sloguard.web")


class Watcher:
    """Tells waiting requests that something may have changed.

    ``most``: so many may wait at once; ``counted``: entered for as long as each of them waits.
    """

    def __init__(
        self,
        newest: Callable[[], int],
        *,
        most: int,
        stopping: Callable[[], bool] = lambda: False,
        tick: float = TICK,
        counted: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._newest = newest
        self._most = most
        self._stopping = stopping
        self._tick = tick
        self._counted = counted
        self._changed = threading.Condition()
        self._places = 0
        self._turn = 0
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return self._places

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place among those who may wait; raises a Problem (503) where all are taken."""
        with self._changed:
            if self._places >= self._most:
                detail = f"{self._most} clients are waiting here already: ask again in a moment"
                raise Problem("too-many-waiting", detail, headers={"Retry-After": "5"})
            self._places += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)
                self._thread.start()
        try:
            with self._counted():
                yield
        finally:
            with self._changed:
                self._places -= 1

    @property
    def turn(self) -> int:
        """Grows with every change. Take it before looking, and give it to ``wait``."""
        return self._turn

    def wait(self, turn: int, seconds: float) -> bool:
        """Until there may be something new since ``turn``, at most so long; False: there is not."""
        with self._changed:
            return self._changed.wait_for(lambda: self._turn != turn, seconds)

    @property
    def stopping(self) -> bool:
        """The server is about to end: whoever waits should answer now."""
        return self._stopping()

    def _watch(self) -> None:
        """Until nobody waits any more."""
        last, quiet = -1, 0.0
        pause = threading.Event()
        while True:
            found = self._look(last)
            quiet += self._tick
            with self._changed:
                if not self._places:
                    self._thread = None
                    return
                if found != last or quiet >= AT_LEAST or self._stopping():
                    last, quiet = found, 0.0
                    self._turn += 1
                    self._changed.notify_all()
            pause.wait(self._tick)

    def _look(self, last: int) -> int:
        try:
            return self._newest()
        except OutsideError as error:
            log.warning("the store could not be asked for news: %s", error)
        except Exception:  # whatever it was, those who wait go on being served
            log.exception("looking for news failed")
        return last
