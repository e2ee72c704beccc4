"""Windows of other tools over HTTP, and the named sets that judge them."""

from __future__ import annotations

from typing import Any

import pytest

from sloguard.web.problems import URN
from tests.support.service import NOW, World, body_of


def opened(world: World, **body: Any) -> dict[str, Any]:
    answer = world.client.post("/api/v1/windows", json={"slos": "checkout", **body})
    assert answer.status_code == 201, answer.data
    assert answer.headers["Location"] == body_of(answer)["href"]
    found: dict[str, Any] = body_of(answer)
    return found


def test_a_window_is_opened_closed_and_then_judged_by_a_job(world: World) -> None:
    window = opened(world, title="Litmus pod-delete", tool="litmus", removed={"pod": ["web-1"]})
    assert (window["state"], window["restored"]) == ("open", None)
    assert world.client.get(f"{window['run_href']}/verdict").status_code == 404
    closed = world.client.post(f"{window['href']}/close", json={"detail": "done"})
    body = body_of(closed)
    assert (closed.status_code, body["state"], body["closed_by"]) == (200, "closed", "anonymous")
    job = world.store.job(window["window"])
    assert job is not None
    # One minute of `after`, and a moment for the last samples.
    assert (job.kind, job.not_before) == ("window", pytest.approx(NOW + 76))
    assert body_of(world.client.get(window["href"])) == body
    verdict = body_of(world.client.get(f"{window['run_href']}/verdict"))
    assert (verdict["type"], verdict["state"]) == (URN + "no-verdict", "queued")


def test_a_window_takes_the_times_of_the_tool(world: World) -> None:
    window = opened(world, fault="2026-01-01T12:50:00+00:00", before="5m", after="90s")
    assert (window["fault"], window["before"], window["after"]) == (
        "2026-01-01T12:50:00Z",
        300.0,
        90.0,
    )
    close = f"{window['href']}/close"
    early = world.client.post(close, json={"restored": "2026-01-01T12:40:00Z"})
    assert (early.status_code, body_of(early)["type"]) == (422, URN + "invalid-experiment")
    mark = {"restored": "2026-01-01T12:55:00Z"}
    assert world.client.post(close, json=mark).status_code == 200
    assert world.client.post(close, json=mark).status_code == 200
    other = world.client.post(close, json={"restored": "2026-01-01T12:56:00Z"})
    assert (other.status_code, body_of(other)["type"]) == (409, URN + "conflict")


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"slos": "nobody"}, 404, "unknown-experiment"),
        ({"slos": "bad"}, 422, "invalid-experiment"),
        ({}, 422, "invalid"),
        ({"slos": "checkout", "fault": "2030-01-01T00:00:00Z"}, 422, "invalid-experiment"),
        ({"slos": "checkout", "fault": "2026-01-01T00:00:00"}, 422, "invalid"),
        ({"slos": "checkout", "before": "soon"}, 422, "invalid"),
    ],
)
def test_a_window_that_could_not_be_judged_is_refused(
    world: World, body: dict[str, Any], status: int, kind: str
) -> None:
    answer = world.client.post("/api/v1/windows", json=body)
    assert (answer.status_code, body_of(answer)["type"]) == (status, URN + kind)
    assert not world.store.windows()


def test_the_same_key_opens_once(world: World) -> None:
    key = {"Idempotency-Key": "deploy-7"}
    answers = [
        world.client.post("/api/v1/windows", json={"slos": "checkout"}, headers=key)
        for _ in range(2)
    ]
    assert [a.status_code for a in answers] == [201, 200]
    assert answers[0].headers["Location"] == answers[1].headers["Location"]


def test_windows_come_page_by_page(world: World) -> None:
    made = [opened(world)["window"] for _ in range(5)]
    first = world.client.get("/api/v1/windows?limit=3&state=open")
    second = world.client.get(body_of(first)["next"])
    found = [w["window"] for page in (first, second) for w in body_of(page)["windows"]]
    assert found == made[::-1]
    assert body_of(second)["next"] is None
    assert body_of(world.client.get("/api/v1/windows?state=closed"))["windows"] == []
    assert world.client.get("/api/v1/windows/nobody").status_code == 404
    assert world.client.post("/api/v1/windows/nobody/close").status_code == 404


def test_the_sets_of_slos_are_listed_with_what_is_wrong(world: World) -> None:
    found = {s["name"]: s for s in body_of(world.client.get("/api/v1/slos"))["sets"]}
    assert found["checkout"]["valid"]
    [slo] = found["checkout"]["slos"]
    assert (slo["name"], slo["objective"]) == ("error-ratio", "< 1%")
    assert not found["bad"]["valid"]
    assert found["bad"]["problems"]
