"""Alerts that are told only after a run are put into its mark in Grafana, once, and without changing what it said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sloguard.adapters.store import Store
from sloguard.bootstrap import alert_desk
from sloguard.ports.alert_inbox import Received
from sloguard.ports.outbox import Message, MessageState
from sloguard.service.announcing import Announcer
from sloguard.service.marks import CHANNEL, Marks, Place, late_marks
from sloguard.settings import Settings
from tests.support import runs as made
from tests.support.alertmanager import alert, payload

RUN = made.RUN


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(str(tmp_path / "runs.db")) as opened:
        yield opened


def ended(store: Store, *places: Place) -> None:
    """A run that is over, with its marks in the outbox."""
    announcer = Announcer(store.put, [Marks(places=places)], experiment="checkout")
    recorder = store.recorder(experiment="checkout")
    for event in made.whole(RUN):
        for consumer in announcer.around(recorder.record):
            consumer(event)


def told(store: Store, name: str = "TooLate", at: float = made.FAULT + 20) -> None:
    body = payload([alert(at, alertname=name)])
    store.keep_payload(
        Received(received_at=made.FAULT + 4000, sender="", address="", body=body, size=len(body), alerts=1)
    )  # fmt: skip


def settings(**grafana: Any) -> Settings:
    from dataclasses import replace

    found = Settings()
    return replace(
        found, grafana=replace(found.grafana, **{"url": "http://grafana:3000", **grafana})
    )


def marks(store: Store) -> list[Message]:
    return sorted(store.messages(channel=CHANNEL, stream=RUN), key=lambda m: m.number)


def test_an_alert_that_comes_late_is_a_message_of_the_same_mark(store: Store) -> None:
    ended(store)
    before = marks(store)
    told(store, "Too<b>Late")
    alert_desk(settings(), store).turn()
    *first, last = marks(store)
    assert first == before
    # It comes after those before it, to the same annotation, and says all that they said.
    assert last.stream == RUN
    assert last.payload["id"] == before[-1].payload["id"]
    assert last.payload["final"]
    assert last.payload["tags"] == before[-1].payload["tags"]
    assert last.payload["text"].startswith(before[-1].payload["text"])
    assert "told only after the run: Too&lt;b&gt;Late" in last.payload["text"]
    assert last.state is MessageState.WAITING


def test_told_again_it_is_no_news_and_another_alert_is(store: Store) -> None:
    ended(store)
    desk = alert_desk(settings(), store)
    for _ in range(2):
        told(store)
        desk.turn()
    count = len(marks(store))
    told(store, "Another", made.FAULT + 30)
    desk.turn()
    assert len(marks(store)) == count + 1
    text = marks(store)[-1].payload["text"]
    assert text.count("told only after the run") == 1
    assert "TooLate" in text
    assert "Another" in text


def test_every_place_is_told_and_none_where_nothing_was_marked(store: Store) -> None:
    ended(store, Place("one"), Place("two", 4))
    told(store)
    alert_desk(settings(), store).turn()
    late = [m for m in marks(store) if m.payload.get("late")]
    assert [(m.payload["dashboard"], m.payload["panel"]) for m in late] == [("one", None), ("two", 4)]  # fmt: skip
    document = store.run(RUN).document
    assert document is not None
    assert late_marks([], document) == []


def test_without_grafana_nothing_waits_for_it(store: Store) -> None:
    ended(store)
    before = marks(store)
    told(store)
    alert_desk(settings(url=""), store).turn()
    assert marks(store) == before
    document = store.run(RUN).document
    assert document is not None
    assert any(a.get("late") for a in document["alerts"])
