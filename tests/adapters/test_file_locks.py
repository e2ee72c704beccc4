"""Locks between processes: one holder, told by name, and gone with its process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sloguard.adapters import locks as module
from sloguard.adapters.locks import FileLocks, LockError, default_directory
from sloguard.host.identity import read_stat
from sloguard.ports import Held, Locks, OutsideError
from tests.fakes.locks import FakeLocks

ROOT = Path(__file__).parents[2]

HOLDER = """
import sys
from pathlib import Path
from sloguard.adapters.locks import FileLocks
locks = FileLocks(Path(sys.argv[1]))
locks.acquire(sys.argv[2:], "run 20260101T000000-other")
print("held", flush=True)
input()
"""
TRY = """
import sys
from pathlib import Path
from sloguard.adapters.locks import FileLocks
from sloguard.ports import OutsideError
try:
    FileLocks(Path(sys.argv[1])).acquire(sys.argv[2:], "run of nobody")
    print("taken")
except OutsideError as error:
    print(type(error).__name__, error)
"""


def start(code: str, *arguments: object, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*before, sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts processes that hold keys, and ends them."""
    started: list[subprocess.Popen[str]] = []

    def hold(*keys: str, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        process = start(HOLDER, tmp_path, *keys, before=before)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n", process.communicate()[1]
        return process

    yield hold
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(params=["files", "fake"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Locks, Locks]]:
    """Two runs' locks: the real ones and the fake that other tests use keep one contract."""
    if request.param == "fake":
        table: dict[str, str] = {}
        yield FakeLocks(table), FakeLocks(table)
        return
    first, second = FileLocks(tmp_path), FileLocks(tmp_path)
    yield first, second
    first.release()
    second.release()


def test_a_key_has_one_holder(pair: tuple[Locks, Locks]) -> None:
    first, second = pair
    first.acquire(["process:4711", "port:80"], "run one")
    with pytest.raises(Held, match="process:4711 is held by run one") as caught:
        second.acquire(["process:4711"], "run two")
    assert caught.value.key == "process:4711"
    second.acquire(["process:1"], "run two")
    first.release()
    second.acquire(["process:4711"], "run two")


def test_all_keys_or_none(pair: tuple[Locks, Locks]) -> None:
    first, second = pair
    second.acquire(["m"], "run two")
    with pytest.raises(Held):
        first.acquire(["a", "m", "z"], "run one")
    second.acquire(["a", "z"], "run two")


def test_taking_more_later_keeps_what_is_held(pair: tuple[Locks, Locks]) -> None:
    first, second = pair
    first.acquire(["a"], "run one")
    first.acquire(["a", "b"], "run one")
    first.acquire([], "run one")
    second.acquire(["c"], "run two")
    with pytest.raises(Held):
        first.acquire(["b", "c", "d"], "run one")
    for key in ("a", "b"):
        with pytest.raises(Held):
            second.acquire([key], "run two")
    second.acquire(["d"], "run two")


def test_releasing_twice_is_fine(pair: tuple[Locks, Locks]) -> None:
    first, second = pair
    first.release()
    first.acquire(["a"], "run one")
    first.release()
    first.release()
    second.acquire(["a"], "run two")


def test_the_holder_is_named_with_pid_and_time(
    tmp_path: Path, holder: Callable[..., subprocess.Popen[str]]
) -> None:
    process = holder("port:80")
    with pytest.raises(Held) as caught:
        FileLocks(tmp_path).acquire(["port:80"], "run one")
    assert f"run 20260101T000000-other, pid {process.pid}, since 20" in caught.value.holder
    assert caught.value.holder.endswith("Z")


def test_a_lock_dies_with_its_process(
    tmp_path: Path, holder: Callable[..., subprocess.Popen[str]]
) -> None:
    process = holder("a", "b")
    process.send_signal(signal.SIGKILL)
    process.wait()
    # What the dead one wrote is still there, and is not believed.
    assert all(json.loads(p.read_text())["pid"] == process.pid for p in tmp_path.iterdir())
    mine = FileLocks(tmp_path)
    mine.acquire(["a", "b"], "run one")
    assert all(json.loads(p.read_text())["pid"] == os.getpid() for p in tmp_path.iterdir())
    mine.release()


def test_a_child_process_does_not_inherit_a_lock(tmp_path: Path) -> None:
    locks = FileLocks(tmp_path)
    locks.acquire(["a"], "run one")
    child = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False
    )
    try:
        locks.release()
        FileLocks(tmp_path).acquire(["a"], "run two")
    finally:
        child.communicate(b"\n")


def test_a_forked_child_neither_keeps_nor_breaks_a_lock(tmp_path: Path) -> None:
    """Without exec: a worker of multiprocessing, say, that outlives its parent."""
    code = """
import os, sys
from pathlib import Path
from sloguard.adapters.locks import FileLocks
locks = FileLocks(Path(sys.argv[1]))
locks.acquire(["a"], "run parent")
if os.fork():
    os.write(1, b"held\\n")
    input()
    os._exit(0)
locks.release()
os.write(1, b"released\\n")
os.close(1)
os.read(int(sys.argv[2]), 1)
"""
    read, write = os.pipe()
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), str(read)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=[read],
    )
    os.close(read)
    try:
        assert parent.stdout is not None
        assert {parent.stdout.readline(), parent.stdout.readline()} == {"held\n", "released\n"}
        with pytest.raises(Held):
            FileLocks(tmp_path).acquire(["a"], "run one")
        parent.kill()
        parent.wait()
        # The child still lives, and has nothing.
        mine = FileLocks(tmp_path)
        mine.acquire(["a"], "run one")
        mine.release()
    finally:
        os.write(write, b".")
        os.close(write)
        parent.communicate()


