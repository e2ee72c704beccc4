"""The events of a run as a stream: whole, resumable, ended when the run has."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from sloguard.web.problems import URN
from tests.support import runs as stored
from tests.support.service import World, body_of, make_world

RUN = stored.RUN
PATH = f"/api/v1/runs/{RUN}/events"


def parsed(text: str) -> list[dict[str, Any]]:
    """Server-sent events, as a browser takes them apart."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in block.splitlines() if line[:1] not in ("", ":")
        )
        if "data" in fields:
            kind, data = fields.get("event", "message"), json.loads(fields["data"])
            found.append({"id": fields.get("id"), "event": kind, "data": data})
    return found


def test_all_events_of_an_ended_run_and_then_the_end(world: World) -> None:
    world.keep(RUN)
    answer = world.client.get(PATH)
    assert answer.mimetype == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    text = answer.get_data(as_text=True)
    assert text.startswith("retry: ")
    found = parsed(text)
    kept = list(world.store.events(RUN))
    assert [e["event"] for e in found] == [*(e.kind for e in kept), "end"]
    assert [e["id"] for e in found[:-1]] == [str(e.number) for e in kept]
    assert found[0]["data"]["kind"] == "RunStarted"
    assert found[0]["data"]["at"].endswith("Z")
    assert stored.SECRET not in text


def test_a_client_goes_on_where_it_was_cut_off(world: World) -> None:
    world.keep(RUN)
    kept = list(world.store.events(RUN))
    last = {"Last-Event-ID": str(kept[4].number)}
    found = parsed(world.client.get(PATH, headers=last).get_data(as_text=True))
    assert [e["id"] for e in found[:-1]] == [str(e.number) for e in kept[5:]]
    asked = parsed(world.client.get(f"{PATH}?after={kept[4].number}").get_data(as_text=True))
    assert asked == found
    # 204 makes a browser stop asking.
    done = world.client.get(PATH, headers={"Last-Event-ID": str(kept[-1].number)})
    assert (done.status_code, done.data) == (204, b"")
    assert world.client.get(PATH, headers={"Last-Event-ID": "soon"}).status_code == 422


def test_what_happens_is_told_as_it_happens(world: World) -> None:
    recorder = world.begin(RUN)
    rest = stored.whole(RUN)[len(stored.opening(RUN)) :]
    answer = world.client.get(PATH, buffered=False)
    pieces = iter(answer.response)
    seen = b""
    while b"ActivityStarted" not in seen:
        seen += next(pieces)
    assert world.app.extensions["sloguard"].watcher.waiting == 1
    writer = threading.Thread(target=lambda: [recorder.record(event) for event in rest])
    writer.start()
    for piece in pieces:
        seen += piece
    writer.join()
    answer.close()
    found = parsed(seen.decode())
    assert [e["event"] for e in found] == [*(e.kind for e in world.store.events(RUN)), "end"]
    assert world.app.extensions["sloguard"].watcher.waiting == 0


def test_a_quiet_run_is_heard_of_now_and_then(tmp_path: Path) -> None:
    world = make_world(tmp_path, heartbeat=0.1)
    world.begin(RUN)
    answer = world.client.get(PATH, buffered=False)
    assert any(piece.startswith(b":") for piece in answer.response)
    answer.close()


def test_a_client_that_leaves_gives_its_place_back(tmp_path: Path) -> None:
    world = make_world(tmp_path, most_waiting=1)
    world.begin(RUN)
    watcher = world.app.extensions["sloguard"].watcher
    for _ in range(3):
        answer = world.client.get(PATH, buffered=False)
        assert answer.status_code == 200
        assert watcher.waiting == 1
        refused = world.client.get(PATH)
        assert (refused.status_code, body_of(refused)["type"]) == (503, URN + "too-many-waiting")
        answer.close()
        assert watcher.waiting == 0
    # What only reads waits for nothing.
    assert world.client.get(f"{PATH}?follow=false").status_code == 200


def test_a_server_that_ends_lets_its_streams_end(world: World) -> None:
    world.begin(RUN)
    world.is_stopping[0] = True
    found = parsed(world.client.get(PATH).get_data(as_text=True))
    assert [e["event"] for e in found][-1] != "end"


def test_the_stream_of_a_queued_job_ends_when_it_is_cancelled(world: World) -> None:
    job = body_of(world.client.post("/api/v1/runs", json={"experiment": "checkout"}))["run"]
    answer = world.client.get(f"/api/v1/runs/{job}/events", buffered=False)
    pieces = iter(answer.response)
    assert next(pieces).startswith(b"retry")
    world.client.post(f"/api/v1/runs/{job}/abort")
    assert parsed(b"".join(pieces).decode()) == [{"id": None, "event": "end", "data": {}}]
    answer.close()


def test_nobodys_events_are_not_waited_for(world: World) -> None:
    assert world.client.get("/api/v1/runs/nobody/events").status_code == 404
