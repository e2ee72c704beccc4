"""VictoriaMetrics, Mimir and Thanos: their limits are kept, and their samples come as they are."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from sloguard.adapters.prometheus import Prometheus, PrometheusSettings
from sloguard.adapters.prometheus_fanout import Fanout
from sloguard.adapters.prometheus_http import _seconds as asked_to_wait
from sloguard.adapters.prometheus_limits import is_busy, limit_of
from sloguard.core.series import PARTIAL, Matrix
from sloguard.core.windows import Grid
from sloguard.ports import (
    AnswerTooLarge,
    MetricsBusy,
    MetricsError,
    MetricsRefused,
    MetricsUnreachable,
)
from tests.support.backends import Mimir, Thanos, VictoriaMetrics
from tests.support.http_double import HttpDouble, Script, in_turn, reply
from tests.support.patience import PATIENCE
from tests.support.prometheus_api import failure

START = 1_767_225_600.0
GRID = Grid(START + 3, 5, 60)
TENANT = {"headers": {"X-Scope-OrgID": "team-a"}}


def prometheus(server: HttpDouble, **settings: Any) -> Prometheus:
    quick = {"deadline": PATIENCE, "backoff": 0.01, "retries": 2, **settings}
    return Prometheus(PrometheusSettings(url=server.url, **quick))


def value(at: float) -> float:
    return at - START


def error_of(script: Script, **settings: Any) -> MetricsError:
    with HttpDouble(script) as server, prometheus(server, **settings) as client:
        with pytest.raises(MetricsError) as caught:
            client.range("up", GRID)
        return caught.value


def values(answer: Matrix) -> list[float]:
    assert answer.present.all()
    return list(answer.values[0].tolist())


class TestVictoriaMetrics:
    def test_the_newest_samples_are_their_own_and_on_the_grid(self) -> None:
        double = VictoriaMetrics(value, now=GRID.last + 2)
        with HttpDouble(double) as server, prometheus(server) as client:
            assert values(client.range("up", GRID)) == [at - START for at in GRID.times.tolist()]

    def test_without_our_parameters_the_double_would_change_them(self) -> None:
        double = VictoriaMetrics(value, now=GRID.last + 2)
        theirs = {"latency_offset": "30000ms"}
        with HttpDouble(double) as server, prometheus(server, params=theirs) as client:
            found = values(client.range("up", GRID))
        assert found[-1] == found[-6] < value(GRID.last)

    def test_a_window_of_too_many_points_is_halved_until_it_is_answered(self) -> None:
        double = VictoriaMetrics(value, now=GRID.last + 60, max_points=20)
        with HttpDouble(double) as server, prometheus(server) as client:
            assert values(client.range("up", GRID)) == [at - START for at in GRID.times.tolist()]
            # 60 and 30 are too many; 15 are not, four times.
            assert len(server.requests) == 6

    def test_points_that_no_window_is_short_enough_for_are_an_error_that_says_what_helps(
        self,
    ) -> None:
        error = error_of(VictoriaMetrics(value, now=GRID.last + 60, max_points=2))
        assert isinstance(error, AnswerTooLarge)
        assert "the maximum number of points is 2" in str(error)
        assert "prometheus.max_points" in str(error)

    def test_a_server_that_works_on_few_at_once_answers_all_in_the_end(self) -> None:
        double = VictoriaMetrics(value, now=GRID.last + 60, at_once=2)
        with HttpDouble(double) as server, prometheus(server, concurrency=8) as client:
            found = client.range_many([(f"q{n}", GRID) for n in range(40)])
            assert all(isinstance(one, Matrix) for one in found), found
            assert double.refused > 0


class TestMimir:
    def test_a_tenant_is_asked_for_in_words(self) -> None:
        error = error_of(Mimir(value))
        assert isinstance(error, MetricsRefused)
        assert "no org id" in str(error)
        assert "tenant header" in str(error)

    def test_what_a_cache_has_kept_is_not_taken(self) -> None:
        with HttpDouble(Mimir(value)) as server, prometheus(server, **TENANT) as client:
            assert values(client.range("up", GRID))[-1] == value(GRID.last)

    def test_a_window_that_is_too_long_is_halved_until_it_is_answered(self) -> None:
        double = Mimir(value, longest=100, lookback=30)
        with HttpDouble(double) as server, prometheus(server, **TENANT) as client:
            assert values(client.range("up", GRID)) == [at - START for at in GRID.times.tolist()]

    def test_a_known_limit_is_kept_without_a_refusal(self) -> None:
        double = Mimir(value, longest=100, lookback=30)
        with HttpDouble(double) as server:
            with prometheus(server, max_window=70, **TENANT) as client:
                assert values(client.range("up", GRID)) == [
                    at - START for at in GRID.times.tolist()
                ]
            # 15 points are 70 s.
            assert len(server.requests) == 4

    def test_a_lookback_beyond_the_limit_is_an_error_that_says_so(self) -> None:
        error = error_of(Mimir(value, longest=100, lookback=200), **TENANT)
        assert isinstance(error, AnswerTooLarge)
        assert "err-mimir-max-query-length" in str(error)
        assert "shorter lookback" in str(error)

    def test_outstanding_requests_are_waited_out_for_longer_than_other_errors(self) -> None:
        double = Mimir(value)
        double.outstanding = 6
        with HttpDouble(double) as server, prometheus(server, **TENANT) as client:
            assert values(client.range("up", GRID))[-1] == value(GRID.last)
            assert len(server.requests) == 7

    def test_one_that_stays_busy_is_told_as_busy_and_is_not_away(self) -> None:
        double = Mimir(value)
        double.outstanding, double.retry_after = 10**6, "999"
        error = error_of(double, **TENANT)
        assert isinstance(error, MetricsBusy)
        assert isinstance(error, MetricsUnreachable)
        assert "too many outstanding requests" in str(error)
        assert "prometheus.concurrency" in str(error)


class TestThanos:
    def test_raw_samples_are_asked_for(self) -> None:
        grid = Grid(START + 60, 60, 30)
        with HttpDouble(Thanos(value)) as server:
            with prometheus(server) as client:
                assert values(client.range("up", grid)) == [
                    at - START for at in grid.times.tolist()
                ]
            with prometheus(server, params={"max_source_resolution": "5m"}) as client:
                assert values(client.range("up", grid)) != [
                    at - START for at in grid.times.tolist()
                ]

    def test_a_store_that_is_away_makes_the_answer_partial(self) -> None:
        said = "No StoreAPIs matched for this query"
        with HttpDouble(Thanos(value, away=said)) as server, prometheus(server) as client:
            assert client.range("up", GRID).notes == (PARTIAL + said,)


SAID = {
    "prometheus, points": "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing "
    "the query resolution (?step=XX)",
    "prometheus, samples": "query processing would load too many samples into memory in query execution",
    "prometheus, time": "query timed out in expression evaluation",
    "mimir, series": "the query exceeded the maximum number of series (limit: 10 series) "
    "(err-mimir-max-series-per-query). Consider reducing the time range",
    "mimir, chunks": "the query exceeded the aggregated chunks size limit (limit: 1 bytes) "
    "(err-mimir-max-chunks-bytes-per-query)",
    "mimir, expression": "the raw query size in bytes is 9, exceeding the limit of 3 "
    "(err-mimir-max-query-expression-size-bytes)",
    "mimir, blocked": "the request has been blocked by the cluster administrator (err-mimir-query-blocked)",
    "victoriametrics, series": "the number of matching timeseries exceeds 300000; either narrow down the "
    "search or increase -search.max* command-line flag values",
    "victoriametrics, query": "too long query; got 17000 bytes; mustn't exceed "
    "`-search.maxQueryLen=16384` bytes",
    "victoriametrics, memory": "not enough memory for processing 100000 data points across 10 time series",
    "thanos, series": "expanding series: proxy Series(): rpc error: code = ResourceExhausted desc = "
    "exceeded series limit: limit 1 violated (got 2)",
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in SAID.items()])
def test_every_limit_is_told_as_one_with_what_helps(text: str) -> None:
    error = error_of(in_turn(reply(failure("execution", text), 422)))
    assert isinstance(error, AnswerTooLarge)
    found = limit_of(text)
    assert found is not None
    assert found.helps in str(error)
    assert not is_busy(422, text)


@pytest.mark.parametrize(
    ("status", "text", "busy"),
    [
        (429, "too many outstanding requests", True),
        (429, "", True),
        (429, "exceeded the request rate limit (err-mimir-tenant-max-request-rate)", True),
        (429, "exceeded series limit: limit 1 violated", False),
        (503, "too many outstanding requests", True),
        (503, "Service Unavailable", False),
        (422, "too many concurrent queries", True),
        (422, "parse error", False),
        (400, "too many requests", False),
    ],
)
def test_busy_is_what_may_be_answered_later(status: int, text: str, busy: bool) -> None:
    assert is_busy(status, text) is busy


class TestFanout:
    """With a clock that stands still."""

    def test_it_shrinks_once_for_those_that_were_under_way_together_and_grows_one_a_round(
        self,
    ) -> None:
        now = [0.0]
        fanout = Fanout(8, lambda: now[0])
        entered = [fanout.enter(0) for _ in range(8)]
        assert fanout.enter(0) is None
        now[0] = 1.0
        for one in entered:
            assert one is not None
            fanout.leave(one, busy=True)
        assert fanout.allowed == 4
        now[0] = 2.0
        later = [fanout.enter(0) for _ in range(5)]
        assert later[-1] is None
        for one in later[:4]:
            assert one is not None
            fanout.leave(one)
        # Almost: the last of them makes it whole, as each stands for a part of a round.
        assert fanout.allowed in (4, 5)
        for _ in range(40):
            one = fanout.enter(0)
            assert one is not None
            fanout.leave(one)
        assert fanout.allowed == 8

    def test_it_never_shrinks_to_nothing(self) -> None:
        now = [0.0]
        fanout = Fanout(2, lambda: now[0])
        for _ in range(5):
            entered = fanout.enter(0)
            assert entered is not None
            now[0] += 1
            fanout.leave(entered, busy=True)
        assert fanout.allowed == 1

    def test_nobody_goes_before_the_time_that_the_server_asked_for(self) -> None:
        now = [0.0]
        fanout = Fanout(4, lambda: now[0])
        entered = fanout.enter(0)
        assert entered is not None
        fanout.leave(entered, busy=True, wait=30)
        assert fanout.enter(10) is None
        now[0] = 30.0
        assert fanout.enter(0) is not None

    @pytest.mark.parametrize("wait", [86400.0, float("inf")])
    def test_a_server_that_asks_for_a_day_is_asked_again_after_a_minute(self, wait: float) -> None:
        now = [0.0]
        fanout = Fanout(4, lambda: now[0])
        entered = fanout.enter(0)
        assert entered is not None
        fanout.leave(entered, busy=True, wait=wait)
        now[0] = 59.0
        assert fanout.enter(0) is None
        now[0] = 60.0
        assert fanout.enter(0) is not None


@pytest.mark.parametrize(
    "written", ["", "soon", "²", "-5", "Mon, 99 Foo 2026", "Fri, 31 Dec 9999 23:59:59 -2359"]
)
def test_a_time_to_wait_that_nobody_can_read_is_none(written: str) -> None:
    assert asked_to_wait(written) >= 0.0


def test_targets_are_asked_for_once_whatever_the_number_of_queries() -> None:
    def script(request: Any) -> Any:
        if request.path.endswith("/targets"):
            target = {"labels": {"job": "shop"}, "scrapeInterval": "5s"}
            return reply({"status": "success", "data": {"activeTargets": [target]}})
        return reply({"status": "success", "data": ["shop"]})

    with HttpDouble(script) as server, prometheus(server) as client:
        threads = [threading.Thread(target=lambda: client.scrape_interval([])) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [r.path for r in server.requests].count("/api/v1/targets") == 1
