"""The SLI of a level over its windows, as recording rules.

Short windows of counters are read from the counters themselves. Whatever else is asked over a long window is added up
from what short ones recorded, the bad and all events apart: a mean of ratios would count a quiet hour as much as a
busy one. A window with nothing in it has no value, and so no verdict.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sloguard.core.burning import DAY
from sloguard.core.service_levels import Budgeting, ServiceLevel, complement
from sloguard.promql.inspection import inspect
from sloguard.promql.windowed import one_line, over, window_text, windowing
from sloguard.render.rules.series import (
    ERRORS,
    EVENTS,
    SHARE,
    SLICE,
    labels_of,
    number,
    picked,
    ratio_name,
    record,
)

Rule = dict[str, object]
#: The window of the base rates.
BASE = 300.0
#: How often values are taken that are not added up by counters, seconds; a slice gets four of them.
SAMPLED_EVERY = 30.0


@dataclass(frozen=True, slots=True)
class Recorded:
    """Rules that need their own rhythm. ``base``: every ``base_every`` seconds; ``slices``: once a slice;
    ``ratios``: by window."""

    base: tuple[Rule, ...]
    base_every: float
    slices: tuple[Rule, ...]
    ratios: dict[float, Rule]


def recorded(level: ServiceLevel, windows: Iterable[float]) -> Recorded:
    """All rules of an SLI. Raises PromqlError for a query that cannot be read."""
    made = _Indicator(level)
    ratios = {
        window: record(ratio_name(window), made.ratio(window), labels_of(level))
        for window in windows
    }
    every = SAMPLED_EVERY
    if level.slice_window is not None:
        every = min(every, level.slice_window / 4)
    return Recorded(tuple(made.base()), every, tuple(made.slices()), ratios)


class _Indicator:
    def __init__(self, level: ServiceLevel) -> None:
        self.level, self.indicator = level, level.indicator
        kinds = {
            windowing(q, counter=self.indicator.counter) for q in self.indicator.queries.values()
        }
        self.windowed = "fixed" not in kinds
        self.sliced = level.budgeting is not Budgeting.OCCURRENCES
        # A threshold speaks of moments, whatever its query looks back over.
        self.by_events = self.indicator.total is not None

    def base(self) -> list[Rule]:
        """What long windows, slices and sampled values are made of."""
        labels = labels_of(self.level)
        if self.by_events:
            if self.sliced and self.windowed:
                return []
            return [
                record(EVENTS[self.windowed], self.events(BASE), labels),
                record(ERRORS[self.windowed], self.errors(BASE), labels),
            ]
        if self.indicator.threshold is None and self.windowed:
            return []
        return [record(SHARE, self.share(BASE), labels)]

    def slices(self) -> list[Rule]:
        """Whether a slice of time was bad, or how much of it."""
        length = self.level.slice_window
        if not self.sliced or length is None:
            return []
        share = self._over(length, length_of_raw=length)
        if self.level.budgeting is Budgeting.TIMESLICES:
            share = f"({share}) > bool {number(complement(self.level.slice_target))}"
        return [record(SLICE, share, labels_of(self.level))]

    def ratio(self, window: float) -> str:
        """The share of bad over a window."""
        if self.sliced:
            return self._mean(SLICE, window)
        short = window if window < DAY else None
        return self._over(window, length_of_raw=short)

    def _over(self, window: float, *, length_of_raw: float | None) -> str:
        """The share over a window: from the queries where they are asked over ``length_of_raw``, else added up."""
        raw = length_of_raw is not None and self.windowed
        if self.by_events:
            if raw and not (window == BASE and not self.sliced):
                return f"({self.errors(window)}) / ({self.events(window)} > 0)"
            errors, events = self._base(ERRORS), self._base(EVENTS)
            if raw:
                return f"{errors} / ({events} > 0)"
            text = window_text(window)
            return f"sum_over_time({errors}[{text}]) / (sum_over_time({events}[{text}]) > 0)"
        if self.indicator.threshold is not None or not self.windowed:
            return self._mean(SHARE, window)
        return self.share(window) if raw else self._mean(ratio_name(BASE), window)

    def _base(self, names: dict[bool, str]) -> str:
        return picked(names[self.windowed], self.level)

    def _mean(self, name: str, window: float) -> str:
        return f"avg_over_time({picked(name, self.level)}[{window_text(window)}])"

    def events(self, window: float) -> str:
        """All events, a second where they are counted."""
        return self._query(self.indicator.total, window)

    def errors(self, window: float) -> str:
        """The bad ones; 0 where there are events and none is bad."""
        events = self.events(window)
        if self.indicator.bad is not None:
            return f"({self._query(self.indicator.bad, window)}) or ({events}) * 0"
        good = self._query(self.indicator.good, window)
        return f"clamp_min(({events}) - (({good}) or ({events}) * 0), 0)"

    def share(self, window: float) -> str:
        """A raw ratio as the share of bad, or 1 where a value breaks the threshold. NaN is no value."""
        if self.indicator.threshold is not None:
            query = self._query(self.indicator.threshold, window)
            # The complement of the operator, so that what is good is not said twice.
            op = {"<=": ">", "<": ">=", ">=": "<", ">": "<="}[self.level.op]
            return f"(({query}) >= -Inf) {op} bool {number(self.level.value)}"
        query = self._query(self.indicator.raw, window)
        share = f"({query})" if self.indicator.raw_is_failure else f"(1 - ({query}))"
        return f"clamp({share} >= -Inf, 0, 1)"

    def _query(self, query: str | None, window: float) -> str:
        assert query is not None  # noqa: S101 - the indicator's kind has been looked at
        text = one_line(over(query, window_text(window), counter=self.indicator.counter))
        return text if inspect(text).type == "vector" else f"vector({text})"
