"""Runs over HTTP: asked for, listed page by page, looked at, stopped, judged again, deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloguard.core.model import Outcome, Verdict
from sloguard.core.text import iso_time
from sloguard.ports.service import JobState
from sloguard.web.api.runs import Outcomes
from sloguard.web.problems import URN
from sloguard.web.shaping import _quick_time
from tests.support import runs as stored
from tests.support.service import World, body_of, make_world

RUN = stored.RUN


def ids(answer: Any) -> list[str]:
    return [row["run"] for row in body_of(answer)["runs"]]


def test_a_run_is_queued_and_found_at_its_address(world: World) -> None:
    answer = world.client.post(
        "/api/v1/runs",
        json={
            "experiment": "checkout",
            "variables": {"namespace": "prod"},
            "tags": ["ci"],
            "seed": 7,
        },
    )
    assert answer.status_code == 201
    body = body_of(answer)
    assert answer.headers["Location"] == body["href"] == f"/api/v1/runs/{body['run']}"
    job = world.store.job(body["run"])
    assert job is not None
    assert (job.state, job.experiment, job.seed) == (JobState.QUEUED, "checkout", 7)
    assert (dict(job.variables), job.tags) == ({"namespace": "prod"}, ("ci",))
    assert (job.requested_by, job.requested_from) == ("anonymous", "127.0.0.1")
    seen = body_of(world.client.get(body["href"]))
    assert (seen["state"], seen["outcome"], seen["job"]["state"]) == ("queued", None, "queued")


def test_the_same_key_asks_once(world: World) -> None:
    order = {"experiment": "checkout"}
    key = {"Idempotency-Key": "pipeline-42"}
    first, again = (world.client.post("/api/v1/runs", json=order, headers=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert body_of(first)["run"] == body_of(again)["run"]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(world.store.jobs()) == 1
    other = world.client.post("/api/v1/runs", json={**order, "dry_run": True}, headers=key)
    assert (other.status_code, body_of(other)["type"]) == (422, URN + "idempotency-key-reused")
    blank = world.client.post("/api/v1/runs", json=order, headers={"Idempotency-Key": "a b"})
    assert blank.status_code == 422


@pytest.mark.parametrize(
    ("order", "status", "kind", "word"),
    [
        ({"experiment": "chekout"}, 404, "unknown-experiment", "did you mean 'checkout'?"),
        ({"experiment": "broken"}, 422, "invalid-experiment", "cannot be run"),
        ({"experiment": "checkout", "variables": {"name": "x"}}, 422, "invalid-experiment", ""),
        ({"experiment": "checkout", "variables": {"namespace": {"a": 1}}}, 422, "invalid", ""),
        ({"experiment": "../../etc/passwd"}, 422, "invalid", ""),
        ({"experiment": "checkout", "dryrun": True}, 422, "invalid", ""),
        ({"experiment": "checkout", "dry_run": "yes"}, 422, "invalid", ""),
    ],
)
def test_what_cannot_be_run_is_said_and_nothing_is_queued(
    world: World, order: dict[str, Any], status: int, kind: str, word: str
) -> None:
    answer = world.client.post("/api/v1/runs", json=order)
    body = body_of(answer)
    assert (answer.status_code, body["type"]) == (status, URN + kind)
    assert word in body["detail"]
    assert not world.store.jobs()
    assert str(world.directory) not in answer.get_data(as_text=True)


def test_a_full_queue_says_when_to_come_again(tmp_path: Path) -> None:
    world = make_world(tmp_path, settings={"max_queue": 1})
    assert world.client.post("/api/v1/runs", json={"experiment": "checkout"}).status_code == 201
    answer = world.client.post("/api/v1/runs", json={"experiment": "checkout"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "30")


def test_pages_hold_together_while_runs_come_in(world: World) -> None:
    kept = [f"20260101T1200{i:02d}-aaaaaa" for i in range(7)]
    for run in kept[:-1]:
        world.keep(run)
    first = world.client.get("/api/v1/runs?limit=3&experiment=checkout")
    world.keep(kept[-1])
    found, answer = ids(first), first
    while (following := body_of(answer)["next"]) is not None:
        assert answer.headers["Link"] == f'<{following}>; rel="next"'
        assert "experiment=checkout" in following
        answer = world.client.get(following)
        found += ids(answer)
    assert found == sorted(kept[:-1], reverse=True)
    assert "Link" not in answer.headers


def test_runs_are_found_by_what_they_are(world: World) -> None:
    world.keep("20260101T110000-aaaaaa", verdict=Verdict.MET)
    world.keep("20260101T120000-aaaaaa")
    world.keep("20260101T130000-aaaaaa", experiment="other", kind="window")
    world.begin("20260101T140000-aaaaaa")
    get = world.client.get
    assert ids(get("/api/v1/runs?experiment=other")) == ["20260101T130000-aaaaaa"]
    assert ids(get("/api/v1/runs?outcome=met")) == ["20260101T110000-aaaaaa"]
    assert ids(get("/api/v1/runs?outcome=running")) == ["20260101T140000-aaaaaa"]
    assert ids(get("/api/v1/runs?kind=window")) == ["20260101T130000-aaaaaa"]
    assert len(ids(get("/api/v1/runs?tag=shop"))) == 4
    assert ids(get("/api/v1/runs?tag=none")) == []
    assert ids(get("/api/v1/runs?until=2020-01-01T00:00:00Z")) == []
    assert len(ids(get("/api/v1/runs?since=2020-01-01T00:00:00%2B01:00"))) == 4


@given(st.floats(0, 4e9))
def test_times_in_lists_are_those_of_everywhere(at: float) -> None:
    assert _quick_time(at) == iso_time(at)


def test_a_list_and_a_run_say_the_same(world: World) -> None:
    world.keep(RUN)
    world.begin("20260101T140000-aaaaaa")
    # By tag it takes another way through the store.
    plain, by_tag = (body_of(world.client.get(f"/api/v1/runs{q}")) for q in ("", "?tag=shop"))
    assert plain == by_tag
    for row in plain["runs"]:
        assert row.items() <= body_of(world.client.get(row["href"])).items()


def test_the_filter_knows_every_outcome() -> None:
    assert set(Outcomes.__args__) == {*map(str, Outcome), "running"}


def test_what_waits_stands_on_the_first_page(world: World) -> None:
    world.keep(RUN)
    job = body_of(world.client.post("/api/v1/runs", json={"experiment": "checkout"}))["run"]
    assert ids(world.client.get("/api/v1/runs")) == [job, RUN]
    assert ids(world.client.get("/api/v1/runs?outcome=running")) == [job]
    assert ids(world.client.get("/api/v1/runs?outcome=met")) == []
    assert ids(world.client.get("/api/v1/runs?experiment=other")) == []
    assert ids(world.client.get(f"/api/v1/runs?before={job}")) == [RUN]


def test_a_run_tells_all_but_what_has_its_own_address(world: World) -> None:
    world.keep(RUN)
    answer = world.client.get(f"/api/v1/runs/{RUN}")
    body = body_of(answer)
    assert (body["state"], body["outcome"], body["slos"]) == ("ended", "deviated", ["error-ratio"])
    assert body["faults"][0]["status"] == "undone"
    assert body["definition"]["title"] == "Losing a replica"
    assert stored.SECRET not in answer.get_data(as_text=True)
    for path in body["links"].values():
        assert world.client.get(path).status_code == 200, path


def test_an_address_is_a_whole_id(world: World) -> None:
    world.keep(RUN)
    assert world.client.get(f"/api/v1/runs/{RUN[:-2]}").status_code == 404
    assert world.client.get("/api/v1/runs/latest").status_code == 200
    assert world.client.get("/api/v1/runs/%2e%2e").status_code == 404


def test_a_waiting_run_is_cancelled_and_a_running_one_asked_to_stop(world: World) -> None:
    def order() -> str:
        made = world.client.post("/api/v1/runs", json={"experiment": "checkout"})
        run: str = body_of(made)["run"]
        return run

    waiting = order()
    answer = world.client.post(f"/api/v1/runs/{waiting}/abort", json={"reason": "wrong cluster"})
    assert (answer.status_code, body_of(answer)["job"]["state"]) == (202, "cancelled")
    assert "wrong cluster" in body_of(answer)["job"]["abort_reason"]
    again = world.client.post(f"/api/v1/runs/{waiting}/abort")
    assert (again.status_code, body_of(again)["type"]) == (409, URN + "conflict")
    running = order()
    taken = world.store.claim("here", limit=5)
    assert taken is not None
    world.store.job_started(running, taken.claim)
    answer = world.client.post(f"/api/v1/runs/{running}/abort")
    assert (answer.status_code, body_of(answer)["job"]["state"]) == (202, "running")
    assert world.store.abort_asked(running)


def test_a_run_of_somebody_else_cannot_be_stopped_here(world: World) -> None:
    world.begin(RUN)
    answer = world.client.post(f"/api/v1/runs/{RUN}/abort")
    assert answer.status_code == 409
    assert "not started by the service" in body_of(answer)["detail"]
    assert world.client.post("/api/v1/runs/latest/abort").status_code == 409
    assert world.client.post("/api/v1/runs/nobody/abort").status_code == 404


def test_evidence_is_judged_again_as_a_run_of_its_own(world: World) -> None:
    world.keep(RUN)
    path = f"/api/v1/runs/{RUN}/rejudge"
    named = body_of(world.client.post(path, json={"slos": "checkout"}))
    job = world.store.job(named["run"])
    assert job is not None
    assert (job.kind, dict(job.payload)) == ("rejudge", {"run": RUN, "slos": "checkout"})
    sent = {"slos": [{"name": "e", "query": "up", "objective": ">= 1"}]}
    assert world.client.post(path, json={"definition": sent}).status_code == 201
    assert world.client.post(path).status_code == 201
    for body, status in (
        ({"slos": "nobody"}, 404),
        ({"slos": "bad"}, 422),
        ({"definition": {"slos": [{"name": "x"}]}}, 422),
        ({"slos": "checkout", "definition": sent}, 422),
    ):
        assert world.client.post(path, json=body).status_code == status, body
    assert world.client.post("/api/v1/runs/nobody/rejudge").status_code == 404
    world.begin("20260101T140000-aaaaaa")
    under_way = world.client.post("/api/v1/runs/20260101T140000-aaaaaa/rejudge")
    assert under_way.status_code == 409


def test_an_ended_run_can_be_deleted_and_no_other(world: World) -> None:
    world.keep(RUN)
    world.begin("20260101T140000-aaaaaa")
    assert world.client.delete("/api/v1/runs/20260101T140000-aaaaaa").status_code == 409
    assert world.client.delete("/api/v1/runs/latest").status_code == 409
    gone = world.client.delete(f"/api/v1/runs/{RUN}")
    assert (gone.status_code, gone.data) == (204, b"")
    assert world.client.get(f"/api/v1/runs/{RUN}").status_code == 404
    assert world.client.get(f"/api/v1/runs/{RUN}/verdict").status_code == 404
    assert world.client.delete(f"/api/v1/runs/{RUN}").status_code == 404
