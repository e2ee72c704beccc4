"""The series' names at the right edge, beside their last values."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from sloguard.core.model import Verdict
from sloguard.render.charts.canvas import Canvas, Part
from sloguard.render.charts.geometry import spread
from sloguard.render.charts.layout import SMALL, TINY, Layout
from sloguard.render.charts.model import ChartModel, Curve
from sloguard.render.charts.style import SIGNS, Style
from sloguard.render.units import format_count


def paint_names(canvas: Canvas, model: ChartModel, layout: Layout, style: Style) -> None:
    """The series' names beside their last values, in their colours, kept apart."""
    if not layout.labels:
        return
    more = [f"+{format_count(len(model.rest))} more"] if len(model.rest) else []
    low = layout.head + (24 if model.legend else 0)
    heights = [label.height for label in layout.labels] + [16.0] * len(more)
    ends = [_end_of(curve, layout) for curve in model.curves] + [layout.bottom] * len(more)
    wanted = _in_order_of_rank(ends)
    centres = spread(wanted, heights, low, layout.bottom + 3, gap=2.0)
    if centres is None:
        # Too low a picture for all names: evenly, and the last ones are left out.
        room = int((layout.bottom - low) / 20)
        centres = [low + 10 + 20 * i for i in range(min(room, len(ends)))]
    x = layout.right + 18
    if model.legend:
        head = canvas.lettering.fit(f"{model.legend}, worst", layout.width - x - 4, TINY)
        canvas.text(x, layout.head + 11, head, TINY, style.muted)
    for index, (label, centre) in enumerate(zip(layout.labels, centres, strict=False)):
        colour = style.curve(index)[0]
        middle = centre - (6 if label.note else 0)
        canvas.line([layout.right + 2, x - 4], [ends[index], middle], colour, 1.0)
        verdict = model.curves[index].verdict
        sign = f"{SIGNS[verdict]} " if verdict.rank > Verdict.MET.rank else ""
        canvas.text(x, middle, sign + label.name, SMALL, colour, part=Part("name-of-curve"))
        after = x + canvas.lettering.width(f"{sign}{label.name}  ", SMALL)
        canvas.text(after, middle, label.value, SMALL, style.muted)
        canvas.text(x, middle + 13, label.note, TINY, style.muted)
    if more and len(centres) > len(layout.labels):
        canvas.text(x, centres[-1], more[0], SMALL, style.muted, part=Part("more"))


def _in_order_of_rank(ends: Sequence[float]) -> list[float]:
    """Ends that lie too close together for their names share one place, the worst series on top."""
    wanted = list(ends)
    order = sorted(range(len(ends)), key=lambda i: ends[i])
    for before, after in itertools.pairwise(order):
        if ends[after] - ends[before] < 16:
            wanted[after] = wanted[before]
    return wanted


def _end_of(curve: Curve, layout: Layout) -> float:
    known = np.flatnonzero(~np.isnan(curve.values))
    return layout.y(float(curve.values[known[-1]])) if known.size else layout.bottom
