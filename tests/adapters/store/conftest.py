"""The same tests against SQLite and, where it is installed, a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sloguard.adapters.store import Store
from tests.support.empty_store import empty_store
from tests.support.postgresql import PostgreSQL


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store with nothing in it, once a backend."""
    if request.param == "sqlite":
        return f"sqlite:///{empty_store(tmp_path / 'runs.db')}"
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return server.migrated_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def unmade_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store may be made, once a backend."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/runs.db"
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return server.new_database()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store(url) as opened:
        yield opened
