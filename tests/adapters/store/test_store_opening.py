"""Opening a store: where there is none, where it must not be, and where it cannot be."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sloguard.adapters.store import Store
from sloguard.adapters.store.errors import (
    NotAStore,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreNotAllowed,
    StoreTooNew,
    StoreUnreachable,
)
from sloguard.adapters.store.tables import HEAD
from tests.support import runs as made
from tests.support.postgresql import PostgreSQL
from tests.support.runs import RUN

ROOT = Path(__file__).parents[3]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def python(code: str, *arguments: object, unprivileged: bool = False) -> str:
    """What a fresh interpreter prints; as nobody if asked, and if that can be."""
    before = []
    if unprivileged:
        if os.geteuid() != 0:
            before = []
        elif shutil.which("setpriv") is None:
            pytest.skip("root may write everywhere, and there is no setpriv to give that up")
        else:
            before = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    done = subprocess.run(
        [*before, sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_new_directories_and_files_are_private(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        path = tmp_path / "a" / "b" / "runs.db"
        with Store(str(path)) as store:
            store.record(made.opening()[0])
            assert {p.name: mode(p) for p in path.parent.iterdir()} == {
                "runs.db": 0o600,
                "runs.db-wal": 0o600,
                "runs.db-shm": 0o600,
            }
        assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "b")) == (0o700, 0o700)
    finally:
        os.umask(old)


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}", "sqlite+pysqlite:///{}"])
def test_a_path_or_a_url_names_the_same_store(tmp_path: Path, form: str) -> None:
    path = tmp_path / "with space, ? # % and ü.db"
    text = form.format(str(path) if form == "{}" else str(path).replace("?", "%3F"))
    if "sqlite" in form:
        text = form.format(tmp_path / "runs.db")
        path = tmp_path / "runs.db"
    with Store(text) as store:
        assert store.where == str(path)
    assert path.exists()


def test_a_home_directory_is_found(tmp_path: Path) -> None:
    code = (
        "import sys; from sloguard.adapters.store import Store; print(Store('~/x/runs.db').where)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(tmp_path / "x" / "runs.db")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite://", "needs a file"),
        (":memory:", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("", "needs a file"),
        ("mysql://user:pass-word@host/db", "cannot be kept in 'mysql'"),
        ("nonsense://", "cannot be kept in 'nonsense'"),
        ("postgresql://user:pass-word@host:port/db", "URL cannot be read"),
    ],
)
def test_what_is_not_a_store_is_refused_without_showing_a_password(url: str, expected: str) -> None:
    with pytest.raises(StoreError, match=expected) as caught:
        Store(url)
    assert "pass-word" not in str(caught.value)


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    for content in (b"title: my experiment\n" * 3, b"x" * 9000):
        path.write_bytes(content)
        with pytest.raises(StoreDamaged, match=r"runs.db: the file is not an SQLite database"):
            Store(str(path))
        assert path.read_bytes() == content


def test_a_damaged_file_is_said_to_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with Store(str(path)) as store:
        for event in made.whole(evidence=[made.make_evidence(series=50)]):
            store.record(event)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)

    def use() -> None:
        with Store(str(path)) as store:
            store.run("latest")

    with pytest.raises(StoreDamaged, match="damaged: move it away"):
        use()


def test_a_directory_a_pipe_and_a_file_in_the_way(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(StoreUnreachable, match="expected the path of one"):
            Store(str(path))
    with pytest.raises(StoreUnreachable, match=r"Not a directory|File exists"):
        Store(str(tmp_path / "file" / "runs.db"))


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE runs (distance)")
    connection.close()
    with pytest.raises(NotAStore, match=r"tables of something else \(runs\)"):
        Store(str(path))


def test_a_newer_schema_is_refused_and_left_alone(url: str) -> None:
    from sqlalchemy import text

    with Store(url) as store, store._database.writing() as connection:
        connection.execute(text("UPDATE sloguard_schema SET version_num = '0099'"))
    with pytest.raises(
        StoreTooNew, match=rf"newer sloguard \(schema 0099; this one knows up to {HEAD}"
    ):
        Store(url)


READ_ONLY = """
import sys
from sloguard.adapters.store import Store, StoreError
try:
    store = Store(sys.argv[1])
    store.beat("nothing")
    print("opened")
except StoreError as error:
    print(type(error).__name__, error)
"""


def test_what_may_not_be_written_says_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(mode(parent) | 0o011)
    with Store(str(tmp_path / "there" / "runs.db")):
        pass
    (tmp_path / "there" / "runs.db").chmod(0o444)
    (tmp_path / "there").chmod(0o555)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty").chmod(0o555)
    for path in ("empty/runs.db", "empty/new/runs.db", "there/runs.db"):
        said = python(READ_ONLY, tmp_path / path, unprivileged=True)
        assert said.startswith("StoreNotAllowed"), said
        assert f"{path.split('/')[0]}" in said
        assert "give yourself write access" in said


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 1 MiB of room."""
    directory = tmp_path / "small"
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", directory],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small file system")
    yield directory
    subprocess.run(["umount", "-l", directory], check=True)


