"""Keeping what webhooks bring: many requests, one writer, one flush.

Each request waits until its payload is on the disk. While one transaction is being flushed, all that come in
meanwhile gather, and the next one takes them together: the requests of a process never contend for the
database, and as many of them as there are share the time of one flush.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from sloguard.adapters.store.alert_tables import inbox, refused
from sloguard.adapters.store.database import Database
from sloguard.adapters.store.errors import StoreBusy, StoreError, classify

if TYPE_CHECKING:
    from sloguard.ports.alert_inbox import Received

#: So long a payload waits for its place in the database; then the sender is asked to come again.
PATIENCE_SECONDS = 5.0
#: Between two tries to get hold of SQLite's one write lock, where somebody holds it who writes something else.
#: SQLite's own waits grow to a tenth of a second.
_RETRY_SECONDS = 0.0005
#: Pages of the log before somebody who commits has to fold it back.
_CHECKPOINT_PAGES = 4000
_INBOX = (
    "INSERT INTO alert_inbox (received_at, sender, address, alerts, size, body) "
    "VALUES (?, ?, ?, ?, ?, ?)"
)
_REFUSED = (
    "INSERT INTO alert_refused (received_at, sender, address, alerts, size, reason, body) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_COLUMNS = ("received_at", "sender", "address", "alerts", "size")


class Door:
    """One at a time, among all threads and processes that write alerts into one SQLite file.

    SQLite itself has whoever waits look again and again, which takes processors from those who answer, and
    the one who waits for longest is not the next. Here the kernel wakes them up. Nothing depends on it: SQLite's own
    lock is taken inside.
    """

    def __init__(self, database: Database) -> None:
        self._path = f"{database.url.database}-inbox" if database.is_sqlite else ""
        self._mine = threading.Lock()
        self._file: int | None = None

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Alone inside."""
        if not self._path:
            yield
            return
        with self._mine:
            file = self._open()
            if file is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                if file is not None:
                    fcntl.flock(file, fcntl.LOCK_UN)

    def _open(self) -> int | None:
        if self._file is None:
            try:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError:
                # The write that comes next says what is wrong, if anything is.
                return None
        return self._file

    def close(self) -> None:
        """Let go of the file."""
        with self._mine:
            if self._file is not None:
                os.close(self._file)
                self._file = None


class _Ticket:
    """One who waits."""

    __slots__ = ("done", "error", "payload")

    def __init__(self, payload: Received) -> None:
        self.payload = payload
        self.done = False
        self.error: StoreError | None = None


class InboxWriter:
    """Writes payloads of all threads of a process, those that wait together in one transaction.

    There is no thread of its own: of those who wait one writes for all.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = threading.Condition()
        self._waiting: list[_Ticket] = []
        self._writing = False
        self._connection: sqlite3.Connection | None = None
        self.door = Door(database)

    def keep(self, payload: Received) -> None:
        """Returns when it is on the disk. Raises StoreError."""
        # Here, while others write: it takes longer than all the rest, and needs nobody's lock.
        mine = _Ticket(replace(payload, body=packed(payload.body)))
        with self._turn:
            self._waiting.append(mine)
            while self._writing and not mine.done:
                self._turn.wait()
            if not mine.done:
                self._writing = True
        if not mine.done:
            self._lead()
        if mine.error is not None:
            raise mine.error

    def close(self) -> None:
        """Give the connection back."""
        with self._turn:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
        self.door.close()

    def _lead(self) -> None:
        """Write for all who wait."""
        batch: list[_Ticket] = []
        error: StoreError | None = StoreError("the payload was not written")
        try:
            with self.door.entered():
                # Taken as late as can be: whoever came while others were inside is with it.
                batch = self._take()
                self._write([ticket.payload for ticket in batch])
            error = None
        except StoreError as found:
            error = found
        finally:
            # Whatever happened, nobody waits for ever.
            with self._turn:
                for ticket in batch or self._take():
                    ticket.done, ticket.error = True, error
                self._writing = False
                self._turn.notify_all()

    def _take(self) -> list[_Ticket]:
        with self._turn:
            batch, self._waiting = self._waiting, []
        return batch

    def _write(self, payloads: Sequence[Received]) -> None:
        good = [p for p in payloads if not p.reason]
        bad = [p for p in payloads if p.reason]
        if self._database.is_sqlite:
            self._write_sqlite(good, bad)
            return
        with self._database.writing() as connection:
            if good:
                connection.execute(insert(inbox), [_named(p) for p in good])
            if bad:
                connection.execute(
                    insert(refused), [{**_named(p), "reason": p.reason} for p in bad]
                )

    def _write_sqlite(self, good: Sequence[Received], bad: Sequence[Received]) -> None:
        """Without what is around a statement elsewhere: this is asked for often, and all wait for it."""
        try:
            connection = self._connection = self._connection or self._open()
            self._begin(connection)
            try:
                if good:
                    connection.executemany(_INBOX, [(*_first(p), p.body) for p in good])
                if bad:
                    connection.executemany(
                        _REFUSED, [(*_first(p), _clean(p.reason), p.body) for p in bad]
                    )
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise classify(error, self._database.where) from error

    def _open(self) -> sqlite3.Connection:
        made = sqlite3.connect(
            str(self._database.url.database),
            timeout=0,
            check_same_thread=False,
            isolation_level=None,
        )
        made.execute("PRAGMA synchronous=FULL")
        made.execute("PRAGMA journal_size_limit=33554432")
        made.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
        return made

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Get the write lock, of which other processes may be in possession."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if not error.sqlite_errorname.startswith("SQLITE_BUSY"):
                    raise
                if time.monotonic() >= until:
                    raise StoreBusy(
                        f"the store {self._database.where}: another process is writing to it for too long"
                    ) from error
            time.sleep(_RETRY_SECONDS)


def packed(body: bytes) -> bytes:
    """As a payload is kept: it is mostly the same words again and again."""
    return zlib.compress(body, 1)


def unpacked(kept: bytes) -> bytes:
    """As it came."""
    return zlib.decompress(kept)


def _first(payload: Received) -> tuple[Any, ...]:
    return (
        payload.received_at,
        _clean(payload.sender),
        _clean(payload.address),
        payload.alerts,
        payload.size,
    )


def _named(payload: Received) -> dict[str, Any]:
    return {**dict(zip(_COLUMNS, _first(payload), strict=True)), "body": payload.body}


def _clean(text: str) -> str:
    """What CleanText does for a statement of SQLAlchemy."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")
