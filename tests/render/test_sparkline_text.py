"""Curves in one line of text."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from sloguard.render.sparkline import BLOCKS, GAP, sparkline


def test_it_rises_with_the_values() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7, 8], low=0, high=8) == "▁▂▃▄▅▆▇██"


def test_a_gap_is_not_a_low_value() -> None:
    assert sparkline([1.0, math.nan, 0.0]) == "█·▁"


def test_a_flat_zero_stays_at_the_bottom_and_infinity_at_its_edge() -> None:
    assert sparkline([0.0, 0.0]) == "▁▁"
    assert sparkline([math.inf, 1.0, -math.inf], low=0, high=2) == "█▅▁"


def test_many_points_keep_their_peaks() -> None:
    values = [0.0] * 1000
    values[517] = 1.0
    drawn = sparkline(values, 40)
    assert len(drawn) == 40
    assert drawn.count("█") == 1


@given(st.lists(st.floats(), max_size=200), st.integers(-1, 50))
def test_any_values_are_drawn(values: list[float], width: int) -> None:
    drawn = sparkline(values, width)
    assert len(drawn) == min(len(values), max(width, 1))
    assert set(drawn) <= {*BLOCKS, GAP}
