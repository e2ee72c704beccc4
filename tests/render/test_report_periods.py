"""Weeks and windows by the calendar: ISO years, week 53, clocks that change, time zones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloguard.render.report import ReportError
from sloguard.render.report.period import (
    before,
    earlier,
    last_whole_week,
    local,
    week,
    week_at,
    window,
)

HOUR = 3600.0


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_a_week_begins_on_monday_at_local_midnight() -> None:
    found = week("2026-W47", "Europe/Berlin")
    assert found.start == at("2026-11-16T00:00:00+01:00")
    assert found.end == at("2026-11-23T00:00:00+01:00")
    assert (found.name, found.label) == ("2026-W47", "16 to 22 November 2026")
    assert week("2026W47", "Europe/Berlin") == found


@pytest.mark.parametrize(
    ("name", "zone", "hours"),
    [
        ("2026-W13", "Europe/Berlin", 167),
        ("2026-W43", "Europe/Berlin", 169),
        ("2026-W43", "UTC", 168),
        ("2026-W10", "America/New_York", 167),
        # Half an hour, and on another day of the year.
        ("2026-W14", "Australia/Lord_Howe", 168.5),
    ],
)
def test_a_week_is_as_long_as_its_clocks_say(name: str, zone: str, hours: float) -> None:
    found = week(name, zone)
    assert (found.end - found.start) / HOUR == hours
    # What comes before it ends where it begins: nothing is counted twice, nothing is left out.
    assert earlier(found).end == found.start


def test_a_year_may_have_53_weeks() -> None:
    found = week("2026-W53")
    assert found.label == "28 December 2026 to 3 January 2027"
    assert earlier(week("2027-W01")).name == "2026-W53"
    with pytest.raises(ReportError, match="2025 has weeks 1 to 52"):
        week("2025-W53")


@pytest.mark.parametrize("text", ["2026-W00", "2026-W54", "W47", "2026-47", "next", "0000-W01", ""])
def test_what_is_no_week_is_said_so(text: str) -> None:
    with pytest.raises(ReportError):
        week(text)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "", "/etc/localtime", "a\0b"])
def test_what_is_no_zone_is_said_so(zone: str) -> None:
    with pytest.raises(ReportError, match="time zone"):
        week("2026-W47", zone)


def test_the_last_whole_week_depends_on_where_one_is() -> None:
    monday = at("2026-11-23T04:30:00+00:00")
    assert last_whole_week(monday, "UTC").name == "2026-W47"
    # There it is still Sunday.
    assert last_whole_week(monday, "America/New_York").name == "2026-W46"
    assert week_at(monday, "America/New_York").name == "2026-W47"


def test_windows_are_named_by_what_they_are() -> None:
    zone = "Europe/Berlin"
    monday = at("2026-11-16T00:00:00+01:00")
    assert window(monday, monday + 7 * 24 * HOUR, zone) == week("2026-W47", zone)
    two_days = window(monday, monday + 48 * HOUR, zone)
    assert (two_days.name, two_days.days) == ("2026-11-16 to 2026-11-17", 2)
    assert earlier(two_days).name == "2026-11-14 to 2026-11-15"
    day = window(monday, monday + 24 * HOUR, zone)
    assert (day.name, day.label) == ("2026-11-16", "16 November 2026")
    any_time = window(monday + 60, monday + 7260, zone)
    assert any_time.name == "2026-11-16 00:01 to 2026-11-16 02:01"
    assert earlier(any_time).start == monday + 60 - 7200
    with pytest.raises(ReportError, match="ends before"):
        window(monday, monday, zone)


def test_a_month_before_a_month_is_as_many_days() -> None:
    zone = "Europe/Berlin"
    november = window(at("2026-11-01T00:00:00+01:00"), at("2026-12-01T00:00:00+01:00"), zone)
    # The clocks went back meanwhile, and the border is midnight all the same.
    assert local(earlier(november).start, zone) == "2026-10-02 00:00"


@given(
    st.datetimes(datetime(2000, 1, 3), datetime(2037, 12, 1)),
    st.sampled_from(
        ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "Africa/Cairo"]
    ),
)
def test_every_moment_is_in_exactly_one_week(moment: datetime, zone: str) -> None:
    now = moment.replace(tzinfo=UTC).timestamp()
    found = week_at(now, zone)
    assert found.holds(now)
    assert not earlier(found).holds(now)
    assert week(found.name, zone) == found
    iso = datetime.fromtimestamp(now, ZoneInfo(zone)).isocalendar()
    assert found.name == f"{iso.year}-W{iso.week:02d}"
    chain = before(found, 4)
    assert [a.end for a in chain[:-1]] == [b.start for b in chain[1:]]
    assert all(timedelta(days=6.9) < timedelta(seconds=p.end - p.start) for p in chain)
