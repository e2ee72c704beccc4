"""Burn rates: the workbook's numbers, other periods, and what can never fire."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sloguard.core.burning import DAY, HOUR, WORKBOOK, burns, windows
from sloguard.core.service_levels import complement

PERIODS = st.integers(1, 400).map(lambda days: days * DAY)
TARGETS = st.floats(0.01, 0.99999)


def test_thirty_days_give_the_numbers_of_the_workbook() -> None:
    found = burns(30 * DAY, complement(0.999))
    assert [(b.severity, b.factor, b.long, b.short) for b in found.alerts] == [
        ("page", 14.4, HOUR, 300),
        ("page", 6.0, 6 * HOUR, 1800),
        ("ticket", 3.0, DAY, 2 * HOUR),
        ("ticket", 1.0, 3 * DAY, 6 * HOUR),
    ]
    assert found.dropped == ()
    assert found.alerts[0].threshold(0.001) == pytest.approx(0.0144)


@pytest.mark.parametrize(
    ("days", "factors"),
    [
        (28, [13.44, 5.6, 2.8, 1.0]),
        (90, [43.2, 18.0, 9.0, 3.0]),
        (7, [3.36, 1.4, 1.0, 1.0]),
        (1, [1.0, 1.0, 1.0]),
    ],
)
def test_other_periods_spend_the_same_shares(days: int, factors: list[float]) -> None:
    assert [b.factor for b in burns(days * DAY, 0.001).alerts] == factors


@given(PERIODS, TARGETS)
def test_who_burns_at_the_threshold_spends_the_share_within_the_window(
    period: float, target: float
) -> None:
    budget = complement(target)
    for burn in burns(period, budget).alerts:
        spent = burn.threshold(budget) * burn.long / (budget * period)
        assert spent == pytest.approx(max(burn.share, burn.long / period), rel=1e-4)
        # Never for a burn that keeps the objective, and never for one that cannot be.
        assert burn.factor >= 1
        assert 0 < burn.threshold(budget) < 1
        assert burn.short < burn.long <= period


@given(PERIODS, PERIODS, TARGETS)
def test_a_longer_period_has_no_lower_factor(one: float, other: float, target: float) -> None:
    short, long = sorted((one, other))
    budget = complement(target)
    slower = {(b.severity, b.long): b.factor for b in burns(short, budget).alerts}
    for burn in burns(long, budget).alerts:
        assert burn.factor >= slower.get((burn.severity, burn.long), 0.0)


@given(PERIODS, TARGETS, st.integers(1, 1440))
def test_each_pair_fires_or_says_why_not(period: float, target: float, minutes: int) -> None:
    found = burns(period, complement(target), slice_window=minutes * 60)
    assert len(found.alerts) + len(found.dropped) == len(WORKBOOK)
    assert all(burn.short >= minutes * 60 for burn in found.alerts)


def test_a_generous_target_has_alerts_that_nothing_could_raise() -> None:
    found = burns(30 * DAY, complement(0.9))
    assert [b.factor for b in found.alerts] == [6.0, 3.0, 1.0]
    assert "10 times" in found.dropped[0]


@given(PERIODS, st.integers(0, 600))
def test_windows_ascend_to_the_period(period: float, minutes: int) -> None:
    found = windows(period, slice_window=minutes * 60)
    assert found[-1] == period
    assert list(found) == sorted(set(found))
    assert all(window >= minutes * 60 for window in found[:-1])


@given(st.floats(0.0001, 0.9999))
def test_a_complement_is_what_people_would_write(share: float) -> None:
    text = f"{share:.4f}"
    assume(0 < float(text) < 1)
    assert complement(float(text)) == float(f"{1 - float(text):.4f}")
