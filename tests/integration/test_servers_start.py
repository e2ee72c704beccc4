"""The servers that tests start: an alert goes from Prometheus through Alertmanager, and nothing is left."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest

from tests.support.servers import AlertmanagerServer, PrometheusServer

pytestmark = pytest.mark.integration


def test_an_alert_reaches_alertmanager(
    start_prometheus: Callable[..., PrometheusServer],
    start_alertmanager: Callable[..., AlertmanagerServer],
) -> None:
    manager = start_alertmanager()
    rule = {"alert": "Always", "expr": "vector(1)", "labels": {"severity": "page"}}
    prometheus = start_prometheus(
        alertmanager=f"127.0.0.1:{manager.port}",
        rules=[{"name": "g", "interval": "200ms", "rules": [rule]}],
    )
    until = time.monotonic() + 20
    while not (alerts := manager.get("/api/v2/alerts")):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert alerts[0]["labels"] == {"alertname": "Always", "severity": "page"}
    prometheus.stop()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", prometheus.port)) != 0
