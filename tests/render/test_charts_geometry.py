"""Lines, fills, labels kept apart, axes: the arithmetic under the pictures."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloguard.render.charts.geometry import (
    clipped,
    fills,
    from_points_beyond,
    pieces,
    spread,
    thinned,
)
from sloguard.render.charts.scale import HUGE, beyond, value_axis
from sloguard.render.charts.timeaxis import mark_text, offset_ticks, utc_ticks, window_text
from tests.support.charting import NOON, timeline


def line(*points: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.array(points, dtype=float).T
    return x, y


def test_nan_breaks_a_line() -> None:
    x, y = np.arange(6.0), np.array([1, np.nan, 2, 3, np.nan, 4])
    assert [list(p[0]) for p in pieces(x, y)] == [[0], [2, 3], [5]]
    assert pieces(x, np.full(6, np.nan)) == []


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=3000), st.integers(2, 50))
def test_thinning_keeps_ends_and_extremes(values: list[float], pixels: int) -> None:
    x, y = np.linspace(0, 100, len(values)), np.array(values)
    tx, ty = thinned((x, y), pixels)
    assert len(tx) <= max(4 * pixels + 4, 2 * pixels + 2)
    assert (tx[0], tx[-1]) == (x[0], x[-1])
    assert (ty.min(), ty.max()) == (y.min(), y.max())
    assert (np.diff(tx) >= 0).all()


def test_clipping_interpolates_at_the_edges() -> None:
    x, y = clipped(line((0, 0), (10, 10)), 2, 5) or ([], [])
    assert (list(x), list(y)) == ([2, 5], [2, 5])
    assert clipped(line((0, 0), (10, 10)), 20, 30) is None


def area(polygon: np.ndarray) -> float:
    x, y = polygon.T
    return abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2


def test_a_fill_lies_between_the_crossings_and_the_bound() -> None:
    # In pixels, y grows downwards: above the bound of 5 means a smaller y.
    (polygon,) = fills(line((0, 10), (10, 0), (20, 10)), 5, above=True)
    assert polygon[:, 0].min() == 5
    assert polygon[:, 0].max() == 15
    assert area(polygon) == pytest.approx(25)
    (below,) = fills(line((0, 0), (10, 10), (20, 0)), 5, above=False)
    assert area(below) == pytest.approx(25)
    assert fills(line((0, 10), (10, 9)), 5, above=True) == []


def test_every_excursion_is_a_fill_of_its_own() -> None:
    zigzag = line(*((i, 0 if i % 2 else 10) for i in range(9)))
    assert len(fills(zigzag, 5, above=True)) == 4


def test_a_line_into_the_next_stretch_is_no_breach_of_this_one() -> None:
    rising = line((0, 10), (5, 10), (10, 0))
    before = from_points_beyond(rising, 5, 0, 10, above=True, last=False)
    assert before is not None
    assert before[0].max() == 5
    whole = from_points_beyond(rising, 5, 0, 10, above=True, last=True)
    assert whole is not None
    assert whole[0].max() == 10


@given(
    st.lists(st.tuples(st.floats(0, 1000), st.floats(1, 60)), min_size=1, max_size=12),
    st.floats(0, 8),
)
def test_labels_are_spread_without_overlap(labels: list[tuple[float, float]], gap: float) -> None:
    wanted, lengths = [w for w, _ in labels], [n for _, n in labels]
    centres = spread(wanted, lengths, 0, 1000, gap)
    if centres is None:
        assert sum(lengths) + gap * (len(lengths) - 1) > 1000
        return
    spans = sorted((c - n / 2, c + n / 2) for c, n in zip(centres, lengths, strict=True))
    assert spans[0][0] >= -1e-6
    assert spans[-1][1] <= 1000 + 1e-6
    assert all(b[0] - a[1] >= gap - 1e-6 for a, b in itertools.pairwise(spans))


def test_labels_with_room_stay_where_they_want_to_be() -> None:
    assert spread([300, 100], [10, 10], 0, 1000) == [300, 100]


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.lists(st.floats(), min_size=1, max_size=30),
    st.lists(finite, max_size=3),
    st.sampled_from(["", "%", "ms", "MiB"]),
)
def test_every_value_has_a_place_and_order_is_kept(
    values: list[float], bounds: list[float], unit: str
) -> None:
    array = np.array(values)
    axis = value_axis([array], bounds, unit, 8)
    known = np.sort(array[~np.isnan(array)])
    places = axis.place(known)
    assert ((places >= 0) & (places <= 1)).all()
    assert (np.diff(places) >= -1e-12).all()
    assert len(axis.ticks) <= 20
    for value, text in axis.ticks:
        assert text
        assert -0.001 <= float(axis.place(value)) <= 1.001
    seen = np.array([v for v in (*values, *bounds) if 1 / HUGE <= abs(v) <= HUGE])
    assert (axis.low <= seen).all()
    assert (seen <= axis.high).all()
    above, below = beyond(known)
    assert list(known[above]) == [v for v in known if v > HUGE]
    assert list(known[below]) == [v for v in known if v < -HUGE]


@pytest.mark.parametrize(
    ("values", "bounds", "unit", "kind"),
    [
        ([0.001, 0.5], [0.01], "%", "linear"),
        ([0.2, 0.4], [0.3], "ms", "linear"),
        ([0.002, 30000], [0.5], "", "log"),
        ([0, 0.002, 30000], [0.5], "", "symlog"),
        ([-1, 30000], [0.5], "", "linear"),
        ([0.00001, 0.9], [0.0005], "%", "log"),
        ([0.001, 0.002], [1e6], "", "linear"),
    ],
)
def test_an_axis_is_logarithmic_only_where_a_linear_one_would_hide_the_bound(
    values: list[float], bounds: list[float], unit: str, kind: str
) -> None:
    assert value_axis([np.array(values, dtype=float)], bounds, unit, 8).kind == kind


def test_shares_end_at_all_of_it_and_counts_have_whole_ticks() -> None:
    shares = value_axis([np.array([0.0, 1.0])], [0.01], "%", 8)
    assert [text for _, text in shares.ticks] == ["0%", "20%", "40%", "60%", "80%", "100%"]
    counts = value_axis([np.array([1.0, 3.0])], [2.0], "", 8)
    assert [text for _, text in counts.ticks] == ["0", "1", "2", "3"]


def test_powers_of_ten_of_a_second_stay_seconds() -> None:
    axis = value_axis([np.array([0.001, 20000.0])], [0.3], "ms", 8)
    assert [t for _, t in axis.ticks] == [
        "1ms",
        "10ms",
        "100ms",
        "1s",
        "10s",
        "100s",
        "1,000s",
        "10,000s",
    ]


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (1, "13:59:59.8"),
        (300, "14:01:00"),
        (7200, "14:30"),
        (7 * 86400, "Jan 2"),
    ],
)
def test_utc_ticks_are_round_moments(span: float, expected: str) -> None:
    ticks = utc_ticks(NOON - span / 2, NOON + span / 2, 12)
    assert 3 <= len(ticks) <= 13
    assert expected in [text for _, text in ticks]


def test_distances_are_pinned_to_the_fault() -> None:
    ticks = offset_ticks(NOON + 7.3, NOON - 120, NOON + 180, 10)
    assert (NOON + 7.3, "0") in ticks
    assert ticks[0][1] == "−2m"
    assert "+1m30s" in [text for _, text in ticks]


def test_the_date_is_told_where_there_is_more_than_one() -> None:
    assert window_text(NOON, NOON + 60) == "2026-01-01 14:00:00Z to 14:01:00Z"
    assert window_text(NOON, NOON + 86400) == "2026-01-01 14:00:00Z to 2026-01-02 14:00:00Z"
    assert mark_text(NOON, timeline()) == "14:00:00Z"
    assert mark_text(NOON, timeline(before=86400)) == "Jan 1 14:00:00Z"
