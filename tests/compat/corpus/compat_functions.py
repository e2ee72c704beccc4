"""What the experiments of the corpus call. Every call is noted in ``calls``, in its order."""

from __future__ import annotations

import datetime
import decimal
import os
import time
import uuid
from typing import Any

#: What was called since the last ``reset``, by whatever runs the experiment.
calls: list[Any] = []
_state = {"broken": False, "asked": 0}
#: How often each slow one has begun.
_turns: dict[str, int] = {}


def reset() -> None:
    """As it was before the first experiment."""
    calls.clear()
    _state.update(broken=False, asked=0)
    _turns.clear()


def _wait(for_call: str | None, times: int = 1) -> None:
    """Until something was called this often: an order that does not hang on the machine's speed."""
    ends = time.monotonic() + 30
    while for_call is not None and calls.count(for_call) < times and time.monotonic() < ends:
        time.sleep(0.005)


def note(name: str, after: str | None = None, times: int = 1) -> str:
    _wait(after, times)
    calls.append(name)
    return name


def echo(value: Any = None) -> Any:
    return value


def fail(message: str = "it broke", after: str | None = None) -> None:
    _wait(after)
    calls.append("fail")
    raise ValueError(message)


def refuse() -> None:
    raise ConnectionRefusedError(111, "Connection refused")


def leave() -> None:
    raise SystemExit(3)


def interrupt() -> None:
    from chaoslib.exceptions import InterruptExecution

    raise InterruptExecution("a function may not do this")


def typed(kind: str) -> Any:
    """A value of each kind that a function may return."""
    made = {
        "none": None,
        "true": True,
        "false": False,
        "int": 3,
        "zero": 0,
        "big": 2**62,
        "float": 1.5,
        "nan": float("nan"),
        "inf": float("inf"),
        "text": "all is wéll ☕",
        "empty": "",
        "number": "12.5",
        "json": '{"items": [{"n": 1}, {"n": 2}]}',
        "list": [1, "two", None],
        "tuple": (1, 2),
        "dict": {"items": [{"n": 1}, {"n": 2}], "name": "ünï"},
        "status": {"status": 200, "body": {"ok": True}},
        "time": datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC),
        "date": datetime.date(2026, 1, 1),
        "decimal": decimal.Decimal("1.25"),
        "uuid": uuid.UUID(int=7),
        "bytes": b"bytes",
        "set": {1},
        "object": object(),
        "keys": {1: "one", None: "nothing"},
    }
    return made[kind]


def generated() -> Any:
    yield 1


async def awaited() -> int:
    return 1


def defaults(a: Any, b: Any = 2, *, c: Any = 3) -> list[Any]:
    return [a, b, c]


def anything(**given: Any) -> dict[str, Any]:
    return dict(sorted(given.items()))


def variable(*given: Any, last: Any = "end") -> list[Any]:
    return [*given, last]


def configured(configuration: Any, name: str) -> Any:
    return configuration.get(name, "not there")


def secretive(secrets: Any = None) -> Any:
    """How many secrets there are, their names and lengths: never their values."""
    return None if secrets is None else {k: len(str(v)) for k, v in sorted(secrets.items())}


def shape(value: Any) -> Any:
    """The lengths of texts, in the value's own structure."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return len(str(value))


def both(a: int, configuration: Any = None, secrets: Any = None) -> list[Any]:
    return [a, sorted(configuration), sorted(secrets or {})]


def greedy(secrets: Any = None, configuration: Any = None, **rest: Any) -> list[Any]:
    return [sorted(secrets or {}), sorted(configuration or {}), sorted(rest)]


def change(configuration: Any, values: list[int]) -> int:
    """Changes what it was given: nobody else may see it."""
    configuration["added"] = 1
    values.append(99)
    return len(values)


def environment(name: str) -> str | None:
    return os.environ.get(name)


def break_it(after: str | None = None, times: int = 1) -> str:
    _wait(after, times)
    calls.append("break")
    _state["broken"] = True
    return "broken"


def mend(after: str | None = None, times: int = 1) -> str:
    _wait(after, times)
    calls.append("mend")
    _state["broken"] = False
    return "mended"


def is_well() -> bool:
    calls.append("look")
    return not _state["broken"]


def asked() -> int:
    """How often it was asked."""
    _state["asked"] += 1
    return _state["asked"]


def well_but(bad: list[int]) -> bool:
    """Well each time it is asked, but for these."""
    return asked() not in bad


def slow(name: str, after: Any = (), until: Any = (), seconds: float = 0.0) -> str:
    """Of each turn: what it waits for before it begins, and before it ends."""
    turn = _turns[name] = _turns.get(name, -1) + 1
    _wait(after[turn] if turn < len(after) else None)
    calls.append(f"{name} begins")
    time.sleep(seconds)
    _wait(until[turn] if turn < len(until) else None)
    calls.append(f"{name} ends")
    return name


def above(value: Any = 0, least: float = 0) -> bool:
    """As the probe of a tolerance."""
    return value > least


def says(value: Any = None, answer: Any = True) -> Any:
    return answer


class Thing:
    """Called like a function."""

    def __init__(self, name: str = "thing") -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Thing({self.name})"
