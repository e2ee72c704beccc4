"""Calling providers in tests: one line a call, and a way to stop one under way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from sloguard.providers.calls import call
from sloguard.providers.result import Result
from tests.support.patience import SOON, eventually

__all__ = ["carry_out", "eventually", "stopped_when"]


def carry_out(provider: Mapping[str, Any], **more: Any) -> Result:
    """Call a provider with nothing around it."""
    given: dict[str, Any] = {"configuration": {}, "secrets": {}, "stop": threading.Event()}
    return call(provider, **{**given, **more})


def stopped_when(provider: Mapping[str, Any], condition: Callable[[], Any], **more: Any) -> Result:
    """Call a provider, stop it once ``condition`` holds; fails if it does not end soon then."""
    stop = threading.Event()
    results: list[Result] = []
    thread = threading.Thread(target=lambda: results.append(carry_out(provider, stop=stop, **more)))
    thread.start()
    try:
        eventually(condition)
    finally:
        stop.set()
        thread.join(SOON)
    assert results, "the call did not end"
    return results[0]
