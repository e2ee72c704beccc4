"""The audit log: who changed what, when, from where."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, insert, select

from sloguard.adapters.store.base import StorePart, parsed
from sloguard.adapters.store.tables import audit
from sloguard.core.jsonable import dump
from sloguard.ports.service import AuditEntry


class AuditPart(StorePart):
    """ports.service.Audit."""

    def append_audit(self, entry: AuditEntry) -> int:
        """Keep an entry, on disk before this returns; its number."""
        values = {
            "at": entry.at,
            "who": entry.who,
            "place": entry.where,
            "action": entry.action,
            "target": entry.target,
            "detail": dump(entry.detail),
        }
        with self._database.writing() as connection:
            key = connection.execute(insert(audit).values(**values)).inserted_primary_key
        return int(key[0]) if key else 0

    def audit_entries(
        self,
        *,
        limit: int = 100,
        before: int | None = None,
        target: str | None = None,
        who: str | None = None,
    ) -> Sequence[AuditEntry]:
        """Newest first; ``before``: the number of the page before's last."""
        query = select(audit).order_by(audit.c.number.desc()).limit(limit)
        if before is not None:
            query = query.where(audit.c.number < before)
        if target is not None:
            query = query.where(audit.c.target == target)
        if who is not None:
            query = query.where(audit.c.who == who)
        with self._database.reading() as connection:
            return tuple(
                AuditEntry(
                    at=row.at,
                    who=row.who,
                    where=row.place,
                    action=row.action,
                    target=row.target,
                    detail=parsed(row.detail),
                    number=row.number,
                )
                for row in connection.execute(query)
            )

    def prune_audit(self, older_than: float) -> int:
        """Forget what is older than this time; how many entries these were."""
        with self._database.writing() as connection:
            return int(connection.execute(delete(audit).where(audit.c.at < older_than)).rowcount)
