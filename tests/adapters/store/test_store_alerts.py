"""Alerts in the store: kept before anybody is told so, worked off once, found by time, tied to runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sloguard.adapters.store import Store
from sloguard.core.deliveries import Delivered, fingerprint
from sloguard.core.episodes import AlertEpisode
from sloguard.ports.alert_inbox import Received, WorkedOff
from sloguard.service.alerting import AlertDesk
from tests.support import runs as made
from tests.support.alertmanager import alert, payload

NOW = made.FAULT + 3600


def received(body: bytes, at: float = NOW, reason: str = "") -> Received:
    return Received(
        received_at=at,
        sender="token:am",
        address="10.0.0.9",
        body=body,
        size=len(body),
        alerts=body.count(b'"startsAt"'),
        reason=reason,
    )


def tell(store: Store, *alerts: Mapping[str, Any], at: float = NOW) -> None:
    store.keep_payload(received(payload(alerts), at))
    AlertDesk(store, now=lambda: NOW, pause=lambda _: None).turn()


def names(found: Iterable[AlertEpisode]) -> list[str]:
    return [episode.labels["service"] for episode in found]


def test_a_payload_waits_as_it_came_until_it_is_settled(store: Store) -> None:
    body = payload([alert(NOW - 60, service="cart")]) + "\n é \U0001f600".encode() + b"\0\xff"
    assert not store.payloads_wait()
    store.keep_payload(received(body))
    assert store.payloads_wait()
    (kept,) = store.waiting_payloads(10)
    assert (kept.body, kept.size, kept.sender, kept.alerts) == (body, len(body), "token:am", 1)
    assert store.inbox_state().oldest_at == NOW
    store.settle_payloads([WorkedOff(payload=kept, told=None)])
    assert not store.payloads_wait()


def test_many_who_deliver_at_once_are_all_kept_in_few_transactions(store: Store) -> None:
    flushed: list[int] = []
    write = store._inbox._write

    def counted(payloads: Any) -> None:
        flushed.append(len(payloads))
        write(payloads)

    store._inbox._write = counted  # type: ignore[method-assign]  # to be counted; it does what it did

    def deliver(who: int) -> None:
        for n in range(25):
            store.keep_payload(received(b"%d/%d" % (who, n)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(deliver, range(8)))
    kept = [one.body for one in store.waiting_payloads(1000)]
    assert sorted(kept) == sorted(b"%d/%d" % (who, n) for who in range(8) for n in range(25))
    # What one has delivered stands in its order.
    for who in range(8):
        mine = [body for body in kept if body.startswith(b"%d/" % who)]
        assert mine == [b"%d/%d" % (who, n) for n in range(25)]
    assert sum(flushed) == 200
    assert len(flushed) < 200


def test_whoever_waits_for_a_write_that_fails_is_told(tmp_path: Any) -> None:
    with Store(str(tmp_path / "runs.db")) as store:
        store.keep_payload(received(b"first"))
        with store._database.writing() as connection:
            connection.exec_driver_sql("ALTER TABLE alert_inbox RENAME TO elsewhere")
        from sloguard.adapters.store import StoreError

        with pytest.raises(StoreError):
            store.keep_payload(received(b"second"))
        with store._database.writing() as connection:
            connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO alert_inbox")
        store.keep_payload(received(b"third"))
        assert [one.body for one in store.waiting_payloads(10)] == [b"first", b"third"]


def test_a_payload_is_settled_once_whoever_does_it(store: Store) -> None:
    store.keep_payload(received(b"one"))
    (kept,) = store.waiting_payloads(10)
    done = [WorkedOff(payload=kept, told=None, refused="it says nothing")]
    for _ in range(3):
        store.settle_payloads(done)
    (refused,) = store.refused_payloads()
    assert (refused.reason, refused.body) == ("it says nothing", b"one")
    assert store.inbox_state().refused == 1


def test_several_services_at_once_make_each_episode_once(store: Store) -> None:
    for n in range(40):
        # Every alert is told of eight times, the last two times that it is over.
        ends_at = NOW - 1 if n % 8 >= 6 else None
        alerts = [alert(NOW - 60, ends_at, service=f"s{n // 8}-{m}") for m in range(5)]
        store.keep_payload(received(payload(alerts, truncatedAlerts=1)))

    def work(_service: int) -> None:
        AlertDesk(store, now=lambda: NOW, pause=lambda _: None).turn()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    kept = store.alert_page(100)
    assert len(kept) == 25
    assert all(one.episode.ends_at == NOW - 1 for one in kept)
    (group,) = store.alerts_left_out(0, NOW)
    assert (group.payloads, group.most) == (40, 1)


def test_episodes_are_found_by_the_time_in_which_they_fired(store: Store) -> None:
    tell(
        store,
        alert(NOW - 1000, NOW - 900, service="before"),
        alert(NOW - 600, NOW - 400, service="into"),
        alert(NOW - 450, NOW - 420, service="within"),
        alert(NOW - 410, service="firing"),
        alert(NOW - 100, service="after"),
    )
    assert names(store.episodes(NOW - 500, NOW - 400)) == ["into", "within", "firing"]
    assert names(store.episodes(NOW - 400, NOW - 400)) == ["into", "firing"]
    assert names(store.episodes(NOW - 2000, NOW)) == ["before", "into", "within", "firing", "after"]
    assert store.episodes(NOW - 890, NOW - 610) == ()
    (into, *_) = store.episodes(NOW - 500, NOW - 400)
    assert into == AlertEpisode(
        labels={"alertname": "ErrorBudgetBurn", "service": "into"},
        starts_at=NOW - 600,
        ends_at=NOW - 400,
        fingerprint=fingerprint(into.labels),
        annotations={"summary": "it burns"},
        generator_url="http://prometheus/graph",
        origin="webhook",
        received_at=NOW,
    )


def test_an_alert_that_is_silent_for_long_is_not_held_to_fire_for_ever(store: Store) -> None:
    tell(store, alert(NOW - 60, service="cart"))
    assert names(store.episodes(NOW + 86000, NOW + 90000)) == ["cart"]
    assert store.episodes(NOW + 86500, NOW + 90000) == ()
    assert names(store.episodes(NOW + 86500, NOW + 90000, stale_after=100_000)) == ["cart"]
    # It is heard of again.
    tell(store, alert(NOW - 60, service="cart"), at=NOW + 80000)
    assert names(store.episodes(NOW + 86500, NOW + 90000)) == ["cart"]


def test_searches_go_along_an_index(store: Store) -> None:
    if not store._database.is_sqlite:
        pytest.skip("PostgreSQL chooses by how much there is")
    from sloguard.adapters.store.alert_reading import _OVERLAPPING

    text = str(_OVERLAPPING.compile(dialect=store._database.engine.dialect))
    with store._database.reading() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", (1, 2, 3, 4)).all()
        lookup = connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT * FROM alert_episodes "
            "WHERE fingerprint IN (?, ?) AND starts_at BETWEEN ? AND ?",
            ("a", "b", 1, 2),
        ).all()
    shown = [row[3] for row in (*plan, *lookup) if "alert_episodes" in row[3]]
    assert len(shown) == 3
    assert all(line.startswith("SEARCH alert_episodes USING INDEX") for line in shown), shown


def test_labels_are_told_apart_from_what_looks_like_them(store: Store) -> None:
    odd = '"service":"cart"'
    tell(
        store,
        alert(NOW - 10, service="cart"),
        alert(NOW - 20, other=odd),
        alert(NOW - 30, service="car%"),
        alert(NOW - 40, service="é\0\U0001f600"),
    )

    def found(**equal: str) -> list[float]:
        return [NOW - k.episode.starts_at for k in store.alert_page(10, equal=equal)]

    assert found(service="cart") == [10]
    assert found(service="car%") == [30]
    assert found(other=odd) == [20]
    assert found(service="é\0\U0001f600") == [40]
    assert found(service="") == [20]
    assert [
        NOW - k.episode.starts_at for k in store.alert_page(10, unlike={"service": "cart"})
    ] == [20, 30, 40]


def test_a_run_is_looked_at_again_when_an_alert_of_its_time_changes(store: Store) -> None:
    for event in made.whole():
        store.record(event)
    fault, end = made.TIMELINE.fault, made.TIMELINE.end
    tell(store, alert(fault - 5000, fault - 4000, service="long before"))
    assert store.runs_to_amend(10) == ()
    seen: list[Any] = []

    def look(document: Mapping[str, Any], episodes: Any) -> Mapping[str, Any] | None:
        seen.append((document["run"], names(episodes)))
        return None

    store.keep_payload(received(payload([alert(fault + 5, service="cart")])))
    (kept,) = store.waiting_payloads(10)
    from sloguard.service.payloads import telling

    store.settle_payloads([WorkedOff(payload=kept, told=telling(kept.body, end + 100))])
    ((run, turn),) = store.runs_to_amend(10)
    assert not store.amend_run(run, turn + 1, look)
    assert not store.amend_run(run, turn, look)
    assert seen[-1] == (made.RUN, ["cart"])
    assert store.runs_to_amend(10) == ()
    # Heard of again, nothing of it has changed.
    store.keep_payload(received(payload([alert(fault + 5, service="cart")])))
    (kept,) = store.waiting_payloads(10)
    store.settle_payloads([WorkedOff(payload=kept, told=telling(kept.body, end + 200))])
    assert store.runs_to_amend(10) == ()


def test_an_amendment_does_not_overwrite_what_came_meanwhile(store: Store) -> None:
    for event in made.whole():
        store.record(event)
    episode = Delivered(
        fingerprint="f",
        starts_at=made.FAULT + 5,
        ends_at=None,
        labels={"alertname": "X", "service": "cart"},
        first_received=NOW,
        last_received=NOW,
    )
    from sloguard.core.deliveries import Telling

    def flag() -> tuple[str, int]:
        store.keep_payload(received(b"{}"))
        (kept,) = store.waiting_payloads(10)
        store.settle_payloads([WorkedOff(payload=kept, told=Telling(episodes=(episode,)))])
        ((run, turn),) = store.runs_to_amend(10)
        return run, turn

    run, turn = flag()

    def meanwhile(document: Mapping[str, Any], _episodes: Any) -> Mapping[str, Any]:
        from sqlalchemy import update

        from sloguard.adapters.store.tables import runs

        with store._database.writing() as connection:
            connection.execute(update(runs).values(document='{"by": "another"}'))
        return {**document, "by": "me"}

    assert not store.amend_run(run, turn, meanwhile)
    assert store.run(run).document == {"by": "another"}
    # It is still to be done.
    ((again, later),) = store.runs_to_amend(10)
    assert store.amend_run(again, later, lambda document, _: {**document, "and": "me"})
    assert store.run(run).document == {"by": "another", "and": "me"}


def test_what_is_old_is_forgotten_and_what_is_not_stays(store: Store) -> None:
    tell(
        store,
        alert(NOW - 9000, NOW - 8000, service="old"),
        alert(NOW - 7000, service="firing and silent"),
        at=NOW - 6500,
    )
    tell(store, alert(NOW - 9000, service="firing and heard of"))
    tell(store, alert(NOW - 100, NOW - 10, service="new"))
    for n in range(5):
        store.keep_payload(received(b"bad", at=NOW - 5000 + n * 1000, reason=f"{n}"))
    gone = store.prune_alerts(episodes_before=NOW - 5000, refused_before=NOW - 4500, most_refused=3)
    assert gone == 2
    assert names(store.episodes(0, NOW)) == ["firing and heard of", "new"]
    assert [one.reason for one in store.refused_payloads()] == ["4", "3", "2"]


def test_a_deleted_run_leaves_its_alerts(store: Store) -> None:
    for event in made.whole():
        store.record(event)
    tell(store, alert(made.FAULT + 5, service="cart"))
    store.delete(made.RUN)
    assert names(store.episodes(0, NOW)) == ["cart"]
    assert store.runs_to_amend(10) == ()
