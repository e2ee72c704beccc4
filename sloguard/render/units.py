"""Units as people read them: which one an SLO's values have, and how an axis is written in it.

Single values, spans and times are written by ``core.text``, so that a chart, a table and a reason never
disagree; they are offered here again, so that everything that renders finds them in one place.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from sloguard.core.model import Slo
from sloguard.core.objective import SIZE_UNITS, TIME_UNITS
from sloguard.core.text import (
    format_duration,
    format_seconds,
    format_series,
    format_time,
    format_value,
    iso_time,
)

__all__ = [
    "AxisUnit",
    "axis_unit",
    "format_count",
    "format_duration",
    "format_seconds",
    "format_series",
    "format_time",
    "format_value",
    "iso_time",
    "nice_step",
    "shorten_middle",
    "unit_of",
]

_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`')
_COMMENT = re.compile(r"#[^\n]*")
_RATE = re.compile(r"\b(?:rate|irate|increase|deriv)\s*\(")
_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
#: What takes a value out of its unit again: arithmetic with something else, or counting.
_LOSES_UNIT = re.compile(r"[*/^%]|\b(?:count|count_values|group|changes|absent)\b")


def unit_of(slo: Slo) -> str:
    """The unit of an SLO's values, as a unit of ``core.objective``; '' where they are plain numbers.

    What the author wrote in an objective decides, and a pair is a share; else the names of the metrics
    in the query tell (Prometheus's naming conventions: ``_seconds``, ``_bytes``, ``_ratio``).
    """
    return slo.unit or _unit_of_query(slo.query or "")


def _unit_of_query(query: str) -> str:
    bare = _STRINGS.sub('""', _COMMENT.sub("", query))
    names = _NAME.findall(re.sub(r"\{[^}]*\}|\b(?:by|without|on|ignoring)\s*\([^)]*\)", "", bare))
    ends = {name.rpartition("_")[2] for name in names}
    mean = any(n.endswith("_seconds_sum") for n in names) and "/" in bare
    if mean and any(n.endswith("_seconds_count") for n in names):
        return "s"
    if "histogram_quantile" in bare and any(n.endswith("_seconds_bucket") for n in names):
        return "s"
    if _LOSES_UNIT.search(re.sub(r"\[[^\]]*\]", "", bare)) or _RATE.search(bare):
        return ""
    if "seconds" in ends:
        return "s"
    if "bytes" in ends:
        return "MiB"
    return "%" if "ratio" in ends else ""


@dataclass(frozen=True, slots=True)
class AxisUnit:
    """One unit for a whole axis: a value in base units divided by ``size`` is written with ``suffix``."""

    size: float
    suffix: str
    binary: bool = False

    def write(self, ticks: Sequence[float]) -> list[str]:
        """Evenly spaced ticks (base units), all with the same number of decimals."""
        numbers = [tick / self.size for tick in ticks]
        gaps = [b - a for a, b in itertools.pairwise(numbers) if b > a]
        decimals = _decimals(min(gaps)) if gaps else 6
        return [self._one(n, decimals) for n in numbers]

    def write_one(self, tick: float) -> str:
        """A tick of an axis whose ticks are decades apart."""
        number = tick / self.size
        return self._one(number, _decimals(abs(number)) if number else 0)

    def _one(self, number: float, decimals: int) -> str:
        if number and not 1e-6 <= abs(number) < 1e15:
            return f"{number:.3g}{self.suffix}"
        text = f"{number:,.{decimals}f}"
        if "." in text and decimals == 6:
            text = text.rstrip("0").rstrip(".")
        if float(text.replace(",", "")) == 0:
            return "0%" if self.suffix == "%" else "0"
        return text + self.suffix


def _decimals(step: float) -> int:
    """How many decimals tell two ticks this far apart from each other."""
    if not math.isfinite(step) or step <= 0:
        return 0
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    return places + (0 if abs(round(step, places) - step) < step * 1e-6 else 1)


def axis_unit(unit: str, largest: float) -> AxisUnit:
    """The unit in which an axis that reaches to ``largest`` (base units, absolute) reads best."""
    if unit == "%":
        return AxisUnit(0.01, "%")
    if unit in TIME_UNITS:
        steps = [(1e-6, "µs"), (1e-3, "ms"), (1.0, "s"), (60.0, "m"), (3600.0, "h"), (86400.0, "d")]
        # Up to five minutes people read seconds, up to two hours minutes, up to two days hours.
        limits = {"m": 300.0, "h": 7200.0, "d": 172800.0}
        fitting = [s for s in steps if largest >= limits.get(s[1], s[0])]
        return AxisUnit(*(fitting or steps)[-1 if fitting else 0])
    if unit in SIZE_UNITS:
        binary = "i" in unit
        base = 1024.0 if binary else 1000.0
        names = ("B", "KiB", "MiB", "GiB") if binary else ("B", "KB", "MB", "GB")
        power = max((i for i in range(4) if largest >= base**i), default=0)
        return AxisUnit(base**power, names[power], binary)
    for size, suffix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size <= largest < 1e15:
            return AxisUnit(1e3 if suffix == "k" else size, suffix)
    return AxisUnit(1.0, "")


def nice_step(span: float, count: int, unit: AxisUnit) -> float:
    """A round distance (base units) that cuts ``span`` into at most ``count`` parts."""
    rough = span / max(count, 1) / unit.size
    if rough <= 0 or not math.isfinite(rough):
        return unit.size
    if unit.suffix in ("s", "m") and 5 < rough <= 60:
        return next(s for s in (10.0, 15.0, 30.0, 60.0) if s >= rough) * unit.size
    if unit.binary and rough > 5:
        return 2.0 ** math.ceil(math.log2(rough)) * unit.size
    power = 10.0 ** math.floor(math.log10(rough))
    factor = next(f for f in (1.0, 2.0, 5.0, 10.0) if f * power >= rough * (1 - 1e-9))
    return factor * power * unit.size


def shorten_middle(text: str, longest: int) -> str:
    """At most ``longest`` characters; beginnings and ends are what tells names apart."""
    if len(text) <= longest:
        return text
    kept = max(longest - 1, 1)
    head = (kept + 1) // 2
    return f"{text[:head]}…{text[len(text) - (kept - head) :] if kept > head else ''}"


def format_count(count: int) -> str:
    """1990 -> '1,990'."""
    return f"{count:,}"
