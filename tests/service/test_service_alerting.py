"""Working off what Alertmanager has sent: nothing stands in the way of what comes behind it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from sloguard.adapters.store import Store
from sloguard.ports import OutsideError
from sloguard.ports.alert_inbox import Received, WorkedOff
from sloguard.service.alerting import (
    BITE_ALERTS,
    MOST_FAILURES,
    AlertDesk,
    StoredAlerts,
    retention_seconds,
)
from tests.support import runs as made
from tests.support.alertmanager import alert, payload

NOW = made.FAULT + 3600


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(str(tmp_path / "runs.db")) as opened:
        yield opened


def keep(store: Store, body: bytes, at: float = NOW) -> None:
    kept = Received(
        received_at=at,
        sender="token:am",
        address="",
        body=body,
        size=len(body),
        alerts=body.count(b'"startsAt"'),
    )
    store.keep_payload(kept)


def desk(store: Any, **options: Any) -> AlertDesk:
    return AlertDesk(store, now=lambda: NOW, pause=lambda _: None, **options)


def test_what_is_nonsense_is_refused_and_the_rest_goes_on(store: Store) -> None:
    for n in range(3):
        keep(store, payload([alert(NOW - 60, service=f"s{n}")]))
        keep(store, b'{"version": "4", "alerts": [1e999]}')
    assert desk(store).turn() == 6
    assert len(store.alert_page(10)) == 3
    assert {one.reason.partition(":")[0] for one in store.refused_payloads()} == {"it is not JSON"}
    assert not store.payloads_wait()


def test_many_alerts_are_written_in_small_bites(store: Store) -> None:
    seen: list[int] = []

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def settle_payloads(self, done: Sequence[WorkedOff]) -> int:
            seen.append(sum(one.payload.alerts for one in done))
            return store.settle_payloads(done)

    for n in range(12):
        keep(store, payload([alert(NOW - 60, service=f"{n}-{m}") for m in range(30)]))
    keep(store, payload([alert(NOW - 60, service=f"much-{m}") for m in range(BITE_ALERTS + 1)]))
    desk(Counting()).turn()
    assert max(seen[:-1]) <= BITE_ALERTS
    assert seen[-1] == BITE_ALERTS + 1
    assert store.episode_counts() == {"firing": 12 * 30 + BITE_ALERTS + 1, "resolved": 0}


class Picky:
    """A store that cannot write payloads in which a word stands, or anything at all."""

    def __init__(self, store: Store, word: bytes) -> None:
        self._store, self.word = store, word

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def settle_payloads(self, done: Sequence[WorkedOff]) -> int:
        if any(self.word in one.payload.body and not one.refused for one in done):
            raise OutsideError("it does not fit")
        return self._store.settle_payloads(done)


def test_one_that_cannot_be_written_stands_in_nobodys_way(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    for service in ("a", "poison", "b"):
        keep(store, payload([alert(NOW - 60, service=service)]))
    worker = desk(Picky(store, b"poison"))
    worker.turn()
    assert sorted(k.episode.labels["service"] for k in store.alert_page(10)) == ["a", "b"]
    assert len(store.waiting_payloads(10)) == 1
    with caplog.at_level(logging.CRITICAL):
        for _ in range(MOST_FAILURES + 5):
            if store.payloads_wait():
                try:
                    worker.turn()
                except OutsideError:
                    continue
    (kept,) = store.refused_payloads()
    assert "could not be kept: it does not fit" in kept.reason
    assert b"poison" in kept.body


def test_a_store_that_is_away_for_a_while_loses_nothing(store: Store) -> None:
    for service in ("a", "b"):
        keep(store, payload([alert(NOW - 60, service=service)]))
    away = Picky(store, b"")
    worker = desk(away)
    for _ in range(3):
        worker.turn()
    assert len(store.waiting_payloads(10)) == 2
    away.word = b"nothing has this"
    worker.turn()
    assert len(store.alert_page(10)) == 2
    assert store.refused_payloads() == ()


def test_a_document_that_cannot_be_amended_is_left_alone(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    for event in made.whole():
        store.record(event)
    from sqlalchemy import update

    from sloguard.adapters.store.tables import runs

    with store._database.writing() as connection:
        connection.execute(update(runs).values(document='{"timeline": {"start": 7}}'))
    keep(store, payload([alert(made.FAULT + 5, service="cart")]))
    with caplog.at_level(logging.CRITICAL):
        desk(store).turn()
    assert store.runs_to_amend(10) == ()
    assert store.run(made.RUN).document == {"timeline": {"start": 7}}


def test_old_alerts_are_forgotten_as_the_settings_say(store: Store) -> None:
    keep(
        store, payload([alert(NOW - 20 * 86400, NOW - 19 * 86400, service="old")]), NOW - 19 * 86400
    )
    keep(store, payload([alert(NOW - 60, service="new")]))
    desk(store, retention=retention_seconds(0)).turn()
    assert len(store.alert_page(10)) == 2
    desk(store, retention=retention_seconds(7)).turn()
    assert [k.episode.labels["service"] for k in store.alert_page(10)] == ["new"]


def test_the_source_of_alerts_knows_how_long_silence_is_believed(store: Store) -> None:
    keep(store, payload([alert(NOW - 60, service="cart")]))
    desk(store).turn()
    assert len(StoredAlerts(store, 100.0).episodes(NOW + 90, NOW + 95)) == 1
    assert StoredAlerts(store, 100.0).episodes(NOW + 110, NOW + 115) == ()


def test_whoever_is_to_stop_leaves_the_rest_for_the_next(store: Store) -> None:
    for n in range(5):
        keep(store, payload([alert(NOW - 60, service=f"{n}-{m}") for m in range(BITE_ALERTS)]))
    asked = iter([False, False, True])
    assert desk(store).turn(lambda: next(asked)) == 2
    assert len(store.waiting_payloads(10)) == 3
    assert desk(store).turn() == 3
