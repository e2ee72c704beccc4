"""Locks between runs on one machine: the kernel's own (flock), so that a lock dies with its process."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import stat
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from sloguard.core.text import iso_time
from sloguard.host.identity import read_stat
from sloguard.ports import Held, OutsideError

#: The same for every user, whatever their environment says, so that root and others meet.
SHARED = (Path("/run/lock"), Path("/var/lock"), Path("/tmp"))  # noqa: S108 - sticky, and checked to be
_MOST_TEXT = 300
#: Room for both texts with every character escaped.
_MOST_CONTENT = 8192
#: A holder writes its name right after it has the lock; this is how long a reader waits for that.
_NAME_SECONDS = 0.2


class LockError(OutsideError, OSError):
    """A lock could be neither taken nor found held: the directory or the file does not let us."""


def default_directory() -> Path:
    """The first directory that everybody may write to and nobody may clear out (sticky)."""
    for directory in SHARED:
        try:
            mode = directory.stat().st_mode
        except OSError:
            continue
        if stat.S_ISDIR(mode) and mode & stat.S_ISVTX and mode & stat.S_IWOTH:
            return directory
    return Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())


class FileLocks:
    """ports.Locks with one file a key. Any thread may call; one object belongs to one run.

    Keys of any text; the file's name is their hash, its content says who holds it, and counts only
    while the kernel says that somebody does.
    """

    def __init__(
        self, directory: Path | None = None, *, now: Callable[[], float] = time.time
    ) -> None:
        self._directory = directory
        self._now = now
        self._held: dict[str, int] = {}
        self._guard = threading.Lock()
        _OPEN.add(self)

    def acquire(self, keys: Iterable[str], holder: str) -> None:
        """Take all keys or none, without waiting; keys that this object has already are fine.

        Raises Held, or LockError where it cannot be told.
        """
        with self._guard:
            taken: dict[str, int] = {}
            try:
                # In one order, so that two who want the same keys cannot stop each other.
                for key in sorted(set(keys) - self._held.keys()):
                    taken[key] = self._take(key, holder)
            except BaseException:
                for descriptor in taken.values():
                    _give_back(descriptor)
                raise
            self._held.update(taken)

    def release(self) -> None:
        """Give back all that was taken."""
        with self._guard:
            while self._held:
                _give_back(self._held.popitem()[1])

    def path(self, key: str) -> Path:
        """Where the lock of a key is."""
        name = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return (self._directory or default_directory()) / f"sloguard-{name}.lock"

    def forget_after_fork(self) -> None:
        """In a forked child: the lock is the parent's alone, and ends with it."""
        self._guard = threading.Lock()
        for descriptor in self._held.values():
            # Closing a copy leaves the parent's lock alone; unlocking would not.
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._held.clear()

    def _take(self, key: str, holder: str) -> int:
        path = self.path(key)
        while True:
            descriptor = _open(path)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                name = _holder(descriptor)
                os.close(descriptor)
                raise Held(key, name) from None
            except OSError as error:
                os.close(descriptor)
                raise LockError(f"the lock {path} cannot be taken: {error.strerror}") from error
            if _is_still(descriptor, path):
                break
            # Somebody has cleared the file away between the two calls.
            os.close(descriptor)
        _write(
            descriptor,
            {"key": key[:_MOST_TEXT], "holder": holder[:_MOST_TEXT], "since": self._now()},
        )
        return descriptor


def _open(path: Path) -> int:
    flags = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        # Without O_CREAT first: the kernel may refuse that on a file of another user in a sticky
        # directory, even to root. Reading rights are enough to lock.
        for mode in (os.O_RDWR, os.O_RDONLY):
            try:
                return _checked(os.open(path, flags | mode), path)
            except PermissionError:
                continue
            except FileNotFoundError:
                return _create(path, flags)
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except LockError:
        raise
    except OSError as error:
        raise LockError(
            f"the lock {path} cannot be opened: {error.strerror}; "
            "check the owner and mode of the file and its directory"
        ) from error


def _create(path: Path, flags: int) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, flags | os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return _open(path)
    # Other users lock the same file, whatever the umask says.
    with contextlib.suppress(OSError):
        os.fchmod(descriptor, 0o666)
    return descriptor


def _checked(descriptor: int, path: Path) -> int:
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise LockError(f"the lock {path} is not a file: remove it")


def _is_still(descriptor: int, path: Path) -> bool:
    ours = os.fstat(descriptor)
    try:
        there = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)


def _write(descriptor: int, content: Mapping[str, Any]) -> None:
    pid = os.getpid()
    found = read_stat(pid)
    full = {**content, "pid": pid, "started": found.started if found else 0}
    # Who holds it is told for people; the lock itself does not depend on it (a full disk, a file
    # that may only be read).
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(full).encode(), 0)


def _give_back(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
    # Closing alone would not do: a child process that is just being started still has a copy.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _holder(descriptor: int) -> str:
    """Who holds a lock that was found held."""
    deadline = time.monotonic() + _NAME_SECONDS
    while True:
        content = _content(descriptor)
        if content is not None:
            return f"{content['holder']}, pid {content['pid']}, since {iso_time(content['since'])}"
        if time.monotonic() > deadline:
            return "another process that has not said who it is"
        time.sleep(0.01)


def _content(descriptor: int) -> Mapping[str, Any] | None:
    """What the file says, if the process that wrote it still runs: else it is an earlier holder's."""
    try:
        found = json.loads(os.pread(descriptor, _MOST_CONTENT, 0))
        process = read_stat(int(found["pid"]))
        if process is None or process.started != found["started"]:
            return None
        return {
            # Written by another user, perhaps, and about to be shown on a terminal.
            "holder": "".join(c if c.isprintable() else "?" for c in str(found["holder"])),
            "pid": int(found["pid"]),
            "since": float(found["since"]),
        }
    except (OSError, ValueError, KeyError, TypeError):
        return None


_OPEN: weakref.WeakSet[FileLocks] = weakref.WeakSet()


def _after_fork() -> None:
    for locks in list(_OPEN):
        locks.forget_after_fork()


os.register_at_fork(after_in_child=_after_fork)
