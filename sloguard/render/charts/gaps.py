"""Where data is missing, and where there was nothing to measure."""

from __future__ import annotations

import numpy as np

from sloguard.core.arrays import Bools, Floats, anywhere
from sloguard.render.charts.canvas import Canvas, Part, segments
from sloguard.render.charts.layout import Layout
from sloguard.render.charts.model import ChartModel
from sloguard.render.charts.story import runs_of
from sloguard.render.charts.style import Style


def paint_missing(canvas: Canvas, model: ChartModel, layout: Layout, style: Style) -> None:
    """Hatched where nobody has data that was expected; a lane below the axis for each gap and idle."""
    xs = layout.xs(model.times)
    height = layout.bottom - layout.top
    for span in model.away:
        x0, x1 = layout.x(span.start), layout.x(span.end)
        canvas.rect(
            *(x0, layout.top, x1 - x0, height),
            edge=style.hatch,
            hatch="xxx",
            part=Part("away", "Prometheus was away"),
        )
    if not model.curves:
        return
    gaps = np.array([c.gap for c in model.curves])
    valued = np.array([~np.isnan(c.values) for c in model.curves])
    idle = anywhere(np.array([c.idle for c in model.curves]).T)
    nobody = anywhere(gaps.T) & ~anywhere(valued.T) & ~idle
    for x0, x1 in _holes(nobody, xs, layout):
        canvas.rect(
            *(x0, layout.top, x1 - x0, height),
            edge=style.hatch,
            hatch="///",
            part=Part("gap", "no data"),
        )
    if layout.lane is not None:
        _paint_lane(canvas, anywhere(gaps.T), idle, xs, layout, style)


def _holes(mask: Bools, xs: Floats, layout: Layout) -> list[tuple[float, float]]:
    """From the last point before a hole to the first one after it."""
    last = len(xs) - 1
    return [
        (
            float(xs[first - 1]) if first else layout.left,
            float(xs[end + 1]) if end < last else layout.right,
        )
        for first, end in runs_of(mask)
    ]


def _paint_lane(
    canvas: Canvas, gap: Bools, idle: Bools, xs: Floats, layout: Layout, style: Style
) -> None:
    middle = layout.lane or 0.0
    for x0, x1 in _holes(gap, xs, layout):
        canvas.rect(
            *(x0, middle - 4, x1 - x0, 8),
            edge=style.muted,
            hatch="/////",
            part=Part("lane-gap", "no data"),
        )
    if not idle.any():
        return
    crowded = idle.sum() > (layout.right - layout.left) / 9
    if crowded:
        runs = [
            (float(xs[a]), middle, max(float(xs[b]), float(xs[a]) + 2), middle)
            for a, b in runs_of(idle)
        ]
        canvas.lines(segments(*runs), style.muted, 3.0, part=Part("idle", "idle"))
        return
    at = xs[idle]
    canvas.marks(
        at,
        np.full(at.shape, middle),
        *("o", 4.5, style.muted),
        hollow=style.background,
        part=Part("idle", "idle"),
    )
