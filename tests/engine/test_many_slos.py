"""Many SLOs in bounded memory: what is judged is told and let go, and the worst is what is kept."""

from __future__ import annotations

import threading
import weakref
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sloguard.core.condensing import Condensed
from sloguard.core.document import document
from sloguard.core.events import EvidenceCollected, Observed, PhaseStarted, RunEnded
from sloguard.core.model import Budget, Outcome, PhaseRule, Phases, Slo, Timeline, Verdict
from sloguard.core.objective import parse_objective
from sloguard.core.series import Matrix, Sample, Vector, label_set
from sloguard.core.windows import Grid
from sloguard.engine.holding import Spool
from sloguard.engine.options import Options
from sloguard.engine.rejudge import judge_kept
from sloguard.engine.run import run
from sloguard.engine.watch import MOST_READ
from sloguard.engine.window import judge_streamed, judge_window
from sloguard.ports import MetricsBusy
from sloguard.render.summary import slo_rows
from tests.fakes.simulation import START
from tests.support.engine_world import World, ended, experiment, slo

CONCURRENCY = 4
#: What is under way, as much again that waits for its turn, and what is being judged.
MOST_ALIVE = 2 * CONCURRENCY + 2
COUNT = 60


class Counting:
    """A Prometheus of many series that counts how many of its answers are alive at once."""

    def __init__(self, inner, series: int = 6) -> None:
        self._inner, self._series = inner, series
        self._alive: list[weakref.ref] = []
        self._lock = threading.Lock()
        self.most = self.answers = 0

    def range(self, query: str, grid: Grid) -> Matrix:
        if query.startswith("count("):
            there = np.ones((1, grid.count))
            return Matrix(grid, ((),), there, there > 0)
        if not query.startswith("many_"):
            return self._inner.range(query, grid)
        number = int(query.removeprefix("many_"))
        times = grid.times - START
        values = np.full((self._series, grid.count), 0.001)
        # Series breach one after the other, each for longer than the one before.
        for row in range(number % self._series):
            values[row][(times >= 1) & (times < 2 + row)] = 0.9
        made = Matrix(
            grid,
            tuple(label_set({"pod": f"p{row}"}) for row in range(self._series)),
            values,
            np.ones(values.shape, dtype=bool),
        )
        with self._lock:
            self._alive = [ref for ref in self._alive if ref() is not None]
            self._alive.append(weakref.ref(values))
            self.answers += 1
            self.most = max(self.most, len(self._alive))
        return made

    def instant(self, query: str, at: float | None = None) -> Vector:
        if not query.startswith("many_"):
            return self._inner.instant(query, at)
        labels = [label_set({"pod": f"p{row}"}) for row in range(self._series)]
        return Vector(tuple(Sample(one, at or START, 0.001) for one in labels))

    def __getattr__(self, name: str):
        return getattr(self._inner, name)


def many(count: int = COUNT, **more) -> tuple[Slo, ...]:
    return tuple(
        replace(slo(during="< 95%", **more), name=f"slo-{n:03d}", query=f"many_{n}", step=1.0)
        for n in range(count)
    )


def window(metrics, world, count: int = COUNT, **options):
    made = replace(experiment(slos=many(count)), phases=Phases(20, 10, 20))
    timeline = Timeline(START - 20, START, START + 10, START + 30)
    chosen = Options(concurrency=CONCURRENCY, **options)
    return made, timeline, chosen


def test_a_window_of_many_slos_holds_no_more_answers_than_are_under_way():
    world = World()
    metrics = Counting(world.metrics)
    made, timeline, chosen = window(metrics, world)
    order = []
    facts, _ = judge_streamed(
        made, timeline, metrics, world.clock, chosen, each=lambda e: order.append(e.slo.name)
    )
    assert metrics.answers == COUNT
    assert metrics.most <= MOST_ALIVE
    assert order == [one.name for one in made.slos] == [r.name for r in facts.slos]


def test_a_run_of_many_slos_holds_no_more_answers_than_are_under_way():
    world = World()
    world.metrics = metrics = Counting(world.metrics)
    made = run(
        replace(experiment(slos=many()), phases=Phases(20, 10, 20)),
        world.ports(),
        world.options(concurrency=CONCURRENCY, held_samples=100),
        world.control,
    )
    told, phases, last = [], [], None
    for event in made:
        if isinstance(event, EvidenceCollected):
            told.append((event.evidence.slo.name, sorted(event.evidence.answers)))
        elif isinstance(event, PhaseStarted):
            phases.append(str(event.phase))
        elif isinstance(event, RunEnded):
            last = event
        # What a store has written is of no more use to it.
        del event
    assert last.outcome is Outcome.MET, last
    assert phases == ["before", "during", "after"]
    assert told == [(f"slo-{n:03d}", ["query"]) for n in range(COUNT)]
    assert metrics.answers >= 2 * COUNT
    assert metrics.most <= MOST_ALIVE


