"""Python code that can be stopped from outside: a thread into which an exception is raised."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sloguard.providers.result import LOOK

#: How long a stopped function has for its ``finally`` blocks before it is left behind, seconds.
GRACE = 1.0
#: A function that swallows the exception gets another one this often, seconds.
_AGAIN = 0.5
_CLOSED_FIRST = 0.2


class ActivityStopped(BaseException):
    """Raised inside a running function to end it; not an Exception, so that few can swallow it."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a function ended: with a value, with an exception of its own, or stopped.

    ``why`` is ``stop`` or ``timeout`` where it was ended from outside. ``left_behind``: it was inside
    a call that cannot be interrupted; it goes no further once that call returns.
    """

    value: Any = None
    raised: BaseException | None = None
    why: str = ""
    left_behind: bool = False


class _Worker(threading.Thread):
    def __init__(self, function: Callable[[], Any], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._function = function
        self._guard = threading.Lock()
        self._closed = False
        self.done = threading.Event()
        self.value: Any = None
        self.raised: BaseException | None = None

    def run(self) -> None:
        # An exception sent while the function ends may arrive anywhere below; none is sent once closed.
        try:
            try:
                self.value = self._function()
            except BaseException as error:  # noqa: BLE001 - SystemExit must not end sloguard either
                self.raised = error
        except ActivityStopped as late:
            self.raised = late
        while not self._closed:
            try:
                with self._guard:
                    self._closed = True
                    _raise_in(self.ident, None)
            except ActivityStopped:
                continue
        self.done.set()

    def interrupt(self) -> bool:
        """Raise ActivityStopped at the function's next bytecode; False if it has ended."""
        with self._guard:
            if not self._closed:
                _raise_in(self.ident, ActivityStopped)
            return not self._closed

    def haunt(self) -> None:
        """Keep interrupting until it ends, however often it swallows the exception."""
        while not self.done.wait(_AGAIN):
            self.interrupt()


def _raise_in(thread: int | None, kind: type[BaseException] | None) -> None:
    if thread is not None:
        raised = ctypes.py_object(kind) if kind is not None else None
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), raised)


def run_stoppable(
    function: Callable[[], Any],
    *,
    stop: threading.Event,
    timeout: float | None = None,
    name: str = "activity",
    on_interrupt: Callable[[], None] | None = None,
) -> Ended:
    """Run a function in a thread of its own until it ends, ``stop`` is set or ``timeout`` has passed.

    When ended from outside, ``on_interrupt`` is called (to close what it waits for), ActivityStopped is
    raised inside, and within GRACE the call returns. A value that came all the same is kept.
    """
    worker = _Worker(function, name)
    deadline = None if timeout is None else time.monotonic() + timeout
    worker.start()
    try:
        why = _wait(worker, stop, deadline)
    except BaseException:
        # Ctrl-C in the thread that waits: the function must not go on behind its back.
        if on_interrupt is not None:
            on_interrupt()
        worker.interrupt()
        raise
    if not why:
        return Ended(worker.value, worker.raised)
    if on_interrupt is not None:
        on_interrupt()
    # What waited on a thing that is now closed ends by an error of its own, and tidies up after itself.
    if not worker.done.wait(0 if on_interrupt is None else _CLOSED_FIRST):
        worker.interrupt()
    if not worker.done.wait(_AGAIN):
        worker.interrupt()
    if not worker.done.wait(GRACE - _AGAIN):
        threading.Thread(target=worker.haunt, name=f"{name} (stopping)", daemon=True).start()
        return Ended(why=why, left_behind=True)
    return Ended(worker.value, worker.raised, why)


def _wait(worker: _Worker, stop: threading.Event, deadline: float | None) -> str:
    while True:
        left = LOOK if deadline is None else min(LOOK, deadline - time.monotonic())
        if worker.done.wait(max(left, 0)):
            return ""
        if stop.is_set():
            return "stop"
        if deadline is not None and time.monotonic() >= deadline:
            return "timeout"
