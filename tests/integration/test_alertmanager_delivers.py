"""A real Prometheus and a real Alertmanager, with a real service as the receiver."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sloguard.adapters.store import Store
from sloguard.core.episodes import AlertEpisode
from sloguard.ports.service import Scope
from tests.support.calling import eventually
from tests.support.command import sloguard
from tests.support.served import Served, serving
from tests.support.servers import AlertmanagerServer, PrometheusServer

pytestmark = pytest.mark.integration
RULE = {
    "alert": "HighErrors",
    "expr": "shop_error_ratio > 0.1",
    "labels": {"severity": "page", "odd": '<b>"quoted"</b>'},
    "annotations": {"summary": "{{ $labels.instance }} fails"},
}
HISTORY = "/api/v1/query?query=count_over_time(shop_error_ratio[1h])%20%3E%203"
EXPERIMENT = """
title: A shop that can be broken
description: The whole way, with everything real.
phases: {{before: 2s, during: 1s, after: 0s}}
steady-state-hypothesis:
  title: it works
  slos: [{{name: errors, query: shop_error_ratio, objective: "< 10%"}}]
method:
- {{type: action, name: break it, provider: {{type: process, path: touch, arguments: ["{mark}"]}}}}
- type: action
  name: wait until somebody was told
  provider: {{type: process, path: sh, arguments: ["-c", "until [ -e {told} ]; do sleep 0.1; done"], timeout: 90}}
rollbacks:
- {{type: action, name: mend it, provider: {{type: process, path: rm, arguments: [-f, "{mark}"]}}}}
"""


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
def shop(mark: Path) -> Iterator[int]:
    """It fails half of its requests while a file is there; its port."""

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"shop_error_ratio {0.5 if mark.exists() else 0}\n".encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def known(store: Store, name: str) -> list[AlertEpisode]:
    return [e for e in store.episodes(0, 4e9, stale_after=4e9) if e.name == name]


def test_a_run_that_raises_an_alert_has_it_in_its_verdict(
    guarded: tuple[Served, Store, str],
    start_prometheus: Callable[..., PrometheusServer],
    start_alertmanager: Callable[..., AlertmanagerServer],
    tmp_path: Path,
) -> None:
    served, store, secret = guarded
    refused = store.inbox_state().refused
    alertmanager = start_alertmanager(
        webhook=f"{served.url}/webhooks/alertmanager",
        http_config={"authorization": {"credentials": secret}},
    )
    mark, told = tmp_path / "broken", tmp_path / "told"
    with shop(mark) as port, ThreadPoolExecutor(1) as pool:
        prometheus = start_prometheus(
            targets={"shop": [f"127.0.0.1:{port}"]},
            rules=[{"name": "shop", "interval": "500ms", "rules": [RULE]}],
            alertmanager=f"127.0.0.1:{alertmanager.port}",
        )
        eventually(lambda: prometheus.get("/api/v1/alertmanagers")["data"]["activeAlertmanagers"])
        eventually(lambda: prometheus.get(HISTORY)["data"]["result"])
        (tmp_path / "experiment.yaml").write_text(EXPERIMENT.format(mark=mark, told=told))
        running = pool.submit(
            sloguard,
            "run",
            "experiment.yaml",
            *("--prometheus", prometheus.url, "--store", store.where, "-o", "json"),
            home=tmp_path,
            env={"SLOGUARD_PROMETHEUS_SCRAPE_INTERVAL": "1s"},
        )
        eventually(lambda: known(store, "HighErrors") or running.done())
        told.touch()
        ran = running.result()
        assert ran.code == 10, ran.err
        run = ran.json["run"]
        # It may be over before the verdict is written, or after; then the end is added.
        entry = eventually(lambda: ended_alert(store, run))
    document = store.run(run).document
    assert document is not None
    assert document["outcome"] == ran.json["outcome"] == "deviated"
    assert (entry["name"], entry["origin"]) == ("HighErrors", "webhook")
    assert entry["labels"] == {
        "instance": f"127.0.0.1:{port}",
        "job": "shop",
        "severity": "page",
        "odd": '<b>"quoted"</b>',
    }
    assert 0 < entry["time_to_alert_seconds"] == document["time_to_alert_seconds"]
    assert entry["time_to_resolve_seconds"] >= 0
    assert entry["starts_at"] < entry["ends_at"]
    [episode] = known(store, "HighErrors")
    assert entry["fingerprint"] == episode.fingerprint
    assert episode.annotations == {"summary": f"127.0.0.1:{port} fails"}
    assert store.inbox_state().refused == refused


def ended_alert(store: Store, run: str) -> Any:
    """What the verdict says of the alert of a webhook, once it has an end there."""
    found = (store.run(run).document or {}).get("alerts", ())
    ended = [a for a in found if a.get("origin") == "webhook" and a.get("ends_at")]
    return ended[0] if ended else None


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
