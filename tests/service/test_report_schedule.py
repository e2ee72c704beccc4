"""The report of each week: made once, told once, made up for, forgotten when it is old."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from sloguard.adapters.store import Store
from sloguard.core.reporting import StoredReport
from sloguard.ports import OutsideError
from sloguard.ports.outbox import Draft
from sloguard.render.report import ReportError
from sloguard.render.report.period import Period
from sloguard.service.report_schedule import AGAIN_SECONDS, ReportSchedule, Rhythm, page_link
from sloguard.service.reporting import services_in

BERLIN = Rhythm.of(0, "07:00", "Europe/Berlin")


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("now", "week", "due"),
    [
        ("2026-11-23T06:59:59+01:00", "2026-W46", "2026-11-16T07:00:00+01:00"),
        ("2026-11-23T07:00:00+01:00", "2026-W47", "2026-11-23T07:00:00+01:00"),
        ("2026-11-29T23:59:00+01:00", "2026-W47", "2026-11-23T07:00:00+01:00"),
        # On the day after the clocks went back it is seven o'clock an hour later.
        ("2026-10-26T06:30:00+01:00", "2026-W42", "2026-10-19T07:00:00+02:00"),
        ("2026-10-26T07:00:00+01:00", "2026-W43", "2026-10-26T07:00:00+01:00"),
        ("2027-01-04T08:00:00+01:00", "2026-W53", "2027-01-04T07:00:00+01:00"),
    ],
)
def test_when_a_report_is_due(now: str, week: str, due: str) -> None:
    period, since = BERLIN.due(at(now))
    assert (period.name, since) == (week, at(due))


def test_a_day_later_in_the_week_is_of_the_week_before() -> None:
    friday = Rhythm.of(4, "18:30", "UTC")
    assert friday.due(at("2026-11-27T18:29:00+00:00"))[0].name == "2026-W46"
    assert friday.due(at("2026-11-27T18:30:00+00:00"))[0].name == "2026-W47"


def test_what_is_no_time_is_said_so() -> None:
    with pytest.raises(ReportError, match="such as 07:00"):
        Rhythm.of(0, "25:00", "UTC")
    with pytest.raises(ReportError, match="no time zone"):
        Rhythm.of(0, "07:00", "Europe/Atlantis")


class Desk:
    """Makes reports of nothing, and knows how many."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.fails = 0

    def weekly(self, period: Period, *, weeks: int = 5, by: str = "", key: str | None = None) -> StoredReport:  # fmt: skip
        if self.fails:
            self.fails -= 1
            raise OutsideError("the store is away")
        self.made.append(period.name)
        return StoredReport(
            id=f"report-{len(self.made)}-{id(self)}", kind="weekly", name=period.name, title=f"Report {period.name}",
            summary="all well", start=period.start, end=period.end, created_at=period.end, created_by=by, key=key,
        )  # fmt: skip


class World:
    """A store, a clock, and services on it."""

    def __init__(self, store: Store) -> None:
        self.store, self.now, self.put = store, at("2026-11-23T08:00:00+00:00"), [0]
        self.drafts: list[Draft] = []

    def schedule(self, desk: Any, name: str = "one", **more: Any) -> ReportSchedule:
        return ReportSchedule(
            desk,
            self.store,
            name=name,
            **{
                "put": self.keep,
                "rhythm": Rhythm.of(0, "07:00", "UTC"),
                "writers": [write],
                "link": page_link("https://chaos.example.com/"),
                "now": lambda: self.now,
                "monotonic": lambda: self.now,
                **more,
            },
        )

    def keep(self, drafts: Sequence[Draft]) -> None:
        self.drafts += drafts


def write(told: Mapping[str, Any]) -> Iterator[Draft]:
    yield Draft(channel="http:x", key=f"report-ready {told['report']}", kind="report-ready", payload=told)  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    clock: list[World] = []
    with Store(str(tmp_path / "runs.db"), now=lambda: clock[0].now if clock else 0.0) as store:
        clock.append(World(store))
        yield clock[0]


