"""A ChartModel -> bytes: lay out, paint from back to front, write."""

from __future__ import annotations

from sloguard.core.text import format_time
from sloguard.render.charts import DEFAULT_SIZE, FORMATS, THEMES, Format, Theme
from sloguard.render.charts.backend import drawing, pdf_bytes, png_bytes, svg_bytes
from sloguard.render.charts.bounds import paint_levels
from sloguard.render.charts.canvas import Canvas
from sloguard.render.charts.curves import paint_curves, paint_empty
from sloguard.render.charts.foot import entries_of, paint_alerts, paint_foot, rows_of
from sloguard.render.charts.frame import paint_axes, paint_head, paint_marks, paint_phases
from sloguard.render.charts.gaps import paint_missing
from sloguard.render.charts.layout import PAD, layout_of
from sloguard.render.charts.lettering import Lettering
from sloguard.render.charts.model import ChartError, ChartModel
from sloguard.render.charts.names import paint_names
from sloguard.render.charts.style import STYLES
from sloguard.render.charts.svg import finished

_SMALLEST, _LARGEST = (560, 340), (6000, 4000)
_MOST_PIXELS = 40_000_000


def paint(
    model: ChartModel,
    *,
    format: Format,
    theme: Theme,
    size: tuple[int, int] = DEFAULT_SIZE,
    scale: float = 1.0,
) -> bytes:
    """The picture; raises ChartError for what cannot be drawn."""
    _check(format, theme, size, scale)
    with drawing():
        lettering = Lettering(keep=format == "svg")
        canvas = _painted(model, theme, size, lettering)
        try:
            if format == "svg":
                title, told = title_of(model), description_of(model)
                return finished(svg_bytes(canvas.figure), canvas.parts, title, told, lettering)
            if format == "png":
                return png_bytes(canvas.figure, scale)
            return pdf_bytes(canvas.figure, lettering.clean(title_of(model)))
        finally:
            # Figures are full of cycles: without this they wait for the garbage collector.
            canvas.figure.clear()


def _painted(
    model: ChartModel, theme: Theme, size: tuple[int, int], lettering: Lettering
) -> Canvas:
    style = STYLES[theme]
    canvas = Canvas(size[0], size[1], style.background, lettering)
    rows = rows_of(entries_of(model, size[0], lettering), size[0] - 2 * PAD, lettering)
    rows = rows[: 4 if size[1] >= 420 else 2]
    layout = layout_of(model, size, lettering, max(len(rows), 1))
    paint_head(canvas, model, layout, style)
    paint_phases(canvas, model, layout, style)
    paint_missing(canvas, model, layout, style)
    paint_axes(canvas, model, layout, style)
    paint_curves(canvas, model, layout, style)
    paint_levels(canvas, model, layout, style)
    paint_marks(canvas, model, layout, style)
    paint_empty(canvas, model, layout, style)
    paint_names(canvas, model, layout, style)
    paint_alerts(canvas, model, layout, style)
    paint_foot(canvas, model, layout, style, rows)
    return canvas


def _check(format: Format, theme: Theme, size: tuple[int, int], scale: float) -> None:
    if format not in FORMATS:
        raise ChartError(f"no format '{format}': there are {', '.join(FORMATS)}")
    if theme not in THEMES:
        raise ChartError(f"no theme '{theme}': there are {' and '.join(THEMES)}")
    fits = all(
        small <= side <= large for side, small, large in zip(size, _SMALLEST, _LARGEST, strict=True)
    )
    if not fits:
        raise ChartError(
            f"a size of {size[0]}x{size[1]} cannot be drawn: expected {_SMALLEST[0]}x{_SMALLEST[1]} "
            f"to {_LARGEST[0]}x{_LARGEST[1]} pixels"
        )
    if not 0.25 <= scale <= 8 or size[0] * size[1] * scale**2 > _MOST_PIXELS:
        raise ChartError(
            f"a scale of {scale:g} cannot be drawn: expected 0.25 to 8, and at most "
            f"{_MOST_PIXELS // 1_000_000} million pixels"
        )


def title_of(model: ChartModel) -> str:
    """'error-ratio: deviated'."""
    return f"{model.name}: {model.verdict}" + (f" ({model.title})" if model.title else "")


def description_of(model: ChartModel) -> str:
    """The picture in words, for those who cannot see it."""
    sentences = [model.reason] if model.reason else []
    for phase in model.phases:
        held = f", objective {phase.objective}" if phase.objective else ""
        allowed = f", {phase.tolerated}" if phase.tolerated else ""
        span = f"{format_time(phase.start)} to {format_time(phase.end)}"
        sentences.append(f"{phase.name} {span}: {phase.verdict}{held}{allowed}")
    if model.deviation:
        sentences.append(f"{model.curves[model.deviation.curve].full}: {model.deviation.text}")
    if model.recovery:
        whose = f"{model.recovery.whose}: " if model.recovery.whose else ""
        sentences.append(whose + model.recovery.text)
    named = ", ".join(curve.full for curve in model.curves)
    if named:
        more = f", and {len(model.rest):,} more" if len(model.rest) else ""
        sentences.append(f"series: {named}{more}")
    if model.empty:
        sentences.append(model.empty)
    return ". ".join(sentences)
