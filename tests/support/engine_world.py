"""A small world to run experiments in: services that can be broken, a Prometheus that saw it, time.

Everything happens in simulated time. ``World.value`` is what ``ratio`` was at any time: 0 while all is
well, 0.5 while anything is broken.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sloguard.core.events import Event, RunEnded
from sloguard.core.model import Activity, Experiment, Guard, PhaseRule, Phases, Slo, Tolerance
from sloguard.core.objective import parse_objective
from sloguard.core.series import LabelSet, Matrix, Sample, Vector
from sloguard.core.windows import Grid
from sloguard.engine.control import Control
from sloguard.engine.options import Options
from sloguard.engine.ports_bundle import Ports
from sloguard.engine.run import run
from sloguard.ports import ClockOffset, Intent, MetricsUnreachable, RecordingRule, Selection
from sloguard.providers.result import Result
from tests.fakes.ledger import FakeLedger
from tests.fakes.locks import FakeLocks
from tests.fakes.simulation import START, SimulatedClock, SimulatedThreads

Series = Callable[[float], Mapping[LabelSet, float | None]]

#: The world in which faults of ``tests.support.world_faults`` happen: the one made last.
_worlds: list[World] = []


def world() -> World:
    """The world made last."""
    return _worlds[-1]


class WorldMetrics:
    """ports.Metrics over functions of time. ``outages``: (from, to), seconds after the start."""

    def __init__(self, clock: SimulatedClock, offset: float = 0.0) -> None:
        self._clock, self.offset = clock, offset
        self.series: dict[str, Series] = {}
        self.outages: list[tuple[float, float]] = []
        #: As outages, but answering meanwhile, from what it had seen before.
        self.blind: list[tuple[float, float]] = []
        self.born = float("-inf")
        self.interval: float | None = 1.0
        self.rules: Sequence[RecordingRule] = ()
        self.asked: list[tuple[str, str, float]] = []
        self.slow: float = 0.0
        self.fail: dict[str, Exception] = {}

    def _answer(self, query: str, at: float) -> Mapping[LabelSet, float | None]:
        local = at - self.offset - START
        if local < self.born or any(low <= local < high for low, high in self.outages):
            return {}
        if query.startswith("count("):
            return {} if any(low <= local < high for low, high in self.blind) else {(): 3.0}
        return self.series[query](local) if query in self.series else {}

    def _reach(self, method: str, query: str) -> None:
        self.asked.append((method, query, self._clock.monotonic()))
        if self.slow:
            self._clock.wait(threading.Event(), self.slow)
        if any(low <= self._clock.monotonic() < high for low, high in self.outages):
            raise MetricsUnreachable("Prometheus at http://127.0.0.1:9 refused the connection")
        if query in self.fail:
            raise self.fail[query]

    def instant(self, query: str, at: float | None = None) -> Vector:
        self._reach("instant", query)
        when = at if at is not None else self._clock.now() + self.offset
        found = self._answer(query, when)
        return Vector(tuple(Sample(k, when, v) for k, v in found.items() if v is not None))

    def range(self, query: str, grid: Grid) -> Matrix:
        self._reach("range", query)
        now = self._clock.now() + self.offset
        columns = [self._answer(query, t) if t <= now + 0.001 else {} for t in grid.times]
        labels = sorted({k for column in columns for k in column})
        values = np.full((len(labels), grid.count), np.nan)
        present = np.zeros(values.shape, dtype=bool)
        for row, key in enumerate(labels):
            for index, column in enumerate(columns):
                value = column.get(key)
                if value is not None:
                    values[row, index], present[row, index] = value, True
        return Matrix(grid, tuple(labels), values, present)

    def scrape_interval(self, selections: Sequence[Selection]) -> float | None:
        self._reach("scrape_interval", "")
        return self.interval

    def recording_rules(self) -> Sequence[RecordingRule]:
        self._reach("recording_rules", "")
        return self.rules

    def clock_offset(self) -> ClockOffset:
        self._reach("clock_offset", "")
        return ClockOffset(self.offset, 0.01)


class World:
    """What there is to break, and all ports to do it with."""

    def __init__(self, offset: float = 0.0) -> None:
        self.clock = SimulatedClock()
        self.metrics = WorldMetrics(self.clock, offset)
        self.ledger = FakeLedger()
        self.locks = FakeLocks()
        self.control = Control()
        self.broken: dict[str, float] = {}
        self.changes: list[tuple[float, float]] = [(float("-inf"), 0.0)]
        #: What happened, in order: "break a", "undo a", "call name".
        self.log: list[str] = []
        self.functions: dict[str, Callable[..., Any]] = {}
        self.undo_fails: dict[str, int] = {}
        self.metrics.series["ratio"] = lambda t: {(): self.value(t)}
        _worlds.append(self)

    # What is broken, and since when.

    def break_it(self, target: str, value: float = 0.5) -> None:
        self.log.append(f"break {target}")
        self.broken[target] = value
        self._changed()

    def mend(self, target: str) -> bool:
        was = self.broken.pop(target, None) is not None
        self.log.append(f"undo {target}")
        self._changed()
        return was

    def _changed(self) -> None:
        level = max(self.broken.values(), default=0.0)
        self.changes.append((self.clock.monotonic(), level))

    def value(self, at: float) -> float:
        return next(level for since, level in reversed(self.changes) if since <= at)

    # Calling, as providers do.

    def call(
        self,
        provider: Mapping[str, Any],
        *,
        configuration: Mapping[str, Any],
        secrets: Mapping[str, Any],
        stop: threading.Event,
        environment: Mapping[str, str],
    ) -> Result:
        name = provider["func"]
        self.log.append(f"call {name}")
        made = self.functions[name](stop=stop, **provider.get("arguments", {}))
        return made if isinstance(made, Result) else Result(made)

    def sleep(self, stop: threading.Event, seconds: float) -> Result:
        """A function that takes its time and can be stopped."""
        if self.clock.wait(stop, seconds):
            return Result(error="stopped before it was done", aborted=True)
        return Result("slept")

    # Running.

    def ports(self, *, metrics: bool = True, **more: Any) -> Ports:
        return Ports(
            metrics=self.metrics if metrics else None,
            clock=self.clock,
            ledger=self.ledger,
            locks=self.locks,
            executor=SimulatedThreads(self.clock),
            call=self.call,
            check=lambda _provider: None,
            **more,
        )

    def run(self, experiment: Experiment, *, metrics: bool = True, **options: Any) -> list[Event]:
        """All events of a run to its end."""
        made = run(experiment, self.ports(metrics=metrics), self.options(**options), self.control)
        return list(made)

    def options(self, **options: Any) -> Options:
        return Options(**{"run": "r1", "seed": 7, **options})


def ended(events: Sequence[Event]) -> RunEnded:
    """The last event, which every run has."""
    last = events[-1]
    assert isinstance(last, RunEnded), f"the last event is {last}"
    return last


def slo(
    name: str = "errors",
    objective: str = "< 10%",
    *,
    query: str = "ratio",
    during: str | None = None,
    tolerate: float | None = None,
    **more: Any,
) -> Slo:
    """An SLO over ``ratio``."""
    tolerance = None if tolerate is None else Tolerance(seconds=tolerate)
    plain = PhaseRule(parse_objective(objective))
    under_fault = PhaseRule(parse_objective(during or objective), tolerance)
    queries = {} if "total" in more else {"query": query}
    return Slo(name, plain.objective, plain, under_fault, plain, **queries, **more)


def guard(objective: str = "< 40%", hold_for: float = 0.0, **more: Any) -> Guard:
    """A guard rail over ``ratio``."""
    queries = more or {"query": "ratio"}
    return Guard("rail", parse_objective(objective), hold_for, **queries)


def action(key: str, func: str, **more: Any) -> Activity:
    """An activity that calls one of ``World.functions``."""
    return _activity(key, "action", func, "tests.support.nothing", more)


def probe(key: str, func: str, **more: Any) -> Activity:
    """A probe that calls one of ``World.functions``."""
    if "tolerance" in more:
        more["has_tolerance"] = True
    return _activity(key, "probe", func, "tests.support.nothing", more)


def breaking(key: str = "method[0]", *targets: str, **more: Any) -> Activity:
    """A fault of sloguard's own: ``tests.support.world_faults.break_things``."""
    arguments = {"targets": list(targets or ("a",)), **more.pop("arguments", {})}
    more["arguments"] = arguments
    return _activity(key, "action", "break_things", "tests.support.world_faults", more)


