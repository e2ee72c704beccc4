"""Everything that can go wrong between sloguard and a Prometheus, and what a person reads of it."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from sloguard.adapters.prometheus import Prometheus, PrometheusSettings
from sloguard.adapters.prometheus_errors import connection_problem
from sloguard.adapters.prometheus_sockets import resolve
from sloguard.core.windows import Grid
from sloguard.ports import (
    AnswerTooLarge,
    BadAnswer,
    BadQuery,
    MetricsError,
    MetricsRefused,
    MetricsUnreachable,
)
from tests.support.http_double import (
    Answer,
    HttpDouble,
    hang_up,
    in_turn,
    raw,
    reply,
    silence,
    trickled,
)
from tests.support.patience import PATIENCE, SOON, all_at_once, eventually
from tests.support.prometheus_api import failure, full, matrix, vector

GRID = Grid(1_767_225_600.0, 5, 3)
GOOD = reply(matrix(full({"a": "b"}, GRID)))
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#: For what runs into it: long enough for a slow machine to get as far as waiting for the answer.
DEADLINE = 2.0


def prometheus(url: str, **settings: Any) -> Prometheus:
    """``deadline``: of no test unless it asks for one."""
    quick = {"deadline": PATIENCE, "backoff": 0.01, "retries": 3, **settings}
    return Prometheus(PrometheusSettings(url=url, **quick))


def asked(answer: Answer, **settings: Any) -> tuple[MetricsError, int, float]:
    """(The error, how many requests it took, how long)."""
    with HttpDouble(in_turn(answer)) as server:
        begun = time.monotonic()
        with pytest.raises(MetricsError) as caught, prometheus(server.url, **settings) as client:
            client.range("up", GRID)
        spent = time.monotonic() - begun
        text = str(caught.value)
        assert f"http://127.0.0.1:{server.port}" in text
        assert "\n" not in text
        assert len(text) < 900
        return caught.value, len(server.requests), spent


SLOW = {
    "accepts and never answers": silence,
    "head byte by byte": trickled(b"", b"HTTP/1.1 200 OK\r\nX: "),
    "headers without end": trickled(HEAD, b"X-More: 1\r\n"),
    "body byte by byte": trickled(HEAD + b"Content-Length: 999999\r\n\r\n", b"x"),
    "chunks without end": trickled(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "body without length": trickled(HEAD + b"\r\n", b"x"),
}


class TestTime:
    """One deadline for everything, whatever the server does with its time."""

    def test_a_slow_server_is_given_up_at_the_deadline(self) -> None:
        found = all_at_once([partial(asked, slow, deadline=DEADLINE) for slow in SLOW.values()])
        for what, given in zip(SLOW, found, strict=True):
            assert isinstance(given, tuple), (what, given)
            error, requests, spent = given
            assert isinstance(error, MetricsUnreachable), what
            assert "no complete answer in time (1 try in " in str(error), what
            assert requests == 1, what
            assert DEADLINE <= spent < SOON, what

    def test_a_server_that_accepts_no_connection(self) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
            port = listener.getsockname()[1]
            waiting = [socket.socket() for _ in range(3)]
            for sock in waiting:
                sock.setblocking(False)
                sock.connect_ex(("127.0.0.1", port))
            client = prometheus(f"http://127.0.0.1:{port}", connect_timeout=0.1, retries=2)
            begun = time.monotonic()
            with pytest.raises(MetricsUnreachable, match=r"no connection in time \(3 tries"):
                client.instant("up")
            assert time.monotonic() - begun < SOON
            for sock in waiting:
                sock.close()

    def test_one_deadline_for_all_pieces_of_a_window(self) -> None:
        stop = threading.Event()

        def slow(line: Any) -> bool:
            stop.wait(0.4)
            return reply(matrix())(line)

        with HttpDouble(in_turn(slow)) as server:
            client = prometheus(server.url, deadline=1.0, max_points=10)
            begun = time.monotonic()
            # A thousand pieces; the server is quick enough for each of them.
            with pytest.raises(MetricsUnreachable):
                client.range("up", Grid(0, 1, 10_000))
            assert time.monotonic() - begun < SOON
            assert len(server.requests) <= 3

    def test_waiting_for_ones_turn_counts(self) -> None:
        with HttpDouble(in_turn(silence)) as server:
            client = prometheus(server.url, concurrency=1, deadline=0.3)
            first = threading.Thread(target=lambda: client.range_many([("a", GRID)]))
            first.start()
            eventually(lambda: server.requests)
            begun = time.monotonic()
            with pytest.raises(
                MetricsUnreachable, match=r"1 other requests are still under way|answer"
            ):
                client.instant("up")
            assert time.monotonic() - begun < SOON
            first.join()

    def test_the_server_is_told_how_long_somebody_waits(self) -> None:
        with HttpDouble(in_turn(GOOD)) as server:
            prometheus(server.url, deadline=20).range("up", GRID)
            assert 15 < float(server.requests[0].params["timeout"][0]) < 20

    def test_a_name_that_is_not_known(self) -> None:
        with pytest.raises(MetricsUnreachable, match="its name is not known"):
            prometheus("http://prometheus.invalid:9090").instant("up")

    def test_name_servers_that_do_not_answer_are_given_up(self) -> None:
        asked_for_good = threading.Event()
        with pytest.raises(TimeoutError, match="no answer from the name servers in time"):
            resolve("prometheus", 80, 0.05, lookup=lambda *_, **__: asked_for_good.wait())
        asked_for_good.set()


class TestRetries:
    """Only where it may help, and not for ever."""

    @pytest.mark.parametrize("status", [429, 502, 503, 504])
    def test_what_passes_is_tried_again(self, status: int) -> None:
        busy = reply("busy", status, "text/plain")
        with HttpDouble(in_turn(busy, busy, GOOD)) as server:
            assert prometheus(server.url).range("up", GRID).values.tolist() == [[1, 1, 1]]
            assert len(server.requests) == 3

    @pytest.mark.parametrize(
        "broken",
        [
            pytest.param(hang_up, id="closed without an answer"),
            pytest.param(raw(HEAD + b"Content-Length: 99\r\n\r\n{"), id="cut off"),
            pytest.param(
                raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{"), id="a chunk cut off"
            ),
            pytest.param(
                raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"),
                id="the last chunk missing",
            ),
        ],
    )
    def test_a_broken_connection_is_made_anew(self, broken: Answer) -> None:
        with HttpDouble(in_turn(broken, GOOD)) as server:
            assert prometheus(server.url).range("up", GRID).values.shape == (1, 3)
            assert [one.connection for one in server.requests] == [1, 2]
        error, requests, _ = asked(broken)
        assert isinstance(error, MetricsUnreachable)
        assert requests == 4
        assert "broke off" in str(error) or "closed without an answer" in str(error)
        assert "(4 tries in " in str(error)

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 500])
    def test_what_stays_is_not_tried_again(self, status: int) -> None:
        _, requests, _ = asked(reply(failure("x", "no"), status))
        assert requests == 1

    def test_a_query_that_timed_out_over_there_is_not_tried_again(self) -> None:
        said = failure("timeout", "query timed out in expression evaluation")
        error, requests, _ = asked(reply(said, 503))
        assert isinstance(error, AnswerTooLarge)
        assert "query timed out in expression evaluation" in str(error)
        assert requests == 1

    def test_what_the_server_said_before_it_went_silent_is_kept(self) -> None:
        starting = reply(failure("unavailable", "the WAL is being replayed"), 503)
        with HttpDouble(in_turn(starting, silence)) as server:
            with pytest.raises(MetricsUnreachable) as caught:
                prometheus(server.url, deadline=DEADLINE).range("up", GRID)
            assert "the WAL is being replayed" in str(caught.value)

    def test_retry_after_is_kept_to(self) -> None:
        later = reply("slow down", 429, "text/plain", {"Retry-After": "99"})
        error, requests, spent = asked(later)
        assert requests == 1
        # It is more than is left, so it is not even begun.
        assert spent < SOON
        assert "slow down" in str(error)

    def test_a_refused_connection_is_named(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        with pytest.raises(MetricsUnreachable, match=r"connection refused \(4 tries in"):
            prometheus(f"http://127.0.0.1:{port}").instant("up")


HTML = "<!DOCTYPE html><html><head><title>Sign in\n to Acme</title></head></html>"


class TestKinds:
    """Each failure is one of the port's errors, in the server's words."""

    @pytest.mark.parametrize(
        ("answer", "kind", "said"),
        [
            (
                reply(failure("bad_data", "1:5: parse error"), 400),
                BadQuery,
                "400 bad_data: 1:5: parse error",
            ),
            (
                reply(failure("execution", "many-to-many matching"), 422),
                BadQuery,
                "many-to-many matching",
            ),
            (
                reply(
                    failure(
                        "execution", "query processing would load too many samples into memory"
                    ),
                    422,
                ),
                AnswerTooLarge,
                "too many samples into memory; ask for fewer series",
            ),
            (
                reply(failure("execution", "exceeded series limit: 1000 (limit) vs 1001"), 422),
                AnswerTooLarge,
                "exceeded series limit",
            ),
            (
                reply(
                    failure("execution", "the query exceeded (err-mimir-max-chunks-per-query)"), 422
                ),
                AnswerTooLarge,
                "err-mimir-max-chunks",
            ),
            (
                reply(
                    failure("422", "cannot select more than -search.maxSamplesPerQuery=10 samples"),
                    422,
                ),
                AnswerTooLarge,
                "maxSamplesPerQuery",
            ),
            (
                reply(
                    failure(
                        "bad_data", "exceeded maximum resolution of 11,000 points per timeseries"
                    ),
                    400,
                ),
                AnswerTooLarge,
                "maximum resolution",
            ),
            (reply("entity too large", 413, "text/plain"), AnswerTooLarge, "413"),
            (
                reply("no org id", 401, "text/plain"),
                MetricsRefused,
                "401 with 'no org id'; check the user",
            ),
            (
                reply(HTML, 403, "text/html"),
                MetricsRefused,
                "403 with a web page titled 'Sign in to Acme'",
            ),
            (
                reply(failure("internal", "disk is on fire"), 500),
                MetricsError,
                "500 internal: disk is on fire",
            ),
            (reply("", 500, "text/plain"), MetricsError, "500 with an empty answer"),
            (reply(HTML, 200, "text/html; charset=utf-8"), BadAnswer, "200 with a web page titled"),
            (reply("  <html>", 200, "application/json"), BadAnswer, "200 with a web page"),
            (reply(HTML, 502, "text/html"), MetricsUnreachable, "502 with a web page"),
            (
                reply("404 page not found", 404, "text/plain"),
                BadAnswer,
                "check the address and its path",
            ),
            (reply("not allowed", 405, "text/plain"), BadAnswer, "405 with 'not allowed'"),
            (
                reply(failure("bad_data", "cached failure"), 200),
                BadAnswer,
                "200 bad_data: cached failure",
            ),
            (
                reply(
                    '{"data":{"resultType":"matrix","result":[]},"error":"late","status":"error"}',
                    200,
                ),
                BadAnswer,
                "200 error: late",
            ),
            (reply("{", 200), BadAnswer, "not what Prometheus's API gives"),
            (reply("ok"), BadAnswer, "it begins: 'ok'"),
            (reply(b"\xff\xfe\x00"), BadAnswer, "not what Prometheus's API gives"),
            (reply(vector()), BadAnswer, "holds vector, not a matrix"),
        ],
    )
    def test_kind_and_words(self, answer: Answer, kind: type[MetricsError], said: str) -> None:
        error, _, _ = asked(answer)
        assert type(error) is kind
        assert said in str(error)

    def test_a_redirect_is_not_followed(self) -> None:
        location = "https://user:hunter22@login.example/oauth?state=topsecret"
        error, requests, _ = asked(reply("", 302, "text/html", {"Location": location}))
        assert isinstance(error, BadAnswer)
        assert "redirects (302) to https://login.example/oauth; if that is a login" in str(error)
        assert "hunter22" not in str(error)
        assert "topsecret" not in str(error)
        assert requests == 1

    def test_a_huge_answer_is_not_read_to_its_end(self) -> None:
        many = b"x" * 65536
        error, _, _ = asked(
            trickled(HEAD + b"Content-Length: 99999999\r\n\r\n" + many * 20, b"x"),
            max_bytes=1_000_000,
        )
        assert isinstance(error, AnswerTooLarge)
        assert "more than 1,000,000 bytes" in str(error)

    def test_so_is_one_that_grows_when_unpacked(self) -> None:
        bomb = gzip.compress(b" " * 5_000_000)
        error, _, _ = asked(reply(bomb, headers={"Content-Encoding": "gzip"}), max_bytes=1_000_000)
        assert isinstance(error, AnswerTooLarge)

    def test_what_is_not_gzip_is_no_answer(self) -> None:
        error, _, _ = asked(reply(b"plain", headers={"Content-Encoding": "gzip"}))
        assert isinstance(error, BadAnswer)
        assert "cannot be unpacked" in str(error)

    def test_long_messages_are_cut(self) -> None:
        error, _, _ = asked(reply(failure("bad_data", "word " * 10_000), 400))
        assert str(error).endswith("…")


class TestMany:
    def test_answers_stand_in_the_order_asked_and_errors_in_their_place(self) -> None:
        def script(request: Any) -> Answer:
            query = request.params["query"][0]
            if query == "bad":
                return reply(failure("bad_data", "no"), 400)
            return reply(matrix(full({"q": query}, GRID)))

        with HttpDouble(script) as server:
            queries = [("bad" if n == 7 else f"q{n}", GRID) for n in range(30)]
            found = prometheus(server.url, concurrency=5).range_many(queries)
            assert len(server.requests) == 30
            assert max(request.connection for request in server.requests) <= 5
        for number, answer in enumerate(found):
            if number == 7:
                assert isinstance(answer, BadQuery)
            else:
                assert not isinstance(answer, MetricsError)
                assert answer.labels == ((("q", f"q{number}"),),)

    def test_no_more_at_once_than_was_set(self) -> None:
        lock, under_way, most = threading.Lock(), [0], [0]
        release = threading.Event()

        def answer(line: Any) -> bool:
            with lock:
                under_way[0] += 1
                most[0] = max(most[0], under_way[0])
            release.wait(0.01)
            with lock:
                under_way[0] -= 1
            return GOOD(line)

        with HttpDouble(in_turn(answer)) as server:
            client = prometheus(server.url, concurrency=3)
            threads = [threading.Thread(target=lambda: client.range("up", GRID)) for _ in range(12)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(server.requests) == 12
            assert most[0] == 3

    def test_when_the_server_is_gone_all_ends_soon(self) -> None:
        with HttpDouble(in_turn(silence)) as server:
            client = prometheus(server.url, concurrency=2, deadline=DEADLINE)
            begun = time.monotonic()
            found = client.range_many([("up", GRID)] * 20)
            assert time.monotonic() - begun < SOON
            assert len(server.requests) == 2
        assert all(isinstance(answer, MetricsUnreachable) for answer in found)
        assert "not asked, as a query before it failed" in str(found[-1])

    def test_nothing_asked_nothing_answered(self) -> None:
        assert prometheus("http://127.0.0.1:1").range_many([]) == []


Call = Callable[[Prometheus], object]


CALLS: dict[str, Call] = {
    "custom_query": lambda p: p.custom_query("up"),
    "all_metrics": lambda p: p.all_metrics(),
    "get_targets": lambda p: p.get_targets(),
    "get_current_metric_value": lambda p: p.get_current_metric_value("up"),
    "clock_offset": lambda p: p.clock_offset(),
    "scrape_interval": lambda p: p.scrape_interval([]),
    "recording_rules": lambda p: p.recording_rules(),
}


def test_every_way_to_ask_keeps_to_the_deadline() -> None:
    with HttpDouble(in_turn(silence)) as server:
        begun = time.monotonic()
        clients = [prometheus(server.url, deadline=DEADLINE) for _ in CALLS]
        found = all_at_once(
            [partial(call, client) for call, client in zip(CALLS.values(), clients, strict=True)]
        )
        assert time.monotonic() - begun < SOON
    for name, given in zip(CALLS, found, strict=True):
        assert isinstance(given, MetricsUnreachable), (name, given)
        assert "no complete answer" in str(given), name


@pytest.mark.parametrize("name", CALLS)
def test_every_way_to_ask_keeps_to_the_errors(name: str) -> None:
    broken = in_turn(reply(failure("internal", "broken inside"), 500))
    with HttpDouble(broken) as server, pytest.raises(MetricsError, match="broken inside"):
        CALLS[name](prometheus(server.url))


class TestTlsProblems:
    """How the errors of TLS read, whichever of them arrives first."""

    @pytest.mark.parametrize(
        ("error", "said", "again", "refused"),
        [
            (ssl.SSLEOFError(8, "EOF occurred"), "may ask for a client certificate", True, False),
            (
                ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert"),
                "asks for",
                False,
                True,
            ),
            (
                ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"),
                "TLS failed",
                False,
                False,
            ),
            (
                ConnectionResetError(104, "Connection reset by peer"),
                "connection reset by peer",
                True,
                False,
            ),
        ],
    )
    def test_words(self, error: OSError, said: str, again: bool, refused: bool) -> None:
        outer = RuntimeError("outer", error)
        text, may_help, credentials = connection_problem(outer)
        assert said in text
        assert (may_help, credentials) == (again, refused)


class TestProxies:
    """A proxy of the environment is used for what is far, and keeps to the deadline like the rest."""

    def test_far_through_it_and_near_past_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with HttpDouble(in_turn(GOOD)) as proxy, HttpDouble(in_turn(GOOD)) as near:
            monkeypatch.setenv("http_proxy", proxy.url)
            assert prometheus("http://prometheus.example:9090").range("up", GRID).present.all()
            assert prometheus(near.url).range("up", GRID).present.all()
            assert proxy.requests[0].target.startswith("http://prometheus.example:9090/api/v1/")
            assert len(near.requests) == len(proxy.requests) == 1

    def test_a_proxy_that_hangs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with HttpDouble(in_turn(trickled(b"", b"HTTP/1.1 200 OK\r\nX: "))) as proxy:
            monkeypatch.setenv("http_proxy", proxy.url)
            begun = time.monotonic()
            with pytest.raises(MetricsUnreachable, match="no complete answer in time"):
                prometheus("http://prometheus.example:9090", deadline=DEADLINE).instant("up")
            assert time.monotonic() - begun < SOON
