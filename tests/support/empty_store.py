"""Stores with all their tables and nothing in them."""

from __future__ import annotations

import functools
import sqlite3
import tempfile
from pathlib import Path

from sloguard.adapters.store import Store


@functools.cache
def _empty_store() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "runs.db")
        Store(str(path)).dispose()
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return path.read_bytes()


def empty_store(path: Path) -> str:
    """A file with one, unless it is there. Migrating takes most of the time of a small test: that is done once."""
    if not path.exists():
        path.write_bytes(_empty_store())
    return str(path)
