"""What a command tells to others: kept while it works, delivered beside it, and for a moment after."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sloguard.cli.streams import tell

if TYPE_CHECKING:
    from sloguard.adapters.store import Store
    from sloguard.ports import Runs
    from sloguard.service.announcing import Announcer, Consumer
    from sloguard.settings import Settings

#: A store that was away is given this much longer to keep what it has missed, in seconds.
_KEEP_SECONDS = 1.0
_STOP_SECONDS = 0.5


@contextmanager
def _interruptible() -> Iterator[None]:
    """Whoever ends the command now ends the waiting: its exit code is the verdict's already."""

    if threading.current_thread() is not threading.main_thread():
        # Python hands signals to that one alone.
        yield
        return

    def hurry(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    kept = {number: signal.signal(number, hurry) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


class Telling:
    """Messages of one command. Nothing of it delays a run, fails one, or changes an exit code.

    Raises OutsideError for settings that do not fit together; without any channel it does nothing.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        from sloguard.bootstrap import announcers, courier

        self._store, self._seconds = store, settings.outbox.flush
        self._courier = courier(settings, store)
        told = self._courier.wake if self._courier else lambda: None
        self._announcers = announcers(settings, store, told=told)
        self._made: list[Announcer] = []
        if self._courier is not None:
            self._courier.start()

    def around(self, keep: Consumer) -> list[Consumer]:
        """The consumers of one run's events: ``keep``, which records it, and what tells of it."""
        if self._announcers is None:
            return [keep]
        made: Announcer = self._announcers()
        self._made.append(made)
        return made.around(keep)

    def runs(self) -> Runs:
        """The store's runs, of whose ends is told when recovery finishes them."""
        from sloguard.service.announcing import AnnouncedRuns

        made = self._announcers() if self._announcers else None
        return self._store if made is None else AnnouncedRuns(self._store, made)

    def finish(self) -> None:
        """Wait a moment for what is on its way; what is left is told, and goes another time."""
        if self._courier is None:
            return
        try:
            with _interruptible():
                kept = all(made.flush(_KEEP_SECONDS) for made in self._made)
                self._courier.flush(self._seconds)
                self._courier.stop(_STOP_SECONDS)
                self._tell_left(kept)
        except KeyboardInterrupt:
            # Whoever is in a hurry loses nothing: it is kept.
            self._courier.stop(0.0)
        except Exception as error:  # noqa: BLE001 - the command has its result, whatever this is
            tell(f"sloguard: {type(error).__name__}: {error}")

    def _tell_left(self, kept: bool) -> None:
        from sloguard.ports.outbox import MessageState

        if not kept:
            tell("sloguard: the store did not take what was to be told to others; it is not told")
        channels = () if self._courier is None else self._courier.channels
        for channel in channels:
            left = self._store.messages(states=[MessageState.WAITING], channel=channel, limit=100)
            if not left:
                continue
            count = f"{len(left)}{'+' if len(left) == 100 else ''}"
            said = next((f" ({m.error})" for m in left if m.error), "")
            tell(
                f"{count} message{'s' if len(left) > 1 else ''} to {channel} wait{said}: they go with the "
                "next run, the service, or 'sloguard outbox flush'"
            )