def test_a_full_disk_is_said_and_survived(small_disk: Path) -> None:
    with Store(str(small_disk / "runs.db")) as store:
        store.record(made.opening()[0])
        filler = small_disk / "filler"
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(b"x" * (1 << 21))
        big = made.make_evidence(series=300, points=240)
        with pytest.raises(StoreFull, match=r"runs\.db: .*no room left|runs\.db: the disk"):
            store.record(made.events.EvidenceCollected(1.0, big))
        with pytest.raises(StoreFull):
            fill(store)
        filler.unlink()
        store.begin(RUN, "method[0]")
        assert store.activities(RUN)["method[0]"] == "begun"
        assert store.evidence(RUN) == ()
    assert_sound(small_disk / "runs.db")


def fill(store: Store) -> None:
    for number in range(1000):
        store.begin(RUN, f"method[{number}] {'x' * 4000}")


def test_no_room_at_all_is_said_at_once(small_disk: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "filler").write_bytes(b"x" * (1 << 21))
    with pytest.raises(StoreFull, match=r"runs\.db"):
        Store(str(small_disk / "runs.db"))


LIMITED = """
import resource, signal, sys
from sloguard.adapters.store import Store, StoreError
from tests.support import runs as made
store = Store(sys.argv[1])
store.record(made.opening()[0])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    store.record(made.events.EvidenceCollected(1.0, made.make_evidence(series=300, points=240)))
except StoreError as error:
    print(type(error).__name__, error)
"""


def test_a_limit_on_the_size_of_files_is_said(tmp_path: Path) -> None:
    assert resource.RLIMIT_FSIZE is not None
    assert signal.SIGXFSZ
    said = python(LIMITED, tmp_path / "runs.db")
    assert said.startswith("StoreFull")
    assert "quota, size limit" in said
    assert_sound(tmp_path / "runs.db")


def assert_sound(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


LIGHT = """
import sys
import sloguard.adapters.store
heavy = {"sqlalchemy", "alembic", "psycopg"} & set(sys.modules)
print(sorted(heavy))
store = sloguard.adapters.store.Store(sys.argv[1])
heavy = {"alembic", "psycopg", "psutil", "mako", "sqlalchemy.dialects.postgresql", "sqlalchemy.orm"}
print(sorted(heavy & set(sys.modules)))
"""


def test_nothing_heavy_is_loaded_before_it_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with Store(str(path)):
        pass
    assert python(LIGHT, path).splitlines() == ["[]", "[]"]


def test_the_ledger_is_flushed_to_disk_and_the_rest_follows(tmp_path: Path) -> None:
    """2 is FULL: every commit is flushed. 1 is NORMAL: with the next flush."""
    from sqlalchemy import text

    with Store(str(tmp_path / "runs.db")) as store:
        for durable, level in ((True, 2), (False, 1)):
            with store._database.writing(durable=durable) as connection:
                pragmas = ("synchronous", "journal_mode", "foreign_keys", "busy_timeout")
                found = [connection.execute(text(f"PRAGMA {p}")).scalar_one() for p in pragmas]
            assert found == [level, "wal", 1, 30_000]


def test_on_postgresql_only_events_may_wait_for_the_disk(postgresql: PostgreSQL) -> None:
    from sqlalchemy import text

    with Store(postgresql.new_database()) as store:
        for durable, setting in ((True, "on"), (False, "off")):
            with store._database.writing(durable=durable) as connection:
                assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == setting
        with store._database.reading() as connection:
            assert connection.execute(text("SHOW transaction_read_only")).scalar_one() == "on"


def test_postgresql_errors_say_what_to_do(postgresql: PostgreSQL) -> None:
    host = postgresql.directory
    with pytest.raises(StoreUnreachable, match=r"no such database|does not exist"):
        Store(f"postgresql://tester:pass-word@/nothing?host={host}")
    with pytest.raises(StoreError) as caught:
        Store(f"postgresql://nobody:pass-word@/postgres?host={host}")
    assert "pass-word" not in str(caught.value)
    with pytest.raises(StoreUnreachable, match="check the address") as caught:
        Store(f"postgresql://tester:pass-word@/postgres?host={host}/nowhere")
    assert "pass-word" not in str(caught.value)
    assert isinstance(caught.value, StoreUnreachable)


def test_a_postgresql_user_without_rights_is_told(postgresql: PostgreSQL) -> None:
    url = postgresql.new_database()
    postgresql.execute("CREATE ROLE guest LOGIN")
    with pytest.raises(StoreNotAllowed, match="grant the rights"):
        Store(url.replace("tester@", "guest@"))


def test_a_postgresql_connection_that_was_cut_is_made_again(postgresql: PostgreSQL) -> None:
    url = postgresql.new_database()
    with Store(url) as store:
        store.record(made.opening()[0])
        postgresql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sloguard'"
        )
        store.begin(RUN, "method[0]")
        assert store.activities(RUN) == {"method[0]": "begun"}
