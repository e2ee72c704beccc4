"""Passes over points of many series at once. Arrays are series x points, results one number a series.

Nearly every set of points is empty or holds them all, so that is looked at first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# numpy's stubs lose the element type at every reduction along an axis; the names say what they hold.
Floats = NDArray[Any]
Bools = NDArray[Any]
Ints = NDArray[Any]


def anywhere(mask: Bools) -> Bools:
    """Of each series, whether any point is set."""
    return np.asarray(mask.any(axis=1))


def count(mask: Bools) -> Ints:
    """Of each series, how many points are set."""
    rows, columns = mask.shape
    together = np.count_nonzero(mask)
    if together == 0:
        return np.zeros(rows, dtype=np.intp)
    if together == mask.size:
        return np.full(rows, columns, dtype=np.intp)
    return np.asarray(np.add.reduce(mask, axis=1, dtype=np.intp))


@dataclass(frozen=True, slots=True)
class Runs:
    """The members of each series: how many, the longest run of them, the first and the last (-1: none)."""

    members: Ints
    longest: Ints
    first: Ints
    last: Ints


def runs(members: Bools, ends: Bools) -> Runs:
    """Runs of ``members`` that a point of ``ends`` ends; other points neither end nor lengthen one."""
    rows, columns = members.shape
    at = np.flatnonzero(members)
    none = np.full(rows, -1, dtype=np.intp)
    if not len(at):
        empty = np.zeros(rows, dtype=np.intp)
        return Runs(empty, empty, none, none)
    row = at // columns
    # Points that are neither do not count: over them, members are neighbours.
    sorted_out = len(at) + np.count_nonzero(ends) == members.size
    place = at if sorted_out else np.cumsum(members | ends)[at]
    starts = np.flatnonzero(_differs(row, 0) | _differs(place, 1))
    length, owner = np.diff(starts, append=len(at)), row[starts]
    begins = np.flatnonzero(_differs(row, 0))
    those = row[begins]
    first, last, longest = none, none.copy(), np.zeros(rows, dtype=np.intp)
    first[those] = at[begins] - those * columns
    last[those] = at[np.append(begins[1:], len(at)) - 1] - those * columns
    longest[those] = np.maximum.reduceat(length, np.flatnonzero(_differs(owner, 0)))
    return Runs(np.bincount(row, minlength=rows), longest, first, last)


def _differs(values: Ints, by: int) -> Bools:
    """Where a value is not the one before it plus ``by``; the first has none before it."""
    found = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1] + by if by else values[:-1], out=found[1:])
    return found


def run_lengths(members: Bools, ends: Bools) -> Ints:
    """At each point, how many members the run up to here holds; a point of ``ends`` starts anew."""
    counted = np.cumsum(members, axis=1)
    return np.asarray(counted - np.maximum.accumulate(np.where(ends, counted, 0), axis=1))


def longest_run(members: Bools, ends: Bools) -> Ints:
    """The longest run of each series, in points."""
    return runs(members, ends).longest
