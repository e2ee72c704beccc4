"""Random chaos over many services and clusters, simulated: how soon all are hit, and what disturbs what.

Drawing (`random.chaos` with its blast radius and hours) and judging are sloguard's own, on a clock that is moved and
numbers that are made up (`benchmarks/simulated_town.py`). Every cluster has a schedule of its own, one run at a time; of
all clusters no more than ``--at-once`` run together. Each verdict is held against the one that the run would have got
had its own faults been the only ones. One run of each layout goes through the whole engine, with guards, the live
picture and a store: from it come the queries and the rows of a day.

    python -m benchmarks.simulate [--services 1000] [--days 10] [--seed 1] [--layouts 1/1 16/4/together]
"""

from __future__ import annotations

import argparse
import datetime
import heapq
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from benchmarks.simulated_town import LOOKBACK, STEP, Effect, Town, TownMetrics, causes
from sloguard.adapters.store import Store
from sloguard.core.document import document
from sloguard.core.model import (
    Experiment,
    FaultRecord,
    Guard,
    Outcome,
    PhaseName,
    PhaseRule,
    Phases,
    Slo,
    Timeline,
    Tolerance,
    Verdict,
)
from sloguard.core.objective import parse_objective
from sloguard.core.outcome import RunFacts, conclude
from sloguard.engine.options import Options
from sloguard.engine.run import drive, run
from sloguard.engine.window import judge_window
from sloguard.faults.base import Context, NothingToHit, NotNow, find_fault
from tests.fakes.simulation import SimulatedClock
from tests.fakes.still_cluster import StillCluster
from tests.support.engine_world import World, action

#: A Monday, 00:00 UTC.
MONDAY = datetime.datetime(2026, 1, 5, tzinfo=datetime.UTC)
BEFORE, DURING, AFTER = 180.0, 120.0, 240.0
#: How long a run waits for its last samples and judges, seconds.
LAST_SAMPLES = 60.0
TIMES, EVERY = 2, 30.0
#: A run is due so often in the hours of each cluster, seconds.
SLOT = 3600.0
HOURS = {"zone": "UTC", "days": "mon-fri", "from": "09:00", "to": "17:00"}
MENU = [
    {"fault": "pods.terminate_pods", "weight": 3},
    {"fault": "istio.add_abort_fault", "weight": 2, "arguments": {"http_status": 503}},
]
WITHIN = {"max_per_namespace": 2, "leave_at_least": 2}


def slo() -> Slo:
    """What every service promises."""
    usual = PhaseRule(parse_objective("< 1%"))
    return Slo(
        "error-ratio",
        usual.objective,
        usual,
        PhaseRule(parse_objective("< 5%"), Tolerance(30.0, None, "30s")),
        PhaseRule(usual.objective, None, 120.0),
        bad="bad",
        total="total",
        step=STEP,
        lookback=LOOKBACK,
    )


@dataclass(slots=True)
class Run:
    """One run of a cluster: its marks, what it hit, and what that did."""

    cluster: int
    at: float
    fault: float
    restored: float
    end: float
    hits: list[tuple[str, str, float]]
    effects: list[Effect]


@dataclass
class Layout:
    """What came of one way to spread the services over clusters."""

    services: int
    clusters: int
    at_once: int
    days: int
    together: bool = False
    runs: int = 0
    most_at_once: int = 0
    not_started: int = 0
    late: int = 0
    hit: int = 0
    half_after_days: float | None = None
    ninety_after_days: float | None = None
    verdicts: dict[str, int] = field(default_factory=dict)
    wrong_by_others: int = 0
    refused_by_others: int = 0
    blamed: int = 0
    blamed_wrongly: int = 0
    queries_a_run: int = 0
    queries_a_second: float = 0.0
    rows_a_day: int = 0
    megabytes_a_day: float = 0.0
    coverage: list[float] = field(default_factory=list)
    cpu_seconds: float = 0.0


class Now:
    """ports.Clock that stands where it was put."""

    def __init__(self, at: float) -> None:
        self._at = at

    def now(self) -> float:
        return self._at

    def monotonic(self) -> float:
        return 0.0

    def wait(self, flag: Any, seconds: float) -> bool:  # noqa: ARG002 - nothing is waited for
        return bool(flag.is_set())


