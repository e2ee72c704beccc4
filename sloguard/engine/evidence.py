"""Samples for the judge: one range query per query over the whole timeline, on the pinned grid."""

from __future__ import annotations

import functools
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sloguard.core import alerts
from sloguard.core.alerting import AlertsRead
from sloguard.core.arrays import Floats
from sloguard.core.model import Slo, Timeline
from sloguard.core.series import Matrix, SloEvidence, Surroundings
from sloguard.core.windows import Grid, pinned_grid
from sloguard.engine.alert_sources import asking_sources
from sloguard.engine.loop import Loop, Work
from sloguard.engine.options import Options
from sloguard.engine.ports_bundle import Task
from sloguard.engine.queries import Asked, Queries
from sloguard.ports import (
    AnswerTooLarge,
    BadQuery,
    Metrics,
    MetricsBusy,
    MetricsError,
    MetricsRefused,
    MetricsUnreachable,
)
from sloguard.ports.alerts import AlertSource

#: Between two attempts while a Prometheus that is away is waited for, seconds.
_AGAIN = 2.0
#: Waiting does not mend these.
_FINAL = (BadQuery, MetricsRefused, AnswerTooLarge)

_Key = tuple[str, str]
_UP: _Key = ("", "up")
#: So many points of an alert's series are enough to tell its times.
_ALERT_POINTS = 600
_ALERTS: _Key = ("", "alerts")
_SINCE: _Key = ("", "alerts since")


#: Takes the evidence of one SLO, which is let go once this returns, and what surrounds it.
Take = Callable[[SloEvidence, Surroundings], "Work[None]"]


@dataclass(slots=True)
class _Job:
    """One query of one SLO, and when it may be sent. ``place``: the SLO's among those that are asked."""

    key: _Key
    query: str
    grid: Grid
    place: int = 0
    not_before: float = 0.0


@dataclass(frozen=True, slots=True)
class Collected:
    """All evidence of one timeline; none of it where somebody has taken it SLO by SLO."""

    evidence: tuple[SloEvidence, ...]
    surroundings: Surroundings
    notes: tuple[str, ...] = ()
    alerts: AlertsRead = field(default_factory=AlertsRead)


@dataclass(slots=True)
class _Fetch:
    """Sends jobs, a few at a time; one that fails is sent again until ``deadline``. A Prometheus that goes away
    later than that is waited for too, for ``patience`` seconds: to ask for many SLOs takes longer.

    Answers are handed on in the order of the jobs' places. Nothing is asked that is further ahead than
    twice ``limit`` of what was handed on, so that no more than that is ever held.
    """

    loop: Loop
    metrics: Metrics
    limit: int
    deadline: float
    patience: float
    give_up: Callable[[], bool]
    answers: dict[_Key, Matrix] = field(default_factory=dict)
    errors: dict[_Key, str] = field(default_factory=dict)
    _waiting: deque[_Job] = field(default_factory=deque)
    _under_way: list[tuple[_Job, Task[Matrix]]] = field(default_factory=list)
    _lost: str = ""
    _was_there: bool = False
    _away_since: float | None = None

    def all(self, jobs: Sequence[_Job]) -> Work[None]:
        """Until every job has an answer or an error."""
        yield from self.places(1, lambda _: jobs, lambda _: _nothing())

    def places(
        self,
        count: int,
        jobs: Callable[[int], Sequence[_Job]],
        hand_on: Callable[[int], Work[None]],
    ) -> Work[None]:
        """Until every place was handed on, in their order; each once its ``jobs`` are done."""
        asked = handed_on = 0
        while handed_on < count:
            if not self._lost and self.give_up():
                self._end("not asked to the end: the run was asked to stop", self._under_way)
                self._under_way.clear()
            while asked < min(count, handed_on + 2 * self.limit):
                self._waiting += jobs(asked)
                asked += 1
            self._send()
            if not self._open(handed_on):
                yield from hand_on(handed_on)
                handed_on += 1
                continue
            yield from self.loop.until(self._anything, _AGAIN)
            for job, task in [pair for pair in self._under_way if pair[1].done()]:
                self._under_way.remove((job, task))
                self._take(job, task)

    def _end(self, error: str, under_way: Sequence[tuple[_Job, object]] = ()) -> None:
        """Nothing more is asked: all that waits, or is still to come, has this error."""
        self._lost = error
        for job in (*self._waiting, *(job for job, _ in under_way)):
            self.errors[job.key] = error
        self._waiting.clear()

    def _open(self, place: int) -> bool:
        jobs = (*self._waiting, *(job for job, _ in self._under_way))
        return any(job.place == place for job in jobs)

    def _anything(self) -> bool:
        stop = not self._lost and self.give_up()
        return stop or any(task.done() for _, task in self._under_way)

    def _send(self) -> None:
        if self._lost:
            self._end(self._lost)
        now = self.loop.now()
        for job in [j for j in self._waiting if j.not_before <= now]:
            if len(self._under_way) >= self.limit:
                return
            self._waiting.remove(job)
            work = functools.partial(self.metrics.range, job.query, job.grid)
            task = self.loop.submit(work, "query")
            self._under_way.append((job, task))

    def _take(self, job: _Job, task: Task[Matrix]) -> None:
        try:
            self.answers[job.key] = task.result()
            self.errors.pop(job.key, None)
            self._was_there, self._away_since = True, None
        except MetricsError as error:
            self.errors[job.key] = str(error)
            is_away = isinstance(error, MetricsUnreachable) and not isinstance(error, MetricsBusy)
            again = self.loop.now() + _AGAIN
            patient = again <= self._until(is_away)
            if patient and not isinstance(error, _FINAL):
                job.not_before = again
                self._waiting.append(job)
            if is_away:
                self._away(str(error), again if patient else None)

    def _until(self, is_away: bool) -> float:
        """When what fails is given up."""
        if not is_away or not self._was_there:
            return self.deadline
        if self._away_since is None:
            self._away_since = self.loop.now()
        return max(self.deadline, self._away_since + self.patience)

    def _away(self, error: str, again: float | None) -> None:
        """The others would find the same: they wait too, or share the error instead of the deadline."""
        if again is None:
            self._end(error)
            return
        for job in self._waiting:
            job.not_before = max(job.not_before, again)


