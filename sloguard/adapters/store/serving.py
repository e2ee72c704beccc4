"""What the service asks for again and again: texts as they are kept, and counts; one small query each."""

from __future__ import annotations

from sqlalchemy import bindparam, func, literal, select

from sloguard.adapters.store.base import StorePart, parsed
from sloguard.adapters.store.ledger import UNDONE
from sloguard.adapters.store.tables import events, evidence, intents, runs
from sloguard.core.history import StoredEvent
from sloguard.core.tallies import LatestRun, StoredAnswer, Tally

_ANSWER = select(
    runs.c.id, runs.c.title, runs.c.ended_at, runs.c.outcome, runs.c.reason, runs.c.document
)
_ANSWER_OF = _ANSWER.where(runs.c.id == bindparam("run"))
_NEWEST = select(func.max(events.c.number))
_ONE = select(literal(1))
_EVENTS = (
    select(events.c.number, events.c.at, events.c.kind, events.c.data)
    .where(events.c.run == bindparam("run"), events.c.number > bindparam("after"))
    .order_by(events.c.number)
    .limit(500)
)
_LATEST = select(
    runs.c.id,
    runs.c.experiment,
    runs.c.title,
    runs.c.outcome,
    runs.c.score,
    runs.c.reason,
    runs.c.ended_at,
)


class ServingPart(StorePart):
    """The reading side of the service."""

    def answer(self, run: str) -> StoredAnswer | None:
        """The verdict of a run (by its whole id), as text; None where there is no such run."""
        found = self._database.rows(_ANSWER_OF, {"run": run})
        return StoredAnswer(*found[0]) if found else None

    def newest_event(self) -> int:
        """The number of the newest event of all runs: another one than before means that something happened."""
        return int(self._database.rows(_NEWEST, {})[0][0] or 0)

    def events_page(self, run: str, after: int) -> tuple[StoredEvent, ...]:
        """At most 500 events of a run (its whole id) after this one, in their order."""
        found = self._database.rows(_EVENTS, {"run": run, "after": after})
        return tuple(StoredEvent(n, at, kind, parsed(data)) for n, at, kind, data in found)

    def answers_at_all(self) -> None:
        """Raises StoreError where the database does not answer."""
        self._database.rows(_ONE, {})

    def evidence_names(self, run: str) -> tuple[str, ...]:
        """The SLOs whose samples are kept, in the order in which they came."""
        query = select(evidence.c.slo).where(evidence.c.run == run).order_by(evidence.c.number)
        with self._database.reading() as connection:
            return tuple(connection.execute(query).scalars())

    def tallies(self) -> tuple[Tally, ...]:
        """Every experiment, kind and outcome with how many runs there are of it."""
        columns = (runs.c.experiment, runs.c.kind, runs.c.outcome)
        query = (
            select(*columns, func.count(), func.max(runs.c.id))
            .where(runs.c.outcome.is_not(None))
            .group_by(*columns)
        )
        with self._database.reading() as connection:
            return tuple(Tally(*row) for row in connection.execute(query))

    def latest_runs(
        self, experiment: str | None = None, *, by_outcome: bool = False
    ) -> tuple[LatestRun, ...]:
        """The newest ended run of every experiment (or of one) by its name; rejudgements left out.

        ``by_outcome``: the newest one with each outcome.
        """
        groups = (runs.c.experiment, runs.c.outcome) if by_outcome else (runs.c.experiment,)
        newest = (
            select(func.max(runs.c.id))
            .where(runs.c.outcome.is_not(None), runs.c.kind != "rejudge", runs.c.experiment != "")
            .group_by(*groups)
        )
        if experiment is not None:
            newest = newest.where(runs.c.experiment == experiment)
        query = _LATEST.where(runs.c.id.in_(newest)).order_by(runs.c.experiment, runs.c.id)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple(LatestRun(*row) for row in rows)

    def faults_left(self) -> int:
        """How many injections of ended runs are not undone."""
        query = (
            select(func.count())
            .select_from(intents.join(runs, runs.c.id == intents.c.run))
            .where(intents.c.status != UNDONE, runs.c.ended_at.is_not(None))
        )
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar_one())
