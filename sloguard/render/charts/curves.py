"""What stands inside the frame: series, bounds, breaches, and where data is missing."""

from __future__ import annotations

import numpy as np

from sloguard.core.arrays import Floats, anywhere
from sloguard.core.model import PhaseName
from sloguard.render.charts.canvas import Canvas, Part
from sloguard.render.charts.geometry import Polyline, fills, from_points_beyond, pieces, thinned
from sloguard.render.charts.layout import TEXT, Layout
from sloguard.render.charts.model import ChartModel, Curve, Level, PhaseView
from sloguard.render.charts.scale import beyond
from sloguard.render.charts.style import Style, mixed
from sloguard.render.units import format_count

#: More grey lines than this say no more, and cost a reader's browser: an area shows how far the
#: others reach, and every n-th of them is drawn.
_GREY_LINES = 120


def paint_curves(canvas: Canvas, model: ChartModel, layout: Layout, style: Style) -> None:
    """What is in breach, the rest in grey, then the named series, the worst one on top."""
    xs = layout.xs(model.times)
    drawn = [_line_of(curve, xs, layout) for curve in model.curves]
    _paint_breaches(canvas, model, drawn, layout, style)
    _paint_rest(canvas, model, layout, style)
    for index in reversed(range(len(model.curves))):
        _paint_curve(canvas, model.curves[index], index, drawn[index], xs, layout, style)
    _paint_worst(canvas, model, layout, style)


def paint_empty(canvas: Canvas, model: ChartModel, layout: Layout, style: Style) -> None:
    """Says so where there is nothing to draw."""
    if model.empty:
        middle = (layout.top + layout.bottom) / 2
        width = canvas.lettering.width(model.empty, TEXT, "bold") + 24
        centre = (layout.left + layout.right) / 2
        canvas.rect(centre - width / 2, middle - 15, width, 30, style.background, edge=style.frame)
        canvas.text(
            *(centre, middle, model.empty, TEXT, style.ink),
            anchor="center",
            face="bold",
            part=Part("empty"),
        )


def _line_of(curve: Curve, xs: Floats, layout: Layout) -> list[Polyline]:
    width = layout.right - layout.left
    return [thinned(piece, width) for piece in pieces(xs, layout.ys(curve.values))]


def _paint_rest(canvas: Canvas, model: ChartModel, layout: Layout, style: Style) -> None:
    if not len(model.rest):
        return
    xs, ys = layout.xs(model.times), layout.ys(model.rest)
    width = layout.right - layout.left
    part = Part("rest", f"{format_count(len(model.rest))} more series")
    if len(ys) > _GREY_LINES:
        canvas.polygons(_reach(xs, ys, width), style.rest, alpha=0.3, part=part)
        ys = ys[np.linspace(0, len(ys) - 1, _GREY_LINES).astype(np.intp)]
        part = Part("rest", f"{_GREY_LINES} of the {format_count(len(model.rest))} more series")
    lines = [np.column_stack(thinned(p, width)) for row in ys for p in pieces(xs, row)]
    dots = [line[0] for line in lines if len(line) == 1]
    canvas.lines([line for line in lines if len(line) > 1], style.rest, 0.6, alpha=0.8, part=part)
    if dots:
        x, y = np.array(dots).T
        canvas.marks(x, y, "o", 2.0, style.rest)


def _reach(xs: Floats, ys: Floats, width: float) -> list[Floats]:
    """The area between the lowest and the highest of many lines, broken where none has a value."""
    known = ~np.isnan(ys)
    some = anywhere(known.T)
    low = np.where(some, np.where(known, ys, -np.inf).max(axis=0), np.nan)
    high = np.where(some, np.where(known, ys, np.inf).min(axis=0), np.nan)
    made = []
    for (x, lower), (_, upper) in zip(pieces(xs, low), pieces(xs, high), strict=True):
        bottom, top = thinned((x, lower), width), thinned((x, upper), width)
        if x.size > 1:
            there, back = np.column_stack(top), np.column_stack(bottom)[::-1]
            made.append(np.vstack((there, back)))
    return made


