"""What is to be told to others, over HTTP and as a page: seen, tried again, dropped."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sloguard.ports.outbox import Draft, MessageState
from sloguard.web.problems import URN
from tests.support.service import World, body_of

API = "/api/v1/outbox"
BROWSER = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def told(world: World) -> World:
    """1 was given up, 2 has arrived, 3 waits, 4 is being delivered."""
    store = world.store
    drafts = [
        Draft(channel="grafana", key=str(n), kind="annotation", stream=f"run-{n}", payload={"n": n})
        for n in (1, 2)
    ]
    store.put([*drafts, Draft(channel="slack:ops", key="3", kind="run-failed", stream="run-1")])
    for end in (lambda n: store.give_up(n, "x", "answered 400: <b>bad</b>"),
                lambda n: store.delivered(n, "x")):  # fmt: skip
        taken = store.take(["grafana"], holder="x", seconds=1e9)
        assert taken is not None
        assert end(taken.number)
    store.put([Draft(channel="grafana", key="4", kind="annotation", stream="run-4")])
    assert store.take(["grafana"], holder="x", seconds=1e9) is not None
    return world


def numbers(answer: Any) -> list[int]:
    return [message["number"] for message in body_of(answer)["messages"]]


def test_messages_are_listed_newest_first_page_by_page(told: World) -> None:
    client = told.client
    first = client.get(f"{API}?limit=2")
    assert numbers(first) == [4, 3]
    assert numbers(client.get(body_of(first)["next"])) == [2, 1]
    assert numbers(client.get(f"{API}?state=failed")) == [1]
    assert numbers(client.get(f"{API}?channel=slack:ops")) == [3]
    assert numbers(client.get(f"{API}?stream=run-1")) == [3, 1]
    failed = body_of(client.get(f"{API}?state=failed"))["messages"][0]
    assert {name: failed[name] for name in ("channel", "kind", "stream", "state", "attempts")} == {
        "channel": "grafana",
        "kind": "annotation",
        "stream": "run-1",
        "state": "failed",
        "attempts": 1,
    }
    assert failed["error"] == "answered 400: <b>bad</b>"
    assert "payload" not in failed


def test_a_message_is_tried_again_and_dropped(told: World) -> None:
    client = told.client
    again = client.post(f"{API}/1/retry")
    assert (again.status_code, body_of(again)["state"]) == (200, "waiting")
    dropped = client.post(f"{API}/1/drop")
    assert (dropped.status_code, body_of(dropped)["state"]) == (200, "dropped")
    actions = [(e.action, e.target) for e in told.store.audit_entries(limit=2)]
    assert len(actions) == 2


@pytest.mark.parametrize(
    ("place", "status", "kind", "said"),
    [
        ("2/retry", 409, "conflict", "it has arrived"),
        ("2/drop", 409, "conflict", "it has arrived"),
        ("4/drop", 409, "conflict", "being delivered right now"),
        ("9/retry", 404, "unknown-message", "no message '9'"),
        ("x/retry", 404, "unknown-message", "no message 'x'"),
        ("99999999999999999999/drop", 404, "unknown-message", "no message"),
    ],
)
def test_what_cannot_be_changed_is_told(
    told: World, place: str, status: int, kind: str, said: str
) -> None:
    answer = told.client.post(f"{API}/{place}")
    assert (answer.status_code, body_of(answer)["type"]) == (status, URN + kind)
    assert said in body_of(answer)["detail"]


def test_the_page_shows_them_and_offers_what_can_be_done(told: World) -> None:
    text = told.client.get("/outbox", headers=BROWSER).text
    # A class that lets addresses in it break: they would make the page wider than the window.
    assert '<td class="why">answered 400: &lt;b&gt;bad&lt;/b&gt;</td>' in text
    offered = [n for n in range(1, 5) if f"/outbox/{n}/retry" in text]
    assert offered == [1, 3]
    assert "run-4" not in told.client.get("/outbox?state=failed", headers=BROWSER).text
    assert "No message fits" in told.client.get("/outbox?state=dropped", headers=BROWSER).text
    client = told.client
    page = client.get("/outbox", headers=BROWSER).text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token
    sent = client.post("/outbox/3/drop", data={"csrf_token": token[1]}, headers=BROWSER)
    assert (sent.status_code, sent.headers["Location"]) == (303, "/outbox")
    dropped = told.store.message(3)
    assert dropped is not None
    assert dropped.state is MessageState.DROPPED
