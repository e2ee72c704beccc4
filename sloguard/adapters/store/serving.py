"""What the service asks for again and again: texts as they are kept, and counts; one small query each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    FromClause,
    Integer,
    String,
    and_,
    bindparam,
    func,
    literal,
    select,
    true,
    union_all,
)

from sloguard.adapters.store.base import StorePart, parsed
from sloguard.adapters.store.ledger import UNDONE
from sloguard.adapters.store.liveness import is_alive
from sloguard.adapters.store.tables import events, evidence, intents, jobs, runs
from sloguard.core.history import StoredEvent
from sloguard.core.model import Outcome
from sloguard.core.tallies import LatestRun, RunLine, StoredAnswer, Tally
from sloguard.host.identity import Identity, Machine
from sloguard.ports.service import JobState

if TYPE_CHECKING:
    from sloguard.adapters.store.base import AnySelect

_ANSWER = select(
    runs.c.id, runs.c.title, runs.c.ended_at, runs.c.outcome, runs.c.reason, runs.c.document
)
_ANSWER_OF = _ANSWER.where(runs.c.id == bindparam("run"))
_NEWEST = select(func.max(events.c.number))
_ONE = select(literal(1))
_WAITING = (
    select(literal(1))
    .select_from(jobs)
    .where(jobs.c.state.in_([literal(str(s)) for s in (JobState.QUEUED, JobState.STARTING)]))
    .limit(1)
)
_EVENTS = (
    select(events.c.number, events.c.at, events.c.kind, events.c.data)
    .where(events.c.run == bindparam("run"), events.c.number > bindparam("after"))
    .order_by(events.c.number)
    .limit(500)
)
_EVIDENCE = (
    select(evidence.c.slo).where(evidence.c.run == bindparam("run")).order_by(evidence.c.number)
)
_LATEST = (
    runs.c.id,
    runs.c.experiment,
    runs.c.title,
    runs.c.outcome,
    runs.c.score,
    runs.c.reason,
    runs.c.ended_at,
)
_KINDS = ("run", "window")
_LINE = (
    runs.c.id,
    runs.c.kind,
    runs.c.experiment,
    runs.c.title,
    runs.c.tags,
    runs.c.started_at,
    runs.c.ended_at,
    runs.c.outcome,
    runs.c.score,
    runs.c.reason,
    runs.c.origin,
)
_SHOWN, _ENDED = len(_LINE), 6


#: Whose run it is, for ``_lives``.
_WHO = (
    runs.c.host,
    runs.c.boot,
    runs.c.pid_space,
    runs.c.pid,
    runs.c.process_started,
    runs.c.heartbeat,
)


def _latest(names: FromClause) -> AnySelect:
    """The newest run of every one of these names with each kind and outcome: one step in an index each."""
    kinds = union_all(*(select(literal(kind).label("kind")) for kind in _KINDS)).subquery("kinds")
    outcomes = union_all(*(select(literal(str(o)).label("outcome")) for o in Outcome)).subquery(
        "outcomes"
    )
    other = runs.alias("other")
    newest = (
        select(func.max(other.c.id))
        .where(
            other.c.experiment == names.c.name,
            other.c.kind == kinds.c.kind,
            other.c.outcome == outcomes.c.outcome,
        )
        .scalar_subquery()
    )
    # Every one with every other is meant.
    every = names.join(kinds, true()).join(outcomes, true())
    found = select(newest.label("id")).select_from(every).subquery("found")
    return select(*_LATEST).join(found, found.c.id == runs.c.id).where(runs.c.ended_at.is_not(None))


def _names() -> FromClause:
    """Every experiment's name once, each found from the one before: no run is looked at twice."""
    name = runs.c.experiment
    first = select(func.min(name).label("name")).where(name > "")
    names = first.cte("names", recursive=True)
    following = select(func.min(name)).where(name > names.c.name).scalar_subquery()
    return names.union_all(select(following).where(names.c.name.is_not(None)))


_LATEST_EACH = _latest(_names())
_LATEST_ONE = _latest(select(bindparam("experiment", type_=String).label("name")).subquery("names"))


