"""What a level's alerts have to do in a simulation, worked out from its shares of bad minutes and its burn rates.

Nothing here knows the rules. Prometheus sees a level only when it evaluates, and a window may or may not hold the sample
at its beginning (that differs between its versions): each reading is tried, and what they do not agree on, or what is
too near to a threshold, is left open.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from sloguard.core.burning import Burn
from sloguard.core.service_levels import Budgeting, ServiceLevel, complement
from sloguard.render.rules.simulation import blur_of, counted

#: How often promtool evaluates the rules, minutes.
EVALUATED = 2
#: A burn rate this close to its threshold (relative) may be taken for either side of it.
_NEAR = 0.1
#: A slice this close to its target, and a quantile to its rank, too.
_SLICE_NEAR = 0.06

Fires = dict[str, bool | None]


def expected(
    level: ServiceLevel, alerts: Iterable[Burn], shares: Sequence[float], minute: int
) -> Fires:
    """By severity: whether it fires; None where that cannot be told. ``shares``: how bad each minute is."""
    several = list(alerts)
    given = np.asarray(shares[: minute + 1], dtype=float)
    readings = [
        _fires(level, several, given, closed, near)
        for closed, near in itertools.product((True, False), (-_SLICE_NEAR, 0.0, _SLICE_NEAR))
    ]
    first = readings[0]
    return {
        severity: fires if all(one[severity] is fires for one in readings) else None
        for severity, fires in first.items()
    }


def _fires(
    level: ServiceLevel, alerts: Sequence[Burn], shares: Any, closed: bool, near: float
) -> Fires:
    told = _Told(level, shares, closed, near)
    found: Fires = {}
    for burn in alerts:
        threshold = burn.threshold(level.budget)
        lowest = min(told.over(burn.long), told.over(burn.short)) / threshold
        fires = None if abs(lowest - 1) < _NEAR else lowest > 1
        before = found.get(burn.severity, False)
        # Any pair is enough.
        found[burn.severity] = (
            True if fires or before else (None if None in (fires, before) else False)
        )
    return found


class _Told:
    """The share of bad over the last so many seconds, at the end of ``shares``."""

    def __init__(self, level: ServiceLevel, shares: Any, closed: bool, near: float) -> None:
        self.closed = closed
        self.sliced = level.slice_window is not None
        self.exact = counted(level)
        self.minutes = shares
        if self.exact and not self.sliced:
            return
        at = np.arange(len(shares) - 1, -1, -EVALUATED)[::-1]
        if self.exact:
            self.seen = _trailing(shares, _minutes(level.slice_window or 0.0))[at]
        else:
            self.seen = _values(level, shares, near)[at]
            if self.sliced:
                self.seen = _trailing(self.seen, self._samples(level.slice_window or 0.0))
        if level.budgeting is Budgeting.TIMESLICES:
            self.seen = (self.seen > complement(level.slice_target) + near).astype(float)

    def over(self, seconds: float) -> float:
        """The mean over a window, or over all there is."""
        if self.exact and not self.sliced:
            return float(self.minutes[-_minutes(seconds) :].mean())
        return float(self.seen[-self._samples(seconds) :].mean())

    def _samples(self, seconds: float) -> int:
        """How many evaluations a window holds."""
        return max(1, int(seconds // (60 * EVALUATED)) + (1 if self.closed else 0))


def _values(level: ServiceLevel, shares: Any, near: float) -> Any:
    """What a query that is no counter's tells, minute by minute."""
    blur = blur_of(level)
    if level.indicator.threshold is not None:
        shares = (shares >= 0.5).astype(float)
    if blur.minutes:
        shares = _trailing(shares, blur.minutes)
    if blur.beyond is not None:
        shares = (shares > blur.beyond + near / 2).astype(float)
    return shares


def _minutes(seconds: float) -> int:
    return max(1, round(seconds / 60))


def _trailing(values: Any, length: int) -> Any:
    """The mean of the last ``length`` values at each of them."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    begins = np.maximum(0, ends - length)
    return (total[ends] - total[begins]) / (ends - begins)
