"""Calling providers in tests: one line a call, and a way to stop one under way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from sloguard.providers.calls import call
from sloguard.providers.result import Result


def carry_out(provider: Mapping[str, Any], **more: Any) -> Result:
    """Call a provider with nothing around it."""
    given: dict[str, Any] = {"configuration": {}, "secrets": {}, "stop": threading.Event()}
    return call(provider, **{**given, **more})


def eventually(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """What ``condition`` gives once it is true; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds:g}s: {condition}")


def stopped_when(
    provider: Mapping[str, Any], condition: Callable[[], Any], **more: Any
) -> tuple[Result, float]:
    """Call a provider, stop it once ``condition`` holds; the result and how long it took from then."""
    stop = threading.Event()
    results: list[Result] = []
    thread = threading.Thread(target=lambda: results.append(carry_out(provider, stop=stop, **more)))
    thread.start()
    try:
        eventually(condition)
    finally:
        at = time.monotonic()
        stop.set()
        thread.join(20)
    assert results, "the call did not end"
    return results[0], time.monotonic() - at
