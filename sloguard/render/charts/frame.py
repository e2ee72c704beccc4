"""What stands around the curves: heading, phases, marks and axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sloguard.core.text import format_duration, format_time
from sloguard.render.charts.canvas import Canvas, Part, segments
from sloguard.render.charts.geometry import spread
from sloguard.render.charts.layout import PAD, SMALL, TEXT, TINY, TITLE, Layout
from sloguard.render.charts.lettering import Lettering
from sloguard.render.charts.model import ChartModel, PhaseView
from sloguard.render.charts.style import SIGNS, Style
from sloguard.render.charts.timeaxis import mark_text, offset_ticks, utc_ticks, window_text


def paint_head(canvas: Canvas, model: ChartModel, layout: Layout, style: Style) -> None:
    """The verdict, whose it is, the window, and why."""
    letters, middle = canvas.lettering, PAD + 10
    fill, ink = style.badges[model.verdict]
    word = f"{SIGNS[model.verdict]} {model.verdict}"
    width = letters.width(word, TEXT, "bold") + 18
    canvas.badge(PAD, middle - 11, width, 22, fill)
    canvas.text(PAD + 9, middle, word, TEXT, ink, face="bold", part=Part("verdict"))
    window = window_text(model.timeline.start, model.timeline.end)
    room = layout.width - 2 * PAD
    window_width = letters.width(window, SMALL)
    if window_width < 0.4 * room:
        canvas.text(layout.width - PAD, middle, window, SMALL, style.muted, anchor="right")
        room -= window_width + 16
    x = PAD + width + 10
    name = letters.fit(model.name, PAD + room - x, TITLE, "bold")
    canvas.text(x, middle, name, TITLE, style.ink, face="bold", part=Part("name"))
    x += letters.width(name, TITLE, "bold") + 12
    title = letters.fit(model.title, PAD + room - x, TEXT) if PAD + room - x > 60 else ""
    canvas.text(x, middle, title, TEXT, style.muted)
    for i, line in enumerate(layout.reason):
        canvas.text(PAD, PAD + 36 + 17 * i, line, TEXT, style.ink, part=Part("reason"))


def paint_phases(canvas: Canvas, model: ChartModel, layout: Layout, style: Style) -> None:
    """Three shades from the strip of names down to the axis, and the names."""
    shown = [p for p in model.phases if p.end > p.start]
    for phase in shown:
        x0, x1 = layout.x(phase.start), layout.x(phase.end)
        canvas.rect(
            x0,
            layout.head,
            x1 - x0,
            layout.bottom - layout.head,
            style.phases[phase.name],
            part=Part(f"phase-{phase.name}", _told(phase)),
        )
    _paint_phase_names(canvas, shown, layout, style)


def _told(phase: PhaseView) -> str:
    span = f"{format_time(phase.start)} to {format_time(phase.end)}"
    return f"{phase.name}, {span}: {phase.verdict}"


def _paint_phase_names(
    canvas: Canvas, phases: Sequence[PhaseView], layout: Layout, style: Style
) -> None:
    letters, middle = canvas.lettering, layout.head + 11
    spans = [(layout.x(p.start), layout.x(p.end)) for p in phases]
    texts = [
        next((t for t in _phase_texts(canvas, p) if letters.width(t, SMALL) <= b - a - 10), None)
        or _phase_texts(canvas, p)[-1]
        for p, (a, b) in zip(phases, spans, strict=True)
    ]
    widths = [letters.width(text, SMALL) for text in texts]
    centres = spread([(a + b) / 2 for a, b in spans], widths, layout.left, layout.right, gap=12.0)
    if centres is None:
        return
    for text, centre, (a, b), width in zip(texts, centres, spans, widths, strict=True):
        canvas.text(centre, middle, text, SMALL, style.ink, anchor="center")
        if width > b - a:
            # The name does not stand on its phase: show where that is.
            canvas.line([a, b], [layout.head + 20] * 2, style.ink, 3.0)


def _phase_texts(canvas: Canvas, phase: PhaseView) -> list[str]:
    """What to say of a phase, from everything to the least."""
    sign = SIGNS[phase.verdict]
    short = f"{sign} {phase.name} {format_duration(phase.end - phase.start)}"
    declared = ", ".join(t for t in (phase.objective, phase.tolerated) if t)
    made = [f"{short}: {declared}"] if declared else []
    if phase.objective and phase.tolerated:
        made.append(f"{short}: {phase.objective}")
    return [canvas.lettering.clean(t) for t in (*made, short, f"{sign} {phase.name}")]


def fits_its_phase(model: ChartModel, phase: PhaseView, width: float, lettering: Lettering) -> bool:
    """Whether the strip will have room for the objective; estimated, before the layout is known."""
    whole = max(model.timeline.end - model.timeline.start, 1e-9)
    text = f"✓ {phase.name} {format_duration(phase.end - phase.start)}: {phase.objective}"
    room = (phase.end - phase.start) / whole * 0.76 * width - 10
    return lettering.width(lettering.clean(text), SMALL) <= room


def paint_axes(canvas: Canvas, model: ChartModel, layout: Layout, style: Style) -> None:
    """Grid, values on the left, UTC below, and below that the distance from the fault."""
    start, end = model.timeline.start, model.timeline.end
    count = max(2, int((layout.right - layout.left) / 90))
    utc = utc_ticks(start, end, count)
    values = [(layout.y(v), text) for v, text in layout.axis.ticks]
    grid = [(layout.left, y, layout.right, y) for y, _ in values]
    grid += [(layout.x(t), layout.top, layout.x(t), layout.bottom) for t, _ in utc]
    canvas.lines(segments(*grid), style.grid, 0.8, part=Part("grid"))
    canvas.line([layout.left, layout.right], [layout.bottom] * 2, style.frame, 1.0)
    for y, text in values:
        canvas.text(layout.left - 7, y, text, SMALL, style.muted, anchor="right")
    _paint_ticks(canvas, utc, layout, layout.ticks, style, style.ink)
    offsets = offset_ticks(model.timeline.fault, start, end, count)
    _paint_ticks(canvas, offsets, layout, layout.offsets, style, style.muted)
    for middle, name in ((layout.ticks, "UTC"), (layout.offsets, "from fault")):
        canvas.text(PAD, middle, name, TINY, style.muted)


def _paint_ticks(
    canvas: Canvas,
    ticks: list[tuple[float, str]],
    layout: Layout,
    middle: float,
    style: Style,
    colour: str,
) -> None:
    edge = PAD + canvas.lettering.width("from fault", TINY) + 8
    last = edge
    for time, text in ticks:
        x, half = layout.x(time), canvas.lettering.width(text, SMALL) / 2
        if x - half < last or x + half > layout.width - 4:
            continue
        last = x + half + 8
        canvas.text(x, middle, text, SMALL, colour, anchor="center")
    if middle == layout.ticks:
        drawn = [(layout.x(t), layout.bottom, layout.x(t), layout.bottom + 4) for t, _ in ticks]
        canvas.lines(segments(*drawn), style.frame, 1.0)


def paint_marks(canvas: Canvas, model: ChartModel, layout: Layout, style: Style) -> None:
    """Fault, restored and recovered; the breaches in words; the way back."""
    marks = [("fault", model.timeline.fault, "▼"), ("restored", model.timeline.restored, "▲")]
    recovery = model.recovery
    if recovery and not recovery.never:
        marks.append(("recovered", recovery.end, "◆"))
    letters, dashes = canvas.lettering, {"fault": None, "restored": (6.0, 3.0)}
    texts = [f"{sign} {name} {mark_text(at, model.timeline)}" for name, at, sign in marks]
    widths = [letters.width(text, SMALL, "bold") for text in texts]
    xs = [layout.x(at) for _, at, _ in marks]
    centres = spread(xs, widths, layout.left, layout.right, gap=10.0)
    if centres is None:
        texts = [f"{sign} {name}" for name, _, sign in marks]
        widths = [letters.width(text, SMALL, "bold") for text in texts]
        centres = spread(xs, widths, layout.left, layout.width - 4, gap=6.0) or xs
    for (name, at, _), text, x, centre, width in zip(
        marks, texts, xs, centres, widths, strict=True
    ):
        part = Part(name, f"{name} at {format_time(at)}")
        foot = layout.marks + 17
        canvas.line(
            [x, x], [foot, layout.bottom], style.ink, 1.2, dashes.get(name, (1.5, 2.5)), part=part
        )
        near = min(max(x, centre - width / 2), centre + width / 2)
        if abs(near - x) > 0.5:
            canvas.line([near, x], [foot - 1, foot], style.ink, 0.8)
        canvas.text(centre, layout.marks + 8, text, SMALL, style.ink, anchor="center", face="bold")
    _paint_deviation(canvas, model, layout, style)
    _paint_recovery(canvas, model, layout, style)


def _paint_deviation(canvas: Canvas, model: ChartModel, layout: Layout, style: Style) -> None:
    deviation, row = model.deviation, layout.breach
    if deviation is None or row is None:
        return
    middle = row + 9
    spans = [(layout.x(run.start), layout.x(run.end)) for run in deviation.runs]
    bars = [(a, max(b, a + 2)) for a, b in spans]
    boxes = [
        np.array([[a, middle - 3], [b, middle - 3], [b, middle + 3], [a, middle + 3]])
        for a, b in bars
    ]
    canvas.polygons(boxes, style.breach, part=Part("breach", deviation.text))
    whose = model.curves[deviation.curve].name if len(model.curves) > 1 else ""
    texts = _texts(canvas, whose, deviation.text, deviation.brief)
    _beside(canvas, texts, bars, middle, layout, style)


def _paint_recovery(canvas: Canvas, model: ChartModel, layout: Layout, style: Style) -> None:
    recovery, row = model.recovery, layout.recovery
    if recovery is None or row is None:
        return
    middle, x0, x1 = row + 9, layout.x(recovery.start), layout.x(recovery.end)
    dash = (4.0, 3.0) if recovery.never else None
    canvas.line([x0, x1], [middle] * 2, style.ink, 1.5, dash, part=Part("recovery", recovery.text))
    tips = ([x1], ">") if recovery.never else ([x0, x1], "|")
    canvas.marks(tips[0], [middle] * len(tips[0]), tips[1], 8, style.ink, hollow=style.ink)
    until = x1
    if recovery.deadline is not None and recovery.deadline <= model.timeline.end:
        at = layout.x(recovery.deadline)
        canvas.line(
            [at, at], [row + 2, row + 16], style.bound, 2.0, part=Part("deadline", "recover_within")
        )
        until = max(until, at)
    texts = _texts(canvas, recovery.whose, recovery.text, recovery.brief)
    _beside(canvas, texts, [(x0, until)], middle, layout, style)


def _texts(canvas: Canvas, whose: str, text: str, brief: str) -> list[str]:
    """What to say, from everything to the least."""
    letters = canvas.lettering
    name = f"{letters.fit(whose, 0.14 * canvas.width, SMALL)}: " if whose else ""
    long, short = letters.clean(text), letters.clean(brief)
    return [name + long, name + short, short]


def _beside(
    canvas: Canvas,
    texts: Sequence[str],
    spans: Sequence[tuple[float, float]],
    middle: float,
    layout: Layout,
    style: Style,
) -> None:
    """The first text that fits into its row without hiding a span; else the last, where it hides least."""
    best: tuple[float, float, str, float] | None = None
    for text in texts:
        shown = canvas.lettering.shorten(text, layout.right - layout.left - 8, SMALL)
        width = canvas.lettering.width(shown, SMALL)
        x, hidden = _place(width, spans, layout)
        if best is None or hidden < best[0] or (hidden > 0 and width < best[3]):
            best = (hidden, x, shown, width)
        if hidden == 0:
            break
    if best is None:
        return
    hidden, x, shown, width = best
    if hidden > 0:
        canvas.rect(x - 4, middle - 7, width + 8, 14, style.background, alpha=0.88)
    canvas.text(x, middle, shown, SMALL, style.ink)


def _place(
    width: float, spans: Sequence[tuple[float, float]], layout: Layout
) -> tuple[float, float]:
    """Where a text of this width hides the least of these spans, and how much it hides."""
    low, high = layout.left + 4, max(layout.right - width - 4, layout.left + 4)
    after, before = spans[-1][1] + 8, spans[0][0] - 8 - width
    places = [after, before, *(b + 8 for _, b in spans), *(a - 8 - width for a, _ in spans)]
    places = [p for p in places if low <= p <= high] or [min(max(after, low), high)]

    def hidden(x: float) -> float:
        return sum(max(0.0, min(b, x + width) - max(a, x)) for a, b in spans)

    x = min(places, key=hidden)
    return x, hidden(x)
