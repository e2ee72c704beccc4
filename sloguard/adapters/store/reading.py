"""The read side: lists of runs, a run, its events, samples and verdicts. Never in a writer's way."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from sqlalchemy import BindParameter, Connection, bindparam, literal, select, tuple_

from sloguard.adapters.store.base import StorePart, parsed
from sloguard.adapters.store.errors import RunNotFound, StoreDamaged
from sloguard.adapters.store.samples import Packed, evidence_of, unpack
from sloguard.adapters.store.tables import (
    activities,
    answers,
    events,
    evidence,
    faults,
    runs,
    tags,
    verdicts,
)
from sloguard.core.history import RunSummary, StoredEvent, StoredRun, StoredVerdict
from sloguard.core.model import (
    Activity,
    ActivityRecord,
    ActivityStatus,
    FaultRecord,
    Outcome,
    PhaseName,
    Timeline,
)
from sloguard.core.series import Matrix, SloEvidence, Surroundings
from sloguard.core.windows import Grid

_PAGE = 500
NOT_ENDED = "it had not ended when this run was last heard of"

#: The columns of a RunSummary.
SUMMARY = (
    runs.c.id,
    runs.c.title,
    runs.c.tags,
    runs.c.source,
    runs.c.started_at,
    runs.c.ended_at,
    runs.c.outcome,
    runs.c.reason,
    runs.c.score,
    runs.c.version,
    runs.c.host,
    runs.c.boot,
    runs.c.pid_space,
    runs.c.pid,
    runs.c.process_started,
    runs.c.heartbeat,
    runs.c.experiment,
    runs.c.kind,
    runs.c.origin,
)
_ID: BindParameter[str] = bindparam("run")
_RUN = select(runs).where(runs.c.id == _ID)
_ACTIVITIES = select(activities).where(activities.c.run == _ID).order_by(activities.c.number)
_FAULTS = select(faults).where(faults.c.run == _ID).order_by(faults.c.number)

if TYPE_CHECKING:
    from sloguard.adapters.store.base import AnyRow, AnySelect


class ReadingPart(StorePart):
    """Lists and single runs. Wherever a run is named, its id, a unique beginning, or ``latest`` will do."""

    def runs(
        self,
        limit: int = 50,
        before: str | None = None,
        *,
        after: str | None = None,
        experiment: str | None = None,
        name: str | None = None,
        kind: str | None = None,
        outcome: str | None = None,
        tag: str | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> tuple[RunSummary, ...]:
        """Runs, newest first: by id, or by start where ``since`` or ``until`` is given.

        ``before``: the id of the last one of the page before; ``after``: of the first one of the page
        after. ``experiment``: part of the title, in any case; ``name``: an experiment's name, exactly.
        ``kind``: run, window or rejudge. ``outcome``: one of Outcome, or ``running`` for every run that
        has not ended. ``since`` (inclusive) and ``until`` (exclusive) bound the start.
        """
        query: AnySelect = _filtered(select(*SUMMARY), experiment, outcome, tag)
        if name is not None:
            query = query.where(runs.c.experiment == name)
        if kind is not None:
            query = query.where(runs.c.kind == kind)
        start = runs.c.started_at if tag is None else tags.c.at
        if since is not None:
            query = query.where(start >= since)
        if until is not None:
            query = query.where(start < until)
        by_start = since is not None or until is not None
        # Along the tag's own rows where there is one: they are in order, however many there are.
        columns = (tags.c.at, tags.c.run) if tag is not None else (runs.c.started_at, runs.c.id)
        query = _paged(query, before, after, columns, by_start=by_start).limit(limit)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        if before is None and after is not None:
            rows = rows[::-1]
        return tuple(RunSummary(**self._summary(row)) for row in rows)

    def run_id(self, run: str) -> str:
        """The whole id; raises RunNotFound or AmbiguousRun."""
        with self._database.reading() as connection:
            return self._resolve(connection, run)

    def run(self, run: str) -> StoredRun:
        """All of a run except samples and events."""
        found = self._whole(run)
        return found if found is not None else self._whole(self.run_id(run)) or self._gone(run)

    def _whole(self, run: str) -> StoredRun | None:
        given = {"run": run}
        rows, done, injected = self._database.moment(
            (_RUN, given), (_ACTIVITIES, given), (_FAULTS, given)
        )
        if not rows:
            return None
        row = rows[0]
        return StoredRun(
            **self._summary(row),
            pid=row.pid,
            heartbeat=row.heartbeat,
            fault_at=row.fault_at,
            restored_at=row.restored_at,
            timeline=None if row.timeline is None else Timeline(**parsed(row.timeline)),
            declared=parsed(row.declared),
            variables=parsed(row.variables),
            resolved=parsed(row.resolved),
            document=parsed(row.document),
            surroundings=_surroundings(parsed(row.surroundings)),
            activities=tuple(map(_activity, done)),
            faults=tuple(map(_fault, injected)),
        )

    def _gone(self, run: str) -> NoReturn:
        raise RunNotFound(f"run '{run}' was deleted from the store {self._database.where}")

    def events(self, run: str, after: int = 0) -> Iterator[StoredEvent]:
        """Events in the order in which they came; ``after``: the number of the last one seen."""
        found = self.run_id(run)
        while True:
            query = (
                select(events)
                .where(events.c.run == found, events.c.number > after)
                .order_by(events.c.number)
                .limit(_PAGE)
            )
            # A page at a time: an open transaction would keep the log from being folded back.
            with self._database.reading() as connection:
                rows = connection.execute(query).all()
            for row in rows:
                yield StoredEvent(row.number, row.at, row.kind, parsed(row.data))
            if len(rows) < _PAGE:
                return
            after = rows[-1].number

    def evidence(self, run: str, slo: str | None = None) -> tuple[SloEvidence, ...]:
        """The samples of every SLO (or of one), as the judge takes them."""
        return tuple(self.each_evidence(run, slo))

    def each_evidence(self, run: str, slo: str | None = None) -> Iterator[SloEvidence]:
        """``evidence``, with one SLO in memory at a time."""
        query = select(evidence.c.number).where(evidence.c.run == self.run_id(run))
        if slo is not None:
            query = query.where(evidence.c.slo == slo)
        with self._database.reading() as connection:
            numbers = connection.execute(query.order_by(evidence.c.number)).scalars().all()
        for number in numbers:
            with self._database.reading() as connection:
                row = connection.execute(select(evidence).where(evidence.c.number == number)).one()
                parts = connection.execute(
                    select(answers).where(answers.c.evidence == number).order_by(answers.c.number)
                ).all()
            matrices = {part.role: self._matrix(part, row) for part in parts}
            yield evidence_of(parsed(row.data), matrices)

    def verdicts(
        self, *, run: str | None = None, slo: str | None = None, limit: int = 1000
    ) -> tuple[StoredVerdict, ...]:
        """Verdicts of SLOs (no labels) and series, newest run first."""
        query = select(verdicts).order_by(verdicts.c.run.desc(), verdicts.c.number).limit(limit)
        if run is not None:
            query = query.where(verdicts.c.run == self.run_id(run))
        if slo is not None:
            query = query.where(verdicts.c.slo == slo)
        with self._database.reading() as connection:
            return tuple(_verdict(row) for row in connection.execute(query))

    def _matrix(self, part: AnyRow, row: AnyRow) -> Matrix:
        packed = Packed(part.labels, part.present, part.samples)
        grid = Grid(part.first, part.step, part.points)
        try:
            return unpack(packed, grid, tuple(parsed(part.notes)))
        except (ValueError, zlib.error) as error:
            raise StoreDamaged(
                f"the store {self._database.where}: the samples of run {row.run}, SLO {row.slo} "
                f"are damaged: {error}"
            ) from error

    def _summary(self, row: AnyRow) -> dict[str, Any]:
        return {
            "id": row.id,
            "title": row.title,
            "tags": tuple(parsed(row.tags)),
            "source": row.source,
            "started_at": row.started_at,
            "ended_at": row.ended_at,
            "outcome": None if row.outcome is None else Outcome(row.outcome),
            "reason": row.reason,
            "score": row.score,
            "host": row.host,
            "version": row.version,
            "alive": row.ended_at is None and self._is_alive(row),
            "experiment": row.experiment,
            "kind": row.kind,
            "origin": row.origin,
        }


def _filtered(
    query: AnySelect, experiment: str | None, outcome: str | None, tag: str | None
) -> AnySelect:
    if experiment is not None:
        query = query.where(runs.c.title.icontains(experiment, autoescape=True))
    if outcome == "running":
        query = query.where(runs.c.ended_at.is_(None))
    elif outcome is not None:
        query = query.where(runs.c.outcome == str(outcome), runs.c.ended_at.is_not(None))
    if tag is not None:
        query = query.join(tags, tags.c.run == runs.c.id).where(tags.c.tag == tag)
    return query


def _paged(
    query: AnySelect,
    before: str | None,
    after: str | None,
    columns: tuple[Any, Any],
    *,
    by_start: bool,
) -> AnySelect:
    """In order of ``columns`` (start and id), or of the id alone, from a place on.

    With ``after`` alone the order is reversed.
    """
    key = columns[1]
    for mark, older in ((before, True), (after, False)):
        if mark is None:
            continue
        if by_start:
            place = tuple_(*columns)
            start = select(runs.c.started_at).where(runs.c.id == mark).scalar_subquery()
            bound = tuple_(start, literal(mark))
            query = query.where(place < bound if older else place > bound)
        else:
            query = query.where(key < mark if older else key > mark)
    backwards = before is None and after is not None
    order = columns if by_start else (key,)
    return query.order_by(*(c.asc() if backwards else c.desc() for c in order))


def _fault(row: AnyRow) -> FaultRecord:
    return FaultRecord(
        row.id,
        row.fault,
        row.target,
        row.status,
        row.injected_at,
        row.undone_at,
        row.detail,
        row.by_hand,
    )


def read_activities(connection: Connection, run: str) -> tuple[ActivityRecord, ...]:
    """Activities in the order in which they began."""
    return tuple(map(_activity, connection.execute(_ACTIVITIES, {"run": run})))


def read_faults(connection: Connection, run: str) -> tuple[FaultRecord, ...]:
    """Faults in the order in which they were first heard of."""
    return tuple(map(_fault, connection.execute(_FAULTS, {"run": run})))


def _activity(row: AnyRow) -> ActivityRecord:
    data = parsed(row.activity)
    data["controls"] = tuple(data.get("controls") or ())
    ended = row.ended_at is not None
    return ActivityRecord(
        activity=Activity(**data),
        section=row.section,
        status=ActivityStatus(row.status) if ended else ActivityStatus.ABORTED,
        start=row.started_at,
        end=row.ended_at if ended else row.started_at,
        output=parsed(row.output),
        error=row.error if ended else NOT_ENDED,
        tolerance_met=None if row.tolerance_met is None else bool(row.tolerance_met),
        unreachable=bool(row.unreachable),
        phase=None if row.phase is None else PhaseName(row.phase),
    )


def _verdict(row: AnyRow) -> StoredVerdict:
    return StoredVerdict(
        row.run,
        row.slo,
        parsed(row.labels) if row.labels else None,
        row.verdict,
        row.reason,
        row.before,
        row.during,
        row.after,
    )


def _surroundings(data: Mapping[str, Any] | None) -> Surroundings:
    if data is None:
        return Surroundings()
    removed: Mapping[str, Sequence[str]] = data["removed"]
    return Surroundings(
        np.array(data["away"], dtype=np.float64),
        float(data["away_step"]),
        {label: frozenset(names) for label, names in removed.items()},
    )
