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
    f"test_web_{name}" for name in ("alerts", "events", "evidence", "runs", "verdicts", "windows")
)
#: Of pages those that read or change what is kept; how they are written is the same for both.
PAGES = frozenset(
    {
        "test_every_page_has_landmarks_names_and_nothing_inline",
        "test_a_run_is_told_whole",
        "test_a_run_under_way_shows_its_phase_and_what_has_happened",
        "test_what_is_left_behind_stands_first_and_red",
        "test_a_plan_comes_first_and_its_run_makes_the_same_choices",
        "test_a_form_that_is_sent_twice_asks_once",
        "test_a_window_is_opened_and_closed_on_a_page",
        "test_a_queued_run_is_cancelled_on_its_page",
        "test_the_runs_of_a_page_lead_to_older_ones",
    }
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Both stores where the store matters."""
    module = metafunc.module.__name__.rpartition(".")[2]
    matters = module in STORED or metafunc.function.__name__ in PAGES
    if "world" in metafunc.fixturenames and matters:
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
