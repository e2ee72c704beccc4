"""Functions that experiments of the tests call."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import os
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

running = threading.Event()
cleaned = threading.Event()
went_on = threading.Event()
resumed = threading.Event()


def echo(**given: Any) -> dict[str, Any]:
    return given


def add(a: int, b: int = 1) -> int:
    return a + b


def asks(configuration: Any = None, secrets: Any = None) -> dict[str, Any]:
    return {"configuration": configuration, "secrets": secrets}


def changes(items: list[int], configuration: dict[str, Any]) -> int:
    items.append(1)
    configuration["nested"].append(1)
    return len(items)


def fails() -> None:
    raise ValueError("two\nlines of sorrow")


def leaves(code: int = 0) -> None:
    sys.exit(code)


def interrupts() -> None:
    raise KeyboardInterrupt


def refused() -> None:
    raise ConnectionRefusedError(111, "Connection refused")


def wrapped_timeout() -> None:
    try:
        raise TimeoutError("timed out")
    except TimeoutError as error:
        raise RuntimeError("the shop did not answer") from error


def spins() -> None:
    running.set()
    try:
        while True:
            time.sleep(0.001)
    finally:
        cleaned.set()


def stubborn() -> None:
    running.set()
    while not cleaned.is_set():
        try:
            while True:
                time.sleep(0.001)
        except BaseException:  # noqa: BLE001 - that is the point
            went_on.set()


def blocks(pipe: int) -> None:
    running.set()
    try:
        os.read(pipe, 1)
        went_on.set()
    finally:
        resumed.set()


async def asynchronous() -> int:
    return 1


def generator() -> Iterator[int]:
    yield 1


@dataclasses.dataclass
class Point:
    x: float
    y: Any


def odd() -> dict[Any, Any]:
    return {
        "nan": float("nan"),
        "inf": [float("inf"), float("-inf")],
        "bytes": b"caf\xc3\xa9 \xff",
        "set": {3, 1, 2},
        "when": datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC),
        "span": datetime.timedelta(minutes=1),
        "point": Point(1.5, (1, 2)),
        "decimal": [decimal.Decimal("1.50"), decimal.Decimal("2")],
        "uuid": uuid.UUID(int=1),
        7: None,
        "error": ValueError("no"),
        "surrogate": "\ud800\0",
    }


def above(value: Any, limit: float = 0) -> bool:
    return bool(value > limit)


def told(value: Any, secrets: Any = None, configuration: Any = None) -> bool:
    return bool(value == (configuration or {}).get("expected"))


not_a_function = 3
