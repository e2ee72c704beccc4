"""Messages: kept once, given to one at a time, in the order of their stream, and never lost."""

from __future__ import annotations

import functools
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from sqlalchemy import event

from sloguard.adapters.store import Store
from sloguard.ports.outbox import Draft, Message, MessageState

LEASE = 60.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outbox(url: str, clock: Clock) -> Iterator[Store]:
    with Store(url, now=clock) as store:
        yield store


def draft(key: str, channel: str = "grafana", stream: str = "run-1", **more: object) -> Draft:
    return Draft(channel=channel, key=key, kind="window", stream=stream, **more)  # type: ignore[arg-type]  # tests vary them all


def take(store: Store, holder: str = "a", channel: str = "grafana") -> Message:
    found = store.take([channel], holder=holder, seconds=LEASE)
    assert found is not None
    return found


def test_a_message_is_kept_once_with_all_that_was_said(outbox: Store, clock: Clock) -> None:
    payload = {"time": 1.5, "tags": ["a:b", "ü\u0000"], "deep": {"x": None}}
    first = draft("k", payload=payload, expires_at=2000.0)
    assert outbox.put([first, draft("l", "slack:ops")]) == 2
    assert outbox.put([draft("k", payload={"other": 1}), draft("m")]) == 1
    assert outbox.put([]) == 0
    with pytest.raises(ValueError, match="the key of a message has more than 255"):
        outbox.put([draft("k" * 256)])
    found = take(outbox)
    assert (found.key, found.payload, found.expires_at) == ("k", payload, 2000.0)
    assert (found.created_at, found.attempts, found.state) == (1000.0, 1, MessageState.WAITING)
    assert found.held_until == clock.now + LEASE
    assert [m.key for m in outbox.messages(channel="grafana")] == ["m", "k"]


def test_a_stream_is_delivered_in_its_order_and_waits_for_nobody_else(
    outbox: Store, clock: Clock
) -> None:
    outbox.put([draft("1"), draft("2"), draft("other", stream="run-2"), draft("s", "slack:ops")])
    first = take(outbox, "a")
    assert first.key == "1"
    assert take(outbox, "b").key == "other"
    assert outbox.take(["grafana"], holder="c", seconds=LEASE) is None
    assert take(outbox, "c", "slack:ops").key == "s"
    assert outbox.postpone(first.number, "a", "503", until=clock.now + 10)
    # The second one waits until the first has arrived, however long that takes.
    assert outbox.take(["grafana"], holder="c", seconds=LEASE) is None
    clock.now += 10
    again = take(outbox, "c")
    assert (again.key, again.attempts, again.error) == ("1", 2, "503")
    assert outbox.delivered(again.number, "c", {"id": 7})
    assert take(outbox, "a").key == "2"
    last = outbox.last_delivered("grafana", "run-1")
    assert last is not None
    assert (last.key, last.memory, last.ended_at, last.error) == ("1", {"id": 7}, clock.now, "")
    assert outbox.last_delivered("grafana", "run-3") is None


def test_what_was_given_up_stands_in_nobodys_way(outbox: Store) -> None:
    outbox.put([draft("1"), draft("2")])
    assert outbox.give_up(take(outbox).number, "a", "401: " + "x" * 5000)
    assert take(outbox).key == "2"
    failed = outbox.messages(states=[MessageState.FAILED])[0]
    assert failed.key == "1"
    assert failed.error.startswith("401: x")
    assert len(failed.error) == 2000


def test_an_empty_stream_orders_nothing(outbox: Store) -> None:
    outbox.put([draft("1", stream=""), draft("2", stream="")])
    assert [take(outbox, "a").key, take(outbox, "b").key] == ["1", "2"]


def test_nothing_is_due_before_its_time_and_what_follows_waits(outbox: Store, clock: Clock) -> None:
    outbox.put([draft("1", not_before=1010.0), draft("2")])
    assert outbox.take(["grafana"], holder="a", seconds=LEASE) is None
    clock.now = 1010.0
    assert take(outbox).key == "1"


