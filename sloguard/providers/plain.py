"""Whatever a Python function returns, as JSON that every store and every reader can take.

=====================================  ==================================================
None, bool, int, str, finite float     as they are (integers beyond 64 bits as text)
NaN, +Inf, -Inf                        ``"NaN"``, ``"+Inf"``, ``"-Inf"``
bytes                                  text if UTF-8, other bytes as ``\\xNN``
mapping                                object, keys as text
list, tuple, deque, range              array
set, frozenset                         array, sorted
datetime, date, time                   ISO 8601
timedelta                              seconds
Decimal, Fraction                      number
UUID, path                             text
enum                                   its value
dataclass                              object of its fields
numpy scalar, array                    number, array (what has ``tolist``)
what has ``model_dump`` or ``to_dict`` object (pydantic, Kubernetes models)
exception                              ``"ValueError: text"``
anything else                          ``repr``
=====================================  ==================================================

Bounded: texts of 1 MiB, 50 levels, 100,000 items in all; what is left out is said in its place.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import math
import os
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from sloguard.core.model import Json

MOST_TEXT = 1 << 20
MOST_LEVELS = 50
MOST_ITEMS = 100_000
_MOST_REPR = 1_000
_INT64 = 1 << 63


def plain(value: Any) -> Json:
    """A JSON value for anything; never raises."""
    return _Plain().of(value, 0)


def clean_text(text: str) -> str:
    """A text that can be written as UTF-8 and kept by any database, at most 1 MiB of it."""
    if len(text) > MOST_TEXT:
        text = f"{text[:MOST_TEXT]}[… {len(text) - MOST_TEXT} characters left out]"
    if "\0" in text:
        text = text.replace("\0", "\\x00")
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class _Plain:
    def __init__(self) -> None:
        self._left = MOST_ITEMS
        self._open: set[int] = set()

    def of(self, value: Any, level: int) -> Json:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, enum.Enum):
            return self.of(value.value, level + 1)
        if isinstance(value, str):
            return clean_text(str(value))
        if isinstance(value, int | float):
            return _number(value)
        if isinstance(value, bytes | bytearray | memoryview):
            return clean_text(bytes(value).decode("utf-8", "backslashreplace"))
        if level >= MOST_LEVELS:
            return "[… nested too deeply]"
        if id(value) in self._open:
            return "[… contains itself]"
        self._open.add(id(value))
        try:
            return self._structured(value, level)
        except Exception as error:  # noqa: BLE001 - a driver's own object may do anything when asked
            return f"[{type(value).__name__} that cannot be shown: {type(error).__name__}]"
        finally:
            self._open.discard(id(value))

    def _structured(self, value: Any, level: int) -> Json:
        if isinstance(value, Mapping):
            return self._mapping(value, level)
        if isinstance(value, list | tuple | deque | range):
            return self._array(value, level)
        if isinstance(value, set | frozenset):
            return self._array(sorted(value, key=lambda v: (type(v).__name__, repr(v))), level)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            named = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
            return self._mapping(named, level)
        for kind, convert in _SCALARS:
            if isinstance(value, kind):
                return convert(value)
        for method in ("tolist", "model_dump", "to_dict"):
            converted = getattr(value, method, None)
            if callable(converted) and not isinstance(value, type):
                return self.of(converted(), level + 1)
        return clean_text(repr(value)[:_MOST_REPR])

    def _mapping(self, value: Mapping[Any, Any], level: int) -> Json:
        kept: dict[str, Json] = {}
        for key, item in value.items():
            if self._left <= 0:
                kept["…"] = f"[… {len(value) - len(kept)} entries left out]"
                break
            self._left -= 1
            kept[_key(key)] = self.of(item, level + 1)
        return kept

    def _array(self, value: Any, level: int) -> Json:
        kept: list[Json] = []
        for item in value:
            if self._left <= 0:
                kept.append(f"[… {len(value) - len(kept)} items left out]")
                break
            self._left -= 1
            kept.append(self.of(item, level + 1))
        return kept


def _key(key: Any) -> str:
    if isinstance(key, str):
        return clean_text(key)
    converted = plain(key)
    if converted is None or isinstance(converted, bool | int | float):
        return json.dumps(converted)  # null, true: as JSON writes keys that are no text
    return converted if isinstance(converted, str) else clean_text(str(key))


def _number(value: int | float) -> Json:
    if isinstance(value, int):
        return int(value) if -_INT64 <= value < _INT64 else clean_text(_digits(value))
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return float(value)


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # Python refuses to write out integers of more than 4,300 digits
        return hex(value)


def _decimal(value: decimal.Decimal) -> Json:
    if value.is_finite() and value == value.to_integral_value() and abs(value) < _INT64:
        return int(value)
    # A signalling NaN cannot be converted at all.
    return "NaN" if value.is_nan() else _number(float(value))


_SCALARS: tuple[tuple[type | tuple[type, ...], Callable[[Any], Json]], ...] = (
    ((datetime.datetime, datetime.date, datetime.time), lambda v: v.isoformat()),
    (datetime.timedelta, lambda v: v.total_seconds()),
    (decimal.Decimal, _decimal),
    (fractions.Fraction, lambda v: _number(float(v))),
    (uuid.UUID, str),
    (os.PathLike, lambda v: clean_text(os.fsdecode(os.fspath(v)))),
    (BaseException, lambda v: clean_text(f"{type(v).__name__}: {v}"[:_MOST_REPR])),
)
