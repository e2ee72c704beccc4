"""Chaos windows that other tools open and close; a closed one is judged by a job as soon as it can be."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sloguard.core.model import Experiment, Timeline
from sloguard.ports.service import Window, WindowNotFound, Windows, WindowState
from sloguard.service.catalogue import Catalogue, NotUsable
from sloguard.service.jobs import clean_tags

#: How far ahead of this machine's clock another tool's may be, in seconds.
CLOCK_SECONDS = 60.0
EXPIRED = "nobody closed it within its longest time; what broke may be broken still"


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowDesk:
    """Where windows are opened and closed.

    ``longest``: how long one may stay open, seconds. ``settle``: how long Prometheus takes to have the last
    samples of a window, seconds. ``new_id`` names runs: a window's id is that of the run which judges it.
    ``told`` hears of every window that was opened or closed, and never raises.
    """

    windows: Windows
    catalogue: Catalogue
    new_id: Callable[[], str]
    longest: float
    settle: float
    now: Callable[[], float] = time.time
    told: Callable[[Window], object] = lambda _: None

    def open(
        self,
        *,
        slos: str,
        title: str = "",
        tool: str = "",
        tags: Sequence[str] = (),
        removed: Mapping[str, Sequence[str]] | None = None,
        fault_at: float | None = None,
        before: float | None = None,
        after: float | None = None,
        longest: float | None = None,
        by: str = "",
        from_: str = "",
        key: str = "",
    ) -> tuple[Window, bool]:
        """A window whose fault begins at ``fault_at`` (now, if None). False: the key was known.

        Raises UnknownExperiment, NotUsable, KeyReused.
        """
        declared = self._set(slos)
        now = self.now()
        fault = now if fault_at is None else _moment("fault", fault_at, now)
        for name, length in (("before", before), ("after", after), ("longest", longest)):
            if length is not None and not (math.isfinite(length) and length >= 0):
                raise NotUsable(f"{name}: expected a number of seconds, 0 or more")
        most = self.longest if longest is None else min(longest, self.longest)
        window = Window(
            id=self.new_id(),
            title=title.strip() or declared.title or slos,
            slos=slos,
            tool=tool,
            tags=clean_tags(tags),
            removed={str(k): tuple(map(str, v)) for k, v in (removed or {}).items()},
            opened_at=now,
            fault_at=fault,
            expires_at=max(now, fault) + most,
            before=before,
            after=after,
            opened_by=by,
            opened_from=from_,
            idempotency_key=key,
        )
        opened, is_new = self.windows.open_window(window)
        if is_new:
            self.told(opened)
        return opened, is_new

    def close(
        self,
        id: str,
        *,
        restored_at: float | None = None,
        removed: Mapping[str, Sequence[str]] | None = None,
        detail: str = "",
        by: str = "",
    ) -> Window:
        """Close a window whose fault ended at ``restored_at`` (now, if None); its judgement is queued.

        Closing it again without a mark, or with the same one, changes nothing. Raises WindowNotFound,
        WindowOver, NotUsable.
        """
        window = self.windows.window(id)
        if window is None:
            raise WindowNotFound(f"there is no window '{id}'")
        now = self.now()
        if restored_at is None and window.restored_at is not None:
            return window
        restored = now if restored_at is None else _moment("restored", restored_at, now)
        if restored < window.fault_at:
            raise NotUsable("restored: expected a time after the fault's")
        return self._close(window, restored, removed=removed, detail=detail, by=by)

    def expire(self) -> int:
        """Close those that nobody closed within their longest time; how many these were."""
        due = self.windows.expired_windows()
        for window in due:
            self._close(window, window.expires_at, detail=EXPIRED, by="sloguard", expired=True)
        return len(due)

    def _close(
        self,
        window: Window,
        restored: float,
        *,
        removed: Mapping[str, Sequence[str]] | None = None,
        detail: str = "",
        by: str = "",
        expired: bool = False,
    ) -> Window:
        due = restored + self._after(window) + self.settle
        closed = self.windows.close_window(
            window.id,
            restored,
            not_before=due,
            by=by,
            detail=detail,
            removed=removed,
            expired=expired,
        )
        self.told(closed)
        return closed

    def _after(self, window: Window) -> float:
        if window.after is not None:
            return window.after
        try:
            return self._set(window.slos).phases.after
        except Exception:  # noqa: BLE001 - a set that is gone since is the judgement's to tell
            return 0.0

    def _set(self, name: str) -> Experiment:
        entry = self.catalogue.slo_set(name)
        if entry.experiment is None or not entry.valid:
            raise NotUsable(f"the set of SLOs '{name}' cannot be used", entry.problems)
        if not entry.experiment.slos:
            raise NotUsable(f"the set '{name}' declares no SLO")
        return entry.experiment


def timeline_of(window: Window, slos: Experiment) -> Timeline:
    """The marks of a closed window; lengths that it does not give are those of the set."""
    if window.restored_at is None or window.state is WindowState.OPEN:
        raise ValueError("an open window has no timeline yet")
    before = slos.phases.before if window.before is None else window.before
    after = slos.phases.after if window.after is None else window.after
    return Timeline(
        window.fault_at - before, window.fault_at, window.restored_at, window.restored_at + after
    )


def _moment(name: str, at: float, now: float) -> float:
    if not math.isfinite(at) or at <= 0:
        raise NotUsable(f"{name}: expected a time in seconds since the epoch, or ISO 8601")
    if at > now + CLOCK_SECONDS:
        raise NotUsable(f"{name}: this time has not come yet, by the clock of the service")
    return at
