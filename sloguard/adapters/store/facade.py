"""The store: all its parts in one, over one database."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self

from sloguard.adapters.store.alerts import AlertsPart
from sloguard.adapters.store.audit import AuditPart
from sloguard.adapters.store.backlog import BacklogPart
from sloguard.adapters.store.browsing import BrowsingPart
from sloguard.adapters.store.database import Database
from sloguard.adapters.store.keeping import KeepingPart
from sloguard.adapters.store.ledger import LedgerPart
from sloguard.adapters.store.liveness import myself
from sloguard.adapters.store.orphans import OrphansPart
from sloguard.adapters.store.outbox import OutboxPart
from sloguard.adapters.store.people import PeoplePart
from sloguard.adapters.store.recording import Recorder
from sloguard.adapters.store.reporting import ReportsPart
from sloguard.adapters.store.searching import SearchPart
from sloguard.adapters.store.serving import ServingPart
from sloguard.adapters.store.sessions import SessionsPart
from sloguard.adapters.store.tokens import TokensPart
from sloguard.adapters.store.windows import WindowsPart
from sloguard.core.events import Event
from sloguard.host.identity import Identity


class Store(
    LedgerPart,
    BrowsingPart,
    KeepingPart,
    ServingPart,
    SearchPart,
    WindowsPart,
    TokensPart,
    SessionsPart,
    AuditPart,
    OutboxPart,
    OrphansPart,
    AlertsPart,
    PeoplePart,
    ReportsPart,
    BacklogPart,
):
    """Runs on disk: records events, keeps the ledger, finds what was left, reads it all back.

    ``url``: a file's path, ``sqlite:////PATH`` or ``postgresql://USER@HOST/DATABASE``. Opening creates
    or migrates. ``now`` gives seconds since the epoch, ``process`` who is writing. Every call may come
    from any thread; raises StoreError, without credentials.
    """

    def __init__(
        self,
        url: str,
        *,
        now: Callable[[], float] = time.time,
        process: Callable[[], Identity] = myself,
    ) -> None:
        super().__init__(Database(url), now, process)
        self._recorder = self.recorder()

    def recorder(self, *, experiment: str = "", kind: str = "run", origin: str = "") -> Recorder:
        """One recorder for the events of one run.

        ``experiment``: its name in the catalogue, its file's if empty. ``kind`` and ``origin``: see
        RunSummary.
        """
        return Recorder(
            self._database,
            self._now,
            self._process,
            experiment=experiment,
            kind=kind,
            origin=origin,
        )

    def record(self, event: Event) -> None:
        """Keep one event of the run that this process carries out; the first is RunStarted."""
        self._recorder.record(event)

    @property
    def where(self) -> str:
        """The file, or the server's address without credentials."""
        return self._database.where

    def dispose(self) -> None:
        """Give back all connections. What was recorded is kept, with or without this."""
        self._inbox.close()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.dispose()
