"""What is asked of a Prometheus, to the byte: methods, times, pieces, encodings, credentials."""

from __future__ import annotations

import base64
import gzip
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sloguard.adapters.prometheus import Prometheus, PrometheusSettings
from sloguard.core.series import PARTIAL
from sloguard.core.windows import Grid
from sloguard.ports import BadAnswer, BadQuery, MetricsRefused, Selection
from tests.support.http_double import Answer, HttpDouble, Request, Script, in_turn, reply
from tests.support.prometheus_api import failure, full, matrix, series, success, vector

GRID = Grid(1_767_225_600.0, 5, 3)
EMPTY = in_turn(reply(matrix()))


def client(server: HttpDouble, **settings: Any) -> Prometheus:
    return Prometheus(PrometheusSettings(url=server.url, backoff=0.01, retries=1, **settings))


class TestQueries:
    def test_times_keep_their_milliseconds(self) -> None:
        grid = Grid(1_767_225_600.007, 2.5, 4)
        with HttpDouble(in_turn(reply(matrix(full({}, grid))))) as server:
            assert client(server).range("up", grid).present.all()
            params = server.requests[0].params
        assert params["start"] == ["1767225600.007"]
        assert params["end"] == ["1767225607.507"]
        assert params["step"] == ["2.500"]
        assert params["nocache"] == ["1"]

    def test_an_instant_has_its_time_or_the_servers(self) -> None:
        with HttpDouble(in_turn(reply(vector()))) as server:
            client(server).instant("up", 1_767_225_600.0625)
            client(server).instant("up")
            at, now = (request.params for request in server.requests)
        assert at["time"] == ["1767225600.062"]
        assert "time" not in now

    @pytest.mark.parametrize(
        "grid", [Grid(0.0001, 1, 2), Grid(0, 1 / 3, 2), Grid(0, 0.0004, 2), Grid(0, 0, 2)]
    )
    def test_a_grid_that_prometheus_cannot_keep_to_is_refused(self, grid: Grid) -> None:
        with HttpDouble(EMPTY) as server:
            with pytest.raises(ValueError, match=r"step|milliseconds"):
                client(server).range("up", grid)
            assert not server.requests

    def test_an_empty_grid_asks_nothing(self) -> None:
        with HttpDouble(EMPTY) as server:
            assert client(server).range("up", Grid(0, 5, 0)).values.shape == (0, 0)
            assert not server.requests

    def test_short_queries_go_by_get_and_long_ones_in_the_body(self) -> None:
        long = 'up{path=~"' + "|".join(f"/a/{n}" for n in range(3000)) + '"}'
        assert len(long) > 10_000
        with HttpDouble(EMPTY) as server:
            client(server).range("sum(up) + 1 & ü", GRID)
            client(server).range(long, GRID)
            short, posted = server.requests
        assert short.method == "GET"
        assert short.params["query"] == ["sum(up) + 1 & ü"]
        assert posted.method == "POST"
        assert posted.target == "/api/v1/query_range"
        assert posted.headers["content-type"] == "application/x-www-form-urlencoded"
        assert posted.params["query"] == [long]
        assert posted.params["step"] == ["5.000"]

    def test_what_the_client_library_posts_is_not_in_the_url(self) -> None:
        with HttpDouble(in_turn(reply(success(["a"])))) as server:
            session = client(server)._connection
            session.request("POST", f"{server.url}/api/v1/labels", params={"match[]": "up"})
            request = server.requests[0]
        assert request.target == "/api/v1/labels"
        assert request.params == {"match[]": ["up"]}

    def test_a_path_prefix_is_kept_and_the_api_not_doubled(self) -> None:
        with HttpDouble(EMPTY) as server:
            for url in (f"{server.url}/prom/", f"{server.url}/prom/api/v1/"):
                Prometheus(PrometheusSettings(url=url)).range("up", GRID)
            assert {request.path for request in server.requests} == {"/prom/api/v1/query_range"}

    def test_parameters_and_headers_of_the_settings_go_along(self) -> None:
        with HttpDouble(EMPTY) as server:
            settings = {
                "params": {"partial_response": "false"},
                "headers": {"X-Scope-OrgID": "team-1"},
            }
            client(server, **settings).range("up", GRID)
            request = server.requests[0]
        assert request.params["partial_response"] == ["false"]
        assert request.headers["x-scope-orgid"] == "team-1"

    def test_one_connection_serves_many_queries(self) -> None:
        with HttpDouble(EMPTY) as server:
            prometheus = client(server)
            for _ in range(5):
                prometheus.range("up", GRID)
            assert [request.connection for request in server.requests] == [1] * 5

    def test_ipv6(self) -> None:
        try:
            double = HttpDouble(EMPTY, host="::1").__enter__()
        except OSError:
            pytest.skip("no IPv6 here")
        try:
            assert client(double).range("up", GRID).values.shape == (0, 3)
        finally:
            double.__exit__()

    def test_cookies_are_neither_kept_nor_sent(self) -> None:
        with HttpDouble(in_turn(reply(matrix(), headers={"Set-Cookie": "a=b; Path=/"}))) as server:
            prometheus = client(server)
            prometheus.range("up", GRID)
            prometheus.range("up", GRID)
            assert "cookie" not in server.requests[1].headers


