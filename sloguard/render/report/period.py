"""Of which time a report is: an ISO week in a time zone, or any window, and the ones before it.

Borders are local midnights: a week in which the clocks change has 167 or 169 hours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sloguard.render.report import ReportError

_WEEK = re.compile(r"(\d{4})-?W(\d{1,2})", re.IGNORECASE)
#: Where all calendars of this machine agree on what a day is: seconds since the epoch.
_FIRST, _LAST = 0.0, datetime(9000, 1, 1, tzinfo=UTC).timestamp()
#: Nobody needs more weeks side by side on paper.
MOST_WEEKS = 26


@dataclass(frozen=True, slots=True)
class Period:
    """[start, end) in seconds since the epoch. ``days``: whole local days, or 0 where borders are no midnights."""

    start: float
    end: float
    name: str
    zone: str
    days: int = 0

    def holds(self, at: float) -> bool:
        """Whether this moment is inside."""
        return self.start <= at < self.end

    @property
    def label(self) -> str:
        """'16 to 22 November 2026', in its own zone; with times where it is no whole days."""
        zone = zone_of(self.zone)
        first = datetime.fromtimestamp(self.start, zone)
        if not self.days:
            last = datetime.fromtimestamp(self.end, zone)
            return f"{_day(first)} {first:%H:%M} to {_day(last)} {last:%H:%M}"
        last = datetime.fromtimestamp(self.end - 1, zone)
        if first.date() == last.date():
            return _day(first)
        if (first.year, first.month) == (last.year, last.month):
            return f"{first.day} to {_day(last)}"
        start = f"{first.day} {first:%B}" if first.year == last.year else _day(first)
        return f"{start} to {_day(last)}"

    @property
    def is_week(self) -> bool:
        """Whether it is an ISO week."""
        return _WEEK.fullmatch(self.name) is not None


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"


def zone_of(name: str) -> ZoneInfo:
    """A time zone of the IANA database; raises ReportError."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ReportError(
            f"there is no time zone '{name}'; expected a name such as Europe/Berlin or UTC"
        ) from error


def week(text: str, zone: str = "UTC") -> Period:
    """``2026-W47``; raises ReportError for weeks that there are not."""
    found = _WEEK.fullmatch(text.strip())
    if found is None:
        raise ReportError(f"'{text}' is no week; expected an ISO week such as 2026-W47")
    year, number = int(found[1]), int(found[2])
    zone_of(zone)
    if not 1970 < year < 9000:
        raise ReportError(f"there is no run in {year}; expected a year from 1971 to 8999")
    try:
        return _week_of(date.fromisocalendar(year, number, 1), zone)
    except ReportError:
        raise
    except (ValueError, OverflowError) as error:
        last = 53 if _has_53(year) else 52
        raise ReportError(f"there is no week {text}: {year} has weeks 1 to {last}") from error


def _has_53(year: int) -> bool:
    return 1 < year < 9999 and date(year, 12, 28).isocalendar().week == 53


def week_at(at: float, zone: str = "UTC") -> Period:
    """The ISO week of a moment."""
    today = datetime.fromtimestamp(at, zone_of(zone)).date()
    return _week_of(today - timedelta(days=today.weekday()), zone)


def last_whole_week(now: float, zone: str = "UTC") -> Period:
    """The ISO week that ended last."""
    return earlier(week_at(now, zone))


def _week_of(monday: date, zone: str) -> Period:
    year, number, _ = monday.isocalendar()
    start, end = _midnight(monday, zone), _midnight(monday + timedelta(days=7), zone)
    return Period(start, end, f"{year}-W{number:02d}", zone, 7)


def window(start: float, end: float, zone: str = "UTC") -> Period:
    """Any window; raises ReportError for one that ends before it starts."""
    if end <= start:
        raise ReportError("the window ends before it starts: --until has to be later than --since")
    if start < _FIRST or end > _LAST:
        raise ReportError(
            "a window lies between the years 1970 and 9000; nothing was run elsewhere"
        )
    place = zone_of(zone)
    first, last = (datetime.fromtimestamp(at, place) for at in (start, end))
    days = (last.date() - first.date()).days
    whole = days > 0 and first.time() == last.time() == datetime.min.time()
    if not whole:
        shown = (moment.strftime("%Y-%m-%d %H:%M") for moment in (first, last))
        return Period(start, end, " to ".join(shown), zone)
    if days == 7 and first.weekday() == 0:
        return _week_of(first.date(), zone)
    until = last.date() - timedelta(days=1)
    name = str(first.date()) if days == 1 else f"{first.date()} to {until}"
    return Period(start, end, name, zone, days)


def earlier(period: Period) -> Period:
    """The one before, equally long by the calendar."""
    if not period.days:
        length = period.end - period.start
        return window(period.start - length, period.start, period.zone)
    first = datetime.fromtimestamp(period.start, zone_of(period.zone)).date()
    return window(
        _midnight(first - timedelta(days=period.days), period.zone), period.start, period.zone
    )


def before(period: Period, count: int) -> tuple[Period, ...]:
    """So many periods up to this one, oldest first; this one is the last."""
    made = [period]
    while len(made) < min(count, MOST_WEEKS):
        first = made[-1]
        if first.start - (first.end - first.start) < _FIRST + 86400.0:
            break
        made.append(earlier(first))
    return tuple(reversed(made))


def _midnight(day: date, zone: str) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=zone_of(zone)).timestamp()


def local(at: float, zone: str, form: str = "%Y-%m-%d %H:%M") -> str:
    """A moment as people in this zone write it."""
    return datetime.fromtimestamp(at, UTC).astimezone(zone_of(zone)).strftime(form)
