"""A service without a server, for every test of it: on SQLite, and what reads and writes the store on
PostgreSQL as well."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.postgresql import PostgreSQL
from tests.support.service import World, make_world

#: The modules whose tests are about what the store does.
STORED = frozenset(
    f"test_web_{name}" for name in ("alerts", "evidence", "runs", "verdicts", "windows")
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Both stores where the store matters."""
    module = metafunc.module.__name__.rpartition(".")[2]
    if "world" in metafunc.fixturenames and module in STORED:
        metafunc.parametrize("world", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    url = ""
    if getattr(request, "param", "sqlite") == "postgresql":
        server: PostgreSQL = request.getfixturevalue("postgresql")
        url = server.migrated_database()
    made = make_world(tmp_path, url=url)
    yield made
    # It looks at the store until it sees that nobody waits any more.
    for thread in threading.enumerate():
        if thread.name == "watcher":
            thread.join(5)
    made.store.dispose()