def test_what_allowed_an_early_end_is_the_verdicts_own_evidence_where_it_is_not_much():
    asked = {}
    for held in (1000, 8_000_000):
        world = World()
        world.metrics = metrics = Counting(world.metrics)
        made = replace(experiment(slos=many(8)), phases=Phases(20, 10, 60))
        last = ended(
            list(run(made, world.ports(), world.options(held_samples=held), world.control))
        )
        assert last.outcome is Outcome.MET
        assert last.timeline.end < last.timeline.restored + 60
        asked[held] = metrics.answers
    assert asked[1000] == asked[8_000_000] + 8


def test_the_first_slo_that_has_not_recovered_ends_a_look():
    world = World()
    world.metrics = metrics = Counting(world.metrics)
    asks_more = replace(
        many(1)[0], name="ratio", query="ratio", after=PhaseRule(parse_objective("< 10%"))
    )
    world.metrics.series["ratio"] = lambda t: {(): 0.5 if t > 0 else 0.0}
    made = replace(
        experiment(slos=(replace(asks_more, weight=0), *many(40))), phases=Phases(20, 10, 40)
    )
    ended(list(run(made, world.ports(), world.options(concurrency=2), world.control)))
    # The gate and the verdict ask for all; the looks between them for as many as were under way.
    looks = [
        at for method, query, at in world.metrics.asked if query == "ratio" and method == "range"
    ]
    assert len(looks) > 4
    assert metrics.answers < 2 * 40 + (len(looks) - 2) * 8


def test_series_beyond_the_limit_are_counted_and_none_of_them_is_worse():
    world = World()
    metrics = Counting(world.metrics, series=9)
    made, timeline, chosen = window(metrics, world, 12)
    whole = document(judge_streamed(made, timeline, metrics, world.clock, chosen)[0])
    short = document(
        judge_streamed(made, timeline, metrics, world.clock, replace(chosen, max_series=30))[0]
    )
    told = [slo["series"] for slo in short["slos"]]
    assert sum(map(len, told)) <= 30 < sum(len(slo["series"]) for slo in whole["slos"])
    for few, all_of_them in zip(short["slos"], whole["slos"], strict=True):
        omitted = few["series_omitted"]
        assert len(few["series"]) + omitted["count"] == len(all_of_them["series"])
        assert (few["verdict"], few["reason"]) == (all_of_them["verdict"], all_of_them["reason"])
        # The longest in breach are told, and everything of them is as it was.
        breaches = [s["phases"]["during"]["breach_seconds"] for s in all_of_them["series"]]
        kept = [s["phases"]["during"]["breach_seconds"] for s in few["series"]]
        assert sorted(kept) == sorted(breaches)[-len(kept) :]
        assert all(one in all_of_them["series"] for one in few["series"])
    for key in ("outcome", "score", "time_to_impact_seconds", "time_to_recover_seconds"):
        assert short[key] == whole[key], key
    assert "series_omitted" not in whole["slos"][0]
    assert {row.name for row in slo_rows(short)} == {f"{one.name} (9 series)" for one in made.slos}


@given(
    counts=st.lists(st.integers(1, 12), min_size=1, max_size=8),
    limit=st.integers(1, 40),
    order=st.randoms(use_true_random=False),
)
@settings(max_examples=25, deadline=None)
def test_what_is_kept_of_an_slo_does_not_hang_on_the_order_in_which_they_come(counts, limit, order):
    world = World()
    results = []
    for number, series in enumerate(counts):
        metrics = Counting(world.metrics, series=series)
        made, timeline, chosen = window(metrics, world, 1)
        one = replace(made, slos=(replace(made.slos[0], query=f"many_{number + series}"),))
        (result,) = judge_window(one, timeline, metrics, world.clock, chosen).slos
        results.append(replace(result, name=f"slo-{number}"))
    kept = {}
    for _ in range(2):
        condensed = Condensed(limit)
        for result in results:
            condensed.add(result)
        found = {r.name: (tuple(r.series), r.omitted) for r in condensed.results()}
        kept = kept or found
        assert found == kept
        order.shuffle(results)
    for result in results:
        series, omitted = kept[result.name]
        assert len(series) + (omitted.count if omitted else 0) == len(result.series)
        assert series
    assert sum(len(series) for series, _ in kept.values()) <= max(limit, len(counts))


