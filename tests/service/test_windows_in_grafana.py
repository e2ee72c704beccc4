"""Every chaos window is marked once, whoever dies when: the run, the one that delivers, Grafana."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sloguard.adapters.grafana import GrafanaChannel
from sloguard.adapters.grafana_http import Grafana, GrafanaAccess
from sloguard.adapters.store import Store
from sloguard.core import events
from sloguard.core.model import Experiment, FaultRecord, Outcome, PhaseName, Timeline
from sloguard.ports import UnfinishedRun
from sloguard.ports.outbox import Draft, Message, MessageState
from sloguard.service.announcing import AnnouncedRuns, Announcer
from sloguard.service.marks import Marks
from sloguard.service.outbox import LEASE_SECONDS, Courier
from tests.fakes.grafana import TOKEN, TROUBLES, GrafanaDouble
from tests.support.http_double import Request

RUNS = 200


class Died(BaseException):
    """The process is gone."""


class Mortal:
    """An outbox whose user may die before or after any call of it."""

    def __init__(self, store: Store, die: Callable[[], None]) -> None:
        self._store, self._die = store, die

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._store, name)

        def call(*args: Any, **more: Any) -> Any:
            self._die()
            found = real(*args, **more)
            self._die()
            return found

        return call


@dataclass
class OneRun:
    """A run as it should be seen in the end."""

    number: int
    announcer: Announcer
    story: Iterator[events.Event]
    told: list[events.Event] = field(default_factory=list)
    outcome: str = ""
    span: tuple[float, float] | None = None

    @property
    def id(self) -> str:
        return f"20261121T{self.number:06}-abcdef"


def story(number: int, id: str, start: float, starts: bool) -> Iterator[events.Event]:
    yield events.RunStarted(start, id, Experiment(title=f"experiment {number % 5}"), {})
    yield events.PhaseStarted(start, PhaseName.BEFORE)
    if not starts:
        yield events.RunEnded(start + 5.0, id, Outcome.NOT_STARTED, "no", {})
        return
    yield events.FaultPlanned(start + 5.0, "method[0]", "kill", (f"pod/{number}",))
    yield events.PhaseStarted(start + 10.0, PhaseName.DURING)
    yield events.PhaseStarted(start + 30.0, PhaseName.AFTER)
    timeline = Timeline(start, start + 10.0, start + 30.0, start + 60.0)
    yield events.RunEnded(start + 60.0, id, Outcome.MET, "held", {}, timeline)


class World:
    """Runs, a store, one who delivers, and Grafana; all of them mortal while ``dangerous``."""

    def __init__(self, store: Store, double: GrafanaDouble, url: str, seed: int) -> None:
        self.store, self.double, self.dice = store, double, random.Random(seed)
        self.now = 1_000_000.0
        self.dangerous = True
        double.trouble = self.trouble
        access = GrafanaAccess(url=url, token=TOKEN, deadline=30.0)
        self.channel = GrafanaChannel(Grafana(access), now=lambda: self.now)
        self.deaths = 0
        self.courier = self.reborn()

    def trouble(self, _: Request) -> str | None:
        if self.dangerous and self.dice.random() < 0.25:
            return self.dice.choice(TROUBLES)
        return None

    def die(self) -> None:
        if self.dangerous and self.dice.random() < 0.04:
            raise Died

    def reborn(self) -> Courier:
        outbox: Any = Mortal(self.store, self.die)
        channel = MortalChannel(self.channel, self.die)
        return Courier(outbox, [channel], now=lambda: self.now, chance=self.dice.random)

    def deliver(self) -> bool:
        try:
            return self.courier.turn("grafana")
        except Died:
            self.deaths += 1
            self.courier = self.reborn()
            self.now += self.dice.choice([1.0, LEASE_SECONDS])
            return True

    def put(self, drafts: Sequence[Draft]) -> int:
        self.die()
        count = self.store.put(drafts)
        self.die()
        return count

    def advance(self, run: OneRun) -> bool:
        """One event further, or dead and recovered; whether there is more to come."""
        event = next(run.story)
        try:
            for consumer in run.announcer.around(self.recorder(run)):
                consumer(event)
        except Died:
            self.recover(run)
            return False
        if isinstance(event, events.RunEnded):
            self.ended(run, event)
        return not isinstance(event, events.RunEnded)

    def ended(self, run: OneRun, event: events.RunEnded) -> None:
        run.outcome = str(event.outcome)
        if event.timeline is not None:
            run.span = event.timeline.fault, event.timeline.restored

    def recorder(self, run: OneRun) -> Callable[[events.Event], None]:
        def record(event: events.Event) -> None:
            self.die()
            run.told.append(event)
            self.die()

        return record

    def recover(self, run: OneRun) -> None:
        """As the next process does: it knows what was recorded, and an end that was is the end."""
        if run.told and isinstance(run.told[-1], events.RunEnded):
            self.ended(run, run.told[-1])
            return
        at = {e.phase: e.at for e in run.told if isinstance(e, events.PhaseStarted)}
        fault, restored = at.get(PhaseName.DURING), at.get(PhaseName.AFTER)
        dead = UnfinishedRun(
            id=run.id,
            title="",
            source="",
            document={},
            variables={},
            alive=False,
            began_method=True,
            started_at=0.0,
            fault_at=fault,
            restored_at=restored,
        )
        recovered_at = 2_000_000.0
        while True:
            again = AnnouncedRuns(
                Dead(dead), Announcer(self.put, [Marks()]), now=lambda: recovered_at
            )
            try:
                again.unfinished()
                again.close(run.id, "aborted", "interrupted", [])
                break
            except Died:
                self.deaths += 1
        run.outcome = "aborted"
        run.span = None if fault is None else (fault, restored or recovered_at)


class Dead:
    """ports.Runs with one dead run."""

    def __init__(self, run: UnfinishedRun) -> None:
        self._run = run

    def unfinished(self) -> Sequence[UnfinishedRun]:
        return [self._run]

    def not_restored(self) -> Sequence[UnfinishedRun]:
        return []

    def close(self, run: str, outcome: str, reason: str, faults: Sequence[FaultRecord]) -> None:
        """It counts."""


class MortalChannel:
    """Grafana's, whose user may die before and after it."""

    name = "grafana"

    def __init__(self, channel: GrafanaChannel, die: Callable[[], None]) -> None:
        self._channel, self._die = channel, die

    def deliver(self, message: Message, delivery: Any) -> Mapping[str, Any]:
        self._die()
        memory = self._channel.deliver(message, delivery)
        self._die()
        return memory


