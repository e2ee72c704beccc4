"""The newest runs among the metrics: few of them, each with what a dashboard shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from sloguard.adapters.store import Store
from sloguard.core.tallies import RunLine
from sloguard.web.run_metrics import MOST_RUNS, NewestRuns, marks_of
from tests.support import runs as stored
from tests.support.service import World

RUN = "20260101T115900-aaaaaa"


@dataclass
class Facts:
    recovered: float | None = 12.5
    verdicts: Mapping[str, str] = field(default_factory=lambda: {"error-ratio": "met"})
    burned: Mapping[str, float] = field(default_factory=lambda: {"error-ratio": 0.25})
    marks: Mapping[str, float] = field(default_factory=dict)


def told(runs: NewestRuns) -> dict[tuple[str, str], float]:
    """(metric, run and what it says) -> value."""
    found = {}
    for family in runs.families():
        for sample in family.samples:
            rest = {k: v for k, v in sample.labels.items() if k not in ("run", "experiment")}
            found[sample.name, "/".join([sample.labels["run"], *rest.values()])] = sample.value
    return found


def test_a_run_tells_its_marks_and_how_it_ended(world: World) -> None:
    world.keep(RUN)
    text = world.client.get("/metrics").get_data(as_text=True)
    who = f'experiment="checkout",mark="{{}}",run="{RUN}"'
    for mark, at in (("started", -60), ("fault", 0), ("restored", 60), ("ended", 122)):
        line = f"sloguard_run_timestamp_seconds{{{who.format(mark)}}} "
        (found,) = [row for row in text.splitlines() if row.startswith(line)]
        assert float(found.removeprefix(line)) == stored.FAULT + at
    assert (
        f'sloguard_run_outcome{{experiment="checkout",outcome="deviated",run="{RUN}"}} 1.0' in text
    )


class Lines:
    """The store, as far as it is asked: lines of runs, newest first."""

    def __init__(self) -> None:
        self.lines: list[RunLine] = []

    def add(self, run: str, kind: str = "run", ended_at: float | None = 60.0) -> None:
        outcome = "met" if ended_at else None
        line = RunLine(run, kind, "shop", "", "[]", 0.0, ended_at, outcome, None, "", "", False)
        self.lines.insert(0, line)

    def run_lines(self, limit: int) -> tuple[RunLine, ...]:
        return tuple(self.lines[:limit])


def test_only_the_newest_that_have_ended_are_told() -> None:
    store = Lines()
    names = [f"20260101T115900-{n:06x}" for n in range(MOST_RUNS + 3)]
    for name in names:
        store.add(name)
    store.add("20260102T115900-again0", kind="rejudge")
    store.add("20260103T115900-open00", ended_at=None)
    read: list[str] = []

    def facts_of(run: str) -> Facts:
        read.append(run)
        return Facts()

    runs = NewestRuns(cast(Store, store), facts_of)
    found = told(runs)
    outcomes = [key for name, key in found if name == "sloguard_run_outcome"]
    assert outcomes == [f"{name}/met" for name in reversed(names[3:])]
    newest = names[-1]
    assert found["sloguard_run_recovery_seconds", newest] == 12.5
    assert found["sloguard_run_slo_verdict", f"{newest}/error-ratio/met"] == 1
    assert found["sloguard_run_budget_burned_ratio", f"{newest}/error-ratio"] == 0.25
    # A document is read once, and again where its run is another one by now.
    assert told(runs) == found
    assert len(read) == MOST_RUNS
    store.add("20260104T115900-newest")
    told(runs)
    assert read[MOST_RUNS:] == ["20260104T115900-newest"]


def test_marks_of_a_run_that_broke_nothing() -> None:
    assert marks_of({"timeline": None}) == {}
    assert marks_of({}) == {}
    assert marks_of({"timeline": {"fault": "1970-01-01T00:01:00Z", "restored": None}}) == {
        "fault": 60.0
    }