def test_the_picture_of_many_slos_is_read_in_turns_and_shows_the_worst():
    world = World()
    bad = f"ratio_{MOST_READ + 5}"
    for n in range(2 * MOST_READ):
        world.metrics.series[f"ratio_{n}"] = lambda t, n=n: {
            (): 0.5 if t > 2 and f"ratio_{n}" == bad else 0.0
        }
    slos = tuple(
        slo(f"slo-{n:03d}", query=f"ratio_{n}", during="< 20%") for n in range(2 * MOST_READ)
    )
    made = replace(experiment(slos=slos), phases=Phases(5, 30, 5))
    events = world.run(made, tick=2.0)
    pictures = [e for e in events if isinstance(e, Observed) and e.phase == "during"]
    assert {len(picture.readings) for picture in pictures[1:]} == {MOST_READ}
    worst = pictures[-1].readings[0]
    assert (worst.slo, str(worst.verdict)) == (f"slo-{MOST_READ + 5:03d}", "deviated")
    # Before the run begins every query is tried once.
    instants = [
        at
        for method, query, at in world.metrics.asked
        if method == "instant" and "ratio" in query and at > 0
    ]
    assert instants
    assert max(instants.count(at) for at in set(instants)) <= MOST_READ


def test_evidence_beyond_what_is_held_is_read_from_a_file_as_often_as_one_likes():
    world = World()
    metrics = Counting(world.metrics)
    made, timeline, chosen = window(metrics, world, 6)
    kept, held = Spool(most=500), Spool(most=10**9)
    for spool in (kept, held):
        judge_streamed(made, timeline, metrics, world.clock, chosen, each=spool.add)
    assert len(kept) == len(held) == 6
    for _ in range(2):
        for one, other in zip(kept, held, strict=True):
            assert replace(one, answers={}) == replace(other, answers={})
            assert one.answers["query"].labels == other.answers["query"].labels
            np.testing.assert_array_equal(
                one.answers["query"].values, other.answers["query"].values
            )
    assert [e.slo.name for e in kept[1:3]] == ["slo-001", "slo-002"]


def test_kept_evidence_is_judged_again_one_slo_at_a_time():
    world = World()
    metrics = Counting(world.metrics)
    made, timeline, chosen = window(metrics, world, 20)
    spool = Spool(most=100)
    facts, around = judge_streamed(made, timeline, metrics, world.clock, chosen, each=spool.add)
    alive, most = [], 0

    def each(evidence):
        nonlocal most
        alive[:] = [ref for ref in alive if ref() is not None]
        alive.append(weakref.ref(evidence.answers["query"].values))
        most = max(most, len(alive))

    again = judge_kept(spool, None, timeline, around, 20, each=each)
    assert most <= 2
    assert [(r.name, r.reason, list(r.series)) for r in again] == [
        (r.name, r.reason, list(r.series)) for r in facts.slos
    ]


def test_budgets_of_series_that_are_not_told_still_count():
    world = World()
    metrics = Counting(world.metrics, series=9)
    limits = Budget(abort_spent=0.0001, hold_for=0.0)
    made, timeline, chosen = window(metrics, world, 9)
    slos = tuple(replace(one, query="many_8", target=0.99, period=86400.0) for one in made.slos)
    made = replace(made, slos=slos, budget=limits)
    whole = judge_window(made, timeline, metrics, world.clock, chosen)
    short, _ = judge_streamed(made, timeline, metrics, world.clock, replace(chosen, max_series=18))
    assert sum(len(r.series) for r in short.slos) == 18
    assert [e["guard"] for e in short.budget] == [e["guard"] for e in whole.budget]
    assert [e["spent_by_run"] for e in short.budget] == [e["spent_by_run"] for e in whole.budget]


class Busy(Counting):
    """Has too much to do whenever one of its queries is asked."""

    def range(self, query: str, grid: Grid) -> Matrix:
        if query == "many_3":
            raise MetricsBusy("too many outstanding requests")
        return super().range(query, grid)


def test_a_query_that_the_server_is_too_busy_for_ends_no_other() -> None:
    world = World()
    made, timeline, chosen = window(world.metrics, world, 12)
    facts, _ = judge_streamed(made, timeline, Busy(world.metrics), world.clock, chosen)
    unknown = [r for r in facts.slos if r.verdict is Verdict.INCONCLUSIVE]
    assert [r.name for r in unknown] == ["slo-003"]
    assert "too many outstanding requests" in unknown[0].reason
    assert {r.verdict for r in facts.slos if r is not unknown[0]} == {Verdict.MET}
