"""The system's clock."""

from __future__ import annotations

import threading
import time

from sloguard.adapters.clock import SystemClock


def test_now_and_monotonic_are_the_systems() -> None:
    clock = SystemClock()
    assert abs(clock.now() - time.time()) < 1
    first = clock.monotonic()
    assert clock.monotonic() >= first


def test_waiting_ends_with_the_flag_or_the_time() -> None:
    clock, flag = SystemClock(), threading.Event()
    assert not clock.wait(flag, 0.001)
    assert not clock.wait(flag, -5)
    flag.set()
    assert clock.wait(flag, 3600)
