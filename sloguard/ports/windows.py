"""Windows that others open and close, to be judged. Times are seconds since the epoch, UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class WindowState(StrEnum):
    """Where a window stands; it is a run once it is judged."""

    OPEN = "open"
    CLOSED = "closed"
    #: Nobody closed it within its longest time, so sloguard did.
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A chaos window that another tool opens and closes. ``id`` is that of the run which judges it.

    ``slos``: the name of a set of SLOs. ``tool``: who breaks things, in its own words. ``removed``: names
    that the fault took out of the world, by label. ``before`` and ``after`` (seconds) None: as the set
    declares. ``expires_at``: when it is closed if nobody does. ``restored_at`` None: it is open.
    """

    id: str
    title: str
    slos: str
    opened_at: float
    fault_at: float
    expires_at: float
    tool: str = ""
    tags: tuple[str, ...] = ()
    removed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    before: float | None = None
    after: float | None = None
    opened_by: str = ""
    opened_from: str = ""
    idempotency_key: str = ""
    state: WindowState = WindowState.OPEN
    restored_at: float | None = None
    closed_at: float | None = None
    closed_by: str = ""
    detail: str = ""


class Windows(Protocol):
    """Windows that others open and close."""

    def open_window(self, window: Window) -> tuple[Window, bool]:
        """Keep a new window. False: this opener had sent this idempotency key before. Raises KeyReused."""
        ...

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
        """Close it, and queue the job (kind window, same id) that judges it, due at ``not_before``: both
        or neither. Closing it again with the same mark, or by expiry, changes nothing.

        Raises WindowNotFound, and WindowOver where it was closed with another mark.
        """
        ...

    def window(self, id: str) -> Window | None:
        """The window of this id, or None."""
        ...

    def windows(
        self, state: WindowState | None = None, *, limit: int = 100, before: str | None = None
    ) -> Sequence[Window]:
        """Newest first; ``before``: the id of the page before's last."""
        ...

    def expired_windows(self) -> Sequence[Window]:
        """Open ones whose longest time has passed, oldest first."""
        ...
