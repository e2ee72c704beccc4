"""Windows that other tools open and close."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, insert, select, update

from sloguard.adapters.store.base import parsed
from sloguard.adapters.store.jobs import JobsPart, fingerprint
from sloguard.adapters.store.tables import windows
from sloguard.core.jsonable import dump
from sloguard.ports.service import (
    JobRequest,
    KeyReused,
    Window,
    WindowNotFound,
    WindowOver,
    WindowState,
)

if TYPE_CHECKING:
    from sloguard.adapters.store.base import AnyRow

#: Marks that differ by less were the same number before they were JSON, seconds.
_SAME = 0.001
_COMPARED = ("title", "slos", "tool", "tags", "removed", "before", "after")


class WindowsPart(JobsPart):
    """ports.service.Windows."""

    def open_window(self, window: Window) -> tuple[Window, bool]:
        """Keep a new window. False: this opener had sent this idempotency key before. Raises KeyReused."""
        wanted = fingerprint({name: getattr(window, name) for name in _COMPARED})
        with self._database.writing() as connection:
            self._one_at_a_time(connection)
            known = self._opened(connection, window)
            if known is not None:
                if known.fingerprint != wanted:
                    raise KeyReused(
                        f"the idempotency key '{window.idempotency_key}' was used before for another "
                        f"window ({known.id}): use a new key for a new window"
                    )
                return _window(known), False
            connection.execute(insert(windows).values(**_row(window, wanted)))
            query = select(windows).where(windows.c.id == window.id)
            return _window(connection.execute(query).one()), True

    def close_window(
        self,
        id: str,
        restored_at: float,
        *,
        not_before: float,
        by: str = "",
        detail: str = "",
        removed: Mapping[str, Sequence[str]] | None = None,
        expired: bool = False,
    ) -> Window:
        """Close it, and queue the job that judges it, both or neither; again changes nothing.

        Raises WindowNotFound, and WindowOver where it was closed with another mark.
        """
        state = WindowState.EXPIRED if expired else WindowState.CLOSED
        with self._database.writing() as connection:
            query = select(windows).where(windows.c.id == id)
            row = connection.execute(query.with_for_update()).first()
            if row is None:
                raise WindowNotFound(f"there is no window '{id}'")
            if row.state != WindowState.OPEN.value:
                if expired or abs(row.restored_at - restored_at) < _SAME:
                    return _window(row)
                raise WindowOver(
                    f"the window '{id}' was {row.state} before, with another end: it is judged with that"
                )
            values: dict[str, Any] = {
                "state": state.value,
                "restored_at": restored_at,
                "closed_at": self._now(),
                "closed_by": by,
                "detail": detail,
            }
            if removed:
                values["removed"] = dump({**parsed(row.removed), **removed})
            connection.execute(update(windows).where(windows.c.id == id).values(**values))
            closed = _window(connection.execute(query).one())
            request = JobRequest(
                id=id,
                kind="window",
                tags=closed.tags,
                requested_by=by,
                not_before=not_before,
            )
            self._insert_job(connection, request)
            return closed

    def window(self, id: str) -> Window | None:
        """The window of this id, or None."""
        with self._database.reading() as connection:
            row = connection.execute(select(windows).where(windows.c.id == id)).first()
        return None if row is None else _window(row)

    def windows(
        self, state: WindowState | None = None, *, limit: int = 100, before: str | None = None
    ) -> Sequence[Window]:
        """Newest first; ``before``: the id of the page before's last."""
        query = select(windows).order_by(windows.c.id.desc()).limit(limit)
        if state is not None:
            query = query.where(windows.c.state == state.value)
        if before is not None:
            query = query.where(windows.c.id < before)
        with self._database.reading() as connection:
            return tuple(_window(row) for row in connection.execute(query))

    def expired_windows(self) -> Sequence[Window]:
        """Open ones whose longest time has passed, oldest first."""
        over = (windows.c.state == WindowState.OPEN.value) & (windows.c.expires_at <= self._now())
        with self._database.reading() as connection:
            query = select(windows).where(over).order_by(windows.c.id)
            return tuple(_window(row) for row in connection.execute(query))

    def _opened(self, connection: Connection, window: Window) -> AnyRow | None:
        if not window.idempotency_key:
            return None
        same = (windows.c.opened_by == window.opened_by) & (
            windows.c.idempotency_key == window.idempotency_key
        )
        return connection.execute(select(windows).where(same)).first()


def _row(window: Window, wanted: str) -> dict[str, Any]:
    return {
        "id": window.id,
        "title": window.title,
        "slos": window.slos,
        "tool": window.tool,
        "tags": dump(window.tags),
        "removed": dump(window.removed),
        "before": window.before,
        "after": window.after,
        "opened_at": window.opened_at,
        "opened_by": window.opened_by,
        "opened_from": window.opened_from,
        "idempotency_key": window.idempotency_key or None,
        "fingerprint": wanted,
        "fault_at": window.fault_at,
        "expires_at": window.expires_at,
        "state": WindowState.OPEN.value,
        "closed_by": "",
        "detail": "",
    }


def _window(row: AnyRow) -> Window:
    return Window(
        id=row.id,
        title=row.title,
        slos=row.slos,
        opened_at=row.opened_at,
        fault_at=row.fault_at,
        expires_at=row.expires_at,
        tool=row.tool,
        tags=tuple(parsed(row.tags)),
        removed=parsed(row.removed),
        before=row.before,
        after=row.after,
        opened_by=row.opened_by,
        opened_from=row.opened_from,
        idempotency_key=row.idempotency_key or "",
        state=WindowState(row.state),
        restored_at=row.restored_at,
        closed_at=row.closed_at,
        closed_by=row.closed_by,
        detail=row.detail,
    )
