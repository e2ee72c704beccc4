"""How long tests wait: for conditions, never for time, and longer than any slow or busy machine needs.

Only a failure waits so long. A test that something is stopped, given up or not waited for lets the other
way take far longer than ``SOON``, so that a machine five times slower cannot look like that other way.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

#: Seconds within which whatever is to come has come, on any machine.
PATIENCE = 60.0
#: Seconds within which ends what ends at once, or after a deadline of a second or two.
SOON = 20.0


def eventually(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What ``condition`` gives once it is true; fails after ``seconds``."""
    deadline, pause = time.monotonic() + seconds, 0.005
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(pause)
        # What takes long is not to be held up by the looking.
        pause = min(pause * 1.2, 0.1)
    raise AssertionError(f"not within {seconds:g}s: {condition}")


def all_at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each of these gave, or the exception that it raised; they wait side by side."""
    found: list[Any] = [AssertionError(f"not within {PATIENCE:g}s")] * len(calls)

    def make(number: int) -> None:
        try:
            found[number] = calls[number]()
        except Exception as error:  # noqa: BLE001 - told to the test, which says what it expects
            found[number] = error

    threads = [
        threading.Thread(target=make, args=(number,), daemon=True) for number in range(len(calls))
    ]
    for thread in threads:
        thread.start()
    ends = time.monotonic() + PATIENCE
    for thread in threads:
        thread.join(max(ends - time.monotonic(), 0.0))
    return found
