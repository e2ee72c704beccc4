"""Threads in simulated time: the clock moves only while every one of them waits for it.

So a run of minutes takes milliseconds, in the same order every time, and nothing races the clock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

START = 1_767_268_800.0  # 2026-01-01T12:00:00Z


class SimulatedClock:
    """ports.Clock. The thread that makes it takes part; others join through SimulatedThreads."""

    def __init__(self, start: float = START) -> None:
        self._start, self._elapsed = start, 0.0
        self._changed = threading.Condition()
        self._busy = 1
        self._sleepers: list[tuple[float, threading.Event]] = []
        self._planned: list[tuple[float, Callable[[], None]]] = []

    def now(self) -> float:
        return self._start + self._elapsed

    def monotonic(self) -> float:
        return self._elapsed

    def at(self, seconds: float, do: Callable[[], None]) -> None:
        """Have something happen, ``seconds`` after the start. It must not wait."""
        with self._changed:
            self._planned.append((seconds, do))
            self._planned.sort(key=lambda p: p[0])

    def wait(self, flag: threading.Event, seconds: float) -> bool:
        with self._changed:
            sleeper = (self._elapsed + max(seconds, 0.0), flag)
            if flag.is_set() or seconds <= 0:
                return flag.is_set()
            self._sleepers.append(sleeper)
            self._leave()
            while not (flag.is_set() or self._elapsed >= sleeper[0]):
                if self._busy == 0 and not any(self._due(s) for s in self._sleepers):
                    self._move()
                else:
                    # Flags are set without a word to the condition, by those who are not asleep.
                    self._changed.wait(0.02)
            self._sleepers.remove(sleeper)
            self._busy += 1
        return flag.is_set()

    def join(self) -> None:
        with self._changed:
            self._busy += 1

    def leave(self) -> None:
        with self._changed:
            self._leave()

    def _leave(self) -> None:
        self._busy -= 1
        self._changed.notify_all()

    def _due(self, sleeper: tuple[float, threading.Event]) -> bool:
        return self._elapsed >= sleeper[0] or sleeper[1].is_set()

    def _move(self) -> None:
        wake = min(at for at, _ in self._sleepers)
        if self._planned and self._planned[0][0] <= wake:
            at, do = self._planned.pop(0)
            self._elapsed = max(self._elapsed, at)
            do()
        else:
            self._elapsed = wake
        self._changed.notify_all()


class _Task:
    def __init__(self) -> None:
        self.ended = False
        self.value: Any = None
        self.error: BaseException | None = None

    def done(self) -> bool:
        return self.ended

    def result(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.value


class SimulatedThreads:
    """engine.Executor: real threads that take part in the simulated time."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self.under_way = 0

    def submit(self, work: Callable[[], Any], *, name: str, then: Callable[[], None]) -> Any:
        task = _Task()

        def body() -> None:
            try:
                task.value = work()
            except BaseException as error:  # noqa: BLE001 - handed to whoever asks for the result
                task.error = error
            finally:
                task.ended = True
                then()
                self._clock.leave()

        self._clock.join()
        threading.Thread(target=body, name=name, daemon=True).start()
        return task
