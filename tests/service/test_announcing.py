"""What a run tells to others: kept in time, whatever dies, and whole in each message."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sloguard.adapters.store import Store
from sloguard.core import events
from sloguard.core.model import (
    Experiment,
    FaultRecord,
    Outcome,
    PhaseName,
    Timeline,
)
from sloguard.ports import OutsideError, UnfinishedRun
from sloguard.ports.outbox import Draft
from sloguard.ports.service import Window, WindowState
from sloguard.service.announcing import AnnouncedRuns, Announcer, Story, tell_window
from sloguard.service.marks import Marks, Place, phase_named, place_named

RUN = "20261121T031500-ab12cd"
EXPERIMENT = Experiment(
    title="Losing <a> replica",
    source="/x/shop.yaml",
    tags=("team:web",),
    secrets={"t": {"k": "s3cret"}},
)
FAULT = FaultRecord("f1", "kill", "pod/web-1", "injected", 110.0)
TIMELINE = Timeline(100.0, 110.0, 170.0, 230.0)


def whole() -> list[events.Event]:
    return [
        events.RunStarted(99.0, RUN, EXPERIMENT, {}),
        events.PhaseStarted(100.0, PhaseName.BEFORE),
        events.FaultPlanned(105.0, "method[0]", "kill", ("pod/web-1", "pod/web-2")),
        events.PhaseStarted(110.0, PhaseName.DURING),
        events.FaultChanged(110.5, FAULT),
        events.Note(120.0, "info", "a note"),
        events.PhaseStarted(170.0, PhaseName.AFTER),
        events.RunEnded(
            231.0, RUN, Outcome.DEVIATED, "errors 5 % > 1 %; s3cret was seen", {}, TIMELINE
        ),
    ]


class Box:
    """Takes messages, unless it is away."""

    def __init__(self) -> None:
        self.away = False
        self.drafts: list[Draft] = []

    def put(self, drafts: Sequence[Draft]) -> int:
        if self.away:
            raise OutsideError("the store is away")
        self.drafts += drafts
        return len(drafts)


@pytest.fixture
def box() -> Box:
    return Box()


def told(box: Box, marks: Marks, story: Iterable[events.Event] | None = None, **more: Any) -> None:
    announcer = Announcer(box.put, [marks], **more)
    for event in story or whole():
        announcer.record(event)


def test_a_window_is_told_when_it_begins_is_over_and_is_judged(box: Box) -> None:
    told(box, Marks(base_url="https://slo.example.com/", tags=["dc:1"]), experiment="shop-kill")
    assert [draft.key for draft in box.drafts] == [
        f"{RUN}.during:began",
        f"{RUN}.during:over",
        f"{RUN}.during:ended:deviated",
    ]
    assert {(d.channel, d.stream, d.kind) for d in box.drafts} == {("grafana", RUN, "annotation")}
    begun, over, ended = (draft.payload for draft in box.drafts)
    assert (begun["time"], begun["time_end"], begun["final"]) == (110.0, None, False)
    assert begun["tags"] == [
        "sloguard",
        f"sloguard-id:{RUN}.during",
        "experiment:shop-kill",
        "phase:during",
        "outcome:running",
        f"run:{RUN}",
        "dc:1",
        "target:pod/web-1",
        "target:pod/web-2",
        "team:web",
    ]
    assert (over["time"], over["time_end"]) == (110.0, 170.0)
    assert (ended["time"], ended["time_end"], ended["final"]) == (110.0, 170.0, True)
    assert "outcome:deviated" in ended["tags"]
    assert ended["text"] == (
        "<b>Losing &lt;a&gt; replica</b>: deviated (during)\n"
        "errors 5 % &gt; 1 %; ***** was seen\n"
        "target: pod/web-1, pod/web-2\n"
        f'<a href="https://slo.example.com/runs/{RUN}">run {RUN}</a>'
    )


def test_phases_of_interest_each_have_their_own_in_every_place(box: Box) -> None:
    places = [Place("shop"), Place("pay", 4)]
    told(box, Marks(phases=list(PhaseName), places=places))
    last = {d.payload["id"]: d.payload for d in box.drafts if d.payload["final"]}
    spans = {id: (p["time"], p["time_end"]) for id, p in last.items()}
    assert spans == {
        f"{RUN}.{phase}.{place}": span
        for place in ("shop", "pay.4")
        for phase, span in (
            ("before", (100.0, 110.0)),
            ("during", (110.0, 170.0)),
            ("after", (170.0, 230.0)),
        )
    }
    assert {(p["dashboard"], p["panel"]) for p in last.values()} == {("shop", None), ("pay", 4)}
    # Begun and over in between, but for the last phase, which only the end is the end of.
    assert len(box.drafts) == 2 * (3 + 3 + 2)


def test_a_run_that_did_not_start_broke_nothing(box: Box) -> None:
    ended = events.RunEnded(105.0, RUN, Outcome.NOT_STARTED, "no steady state", {})
    story = [*whole()[:3], ended]
    told(box, Marks(), story)
    assert box.drafts == []
    told(box, Marks(phases=[PhaseName.BEFORE]), story)
    assert [(d.payload["time"], d.payload["time_end"]) for d in box.drafts] == [
        (100.0, None),
        (100.0, 105.0),
    ]


def test_what_is_judged_again_broke_nothing(box: Box) -> None:
    told(box, Marks(), kind="rejudge", origin="r0")
    assert box.drafts == []


def test_long_names_still_are_names_of_their_own(box: Box) -> None:
    told(box, Marks(places=[Place("d" * 40 + "1" * 60), Place("d" * 40 + "2" * 60)]))
    ids = {d.payload["id"] for d in box.drafts}
    assert len(ids) == 2
    assert all(len(id) <= 80 for id in ids)


def test_an_outbox_that_is_away_is_told_and_tried_again(box: Box) -> None:
    now = [0.0]
    announcer = Announcer(box.put, [Marks()], monotonic=lambda: now[0])
    box.away = True
    for event in whole()[:3]:
        announcer.record(event)
    with pytest.raises(OutsideError, match="away"):
        announcer.record(whole()[3])
    # A run has better things to do than to wait for it at every event.
    announcer.record(whole()[4])
    box.away = False
    announcer.record(whole()[5])
    assert (announcer.waiting, box.drafts) == (1, [])
    now[0] = 10.0
    announcer.record(whole()[5])
    assert [d.key for d in box.drafts] == [f"{RUN}.during:began"]
    box.away = True
    with pytest.raises(OutsideError):
        announcer.record(whole()[-1])
    assert not announcer.flush(0.0)
    box.away = False
    assert announcer.flush(0.0)
    assert announcer.waiting == 0
    assert box.drafts[-1].key == f"{RUN}.during:ended:deviated"


def test_a_writer_that_fails_takes_nothing_from_the_others(box: Box) -> None:
    def broken(event: events.Event, story: Story) -> Iterable[Draft]:
        raise KeyError(event)

    announcer = Announcer(box.put, [broken, Marks()])
    for event in whole():
        with pytest.raises(KeyError):
            announcer.record(event)
    assert len(box.drafts) == 3


def test_a_message_that_no_outbox_takes_keeps_no_other_from_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def long(event: events.Event, story: Story) -> Iterable[Draft]:
        if isinstance(event, events.RunEnded):
            yield Draft(channel="http:x", key="k" * 300, kind="run-ended", stream=story.run)

    with Store(str(tmp_path / "x.db")) as store:
        announcer = Announcer(store.put, [long, Marks()])
        for event in whole():
            announcer.record(event)
        assert announcer.waiting == 0
        assert [message.channel for message in store.messages()] == ["grafana"] * 3
    assert "a run-ended to http:x cannot be kept: the key of a message has more" in caplog.text


class Runs:
    """ports.Runs of one dead run, which notes in what order things happen."""

    def __init__(self, run: UnfinishedRun, box: Box) -> None:
        self.run, self.box = run, box
        self.closed: list[tuple[str, int]] = []

    def unfinished(self) -> Sequence[UnfinishedRun]:
        return [self.run]

    def not_restored(self) -> Sequence[UnfinishedRun]:
        return []

    def close(self, run: str, outcome: str, reason: str, faults: Sequence[FaultRecord]) -> None:
        self.closed.append((outcome, len(self.box.drafts)))


DEAD = UnfinishedRun(
    id=RUN,
    title="Losing a replica",
    source="/x/shop.yaml",
    document={},
    variables={},
    alive=False,
    began_method=True,
    started_at=99.0,
    fault_at=110.0,
    resolved={"tags": ["team:web"]},
)


def test_the_end_of_a_dead_run_is_told_before_it_is_closed(box: Box) -> None:
    runs = Runs(DEAD, box)
    made = AnnouncedRuns(runs, Announcer(box.put, [Marks()]), now=lambda: 500.0)
    assert made.unfinished() == [DEAD]
    made.close(RUN, "aborted", "interrupted", [FAULT])
    assert runs.closed == [("aborted", 1)]
    (draft,) = box.drafts
    assert draft.key == f"{RUN}.during:ended:aborted"
    assert (draft.payload["time"], draft.payload["time_end"]) == (110.0, 500.0)
    assert {"experiment:shop", "team:web", "target:pod/web-1"} <= set(draft.payload["tags"])


@pytest.mark.parametrize(
    ("fault_at", "restored_at", "spans"),
    [
        (None, None, []),
        (110.0, 170.0, [(110.0, 170.0), (170.0, 500.0)]),
        (110.0, None, [(110.0, 500.0)]),
    ],
)
def test_a_dead_run_has_the_phases_that_it_came_to(
    box: Box,
    fault_at: float | None,
    restored_at: float | None,
    spans: list[tuple[float, float]],
) -> None:
    run = replace(DEAD, fault_at=fault_at, restored_at=restored_at)
    phases = [PhaseName.DURING, PhaseName.AFTER]
    runs = Runs(run, box)
    made = AnnouncedRuns(runs, Announcer(box.put, [Marks(phases=phases)]), now=lambda: 500.0)
    made.unfinished()
    made.close(RUN, "aborted", "interrupted", [])
    assert [(d.payload["time"], d.payload["time_end"]) for d in box.drafts] == spans


@pytest.mark.parametrize(
    ("status", "undone_at", "ends"),
    [("undone", 300.0, 300.0), ("undone", 150.0, 170.0), ("left", None, 500.0)],
)
def test_what_was_left_behind_ends_when_it_is_undone(
    box: Box, status: Any, undone_at: float | None, ends: float
) -> None:
    """The run had ended at 170, and not all of it was undone then."""
    runs = Runs(replace(DEAD, restored_at=170.0), box)
    made = AnnouncedRuns(runs, Announcer(box.put, [Marks()]), now=lambda: 500.0)
    made.unfinished()
    fault = replace(FAULT, status=status, undone_at=undone_at)
    made.close(RUN, "aborted", "interrupted", [fault])
    assert [d.payload["time_end"] for d in box.drafts] == [ends]


def test_a_dead_run_is_closed_whatever_becomes_of_its_messages(box: Box) -> None:
    box.away = True
    runs = Runs(DEAD, box)
    made = AnnouncedRuns(runs, Announcer(box.put, [Marks()]))
    made.unfinished()
    made.close(RUN, "aborted", "interrupted", [])
    made.close("unknown", "aborted", "interrupted", [])
    assert [outcome for outcome, _ in runs.closed] == ["aborted", "aborted"]


def test_windows_of_other_tools_are_told_when_they_open_and_close(
    box: Box, caplog: pytest.LogCaptureFixture
) -> None:
    window = Window(
        id=RUN,
        title="A game day",
        slos="shop",
        opened_at=111.0,
        fault_at=110.0,
        expires_at=9999.0,
        removed={"pod": ("web-1",)},
    )
    tell_window(box.put, [Marks()], window)
    closed = replace(window, state=WindowState.CLOSED, restored_at=170.0)
    tell_window(box.put, [Marks()], closed)
    begun, over = box.drafts
    assert (begun.key, over.key) == (f"{RUN}.during:began", f"{RUN}.during:over")
    assert (begun.payload["time"], over.payload["time_end"]) == (110.0, 170.0)
    assert {"experiment:shop", "window", "target:web-1"} <= set(begun.payload["tags"])
    # The judgement tells the same with the same keys.
    told(box, Marks(), experiment="shop", kind="window")
    assert [d.key for d in box.drafts[2:4]] == [begun.key, over.key]
    box.away = True
    tell_window(box.put, [Marks()], window)
    assert f"window {RUN} is not told to others" in caplog.text


def test_names_of_places_and_phases() -> None:
    assert place_named("abc") == Place("abc")
    assert place_named(" abc/12") == Place("abc", 12)
    for text in ("", "/4", "abc/", "abc/x", "abc/-1", "abc/²"):
        with pytest.raises(ValueError, match="UID or UID/PANEL"):
            place_named(text)
    assert phase_named("after") is PhaseName.AFTER
    with pytest.raises(ValueError, match="expected before, during, after"):
        phase_named("later")