def seconds(annotation: Mapping[str, Any]) -> tuple[float, float]:
    return annotation["time"] / 1000.0, annotation["timeEnd"] / 1000.0


@pytest.fixture
def quick_path(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a place: every message is flushed several times."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory, prefix="sloguard-") as made:
        yield Path(made)


@pytest.mark.parametrize("seed", [1, 2])
def test_every_window_is_marked_once_whoever_dies(quick_path: Path, seed: int) -> None:
    double = GrafanaDouble(rbac=seed == 2)
    clock: list[World] = []
    with (
        double.served() as server,
        Store(str(quick_path / "x.db"), now=lambda: clock[0].now) as store,
    ):
        world = World(store, double, server.url, seed)
        clock.append(world)
        runs = [made(world, number) for number in range(RUNS // 2)]
        live = list(runs)
        while live:
            run = world.dice.choice(live[:8])
            if not world.advance(run):
                live.remove(run)
            world.now += world.dice.choice([0.0, 1.0, 20.0])
            while world.dice.random() < 0.6 and world.deliver():
                pass
        # What is left has all the time that it needs, and Grafana has come back to stay.
        for _ in range(10_000):
            world.dangerous = world.dangerous and world.dice.random() < 0.995
            if not world.deliver():
                if not store.messages(states=[MessageState.WAITING], limit=1):
                    break
                world.now += 60.0
        states = {state for _, state in store.message_counts()}
    assert states == {MessageState.DELIVERED}
    assert world.deaths > 20
    for run in runs:
        found = double.of_run(run.id)
        assert [seconds(a) for a in found] == ([] if run.span is None else [run.span]), run
        assert found == [] or f"outcome:{run.outcome}" in found[0]["tags"]
    assert sum(run.span is not None for run in runs) > RUNS // 4


def made(world: World, number: int) -> OneRun:
    run = OneRun(number, Announcer(world.put, [Marks()]), iter(()))
    run.story = story(number, run.id, 1_000_000.0 + 100.0 * number, number % 10 != 0)
    return run