def _nothing() -> Work[None]:
    yield from ()


def collecting(
    loop: Loop,
    slos: Sequence[Slo],
    queries: Queries,
    timeline: Timeline,
    metrics: Metrics,
    options: Options,
    *,
    patience: float = 0.0,
    removed: Mapping[str, frozenset[str]] | None = None,
    give_up: Callable[[], bool] = lambda: False,
    window: float | None = None,
    sources: Sequence[AlertSource] = (),
    alerts_alone: bool = False,
    take: Take | None = None,
) -> Work[Collected]:
    """Everything the judge needs of a timeline. Never raises for what Prometheus does.

    A query that fails ends as its SLO's ``error``. ``patience``: how long a Prometheus that is away is
    waited for, seconds. ``window``: the length that tells references, where it is not the timeline's.
    ``sources``: who else knows of alerts. ``alerts_alone``: they are wanted without an SLO, too.
    ``take``: is handed the evidence SLO by SLO in their order, and nothing of it is held.
    """
    held: list[SloEvidence] = []

    def keep(evidence: SloEvidence, _: Surroundings) -> Work[None]:
        held.append(evidence)
        yield from ()

    deadline = loop.now() + patience
    around = _Fetch(loop, metrics, options.concurrency, deadline, patience, give_up)
    if slos or alerts_alone:
        up = _up_job(slos, queries, timeline, options)
        fine = _alert_grid(timeline, up.grid.step)
        told = _Job(_ALERTS, alerts.QUERY, fine), _Job(_SINCE, alerts.SINCE_QUERY, fine)
        yield from around.all([up, *told])
    surroundings = _surroundings(around.answers.get(_UP), timeline, removed)
    silence = _silence(surroundings, timeline.fault)
    for key in around.answers:
        around.answers[key] = _without(around.answers[key], silence, surroundings.away_step)
    yield from _each_slo(
        _Fetch(loop, metrics, options.concurrency, deadline, patience, give_up),
        slos,
        queries,
        timeline,
        options,
        window=timeline.end - timeline.fault if window is None else window,
        surroundings=surroundings,
        silence=silence,
        take=take or keep,
    )
    read = yield from _read_alerts(loop, around, silence, surroundings, timeline, sources)
    notes = [f"the query for 'up' failed: {around.errors[_UP]}"] if _UP in around.errors else []
    notes += read.unread
    return Collected(tuple(held), surroundings, tuple(notes), read)


def _each_slo(
    fetch: _Fetch,
    slos: Sequence[Slo],
    queries: Queries,
    timeline: Timeline,
    options: Options,
    *,
    window: float,
    surroundings: Surroundings,
    silence: Floats,
    take: Take,
) -> Work[None]:
    """Ask for all SLOs, a few at a time, and hand each on once it is complete."""
    grids = [pinned_grid(timeline, queries.step(slo, options)) for slo in slos]

    def jobs(place: int) -> list[_Job]:
        queries = slos[place].queries
        return [_Job((slos[place].name, r), q, grids[place], place) for r, q in queries.items()]

    def hand_on(place: int) -> Work[None]:
        slo = slos[place]
        evidence = _evidence(slo, grids[place], fetch, queries, window, timeline.fault)
        for role in slo.queries:
            fetch.answers.pop((slo.name, role), None)
        answers = {
            role: _without(answer, silence, surroundings.away_step)
            for role, answer in evidence.answers.items()
        }
        yield from take(replace(evidence, answers=answers), surroundings)

    yield from fetch.places(len(slos), jobs, hand_on)


