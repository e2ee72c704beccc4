"""Doubles of what speaks Prometheus's API with limits and habits of its own.

What they say and do is what the sources and the documentation of VictoriaMetrics, Grafana Mimir and Thanos
say: texts of errors, status codes, and what a query's parameters change.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from tests.support.http_double import Answer, Line, Request, reply
from tests.support.prometheus_api import failure, matrix, series

Value = Callable[[float], float]


def window(request: Request) -> tuple[float, float, float]:
    """(start, end, step) as asked for."""
    start, end, step = (float(request.params[name][0]) for name in ("start", "end", "step"))
    return start, end, step


def times(start: float, end: float, step: float) -> list[float]:
    return [round(start + n * step, 3) for n in range(round((end - start) / step) + 1)]


class VictoriaMetrics:
    """One node. ``now``: its clock; ``at_once``: -search.maxConcurrentRequests."""

    def __init__(
        self, value: Value, now: float, *, max_points: int = 30_000, at_once: int = 100
    ) -> None:
        self._value, self._now, self._max_points = value, now, max_points
        self._places = threading.BoundedSemaphore(at_once)
        self.at_once = at_once
        self.refused = 0
        self._refusing = threading.Event()

    def __call__(self, request: Request) -> Answer:
        def write(line: Line) -> bool:
            if not self._places.acquire(blocking=False):
                self.refused += 1
                self._refusing.set()
                return self._busy()(line)
            try:
                # Until others have come, where there may be others.
                if self.at_once < 100:
                    self._refusing.wait(20)
                return self._answer(request)(line)
            finally:
                self._places.release()

        return write

    def _busy(self) -> Answer:
        text = (
            "couldn't start executing the request in 10.000 seconds, since "
            f"-search.maxConcurrentRequests={self.at_once} concurrent requests are executed. Possible "
            "solutions: to reduce query load; to add more compute resources to the server; to increase "
            "-search.maxQueueDuration=10s; to increase -search.maxQueryDuration; to increase "
            "-search.maxConcurrentRequests"
        )
        return reply(text, 429, "text/plain; charset=utf-8", {"Retry-After": "0"})

    def _answer(self, request: Request) -> Answer:
        start, end, step = window(request)
        asked = times(start, end, step)
        if len(asked) > self._max_points:
            text = (
                f'error when executing query="up" on the time range (start={start:.0f}000, '
                f"end={end:.0f}000, step={step * 1000:.0f}): too many points for the given start="
                f"{start:.0f}000, end={end:.0f}000 and step={step * 1000:.0f}: {len(asked)}; the maximum "
                f"number of points is {self._max_points}; (see -search.maxPointsPerTimeseries "
                "command-line flag)"
            )
            return reply(failure("422", text), 422)
        if request.params.get("nocache") != ["1"]:
            # So that it may be cached, the window is moved to multiples of the step.
            asked = [at - start % step for at in asked]
        newest = self._now - self._latency(request)
        values = [self._value(at) for at in asked]
        for place, at in enumerate(asked):
            # What may not be whole yet gets the value before it.
            if at > newest and place:
                values[place] = values[place - 1]
        points = [(at, repr(value)) for at, value in zip(asked, values, strict=True)]
        return reply(matrix(series({"job": "shop"}, points)))

    def _latency(self, request: Request) -> float:
        given = request.params.get("latency_offset")
        if given is None:
            return 30.0
        milliseconds = float(given[0].removesuffix("ms"))
        assert milliseconds >= 1, "less than that is refused"
        return milliseconds / 1000


class Mimir:
    """A query frontend. ``longest``: the limit of the query's length (s), ``lookback`` included."""

    def __init__(self, value: Value, *, longest: float = 0.0, lookback: float = 0.0) -> None:
        self._value, self._longest, self._lookback = value, longest, lookback
        self.outstanding = 0
        self.retry_after = "0"

    def __call__(self, request: Request) -> Answer:
        if "x-scope-orgid" not in request.headers:
            return reply("no org id\n", 401, "text/plain; charset=utf-8")
        if self.outstanding:
            self.outstanding -= 1
            later = {"Retry-After": self.retry_after}
            return reply("too many outstanding requests", 429, "text/plain; charset=utf-8", later)
        start, end, step = window(request)
        length = end - start + self._lookback
        if self._longest and length > self._longest:
            text = (
                f"the query time range exceeds the limit (query length: {length:.0f}s, limit: "
                f"{self._longest:.0f}s) (err-mimir-max-query-length). To adjust the related per-tenant "
                "limit, configure -querier.max-partial-query-length, or contact your service "
                "administrator."
            )
            return reply(failure("execution", text), 422)
        kept = "no-store" not in request.headers.get("cache-control", "")
        points = [(at, repr(0.0 if kept else self._value(at))) for at in times(start, end, step)]
        return reply(matrix(series({"job": "shop"}, points)))


class Thanos:
    """A querier over raw data and a 5 m tier; ``away``: a store that does not answer."""

    def __init__(self, value: Value, *, away: str = "") -> None:
        self._value, self._away = value, away

    def __call__(self, request: Request) -> Answer:
        start, end, step = window(request)
        resolution = request.params.get("max_source_resolution", [""])[0]
        # --query.auto-downsampling, as many set it: a fifth of the step where nothing is asked for.
        coarse = resolution not in ("0", "0s") and step / 5 >= 1
        points = [
            (at, repr(self._value(at - at % 300 if coarse else at)))
            for at in times(start, end, step)
        ]
        more = {"warnings": [self._away]} if self._away else {}
        return reply(matrix(series({"job": "shop"}, points), **more))
