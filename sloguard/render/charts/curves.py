"""What stands inside the frame: series, bounds, breaches, and where data is missing."""

from __future__ import annotations

import numpy as np

from sloguard.core.model import PhaseName, Verdict
from sloguard.core.objective import Bools, Floats, anywhere
from sloguard.render.charts.canvas import Canvas, Part, segments
from sloguard.render.charts.geometry import Polyline, clipped, fills, pieces, spread, thinned
from sloguard.render.charts.layout import SMALL, TEXT, TINY, Layout
from sloguard.render.charts.model import ChartModel, Curve, Level, PhaseView
from sloguard.render.charts.story import runs_of
from sloguard.render.charts.style import SIGNS, Style
from sloguard.render.units import format_count

#: More grey lines than this say no more, and cost a reader's browser: an area shows how far the
#: others reach, and every n-th of them is drawn.
_GREY_LINES = 120


def paint_curves(canvas: Canvas, model: ChartModel, layout: Layout, style: Style) -> None:
    """The rest in grey, what is in breach, then the named series, the worst one on top."""
    _paint_rest(canvas, model, layout, style)
    xs = layout.xs(model.times)
    drawn = [_line_of(curve, xs, layout) for curve in model.curves]
    _paint_breaches(canvas, model, drawn, layout, style)
    for index in reversed(range(len(model.curves))):
        _paint_curve(canvas, model.curves[index], index, drawn[index], xs, layout, style)
    _paint_worst(canvas, model, layout, style)
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
        canvas.polygons(_reach(xs, ys, width), style.rest, 0.3, part=part)
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
    counted: list[Floats] = []
    excused: list[Floats] = []
    for phase in model.phases:
        for x0, x1, into in _stretches(model, phase, layout, counted, excused):
            for level in phase.levels:
                for index in range(len(drawn)) if level.curve is None else (level.curve,):
                    for piece in drawn[index]:
                        part = clipped(piece, x0, x1)
                        if part is not None:
                            into.extend(_beyond(part, level, layout))
    canvas.polygons(excused, style.excused, 0.35, part=Part("excused-area"))
    canvas.polygons(counted, style.breach, 0.3, part=Part("breach-area"))


def _stretches(
    model: ChartModel,
    phase: PhaseView,
    layout: Layout,
    counted: list[Floats],
    excused: list[Floats],
) -> list[tuple[float, float, list[Floats]]]:
    x0, x1 = layout.x(phase.start), layout.x(phase.end)
    if phase.name is not PhaseName.AFTER or model.excused is None:
        return [(x0, x1, counted)]
    cut = layout.x(model.excused.end)
    return [(x0, cut, excused), (cut, x1, counted)]


def _beyond(line: Polyline, level: Level, layout: Layout) -> list[Floats]:
    if level.avoid:
        return []
    made = []
    if level.high is not None:
        made += fills(line, layout.y(level.high), above=True)
    if level.low is not None:
        made += fills(line, layout.y(level.low), above=False)
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
    above, below = layout.axis.beyond(curve.values)
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


def paint_levels(canvas: Canvas, model: ChartModel, layout: Layout, style: Style) -> None:
    """Each phase's own bounds as steps, a range as a band; the baseline dotted."""
    for index, curve in enumerate(model.curves[:3]):
        if curve.baseline is None:
            continue
        colour = style.ink if len(model.curves) == 1 else style.curve(index)[0]
        y = layout.y(curve.baseline)
        whose = f" {curve.name}" if len(model.curves) > 1 else ""
        canvas.line(
            [layout.left, layout.right],
            [y, y],
            *(colour, 1.2, (1.2, 3.0)),
            part=Part("baseline", f"baseline{whose}"),
        )
    for phase in model.phases:
        if phase.end <= phase.start:
            continue
        x0, x1 = layout.x(phase.start), layout.x(phase.end)
        for level in phase.levels:
            _paint_level(canvas, phase, level, (x0, x1), layout, style)
    _paint_level_names(canvas, model, layout, style)


def _paint_level(
    canvas: Canvas,
    phase: PhaseView,
    level: Level,
    span: tuple[float, float],
    layout: Layout,
    style: Style,
) -> None:
    x0, x1 = span
    part = Part(f"objective-{phase.name}", level.text)
    if level.low is not None and level.high is not None and level.low < level.high:
        top, bottom = layout.y(level.high), layout.y(level.low)
        canvas.rect(x0, top, x1 - x0, bottom - top, style.bound, alpha=0.07)
    own = level.curve is not None and level.curve > 0
    colour = style.curve(level.curve or 0)[0] if own else style.bound
    for value in level.values:
        y = layout.y(value)
        canvas.line([x0, x1], [y, y], colour, 1.0 if own else 1.6, (5.0, 2.0), part=part)


def _paint_level_names(canvas: Canvas, model: ChartModel, layout: Layout, style: Style) -> None:
    """On the line, at the phase's left edge, where the phase is wide enough for it."""
    taken: list[tuple[float, float, float]] = []
    many = len(model.curves) > 1
    wanted: list[tuple[float, float, float, str, str]] = []
    for phase in model.phases:
        x0, x1 = layout.x(phase.start), layout.x(phase.end)
        for level in phase.levels:
            whose = (
                f" ({model.curves[level.curve].name})" if many and level.curve is not None else ""
            )
            if not level.curve:
                edge = level.high if level.high is not None else level.low
                wanted.append((x0, x1, layout.y(edge or 0.0), level.text + whose, style.bound))
    for curve in model.curves[:1]:
        if curve.baseline is not None:
            whose = f" ({curve.name})" if many else ""
            text = f"baseline{whose}"
            wanted.append((layout.left, layout.right, layout.y(curve.baseline), text, style.ink))
    for x0, x1, y, text, colour in wanted:
        text = canvas.lettering.clean(text)
        width = canvas.lettering.width(text, TINY)
        middle = y - 8 if y - 16 > layout.top else y + 9
        hit = any(abs(middle - m) < 12 and x0 + 4 < b and x0 + 4 + width > a for a, b, m in taken)
        if hit:
            middle = y + 9 if middle < y else y - 8
        if width > x1 - x0 - 8 or middle + 6 > layout.bottom:
            continue
        taken.append((x0 + 4, x0 + 4 + width, middle))
        canvas.rect(x0 + 3, middle - 6, width + 3, 12, style.background, alpha=0.7)
        canvas.text(x0 + 4, middle, text, TINY, colour)


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


def paint_names(canvas: Canvas, model: ChartModel, layout: Layout, style: Style) -> None:
    """The series' names beside their last values, in their colours, kept apart."""
    if not layout.labels:
        return
    more = [f"+{format_count(len(model.rest))} more"] if len(model.rest) else []
    low = layout.head + (24 if model.legend else 0)
    heights = [label.height for label in layout.labels] + [16.0] * len(more)
    ends = [_end_of(curve, layout) for curve in model.curves] + [layout.bottom] * len(more)
    centres = spread(ends, heights, low, layout.bottom + 10, gap=2.0)
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


def _end_of(curve: Curve, layout: Layout) -> float:
    known = np.flatnonzero(~np.isnan(curve.values))
    return layout.y(float(curve.values[known[-1]])) if known.size else layout.bottom