def _read_alerts(
    loop: Loop,
    fetch: _Fetch,
    silence: Floats,
    surroundings: Surroundings,
    timeline: Timeline,
    sources: Sequence[AlertSource],
) -> Work[AlertsRead]:
    """What Prometheus recorded, and what everybody else who is asked tells."""
    told = yield from asking_sources(loop, sources, timeline.start, timeline.end)
    if _ALERTS in fetch.errors:
        unread = f"the query for alerts failed: {fetch.errors[_ALERTS]}"
        return replace(told, unread=(unread, *told.unread))
    if _ALERTS not in fetch.answers:
        return told
    step = surroundings.away_step
    found = alerts.episodes_of(fetch.answers[_ALERTS], fetch.answers.get(_SINCE), silence, step)
    away = alerts.spans_of(silence, step)
    return replace(told, episodes=(*found, *told.episodes), away=away)


def _silence(surroundings: Surroundings, fault: float) -> Floats:
    """Times from the fault on at which Prometheus was away, single points left out (a late scrape)."""
    away, step = surroundings.away, surroundings.away_step
    away = away[away >= fault - step / 2]
    together = np.diff(away) < 1.5 * step
    neighbour = np.append(together, False) | np.insert(together, 0, False)
    return np.asarray(away[neighbour[: len(away)]])


def _without(answer: Matrix, silence: Floats, step: float) -> Matrix:
    """An answer without the points at which Prometheus was away.

    For up to five minutes Prometheus gives a series' last sample as its value, so one that was killed
    looks as if all had stayed as it was. What it did not see proves nothing.
    """
    if not len(silence) or not len(answer.labels):
        return answer
    distance = np.abs(answer.grid.times[:, None] - silence[None, :]).min(axis=1)
    unseen = distance <= step / 2 + 0.0005
    present = answer.present & ~unseen
    return replace(answer, values=np.where(present, answer.values, np.nan), present=present)


def unasked(
    slos: Sequence[Slo], timeline: Timeline, options: Options, error: str
) -> tuple[SloEvidence, ...]:
    """Evidence of a Prometheus that could not be asked at all: empty, with the error."""
    queries = Queries(slos={slo.name: Asked() for slo in slos})
    made = []
    for slo in slos:
        grid = pinned_grid(timeline, queries.step(slo, options))
        answers = {role: Matrix.empty(grid) for role in slo.queries}
        made.append(SloEvidence(slo, grid, answers, None, error=error))
    return tuple(made)


def _evidence(
    slo: Slo, grid: Grid, fetch: _Fetch, queries: Queries, window: float, fault: float
) -> SloEvidence:
    asked = queries.slos[slo.name]
    found = queries.lookback(slo, window=window, fault=fault)
    answers = {
        role: fetch.answers.get((slo.name, role), Matrix.empty(grid)) for role in slo.queries
    }
    errors = [
        f"{role}: {fetch.errors[slo.name, role]}"
        for role in slo.queries
        if (slo.name, role) in fetch.errors
    ]
    notes = dict.fromkeys(note for answer in answers.values() for note in answer.notes)
    return SloEvidence(
        slo=slo,
        grid=grid,
        answers=answers,
        lookback=found.seconds,
        lookback_problem=found.problem,
        scrape_interval=asked.scrape_interval,
        same_metric=asked.same_metric,
        error="; ".join(errors),
        notes=tuple(notes),
    )


def _up_job(slos: Sequence[Slo], queries: Queries, timeline: Timeline, options: Options) -> _Job:
    """Whether Prometheus itself was there, at the finest resolution that any SLO asks for.

    The shortest of the scrape intervals: with a longer window a Prometheus that was away would look
    as if it had been there.
    """
    usual = options.fallback_step
    shortest = min((queries.slos[slo.name].scrape_interval or usual for slo in slos), default=usual)
    step = min((queries.step(slo, options) for slo in slos), default=options.step or usual)
    window = max(round(shortest * 2000), 1000)
    return _Job(_UP, f"count(count_over_time(up[{window}ms]))", pinned_grid(timeline, step))


def _alert_grid(timeline: Timeline, step: float) -> Grid:
    """Finer than the SLOs' where rules may be evaluated more often than targets are scraped: an alert's
    start and end are told to the next point."""
    window = timeline.end - timeline.start
    return pinned_grid(timeline, min(step, max(1.0, math.ceil(window / _ALERT_POINTS))))


def _surroundings(
    up: Matrix | None, timeline: Timeline, removed: Mapping[str, frozenset[str]] | None
) -> Surroundings:
    names = dict(removed or {})
    if up is None:
        return Surroundings(removed=names)
    there = np.asarray(up.present.any(axis=0))
    times = up.grid.times
    in_before = there & (times < timeline.fault)
    if not in_before.any():
        return Surroundings(removed=names)
    # What lies before the first sample is a Prometheus that had not started, not one that was away.
    since = int(np.argmax(there))
    away = times[since:][~there[since:]]
    return Surroundings(away=away, away_step=up.grid.step, removed=names)