def test_it_is_made_and_told_once(world: World) -> None:
    desk = Desk()
    schedule = world.schedule(desk)
    for _ in range(3):
        schedule.turn()
    assert desk.made == ["2026-W47"]
    (line,) = world.store.reports()
    assert (line.name, line.created_by) == ("2026-W47", "")
    (draft,) = world.drafts
    assert draft.payload == {
        "event": "report-ready",
        "report": line.id,
        "kind": "weekly",
        "title": "Report 2026-W47",
        "summary": "all well",
        "link": f"https://chaos.example.com/reports/{line.id}",
    }
    world.now += 7 * 86400
    schedule.turn()
    assert desk.made == ["2026-W47", "2026-W48"]
    assert len(world.drafts) == 2


def test_several_services_make_it_once(world: World) -> None:
    desks = [Desk(), Desk()]
    for _ in range(2):
        for name, desk in zip(("one", "two"), desks, strict=True):
            world.schedule(desk, name).turn()
    assert [desk.made for desk in desks] == [["2026-W47"], []]
    assert len(world.drafts) == 1


def test_while_one_makes_it_another_waits_and_takes_over(world: World) -> None:
    """The first one has died in the middle: it holds the lease, and there is no report."""
    assert world.store.hold_lease("reports", "dead", 900.0)
    desk = Desk()
    schedule = world.schedule(desk, "two")
    schedule.turn()
    assert desk.made == []
    world.now += 901
    schedule.turn()
    assert desk.made == ["2026-W47"]


def test_what_was_missed_is_made_at_the_next_start(world: World) -> None:
    """No service ran for three weeks: the newest one is made, and nobody is flooded with the others."""
    world.now = at("2026-12-16T03:00:00+00:00")
    desk = Desk()
    world.schedule(desk).turn()
    assert desk.made == ["2026-W50"]


def test_one_that_failed_is_tried_again_after_a_while(world: World) -> None:
    desk = Desk()
    desk.fails = 1
    schedule = world.schedule(desk)
    with pytest.raises(OutsideError):
        schedule.turn()
    schedule.turn()
    assert desk.made == []
    world.now += AGAIN_SECONDS + 1
    schedule.turn()
    assert desk.made == ["2026-W47"]


def test_a_crash_between_keeping_and_telling_is_made_up_for(world: World) -> None:
    def away(_drafts: Sequence[Draft]) -> None:
        raise OutsideError("the store is away")

    with pytest.raises(OutsideError):
        world.schedule(Desk(), put=away).turn()
    assert len(world.store.reports()) == 1
    world.schedule(Desk()).turn()
    assert len(world.drafts) == 1


def test_a_channel_that_fails_takes_nothing_from_the_others(world: World) -> None:
    def bad(_told: Mapping[str, Any]) -> Iterator[Draft]:
        raise RuntimeError("a bug")

    world.schedule(Desk(), writers=[bad, write]).turn()
    assert len(world.drafts) == 1
    assert world.store.reports_to_announce() == ()


def test_without_a_schedule_nothing_is_made_and_old_ones_are_forgotten(world: World) -> None:
    desk = Desk()
    world.schedule(desk).turn()
    world.now += 40 * 86400
    idle = world.schedule(desk, rhythm=None, retention_days=30.0)
    idle.turn()
    assert desk.made == ["2026-W47"]
    assert world.store.reports() == ()


def test_services_that_an_experiment_names() -> None:
    declared = {
        "configuration": {"x": "app=${name}"},
        "method": [{"provider": {"arguments": {"label_selector": "app=checkout,tier=web"}}}],
        "slos": [{"query": 'sum(rate(x{service="cart", job!="node", app=~"a|b"}[1m]))'}],
    }
    assert services_in(declared, ["service:payment", "team:x"]) == ("cart", "checkout", "payment")
