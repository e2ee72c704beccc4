"""What stands below the axis: alerts, what the signs mean, and the queries as sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sloguard.core.text import format_duration
from sloguard.render.charts.canvas import Canvas, Part
from sloguard.render.charts.frame import fits_its_phase
from sloguard.render.charts.layout import LANES, PAD, TINY, Layout, lanes_of
from sloguard.render.charts.lettering import Lettering
from sloguard.render.charts.model import AlertSpan, ChartModel
from sloguard.render.charts.scale import beyond
from sloguard.render.charts.style import Style

Swatch = Literal[
    "none", "bound", "breach", "excused", "baseline", "gap", "away", "idle", "beyond", "worst"
]
_SWATCH, _BETWEEN = 20.0, 18.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A sign and what it means."""

    swatch: Swatch
    text: str


def entries_of(model: ChartModel, width: float, lettering: Lettering) -> list[Entry]:
    """Only what the picture shows needs a word."""
    levels = [level for phase in model.phases for level in phase.levels]
    made = [Entry("bound", "objective")] if levels else []
    made += [
        Entry("none", f"{phase.name}: {phase.objective}")
        for phase in model.phases
        if phase.objective
        and phase.end > phase.start
        and not fits_its_phase(model, phase, width, lettering)
    ]
    if any(curve.baseline is not None for curve in model.curves):
        made.append(Entry("baseline", "baseline"))
    if model.deviation:
        made.append(Entry("breach", "in breach"))
        if model.deviation.worst is not None:
            made.append(Entry("worst", "worst"))
    if any(bool(side.any()) for curve in model.curves for side in beyond(curve.values)):
        made.append(Entry("beyond", "infinite"))
    if model.excused:
        made.append(Entry("excused", model.excused.text))
    if any(curve.gap.any() for curve in model.curves):
        made.append(Entry("gap", "no data"))
    if any(curve.idle.any() for curve in model.curves):
        made.append(Entry("idle", "idle: nothing happened"))
    if model.away:
        away = sum(span.end - span.start for span in model.away)
        made.append(Entry("away", f"Prometheus was away ({format_duration(away)})"))
    made.extend(Entry("none", fact) for fact in model.facts)
    return made


def rows_of(entries: Sequence[Entry], room: float, lettering: Lettering) -> list[list[Entry]]:
    """The entries in rows that fit."""
    rows: list[list[Entry]] = []
    used = room
    for entry in entries:
        text = lettering.fit(entry.text, room - _SWATCH, TINY)
        width = lettering.width(text, TINY) + _space(entry) + _BETWEEN
        if used + width - _BETWEEN > room or not rows:
            rows.append([])
            used = 0.0
        rows[-1].append(Entry(entry.swatch, text))
        used += width
    return rows


def _space(entry: Entry) -> float:
    return 0.0 if entry.swatch == "none" else _SWATCH


def paint_foot(
    canvas: Canvas,
    model: ChartModel,
    layout: Layout,
    style: Style,
    rows: Sequence[Sequence[Entry]],
) -> None:
    """The legend, then the queries."""
    for i, row in enumerate(rows):
        x, middle = PAD, layout.legend + 18 * i + 9
        for entry in row:
            _paint_swatch(canvas, entry.swatch, x, middle, style)
            x += _space(entry)
            canvas.text(x, middle, entry.text, TINY, style.muted)
            x += canvas.lettering.width(entry.text, TINY) + _BETWEEN
    for (role, query), middle in zip(model.queries, layout.queries, strict=False):
        canvas.text(PAD, middle, role, TINY, style.muted)
        room = layout.width - 2 * PAD - 46
        text = canvas.lettering.fit(" ".join(query.split()), room, TINY, "mono")
        canvas.text(PAD + 46, middle, text, TINY, style.muted, face="mono", part=Part("query"))


def _paint_swatch(canvas: Canvas, kind: Swatch, x: float, middle: float, style: Style) -> None:
    if kind in ("bound", "baseline"):
        dash = (5.0, 2.0) if kind == "bound" else (1.2, 3.0)
        colour = style.bound if kind == "bound" else style.ink
        canvas.line([x, x + 15], [middle] * 2, colour, 1.6, dash)
    elif kind in ("breach", "excused"):
        fill = style.breach if kind == "breach" else style.excused
        canvas.rect(x, middle - 4, 15, 8, fill, alpha=0.45)
    elif kind in ("gap", "away"):
        hatch = "/////" if kind == "gap" else "xxxx"
        canvas.rect(x, middle - 4, 15, 8, edge=style.muted, hatch=hatch)
    elif kind in ("idle", "worst"):
        colour, size = (style.muted, 4.5) if kind == "idle" else (style.breach, 8.0)
        canvas.marks([x + 8], [middle], "o", size, colour, hollow=style.background)
    elif kind == "beyond":
        canvas.marks([x + 8], [middle], "^", 8.0, style.ink)


def paint_alerts(canvas: Canvas, model: ChartModel, layout: Layout, style: Style) -> None:
    """A row for each alert, under the axis of time."""
    rows = lanes_of(model.alerts, model.timeline)
    if not rows:
        return
    for i, (row, middle) in enumerate(zip(rows, layout.alerts, strict=False)):
        over = len(rows) - LANES
        name = canvas.lettering.clean(row[0].name)
        if any(alert.expected for alert in row):
            name += " (expected)"
        if i == LANES - 1 and over > 0:
            name += f" (+{over} more alerts)"
        for alert in row:
            x1 = _paint_alert(canvas, alert, middle, model, layout, style)
        width = canvas.lettering.width(name, TINY)
        first = layout.x(row[0].start)
        x = x1 + 6 if x1 + 6 + width < layout.width - 4 else first - 6 - width
        if x < PAD:
            x = max(first + 5, layout.left)
            canvas.rect(x - 3, middle - 6, width + 6, 12, style.background, alpha=0.85)
        canvas.text(x, middle, name, TINY, style.ink, part=Part("alert-name"))
    canvas.text(PAD, layout.alerts[0], "alerts", TINY, style.muted)


def _paint_alert(
    canvas: Canvas,
    alert: AlertSpan,
    middle: float,
    model: ChartModel,
    layout: Layout,
    style: Style,
) -> float:
    end = model.timeline.end if alert.end is None else alert.end
    x0, x1 = layout.x(alert.start), layout.x(end)
    x1 = max(x1, x0 + 3)
    part = Part("alert", f"{alert.name} {'firing' if alert.firing else 'pending'}")
    if alert.firing:
        canvas.rect(x0, middle - 5, x1 - x0, 10, style.bound, part=part)
        if alert.expected:
            canvas.rect(x0, middle - 5, x1 - x0, 10, edge=style.ink)
    else:
        canvas.rect(x0, middle - 5, x1 - x0, 10, edge=style.bound, hatch="////", part=part)
    return x1
