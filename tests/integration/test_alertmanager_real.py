"""The adapter against a real Alertmanager: alerts as it tells them, silences that end."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from sloguard.adapters.alertmanager import Alertmanager
from sloguard.adapters.prometheus_settings import PrometheusSettings
from sloguard.core.alert_rules import Matcher
from sloguard.core.text import iso_time
from tests.support.servers import AlertmanagerServer, free_port

pytestmark = pytest.mark.integration

PATIENCE = 30.0
PAGE = Matcher("severity", "=", "page")


def posted(
    server: AlertmanagerServer, start: float, end: float | None = None, **labels: str
) -> None:
    alert = {"labels": labels, "annotations": {"summary": "s"}, "startsAt": iso_time(start)}
    if end is not None:
        alert["endsAt"] = iso_time(end)
    request = urllib.request.Request(
        f"{server.url}/api/v2/alerts",
        data=json.dumps([alert]).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def until(what: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def states(server: AlertmanagerServer) -> dict[str, str]:
    return {s["id"]: s["status"]["state"] for s in server.get("/api/v2/silences")}


def test_alerts_and_silences(start_alertmanager: Callable[..., AlertmanagerServer]) -> None:
    server = start_alertmanager()
    # Of a cluster, one that is away is no harm.
    away = PrometheusSettings(url=f"http://127.0.0.1:{free_port()}", retries=0)
    manager = Alertmanager([away, PrometheusSettings(url=server.url)])
    assert manager.check().startswith(f"Alertmanager at {server.url} (0.")
    now = time.time()
    start = round(now - 20, 3)
    posted(server, start, alertname="High", severity="page")
    posted(server, start, alertname="Low", severity="ticket")
    names = lambda source: sorted(e.name for e in source.episodes(now - 60, time.time()))  # noqa: E731 - said once
    until(lambda: names(manager) == ["High", "Low"])
    narrow = Alertmanager([PrometheusSettings(url=server.url)]).narrowed([PAGE])
    assert names(narrow) == ["High"]
    (high,) = narrow.episodes(now - 60, now)
    assert (high.starts_at, high.ends_at, high.origin) == (start, None, "alertmanager")
    assert high.fingerprint
    assert dict(high.annotations) == {"summary": "s"}

    made = manager.create([PAGE, Matcher("job", "=~", "a|b")], 600.0, "why", "token-1")
    other = manager.create([PAGE], 600.0, "why", "token-2")
    (kept,) = [s for s in server.get("/api/v2/silences") if s["id"] == made]
    ends = datetime.fromisoformat(kept["endsAt"])
    assert ends <= datetime.fromtimestamp(time.time() + 600, UTC)
    assert {m["name"]: (m["isRegex"], m["isEqual"]) for m in kept["matchers"]} == {
        "severity": (False, True), "job": (True, True),
    }  # fmt: skip
    # What is silenced fires all the same.
    assert names(narrow) == ["High"]
    # Without its id it is found by what stands in its comment.
    only = Alertmanager([PrometheusSettings(url=server.url)])
    assert only.expire("token-1") == f"ended the silence {made}"
    assert states(server) == {made: "expired", other: "active"}
    assert only.expire("token-1", made) == ""
    assert only.expire("another", other) == f"ended the silence {other}"

    posted(server, start, time.time() - 1, alertname="High", severity="page")
    until(lambda: narrow.episodes(now - 60, time.time())[0].ends_at)
    (over,) = narrow.episodes(now - 60, time.time())
    assert now <= (over.ends_at or 0) <= time.time()
    assert narrow.episodes(now - 60, now - 30) == []
