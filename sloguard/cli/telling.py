"""What a command tells to others: kept while it works, delivered beside it, and for a moment after."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sloguard.cli.streams import tell

if TYPE_CHECKING:
    from sloguard.adapters.store import Store
    from sloguard.core.events import Event
    from sloguard.ports import Runs
    from sloguard.service.announcing import Announcer
    from sloguard.settings import Settings

#: A store that was away is given this much longer to keep what it has missed, in seconds.
_KEEP_SECONDS = 1.0
_STOP_SECONDS = 0.5


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

    def consumers(self) -> list[Callable[[Event], object]]:
        """Of one run's events; they come before the one that keeps the run."""
        made = self._announcers() if self._announcers else None
        if made is None:
            return []
        self._made.append(made)

        def outbox(event: Event) -> None:
            made.record(event)

        # Named as a person knows it, in what is told where it fails.
        outbox.__qualname__ = "the outbox"
        return [outbox]

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
