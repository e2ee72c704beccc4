"""TLS: who is trusted, who we are, and certificates that are renewed under a running process."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from sloguard.adapters.prometheus import Prometheus, PrometheusSettings
from sloguard.core.windows import Grid
from sloguard.ports import MetricsRefused, MetricsUnreachable
from tests.support.certificates import Certificates, make_certificates
from tests.support.http_double import HttpDouble, in_turn, reply, silence, trickled
from tests.support.patience import PATIENCE, SOON
from tests.support.prometheus_api import full, matrix

GRID = Grid(1_767_225_600.0, 5, 3)
GOOD = in_turn(reply(matrix(full({}, GRID))))


def client(server: HttpDouble, **settings: Any) -> Prometheus:
    quick = {"deadline": PATIENCE, "backoff": 0.01, "retries": 2, **settings}
    return Prometheus(PrometheusSettings(url=server.url, **quick))


def test_an_authority_of_ones_own(certificates: Certificates) -> None:
    with HttpDouble(GOOD, tls=certificates.server_context()) as server:
        prometheus = client(server, ca_file=certificates.authority, token="t")
        for _ in range(2):
            assert prometheus.range("up", GRID).values.tolist() == [[1, 1, 1]]
        assert {request.connection for request in server.requests} == {1}


def test_a_stranger_is_not_trusted_and_gets_no_request(certificates: Certificates) -> None:
    with HttpDouble(GOOD, tls=certificates.server_context()) as server:
        with pytest.raises(MetricsUnreachable, match=r"not trusted: .*; name the CA .* \(1 try"):
            client(server, token="t").range("up", GRID)
        assert not server.requests


def test_a_certificate_for_another_host_is_not_trusted(certificates: Certificates) -> None:
    certificates.issue("elsewhere", "DNS:elsewhere.example")
    with HttpDouble(GOOD, tls=certificates.server_context("elsewhere")) as server:
        with pytest.raises(MetricsUnreachable, match=r"not trusted: .*127\.0\.0\.1"):
            client(server, ca_file=certificates.authority).range("up", GRID)
        assert not server.requests


def test_trust_can_be_switched_off_without_a_warning(certificates: Certificates) -> None:
    with HttpDouble(GOOD, tls=certificates.server_context()) as server:
        assert client(server, verify=False).range("up", GRID).present.all()


def test_the_clients_certificate(certificates: Certificates) -> None:
    with HttpDouble(GOOD, tls=certificates.server_context(ask_client=True)) as server:
        ours = {
            "cert_file": certificates.certificate("client"),
            "key_file": certificates.key("client"),
            "ca_file": certificates.authority,
        }
        assert client(server, **ours).range("up", GRID).present.all()
        # Whether its alert or the end of the connection comes first is up to the kernel.
        with pytest.raises((MetricsRefused, MetricsUnreachable), match=r"client certificate|reset"):
            client(server, ca_file=certificates.authority).range("up", GRID)
        assert len(server.requests) == 1


def test_a_renewed_client_certificate_is_used(certificates: Certificates, tmp_path: Path) -> None:
    stranger = make_certificates(tmp_path)
    cert, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    shutil.copy(stranger.certificate("client"), cert)
    shutil.copy(stranger.key("client"), key)
    with HttpDouble(GOOD, tls=certificates.server_context(ask_client=True)) as server:
        prometheus = client(server, ca_file=certificates.authority, cert_file=cert, key_file=key)
        with pytest.raises((MetricsRefused, MetricsUnreachable)):
            prometheus.range("up", GRID)
        shutil.copy(certificates.certificate("client"), cert)
        shutil.copy(certificates.key("client"), key)
        assert prometheus.range("up", GRID).present.all()


@pytest.mark.parametrize(
    "answer", [silence, trickled(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n", b"x")]
)
def test_the_deadline_holds_over_tls(certificates: Certificates, answer: Any) -> None:
    with HttpDouble(in_turn(answer), tls=certificates.server_context()) as server:
        begun = time.monotonic()
        with pytest.raises(MetricsUnreachable, match="no complete answer in time"):
            client(server, ca_file=certificates.authority, deadline=1.5).range("up", GRID)
        assert time.monotonic() - begun < SOON


def test_a_handshake_that_never_ends() -> None:
    """A server that takes the connection and says nothing at all."""
    with HttpDouble(in_turn(silence)) as server:
        url = server.url.replace("http:", "https:")
        settings = PrometheusSettings(url=url, deadline=0.5, connect_timeout=0.2, backoff=0.01)
        begun = time.monotonic()
        with pytest.raises(MetricsUnreachable):
            Prometheus(settings).range("up", GRID)
        assert time.monotonic() - begun < SOON
