"""What is declared, drawn: each phase's own bounds as steps, a range as a band, the baseline dotted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from sloguard.core.arrays import Floats
from sloguard.render.charts.canvas import Canvas, Part
from sloguard.render.charts.layout import TINY, Layout
from sloguard.render.charts.levels import OWN_BOUNDS
from sloguard.render.charts.model import ChartModel, Level, PhaseView
from sloguard.render.charts.style import Style


def paint_levels(canvas: Canvas, model: ChartModel, layout: Layout, style: Style) -> None:
    """Each phase's own bounds as steps, a range as a band; the baseline dotted."""
    for index, curve in enumerate(model.curves[:OWN_BOUNDS]):
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


@dataclass(frozen=True, slots=True)
class _Name:
    """A text that wants to stand on a line, somewhere between two x."""

    x0: float
    x1: float
    y: float
    text: str
    colour: str


def _paint_level_names(canvas: Canvas, model: ChartModel, layout: Layout, style: Style) -> None:
    """On the line, where the phase is wide enough, and where it hides the curves least."""
    letters = canvas.lettering
    lines = [(layout.xs(model.times), layout.ys(c.values)) for c in model.curves]
    known = [(x[~np.isnan(y)], y[~np.isnan(y)]) for x, y in lines]
    taken: list[tuple[float, float, float]] = []
    for name in _names(model, layout, style):
        text = letters.clean(name.text)
        width = letters.width(text, TINY)
        if width > name.x1 - name.x0 - 8:
            continue
        x, middle = _place(name, width, [k for k in known if k[0].size], taken, layout)
        taken.append((x, x + width, middle))
        canvas.rect(x - 2, middle - 6, width + 4, 12, style.background, alpha=0.7)
        canvas.text(x, middle, text, TINY, name.colour, part=Part("bound-name"))


def _names(model: ChartModel, layout: Layout, style: Style) -> Iterable[_Name]:
    many = len(model.curves) > 1
    for phase in model.phases:
        x0, x1 = layout.x(phase.start), layout.x(phase.end)
        for level in phase.levels:
            if level.curve:
                continue
            whose = f" ({model.curves[0].name})" if many and level.curve == 0 else ""
            edge = level.high if level.high is not None else level.low
            yield _Name(x0, x1, layout.y(edge or 0.0), level.text + whose, style.bound)
    first = model.curves[0] if model.curves else None
    if first is not None and first.baseline is not None:
        text = f"baseline ({first.name})" if many else "baseline"
        y = layout.y(first.baseline)
        yield _Name(layout.left, layout.right, y, text, style.ink)


def _place(
    name: _Name,
    width: float,
    curves: list[tuple[Floats, Floats]],
    taken: list[tuple[float, float, float]],
    layout: Layout,
) -> tuple[float, float]:
    """Left edge and middle of a text: at either end or half way, above the line or below it."""
    room = name.x1 - name.x0 - width
    best, least = (name.x0 + 4, name.y - 8), np.inf
    for order, (x, middle) in enumerate(
        (name.x0 + offset, name.y + side)
        for offset in (4.0, room - 4.0, room / 2)
        for side in (-8.0, 9.0)
    ):
        if middle - 7 < layout.top or middle + 7 > layout.bottom:
            continue
        hidden = sum(_crosses(curve, x, x + width, middle) for curve in curves)
        clash = any(abs(middle - m) < 13 and x < b + 4 and x + width > a - 4 for a, b, m in taken)
        cost = 10.0 * hidden + 100.0 * clash + order
        if cost < least:
            best, least = (x, middle), cost
    return best


def _crosses(curve: tuple[Floats, Floats], x0: float, x1: float, middle: float) -> bool:
    ys = np.interp(np.linspace(x0, x1, 9), *curve)
    return bool(((ys > middle - 7) & (ys < middle + 7)).any())
