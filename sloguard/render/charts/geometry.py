"""Plane geometry in pixels (y grows downwards): lines with gaps, fills, labels kept apart."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from sloguard.core.arrays import Floats

Polyline = tuple[Floats, Floats]


def pieces(x: Floats, y: Floats) -> list[Polyline]:
    """The unbroken pieces of a line; NaN in ``y`` breaks it. A lone point is a piece of one."""
    known = np.flatnonzero(~np.isnan(y))
    if not known.size:
        return []
    cuts = np.flatnonzero(np.diff(known) > 1) + 1
    return [(x[part], y[part]) for part in np.split(known, cuts)]


def thinned(line: Polyline, pixels: float) -> Polyline:
    """A line of many points with the lowest and highest of each pixel; peaks are never lost."""
    x, y = line
    span = float(x[-1] - x[0]) if x.size else 0.0
    buckets = max(int(min(span, pixels)), 1)
    if x.size <= 4 * buckets + 4:
        return line
    edges = np.linspace(0, x.size, buckets + 1).astype(np.intp)
    kept = {0, x.size - 1}
    for begin, end in itertools.pairwise(edges):
        part = y[begin:end]
        kept.update((int(begin + part.argmin()), int(begin + part.argmax())))
    index = np.array(sorted(kept), dtype=np.intp)
    return x[index], y[index]


def clipped(line: Polyline, left: float, right: float) -> Polyline | None:
    """The part of an unbroken line between two x; None if there is none."""
    x, y = line
    if right <= left or not x.size or x[0] > right or x[-1] < left:
        return None
    begin, end = max(left, float(x[0])), min(right, float(x[-1]))
    inside = (x > begin) & (x < end)
    ends = np.interp([begin, end], x, y)
    return (
        np.concatenate(([begin], x[inside], [end])),
        np.concatenate(([ends[0]], y[inside], [ends[1]])),
    )


def from_points_beyond(
    line: Polyline, bound: float, left: float, right: float, *, above: bool, last: bool
) -> Polyline | None:
    """The part of a line between two x; towards an edge only as far as a point there is beyond the bound.

    A line that rises between the last point of one phase and the first of the next does not put the
    former in breach. A point on the right edge belongs to the next stretch, unless this is the last.
    """
    x, y = line
    inside = np.flatnonzero((x >= left - 1e-6) & (x < right + (1e-6 if last else -1e-6)))
    if not inside.size:
        return None
    begin, end = inside[0], inside[-1]
    beyond = y < bound if above else y > bound
    return clipped(
        line, left if beyond[begin] else float(x[begin]), right if beyond[end] else float(x[end])
    )


def fills(line: Polyline, bound: float, *, above: bool) -> list[Floats]:
    """Polygons (points x 2) between an unbroken line and a bound, where the line is beyond it."""
    x, y = line
    if x.size < 2:
        return []
    beyond = (bound - y) if above else (y - bound)
    x, beyond = _with_crossings(x, beyond)
    reach = np.where(beyond > 1e-9, beyond, 0.0)
    made = []
    outside = np.flatnonzero(reach > 0)
    if not outside.size:
        return []
    for part in np.split(outside, np.flatnonzero(np.diff(outside) > 1) + 1):
        first, last = max(part[0] - 1, 0), min(part[-1] + 1, x.size - 1)
        xs, ds = x[first : last + 1], reach[first : last + 1]
        top = np.column_stack((xs, bound - ds if above else bound + ds))
        made.append(np.vstack((top, [[xs[-1], bound], [xs[0], bound]])))
    return made


def _with_crossings(x: Floats, distance: Floats) -> Polyline:
    """The line with a point of distance 0 wherever it crosses the bound between two points."""
    cross = np.flatnonzero((distance[:-1] * distance[1:]) < 0)
    if not cross.size:
        return x, distance
    share = distance[cross] / (distance[cross] - distance[cross + 1])
    at = x[cross] + share * (x[cross + 1] - x[cross])
    return np.insert(x, cross + 1, at), np.insert(distance, cross + 1, 0.0)


def spread(
    wanted: Sequence[float], lengths: Sequence[float], low: float, high: float, gap: float = 4.0
) -> list[float] | None:
    """Centres near ``wanted``, in its order, such that nothing overlaps inside [low, high].

    None if there is no room for all.
    """
    if sum(lengths) + gap * max(len(lengths) - 1, 0) > high - low + 1e-6:
        return None
    order = sorted(range(len(wanted)), key=lambda i: (wanted[i], i))
    placed = [0.0] * len(wanted)
    edge = low
    for i in order:
        placed[i] = max(wanted[i], edge + lengths[i] / 2)
        edge = placed[i] + lengths[i] / 2 + gap
    edge = high
    for i in reversed(order):
        placed[i] = min(placed[i], edge - lengths[i] / 2)
        edge = placed[i] - lengths[i] / 2 - gap
    return placed
