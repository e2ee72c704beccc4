"""Health, readiness and the metrics of the service."""

from __future__ import annotations

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from sloguard.core.model import Verdict
from sloguard.ports import Intent
from sloguard.ports.orphans import Orphan, OrphanState
from tests.support import runs as stored
from tests.support.service import World, body_of

RUN = stored.RUN


def metrics(world: World) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text = world.client.get("/metrics").get_data(as_text=True)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def key(name: str, **labels: Any) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def test_it_lives_and_asks_nobody(world: World) -> None:
    world.prometheus_is_away[0] = True
    world.store.dispose()
    assert body_of(world.client.get("/healthz"))["status"] == "ok"


def test_it_is_ready_when_all_answer(world: World) -> None:
    answer = world.client.get("/readyz")
    assert (answer.status_code, body_of(answer)["status"]) == (200, "ready")


def test_without_prometheus_it_still_shows_what_it_has(world: World) -> None:
    world.prometheus_is_away[0] = True
    answer = world.client.get("/readyz")
    assert (answer.status_code, body_of(answer)["status"]) == (200, "degraded")
    assert not body_of(answer)["checks"]["prometheus"]["ok"]
    assert b"secret" not in answer.data
    strict = world.client.get("/readyz?strict=true")
    assert (strict.status_code, body_of(strict)["status"]) == (503, "unready")


def test_without_its_store_it_is_not_ready(world: World) -> None:
    path = world.directory / "runs.db"
    world.store.dispose()
    for file in world.directory.glob("runs.db*"):
        file.unlink()
    path.mkdir()
    answer = world.client.get("/readyz")
    assert (answer.status_code, body_of(answer)["status"]) == (503, "unready")
    assert str(path).encode() not in answer.data


def test_runs_are_counted_from_the_store(world: World) -> None:
    world.keep("20260101T110000-aaaaaa", verdict=Verdict.MET)
    world.keep("20260101T120000-aaaaaa")
    world.keep("20260101T130000-aaaaaa")
    world.begin("20260101T140000-aaaaaa")
    world.client.post("/api/v1/runs", json={"experiment": "checkout"})
    found = metrics(world)
    runs = {"experiment": "checkout", "kind": "run"}
    assert found[key("sloguard_runs", outcome="deviated", **runs)] == 2
    assert found[key("sloguard_runs", outcome="met", **runs)] == 1
    last = "sloguard_last_run_timestamp_seconds"
    assert found[key(last, experiment="checkout", outcome="met")] == stored.FAULT + 122
    assert found[key("sloguard_last_run_outcome", experiment="checkout", outcome="deviated")] == 1
    slo = {"experiment": "checkout", "slo": "error-ratio"}
    assert found[key("sloguard_last_slo_verdict", verdict="deviated", **slo)] == 1
    assert found[key("sloguard_jobs", state="queued")] == 1
    assert found[key("sloguard_faults_left")] == 0


def test_what_is_left_behind_is_counted(world: World) -> None:
    world.begin(RUN)
    intent = Intent("i-1", RUN, "method[0]", "processes.kill", "checkout", {})
    world.store.intend(intent)
    world.store.close(RUN, "not-restored", "left", [])
    assert metrics(world)[key("sloguard_faults_left")] == 1


def test_what_the_janitor_has_found_on_a_cluster_is_counted(world: World) -> None:
    for id, state in (
        ("1", OrphanState.LEFT),
        ("2", OrphanState.UNDONE),
        ("3", OrphanState.UNDONE),
    ):
        found = Orphan(id=id, cluster="c", run=RUN, fault="f", target="t", state=state)
        world.store.keep_orphan(found)
    found = metrics(world)
    assert found[key("sloguard_orphaned_faults", state="left")] == 1
    assert found[key("sloguard_orphaned_faults", state="undone")] == 2


def test_requests_are_counted_by_endpoint_not_by_address(world: World) -> None:
    world.keep(RUN)
    for path in (f"/api/v1/runs/{RUN}/verdict", "/api/v1/runs/nobody/verdict", "/made/up"):
        world.client.get(path)
    found = metrics(world)
    count = "sloguard_http_request_duration_seconds_count"
    assert found[key(count, endpoint="verdicts.verdict", status="200")] == 1
    assert found[key(count, endpoint="verdicts.verdict", status="404")] == 1
    assert found[key(count, endpoint="none", status="404")] == 1