def test_two_who_want_the_same_at_once_do_not_both_get_it(tmp_path: Path) -> None:
    processes = [start(TRY, tmp_path, "a", "b", "c") for _ in range(4)]
    said = [p.communicate(timeout=60)[0].split()[0] for p in processes]
    assert set(said) <= {"taken", "Held"}
    assert "taken" in said


def test_stale_and_broken_content_is_nobodys(tmp_path: Path) -> None:
    locks = FileLocks(tmp_path)
    stat_of_me = read_stat(os.getpid())
    assert stat_of_me is not None
    alive = {"pid": os.getpid(), "started": stat_of_me.started, "holder": "liar", "since": 1.0}
    for content in (json.dumps(alive), "garbage", "", "[]", '{"pid": "x"}'):
        locks.path("a").write_text(content)
        locks.acquire(["a"], "run one")
        locks.release()


def test_a_holder_that_has_not_said_who_it_is_is_a_holder_all_the_same(
    tmp_path: Path, holder: Callable[..., subprocess.Popen[str]]
) -> None:
    holder("a")
    locks = FileLocks(tmp_path)
    locks.path("a").write_text('{"pid": 1, "started": -1, "holder": "an earlier one", "since": 0}')
    with pytest.raises(Held, match="has not said who it is"):
        locks.acquire(["a"], "run one")


def test_what_another_user_wrote_cannot_write_to_the_terminal(
    tmp_path: Path, holder: Callable[..., subprocess.Popen[str]]
) -> None:
    process = holder("a")
    found = read_stat(process.pid)
    assert found is not None
    locks = FileLocks(tmp_path)
    content = {"pid": process.pid, "started": found.started, "holder": "\x1b[2J\n", "since": 1.0}
    locks.path("a").write_text(json.dumps(content))
    with pytest.raises(Held) as caught:
        locks.acquire(["a"], "run one")
    assert "?[2J?" in caught.value.holder


def test_a_file_that_was_cleared_away_while_it_was_taken_is_made_again(tmp_path: Path) -> None:
    first, second = FileLocks(tmp_path), FileLocks(tmp_path)
    first.acquire(["a"], "run one")
    first.path("a").unlink()
    second.acquire(["a"], "run two")
    with pytest.raises(Held, match="run two"):
        FileLocks(tmp_path).acquire(["a"], "run three")
    second.release()


def test_any_text_is_a_key_and_none_is_a_path(tmp_path: Path) -> None:
    keys = ["../../etc/passwd", "a/b", "", "x" * 10_000, "\ud800", "\0", "kasse ✓"]
    locks = FileLocks(tmp_path)
    locks.acquire(keys, "x" * 10_000)
    assert len(list(tmp_path.iterdir())) == len(keys)
    with pytest.raises(Held, match=f"pid {os.getpid()}"):
        FileLocks(tmp_path).acquire(["\ud800"], "run two")
    locks.release()


def test_no_link_is_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("content")
    locks = FileLocks(tmp_path)
    locks.path("a").symlink_to(target)
    with pytest.raises(LockError, match="cannot be opened"):
        locks.acquire(["a"], "run one")
    assert target.read_text() == "content"


def test_a_pipe_or_directory_in_the_way_is_said(tmp_path: Path) -> None:
    locks = FileLocks(tmp_path)
    os.mkfifo(locks.path("a"))
    locks.path("b").mkdir()
    for key in ("a", "b"):
        with pytest.raises(LockError, match=r"not a file|cannot be opened") as caught:
            locks.acquire([key], "run one")
        assert isinstance(caught.value, OutsideError)
        assert isinstance(caught.value, OSError)


def test_a_new_directory_is_made_and_an_impossible_one_is_an_error(tmp_path: Path) -> None:
    FileLocks(tmp_path / "new" / "one").acquire(["a"], "run one")
    (tmp_path / "file").touch()
    with pytest.raises(LockError, match="check the owner and mode"):
        FileLocks(tmp_path / "file").acquire(["a"], "run one")


def test_the_shared_directory_is_one_that_everybody_may_use() -> None:
    mode = default_directory().stat().st_mode
    assert stat.S_ISDIR(mode)
    assert mode & stat.S_ISVTX
    assert mode & stat.S_IWOTH
    assert FileLocks().path("a").parent == default_directory()


def test_the_shared_directory_does_not_depend_on_who_asks() -> None:
    code = "from sloguard.adapters.locks import default_directory; print(default_directory())"
    environment = {"PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": "/run/user/0", "TMPDIR": "/var/tmp"}
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == str(default_directory())
    assert module.SHARED


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root")
def test_root_and_others_meet() -> None:
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        directory = Path(name)
        directory.chmod(0o1777)
        mine = FileLocks(directory)
        mine.acquire(["a"], "run of root")
        said = start(TRY, directory, "a", before=nobody).communicate(timeout=60)[0]
        assert said.startswith("Held a is held by run of root"), said
        # The other way round: taken by nobody, asked for by root; also where the file is root's.
        mine.release()
        other = start(HOLDER, directory, "a", "b", before=nobody)
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        for key in ("a", "b"):
            with pytest.raises(Held, match=f"run 20260101T000000-other, pid {other.pid}"):
                mine.acquire([key], "run of root")
        other.communicate("\n")
        mine.acquire(["a", "b"], "run of root")
        mine.release()
