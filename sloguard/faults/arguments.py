"""Arguments as people write them, checked the same way by every family."""

from __future__ import annotations

import math
from typing import Any

from sloguard.core.objective import ObjectiveError, parse_duration, parse_quantity
from sloguard.faults.base import FaultError


def duration(value: Any, name: str, *, longest: float | None = None) -> float:
    """Seconds above 0 of a number or a text such as ``30s``. Raises FaultError."""
    try:
        found = parse_duration(value)
    except ObjectiveError as error:
        raise FaultError(f"{name}: {error}") from None
    if found <= 0:
        raise FaultError(f"{name}: must be above 0, found {value}")
    if longest is not None and found > longest:
        raise FaultError(f"{name}: at most {longest:g}s, found {found:g}s")
    return found


def whole(value: Any, name: str, *, least: int = 0, most: int | None = None) -> int:
    """A whole number within bounds. Raises FaultError."""
    if isinstance(value, str) and value.strip().isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise FaultError(f"{name}: expected a whole number, found {value!r}")
    if value < least or (most is not None and value > most):
        upper = "" if most is None else f" and at most {most}"
        raise FaultError(f"{name}: must be at least {least}{upper}, found {value}")
    return value


def number(value: Any, name: str, *, above: float, most: float) -> float:
    """A number above one bound and up to another. Raises FaultError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise FaultError(f"{name}: expected a number, found {value!r}")
    if not above < value <= most:
        raise FaultError(f"{name}: must be above {above:g} and at most {most:g}, found {value:g}")
    return float(value)


def percent(value: Any, name: str) -> float:
    """A share above 0 up to 1 of ``50``, ``"50"`` or ``"50%"``. Raises FaultError."""
    try:
        if isinstance(value, bool):
            raise ValueError
        found = float(value.strip().removesuffix("%") if isinstance(value, str) else value)
    except (TypeError, ValueError):
        raise FaultError(f"{name}: expected a percentage such as 50, found {value!r}") from None
    if not 0 < found <= 100:
        raise FaultError(f"{name}: must be above 0 and at most 100, found {value}")
    return found / 100


def size(value: Any, name: str) -> int:
    """Bytes above 0 of a number or a text such as ``200MiB``. Raises FaultError."""
    problem = f"{name}: expected a size such as 200MiB, found {value!r}"
    if isinstance(value, int) and not isinstance(value, bool):
        found, unit = float(value), "B"
    elif isinstance(value, str):
        try:
            found, unit = parse_quantity(value)
        except ObjectiveError:
            raise FaultError(problem) from None
    else:
        raise FaultError(problem)
    if found < 1 or (unit and not unit.endswith("B")):
        raise FaultError(problem)
    return int(found)
