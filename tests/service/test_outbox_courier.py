"""The loop that delivers: later and later, in order, one slow channel in no other's way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sloguard.adapters.store import Store
from sloguard.ports import OutsideError
from sloguard.ports.outbox import Delivery, DeliveryError, Draft, Message, MessageState
from sloguard.service.outbox import LEASE_SECONDS, Courier, Persistence
from tests.fakes.channel import FakeChannel


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with Store(str(tmp_path / "x.db"), now=clock) as opened:
        yield opened


def drafts(*keys: str, channel: str = "fake", stream: str = "run", **more: Any) -> list[Draft]:
    return [Draft(channel=channel, key=k, kind="window", stream=stream, **more) for k in keys]


def courier(store: Store, clock: Clock, *channels: FakeChannel, **more: Any) -> Courier:
    given = {"chance": lambda: 0.0, "look": 0.01, **more}
    return Courier(store, channels, now=clock, **given)


def failing(*errors: Exception | None) -> Callable[[Message, Delivery], Mapping[str, Any]]:
    left = list(errors)

    def answer(*_: object) -> Mapping[str, Any]:
        error = left.pop(0) if left else None
        if error is not None:
            raise error
        return {}

    return answer


def eventually(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60.0
    while not what():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


def only(store: Store) -> Message:
    (message,) = store.messages()
    return message


def test_what_arrives_is_delivered_with_what_is_to_be_remembered(
    store: Store, clock: Clock
) -> None:
    seen: list[object] = []

    def answer(message: Message, delivery: Delivery) -> Mapping[str, Any]:
        earlier = delivery.earlier()
        seen.append(earlier and earlier.memory)
        delivery.remember({"asked": message.key})
        kept = store.message(message.number)
        seen.append(kept and kept.memory)
        return {"id": message.key}

    made = courier(store, clock, FakeChannel(answer=answer))
    store.put(drafts("1", "2"))
    assert [made.turn("fake") for _ in range(3)] == [True, True, False]
    assert seen == [None, {"asked": "1"}, {"id": "1"}, {"asked": "2"}]
    assert [(m.state, m.memory) for m in store.messages()] == [
        ("delivered", {"id": "2"}),
        ("delivered", {"id": "1"}),
    ]


def test_messages_without_a_stream_know_of_no_earlier_one(store: Store, clock: Clock) -> None:
    seen: list[Message | None] = []
    channel = FakeChannel(answer=lambda _, delivery: seen.append(delivery.earlier()) or {})
    made = courier(store, clock, channel)
    store.put(drafts("1", "2", stream=""))
    assert made.turn("fake")
    assert made.turn("fake")
    assert seen == [None, None]


def test_it_is_tried_again_later_and_later_in_order(store: Store, clock: Clock) -> None:
    channel = FakeChannel(answer=failing(*[DeliveryError("503")] * 3))
    made = courier(store, clock, channel)
    store.put(drafts("1", "2"))
    waits = []
    for _ in range(3):
        assert made.turn("fake")
        assert not made.turn("fake")
        waits.append(store.messages()[-1].next_at - clock.now)
        clock.now += waits[-1]
    assert waits == [1.0, 2.0, 4.0]
    assert made.turn("fake")
    assert made.turn("fake")
    assert channel.asked == ["1", "1", "1", "1", "2"]
    assert channel.arrived == ["1", "2"]


@pytest.mark.parametrize(
    ("attempts", "asked", "chance", "seconds"),
    [
        (1, None, 0.0, 1.0),
        (1, None, 1.0, 0.5),
        (5, None, 0.5, 12.0),
        (11, None, 0.0, 600.0),
        (10_000, None, 0.0, 600.0),
        (1, 30.0, 0.0, 30.0),
        (11, 30.0, 0.0, 600.0),
        (1, 1e9, 0.0, 3600.0),
        (3, -5.0, 0.0, 4.0),
    ],
)
def test_pauses_are_bounded_and_what_the_other_side_asks_for_is_granted(
    attempts: int, asked: float | None, chance: float, seconds: float
) -> None:
    assert Persistence().pause(attempts, asked, chance) == seconds


def test_what_is_refused_for_good_is_given_up_and_the_next_one_goes(
    store: Store, clock: Clock
) -> None:
    channel = FakeChannel(answer=failing(DeliveryError("401: no", permanent=True)))
    made = courier(store, clock, channel)
    store.put(drafts("1", "2"))
    assert made.turn("fake")
    assert made.turn("fake")
    second, first = store.messages()
    assert (first.state, first.error) == (MessageState.FAILED, "401: no")
    assert second.state is MessageState.DELIVERED


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OutsideError("the store is away"), "the store is away"),
        # A text that nobody has looked at could hold anything.
        (ValueError("a bug near token=abc"), "ValueError"),
    ],
)
def test_whatever_a_channel_raises_the_message_keeps_its_chance(
    store: Store, clock: Clock, error: Exception, said: str
) -> None:
    made = courier(store, clock, FakeChannel(answer=failing(error)))
    store.put(drafts("1"))
    assert made.turn("fake")
    assert (only(store).state, only(store).error) == (MessageState.WAITING, said)
    clock.now += 1.0
    assert made.turn("fake")
    assert only(store).state is MessageState.DELIVERED


def test_what_is_too_old_is_not_sent(store: Store, clock: Clock) -> None:
    channel = FakeChannel(answer=failing(DeliveryError("503")))
    made = courier(store, clock, channel, persistence=Persistence(age=100.0))
    store.put(drafts("1"))
    assert made.turn("fake")
    clock.now = 1101.0
    store.put([*drafts("2", expires_at=1101.0), *drafts("3", expires_at=1102.0)])
    assert [made.turn("fake") for _ in range(3)] == [True] * 3
    assert channel.asked == ["1", "3"]
    assert [(m.key, m.state, m.error) for m in store.messages()] == [
        ("3", "delivered", ""),
        ("2", "failed", "it is too old by now"),
        ("1", "failed", "it is too old by now: 503"),
    ]


def test_tidying_gives_up_what_nobody_takes_and_forgets_the_old(store: Store, clock: Clock) -> None:
    made = courier(store, clock, FakeChannel(), persistence=Persistence(age=100.0, keep=200.0))
    store.put([*drafts("1"), *drafts("2", channel="gone")])
    assert made.turn("fake")
    clock.now = 1101.0
    made.tidy()
    assert [(m.key, m.state) for m in store.messages()] == [("2", "failed"), ("1", "delivered")]
    clock.now = 1201.0
    made.tidy()
    assert [m.key for m in store.messages()] == ["2"]


def test_one_that_wakes_up_after_its_lease_changes_nothing(store: Store, clock: Clock) -> None:
    slow = FakeChannel()
    first, second = courier(store, clock, slow), courier(store, clock, FakeChannel())

    def answer(_: Message, delivery: Delivery) -> Mapping[str, Any]:
        clock.now += LEASE_SECONDS
        assert second.turn("fake")
        delivery.remember({"id": "the late one's"})
        return {"id": "the late one's"}

    slow.answer = answer
    store.put(drafts("1"))
    assert first.turn("fake")
    assert (only(store).state, only(store).memory) == (MessageState.DELIVERED, {})
    assert slow.arrived == []


def test_a_channel_that_hangs_stands_in_no_others_way_nor_in_the_way_of_the_end(
    store: Store, clock: Clock
) -> None:
    slow, quick = FakeChannel("slow"), FakeChannel("quick")
    slow.gate.clear()
    made = courier(store, clock, slow, quick)
    store.put([*drafts("1", channel="slow"), *drafts(*"abc", channel="quick")])
    made.start()
    try:
        eventually(lambda: quick.arrived == ["a", "b", "c"])
        assert slow.entered.wait(60.0)
        assert not made.flush(0.01)
        before = time.monotonic()
        made.stop(0.01)
        assert time.monotonic() - before < 20.0
        held = next(m for m in store.messages() if m.channel == "slow")
        assert held.state is MessageState.WAITING
    finally:
        slow.gate.set()
        made.stop(60.0)


def test_flush_waits_for_what_is_due_and_for_nothing_else(store: Store, clock: Clock) -> None:
    refusing = FakeChannel("b", failing(*[DeliveryError("503")] * 2))
    channels = FakeChannel("a"), refusing, FakeChannel("idle")
    made = courier(store, clock, *channels, look=3600.0)
    made.start()
    try:
        store.put([*drafts("1", channel="a"), *drafts("2", channel="b")])
        store.put(drafts("3", channel="nobody's"))
        assert made.flush(60.0)
        assert channels[0].arrived == ["1"]
        assert (refusing.asked, refusing.arrived) == (["2"], [])
        assert made.flush(60.0)
        assert refusing.asked == ["2"]
    finally:
        made.stop(60.0)
    assert all(not thread.is_alive() for thread in made._threads)


def test_put_and_wake_is_delivered_at_once(store: Store, clock: Clock) -> None:
    channel = FakeChannel()
    made = courier(store, clock, channel, look=3600.0)
    made.start()
    try:
        assert made.flush(60.0)
        store.put(drafts("1"))
        made.wake()
        eventually(lambda: channel.arrived == ["1"])
    finally:
        made.stop(60.0)


class Away(Store):
    """A store that fails when told to."""

    away = 0

    def delivered(self, number: int, holder: str, memory: Mapping[str, Any] | None = None) -> bool:
        if self.away:
            self.away -= 1
            raise OutsideError("the store is away")
        return super().delivered(number, holder, memory)


def test_that_it_has_arrived_is_kept_when_the_store_comes_back(
    tmp_path: Path, clock: Clock
) -> None:
    channel = FakeChannel()
    with Away(str(tmp_path / "x.db"), now=clock) as store:
        store.away = 2
        store.put(drafts("1"))
        assert courier(store, clock, channel).turn("fake")
        assert (only(store).state, channel.asked) == (MessageState.DELIVERED, ["1"])


def test_a_store_that_is_away_ends_no_thread(tmp_path: Path, clock: Clock) -> None:
    class Gone(Store):
        gone = True

        def take(self, *args: Any, **more: Any) -> Message | None:
            if self.gone:
                raise OutsideError("the store is away")
            return super().take(*args, **more)

    channel = FakeChannel()
    with Gone(str(tmp_path / "x.db"), now=clock) as store:
        store.put(drafts("1"))
        made = courier(store, clock, channel)
        made.start()
        try:
            assert made.flush(60.0)
            store.gone = False
            made.wake()
            eventually(lambda: channel.arrived == ["1"])
        finally:
            made.stop(60.0)
