"""A curve in one line of text, for terminals."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
GAP = "·"


def sparkline(
    values: Sequence[float],
    width: int = 40,
    *,
    low: float | None = None,
    high: float | None = None,
) -> str:
    """At most ``width`` characters, oldest first; NaN (a gap) is a dot, never a low value.

    Several points in one character show the largest of them. ``low`` and ``high`` fix the scale
    (defaults: 0 or the smallest value below it, and the largest one); ±Inf is drawn at its edge.
    """
    columns = _columns([float(v) for v in values], max(width, 1))
    finite = [v for v in columns if math.isfinite(v)]
    bottom = low if low is not None else min([0.0, *finite])
    top = high if high is not None else max([bottom, *finite])
    return "".join(_block(v, bottom, top) for v in columns)


def _columns(values: list[float], width: int) -> list[float]:
    if len(values) <= width:
        return values
    edges = [round(i * len(values) / width) for i in range(width + 1)]
    parts = [values[a:b] for a, b in itertools.pairwise(edges)]
    return [max((v for v in p if not math.isnan(v)), default=math.nan) for p in parts]


def _block(value: float, bottom: float, top: float) -> str:
    if math.isnan(value):
        return GAP
    if value == math.inf or (value > bottom and value >= top):
        return BLOCKS[-1]
    if value <= bottom or top <= bottom:
        return BLOCKS[0]
    # Halves first: the distance between two huge values is beyond what a float can hold.
    share = (value / 2 - bottom / 2) / (top / 2 - bottom / 2)
    return BLOCKS[min(int(share * len(BLOCKS)), len(BLOCKS) - 1)]
