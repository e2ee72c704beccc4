"""Settings that do not fit are refused at once, all of them, and never shown with their secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sloguard.adapters.prometheus_settings import PrometheusSettings, is_near


@pytest.mark.parametrize(
    ("host", "near"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("prometheus", True),
        ("prometheus.monitoring.svc", True),
        ("prometheus.monitoring.svc.cluster.local.", True),
        ("app.localhost", True),
        ("10.0.0.1", False),
        ("2001:db8::1", False),
        ("prometheus.example.com", False),
        ("svc.example.com", False),
        ("prometheus.monitoring", False),
    ],
)
def test_what_is_near(host: str, near: bool) -> None:
    assert is_near(host) is near


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://p:9090", "http://p:9090"),
        ("HTTPS://P.example:443/", "https://p.example:443"),
        ("http://user:pass@p/prefix/", "http://p/prefix"),
        ("http://p/prom/api/v1", "http://p/prom"),
        ("http://u:p@[::1]:9090", "http://[::1]:9090"),
        (" http://p ", "http://p"),
    ],
)
def test_the_address_is_safe_to_show(url: str, address: str) -> None:
    assert PrometheusSettings(url=url).address == address


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": "prometheus:9090"}, "must begin with http"),
        ({"url": "ftp://p"}, "must begin with http"),
        ({"url": ""}, "must begin with http"),
        ({"url": "http://p:port"}, "not a URL"),
        ({"url": "http://p/?token=topsecret"}, "leave out"),
        (
            {"url": "http://u:topsecret@p", "token": "t"},
            "user and password in the address and a token",
        ),
        ({"username": "u", "token": "t"}, "a username and a token are both set"),
        ({"password": "topsecret"}, "no username"),
        ({"key_file": Path("/etc/hosts")}, "no certificate file"),
        ({"ca_file": Path("/nowhere/ca.pem")}, "the CA file /nowhere/ca.pem does not exist"),
        ({"headers": {"X-A": "topsecret\r\nX-B: c"}}, "'X-A' holds a line break"),
        ({"deadline": 0}, "deadline must be"),
        ({"deadline": float("nan")}, "deadline must be"),
        ({"connect_timeout": -1}, "connect_timeout must be"),
        ({"retries": -1}, "0 or more"),
        ({"concurrency": 20}, "concurrency must be 1 to 19, not 20"),
        ({"compression": "zstd"}, "auto, gzip or identity"),
        ({"max_points": 11_001}, "max_points must be 1 to 11000"),
        ({"max_bytes": 0}, "max_bytes"),
    ],
)
def test_what_does_not_fit_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        PrometheusSettings(**settings)
    assert "topsecret" not in str(caught.value)


def test_all_problems_at_once() -> None:
    with pytest.raises(ValueError, match=r"(?s)begin with http.*deadline.*concurrency"):
        PrometheusSettings(url="x", deadline=-1, concurrency=0)


def test_secrets_do_not_show() -> None:
    settings = PrometheusSettings(
        url="http://user:topsecret@p", headers={"X-Api-Key": "topsecret"}, params={"k": "topsecret"}
    )
    assert "topsecret" not in repr(settings)
    assert "topsecret" not in repr(PrometheusSettings(username="u", password="topsecret"))
    assert "topsecret" not in repr(PrometheusSettings(token="topsecret"))
