"""What every part of a store shares: its database, its clock, and who is writing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Table, select

from sloguard.adapters.store.database import Database
from sloguard.adapters.store.errors import AmbiguousRun, RunNotFound
from sloguard.adapters.store.liveness import is_alive
from sloguard.adapters.store.tables import runs
from sloguard.host.identity import Identity, Machine

if TYPE_CHECKING:
    from sqlalchemy import Row, Select

    AnyRow = Row[*tuple[Any, ...]]
    AnySelect = Select[*tuple[Any, ...]]

#: The one column value that a run gets whose start could not be recorded, or is not yet.
STUB_VERSION = ""


class StorePart:
    """Base of the parts; the facade is all of them in one."""

    def __init__(
        self, database: Database, now: Callable[[], float], process: Callable[[], Identity]
    ) -> None:
        self._database = database
        self._now = now
        self._process = process

    def _ensure_run(self, connection: Connection, run: str) -> None:
        """A row for the ledger to stand on, even where the start of the run could not be recorded."""
        known = connection.execute(select(runs.c.id).where(runs.c.id == run)).first()
        if known is None:
            now = self._now()
            upsert(connection, runs, {"id": run, **self._blank(now)}, keys=("id",), update=())

    def _blank(self, now: float) -> dict[str, Any]:
        process = self._process()
        return {
            "title": "",
            "experiment": "",
            "kind": "run",
            "origin": "",
            "tags": "[]",
            "source": "",
            "declared": "{}",
            "variables": "{}",
            "resolved": "{}",
            "version": STUB_VERSION,
            "host": process.machine.host,
            "boot": process.machine.boot,
            "pid_space": process.machine.pids,
            "pid": process.pid,
            "process_started": process.started,
            "heartbeat": now,
            "started_at": now,
            "reason": "",
        }

    def _resolve(self, connection: Connection, text: str) -> str:
        """The id that ``text`` names: an id, a unique beginning of one, or ``latest``."""
        if text == "latest":
            found = connection.execute(select(runs.c.id).order_by(runs.c.id.desc()).limit(1))
            latest = found.scalar()
            if latest is None:
                raise RunNotFound(f"there is no run in the store {self._database.where} yet")
            return str(latest)
        if text and connection.execute(select(runs.c.id).where(runs.c.id == text)).first():
            return text
        begins = runs.c.id.startswith(text, autoescape=True)
        query = select(runs.c.id).where(begins).order_by(runs.c.id.desc()).limit(6)
        fitting = [str(i) for i in connection.execute(query).scalars()] if text else []
        if len(fitting) > 1:
            raise AmbiguousRun(text, fitting)
        if not fitting:
            raise RunNotFound(
                f"no run '{text}' in the store {self._database.where}; "
                "'sloguard runs list' shows those that are there"
            )
        return fitting[0]

    def _is_alive(self, row: AnyRow) -> bool:
        return is_alive(process_of(row), row.heartbeat, self._now())


def process_of(row: AnyRow) -> Identity:
    """The process that a row of a run or a job names."""
    return Identity(row.pid, row.process_started, "", Machine(row.host, row.boot, row.pid_space))


def upsert(
    connection: Connection,
    table: Table,
    values: Mapping[str, Any],
    *,
    keys: tuple[str, ...],
    update: tuple[str, ...],
) -> None:
    """Insert a row, or update these columns of the one that has the same keys (none: leave it)."""
    statement = _insert(connection)(table).values(**values)
    if update:
        statement = statement.on_conflict_do_update(
            index_elements=list(keys), set_={name: statement.excluded[name] for name in update}
        )
    else:
        statement = statement.on_conflict_do_nothing(index_elements=list(keys))
    connection.execute(statement)


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, and leave out those that are there."""
    if rows:
        connection.execute(_insert(connection)(table).on_conflict_do_nothing(), list(rows))


def _insert(connection: Connection) -> Any:
    # Two functions alike without a common type; each brings its whole dialect with it.
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert
    from sqlalchemy.dialects import postgresql

    return postgresql.insert


def parsed(text: str | None, otherwise: Any = None) -> Any:
    """JSON of a column; ``otherwise`` where there is none."""
    return otherwise if text is None else json.loads(text)