class _Done:
    def __init__(self, work: Callable[[], Any]) -> None:
        self._result = work()

    def done(self) -> bool:
        return True

    def result(self) -> Any:
        return self._result


class AtOnce:
    """engine.Executor: work is done where it is asked for."""

    def submit(self, work: Callable[[], Any], *, name: str, then: Callable[[], None]) -> Any:  # noqa: ARG002 - the port's
        done = _Done(work)
        then()
        return done


def simulate(
    services: int,
    clusters: int,
    at_once: int,
    days: int,
    seed: int,
    *,
    together: bool = False,
    through: bool = True,
) -> Layout:
    """One layout: all runs of so many days. ``together``: all schedules begin in the same minute;
    ``through``: one of them goes through the whole engine, too."""
    begun = time.process_time()
    town = Town(services, clusters, seed)
    made = Layout(services, clusters, at_once, days, together)
    runs = scheduled(town, made, at_once, days, seed)
    covered(made, runs)
    judged(town, made, runs, seed)
    if through:
        whole(town, made, runs)
    made.cpu_seconds = round(time.process_time() - begun, 1)
    return made


def scheduled(town: Town, made: Layout, at_once: int, days: int, seed: int) -> list[Run]:
    """Every run that the schedules and the common limit let happen, in order."""
    chaos = find_fault("random.chaos")
    stills = [StillCluster(town.objects(cluster)) for cluster in range(town.clusters)]
    first = MONDAY.timestamp()
    slots = sorted(
        # Spread over the hour, so that clusters do not begin together where they need not.
        (first + n * SLOT + (0.0 if made.together else cluster * SLOT / town.clusters), cluster)
        for n in range(days * 24)
        for cluster in range(town.clusters)
    )
    under_way: list[float] = []
    free_at = [0.0] * town.clusters
    runs: list[Run] = []
    length = DURING + AFTER + LAST_SAMPLES
    for due, cluster in slots:
        at = max(due, free_at[cluster])
        while under_way and under_way[0] <= at:
            heapq.heappop(under_way)
        if len(under_way) >= at_once:
            # One of all clusters has to end first: that is the lease they share.
            at = heapq.heappop(under_way)
            made.late += 1
        still = stills[cluster]
        still.at = at
        # The seed of a run follows from the common one, its cluster and its hour: anybody can draw it again.
        context = Context(
            cluster=lambda _name, s=still: cast(Any, s), seed=_seed(seed, cluster, at)
        )
        arguments = {
            "faults": MENU, "times": TIMES, "every": EVERY, "within": WITHIN, "hours": HOURS,
        }  # fmt: skip
        try:
            plan = chaos.plan(arguments, context)
        except NotNow:
            continue
        except NothingToHit:
            made.not_started += 1
            continue
        restored = at + DURING
        hits = [
            (
                one.of.name if one.of else "",
                next(iter(sorted(next(iter(one.hits.values()))))),
                at + n * EVERY,
            )
            for n, one in enumerate(plan.injections)
        ]
        effects = [
            e for fault, target, hit in hits for e in town.effects(fault, target, hit, restored)
        ]
        runs.append(Run(cluster, at, at, restored, restored + AFTER, hits, effects))
        free_at[cluster] = at + length
        heapq.heappush(under_way, at + length)
    made.runs = len(runs)
    made.most_at_once = max(
        (sum(a.at <= b.at < a.at + length for a in runs) for b in runs), default=0
    )
    return runs


def _seed(seed: int, cluster: int, at: float) -> int:
    return (seed * 1_000_003 + cluster) * 1_000_003 + int(at) // 60


def covered(made: Layout, runs: Sequence[Run]) -> None:
    """How soon each service was hit for the first time, by the days on which anything may be hit."""
    first: dict[str, float] = {}
    for one in runs:
        for fault, target, _ in one.hits:
            name = target.partition("/")[2]
            service = name.rpartition("-")[0] if fault.startswith("pods.") else name
            first.setdefault(service, _day(one.at))
    made.hit = len(first)
    days = sorted(first.values())
    for share, name in ((0.5, "half_after_days"), (0.9, "ninety_after_days")):
        place = int(np.ceil(made.services * share)) - 1
        setattr(made, name, round(days[place], 1) if place < len(days) else None)
    last = int(_day(MONDAY.timestamp() + made.days * 86400))
    made.coverage = [
        round(sum(day < n + 1 for day in days) / made.services, 3) for n in range(max(last, 1))
    ]


