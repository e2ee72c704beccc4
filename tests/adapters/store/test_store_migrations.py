"""The schema's history: every version there ever was can be opened, and only once by each."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, inspect, text

from sloguard.adapters.store import Store, migrate, tables
from sloguard.adapters.store.database import Database
from sloguard.core.model import Outcome
from tests.support import runs as made
from tests.support.runs import RUN

FIXTURES = Path(__file__).parents[2] / "fixtures" / "store"

#: A later version, as one could be written.
LATER = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"


def upgrade() -> None:
    with op.batch_alter_table("runs") as batch:
        batch.add_column(sa.Column("mood", sa.Text(), nullable=False, server_default="calm"))
    {more}
"""


def open_fixture(revision: str, path: Path) -> Path:
    connection = sqlite3.connect(path)
    connection.executescript((FIXTURES / f"v{revision}.sql").read_text(encoding="utf-8"))
    connection.close()
    return path


def test_the_tables_are_what_the_migrations_make(unmade_url: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with Store(unmade_url) as store, store._database.reading() as connection:
        options = {"version_table": tables.VERSION_TABLE, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, tables.metadata) == []


def test_the_code_knows_the_newest_migration() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(migrate.MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    known = [revision.revision for revision in script.walk_revisions()][::-1]
    assert tuple(known) == tables.REVISIONS
    assert script.get_current_head() == tables.HEAD


def test_every_version_has_a_fixture() -> None:
    assert {path.stem for path in FIXTURES.glob("*.sql")} == {f"v{r}" for r in tables.REVISIONS}


@pytest.mark.parametrize("revision", tables.REVISIONS)
def test_a_store_of_every_version_opens_and_keeps_what_it_has(
    revision: str, tmp_path: Path
) -> None:
    path = open_fixture(revision, tmp_path / "runs.db")
    with Store(str(path)) as store:
        run = store.run("latest")
        assert (run.id, run.outcome, run.title) == (RUN, Outcome.DEVIATED, "Losing a replica")
        assert len(run.activities) == 4
        (kept,) = store.evidence(RUN)
        for role, matrix in made.make_evidence().answers.items():
            assert np.array_equal(kept.answers[role].values, matrix.values, equal_nan=True)
            assert kept.answers[role].labels == matrix.labels
        (intent,) = store.ledger(RUN)
        assert (intent.status, intent.record) == ("undone", {"pid": 4711})
        for event in made.whole("20270101T000000-newone"):
            store.record(event)
        assert [r.id for r in store.runs()] == ["20270101T000000-newone", RUN]
        # Runs of before there was a service are known by their files.
        assert [r.id for r in store.runs(name="shop")] == ["20270101T000000-newone", RUN]
        assert {r.kind for r in store.runs()} == {"run"}
        # Those of before there was an index of words are found by it too.
        assert [r.id for r in store.runs_like("losing")] == ["20270101T000000-newone", RUN]
        store.delete("20270101T000000-newone")
        assert [one.run for one in store.series_like("checkout")] == [RUN]
        assert [one.run for one in store.targets_like("4711")] == [RUN]


def test_what_the_service_kept_is_there_in_every_later_version(tmp_path: Path) -> None:
    for revision in tables.REVISIONS[1:]:
        path = open_fixture(revision, tmp_path / f"{revision}.db")
        with Store(str(path)) as store:
            (job,) = store.jobs()
            assert (job.id, job.state, job.variables) == (
                "20260102T000000-queued",
                "queued",
                {"n": 2},
            )
            (token,) = store.tokens()
            assert (token.name, set(token.scopes)) == ("ci", {"read", "run"})
            (window,) = store.windows()
            assert (window.id, window.removed) == ("20260103T000000-window", {"pod": ["web-1"]})
            (entry,) = store.audit_entries()
            assert (entry.who, entry.action, entry.detail) == ("token:ci", "run", {"tags": ["a"]})
            if revision > "0002":
                login = store.verify_session("A" * 43)
                assert login is not None
                assert login.token == token
            if revision >= "0005":
                late, sent = store.messages()
                assert (late.channel, late.attempts, late.error) == (
                    "slack:ops",
                    1,
                    "it answered 503",
                )
                assert (sent.state, sent.payload) == ("delivered", {"time": 1767400000.0})
                assert sent.memory == {"id": 7}
            if revision >= "0006":
                kept = store.alert_page(10)
                assert [(k.episode.name, k.episode.labels["n"]) for k in kept] == [
                    ("T", "1"),
                    ("T", "0"),
                    ("T", "2"),
                    ("T", "1"),
                ]
                assert [k.episode.ends_at for k in kept] == [None, None, 1795219521.390422, None]
                (waiting,) = store.waiting_payloads(10)
                assert b"TargetDown" in waiting.body
                (refused,) = store.refused_payloads()
                assert (refused.sender, refused.body) == ("token:am", b'{"version":"5"}')
                assert store.alerts_left_out(0, 2e9)[0].most == 3


def later(tmp_path: Path, more: str = "") -> Path:
    migrations = tmp_path / "migrations"
    shutil.copytree(migrate.MIGRATIONS, migrations)
    (migrations / "versions" / "v9999_mood.py").write_text(
        LATER.format(more=more, head=tables.HEAD)
    )
    return migrations


def test_a_later_migration_keeps_every_row(unmade_url: str, tmp_path: Path) -> None:
    with Store(unmade_url) as store:
        for event in made.whole():
            store.record(event)
    database = Database(unmade_url)
    with database.writing() as connection:
        migrate.upgrade(connection, later(tmp_path))
        moods = connection.execute(text("SELECT mood FROM runs")).scalars().all()
        assert (moods, migrate.version(connection)) == (["calm"], "9999")
        count = connection.execute(text("SELECT count(*) FROM activities")).scalar_one()
        assert count == 4
    database.close()


def test_a_migration_that_fails_leaves_the_store_as_it_was(unmade_url: str, tmp_path: Path) -> None:
    with Store(unmade_url) as store:
        for event in made.whole():
            store.record(event)
    database = Database(unmade_url)
    migrations = later(tmp_path, "raise RuntimeError('half way')")
    with pytest.raises(RuntimeError, match="half way"), database.writing() as connection:
        migrate.upgrade(connection, migrations)
    with database.reading() as connection:
        columns = [c["name"] for c in inspect(connection).get_columns("runs")]
        assert ("mood" in columns, migrate.version(connection)) == (False, tables.HEAD)
    database.close()
    with Store(unmade_url) as store:
        assert len(store.run(RUN).activities) == 4


def test_a_percent_sign_in_the_path_of_the_package_is_fine(tmp_path: Path) -> None:
    migrations = tmp_path / "100%"
    shutil.copytree(migrate.MIGRATIONS, migrations)
    engine = create_engine(f"sqlite:///{tmp_path}/x.db")
    with engine.begin() as connection:
        migrate.upgrade(connection, migrations)
        assert migrate.version(connection) == tables.HEAD
    engine.dispose()
