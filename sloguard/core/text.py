"""Numbers and times as people read them in a reason, a table or on an axis."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime

from sloguard.core.objective import EQUAL_WITHIN, SIZE_UNITS, TIME_UNITS
from sloguard.core.series import LabelSet


def format_value(value: float | None, unit: str = "", digits: int = 3) -> str:
    """A value in base units, written in the family of ``unit``: 0.124 in ``%`` is '12.4%'."""
    if value is None or math.isnan(value):
        return "no value"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if unit == "%":
        return f"{_percent(value * 100, digits)}%"
    if unit in TIME_UNITS:
        return format_seconds(value, digits)
    if unit in SIZE_UNITS:
        return _format_bytes(value, digits, binary="i" in unit)
    return _short(value, digits)


def format_unlike(value: float, others: Iterable[float], unit: str = "") -> str:
    """The value with as many digits as tell it from ``others``, from which it differs: '1.0001%'."""
    # Only what is nearly the same can look the same.
    near = [o for o in others if EQUAL_WITHIN * abs(o) < abs(value - o) < 0.02 * abs(o)]
    if not near:
        return format_value(value, unit)
    for digits in (3, 4, 5, 6, 8, 10):
        text = format_value(value, unit, digits)
        if all(text != format_value(other, unit, digits) for other in near):
            break
    return text


def format_seconds(seconds: float, digits: int = 3) -> str:
    """A measured time: '0.8ms', '310ms', '1.25s', '2m5s'; with more digits '125.4s'."""
    size = abs(seconds)
    if size >= 60 and digits == 3:
        return ("-" if seconds < 0 else "") + format_duration(size)
    if size >= 1 or size == 0:
        return f"{_short(seconds, digits)}s"
    if size >= 1e-3:
        return f"{_short(seconds * 1e3, digits)}ms"
    return f"{_short(seconds * 1e6, digits)}us"


def format_duration(seconds: float) -> str:
    """A span of the clock: '45s', '1m30s', '2h', '1.5s'."""
    if seconds < 60:
        return f"{_short(seconds, 3)}s"
    rest = round(seconds)
    parts = []
    for name, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count}{name}")
    return "".join(parts[:3])


def format_time(at: float) -> str:
    """'14:02:35Z'; with tenths or milliseconds where the time has them."""
    moment = datetime.fromtimestamp(round(at, 3), UTC)
    text = moment.strftime("%H:%M:%S")
    if moment.microsecond:
        text += f".{round(moment.microsecond / 1000):03d}".rstrip("0")
    return text + "Z"


def iso_time(at: float) -> str:
    """ISO 8601 UTC, with milliseconds only where the time has them."""
    moment = datetime.fromtimestamp(round(at, 3), UTC)
    precision = "milliseconds" if moment.microsecond else "seconds"
    return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def format_series(name: str, labels: LabelSet) -> str:
    """``error-ratio{service="checkout"}``, or the bare name of a series without labels."""
    if not labels:
        return name
    inner = ", ".join(f'{k}="{_escaped(v)}"' for k, v in labels)
    return f"{name}{{{inner}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _percent(value: float, digits: int) -> str:
    """So many digits, or as many as tell it from 100: '99.97', not '100'."""
    missing = abs(100 - value)
    if value < 100 and 1e-6 < missing < 1:
        return f"{value:.{min(2 - math.floor(math.log10(missing)), 8)}f}".rstrip("0")
    return _short(value, digits)


def _short(value: float, digits: int = 3) -> str:
    """At most ``digits`` significant digits, all digits of whole numbers up to a million."""
    if value == 0:
        return "0"
    if abs(value) >= 10**digits:
        return f"{value:.0f}" if abs(value) < 1e9 else f"{value:.{digits}g}"
    return f"{value:.{digits}g}" if abs(value) >= 1e-4 else f"{value:.{digits - 1}g}"


def _format_bytes(value: float, digits: int, *, binary: bool) -> str:
    base, names = (1024.0, ("B", "KiB", "MiB", "GiB")) if binary else (1e3, ("B", "KB", "MB", "GB"))
    size, index = value, 0
    while abs(size) >= base and index < len(names) - 1:
        size, index = size / base, index + 1
    return f"{_short(size, digits)}{names[index]}"
