"""One database: opened safely, migrated when it must be, with transactions that say what went wrong."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from sloguard.adapters.store.errors import (
    StoreError,
    StoreFull,
    StoreNotAllowed,
    StoreUnreachable,
    classify,
)

if TYPE_CHECKING:
    from sloguard.adapters.store.base import AnySelect

#: How long a writer waits for another one, in seconds.
BUSY_SECONDS = 30.0
CONNECT_SECONDS = 10
#: Of PostgreSQL, for one process: how many stay open, and how many there may be; who comes later waits.
KEPT_CONNECTIONS, MOST_CONNECTIONS = 5, 10

_WRITE = "sloguard_write"


def store_url(text: str) -> URL:
    """A path, ``sqlite:///…`` or ``postgresql://…`` as a URL; raises StoreError."""
    if "://" not in text:
        return _sqlite_url(text)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        # The text may hold a password, and so may SQLAlchemy's message.
        raise StoreError(
            "the store's URL cannot be read; expected a file's path, sqlite:////PATH "
            "or postgresql://USER@HOST/DATABASE"
        ) from error
    backend = url.get_backend_name()
    if backend == "sqlite":
        return _sqlite_url(url.database or "")
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    raise StoreError(f"a store cannot be kept in '{backend}'; expected sqlite or postgresql")


def _sqlite_url(path: str) -> URL:
    if path in ("", ":memory:"):
        raise StoreError("a store needs a file: what is kept in memory is lost with its process")
    return URL.create("sqlite+pysqlite", database=str(Path(path).expanduser().absolute()))


class _Compiled(NamedTuple):
    """A statement for SQLite: its text, its values' names in order, those it brings along, its rows."""

    text: str
    names: tuple[str, ...]
    fixed: Mapping[str, Any]
    row: Callable[[Any], Any]
    # Kept, so that no other one can get its id.
    statement: AnySelect