class TestPieces:
    def test_long_windows_are_cut_on_the_same_grid_and_joined(self) -> None:
        grid = Grid(1_767_225_600.5, 0.5, 25_000)
        first_only = float(grid.times[10])
        last_only = float(grid.times[24_990])

        def script(request: Request) -> Answer:
            params = {name: float(request.params[name][0]) for name in ("start", "end", "step")}
            count = round((params["end"] - params["start"]) / params["step"]) + 1
            assert count <= 11_000
            asked = Grid(params["start"], params["step"], count)
            counted = [(float(at), str(round((at - grid.first) * 2))) for at in asked.times]
            result = [series({"s": "all"}, counted)]
            result += [
                series({"s": str(at)}, [(at, "1")])
                for at in (first_only, last_only)
                if params["start"] <= at <= params["end"]
            ]
            return reply(matrix(*result, warnings=["one warning"]))

        with HttpDouble(script) as server:
            answer = client(server).range("up", grid)
            windows = [
                (r.params["start"][0], r.params["end"][0], r.params["step"][0])
                for r in server.requests
            ]
        assert windows == [
            ("1767225600.500", "1767231100.000", "0.500"),
            ("1767231100.500", "1767236600.000", "0.500"),
            ("1767236600.500", "1767238100.000", "0.500"),
        ]
        assert answer.values[0].tolist() == list(range(25_000))
        assert answer.present[0].all()
        assert np.flatnonzero(answer.present[1]).tolist() == [10]
        assert np.flatnonzero(answer.present[2]).tolist() == [24_990]
        assert answer.notes == (f"{PARTIAL}one warning",)

    def test_an_error_of_one_piece_is_the_answers(self) -> None:
        good = reply(matrix())
        with HttpDouble(in_turn(good, reply(failure("bad_data", "odd"), 400))) as server:
            with pytest.raises(BadQuery, match="odd"):
                client(server, max_points=2).range("up", GRID)
            assert len(server.requests) == 2


class TestEncoding:
    def test_a_near_server_is_asked_for_plain_text(self) -> None:
        with HttpDouble(EMPTY) as server:
            client(server).range("up", GRID)
            client(server, compression="gzip").range("up", GRID)
            assert [r.headers["accept-encoding"] for r in server.requests] == ["identity", "gzip"]

    def test_packed_answers_are_read(self) -> None:
        body = gzip.compress(matrix(full({}, GRID)))
        chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        head = {"Content-Encoding": "gzip"}

        def pieces(line: Any) -> bool:
            line.send(
                b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
                + chunked
            )
            return True

        with HttpDouble(in_turn(reply(body, headers=head), pieces, reply(matrix()))) as server:
            prometheus = client(server)
            for _ in range(2):
                assert prometheus.range("up", GRID).values.tolist() == [[1, 1, 1]]
            prometheus.range("up", GRID)
            assert {request.connection for request in server.requests} == {1}