def test_a_lease_that_ran_out_is_anothers_and_the_first_has_no_say(
    outbox: Store, clock: Clock
) -> None:
    outbox.put([draft("1"), draft("2")])
    number = take(outbox, "dead").number
    assert outbox.remember(number, "dead", {"sent": True})
    clock.now += LEASE
    # Nobody has taken it: the slow one may still end it.
    assert outbox.remember(number, "dead", {"sent": 2})
    found = take(outbox, "alive")
    assert (found.number, found.memory, found.attempts) == (number, {"sent": 2}, 2)
    assert not outbox.delivered(number, "dead")
    assert not outbox.remember(number, "dead", {})
    assert not outbox.postpone(number, "dead", "", until=0.0)
    assert not outbox.give_up(number, "dead", "")
    assert outbox.delivered(number, "alive")
    assert not outbox.delivered(number, "alive")
    kept = outbox.message(number)
    assert kept is not None
    # What was remembered stays where the end says nothing of it.
    assert kept.memory == {"sent": 2}


def test_a_person_tries_again_and_drops(outbox: Store, clock: Clock) -> None:
    outbox.put([draft("1", expires_at=1500.0), draft("2")])
    number = take(outbox).number
    assert not outbox.retry_message(number)
    assert not outbox.drop_message(number)
    outbox.give_up(number, "a", "403")
    clock.now = 1600.0
    assert outbox.retry_message(number)
    again = take(outbox)
    assert (again.number, again.expires_at, again.created_at) == (number, None, 1600.0)
    outbox.postpone(number, "a", "503", until=9999.0)
    assert outbox.retry_message(number)
    assert take(outbox).number == number
    outbox.postpone(number, "a", "503", until=9999.0)
    assert outbox.drop_message(number)
    assert outbox.put([draft("1")]) == 0
    arrived = take(outbox)
    assert arrived.key == "2"
    outbox.delivered(arrived.number, "a")
    assert not outbox.retry_message(arrived.number)
    assert not outbox.drop_message(arrived.number)
    assert not outbox.retry_message(4711)
    assert [m.state for m in outbox.messages()] == ["delivered", "dropped"]


def test_what_is_too_old_is_given_up_with_what_had_gone_wrong(outbox: Store, clock: Clock) -> None:
    outbox.put([draft("1"), draft("2", expires_at=1100.0), draft("3")])
    outbox.postpone(take(outbox).number, "a", "503", until=9999.0)
    clock.now = 1100.0
    outbox.put([draft("new")])
    assert outbox.expire_messages(0.0) == 1
    assert outbox.expire_messages(1050.0) == 2
    assert [(m.key, m.state, m.error) for m in outbox.messages()] == [
        ("new", "waiting", ""),
        ("3", "failed", "it is too old by now"),
        ("2", "failed", "it is too old by now"),
        ("1", "failed", "it is too old by now: 503"),
    ]
    held = take(outbox)
    clock.now += 5.0
    assert outbox.expire_messages(clock.now) == 0
    outbox.delivered(held.number, "a")


def test_old_messages_are_forgotten_but_none_that_a_stream_may_need(
    outbox: Store, clock: Clock
) -> None:
    outbox.put([draft("1"), draft("2"), draft("x", stream="run-2"), draft("y", stream="")])
    for number, holder in [(take(outbox, holder).number, holder) for holder in "abc"]:
        outbox.delivered(number, holder)
    outbox.put([draft("z", stream="")])
    assert outbox.prune_messages(1000.0) == 0
    clock.now = 2000.0
    # "2" waits, and the next attempt may ask for what "1" has left.
    assert outbox.prune_messages(2000.0) == 2
    assert [m.key for m in outbox.messages()] == ["z", "2", "1"]