def _day(at: float) -> float:
    """Working days since the beginning."""
    whole, rest = divmod(at - MONDAY.timestamp(), 86400)
    weeks, day = divmod(int(whole), 7)
    return weeks * 5 + min(day, 5) + (rest / 86400 if day < 5 else 0.0)


def judged(town: Town, made: Layout, runs: Sequence[Run], seed: int) -> None:
    """Each run as it was, and as it would have been alone."""
    for number, one in enumerate(runs):
        begin, end = one.at - BEFORE, one.end
        near = [other for other in runs if other.end + LOOKBACK > begin and other.at < end]
        others = [e for other in near for e in other.effects]
        facts = _judge(town, one, others, seed)
        alone = _judge(town, one, one.effects, seed)
        if _broken_before(facts):
            made.not_started += 1
            made.refused_by_others += not _broken_before(alone)
            continue
        outcome, meant = conclude(facts).outcome, conclude(alone).outcome
        made.verdicts[str(outcome)] = made.verdicts.get(str(outcome), 0) + 1
        made.wrong_by_others += outcome is not meant
        if outcome is Outcome.DEVIATED:
            _blame(made, one, facts, number)


def _judge(town: Town, one: Run, effects: Sequence[Effect], seed: int) -> RunFacts:
    timeline = Timeline(one.at - BEFORE, one.fault, one.restored, one.end)
    experiment = Experiment(
        title="anything breaks", slos=(slo(),), phases=Phases(BEFORE, DURING, AFTER)
    )
    metrics = TownMetrics(town.of(one.cluster), effects, seed)
    options = Options(budget_history=False)
    return judge_window(experiment, timeline, metrics, Now(one.end), options, executor=AtOnce())


def _broken_before(facts: RunFacts) -> bool:
    """What the gate would have said."""
    columns = cast(Any, facts.slos[0].series).facts.columns.phases[PhaseName.BEFORE]
    return bool((columns.verdict == Verdict.DEVIATED.rank).any())


def _blame(made: Layout, one: Run, facts: RunFacts, number: int) -> None:
    """Whom the answer says a series suffered from, beside what it really was."""
    records = tuple(
        FaultRecord(f"{number}-{n}", fault, target, "undone", at, one.restored)
        for n, (fault, target, at) in enumerate(one.hits)
    )
    true = causes(one.effects)
    for victim in document(replace(facts, faults=records))["victims"]:
        for suffered in victim["suffered"]:
            made.blamed += 1
            made.blamed_wrongly += victim["target"] not in true.get(
                suffered["labels"]["service"], ()
            )


def whole(town: Town, made: Layout, runs: Sequence[Run]) -> None:
    """One run of the first cluster through the whole engine, with a store: what a run asks and keeps."""
    if not runs:
        return
    one = next((r for r in runs if r.cluster == 0), runs[0])
    world = World()
    world.clock = SimulatedClock(one.at - BEFORE)
    metrics = TownMetrics(town.of(one.cluster), (), 1)
    world.metrics = cast(Any, metrics)
    world.functions["chaos"] = lambda stop: "drawn"  # noqa: ARG005 - the shape of any function
    guard = Guard("most-users-are-hit", parse_objective("< 50%"), 30.0, query="guard")
    experiment = Experiment(
        title="anything breaks",
        slos=(slo(),),
        guards=(guard,),
        phases=Phases(BEFORE, DURING, AFTER),
        method=(action("method[0]", "chaos"),),
    )
    with tempfile.TemporaryDirectory(prefix="sloguard-simulated-") as directory:
        file = Path(directory) / "runs.db"
        with Store(f"sqlite:///{file}") as store:
            before, empty = _rows(store), file.stat().st_size
            events = run(experiment, world.ports(), world.options(end_early=False), world.control)
            ended = drive(events, [store.recorder().record])
            rows = _rows(store) - before
        size = file.stat().st_size - empty
    assert ended is not None
    days = max(len({int(_day(r.at)) for r in runs}), 1)
    made.queries_a_run = metrics.calls
    made.queries_a_second = round(metrics.calls / (BEFORE + DURING + AFTER) * made.most_at_once, 2)
    made.rows_a_day = round(rows * made.runs / days)
    made.megabytes_a_day = round(size * made.runs / days / 1e6, 1)


