"""Where everything goes: the rows of a picture from top to bottom, in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sloguard.core.arrays import Floats
from sloguard.core.model import Timeline
from sloguard.core.text import format_value
from sloguard.render.charts.lettering import Lettering
from sloguard.render.charts.model import AlertSpan, ChartModel
from sloguard.render.charts.scale import ValueAxis, value_axis

PAD = 18.0
TITLE, TEXT, SMALL, TINY = 17.0, 12.5, 11.0, 10.0
LANES = 4
_LINE = 17.0
_ROW = 18.0


@dataclass(frozen=True, slots=True)
class Label:
    """A name at the right edge, with what stands behind it and the line below it."""

    name: str
    value: str
    note: str

    @property
    def height(self) -> float:
        """In pixels."""
        return 28.0 if self.note else 16.0


@dataclass(frozen=True, slots=True)
class Layout:
    """All rows. ``head`` is the top of the phase strip; rows that are not needed are None."""

    width: float
    height: float
    left: float
    right: float
    reason: tuple[str, ...]
    head: float
    marks: float
    breach: float | None
    recovery: float | None
    top: float
    bottom: float
    lane: float | None
    ticks: float
    offsets: float
    alerts: tuple[float, ...]
    legend: float
    queries: tuple[float, ...]
    labels: tuple[Label, ...]
    axis: ValueAxis
    _start: float
    _scale: float

    def x(self, time: float) -> float:
        """A moment, kept inside the plot."""
        return float(min(max(self.xs(np.array([time]))[0], self.left), self.right))

    def xs(self, times: Floats) -> Floats:
        """Moments."""
        return np.asarray(self.left + (times - self._start) * self._scale)

    def ys(self, values: Floats) -> Floats:
        """Values; what is beyond the axis lies on its edge."""
        return np.asarray(self.bottom - self.axis.place(values) * (self.bottom - self.top))

    def y(self, value: float) -> float:
        """One value."""
        return float(self.ys(np.array([value]))[0])


def layout_of(
    model: ChartModel, size: tuple[int, int], lettering: Lettering, legend_rows: int
) -> Layout:
    """Measure the texts, give each row its place, and the plot what is left."""
    width, height = (float(s) for s in size)
    reason = tuple(lettering.wrap(model.reason, width - 2 * PAD, TEXT, 3 if height >= 420 else 2))
    head = PAD + 28 + _LINE * len(reason) + 8
    cursor = head + 22
    breach = cursor if model.deviation else None
    cursor += _ROW if breach is not None else 0
    recovery = cursor if model.recovery else None
    cursor += _ROW if recovery is not None else 0
    marks = cursor
    top = marks + _ROW + 4

    below = height - 12
    queries = _upwards(below, 14.0, len(model.queries) if height >= 420 else 0)
    below -= 14.0 * len(queries) + 4
    legend = below - _ROW * legend_rows
    below = legend - 6
    rows = min(len(lanes_of(model.alerts, model.timeline)), LANES)
    alerts = _upwards(below, 17.0, rows)
    below -= 17.0 * rows + (6 if rows else 0)
    offsets, ticks = below - 9, below - 26
    lane = ticks - 22 if _has_lane(model) else None
    bottom = ticks - (26 if lane is not None else 10)

    bounds = [v for phase in model.phases for level in phase.levels for v in level.values]
    baselines = [c.baseline for c in model.curves if c.baseline is not None]
    axis = value_axis(
        [*(c.values for c in model.curves), model.rest],
        [*bounds, *baselines],
        model.unit,
        max(2, int((bottom - top) / 52)),
    )
    labels = _labels(model, lettering, width)
    left = PAD + max([64.0, *(lettering.width(t, SMALL) + 10 for _, t in axis.ticks)])
    right = width - PAD - _column(labels, model, lettering)
    start, end = _window(model.timeline)
    return Layout(
        *(width, height, left, right, reason, head, marks, breach, recovery, top, bottom, lane),
        *(ticks, offsets, alerts, legend, queries, labels, axis, start),
        (right - left) / (end - start),
    )


def _window(timeline: Timeline) -> tuple[float, float]:
    """The window; a second around a moment, so that there is something to draw on."""
    if timeline.end > timeline.start:
        return timeline.start, timeline.end
    return timeline.start - 0.5, timeline.end + 0.5


def _upwards(bottom: float, row: float, count: int) -> tuple[float, ...]:
    """The middles of ``count`` rows that end at ``bottom``, first one on top."""
    return tuple(bottom - row * (count - i) + row / 2 for i in range(count))


def _has_lane(model: ChartModel) -> bool:
    return any(c.gap.any() or c.idle.any() for c in model.curves)


def _labels(model: ChartModel, lettering: Lettering, width: float) -> tuple[Label, ...]:
    if len(model.curves) == 1 and not model.legend:
        only = model.curves[0]
        return (_label(only.name, None, only.note, model, lettering, width),) if only.name else ()
    return tuple(_label(c.name, c.worst, c.note, model, lettering, width) for c in model.curves)


def _label(
    name: str,
    worst: float | None,
    note: str,
    model: ChartModel,
    lettering: Lettering,
    width: float,
) -> Label:
    value = "" if worst is None else format_value(worst, model.unit)
    value = lettering.fit(value, 0.08 * width, SMALL)
    room = 0.19 * width - lettering.width(value, SMALL)
    return Label(lettering.fit(name, room, SMALL), value, lettering.fit(note, 0.19 * width, TINY))


def _column(labels: Sequence[Label], model: ChartModel, lettering: Lettering) -> float:
    """The width of the names at the right edge."""
    if not labels:
        return 6.0
    widths = [
        max(
            lettering.width(f"✗ {label.name}  {label.value}", SMALL),
            lettering.width(label.note, TINY),
        )
        for label in labels
    ]
    if len(model.rest):
        widths.append(lettering.width("+10,000 more", SMALL))
    return max(widths) + 26


def lanes_of(alerts: Sequence[AlertSpan], timeline: Timeline) -> list[list[AlertSpan]]:
    """Alerts that touch the window, in rows: one alert of a name after another shares its row."""
    lanes: dict[str, list[list[AlertSpan]]] = {}
    for alert in alerts:
        end = timeline.end if alert.end is None else alert.end
        if end < timeline.start or alert.start > timeline.end:
            continue
        rows = lanes.setdefault(alert.name, [])
        free = next((r for r in rows if r[-1].end is not None and r[-1].end <= alert.start), None)
        if free is None:
            rows.append([alert])
        else:
            free.append(alert)
    return [row for rows in lanes.values() for row in rows]
