"""Prometheus (Thanos, Mimir, VictoriaMetrics) behind the port ``Metrics``, over prometheus-api-client."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlencode

from prometheus_api_client.prometheus_connect import PrometheusConnect

from sloguard.adapters.prometheus_answers import decode_data
from sloguard.adapters.prometheus_decode import Rows, decode_vector
from sloguard.adapters.prometheus_http import Deadline, PrometheusSession
from sloguard.adapters.prometheus_limits import shorter_helps
from sloguard.adapters.prometheus_settings import PrometheusSettings
from sloguard.adapters.prometheus_targets import Rules, Targets, batches, selector
from sloguard.core.series import Matrix, Vector
from sloguard.core.windows import Grid
from sloguard.ports import (
    AnswerTooLarge,
    BadAnswer,
    BadQuery,
    ClockOffset,
    MetricsBusy,
    MetricsError,
    MetricsRefused,
    MetricsUnreachable,
    RecordingRule,
    Selection,
)

__all__ = ["Prometheus", "PrometheusSettings"]

#: Longer parameters go by POST: proxies cut long URLs, and logs keep them.
LONGEST_URL = 1500
OFFSET_TRIES = 5
#: A window that is too much for the server is not cut into less than this.
FEWEST_POINTS = 8
#: Samples as they are. VictoriaMetrics moves the grid of a query that it may cache, and gives older values
#: for those of the last 30 s; Thanos may answer from downsampled data. Others do not know these words.
EXACT = {"nocache": "1", "latency_offset": "1ms", "max_source_resolution": "0s"}
#: Targets are asked for once in so many seconds, whatever the number of queries.
TARGETS_SECONDS = 10.0
#: How long ago a series may have ended for its job still to count.
JOBS_SECONDS = 3600.0


class Prometheus(PrometheusConnect):
    """Implements ``ports.Metrics``. Any thread may call any method; connections are kept and shared.

    Times are seconds since the epoch, UTC, to the millisecond. Every call ends within
    ``settings.deadline`` with all its retries and pieces, or raises one of the port's MetricsErrors with
    the server's own message. The inherited methods of the client library keep to the same;
    ``custom_query_range`` refuses naive datetimes, which it would read as local time.
    """

    def __init__(
        self,
        settings: PrometheusSettings | None = None,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings or PrometheusSettings()
        self._now = now
        self._connection = PrometheusSession(self.settings)
        self._targets_lock = threading.Lock()
        self._targets_known: tuple[float, Targets | None] = (float("-inf"), None)
        super().__init__(
            url=self.settings.address,
            auth=self._connection.authorization,  # type: ignore[arg-type]  # requests takes any AuthBase
            session=self._connection,
            timeout=self.settings.deadline,  # type: ignore[arg-type]  # requests takes fractions
        )
        # The client has put an adapter of its own under its address, which retries by itself.
        self._connection.use(self.settings.address)

    def range(self, query: str, grid: Grid) -> Matrix:
        """The series of a query on a grid of whole milliseconds; long windows are cut and joined.

        The answer's warnings and infos are in ``notes``. Raises MetricsError; ValueError for a grid that
        Prometheus cannot keep to.
        """
        first, step = _milliseconds("first", grid.first), _milliseconds("step", grid.step)
        if grid.count < 1:
            return Matrix.empty(grid)
        if step < 1:
            raise ValueError(f"a step must be at least 0.001 s, not {grid.step}")
        deadline = self._connection.deadline()
        rows, offset = Rows(grid), 0
        most = self._most_points(step)
        while offset < grid.count:
            count = min(most, grid.count - offset)
            start = first + offset * step
            window = {"start": _seconds(start), "end": _seconds(start + (count - 1) * step)}
            params = {"query": query, **window, "step": _seconds(step)}
            try:
                body = self._query("query_range", params, deadline)
            except AnswerTooLarge as error:
                # Half of it may be answered; a limit of points is the same for all that comes later.
                if count < 2 * FEWEST_POINTS or not shorter_helps(str(error)):
                    raise
                most = -(-count // 2)
                continue
            with self._named():
                rows.add(body, offset, count)
            offset += count
        return rows.matrix()

    def _most_points(self, step: int) -> int:
        """How many points are asked for at once, with a step in milliseconds."""
        longest = self.settings.max_window
        within = int(longest * 1000) // step + 1 if longest else self.settings.max_points
        return max(min(self.settings.max_points, within), 1)

    def range_many(self, requests: Sequence[tuple[str, Grid]]) -> list[Matrix | MetricsError]:
        """Many range queries at once, ``settings.concurrency`` at a time; answers in the order asked.

        Each has its own deadline from when it is sent. An error stands in its place in the list; once the
        server fails to answer one, those not yet sent are not sent, so that all ends soon.
        """
        lost: list[MetricsUnreachable] = []

        def ask(request: tuple[str, Grid]) -> Matrix | MetricsError:
            if lost:
                return MetricsUnreachable(f"not asked, as a query before it failed: {lost[0]}")
            try:
                return self.range(*request)
            except MetricsBusy as error:
                return error
            except MetricsUnreachable as error:
                lost.append(error)
                return error
            except MetricsError as error:
                return error

        workers = min(self.settings.concurrency, max(len(requests), 1))
        with ThreadPoolExecutor(workers, thread_name_prefix="prometheus") as pool:
            return list(pool.map(ask, requests))

    def instant(self, query: str, at: float | None = None) -> Vector:
        """The value of a query at a time (seconds, UTC); None: at the server's now."""
        params = {"query": query}
        if at is not None:
            params["time"] = _seconds(round(at * 1000))
        body = self._query("query", params, self._connection.deadline())
        with self._named():
            return decode_vector(body)

    def scrape_interval(self, selections: Sequence[Selection]) -> float | None:
        """The largest scrape interval (s) of the jobs that these selectors hit.

        None where the server does not tell of targets (Thanos, Mimir), or none of them is hit.
        """
        deadline = self._connection.deadline()
        targets = self._targets(deadline)
        if targets is None or not targets.activeTargets:
            return None
        end = targets.last_scrape() or self._now()
        return targets.interval(self._jobs(selections, end, deadline))

    def _targets(self, deadline: Deadline) -> Targets | None:
        """All active targets: they may be thousands, and do not change between two queries of a run."""
        with self._targets_lock:
            asked, found = self._targets_known
            if time.monotonic() - asked > TARGETS_SECONDS:
                found = self._known("targets", {"state": "active"}, Targets, deadline)
                self._targets_known = (time.monotonic(), found)
            return found

    def recording_rules(self) -> Sequence[RecordingRule]:
        """All recording rules, in the order of their groups; empty where there is no rules API."""
        deadline = self._connection.deadline()
        rules: Rules | None = self._known("rules", {"type": "record"}, Rules, deadline)
        return tuple(rules.recording()) if rules else ()

    def clock_offset(self) -> ClockOffset:
        """How far the server's clock is ahead: the quickest of several round trips, and half of it."""
        tries: list[ClockOffset] = []
        for _ in range(OFFSET_TRIES):
            sent = self._now()
            samples = self.instant("time()").samples
            received = self._now()
            if len(samples) != 1:
                raise BadAnswer(f"{self._connection.where} does not say what time it is")
            # The server cuts its time to whole milliseconds: on average it is half of one later.
            ahead = samples[0].value + 0.0005 - (sent + received) / 2
            tries.append(ClockOffset(ahead, abs(received - sent) / 2 + 0.0005))
        return min(tries, key=lambda offset: offset.uncertainty)

    def custom_query(
        self, query: str, params: Mapping[str, Any] | None = None, timeout: float | None = None
    ) -> list[Any]:
        """The result of an instant query as the API gives it."""
        deadline = self._connection.deadline(timeout)
        body = self._query("query", {"query": str(query), **(params or {})}, deadline)
        with self._named():
            return list(decode_data(body, dict[str, Any])["result"])

    def custom_query_range(
        self,
        query: str,
        start_time: datetime,
        end_time: datetime,
        step: str,
        params: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> list[Any]:
        """The result of a range query as the API gives it; times are aware and kept to milliseconds."""
        if start_time.tzinfo is None or end_time.tzinfo is None:
            raise ValueError("start_time and end_time must carry a time zone, e.g. datetime.UTC")
        start, end = (round(at.timestamp() * 1000) for at in (start_time, end_time))
        window = {"start": _seconds(start), "end": _seconds(end), "step": step}
        deadline = self._connection.deadline(timeout)
        body = self._query(
            "query_range", {"query": str(query), **window, **(params or {})}, deadline
        )
        with self._named():
            return list(decode_data(body, dict[str, Any])["result"])

    def _query(self, path: str, params: Mapping[str, Any], deadline: Deadline) -> bytearray:
        """The answer to a query; the server is told when nobody waits for it any more."""
        left = deadline.left
        # A little less than we wait, so that what it says of its timeout still reaches us.
        patience = max(left - min(left / 10, 0.5), 0.001)
        timeout = {"timeout": f"{patience:.3f}"}
        return self._fetch(path, {**timeout, **EXACT, **params, **self.settings.params}, deadline)

    def _fetch(self, path: str, params: Mapping[str, Any], deadline: Deadline) -> bytearray:
        url = f"{self.settings.address}/api/v1/{path}"
        encoded = urlencode(params, doseq=True)
        if len(encoded) > LONGEST_URL and path in ("query", "query_range"):
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = self._connection.request(
                "POST", url, data=encoded, headers=kind, timeout=deadline
            )
        else:
            answer = self._connection.request("GET", f"{url}?{encoded}", timeout=deadline)
        return cast(bytearray, answer.content)

    def _known(self, path: str, params: Mapping[str, str], kind: Any, deadline: Deadline) -> Any:
        """An endpoint's data, or None where the server does not have it or does not let us see it."""
        try:
            return decode_data(self._fetch(path, params, deadline), kind)
        except (BadAnswer, BadQuery, MetricsRefused):
            return None

    def _jobs(self, selections: Sequence[Selection], end: float, deadline: Deadline) -> set[str]:
        """The jobs of all series that the selectors hit: read from the index, no sample is touched."""
        window = {"start": f"{end - JOBS_SECONDS:.3f}", "end": f"{end + 60:.3f}"}
        jobs: set[str] = set()
        for some in batches([selector(selection) for selection in selections], LONGEST_URL):
            body = self._fetch("label/job/values", {"match[]": some, **window}, deadline)
            with self._named():
                jobs.update(decode_data(body, list[str]))
        return jobs

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Say whose answer it is that cannot be used."""
        try:
            yield
        except (BadAnswer, BadQuery) as error:
            text = self._connection.masked(f"{self._connection.where}: {error}")
            raise type(error)(text) from error.__cause__


def _milliseconds(name: str, seconds: float) -> int:
    whole = round(seconds * 1000)
    if abs(seconds * 1000 - whole) > 0.01:
        raise ValueError(f"a grid's {name} must be whole milliseconds, not {seconds!r} s")
    return whole


def _seconds(milliseconds: int) -> str:
    """As Prometheus reads it without rounding."""
    return f"{milliseconds // 1000}.{milliseconds % 1000:03d}"
