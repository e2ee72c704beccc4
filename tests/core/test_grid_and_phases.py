"""The timeline and its grid: marks in milliseconds, points pinned to the fault, phases half open."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloguard.core.model import PhaseName, Timeline
from sloguard.core.windows import phase_slice, pinned_grid

FAULT_MS = 1_767_268_800_123
MILLISECONDS = st.integers(0, 400_000)
STEPS = st.sampled_from([1000, 1500, 2500, 5000, 7000, 15_000, 60_000, 1001])


def timeline_of(before: int, during: int, after: int, fault: int = FAULT_MS) -> Timeline:
    marks = (fault - before, fault, fault + during, fault + during + after)
    return Timeline(*(mark / 1000 for mark in marks))


@given(MILLISECONDS, MILLISECONDS, MILLISECONDS, STEPS)
def test_points_are_those_of_whole_steps_from_the_fault_inside_the_window(
    before, during, after, step
):
    """Against the same in whole milliseconds, which cannot be off."""
    timeline = timeline_of(before, during, after)
    grid = pinned_grid(timeline, step / 1000)
    first = -(before // step)
    expected = [FAULT_MS + k * step for k in range(first, (during + after) // step + 1)]
    assert [round(t * 1000) for t in grid.times] == expected
    assert grid.count == len(expected)
    for phase, left, right in (
        (PhaseName.BEFORE, -before, 0),
        (PhaseName.DURING, 0, during),
        (PhaseName.AFTER, during, during + after),
    ):
        last = right + 1 if phase is PhaseName.AFTER else right
        inside = [p for p in expected if left <= p - FAULT_MS < last] if right > left else []
        points = grid.times[phase_slice(timeline, grid, phase)]
        assert [round(t * 1000) for t in points] == inside, phase


@given(MILLISECONDS, MILLISECONDS, MILLISECONDS, STEPS)
def test_no_point_belongs_to_two_phases(before, during, after, step):
    timeline = timeline_of(before, during, after)
    grid = pinned_grid(timeline, step / 1000)
    taken: list[int] = []
    for phase in PhaseName:
        taken += range(grid.count)[phase_slice(timeline, grid, phase)]
    assert len(taken) == len(set(taken))
    if before and during and after:
        assert sorted(taken) == list(range(grid.count))


def test_marks_are_rounded_to_milliseconds_and_in_order():
    assert Timeline(1.00049, 2.0006, 3, 4).fault == 2.001
    with pytest.raises(ValueError, match="start <= fault <= restored <= end"):
        Timeline(1, 3, 2, 4)
    # What differs by less than is kept is the same mark.
    assert Timeline(1, 2.0004, 2.0001, 4).restored == 2.0


def test_a_phase_of_length_0_has_no_point_not_even_its_mark():
    timeline = timeline_of(60_000, 60_000, 0)
    grid = pinned_grid(timeline, 5.0)
    assert phase_slice(timeline, grid, PhaseName.AFTER) == slice(0, 0)
    # The mark itself is on the grid, in no phase.
    assert grid.count == 25


def test_a_step_must_be_above_0():
    with pytest.raises(ValueError, match="above 0"):
        pinned_grid(timeline_of(1, 1, 1), 0.0)
