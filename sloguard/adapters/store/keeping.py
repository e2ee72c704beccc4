"""The life of runs after their processes: found again, closed, deleted, cleared out."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, exists, func, select, update

from sloguard.adapters.store.base import StorePart, parsed, process_of
from sloguard.adapters.store.errors import OpenFaults
from sloguard.adapters.store.ledger import UNDONE
from sloguard.adapters.store.liveness import is_here
from sloguard.adapters.store.people_tables import asks, notes
from sloguard.adapters.store.reading import read_activities, read_faults
from sloguard.adapters.store.recording import write_fault
from sloguard.adapters.store.searching import mention_hits, mentioned, sweep
from sloguard.adapters.store.tables import begun, intents, jobs, runs, windows
from sloguard.core.document import Document, document
from sloguard.core.jsonable import dump, jsonable
from sloguard.core.masking import Masker
from sloguard.core.model import EXIT_CODES, FaultRecord, Outcome, Timeline
from sloguard.core.outcome import RunFacts
from sloguard.ports import UnfinishedRun

if TYPE_CHECKING:
    from sloguard.adapters.store.base import AnyRow, AnySelect

_OPEN = exists().where(intents.c.run == runs.c.id, intents.c.status != UNDONE)


class KeepingPart(StorePart):
    """ports.Runs, and what keeps a store small."""

    def beat(self, run: str) -> None:
        """Say that the run's process is alive; wanted every 20 s or so where no event comes."""
        with self._database.writing(durable=False) as connection:
            connection.execute(update(runs).where(runs.c.id == run).values(heartbeat=self._now()))

    def unfinished(self) -> Sequence[UnfinishedRun]:
        """Every run that has started and not ended, oldest first."""
        return self._unfinished(select(runs).where(runs.c.ended_at.is_(None)))

    def not_restored(self) -> Sequence[UnfinishedRun]:
        """Every run that has ended with intents still open, oldest first."""
        return self._unfinished(select(runs).where(runs.c.ended_at.is_not(None), _OPEN))

    def close(
        self,
        run: str,
        outcome: str,
        reason: str,
        faults: Sequence[FaultRecord],
    ) -> None:
        """Mark a dead run as ended, with what became of its faults. A run that has ended keeps its
        outcome, unless it was not-restored."""
        with self._database.writing() as connection:
            found = self._resolve(connection, run)
            for fault in faults:
                write_fault(connection, found, fault, Masker())
            mention_hits(connection, found)
            waits = (asks.c.run == found) & (asks.c.state == "waiting")
            gone = {"state": "withdrawn", "detail": "the process that waited for it died"}
            connection.execute(update(asks).where(waits).values(**gone))
            row = connection.execute(select(runs).where(runs.c.id == found)).one()
            if row.ended_at is not None and row.outcome != Outcome.NOT_RESTORED:
                return
            now = self._now()
            connection.execute(
                update(runs)
                .where(runs.c.id == found)
                .values(
                    ended_at=row.ended_at or now,
                    restored_at=row.restored_at or (now if row.fault_at else None),
                    outcome=str(Outcome(outcome)),
                    reason=reason,
                    score=None,
                    document=dump(_closed(connection, row, Outcome(outcome), reason)),
                )
            )

    def delete(self, run: str) -> str:
        """Remove a run with all that hangs on it, and return its id.

        Raises OpenFaults while it runs, and while not all that it injected is undone.
        """
        with self._database.writing() as connection:
            found = self._resolve(connection, run)
            row = connection.execute(select(runs, _OPEN.label("open")).where(runs.c.id == found))
            self._check_deletable(row.one())
            _delete(connection, found)
        self._give_room_back()
        return found

    def prune(self, *, keep: int | None = None, older_than: float | None = None) -> tuple[str, ...]:
        """Delete ended runs: all but the newest ``keep``, and of these only those that started before
        ``older_than`` (seconds since the epoch). Returns their ids, newest first.

        A run with open intents, or that has not ended, always stays.
        """
        if (keep is None and older_than is None) or (keep is not None and keep < 0):
            raise ValueError("prune needs keep (0 or more) or older_than")
        query = select(runs.c.id).order_by(runs.c.id.desc())
        query = query.where(runs.c.ended_at.is_not(None), ~_OPEN)
        if keep is not None:
            newest = select(runs.c.id).order_by(runs.c.id.desc()).limit(keep)
            query = query.where(runs.c.id.not_in(newest.scalar_subquery()))
        if older_than is not None:
            query = query.where(runs.c.started_at < older_than)
        with self._database.writing() as connection:
            found = tuple(connection.execute(query).scalars().all())
            for run in found:
                _delete(connection, run)
        if found:
            self._give_room_back()
        return found

    def _check_deletable(self, row: AnyRow) -> None:
        if row.open:
            raise OpenFaults(
                f"run {row.id} has faults that are not undone, and its ledger is the way back: "
                "run 'sloguard recover' first"
            )
        if row.ended_at is None:
            state = "still runs" if self._is_alive(row) else "was interrupted and is not closed"
            raise OpenFaults(f"run {row.id} {state}: stop it, or run 'sloguard recover', first")

    def _unfinished(self, query: AnySelect) -> tuple[UnfinishedRun, ...]:
        started = (
            select(func.count())
            .select_from(begun)
            .where(begun.c.run == runs.c.id)
            .scalar_subquery()
        )
        some = exists().where(intents.c.run == runs.c.id)
        query = query.add_columns(started.label("begun"), some.label("intended"))
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(runs.c.id)).all()
        return tuple(
            UnfinishedRun(
                id=row.id,
                title=row.title,
                source=row.source,
                document=parsed(row.declared),
                variables=parsed(row.variables),
                alive=row.ended_at is None and self._is_alive(row),
                began_method=bool(row.begun or row.intended),
                started_at=row.started_at,
                fault_at=row.fault_at,
                resolved=parsed(row.resolved),
                here=is_here(process_of(row)),
                restored_at=row.restored_at,
            )
            for row in rows
        )

    def _give_room_back(self) -> None:
        """SQLite keeps the pages of what is deleted until it is told otherwise; nothing depends on it."""
        if not self._database.is_sqlite:
            return
        raw = self._database.engine.raw_connection()
        try:
            # As a script: executed as a statement it frees one page and stops.
            raw.cursor().executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError:
            return
        finally:
            raw.close()


def _delete(connection: Connection, run: str) -> None:
    """A run, what asked for it, and what nobody finds any more without it."""
    left = mentioned(connection, run)
    connection.execute(delete(notes).where(notes.c.run == run))
    for table in (windows, jobs, runs):
        connection.execute(delete(table).where(table.c.id == run))
    sweep(connection, left)


def _closed(connection: Connection, row: AnyRow, outcome: Outcome, reason: str) -> Document:
    """The document of a run that could not write its own, or could not say how it ended."""
    found = parsed(row.document)
    timeline = None if row.timeline is None else Timeline(**parsed(row.timeline))
    facts = RunFacts(
        experiment=row.title,
        run=row.id,
        timeline=timeline,
        activities=read_activities(connection, row.id),
        faults=read_faults(connection, row.id),
        aborted=reason,
    )
    made = document(facts)
    if found is not None:
        made = {**found, "faults": made["faults"]}
    made["outcome"], made["exit_code"] = str(outcome), EXIT_CODES[outcome]
    made["reason"], made["score"] = reason, None
    kept: Document = jsonable(made)
    return kept
