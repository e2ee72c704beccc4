"""Faults that were found on clusters, and what became of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select, update

from sloguard.adapters.store.base import StorePart
from sloguard.adapters.store.orphan_tables import orphans
from sloguard.ports.orphans import Orphan, OrphanState

if TYPE_CHECKING:
    from sloguard.adapters.store.base import AnyRow

_LEFT = OrphanState.LEFT.value


class OrphansPart(StorePart):
    """ports.orphans.Orphans."""

    def keep_orphan(self, orphan: Orphan) -> bool:
        """Keep what became of one; its times are the store's. False: it was known to be so."""
        now, mine = self._now(), orphans.c.id == orphan.id
        values = {
            name: getattr(orphan, name)
            for name in ("cluster", "run", "fault", "target", "detail", "by_hand")
        }
        values["state"] = orphan.state.value
        with self._database.writing() as connection:
            known = connection.execute(select(orphans.c.state).where(mine)).scalar()
            if known == orphan.state.value:
                # Why it cannot be undone may be another reason than before; that is no news.
                connection.execute(update(orphans).where(mine).values(**values))
                return False
            if known is None:
                row = {"id": orphan.id, "first_at": now, "at": now, **values}
                connection.execute(insert(orphans).values(**row))
            else:
                connection.execute(update(orphans).where(mine).values(at=now, **values))
            return True

    def orphans_gone(self, cluster: str, seen: Collection[str]) -> Sequence[Orphan]:
        """Those that were left on a cluster, and are none of these ids any more: now they are ``gone``."""
        left = (orphans.c.cluster == cluster) & (orphans.c.state == _LEFT)
        with self._database.reading() as connection:
            rows = connection.execute(select(orphans).where(left)).all()
        gone = [row.id for row in rows if row.id not in seen]
        if not gone:
            return ()
        with self._database.writing() as connection:
            these = orphans.c.id.in_(gone) & left
            values = {"state": OrphanState.GONE.value, "at": self._now()}
            connection.execute(update(orphans).where(these).values(**values))
            now = connection.execute(select(orphans).where(orphans.c.id.in_(gone)))
            return [_orphan(row) for row in now]

    def orphans(
        self, state: OrphanState | None = None, *, run: str = "", limit: int = 100
    ) -> Sequence[Orphan]:
        """Newest first; ``run``: only those of one run."""
        query = select(orphans).order_by(orphans.c.at.desc(), orphans.c.id).limit(limit)
        if state is not None:
            query = query.where(orphans.c.state == state.value)
        if run:
            query = query.where(orphans.c.run == run)
        with self._database.reading() as connection:
            return [_orphan(row) for row in connection.execute(query)]

    def orphan_counts(self) -> Mapping[OrphanState, int]:
        """How many there are in each state; every state is there."""
        query = select(orphans.c.state, func.count()).group_by(orphans.c.state)
        with self._database.reading() as connection:
            found: dict[str, int] = {row[0]: row[1] for row in connection.execute(query)}
        return {state: found.get(state.value, 0) for state in OrphanState}

    def prune_orphans(self, older_than: float) -> int:
        """Forget those that are over since before this time; how many these were."""
        over = (orphans.c.state != _LEFT) & (orphans.c.at < older_than)
        with self._database.writing() as connection:
            return int(connection.execute(delete(orphans).where(over)).rowcount)


def _orphan(row: AnyRow) -> Orphan:
    return Orphan(
        id=row.id,
        cluster=row.cluster,
        run=row.run,
        fault=row.fault,
        target=row.target,
        state=OrphanState(row.state),
        detail=row.detail,
        by_hand=row.by_hand,
        first_at=row.first_at,
        at=row.at,
    )
