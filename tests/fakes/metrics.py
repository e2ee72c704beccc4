"""A Prometheus that holds functions of time."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sloguard.core.series import LabelSet, Matrix, Sample, Vector, label_set
from sloguard.core.windows import Grid
from sloguard.ports import BadQuery, ClockOffset, MetricsError, RecordingRule, Selection

#: A value at any time (None: no sample there), values at certain times, or always the same value.
Curve = Callable[[float], float | None] | Mapping[float, float | None] | float


def sampled(times: Sequence[float], values: Sequence[float | None] | NDArray[np.float64]) -> Curve:
    """A curve from arrays; ``None`` is no sample, NaN is a sample."""
    return {
        round(float(at), 3): None if value is None else float(value)
        for at, value in zip(times, values, strict=True)
    }


@dataclass(frozen=True)
class Asked:
    """One call. ``at`` is an instant's time, ``grid`` a range's."""

    method: str
    query: str = ""
    grid: Grid | None = None
    at: float | None = None


@dataclass
class _Failure:
    error: MetricsError
    left: int
    query: str


class FakeMetrics:
    """ports.Metrics. Curves are given with ``add``; a query that was never added is a bad query.

    ``now``: the server's time: nothing later than this has a sample. ``asked`` holds every call. Threads
    may call it.
    """

    def __init__(
        self,
        *,
        now: Callable[[], float] | None = None,
        interval: float | None = 5.0,
        rules: Sequence[RecordingRule] = (),
        offset: ClockOffset | None = None,
    ) -> None:
        self.interval = interval
        self.rules = rules
        self.offset = offset or ClockOffset(0.0, 0.001)
        self.asked: list[Asked] = []
        self.notes: dict[str, tuple[str, ...]] = {}
        self._now = now
        self._curves: dict[str, dict[LabelSet, Curve]] = {}
        self._failures: list[_Failure] = []
        self._lock = threading.Lock()

    def add(
        self,
        query: str,
        curve: Curve | None = None,
        labels: Mapping[str, str] | None = None,
        *,
        notes: tuple[str, ...] = (),
    ) -> FakeMetrics:
        """One more series of a query's answer; without a curve the answer is empty."""
        series = self._curves.setdefault(query, {})
        if curve is not None:
            series[label_set(labels or {})] = curve
        if notes:
            self.notes[query] = notes
        return self

    def fail(self, error: MetricsError, *, times: int = 1, query: str = "") -> None:
        """The next ``times`` calls raise this; with ``query``, those whose query holds that text."""
        self._failures.append(_Failure(error, times, query))

    def heal(self) -> None:
        """No call fails any more."""
        self._failures.clear()

    def range(self, query: str, grid: Grid) -> Matrix:
        curves = self._ask(Asked("range", query, grid=grid))
        found: list[tuple[LabelSet, list[float | None]]] = []
        for labels, curve in curves.items():
            values = [self._value(curve, float(at)) for at in grid.times]
            if any(value is not None for value in values):
                found.append((labels, values))
        present = np.array(
            [[value is not None for value in values] for _, values in found], dtype=bool
        ).reshape(len(found), grid.count)
        filled = [[math.nan if value is None else value for value in values] for _, values in found]
        return Matrix(
            grid,
            tuple(labels for labels, _ in found),
            np.array(filled, dtype=np.float64).reshape(len(found), grid.count),
            present,
            self.notes.get(query, ()),
        )

    def instant(self, query: str, at: float | None = None) -> Vector:
        curves = self._ask(Asked("instant", query, at=at))
        when = at if at is not None else (self._now() if self._now else 0.0)
        values = ((labels, self._value(curve, when)) for labels, curve in curves.items())
        samples = [Sample(labels, when, value) for labels, value in values if value is not None]
        return Vector(tuple(samples), self.notes.get(query, ()))

    def scrape_interval(self, selections: Sequence[Selection]) -> float | None:
        self._ask(Asked("scrape_interval", " ".join(map(str, selections))), known=True)
        return self.interval

    def recording_rules(self) -> Sequence[RecordingRule]:
        self._ask(Asked("recording_rules"), known=True)
        return self.rules

    def clock_offset(self) -> ClockOffset:
        self._ask(Asked("clock_offset"), known=True)
        return self.offset

    def _ask(self, asked: Asked, *, known: bool = False) -> Mapping[LabelSet, Curve]:
        with self._lock:
            self.asked.append(asked)
            for failure in self._failures:
                if failure.left > 0 and failure.query in asked.query:
                    failure.left -= 1
                    raise failure.error
        if not known and asked.query not in self._curves:
            raise BadQuery(f"the fake holds no curve for '{asked.query}'")
        return self._curves.get(asked.query, {})

    def _value(self, curve: Curve, at: float) -> float | None:
        if self._now is not None and at > self._now():
            return None
        if callable(curve):
            return curve(at)
        return curve.get(round(at, 3)) if isinstance(curve, Mapping) else float(curve)
