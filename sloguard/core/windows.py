"""Marks -> grid and phases: which points there are, and which phase each belongs to."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sloguard.core.model import PhaseName, Timeline

#: Marks and steps are whole milliseconds; half of one absorbs what floating point adds.
_HALF_MS = 0.0005


@dataclass(frozen=True, slots=True)
class Grid:
    """Evenly spaced points: ``first + i * step`` for i in 0..count-1. Seconds since the epoch, UTC."""

    first: float
    step: float
    count: int

    @property
    def last(self) -> float:
        """The time of the last point; ``first`` if there is none."""
        return self.first + max(self.count - 1, 0) * self.step

    @property
    def times(self) -> NDArray[np.float64]:
        """All points, shape (count,), rounded to milliseconds."""
        return np.round(self.first + np.arange(self.count) * self.step, 3)


def pinned_grid(timeline: Timeline, step: float) -> Grid:
    """Points at ``fault + k * step`` for every whole k inside [start, end]."""
    if step <= 0:
        raise ValueError("a step must be above 0")
    before = math.floor((timeline.fault - timeline.start + _HALF_MS) / step)
    after = math.floor((timeline.end - timeline.fault + _HALF_MS) / step)
    return Grid(round(timeline.fault - before * step, 3), step, before + after + 1)


def phase_slice(timeline: Timeline, grid: Grid, phase: PhaseName) -> slice:
    """The points of a phase: [start, fault), [fault, restored), [restored, end]; empty at length 0."""
    times = grid.times
    left, right = phase_span(timeline, phase)
    if right <= left:
        return slice(0, 0)
    begin = int(np.searchsorted(times, left - _HALF_MS, side="left"))
    if phase is PhaseName.AFTER:
        return slice(begin, int(np.searchsorted(times, right + _HALF_MS, side="right")))
    return slice(begin, int(np.searchsorted(times, right - _HALF_MS, side="left")))


def phase_span(timeline: Timeline, phase: PhaseName) -> tuple[float, float]:
    """The two marks of a phase."""
    return {
        PhaseName.BEFORE: (timeline.start, timeline.fault),
        PhaseName.DURING: (timeline.fault, timeline.restored),
        PhaseName.AFTER: (timeline.restored, timeline.end),
    }[phase]
