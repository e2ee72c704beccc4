"""Brings a database to the schema of this code, once, whoever comes first.

A database that is current costs one query; Alembic is loaded only where there is something to do.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from sloguard.adapters.store.errors import NotAStore, StoreTooNew
from sloguard.adapters.store.tables import HEAD, REVISIONS, VERSION_TABLE, metadata

MIGRATIONS = Path(__file__).parent / "migrations"
#: "sloguard", for PostgreSQL's advisory lock.
_LOCK_KEY = 0x736C6F67756172
_WAL_SECONDS = 10.0


def bring_up_to_date(engine: Engine, where: str) -> None:
    """Create or migrate; raises StoreTooNew, NotAStore, or what the driver raises."""
    with engine.connect() as connection, connection.begin():
        if _current(connection, where):
            return
    is_sqlite = engine.dialect.name == "sqlite"
    if is_sqlite:
        _use_write_ahead_log(engine)
    options = {"sloguard_write": "durable"}
    with (
        engine.connect().execution_options(**options) as connection,
        connection.begin(),
    ):
        # SQLite's lock is the write transaction itself.
        if not is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        if not _current(connection, where):
            upgrade(connection)


def upgrade(connection: Connection, migrations: Path = MIGRATIONS, to: str = "head") -> None:
    """Run what is missing inside the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["version_table"] = VERSION_TABLE
    command.upgrade(config, to)


def version(connection: Connection) -> str | None:
    """The schema's version; None where there is none yet."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    row = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).first()  # noqa: S608 - a constant
    return None if row is None else str(row[0])


def _current(connection: Connection, where: str) -> bool:
    found = version(connection)
    if found == HEAD:
        return True
    if found is None:
        taken = set(inspect(connection).get_table_names()) & set(metadata.tables)
        if taken:
            raise NotAStore(
                f"the store {where} holds tables of something else ({', '.join(sorted(taken))}): "
                "choose another file, database or schema"
            )
        return False
    if found not in REVISIONS:
        raise StoreTooNew(
            f"the store {where} was written by a newer sloguard (schema {found}; this one knows "
            f"up to {HEAD}): update sloguard, or choose another store"
        )
    return False


def _use_write_ahead_log(engine: Engine) -> None:
    """Both settings stay in the file. SQLite itself does not wait for others who do this at once."""
    deadline = time.monotonic() + _WAL_SECONDS
    while True:
        raw = engine.raw_connection()
        try:
            cursor = raw.cursor()
            # So that deleting runs can give room back.
            cursor.execute("PRAGMA auto_vacuum=INCREMENTAL")
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.close()
            return
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        finally:
            raw.close()