def asked_with(**settings: Any) -> Mapping[str, str]:
    with HttpDouble(EMPTY) as server:
        client(server, **settings).range("up", GRID)
        return server.requests[0].headers


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


class TestCredentials:
    def test_basic(self) -> None:
        headers = asked_with(username="jörg", password="pa:ss €")
        assert headers["authorization"] == basic("jörg:pa:ss €")

    def test_inside_the_url(self) -> None:
        with HttpDouble(EMPTY) as server:
            url = server.url.replace("//", "//me%40home:s%2Fecret-pass@")
            prometheus = Prometheus(PrometheusSettings(url=url))
            prometheus.range("up", GRID)
            assert server.requests[0].headers["authorization"] == basic("me@home:s/ecret-pass")
            assert server.requests[0].target.startswith("/api/v1/")
            assert "s/ecret-pass" not in repr(prometheus.settings)
            assert "s%2Fecret-pass" not in repr(prometheus.settings)
            assert prometheus.url == server.url

    def test_token(self) -> None:
        assert asked_with(token="t0ken")["authorization"] == "Bearer t0ken"

    def test_a_token_file_is_read_again(self, tmp_path: Path) -> None:
        file = tmp_path / "token"
        file.write_text("first\n")
        with HttpDouble(EMPTY) as server:
            prometheus = client(server, token_file=file)
            prometheus.range("up", GRID)
            file.write_text("other\n")
            prometheus.range("up", GRID)
            sent = [request.headers["authorization"] for request in server.requests]
            assert sent == ["Bearer first", "Bearer other"]
            file.write_text("")
            with pytest.raises(MetricsRefused, match="holds no token"):
                prometheus.range("up", GRID)
            file.unlink()
            with pytest.raises(MetricsRefused, match="token cannot be read: No such file"):
                prometheus.range("up", GRID)

    def test_the_home_directory_does_not_overrule_them(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login other password wrong\n")
        monkeypatch.setenv("NETRC", str(netrc))
        assert asked_with(token="mine")["authorization"] == "Bearer mine"
        assert "authorization" not in asked_with()

    @pytest.mark.parametrize(
        "settings",
        [
            {"username": "u", "password": "sesame-open"},
            {"token": "sesame-open"},
            {"headers": {"X-Api-Key": "sesame-open"}},
        ],
    )
    def test_no_secret_in_any_error(self, settings: dict[str, Any]) -> None:
        said = failure("unauthorized", "not for sesame-open")
        refusing = HttpDouble(in_turn(reply(said, 401)))
        with refusing as server, pytest.raises(MetricsRefused) as caught:
            client(server, **settings).range("up", GRID)
        chain = [str(caught.value), repr(caught.value), str(caught.value.__cause__)]
        assert not any("sesame-open" in text for text in chain)
        assert "not for *****" in str(caught.value)

    def test_nor_of_a_token_file(self, tmp_path: Path) -> None:
        file = tmp_path / "token"
        file.write_text("sesame-open")
        refusing = HttpDouble(in_turn(reply("sesame-open?", 401, "text/plain")))
        with refusing as server, pytest.raises(MetricsRefused) as caught:
            client(server, token_file=file).range("up", GRID)
        assert "sesame-open" not in str(caught.value)


class TestClientLibrary:
    """What is inherited keeps to the same rules."""

    def test_custom_query_range_takes_aware_times_to_the_millisecond(self) -> None:
        start = datetime(2026, 1, 1, 2, 0, 0, 123_000, tzinfo=timezone(timedelta(hours=2)))
        with HttpDouble(in_turn(reply(matrix(full({"a": "b"}, GRID))))) as server:
            found = client(server).custom_query_range("up", start, start.astimezone(UTC), "5s")
            params = server.requests[0].params
        assert found[0]["metric"] == {"a": "b"}
        assert params["start"] == params["end"] == ["1767225600.123"]

    def test_naive_times_are_refused(self) -> None:
        naive = datetime(2026, 1, 1)
        with HttpDouble(EMPTY) as server, pytest.raises(ValueError, match="time zone"):
            client(server).custom_query_range("up", naive, naive, "5s")

    def test_custom_query(self) -> None:
        sample = {"metric": {"a": "b"}, "value": [1, "2"]}
        with HttpDouble(in_turn(reply(vector(sample)))) as server:
            assert client(server).custom_query("up", {"time": 5}) == [sample]
            assert server.requests[0].params["time"] == ["5"]

    def test_names_of_metrics(self) -> None:
        with HttpDouble(in_turn(reply(success(["up", "ü"])))) as server:
            assert client(server).all_metrics() == ["up", "ü"]
            assert server.requests[0].target == "/api/v1/label/__name__/values"


def target(
    job: str, interval: str, scraped: str = "2026-01-01T12:00:00.123456789Z"
) -> dict[str, Any]:
    return {"labels": {"job": job}, "scrapeInterval": interval, "lastScrape": scraped}


def prometheus_with(
    targets: Answer, jobs: Answer | None = None, rules: Answer | None = None
) -> Script:
    def script(request: Request) -> Answer:
        answers = {"targets": targets, "label/job/values": jobs, "rules": rules}
        found = answers.get(request.path.removeprefix("/api/v1/"))
        return found or reply(failure("not_found", "?"), 404)

    return script


TARGETS = reply(success({"activeTargets": [
    target("shop", "5s"), target("shop", "1m30s"), target("slow", "1h"), target("odd", ""),
    target("none", "1s", "0001-01-01T00:00:00Z"),
]}))  # fmt: skip


class TestTargets:
    def interval(self, jobs: list[str]) -> float | None:
        script = prometheus_with(TARGETS, reply(success(jobs)))
        with HttpDouble(script) as server:
            return client(server).scrape_interval([Selection("up")])

    def test_the_largest_interval_of_the_jobs_that_are_hit(self) -> None:
        assert self.interval(["shop"]) == 90
        assert self.interval(["none"]) == 1
        assert self.interval(["none", "slow", "odd"]) == 3600
        assert self.interval(["odd"]) is None
        assert self.interval(["elsewhere"]) is None
        assert self.interval([]) is None

    def test_jobs_are_found_by_their_series_in_one_request_on_the_servers_clock(self) -> None:
        selections = [
            Selection("up", (("path", "=~", 'a"\\d+\n'), ("job", "!=", ""))),
            Selection(None, (("__name__", "=~", "http_.*"),)),
            Selection("dotted.name", (("k8s.pod", "=", "ü"),)),
        ]
        with HttpDouble(prometheus_with(TARGETS, reply(success(["shop"])))) as server:
            client(server).scrape_interval(selections)
            _, request = server.requests
        assert request.params["match[]"] == [
            'up{path=~"a\\"\\\\d+\\n",job!=""}',
            '{__name__=~"http_.*"}',
            '{__name__="dotted.name","k8s.pod"="ü"}',
        ]
        assert request.params["start"] == ["1767265200.123"]
        assert request.params["end"] == ["1767268860.123"]

    def test_many_selectors_go_in_several_requests(self) -> None:
        selections = [Selection(f"metric_{n}", (("label", "=", "x" * 400),)) for n in range(9)]
        with HttpDouble(prometheus_with(TARGETS, reply(success(["shop"])))) as server:
            assert client(server).scrape_interval(selections) == 90
            asked = [m for r in server.requests[1:] for m in r.params["match[]"]]
            assert len(asked) == 9
            assert max(len(r.target) for r in server.requests) < 2500

    def test_no_selector_no_interval(self) -> None:
        with HttpDouble(prometheus_with(TARGETS)) as server:
            assert client(server).scrape_interval([]) is None

    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(reply("404 page not found", 404, "text/plain"), id="Mimir"),
            pytest.param(reply(failure("400", "unsupported path requested"), 400), id="cluster"),
            pytest.param(reply("forbidden", 403, "text/plain"), id="not for us"),
            pytest.param(reply("<html>", 200, "text/html"), id="a page"),
            pytest.param(reply(success({"activeTargets": []})), id="no targets"),
            pytest.param(reply(success({"activeTargets": None})), id="null"),
        ],
    )
    def test_none_where_the_server_does_not_tell(self, answer: Answer) -> None:
        with HttpDouble(prometheus_with(answer, reply(success(["shop"])))) as server:
            assert client(server).scrape_interval([Selection("up")]) is None
            assert len(server.requests) == 1

    def test_an_interval_may_be_told_among_the_discovered_labels(self) -> None:
        one = {"labels": {"job": "shop"}, "discoveredLabels": {"__scrape_interval__": "30s"}}
        script = prometheus_with(reply(success({"activeTargets": [one]})), reply(success(["shop"])))
        with HttpDouble(script) as server:
            assert client(server).scrape_interval([Selection("up")]) == 30


