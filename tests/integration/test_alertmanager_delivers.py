"""A real Prometheus and a real Alertmanager, with a real service as the receiver."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sloguard.adapters.store import Store
from sloguard.core.episodes import AlertEpisode
from sloguard.ports.service import Scope
from tests.support.calling import eventually
from tests.support.served import Served, serving
from tests.support.servers import AlertmanagerServer, PrometheusServer, free_port
from tests.support.web import serve

pytestmark = pytest.mark.integration
RULE = {
    "alert": "TargetDown",
    "expr": "up == 0",
    "labels": {"severity": "page", "odd": '<b>"quoted"</b>'},
    "annotations": {"summary": "{{ $labels.instance }} is down"},
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Store, str]]:
    """A service that asks for tokens, and one that may send alerts."""
    place = tmp_path_factory.mktemp("service")
    with Store(str(place / "runs.db")) as store:
        _, secret = store.create_token("alertmanager", [Scope.WEBHOOK])
        flags = ("--store", "runs.db", "--auth", "on", "--workers", "1")
        with serving(place, *flags) as running:
            running.wait_until_ready()
            yield running, store, secret


@contextmanager
def target(port: int) -> Iterator[None]:
    """Something to scrape."""

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"a 1\n")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Metrics)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def known(store: Store, name: str = "TargetDown") -> list[AlertEpisode]:
    return [e for e in store.episodes(0, 4e9, stale_after=4e9) if e.name == name]


def test_an_alert_fires_and_resolves_from_the_rule_to_the_list(
    guarded: tuple[Served, Store, str],
    start_prometheus: Callable[..., PrometheusServer],
    start_alertmanager: Callable[..., AlertmanagerServer],
) -> None:
    served, store, secret = guarded
    refused = store.inbox_state().refused
    alertmanager = start_alertmanager(
        webhook=f"{served.url}/webhooks/alertmanager",
        http_config={"authorization": {"credentials": secret}},
    )
    rules = [{"name": "demo", "interval": "1s", "rules": [RULE]}]
    port = free_port()
    prometheus = start_prometheus(
        targets={"shop": [f"127.0.0.1:{port}"]},
        rules=rules,
        alertmanager=f"127.0.0.1:{alertmanager.port}",
    )
    eventually(lambda: known(store))
    [episode] = known(store)
    assert episode.ends_at is None
    assert episode.labels == {
        "alertname": "TargetDown",
        "instance": f"127.0.0.1:{port}",
        "job": "shop",
        "severity": "page",
        "odd": '<b>"quoted"</b>',
    }
    assert episode.annotations == {"summary": f"127.0.0.1:{port} is down"}
    [own] = prometheus.get("/api/v1/alerts")["data"]["alerts"]
    assert own["labels"] == episode.labels
    with target(port):
        eventually(lambda: known(store)[0].ends_at is not None)
    [after] = known(store)
    assert (after.starts_at, after.fingerprint) == (episode.starts_at, episode.fingerprint)
    assert after.ends_at is not None
    assert after.ends_at > after.starts_at
    assert store.inbox_state().refused == refused


def test_a_password_will_do_for_it(
    guarded: tuple[Served, Store, str], start_alertmanager: Callable[..., AlertmanagerServer]
) -> None:
    served, store, secret = guarded
    alertmanager = start_alertmanager(
        webhook=f"{served.url}/webhooks/alertmanager",
        http_config={"basic_auth": {"username": "sloguard", "password": secret}},
    )
    post(alertmanager, "ByPassword")
    eventually(lambda: known(store, "ByPassword"))


def test_an_answer_that_it_does_not_get_is_asked_for_again(
    start_alertmanager: Callable[..., AlertmanagerServer],
) -> None:
    """What 503 and what 200 with a reason mean to a real Alertmanager."""
    with serve() as web:
        alertmanager = start_alertmanager(webhook=f"{web.url}/status/503")
        post(alertmanager, "first")
        eventually(lambda: len(web.seen) >= 3)
        assert len({json.loads(one.body)["groupKey"] for one in web.seen}) == 1
    with serve() as web:
        alertmanager = start_alertmanager(webhook=f"{web.url}/json")
        post(alertmanager, "first")
        eventually(lambda: len(web.seen) == 1)
        post(alertmanager, "second")
        eventually(lambda: len(web.seen) == 2)
        assert [len(json.loads(one.body)["alerts"]) for one in web.seen] == [1, 1]


def post(alertmanager: AlertmanagerServer, name: str) -> None:
    body = json.dumps([{"labels": {"alertname": name}}]).encode()
    request = urllib.request.Request(
        f"{alertmanager.url}/api/v2/alerts", body, {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=10).close()


def test_what_is_far_too_large_is_answered_and_only_its_beginning_kept(
    guarded: tuple[Served, Store, str],
) -> None:
    served, store, secret = guarded
    before = store.inbox_state().refused
    # All of it is sent before the answer is read, as most clients do it.
    for chunked in (False, True):
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
        body = itertools.chain(
            [b'{"version": "4", "alerts": ['], itertools.repeat(b" " * 65536, 1024)
        )
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        if not chunked:
            headers["Content-Length"] = str(28 + 64 * 1024 * 1024)
        connection.request("POST", "/webhooks/alertmanager", body, headers, encode_chunked=chunked)
        answer = connection.getresponse()
        assert answer.status == 200
        assert "alerts.body_limit" in json.loads(answer.read())["reason"]
        connection.close()
    kept = store.refused_payloads(2)
    assert store.inbox_state().refused == before + 2
    assert [one.size for one in kept] == [28 + 64 * 1024 * 1024] * 2
    assert all(one.body.startswith(b'{"version": "4"') for one in kept)
    stranger = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    stranger.putrequest("POST", "/webhooks/alertmanager")
    stranger.putheader("Content-Length", str(64 * 1024 * 1024))
    stranger.endheaders(b"{")
    # Of a stranger nothing more is waited for.
    assert stranger.getresponse().status == 401
    stranger.close()