class Database:
    """An engine, ready: connections are pooled, every thread may use it."""

    def __init__(self, text: str) -> None:
        self.url = store_url(text)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.where = self._shown()
        if self.is_sqlite:
            _prepare_file(Path(str(self.url.database)))
        self.engine = self._engine()
        # Few are ever open, since the one that was used last is taken first: what it read is at hand.
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        self._compiled: dict[int, _Compiled] = {}
        try:
            self._open()
        except BaseException:
            self.engine.dispose()
            raise

    def close(self) -> None:
        """Give back all connections."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one moment, and holds up no writer."""
        with self._classified(), self.engine.connect() as connection, connection.begin():
            yield connection

    def rows(self, statement: AnySelect, values: Mapping[str, Any]) -> list[Any]:
        """The rows of one statement, in a moment of its own. The statement is a constant of its module.

        SQLite answers such a question in less time than a transaction takes to be set up around it, so
        it is asked directly there.
        """
        if not self.is_sqlite:
            with self.reading() as connection:
                return list(connection.execute(statement, values).all())
        own = self._take()
        try:
            return self._asked(own, statement, values)
        except sqlite3.Error as error:
            raise classify(error, self.where) from error
        finally:
            self._give_back(own)

    def moment(self, *questions: tuple[AnySelect, Mapping[str, Any]]) -> list[list[Any]]:
        """The rows of several constant statements, all of one moment, with their columns as attributes.

        SQLite's truths come as 0 and 1.
        """
        if not self.is_sqlite:
            with self.reading() as connection:
                return [list(connection.execute(*question).all()) for question in questions]
        own = self._take()
        try:
            own.execute("BEGIN")
            try:
                found = [self._asked(own, *question) for question in questions]
            finally:
                own.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise classify(error, self.where) from error
        finally:
            self._give_back(own)
        return [
            list(map(self._compiled[id(statement)].row, rows))
            for (statement, _), rows in zip(questions, found, strict=True)
        ]

    def _asked(
        self, connection: sqlite3.Connection, statement: AnySelect, values: Mapping[str, Any]
    ) -> list[Any]:
        found = self._compiled.get(id(statement)) or self._compile(statement)
        given = {**found.fixed, **values} if found.fixed else values
        # All at once: a statement that is not read to its end would hold its snapshot.
        return connection.execute(found.text, [given[name] for name in found.names]).fetchall()

    def _compile(self, statement: AnySelect) -> _Compiled:
        compiled = statement.compile(dialect=self.engine.dialect)
        names = tuple(compiled.positiontup or ())
        fixed = {name: value for name, value in compiled.params.items() if value is not None}
        row = namedtuple("Row", statement.selected_columns.keys(), rename=True)  # type: ignore[misc]  # of its own columns
        kept = _Compiled(str(compiled), names, fixed, row._make, statement)
        self._compiled[id(statement)] = kept
        return kept

    def _take(self) -> sqlite3.Connection:
        """A connection kept open, for nobody else meanwhile: the engine's pool costs as much as a question."""
        try:
            return self._idle.pop()
        except IndexError:
            pass
        try:
            connection = sqlite3.connect(
                str(self.url.database), timeout=BUSY_SECONDS, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise classify(error, self.where) from error
        _sqlite_connected(connection, None)
        return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        self._idle.append(connection)
        if self._closed:
            self.close()

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Connection]:
        """A transaction that is committed at its end; ``durable``: on disk before this returns.

        Without ``durable`` it survives the death of the process, and usually of the machine; it is
        never durable before, or without, what was written earlier.
        """
        option = {_WRITE: "durable" if durable else "lazy"}
        with (
            self._classified(),
            self.engine.connect().execution_options(**option) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def _classified(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise classify(error, self.where) from error

    def _open(self) -> None:
        from sloguard.adapters.store.migrate import bring_up_to_date

        with self._classified():
            bring_up_to_date(self.engine, self.where)

    def _shown(self) -> str:
        if self.is_sqlite:
            return str(self.url.database)
        return URL.create(
            "postgresql",
            username=self.url.username,
            host=self.url.host,
            port=self.url.port,
            database=self.url.database,
        ).render_as_string()

    def _engine(self) -> Engine:
        try:
            if self.is_sqlite:
                engine = create_engine(self.url, connect_args={"timeout": BUSY_SECONDS})
                event.listen(engine, "connect", _sqlite_connected)
                event.listen(engine, "begin", _sqlite_begin)
                return engine
            engine = create_engine(
                self.url,
                pool_pre_ping=True,
                pool_size=KEPT_CONNECTIONS,
                max_overflow=MOST_CONNECTIONS - KEPT_CONNECTIONS,
                pool_timeout=BUSY_SECONDS,
                connect_args=_psycopg_arguments(),
            )
        except (ModuleNotFoundError, SQLAlchemyError) as error:
            raise classify(error, self.where) from error
        event.listen(engine, "begin", _postgresql_begin)
        return engine


def _psycopg_arguments() -> dict[str, Any]:
    return {
        "connect_timeout": CONNECT_SECONDS,
        "application_name": "sloguard",
        # A server that is cut off must not hold up a run that has something to undo.
        "keepalives_idle": CONNECT_SECONDS,
        "keepalives_interval": 5,
        "keepalives_count": 2,
        "tcp_user_timeout": 2000 * CONNECT_SECONDS,
    }


def _prepare_file(path: Path) -> None:
    """Directories 0700 where they are new, the file 0600 before a single byte is in it."""
    try:
        missing = [p for p in (path.parent, *path.parent.parents) if not p.exists()]
        for directory in reversed(missing):
            directory.mkdir(mode=0o700, exist_ok=True)
        _create(path)
        found = path.stat()
    except OSError as error:
        raise _file_error(path, error) from error
    if not stat.S_ISREG(found.st_mode):
        raise StoreUnreachable(f"the store {path} is not a file; expected the path of one")
    _check_rights(path)


def _check_rights(path: Path) -> None:
    # SQLite puts its log beside the file. What it says itself where it may not depends on what it
    # finds there; this is the same text each time.
    wanted = ((path, os.R_OK | os.W_OK), (path.parent, os.W_OK | os.X_OK))
    for place, rights in wanted:
        if not os.access(place, rights, effective_ids=True):
            raise _file_error(path, OSError(errno.EACCES, f"no write access to {place}"))


def _create(path: Path) -> None:
    # An existing file must not even be opened here: closing it would drop the locks that SQLite
    # holds on it for other connections of this process.
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return


def _file_error(path: Path, error: OSError) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull(
            f"the store {path}: there is no room left for it: free some, or move the store"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StoreNotAllowed(
            f"the store {path}: it may not be written: give yourself write access to the file "
            f"and its directory, or choose another store ({error.strerror})"
        )
    return StoreUnreachable(f"the store {path} cannot be opened: {error.strerror}")


def _sqlite_connected(connection: Any, _entry: ConnectionPoolEntry | None) -> None:
    # Transactions are begun by hand: the driver's own way would begin too late to be a snapshot.
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA journal_size_limit=16777216")
    finally:
        cursor.close()


def _sqlite_begin(connection: Connection) -> None:
    wanted = connection.get_execution_options().get(_WRITE)
    if wanted is None:
        connection.exec_driver_sql("BEGIN")
        return
    # With a write-ahead log NORMAL leaves the flush to a later FULL commit: order is kept, nothing
    # can be corrupted. File systems without one (NFS) are always written through.
    full = wanted == "durable" or _journal_mode(connection) != "wal"
    connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if full else 'NORMAL'}")
    # Taking the write lock at once is what makes waiting for it possible.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _journal_mode(connection: Connection) -> str:
    if "journal_mode" not in connection.info:
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        connection.info["journal_mode"] = str(mode)
    return str(connection.info["journal_mode"])


def _postgresql_begin(connection: Connection) -> None:
    wanted = connection.get_execution_options().get(_WRITE)
    if wanted is None:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY, ISOLATION LEVEL REPEATABLE READ")
    elif wanted == "lazy":
        connection.exec_driver_sql("SET LOCAL synchronous_commit=off")
