"""Alerts over HTTP and on their pages: filters, pages, the runs in whose time they fell, what was refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sloguard.core.document import document
from sloguard.core.events import Judged, RunEnded
from sloguard.ports.service import Scope
from sloguard.service.alerting import AlertDesk
from tests.support import runs as stored
from tests.support.alertmanager import alert, payload
from tests.support.callers import bearer, make_token
from tests.support.service import NOW, World, body_of, make_world

PLACE = "/webhooks/alertmanager"
FAULT = stored.FAULT
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
BY_PROMETHEUS = {
    "name": "HighErrors",
    "labels": {"severity": "page"},
    "starts_at": "2026-01-01T12:00:20Z",
    "ends_at": None,
    "firing_before": False,
    "time_to_alert_seconds": 20.0,
}


def told(world: World, *alerts: dict[str, Any], **more: Any) -> None:
    """Alertmanager sends these, and they are worked off."""
    answer = world.client.post(PLACE, data=payload(alerts, **more), content_type="application/json")
    assert answer.status_code == 202
    AlertDesk(world.store, now=lambda: NOW, pause=lambda _: None).turn()


def listed(world: World, query: str = "") -> list[dict[str, Any]]:
    answer = world.client.get(f"/api/v1/alerts{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = body_of(answer)["alerts"]
    return found


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [row["labels"]["service"] for row in rows]


def keep_run(world: World, run: str, *alerts: dict[str, Any]) -> None:
    recorder = world.store.recorder(experiment="checkout")
    made = document(stored.facts(run=run, alerts=alerts))
    for event in stored.whole(run):
        if not isinstance(event, Judged | RunEnded):
            recorder.record(event)
    last = stored.whole(run)[-1]
    assert isinstance(last, RunEnded)
    recorder.record(Judged(last.at, last.outcome, made))
    recorder.record(RunEnded(last.at, run, last.outcome, "", made, last.timeline))


def test_an_alert_outside_of_any_run_is_listed_with_all_that_is_known(world: World) -> None:
    told(world, alert(NOW - 60, NOW - 5, service="cart"))
    [row] = listed(world)
    assert row == {
        "number": 1,
        "name": "ErrorBudgetBurn",
        "labels": {"service": "cart"},
        "annotations": {"summary": "it burns"},
        "fingerprint": row["fingerprint"],
        "generator_url": "http://prometheus/graph",
        "origin": "webhook",
        "state": "resolved",
        "starts_at": "2026-01-01T12:59:00Z",
        "ends_at": "2026-01-01T12:59:55Z",
        "first_received": "2026-01-01T13:00:00Z",
        "last_received": "2026-01-01T13:00:00Z",
        "runs": [],
    }


def test_filters_narrow_the_list(world: World) -> None:
    told(
        world,
        alert(NOW - 300, NOW - 200, service="cart", severity="page"),
        alert(NOW - 250, service="checkout", severity="page"),
        alert(NOW - 100, service="shipping", severity="ticket"),
        alert(NOW - 50, service="search", alertname="Other"),
    )
    assert names(listed(world)) == ["search", "shipping", "checkout", "cart"]
    for query, expected in {
        "?firing=true": ["search", "shipping", "checkout"],
        "?firing=false": ["cart"],
        "?name=Other": ["search"],
        "?labels=severity=page": ["checkout", "cart"],
        "?labels=severity!=page": ["search", "shipping"],
        "?labels=severity=": ["search"],
        "?labels=severity!=": ["shipping", "checkout", "cart"],
        "?labels=severity=page,service!=cart": ["checkout"],
        "?since=2026-01-01T12:58:20Z": ["search", "shipping"],
        "?until=2026-01-01T12:58:20Z": ["checkout", "cart"],
        "?run=nobody": [],
    }.items():
        assert names(listed(world, query)) == expected, query


@pytest.mark.parametrize(
    "query",
    ["labels=severity=~page", "labels=x", "labels==x", "firing=perhaps", "before=0", "since=then"],
)
def test_a_filter_that_is_none_is_refused(world: World, query: str) -> None:
    assert world.client.get(f"/api/v1/alerts?{query}").status_code == 422


def test_pages_follow_each_other_without_gaps(world: World) -> None:
    # Several of them began at the same moment.
    told(world, *(alert(NOW - 100 - n // 3, service=f"s{n}") for n in range(10)))
    seen, place = [], "/api/v1/alerts?limit=3"
    while place:
        page = body_of(world.client.get(place))
        seen += names(page["alerts"])
        place = page["next"]
    assert sorted(seen) == sorted(f"s{n}" for n in range(10))
    assert len(seen) == 10


def test_a_verdict_learns_of_alerts_that_come_after_the_run(world: World) -> None:
    run = "20260101T115900-aaaaaa"
    keep_run(world, run)
    before = world.client.get(f"/api/v1/runs/{run}/verdict")
    told(world, alert(FAULT + 20, service="cart"), alert(FAULT - 600, FAULT - 500, service="old"))
    after = world.client.get(f"/api/v1/runs/{run}/verdict")
    assert after.headers["ETag"] != before.headers["ETag"]
    first, second = body_of(before), body_of(after)
    assert [a["labels"] for a in second["alerts"]] == [{"service": "cart"}]
    assert second["alerts"][0]["late"] is True
    assert second["alerts"][0]["time_to_alert_seconds"] == 20
    assert (first["time_to_alert_seconds"], second["time_to_alert_seconds"]) == (None, 20)
    assert second["amended_at"] == "2026-01-01T13:00:00Z"
    for kept in ("outcome", "reason", "score", "slos", "exit_code"):
        assert first[kept] == second[kept]
    # It resolves: the end is filled in, and again it is another verdict.
    told(world, alert(FAULT + 20, FAULT + 90, service="cart"))
    third = world.client.get(f"/api/v1/runs/{run}/verdict")
    [entry] = body_of(third)["alerts"]
    assert entry["ends_at"] == "2026-01-01T12:01:30Z"
    assert entry["time_to_resolve_seconds"] == 30
    assert third.headers["ETag"] != after.headers["ETag"]
    # Said again, it changes nothing.
    told(world, alert(FAULT + 20, FAULT + 90, service="cart"))
    assert world.client.get(f"/api/v1/runs/{run}/verdict").headers["ETag"] == third.headers["ETag"]
    [row] = listed(world, f"?run={run}")
    [link] = row["runs"]
    assert (link["run"], link["in_verdict"], link["late"]) == (run, True, True)


def test_an_alert_of_a_run_under_way_is_added_when_it_ends_without_it(world: World) -> None:
    recorder = world.begin(stored.RUN)
    told(world, alert(FAULT + 20, service="cart"))
    [row] = listed(world, f"?run={stored.RUN}")
    assert row["runs"][0]["in_verdict"] is False
    for event in stored.whole(stored.RUN)[len(stored.opening(stored.RUN)) :]:
        recorder.record(event)
    AlertDesk(world.store, now=lambda: NOW).turn()
    made = body_of(world.client.get(f"/api/v1/runs/{stored.RUN}/verdict"))
    assert [a["labels"] for a in made["alerts"]] == [{"service": "cart"}]


def test_what_a_verdict_has_from_prometheus_is_listed_with_its_run(world: World) -> None:
    run = "20260101T110000-aaaaaa"
    keep_run(world, run, BY_PROMETHEUS)
    [row] = listed(world, f"?run={run}")
    assert (row["name"], row["number"], row["origin"]) == ("HighErrors", None, "prometheus")
    assert row["runs"][0]["time_to_alert_seconds"] == 20
    assert listed(world, f"?run={run}&labels=severity=ticket") == []
    assert listed(world) == []
    assert "HighErrors" in world.client.get("/alerts").text
    assert "HighErrors" in world.client.get("/alerts/runs").text


def test_an_alert_that_is_not_heard_of_any_more_is_stale_and_not_over(tmp_path: Path) -> None:
    moment = [NOW]
    world = make_world(tmp_path, now=lambda: moment[0])
    told(world, alert(NOW - 60, service="cart"))
    assert listed(world)[0]["state"] == "firing"
    moment[0] = later = NOW + 2 * 86400
    [row] = listed(world)
    assert (row["state"], row["ends_at"]) == ("stale", None)
    assert [e.name for e in world.store.episodes(NOW, NOW + 1)] == ["ErrorBudgetBurn"]
    assert world.store.episodes(later, later + 1) == ()
    world.store.dispose()


def test_what_alertmanager_left_out_is_told(world: World) -> None:
    told(world, alert(NOW - 60, service="cart"), truncatedAlerts=3, groupKey="{}:{a=1}")
    told(world, alert(NOW - 60, service="cart"), truncatedAlerts=7, groupKey="{}:{a=1}")
    [group] = body_of(world.client.get("/api/v1/alerts/left-out"))["groups"]
    assert (group["most"], group["payloads"], group["group"]) == (7, 2, "{}:{a=1}")
    assert "picture is incomplete" in world.client.get("/alerts").text
    past = body_of(world.client.get("/api/v1/alerts/left-out?until=2025-01-01T00:00:00Z"))
    assert past["groups"] == []


def test_refused_payloads_are_for_admins_to_look_at(tmp_path: Path) -> None:
    world = make_world(tmp_path, authenticate=True)
    _, reader = make_token(world, Scope.READ)
    _, hook = make_token(world, Scope.WEBHOOK)
    _, admin = make_token(world, Scope.ADMIN)
    for n in range(3):
        body = json.dumps({"version": HOSTILE, "n": n})
        answer = world.client.post(PLACE, data=body, headers=bearer(hook))
        assert answer.status_code == 200
    for place in ("/api/v1/alerts/refused", "/alerts/refused"):
        assert world.client.get(place, headers=bearer(reader)).status_code == 403
    first = body_of(world.client.get("/api/v1/alerts/refused?limit=2", headers=bearer(admin)))
    second = body_of(world.client.get(first["next"], headers=bearer(admin)))
    rows = first["payloads"] + second["payloads"]
    assert [json.loads(row["body"])["n"] for row in rows] == [2, 1, 0]
    assert rows[0]["sender"].startswith("token:")
    text = world.client.get("/alerts/refused", headers=bearer(admin)).text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
    world.store.dispose()


def test_nothing_of_an_alert_is_markup(world: World) -> None:
    one = alert(FAULT + 20, alertname=HOSTILE, service=HOSTILE, nul="a\0b")
    one["annotations"] = {"summary": HOSTILE, HOSTILE: "x"}
    one["generatorURL"] = "javascript:alert(1)"
    keep_run(world, stored.RUN)
    told(world, one, groupKey=HOSTILE, truncatedAlerts=1)
    for place in ("/alerts", f"/alerts?run={stored.RUN}", "/alerts/runs", f"/runs/{stored.RUN}"):
        text = world.client.get(place).text
        assert "<script>alert" not in text, place
        assert "<img src=x" not in text, place
        assert "javascript:alert" not in text, place
        assert "&lt;script&gt;alert(1)" in text, place


def test_the_empty_page_says_how_to_set_it_up(world: World) -> None:
    text = world.client.get("/alerts").text
    assert "url: http://localhost/webhooks/alertmanager" in text
    assert "send_resolved: true" in text


def test_a_page_asks_as_much_of_many_alerts_as_of_few(world: World) -> None:
    from sqlalchemy import event

    def statements() -> int:
        seen: list[str] = []

        def count(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
            seen.append(statement)

        event.listen(world.store._database.engine, "before_cursor_execute", count)
        try:
            assert world.client.get("/alerts").status_code == 200
        finally:
            event.remove(world.store._database.engine, "before_cursor_execute", count)
        return len(seen)

    keep_run(world, stored.RUN)
    told(world, alert(FAULT + 20, service="cart"))
    few = statements()
    told(world, *(alert(FAULT + 20 + n, service=f"s{n}") for n in range(40)))
    assert statements() <= few <= 12