def _rows(store: Store) -> int:
    from sqlalchemy import func, select

    from sloguard.adapters.store.tables import metadata

    with store._database.reading() as connection:
        counts = [select(func.count()).select_from(t) for t in metadata.sorted_tables]
        return sum(int(connection.execute(count).scalar_one()) for count in counts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Simulate random chaos over many services.")
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--days", type=int, default=14, help="calendar days, from a Monday on")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--layouts",
        nargs="+",
        default=["1/1", "4/4", "16/16", "16/16/together", "16/4/together"],
        metavar="CLUSTERS/AT_ONCE[/together]",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    chosen = parser.parse_args(arguments)
    layouts = []
    for text in chosen.layouts:
        clusters, at_once, together = (*text.split("/"), "", "")[:3]
        layouts.append(
            simulate(
                chosen.services,
                int(clusters),
                int(at_once or clusters),
                chosen.days,
                chosen.seed,
                together=together == "together",
            )
        )
    if chosen.json:
        print(json.dumps([asdict(one) for one in layouts]))
        return 0
    print(
        f"{chosen.services:,} services, {chosen.days} days from a Monday on, seed {chosen.seed}\n"
    )
    show(layouts)
    return 0


def show(layouts: Sequence[Layout]) -> None:
    """One column a layout."""
    days = [max(len(one.coverage), 1) for one in layouts]
    lines: list[tuple[str, list[object]]] = [
        ("clusters", [one.clusters for one in layouts]),
        ("all begin in the same minute", ["yes" if one.together else "no" for one in layouts]),
        ("runs at once: allowed", [one.at_once for one in layouts]),
        ("  most that there were", [one.most_at_once for one in layouts]),
        ("runs", [f"{one.runs:,}" for one in layouts]),
        ("runs a working day", [round(one.runs / n) for one, n in zip(layouts, days, strict=True)]),
        (
            "faults a service and working day",
            [
                f"{one.runs * TIMES / one.services / n:.3f}"
                for one, n in zip(layouts, days, strict=True)
            ],
        ),
        ("delayed by the common limit", [one.late for one in layouts]),
        *(
            (f"hit once after {n} working days", [_share(one.coverage, n) for one in layouts])
            for n in (1, 5, 10)
        ),
        ("half of all hit after, days", [_or_dash(one.half_after_days) for one in layouts]),
        ("90% hit after, days", [_or_dash(one.ninety_after_days) for one in layouts]),
        ("met / deviated", [f"{_v(one, 'met')} / {_v(one, 'deviated')}" for one in layouts]),
        ("refused by the gate", [one.not_started for one in layouts]),
        ("  because of another cluster's fault", [one.refused_by_others for one in layouts]),
        (
            "verdicts that another's fault made wrong",
            [_of(one.wrong_by_others, one) for one in layouts],
        ),
        (
            "series blamed on the wrong target",
            [f"{one.blamed_wrongly / max(one.blamed, 1):.1%}" for one in layouts],
        ),
        ("queries a run", [one.queries_a_run for one in layouts]),
        ("queries a second, with all at work", [one.queries_a_second for one in layouts]),
        ("rows in the store a working day", [f"{one.rows_a_day:,}" for one in layouts]),
        ("megabytes a working day", [one.megabytes_a_day for one in layouts]),
        ("CPU seconds of this simulation", [one.cpu_seconds for one in layouts]),
    ]
    for name, values in lines:
        print(f"{name:42}" + "".join(f"{value!s:>14}" for value in values))


def _share(coverage: Sequence[float], days: int) -> str:
    return f"{coverage[days - 1]:.1%}" if days <= len(coverage) else "-"


def _of(count: int, one: Layout) -> str:
    return f"{count} ({count / max(sum(one.verdicts.values()), 1):.1%})"


def _v(one: Layout, name: str) -> int:
    return one.verdicts.get(name, 0)


def _or_dash(value: object) -> object:
    return "-" if value is None else value


if __name__ == "__main__":
    sys.exit(main())