def _paint_breaches(
    canvas: Canvas,
    model: ChartModel,
    drawn: list[list[Polyline]],
    layout: Layout,
    style: Style,
) -> None:
    """Between curve and bound, phase by phase; what the lookback excuses in another colour."""
    for phase in model.phases:
        for x0, x1, colour, name in _stretches(model, phase, layout, style):
            areas: list[Floats] = []
            for level in phase.levels:
                for index in range(len(drawn)) if level.curve is None else (level.curve,):
                    for piece in drawn[index]:
                        areas.extend(_beyond(piece, level, (x0, x1), layout))
            # Opaque, in the shade that it would have: ten fills on each other stay one colour.
            shade = mixed(colour, style.phases[phase.name], 0.4)
            canvas.polygons(areas, shade, part=Part(name))


def _stretches(
    model: ChartModel,
    phase: PhaseView,
    layout: Layout,
    style: Style,
) -> list[tuple[float, float, str, str]]:
    """Parts of a phase, with the colour and the name of what is beyond the bound there."""
    x0, x1 = layout.x(phase.start), layout.x(phase.end)
    if phase.name is not PhaseName.AFTER or model.excused is None:
        return [(x0, x1, style.breach, "breach-area")]
    cut = layout.x(model.excused.end)
    return [(x0, cut, style.excused, "excused-area"), (cut, x1, style.breach, "breach-area")]


def _beyond(
    line: Polyline, level: Level, span: tuple[float, float], layout: Layout
) -> list[Floats]:
    if level.avoid:
        return []
    made = []
    last = span[1] >= layout.right - 1e-6
    for value, above in ((level.high, True), (level.low, False)):
        if value is None:
            continue
        bound = layout.y(value)
        part = from_points_beyond(line, bound, *span, above=above, last=last)
        if part is not None:
            made += fills(part, bound, above=above)
    return made


def _paint_curve(
    canvas: Canvas,
    curve: Curve,
    index: int,
    drawn: list[Polyline],
    xs: Floats,
    layout: Layout,
    style: Style,
) -> None:
    colour, dash, width = style.curve(index)
    gap = np.array([np.nan])
    lines = [part for x, y in drawn if x.size > 1 for part in ((x, y), (gap, gap))]
    part = Part("curve", curve.full)
    if lines:
        canvas.line(
            np.concatenate([x for x, _ in lines]),
            np.concatenate([y for _, y in lines]),
            *(colour, width, dash),
            part=part,
        )
    lone = [(x[0], y[0]) for x, y in drawn if x.size == 1]
    if lone:
        canvas.marks([x for x, _ in lone], [y for _, y in lone], "o", 5.0, colour, part=part)
    if curve.gap.any():
        known = ~np.isnan(curve.values)
        beside = np.concatenate((curve.gap[1:], [False])) | np.concatenate(
            ([False], curve.gap[:-1])
        )
        ends = known & beside
        ys = layout.ys(curve.values)
        canvas.marks(xs[ends], ys[ends], "o", 4.5, colour, hollow=style.background)
    above, below = beyond(curve.values)
    for where, sign, edge in ((above, "^", layout.top + 4), (below, "v", layout.bottom - 4)):
        at = xs[where]
        canvas.marks(
            at, np.full(at.shape, edge), sign, 8.0, colour, part=Part("beyond", curve.full)
        )


def _paint_worst(canvas: Canvas, model: ChartModel, layout: Layout, style: Style) -> None:
    deviation = model.deviation
    if deviation is None or deviation.worst is None or deviation.worst_at is None:
        return
    x, y = layout.x(deviation.worst_at), layout.y(deviation.worst)
    part = Part("worst", deviation.text)
    canvas.marks([x], [y], "o", 9.0, style.breach, hollow=style.background, part=part)