def test_counts_ages_and_pages(outbox: Store, clock: Clock) -> None:
    outbox.put([draft(str(n), stream=str(n)) for n in range(5)])
    clock.now = 1010.0
    outbox.put([draft("s", "slack:ops")])
    outbox.delivered(take(outbox).number, "a")
    assert outbox.message_counts() == {
        ("grafana", MessageState.WAITING): 4,
        ("grafana", MessageState.DELIVERED): 1,
        ("slack:ops", MessageState.WAITING): 1,
    }
    assert outbox.oldest_waiting() == {"grafana": 1000.0, "slack:ops": 1010.0}
    page = outbox.messages(channel="grafana", limit=2)
    assert [m.key for m in page] == ["4", "3"]
    assert [m.key for m in outbox.messages(channel="grafana", before=page[-1].number)] == list(
        "210"
    )
    assert [m.key for m in outbox.messages(stream="3")] == ["3"]
    assert outbox.message(4711) is None


def test_several_at_once_take_each_message_once_and_in_order(url: str) -> None:
    """Threads with connections of their own; what they took is compared with what was put."""
    streams, each = 4, 6
    store = Store(url)
    got: list[tuple[str, str]] = []
    lock, trouble = threading.Lock(), []

    def putting(stream: int) -> None:
        for n in range(each):
            store.put([draft(f"{stream}:{n}", stream=str(stream)), draft(f"{stream}:{n}")])

    def taking(name: str) -> None:
        try:
            with Store(url) as mine:
                deadline = time.monotonic() + 100.0
                while len(got) < streams * each and time.monotonic() < deadline:
                    found = mine.take(["grafana"], holder=name, seconds=LEASE)
                    if found is None:
                        continue
                    with lock:
                        got.append((found.stream, found.key))
                    assert mine.delivered(found.number, name)
        except Exception as error:  # noqa: BLE001 - told by the test below
            trouble.append(error)

    threads = [threading.Thread(target=putting, args=(n,)) for n in range(streams)]
    threads += [threading.Thread(target=taking, args=(f"taker {n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100.0)
    store.dispose()
    assert trouble == []
    assert len(got) == len(set(got)) == streams * each
    for stream in range(streams):
        mine = [key for name, key in got if name == str(stream)]
        assert mine == [f"{stream}:{n}" for n in range(each)]


@functools.cache
def empty_store() -> bytes:
    """A store that was made once; making one takes longer than all that is done with it here."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.db"
        Store(str(path)).dispose()
        return path.read_bytes()


class Messages(RuleBasedStateMachine):
    """Takers that come, go, die between any two calls, and wake up too late; held against a model."""

    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        # In memory where there is such a place: every step is flushed.
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.directory = tempfile.TemporaryDirectory(dir=memory)
        (Path(self.directory.name) / "x.db").write_bytes(empty_store())
        self.clock = Clock()
        self.store = self.opened()
        #: In the order of their numbers.
        self.order: list[int] = []
        self.stream: dict[int, str] = {}
        self.state: dict[int, MessageState] = {}
        self.next: dict[int, float] = {}
        self.lease: dict[int, tuple[str, float]] = {}
        self.memory: dict[int, dict[str, int]] = {}
        self.keys: set[str] = set()

    def opened(self) -> Store:
        return Store(str(Path(self.directory.name) / "x.db"), now=self.clock)

    def teardown(self) -> None:
        self.store.dispose()
        self.directory.cleanup()

    @rule(key=st.integers(0, 30), stream=st.sampled_from(["", "a", "b"]), later=st.booleans())
    def put(self, key: int, stream: str, later: bool) -> None:
        not_before = self.clock.now + 5.0 if later else 0.0
        new = self.store.put([draft(str(key), stream=stream, not_before=not_before)])
        assert new == (str(key) not in self.keys)
        if new:
            self.keys.add(str(key))
            number = self.store.messages(limit=1)[0].number
            assert not self.order or number > self.order[-1]
            self.order.append(number)
            self.stream[number], self.state[number] = stream, MessageState.WAITING
            self.next[number], self.memory[number] = not_before, {}

    def due(self) -> int | None:
        blocked: set[str] = set()
        for number in self.order:
            stream = self.stream[number]
            if self.state[number] is not MessageState.WAITING or stream in blocked:
                continue
            free = self.lease.get(number, ("", 0.0))[1] <= self.clock.now
            if free and self.next[number] <= self.clock.now:
                return number
            if stream:
                blocked.add(stream)
        return None

    @rule(target=held, holder=st.sampled_from(["x", "y", "z"]))
    def take(self, holder: str) -> tuple[int, str] | None:
        expected = self.due()
        found = self.store.take(["grafana"], holder=holder, seconds=LEASE)
        assert (found and found.number) == expected
        if found is None:
            return None
        assert found.memory == self.memory[found.number]
        self.lease[found.number] = holder, self.clock.now + LEASE
        return found.number, holder

    def mine(self, taken: tuple[int, str]) -> bool:
        number, holder = taken
        waiting = self.state[number] is MessageState.WAITING
        return waiting and self.lease.get(number, ("", 0.0))[0] == holder

    @rule(taken=held)
    def deliver(self, taken: tuple[int, str] | None) -> None:
        if taken is not None:
            mine = self.mine(taken)
            assert self.store.delivered(*taken) == mine
            if mine:
                self.state[taken[0]] = MessageState.DELIVERED

    @rule(taken=held)
    def give_up(self, taken: tuple[int, str] | None) -> None:
        if taken is not None:
            mine = self.mine(taken)
            assert self.store.give_up(*taken, "no") == mine
            if mine:
                self.state[taken[0]] = MessageState.FAILED

    @rule(taken=held, value=st.integers(0, 9))
    def remember(self, taken: tuple[int, str] | None, value: int) -> None:
        if taken is not None:
            mine = self.mine(taken)
            assert self.store.remember(*taken, {"v": value}) == mine
            if mine:
                self.memory[taken[0]] = {"v": value}

    @rule(taken=held, seconds=st.sampled_from([1.0, 30.0]))
    def postpone(self, taken: tuple[int, str] | None, seconds: float) -> None:
        if taken is not None:
            mine, until = self.mine(taken), self.clock.now + seconds
            assert self.store.postpone(*taken, "503", until=until) == mine
            if mine:
                self.next[taken[0]] = until
                del self.lease[taken[0]]

    @rule(seconds=st.sampled_from([1.0, LEASE]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def restart(self) -> None:
        self.store.dispose()
        self.store = self.opened()

    @invariant()
    def nothing_is_lost(self) -> None:
        found = {m.number: m.state for m in self.store.messages(limit=1000)}
        assert found == self.state


Messages.TestCase.settings = settings(
    max_examples=12,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestMessages = Messages.TestCase


def test_metrics_count_messages_without_reading_them(outbox: Store) -> None:
    """However long they are: each scrape asks for these numbers."""
    outbox.put([draft(f"k{n}", payload={"text": "x" * 500}) for n in range(400)])
    asked: list[tuple[str, object]] = []

    @event.listens_for(outbox._database.engine, "before_cursor_execute")
    def listen(_c: object, _cur: object, statement: str, given: object, *_: object) -> None:
        asked.append((statement, given))

    counts = outbox.message_counts()
    event.remove(outbox._database.engine, "before_cursor_execute", listen)
    assert counts == {("grafana", MessageState.WAITING): 400}
    [(statement, given)] = [one for one in asked if "count" in one[0]]
    sqlite = outbox._database.is_sqlite
    with outbox._database.engine.connect() as connection:
        raw = connection.execution_options(isolation_level="AUTOCOMMIT")
        if not sqlite:
            # What PostgreSQL does by itself where rows come and go.
            raw.exec_driver_sql("VACUUM ANALYZE outbox")
        word = "EXPLAIN QUERY PLAN" if sqlite else "EXPLAIN"
        plan = str(raw.exec_driver_sql(f"{word} {statement}", given).all())  # type: ignore[call-overload]  # as it was sent
    assert ("COVERING INDEX" if sqlite else "Index Only Scan") in plan
