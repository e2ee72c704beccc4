"""The live watch: guard rails that stop a run, and the picture of every SLO for those who look on.

``poll`` is called whenever the run waits. It never blocks: Prometheus is read beside the loop, so that
a slow one delays neither the run nor the other guards. Of many SLOs some are read at a time, in turns, and
the picture shows those that fare worst: neither grows with the number of SLOs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sloguard.core.events import Event, GuardTripped, Observed, SloReading
from sloguard.core.model import Guard, PhaseName, Slo
from sloguard.core.series import LabelSet, Vector
from sloguard.engine.guard import Answers, GuardWatch, Values
from sloguard.engine.loop import Loop
from sloguard.engine.options import Options
from sloguard.engine.ports_bundle import Task
from sloguard.engine.queries import Queries
from sloguard.engine.reading import reading
from sloguard.ports import Metrics, MetricsError, MetricsUnreachable

#: A guard is read this often, or once a scrape interval if that is shorter, but not more often than the second.
_SLOWEST, _FASTEST = 1.0, 0.25
#: SLOs that are read at once for the picture, and that it shows.
MOST_READ = 50


@dataclass(slots=True)
class _Read:
    """A reading under way; ``at`` is the time that was asked for."""

    at: float
    task: Task[Mapping[str, Vector]]
    slos: Sequence[Slo] = ()


class Watcher:
    """Watches while a run waits. ``tripped`` is handed the reason, once, and whether the guard is blind."""

    def __init__(
        self,
        loop: Loop,
        metrics: Metrics,
        slos: Sequence[Slo],
        guards: Sequence[Guard],
        queries: Queries,
        options: Options,
        tripped: Callable[[str, bool], None],
    ) -> None:
        self._loop, self._metrics, self._options = loop, metrics, options
        self._tripped = tripped
        self._slos = slos
        self._live = {
            slo.name: Values(slo.is_pair, queries.slos[slo.name].same_metric) for slo in slos
        }
        intervals = {
            guard.name: queries.guards[guard.name].scrape_interval or options.fallback_step
            for guard in guards
        }
        self._guards = [
            GuardWatch(
                guard,
                interval=intervals[guard.name],
                same_metric=queries.guards[guard.name].same_metric,
            )
            for guard in guards
        ]
        self._every = {g: max(min(i, _SLOWEST), _FASTEST) for g, i in intervals.items()}
        self._due: dict[str, float] = {}
        self._reads: dict[str, _Read] = {}
        self._observed_due = -math.inf
        self._observing: _Read | None = None
        self._turn = 0
        self._last: dict[str, SloReading] = {}
        self._last_phase: PhaseName | None = None
        self.guarding = False
        #: None: nothing is watched.
        self.phase: PhaseName | None = None
        self.baselines: Mapping[str, Mapping[LabelSet, float]] = {}

    def add(self, watch: GuardWatch) -> None:
        """One more guard, known only once the steady state is."""
        self._guards.append(watch)
        self._every[watch.guard.name] = max(min(watch.interval, _SLOWEST), _FASTEST)

    def start_guarding(self) -> None:
        """From now on guards can trip."""
        self.guarding = True
        self._reads.clear()
        for guard in self._guards:
            guard.start()

    def poll(self) -> Iterator[Event]:
        """Take what has arrived, ask for what is due, say what is to be said."""
        now = self._loop.now()
        if self.guarding:
            for guard in self._guards:
                yield from self._poll_guard(guard, now)
        if self.phase is not None and self._slos:
            yield from self._poll_slos(now, self.phase)

    def _poll_guard(self, watch: GuardWatch, now: float) -> Iterator[Event]:
        name = watch.guard.name
        read = self._reads.get(name)
        if read is not None and read.task.done():
            del self._reads[name]
            reason = self._taken(watch, read)
            if reason:
                yield from self._stop(watch, reason, blind=False)
                return
        blind = watch.blind(now)
        if blind:
            yield from self._stop(watch, blind, blind=True)
            return
        due = self._due.get(name, -math.inf)
        if name not in self._reads and now >= due:
            self._due[name] = due = max(due, now - self._every[name]) + self._every[name]
            watch.asked(now)
            self._reads[name] = self._ask(watch.guard.queries, now, name)
        self._loop.wake_by(due if due > now else now + self._every[name])

    def _taken(self, watch: GuardWatch, read: _Read) -> str | None:
        try:
            answers = read.task.result()
        except Exception as error:  # noqa: BLE001 - whatever broke the reading, the guard is unread
            watch.failed(str(error))
            return None
        return watch.take(answers, read.at)

    def _stop(self, watch: GuardWatch, reason: str, *, blind: bool) -> Iterator[Event]:
        if not self.guarding:
            return
        self.guarding = False
        self._tripped(reason, blind)
        yield GuardTripped(round(self._loop.now(), 3), watch.guard.name, reason, blind)

    def _ask(self, queries: Mapping[str, str], at: float, name: str) -> _Read:
        task = self._loop.submit(
            lambda: {role: self._metrics.instant(query, at) for role, query in queries.items()},
            f"watching {name}",
        )
        return _Read(at, task)

    def _look(self, slos: Sequence[Slo], at: float) -> _Read:
        """As ``_ask``; a query that fails is left out, unless the others would fail as well."""
        queries = {
            f"{slo.name}\0{role}": query for slo in slos for role, query in slo.queries.items()
        }

        def work() -> dict[str, Vector]:
            found = {}
            for role, query in queries.items():
                try:
                    found[role] = self._metrics.instant(query, at)
                except MetricsUnreachable:
                    raise
                except MetricsError:
                    continue
            return found

        return _Read(at, self._loop.submit(work, "watching the SLOs"), slos)

    def _poll_slos(self, now: float, phase: PhaseName) -> Iterator[Event]:
        if self._observing is not None:
            if not self._observing.task.done():
                return
            read, self._observing = self._observing, None
            readings = self._readings(read, phase)
            if readings:
                yield Observed(round(now, 3), phase, readings)
        if now >= self._observed_due:
            self._observed_due = now + self._options.tick
            slos = self._slos[self._turn : self._turn + MOST_READ]
            self._turn = (self._turn + len(slos)) % len(self._slos)
            self._observing = self._look(slos, now)
        self._loop.wake_by(self._observed_due)

    def _readings(self, read: _Read, phase: PhaseName) -> tuple[SloReading, ...]:
        try:
            answers = read.task.result()
        except Exception:  # noqa: BLE001 - the picture is for people; what counts is collected later
            return ()
        if phase is not self._last_phase:
            self._last, self._last_phase = {}, phase
        for slo in read.slos:
            own: Answers = {
                role: answers.get(f"{slo.name}\0{role}", Vector(())) for role in slo.queries
            }
            baselines = self.baselines.get(slo.name, {})
            self._last[slo.name] = reading(slo, phase, own, self._live[slo.name], baselines)
        known = [self._last[slo.name] for slo in self._slos if slo.name in self._last]
        if len(known) > MOST_READ:
            known = sorted(known, key=lambda one: -one.verdict.rank)[:MOST_READ]
        return tuple(known)