@cache
def _page(wanted: tuple[str, ...], *, running: bool) -> AnySelect:
    """The statement of a page with these filters."""
    query = (
        select(*_LINE, *_WHO).order_by(runs.c.id.desc()).limit(bindparam("limit", type_=Integer))
    )
    conditions = {
        "before": runs.c.id < bindparam("before"),
        "name": runs.c.experiment == bindparam("name"),
        "kind": runs.c.kind == bindparam("kind"),
        "outcome": runs.c.ended_at.is_(None)
        if running
        else and_(runs.c.outcome == bindparam("outcome"), runs.c.ended_at.is_not(None)),
    }
    return query.where(*(conditions[name] for name in wanted))


class ServingPart(StorePart):
    """The reading side of the service."""

    def answer(self, run: str) -> StoredAnswer | None:
        """The verdict of a run (by its whole id), as text; None where there is no such run."""
        found = self._database.rows(_ANSWER_OF, {"run": run})
        return StoredAnswer(*found[0]) if found else None

    def newest_event(self) -> int:
        """The number of the newest event of all runs: another one than before means that something happened."""
        return int(self._database.rows(_NEWEST, {})[0][0] or 0)

    def jobs_wait(self) -> bool:
        """Whether any job is in the queue, or not yet in the hands of its worker."""
        return bool(self._database.rows(_WAITING, {}))

    def events_page(self, run: str, after: int) -> tuple[StoredEvent, ...]:
        """At most 500 events of a run (its whole id) after this one, in their order."""
        found = self._database.rows(_EVENTS, {"run": run, "after": after})
        return tuple(StoredEvent(n, at, kind, parsed(data)) for n, at, kind, data in found)

    def answers_at_all(self) -> None:
        """Raises StoreError where the database does not answer."""
        self._database.rows(_ONE, {})

    def evidence_names(self, run: str) -> tuple[str, ...]:
        """The SLOs whose samples are kept, in the order in which they came."""
        return tuple(row[0] for row in self._database.rows(_EVIDENCE, {"run": run}))

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
        found = self._database.rows(
            _LATEST_EACH if experiment is None else _LATEST_ONE, {"experiment": experiment}
        )
        newest: dict[tuple[str, ...], LatestRun] = {}
        for row in found:
            run = LatestRun(*row)
            place = (run.experiment, run.outcome) if by_outcome else (run.experiment,)
            if place not in newest or newest[place].run < run.run:
                newest[place] = run
        return tuple(newest[place] for place in sorted(newest))

    def run_lines(
        self,
        limit: int,
        *,
        before: str | None = None,
        name: str | None = None,
        kind: str | None = None,
        outcome: str | None = None,
    ) -> tuple[RunLine, ...]:
        """A page of runs by id, newest first, as ``runs`` filters them; for lists that are asked for often."""
        given = {"before": before, "name": name, "kind": kind, "outcome": outcome}
        wanted = tuple(key for key, value in given.items() if value is not None)
        statement = _page(wanted, running=outcome == "running")
        found = self._database.rows(statement, {**given, "limit": limit})
        return tuple(
            RunLine._make((*row[:_SHOWN], row[_ENDED] is None and self._lives(row[_SHOWN:])))
            for row in found
        )

    def _lives(self, who: Sequence[Any]) -> bool:
        host, boot, pid_space, pid, started, heartbeat = who
        process = Identity(pid, started, "", Machine(host, boot, pid_space))
        return is_alive(process, heartbeat, self._now())

    def open_since(self) -> float | None:
        """When the oldest run began that has not ended, however dead its process may be; None: all have."""
        query = select(func.min(runs.c.started_at)).where(runs.c.ended_at.is_(None))
        with self._database.reading() as connection:
            found = connection.execute(query).scalar_one()
        return None if found is None else float(found)

    def faults_left(self) -> int:
        """How many injections of ended runs are not undone."""
        query = (
            select(func.count())
            .select_from(intents.join(runs, runs.c.id == intents.c.run))
            .where(intents.c.status != UNDONE, runs.c.ended_at.is_not(None))
        )
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar_one())
