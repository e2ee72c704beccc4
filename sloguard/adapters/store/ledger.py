"""The write-ahead ledger: what was begun, what was about to be broken, and what undoing it needs.

Every call is on disk before it returns. Records are kept as they are given, unmasked: a record without
its values could not be undone, so a fault keeps secrets out of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from sloguard.adapters.store.base import StorePart, parsed, upsert
from sloguard.adapters.store.errors import StoreError
from sloguard.adapters.store.tables import begun, intents
from sloguard.core.jsonable import dump
from sloguard.ports import Intent

if TYPE_CHECKING:
    from sloguard.adapters.store.base import AnyRow

UNDONE = "undone"


class LedgerPart(StorePart):
    """ports.Ledger."""

    def begin(self, run: str, activity: str) -> None:
        """An activity of the method or the rollbacks is about to start."""
        self._note(run, activity, "begun")

    def finish(self, run: str, activity: str, status: str) -> None:
        """An activity ended with this status."""
        self._note(run, activity, status)

    def _note(self, run: str, activity: str, status: str) -> None:
        row = {"run": run, "activity": activity, "status": status, "at": self._now()}
        with self._database.writing() as connection:
            self._ensure_run(connection, run)
            keys = ("run", "activity")
            upsert(connection, begun, row, keys=keys, update=("status", "at"))

    def intend(self, intent: Intent) -> None:
        """An injection is about to happen; an id that is already there is an error."""
        with self._database.writing() as connection:
            self._ensure_run(connection, intent.run)
            known = select(intents.c.run).where(intents.c.id == intent.id)
            if connection.execute(known).first():
                raise StoreError(f"the ledger already has an intent {intent.id}")
            connection.execute(
                insert(intents).values(
                    id=intent.id,
                    run=intent.run,
                    activity=intent.activity,
                    fault=intent.fault,
                    target=intent.target,
                    record=dump(intent.record),
                    status=intent.status,
                    detail=intent.detail,
                    at=self._now(),
                )
            )

    def mark(
        self,
        intent_id: str,
        status: str,
        detail: str = "",
        *,
        record: Mapping[str, Any] | None = None,
    ) -> None:
        """An intent is now injected, undone or failed; ``record`` replaces what undoing needs."""
        values: dict[str, Any] = {"status": status, "detail": detail, "at": self._now()}
        if record is not None:
            values["record"] = dump(record)
        with self._database.writing() as connection:
            changed = connection.execute(
                update(intents).where(intents.c.id == intent_id).values(**values)
            )
            if changed.rowcount != 1:
                raise StoreError(f"the ledger has no intent {intent_id}")

    def open_intents(self, run: str) -> Sequence[Intent]:
        """What was intended and is not undone, in the order of injection."""
        return tuple(i for i in self.ledger(run) if i.status != UNDONE)

    def ledger(self, run: str) -> Sequence[Intent]:
        """Every intent of a run, in the order of injection."""
        query = select(intents).where(intents.c.run == run).order_by(intents.c.number)
        with self._database.reading() as connection:
            return tuple(_intent(row) for row in connection.execute(query))

    def activities(self, run: str) -> Mapping[str, str]:
        """Every activity that began, with its status (``begun`` while it has not ended)."""
        query = select(begun.c.activity, begun.c.status).where(begun.c.run == run)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(begun.c.number))
            return {row.activity: row.status for row in rows}


def _intent(row: AnyRow) -> Intent:
    return Intent(
        row.id,
        row.run,
        row.activity,
        row.fault,
        row.target,
        parsed(row.record),
        row.status,
        row.detail,
    )
