"""The adapter against a real Prometheus: exact samples, long windows, real errors, real ends."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sloguard.adapters.prometheus import Prometheus, PrometheusSettings
from sloguard.core.series import Matrix
from sloguard.core.windows import Grid
from sloguard.ports import (
    AnswerTooLarge,
    BadQuery,
    MetricsError,
    MetricsRefused,
    MetricsUnreachable,
    Selection,
)
from tests.support.certificates import Certificates
from tests.support.patience import PATIENCE, SOON
from tests.support.servers import PrometheusServer, free_port, has, write_openmetrics

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not has("prometheus", "promtool"), reason="Prometheus is not installed"),
]

T0 = 1_767_225_600.0
NASTY = 'a "quoted" \\ path\n/ü/🙂]]},{"metric":{'
LONG = 25_000
Start = Callable[..., PrometheusServer]


def nasty_values() -> list[float]:
    chance = np.random.default_rng(7)
    exact = [0.0, -0.0, 1e-300, 1e300, 0.1 + 0.2, math.pi, 2.0**64, -1.5]
    return [*exact, math.nan, math.inf, -math.inf, *chance.normal(size=200).tolist()]


def samples(values: list[float], step: float = 5) -> list[tuple[float, float]]:
    return [(T0 + n * step, value) for n, value in enumerate(values)]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """A server whose only data is what was written here."""
    directory = tmp_path_factory.mktemp("loaded")
    escaped = NASTY.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    series = {
        f'values{{path="{escaped}"}}': samples(nasty_values()),
        'values{path="some"}': samples([1.0] * 3),
        "long{}": [(T0 + n, float(n)) for n in range(LONG)],
        'long{part="last"}': [(T0 + n, 1.0) for n in range(LONG - 10, LONG)],
        "holes{}": [(T0, 1.0), (T0 + 500, 2.0)],
        **{f'many{{n="{n}"}}': samples([float(n)] * 60) for n in range(50)},
    }
    written = write_openmetrics(directory / "data.om", series)
    server = PrometheusServer(directory / "server", openmetrics=[written])
    server.start()
    yield server
    server.kill()


@pytest.fixture
def prometheus(loaded: PrometheusServer) -> Iterator[Prometheus]:
    with client(loaded) as made:
        yield made


def client(server: PrometheusServer, **settings: Any) -> Prometheus:
    return Prometheus(PrometheusSettings(url=server.url, **settings))


class TestSamples:
    def test_every_value_and_label_is_exact(self, prometheus: Prometheus) -> None:
        expected = nasty_values()
        answer = prometheus.range("values", Grid(T0, 5, len(expected)))
        rows = {dict(labels)["path"]: row for row, labels in enumerate(answer.labels)}
        assert set(rows) == {NASTY, "some"}
        np.testing.assert_array_equal(answer.values[rows[NASTY]], expected)
        assert answer.present[rows[NASTY]].all()

    def test_an_instant_is_the_same(self, prometheus: Prometheus) -> None:
        found = prometheus.instant('values{path!="some"}', T0 + 4 * 5)
        assert found.samples[0].value == 0.1 + 0.2
        assert found.samples[0].at == T0 + 20
        assert dict(found.samples[0].labels)["path"] == NASTY

    def test_a_grid_between_the_seconds(self, prometheus: Prometheus) -> None:
        grid = Grid(T0 + 0.123, 2.5, 9)
        answer = prometheus.range("long - 0", grid)
        assert answer.values[0].tolist() == [0, 2, 5, 7, 10, 12, 15, 17, 20]
        assert answer.present.all()

    def test_staleness_hides_most_of_a_hole(self, prometheus: Prometheus) -> None:
        answer = prometheus.range("holes", Grid(T0, 5, 101))
        missing = np.flatnonzero(~answer.present[0]) * 5
        assert (missing[0], missing[-1]) in {(300, 495), (305, 495)}

    def test_packed_or_not_the_answer_is_the_same(self, loaded: PrometheusServer) -> None:
        grid = Grid(T0, 5, 240)
        plain, packed = (
            client(loaded, compression=kind).range("values", grid) for kind in ("identity", "gzip")
        )
        np.testing.assert_array_equal(plain.values, packed.values)
        assert plain.labels == packed.labels


class TestLongWindows:
    def test_above_11_000_points_the_pieces_are_joined(self, prometheus: Prometheus) -> None:
        grid = Grid(T0, 1, LONG)
        answer = prometheus.range("long", grid)
        rows = {dict(labels).get("part"): row for row, labels in enumerate(answer.labels)}
        assert answer.values[rows[None]].tolist() == list(range(LONG))
        assert np.flatnonzero(answer.present[rows["last"]]).tolist() == list(range(LONG - 10, LONG))

    @pytest.mark.parametrize("points", [1, 7, 1000])
    def test_where_it_is_cut_does_not_show(self, loaded: PrometheusServer, points: int) -> None:
        grid = Grid(T0 + 0.5, 2.5, 30 * points)
        whole = client(loaded).range("values or many", grid)
        cut = client(loaded, max_points=points).range("values or many", grid)
        order = [cut.labels.index(labels) for labels in whole.labels]
        np.testing.assert_array_equal(whole.values, cut.values[order])
        np.testing.assert_array_equal(whole.present, cut.present[order])

    def test_a_query_above_10_kb(self, prometheus: Prometheus) -> None:
        names = "|".join(["25", *(f"none-{n}" for n in range(2000))])
        query = f'many{{n=~"{names}"}}'
        assert len(query) > 10_000
        assert prometheus.range(query, Grid(T0, 5, 2)).values.tolist() == [[25.0, 25.0]]
        assert prometheus.instant(query, T0).samples[0].value == 25.0

    def test_many_queries_at_once(self, prometheus: Prometheus) -> None:
        queries = [(f'many{{n="{n % 50}"}}', Grid(T0, 5, 60)) for n in range(80)]
        answers = prometheus.range_many(queries)
        for number, answer in enumerate(answers):
            assert isinstance(answer, Matrix)
            assert answer.values.tolist() == [[float(number % 50)] * 60]


class TestErrors:
    def test_prometheus_own_words_are_kept(self, prometheus: Prometheus) -> None:
        with pytest.raises(BadQuery, match=r"400 bad_data: .*unclosed left parenthesis"):
            prometheus.range("sum(up", Grid(T0, 5, 3))
        with pytest.raises(BadQuery, match=r"422 execution: .*many-to-many matching not allowed"):
            prometheus.range("many * on() many", Grid(T0, 5, 3))
        with pytest.raises(BadQuery, match="ranges of samples"):
            prometheus.instant("many[5m]")

    def test_a_query_that_takes_too_long(self, loaded: PrometheusServer) -> None:
        hurried = client(loaded, params={"timeout": "1ms"})
        with pytest.raises(AnswerTooLarge, match="query timed out in"):
            hurried.range("count(rate(long[1h])) + count(rate(long[2h]))", Grid(T0, 1, 11_000))

    def test_a_query_that_loads_too_much_is_asked_in_parts(
        self, start_prometheus: Start, tmp_path: Path
    ) -> None:
        values = [float(n) for n in range(500)]
        written = write_openmetrics(tmp_path / "x.om", {"x{}": samples(values)})
        server = start_prometheus(openmetrics=[written], flags=["--query.max-samples=100"])
        assert client(server).range("x", Grid(T0, 5, 400)).values.tolist() == [values[:400]]

    def test_a_point_that_loads_too_much(self, start_prometheus: Start, tmp_path: Path) -> None:
        written = write_openmetrics(tmp_path / "x.om", {"x{}": samples([1.0] * 500)})
        server = start_prometheus(openmetrics=[written], flags=["--query.max-samples=5"])
        with pytest.raises(AnswerTooLarge, match="too many samples"):
            client(server).range("x", Grid(T0, 5, 400))

    def test_a_path_that_is_not_there(self, loaded: PrometheusServer) -> None:
        settings = PrometheusSettings(url=f"{loaded.url}/prom")
        with pytest.raises(MetricsError, match="404"):
            Prometheus(settings).range("up", Grid(T0, 5, 3))

    def test_warnings_are_kept(self, start_prometheus: Start) -> None:
        dead = f"http://127.0.0.1:{free_port()}/read"
        server = start_prometheus(more={"remote_read": [{"url": dead, "read_recent": True}]})
        grid = Grid(T0, 5, 3)
        assert "connection refused" in " ".join(client(server).range("up", grid).notes)
        assert "connection refused" in " ".join(client(server).instant("up", T0).notes)


class TestEnds:
    def test_killed_and_started_again(self, start_prometheus: Start) -> None:
        server = start_prometheus()
        prometheus = client(server, backoff=0.2, retries=6)
        assert prometheus.instant("vector(1)").samples[0].value == 1
        server.kill()
        restart = threading.Thread(target=server.start)
        restart.start()
        assert prometheus.instant("vector(2)").samples[0].value == 2
        restart.join()
        server.kill()
        with pytest.raises(MetricsUnreachable, match=r"connection refused \(3 tries"):
            client(server, backoff=0.01, retries=2).instant("up")

    def test_a_server_that_stands_still(self, start_prometheus: Start) -> None:
        server = start_prometheus()
        prometheus, hasty = client(server), client(server, deadline=1.0)
        prometheus.instant("up")
        server.freeze()
        begun = time.monotonic()
        with pytest.raises(MetricsUnreachable, match="no complete answer in time"):
            hasty.instant("up")
        assert time.monotonic() - begun < SOON
        server.thaw()
        assert prometheus.instant("vector(1)").samples[0].value == 1


def test_intervals_rules_and_clock(start_prometheus: Start) -> None:
    port = free_port()
    rules = [
        {"record": "job:up:sum", "expr": "sum by (job) (up)", "labels": {"kind": "recorded"}},
        {"alert": "Never", "expr": "up > 2"},
    ]
    server = start_prometheus(
        port=port,
        targets={"quick": [f"127.0.0.1:{port}"], "slow": [f"127.0.0.1:{port}"]},
        interval=0.2,
        intervals={"slow": 1.5},
        rules=[{"name": "g", "interval": "200ms", "rules": rules}],
    )
    prometheus = client(server)
    until = time.monotonic() + PATIENCE
    while len(prometheus.instant("job:up:sum").samples) < 2:
        assert time.monotonic() < until
        time.sleep(0.1)
    both, quick = Selection("up"), Selection("up", (("job", "=~", "qu.*"),))
    assert prometheus.scrape_interval([both]) == 1.5
    assert prometheus.scrape_interval([quick]) == 0.2
    assert prometheus.scrape_interval([quick, Selection("job:up:sum")]) == 1.5
    assert prometheus.scrape_interval([Selection("nothing")]) is None
    found = prometheus.recording_rules()
    assert [(r.name, r.expr, r.interval, dict(r.labels)) for r in found] == [
        ("job:up:sum", "sum by (job) (up)", 0.2, {"kind": "recorded"})
    ]
    offset = prometheus.clock_offset()
    assert 0 < offset.uncertainty < 0.5
    assert abs(offset.seconds) <= offset.uncertainty + 0.001
    assert "up" in prometheus.all_metrics()


#: Of the password open-sesame.
HASHED = "$2b$04$abcdefghijklmnopqrstuuXcjcm5avyCiJoD2uS24xa2lb6fjMB3G"


def test_tls_with_a_clients_certificate_and_a_password(
    start_prometheus: Start, certificates: Certificates
) -> None:
    tls = {
        "cert_file": str(certificates.certificate("server")),
        "key_file": str(certificates.key("server")),
        "client_ca_file": str(certificates.authority),
        "client_auth_type": "RequireAndVerifyClientCert",
    }
    server = start_prometheus(
        web_config={"tls_server_config": tls, "basic_auth_users": {"me": HASHED}}
    )
    ours: dict[str, Any] = {
        "ca_file": certificates.authority,
        "cert_file": certificates.certificate("client"),
        "key_file": certificates.key("client"),
    }
    known = client(server, username="me", password="open-sesame", retries=8, **ours)
    assert known.instant("vector(1)").samples[0].value == 1
    with pytest.raises(MetricsRefused, match="401"):
        client(server, username="me", password="wrong-guess", **ours).instant("vector(1)")
    unknown = PrometheusSettings(
        url=server.url, ca_file=certificates.authority, retries=1, backoff=0.01
    )
    with pytest.raises((MetricsRefused, MetricsUnreachable), match=r"certificate|reset"):
        Prometheus(unknown).instant("vector(1)")