def _activity(key: str, kind: Any, func: str, module: str, more: dict[str, Any]) -> Activity:
    provider = {"type": "python", "module": module, "func": func}
    if "arguments" in more:
        provider["arguments"] = more.pop("arguments")
    if "timeout" in more:
        provider["timeout"] = more.pop("timeout")
    name = more.pop("name", f"{func} {key}")
    declared = {"type": kind, "name": name, "provider": provider}
    return Activity(key, kind, name, provider, declared=declared, **more)


def experiment(**parts: Any) -> Experiment:
    """A short experiment: one SLO, one fault that lasts 20 s, unless said otherwise."""
    parts = {
        "title": "a small experiment",
        "phases": Phases(20.0, 20.0, 20.0),
        "slos": (slo(),),
        "method": (breaking(),),
        **parts,
    }
    made = {
        "title": parts["title"],
        "method": [dict(a.declared) for a in parts["method"]],
        "rollbacks": [dict(a.declared) for a in parts.get("rollbacks", ())],
        "phases": {"before": 20, "during": 20, "after": 20},
        **parts.pop("declared", {}),
    }
    return Experiment(declared=made, **parts)


def open_intents(of: World) -> list[Intent]:
    """What the ledger knows as not undone."""
    return list(of.ledger.open_intents("r1"))
