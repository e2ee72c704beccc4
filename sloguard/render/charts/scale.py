"""The axis of values: its range, linear or logarithmic, and its ticks as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sloguard.core.arrays import Bools, Floats
from sloguard.core.objective import TIME_UNITS
from sloguard.render.units import axis_unit, nice_step

#: Beyond this a number is drawn at the edge, like infinity; below its inverse, like 0.
HUGE = 1e290

#: From this ratio of the largest value to the smallest bound on, a linear axis would hide the bound.
_MANY_ORDERS = {"%": 1000.0, "": 100.0}
#: No more decades than this: what is smaller is as good as 0 beside the largest.
_DECADES = 9.0


@dataclass(frozen=True, slots=True)
class ValueAxis:
    """Maps values to 0 (bottom) .. 1 (top). ``symlog`` is linear up to ``turn``, decades from there."""

    low: float
    high: float
    kind: Literal["linear", "log", "symlog"]
    turn: float
    ticks: tuple[tuple[float, str], ...]

    def place(self, values: Floats | float) -> Floats:
        """Where values lie; what is beyond the axis at its edge, NaN stays NaN."""
        inside = np.clip(np.asarray(values, dtype=float), self.low, self.high)
        if self.kind == "linear":
            return np.asarray((inside - self.low) / (self.high - self.low))
        if self.kind == "log":
            low, high = math.log10(self.low), math.log10(self.high)
            return np.asarray((np.log10(inside) - low) / (high - low))
        decades = np.log10(np.maximum(inside, self.turn) / self.turn)
        reach = 1 + math.log10(self.high / self.turn)
        return np.asarray((np.minimum(inside, self.turn) / self.turn + decades) / reach)


def beyond(values: Floats) -> tuple[Bools, Bools]:
    """Which values lie above and below any axis; all others were seen when it was made."""
    with np.errstate(invalid="ignore"):
        return np.asarray(values > HUGE), np.asarray(values < -HUGE)


def value_axis(
    values: Sequence[Floats], bounds: Sequence[float], unit: str, ticks: int
) -> ValueAxis:
    """An axis on which all finite values and all bounds are seen; at most ``ticks`` intervals."""
    numbers = _finite(values, bounds)
    if not numbers.size:
        return ValueAxis(0.0, 1.0, "linear", 0.0, ())
    low, high = float(numbers.min()), float(numbers.max())
    positive = numbers[numbers > 0]
    if low >= 0 and positive.size and _spans_many_orders(positive, bounds, high, unit):
        return _logarithmic(low, high, positive, unit, ticks)
    only_bounds = not any(np.isfinite(v).any() for v in values)
    return _linear(low, high, numbers, unit, ticks, only_bounds=only_bounds)


def _finite(values: Sequence[Floats], bounds: Sequence[float]) -> Floats:
    arrays = [np.asarray(v, dtype=float).ravel() for v in (*values, np.array(bounds))]
    every = np.concatenate(arrays) if arrays else np.empty(0)
    with np.errstate(invalid="ignore"):
        every = every[np.abs(every) <= HUGE]
    return np.where(np.abs(every) < 1 / HUGE, 0.0, every)


def _spans_many_orders(positive: Floats, bounds: Sequence[float], high: float, unit: str) -> bool:
    """Whether the bound (without one, the usual value) would be lost at the foot of a linear axis."""
    known = [b for b in bounds if 1 / HUGE < b <= HUGE]
    usual = min(known) if known else float(np.median(positive))
    return high / usual >= _MANY_ORDERS.get(unit, _MANY_ORDERS[""])


def _linear(
    low: float, high: float, numbers: Floats, unit: str, ticks: int, *, only_bounds: bool
) -> ValueAxis:
    if low >= 0 and (low < 0.6 * high or only_bounds):
        low = 0.0
    # Narrower than this, tick labels would have to tell too many digits apart.
    least = 1e-3 * max(abs(low), abs(high))
    if high - low <= least:
        low, high = low - least, high + least
    if high == low:
        low, high = low, low + 1.0
    span = high - low
    whole_share = unit == "%" and high <= 1.0
    top = min(high + 0.08 * span, 1.03) if whole_share else high + 0.08 * span
    bottom = low - (0.02 if low == 0 else 0.08) * span
    if low == 0 and whole_share:
        bottom = -0.02 * (top - low)
    written = axis_unit(unit, max(abs(top), abs(low)))
    step = nice_step(top - bottom, ticks, written)
    if unit == "" and bool((numbers == np.round(numbers)).all()) and span < 1e6:
        step = max(step, 1.0)
    first, last = math.ceil(bottom / step - 1e-9), math.floor(top / step + 1e-9)
    at = [k * step for k in range(first, last + 1)]
    return ValueAxis(bottom, top, "linear", 0.0, tuple(zip(at, written.write(at), strict=True)))


def _logarithmic(low: float, high: float, positive: Floats, unit: str, ticks: int) -> ValueAxis:
    """Decades (powers of two for binary sizes); for zeros and what is next to it, a linear foot."""
    base = 2.0 if "i" in unit and unit != "%" else 10.0
    smallest = max(float(positive.min()), high * 10**-_DECADES)
    bottom = math.floor(math.log(smallest, base) + 1e-9)
    top = math.log(high, base)
    every = max(1, math.ceil((top - bottom) / max(ticks, 1)))
    powers = range(bottom, math.floor(top + 1e-9) + 1, every)
    at = [base**power for power in powers]
    labels = [_decade(tick, unit) for tick in at]
    edge = high * base ** (0.06 * max(top - bottom, 1.0))
    if low >= smallest:
        return ValueAxis(
            min(base**bottom, smallest), edge, "log", 0.0, tuple(zip(at, labels, strict=True))
        )
    zero = "0%" if unit == "%" else "0"
    return ValueAxis(
        0.0, edge, "symlog", base**bottom, ((0.0, zero), *zip(at, labels, strict=True))
    )


def _decade(tick: float, unit: str) -> str:
    """Powers of ten of a second stay seconds: 10,000s, not 2.8h."""
    return axis_unit(unit, min(tick, 1.0) if unit in TIME_UNITS else tick).write_one(tick)