class TestRules:
    def test_recording_rules_with_their_groups_interval(self) -> None:
        rules = [
            {
                "type": "recording",
                "name": "job:up:sum",
                "query": "sum by (job) (up)",
                "labels": {"a": "b"},
            },
            {"type": "alerting", "name": "Down", "query": "up == 0", "labels": {}},
            {"type": "recording", "name": "plain", "query": "up"},
        ]
        groups = [{"name": "g", "file": "f", "interval": 7.5, "rules": rules}]
        with HttpDouble(
            prometheus_with(reply(""), rules=reply(success({"groups": groups})))
        ) as server:
            found = client(server).recording_rules()
            assert server.requests[0].params == {"type": ["record"]}
        assert [(r.name, r.expr, r.interval, dict(r.labels)) for r in found] == [
            ("job:up:sum", "sum by (job) (up)", 7.5, {"a": "b"}),
            ("plain", "up", 7.5, {}),
        ]

    def test_none_where_there_are_no_rules(self) -> None:
        for answer in (reply("404", 404, "text/plain"), reply(success({"groups": None}))):
            with HttpDouble(prometheus_with(reply(""), rules=answer)) as server:
                assert client(server).recording_rules() == ()


class TestClock:
    def test_the_quickest_round_trip_counts(self) -> None:
        """The local clock is scripted: each try is (sent, received), and the server is 10 s ahead."""
        trips = [(100.0, 100.4), (101.0, 101.02), (102.0, 103.0), (104.0, 104.3), (105.0, 105.2)]
        local = iter([at for trip in trips for at in trip])
        answers = [
            reply(success({"resultType": "scalar", "result": [at, f"{at:.3f}"]}))
            for at in (110.2, 111.015, 112.5, 114.1, 115.1)
        ]
        with HttpDouble(in_turn(*answers)) as server:
            settings = PrometheusSettings(url=server.url)
            offset = Prometheus(settings, now=lambda: next(local)).clock_offset()
        assert offset.seconds == pytest.approx(111.0155 - 101.01)
        assert offset.uncertainty == pytest.approx(0.0105)

    def test_no_time_no_offset(self) -> None:
        timeless = HttpDouble(in_turn(reply(vector())))
        with timeless as server, pytest.raises(BadAnswer, match="does not say what time it is"):
            client(server).clock_offset()


def test_nan_is_kept_of_an_instant() -> None:
    with HttpDouble(in_turn(reply(vector({"metric": {}, "value": [1, "NaN"]})))) as server:
        assert math.isnan(client(server).instant("up").samples[0].value)
