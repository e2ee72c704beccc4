"""The pictures of a periodic report: SVG on the charts' own canvas, to be told apart without colours.

They are 680 CSS pixels wide, as wide as the text of a sheet of A4.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sloguard.core.text import format_duration, format_value
from sloguard.render.charts.backend import drawing, svg_bytes
from sloguard.render.charts.canvas import Canvas, segments
from sloguard.render.charts.lettering import Lettering
from sloguard.render.charts.style import STYLES
from sloguard.render.charts.svg import finished

Row = Mapping[str, Any]
WIDTH = 680.0
_STYLE = STYLES["light"]
_TEXT, _SMALL = 11.5, 10.5
#: Fill and hatch of each outcome: from light (met) to black (something was left behind).
LOOKS: dict[str, tuple[str, str]] = {
    "met": ("#dcefe6", ""),
    "deviated": ("#b34700", ""),
    "inconclusive": ("#fbf3d3", "////"),
    "not-started": ("#ffffff", "...."),
    "aborted": ("#e9dcf1", "xxxx"),
    "not-restored": ("#1b1f24", ""),
}
_EDGE = "#454d56"
#: So many services are drawn; the table has them all.
MOST_LINES = 6


class _Sheet:
    """A canvas with a few words of its own."""

    def __init__(self, height: float) -> None:
        self.lettering = Lettering(keep=True)
        self.canvas = Canvas(WIDTH, height, _STYLE.background, self.lettering)

    def text(self, x: float, y: float, text: str, room: float, **more: Any) -> None:
        size = more.pop("size", _TEXT)
        colour = more.pop("colour", _STYLE.ink)
        shown = self.lettering.fit(text, room, size, more.get("face", "regular"))
        self.canvas.text(x, y, shown, size, colour, **more)

    def box(self, x: float, y: float, width: float, height: float, look: tuple[str, str]) -> None:
        fill, hatch = look
        self.canvas.rect(x, y, width, height, fill)
        if hatch:
            self.canvas.rect(x, y, width, height, edge=_EDGE, hatch=hatch)
        self.canvas.rect(x, y, width, height, edge=_EDGE)

    def svg(self, title: str, told: str) -> str:
        raw = svg_bytes(self.canvas.figure)
        made = finished(raw, self.canvas.parts, title, told, self.lettering)
        self.canvas.figure.clear()
        return made.decode()


def short_name(period: Row) -> str:
    """'W47' of a week; the first day of anything else."""
    name = str(period["name"])
    return name.partition("-")[2] if "-W" in name else str(period["start"])[5:10]


def outcomes_picture(periods: Sequence[Row]) -> str:
    """Runs of each period by outcome, one bar a period, and the share in which the steady state held."""
    with drawing():
        return _outcomes(periods)


def _outcomes(periods: Sequence[Row]) -> str:
    sheet, top, bottom = _Sheet(210), 22.0, 150.0
    most = max([*(p["total"] for p in periods), 1])
    slot = (WIDTH - 16) / len(periods)
    width = min(56.0, slot * 0.7)
    sheet.canvas.lines(segments((8, bottom, WIDTH - 8, bottom)), _STYLE.frame)
    for index, period in enumerate(periods):
        middle = 8 + slot * (index + 0.5)
        y = bottom
        for outcome, look in LOOKS.items():
            count = period["outcomes"].get(outcome, 0)
            height = count / most * (bottom - top)
            if count:
                y -= height
                sheet.box(middle - width / 2, y, width, height, look)
                dark = outcome in ("deviated", "not-restored")
                if height >= 13 and not look[1]:
                    ink = "#ffffff" if dark else _STYLE.ink
                    sheet.text(middle, y + height / 2, str(count), width, colour=ink, anchor="center", size=_SMALL)  # fmt: skip
        last = index == len(periods) - 1
        face = "bold" if last else "regular"
        sheet.text(middle, y - 9, f"{period['total']:,}", slot, anchor="center", face=face)
        sheet.text(middle, bottom + 12, short_name(period), slot, anchor="center", face=face)
        if period["held_share"] is not None:
            held = f"{format_value(period['held_share'], '%')} held"
            sheet.text(middle, bottom + 27, held, slot - 2, anchor="center", size=_SMALL, colour=_STYLE.muted)  # fmt: skip
    _legend(sheet, 200.0)
    told = "; ".join(
        f"{p['name']}: {p['total']} runs"
        + "".join(f", {count} {name}" for name, count in p["outcomes"].items() if count)
        for p in periods
    )
    return sheet.svg("Runs by outcome", told)


def _legend(sheet: _Sheet, y: float) -> None:
    x = 8.0
    for outcome, look in LOOKS.items():
        sheet.box(x, y - 5, 14, 10, look)
        sheet.text(x + 19, y, outcome, 110, size=_SMALL)
        x += 19 + sheet.lettering.width(outcome, _SMALL) + 18


_MARKERS = ("o", "s", "^", "D", "v", "P")
_DASHES = (None, (6.0, 3.0), (2.0, 2.0), (8.0, 2.0, 2.0, 2.0), (10.0, 4.0), (1.0, 3.0))


def lines_picture(periods: Sequence[Row], rows: Sequence[Row], title: str, *, unit: str) -> str:
    """Of each service (``service``, ``periods``) a line over the periods; ``unit`` s or %."""
    with drawing():
        return _lines(periods, [r for r in rows if any(r["periods"])][:MOST_LINES], title, unit)


def _written(value: float, unit: str) -> str:
    return format_value(value, "%") if unit == "%" else format_duration(round(value))


def _lines(periods: Sequence[Row], rows: Sequence[Row], title: str, unit: str) -> str:
    sheet, top, bottom, left, right = _Sheet(196), 14.0, 164.0, 58.0, WIDTH - 150.0
    highest = max((v for r in rows for v in r["periods"] if v), default=1.0)
    step = _round_step(highest / 3, unit)
    highest = math.ceil(highest / step) * step
    for k in range(round(highest / step) + 1):
        y = bottom - (bottom - top) * k * step / highest
        sheet.canvas.lines(segments((left, y, right, y)), _STYLE.grid if k else _STYLE.frame)
        label = _written(k * step, unit) if k else "0"
        sheet.text(left - 7, y, label, left - 8, size=_SMALL, anchor="right", colour=_STYLE.muted)
    gap = (right - left - 28) / max(len(periods) - 1, 1)
    xs = [left + 14 + gap * index for index in range(len(periods))]
    if len(periods) == 1:
        xs = [(left + right) / 2]
    for x, period in zip(xs, periods, strict=True):
        sheet.text(x, bottom + 13, short_name(period), max(gap, 40), size=_SMALL, anchor="center")
    ends: list[tuple[float, str, int]] = []
    for number, row in enumerate(rows):
        colour = _STYLE.series[number % len(_STYLE.series)]
        ys = [
            math.nan if v is None else bottom - (bottom - top) * v / highest for v in row["periods"]
        ]
        sheet.canvas.line(xs, ys, colour, 1.8, _DASHES[number % len(_DASHES)])
        known = [(x, y) for x, y in zip(xs, ys, strict=True) if not math.isnan(y)]
        sheet.canvas.marks(
            [x for x, _ in known],
            [y for _, y in known],
            _MARKERS[number % len(_MARKERS)],
            6.5,
            colour,
            hollow=_STYLE.background if number % 2 else None,
        )
        ends.append((known[-1][1], str(row["service"] or "no service label"), number))
    _names(sheet, ends, right + 16, top, bottom)
    if not rows:
        sheet.text((left + right) / 2, (top + bottom) / 2, "nothing to show", 300, anchor="center")
    told = "; ".join(
        f"{r['service'] or 'no service label'}: "
        + ", ".join("none" if v is None else _written(v, unit) for v in r["periods"])
        for r in rows
    )
    return sheet.svg(title, told)


def _names(
    sheet: _Sheet, ends: Sequence[tuple[float, str, int]], x: float, top: float, bottom: float
) -> None:
    """Beside the ends of the lines, in their order, none over another."""
    taken = top - 8
    room = 16.0
    for index, (y, name, number) in enumerate(sorted(ends)):
        left_over = (len(ends) - index - 1) * room
        y = min(max(y, taken + room), bottom + 8 - left_over)
        taken = y
        colour = _STYLE.series[number % len(_STYLE.series)]
        dash = _DASHES[number % len(_DASHES)]
        sheet.canvas.line([x, x + 24], [y, y], colour, 1.8, dash)
        hollow = _STYLE.background if number % 2 else None
        sheet.canvas.marks([x + 12], [y], _MARKERS[number % len(_MARKERS)], 6.0, colour, hollow=hollow)  # fmt: skip
        sheet.text(x + 30, y, name, WIDTH - x - 34)


def _round_step(rough: float, unit: str) -> float:
    if unit == "s":
        steps = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400)
        return float(next((s for s in steps if s >= rough), 86400 * math.ceil(rough / 86400)))
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 1.0
    return next(f * power for f in (1.0, 2.0, 5.0, 10.0) if f * power >= rough * (1 - 1e-9))


def bars_picture(rows: Sequence[Row]) -> str:
    """What chaos spent of error budgets: a bar a service and SLO, with what it spent on average before."""
    with drawing():
        return _bars(rows[:8])


def _bars(rows: Sequence[Row]) -> str:
    sheet, room = _Sheet(34 + 26.0 * max(len(rows), 1)), 26.0
    left, right = 210.0, WIDTH - 78.0
    most = max([*(max(r["spent"], r["before_mean"] or 0) for r in rows), 1e-12])
    for index, row in enumerate(rows):
        y = 8 + room * (index + 0.5)
        name = f"{row['service'] or 'no service label'}: {row['slo']}"
        sheet.text(left - 10, y, name, left - 14, anchor="right")
        width = (right - left) * row["spent"] / most
        end = width
        sheet.box(left, y - 8, max(width, 0.5), 16, ("#b34700", "") if index == 0 else ("#e3a878", ""))  # fmt: skip
        if row["before_mean"] is not None:
            mark = left + (right - left) * row["before_mean"] / most
            sheet.canvas.lines(segments((mark, y - 11, mark, y + 11)), _STYLE.ink, 2.4)
            # The number stands behind the mark only where the mark would go through it.
            if width <= mark - left < width + 64:
                end = mark - left
        text = ("≥ " if row["at_least"] else "") + format_value(row["spent"], "%")
        sheet.text(left + end + 7, y, text, WIDTH - left - end - 8, face="bold")
    y = 8 + room * len(rows) + 14
    sheet.canvas.lines(segments((left, y - 7, left, y + 7)), _STYLE.ink, 2.4)
    sheet.text(left + 8, y, "mean of the periods before", 300, size=_SMALL, colour=_STYLE.muted)
    told = "; ".join(f"{r['service']} {r['slo']}: {format_value(r['spent'], '%')}" for r in rows)
    return sheet.svg("Error budget spent by chaos", told)
