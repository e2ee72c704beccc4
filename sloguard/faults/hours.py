"""When something may happen at all: hours of weekdays in a time zone, holidays left out. Pure."""

from __future__ import annotations

import datetime
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sloguard.core.text import iso_time
from sloguard.faults.base import FaultError

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_KEYS = ("zone", "days", "from", "to", "except")
_DAY = 24 * 60
#: A window that does not come within this many days never comes.
_HORIZON = 800


@dataclass(frozen=True, slots=True)
class Hours:
    """``start`` and ``end`` in minutes from midnight; an ``end`` that is not later is on the next day, and the
    whole window belongs to the day on which it begins."""

    zone: ZoneInfo
    days: frozenset[int]
    start: int
    end: int
    holidays: frozenset[datetime.date]
    text: str

    @classmethod
    def of(cls, given: Any) -> Hours:
        """From an argument: a mapping with zone, days, from, to and except. Raises FaultError."""
        if not isinstance(given, Mapping):
            raise FaultError(f"hours: expected a mapping with {', '.join(_KEYS)}, found {given!r}")
        for key in given:
            if key not in _KEYS:
                near = difflib.get_close_matches(str(key), _KEYS, n=1)
                hint = f"did you mean {near[0]}?" if near else f"expected {', '.join(_KEYS)}"
                raise FaultError(f"hours: there is no {key}; {hint}")
        zone = _zone(given.get("zone", "UTC"))
        days, start = _days(given.get("days", "mon-sun")), _minutes(given.get("from", 0), "from")
        end = _minutes(given.get("to", _DAY), "to")
        shown = ",".join(name for index, name in enumerate(_DAYS) if index in days)
        text = f"{shown} {_clock(start)}-{_clock(end)} {zone.key}"
        return cls(zone, days, start, end, _dates(given.get("except")), text)

    def open(self, at: float) -> bool:
        """Whether it may happen at a time (seconds since the epoch)."""
        here = datetime.datetime.fromtimestamp(at, self.zone)
        minute = here.hour * 60 + here.minute
        today, yesterday = here.date(), here.date() - datetime.timedelta(days=1)
        if self.start < self.end:
            return self._is_day(today) and self.start <= minute < self.end
        return (self._is_day(today) and minute >= self.start) or (
            self._is_day(yesterday) and minute < self.end
        )

    def next(self, at: float) -> float | None:
        """When it may happen next, after a time at which it may not; None if never."""
        day = datetime.datetime.fromtimestamp(at, self.zone).date()
        for _ in range(_HORIZON):
            if self._is_day(day):
                begins = datetime.datetime.combine(
                    day, datetime.time(self.start // 60, self.start % 60), self.zone
                ).timestamp()
                if begins > at:
                    return begins
            day += datetime.timedelta(days=1)
        return None

    def refusal(self, at: float) -> str:
        """Why it may not happen at a time, and when it may next; empty where it may."""
        if self.open(at):
            return ""
        again = self.next(at)
        when = "never again" if again is None else f"next from {self.told(again)}"
        return f"outside of the hours {self.text}: it is {self.told(at)}; {when}"

    def told(self, at: float) -> str:
        """A time there, and in UTC."""
        here = datetime.datetime.fromtimestamp(at, self.zone)
        return f"{_DAYS[here.weekday()]} {here:%Y-%m-%d %H:%M %Z} ({iso_time(float(int(at)))})"

    def _is_day(self, day: datetime.date) -> bool:
        return day.weekday() in self.days and day not in self.holidays


def _zone(name: Any) -> ZoneInfo:
    try:
        return ZoneInfo(str(name))
    except (KeyError, ValueError, OSError) as error:
        raise FaultError(
            f"hours: zone: expected a time zone such as Europe/Berlin, found {name!r}"
        ) from error


def _days(given: Any) -> frozenset[int]:
    """``mon-fri``, ``sat``, ``[mon, wed]``, ``fri-mon``; English names, the first three letters count."""
    texts = given if isinstance(given, list | tuple) else [given]
    words = [word.strip() for text in texts for word in str(text).split(",") if word.strip()]
    found: set[int] = set()
    for word in words:
        first, dash, last = word.partition("-")
        begin = _day(first, word)
        end = _day(last, word) if dash else begin
        found |= {(begin + step) % 7 for step in range((end - begin) % 7 + 1)}
    if not found:
        raise FaultError("hours: days: there is none in it")
    return frozenset(found)


def _day(name: str, whole: str) -> int:
    short = name.strip().lower()[:3]
    if short not in _DAYS:
        raise FaultError(f"hours: days: expected such as mon-fri or sat, found {whole!r}")
    return _DAYS.index(short)


def _minutes(given: Any, name: str) -> int:
    """``"09:00"``; YAML makes 16:30 without quotes a number, which is taken for minutes, too."""
    found = re.fullmatch(r"(\d{1,2}):(\d{2})", str(given).strip())
    if found and int(found[2]) < 60:
        minutes = int(found[1]) * 60 + int(found[2])
    elif isinstance(given, int) and not isinstance(given, bool):
        minutes = given
    else:
        minutes = -1
    most = _DAY if name == "to" else _DAY - 1
    if not 0 <= minutes <= most:
        raise FaultError(
            f'hours: {name}: expected a time of the day such as "09:00", found {given!r}'
        )
    return minutes


def _dates(given: Any) -> frozenset[datetime.date]:
    """Dates, and spans of them as 2026-12-24/2026-12-26."""
    texts = given if isinstance(given, list | tuple) else [] if given is None else [given]
    found: set[datetime.date] = set()
    for text in texts:
        first, slash, last = str(text).partition("/")
        begin = _date(first, text)
        end = _date(last, text) if slash else begin
        if not begin <= end <= begin + datetime.timedelta(days=366):
            raise FaultError(f"hours: except: expected a span of at most a year, found {text}")
        found |= {begin + datetime.timedelta(days=step) for step in range((end - begin).days + 1)}
    return frozenset(found)


def _date(text: str, whole: Any) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text.strip()[:10])
    except ValueError:
        raise FaultError(
            f"hours: except: expected dates such as 2026-12-24, found {whole!r}"
        ) from None


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
