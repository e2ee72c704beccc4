"""Verdicts over HTTP: as they are stored, once, waited for; never mistaken for a pass."""

from __future__ import annotations

import gzip
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from sloguard.core.model import Verdict
from sloguard.web.problems import URN
from tests.support import runs as stored
from tests.support.patience import PATIENCE, SOON, eventually
from tests.support.service import World, body_of, make_world

RUN = stored.RUN
PATH = f"/api/v1/runs/{RUN}/verdict"


def test_the_verdict_is_the_stored_document_byte_for_byte(world: World) -> None:
    world.keep(RUN)
    answer = world.client.get(PATH)
    kept = world.store.answer(RUN)
    assert kept is not None
    assert answer.get_data(as_text=True) == kept.document
    assert answer.mimetype == "application/json"
    assert body_of(answer)["outcome"] == "deviated"
    assert world.client.get("/api/v1/runs/latest/verdict").data == answer.data


def test_a_verdict_is_sent_once(world: World) -> None:
    world.keep(RUN)
    first = world.client.get(PATH)
    tag = first.headers["ETag"]
    for known in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
        again = world.client.get(PATH, headers={"If-None-Match": known})
        assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag), known
    assert world.client.get(PATH, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_verdict_that_recovery_changes_has_another_tag(world: World) -> None:
    for event in stored.opening(RUN):
        world.store.record(event)
    world.store.close(RUN, "not-restored", "something is left", [])
    tag = world.client.get(PATH).headers["ETag"]
    world.store.close(RUN, "aborted", "all undone", [])
    again = world.client.get(PATH, headers={"If-None-Match": tag})
    assert again.status_code == 200
    assert body_of(again)["outcome"] == "aborted"


def test_it_is_packed_once_for_all_who_can_unpack(world: World) -> None:
    world.keep(RUN)
    plain = world.client.get(PATH)
    packed = [world.client.get(PATH, headers={"Accept-Encoding": "gzip"}) for _ in range(2)]
    assert packed[0].data == packed[1].data
    assert gzip.decompress(packed[0].data) == plain.data


@pytest.mark.parametrize("wait", ["", "?wait=1ms"])
def test_not_yet_is_no_success(world: World, wait: str) -> None:
    world.begin(RUN)
    answer = world.client.get(PATH + wait)
    body = body_of(answer)
    assert (answer.status_code, body["type"], body["state"]) == (404, URN + "no-verdict", "running")
    assert answer.headers["Retry-After"] == "5"


def test_a_job_without_a_run_says_how_it_stands(world: World) -> None:
    job = body_of(world.client.post("/api/v1/runs", json={"experiment": "checkout"}))["run"]
    path = f"/api/v1/runs/{job}/verdict"
    queued = world.client.get(path)
    assert (queued.status_code, body_of(queued)["state"]) == (404, "queued")
    assert "Retry-After" in queued.headers
    world.client.post(f"/api/v1/runs/{job}/abort")
    cancelled = world.client.get(f"{path}?wait=60s")
    assert (cancelled.status_code, body_of(cancelled)["state"]) == (404, "cancelled")
    # Asking again is of no use.
    assert "Retry-After" not in cancelled.headers


def test_an_unknown_run_is_not_waited_for(world: World) -> None:
    begun = time.monotonic()
    answer = world.client.get("/api/v1/runs/nobody/verdict?wait=60s")
    assert body_of(answer)["type"] == URN + "unknown-run"
    assert time.monotonic() - begun < SOON


def test_whoever_waits_has_it_as_soon_as_it_is_there(world: World) -> None:
    recorder = world.begin(RUN)
    rest = stored.whole(RUN)[len(stored.opening(RUN)) :]
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda: answers.append(world.client.get(f"{PATH}?wait=60s")))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    eventually(lambda: world.app.extensions["sloguard"].watcher.waiting == 3)
    for event in rest:
        recorder.record(event)
    for thread in threads:
        thread.join(PATIENCE)
    assert [a.status_code for a in answers] == [200] * 3
    assert {body_of(a)["run"] for a in answers} == {RUN}
    eventually(lambda: world.app.extensions["sloguard"].watcher.waiting == 0)


def test_only_so_many_may_wait(tmp_path: Path) -> None:
    world = make_world(tmp_path, most_waiting=1)
    world.begin(RUN)
    watcher = world.app.extensions["sloguard"].watcher
    waiting = threading.Thread(target=lambda: world.client.get(f"{PATH}?wait=60s"))
    waiting.start()
    eventually(lambda: watcher.waiting == 1)
    refused = world.client.get(f"{PATH}?wait=60s")
    assert (refused.status_code, body_of(refused)["type"]) == (503, URN + "too-many-waiting")
    assert refused.headers["Retry-After"] == "5"
    # Without waiting it is answered as ever.
    assert world.client.get(PATH).status_code == 404
    # A server that is about to end lets nobody wait.
    world.is_stopping[0] = True
    waiting.join(PATIENCE)
    assert not waiting.is_alive()


def test_the_newest_verdict_of_each_experiment(world: World) -> None:
    world.keep("20260101T110000-aaaaaa", verdict=Verdict.MET)
    world.keep("20260101T120000-aaaaaa", verdict=Verdict.DEVIATED)
    world.keep("20260101T130000-aaaaaa", verdict=Verdict.MET, kind="rejudge")
    world.keep("20260101T100000-aaaaaa", verdict=Verdict.MET, experiment="other")
    world.begin("20260101T140000-aaaaaa")
    found = body_of(world.client.get("/api/v1/verdicts/latest"))["verdicts"]
    assert [(v["experiment"], v["run"], v["outcome"]) for v in found] == [
        ("checkout", "20260101T120000-aaaaaa", "deviated"),
        ("other", "20260101T100000-aaaaaa", "met"),
    ]
    one = body_of(world.client.get("/api/v1/verdicts/latest?experiment=other"))["verdicts"]
    assert one == found[1:]
    assert world.client.get(one[0]["href"]).status_code == 200
    none = world.client.get("/api/v1/verdicts/latest?experiment=nobody")
    assert body_of(none)["type"] == URN + "unknown-experiment"
    # It is in the catalogue, and has not been run.
    assert body_of(world.client.get("/api/v1/verdicts/latest?experiment=broken")) == {
        "verdicts": []
    }


def test_the_badge_says_the_last_outcome(world: World) -> None:
    path = "/api/v1/badge/checkout.svg"
    before = world.client.get(path)
    assert "no runs" in before.get_data(as_text=True)
    world.keep(RUN)
    after = world.client.get(path, headers={"If-None-Match": before.headers["ETag"]})
    assert (after.status_code, after.mimetype) == (200, "image/svg+xml")
    assert "checkout: deviated" in after.get_data(as_text=True)
    same = world.client.get(path, headers={"If-None-Match": after.headers["ETag"]})
    assert same.status_code == 304
    assert world.client.get("/api/v1/badge/nobody.svg").status_code == 404


def test_a_name_of_others_does_no_harm_in_a_badge(world: World) -> None:
    from sloguard.web.api.badges import drawn

    text = drawn('<script>"&', "met").decode()
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_the_document_is_json_of_the_contract(world: World) -> None:
    world.keep(RUN)
    document = json.loads(world.client.get(PATH).data)
    assert {"outcome", "score", "experiment", "run", "timeline", "slos", "probes"} <= set(document)
