"""Files that are never half-written."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

_NOT_A_FILE = "it is not a regular file"


def write_atomically(path: str | Path, data: bytes) -> None:
    """Make ``data`` the whole content of a file, durably: readers see the old or the new one.

    Makes missing directories. Raises OSError, with the old content left as it was.
    """
    if os.path.abspath(path).startswith(("/dev/", "/proc/")):
        # What they lead to is open elsewhere: a new file in its place would be read by nobody.
        raise OSError(None, _NOT_A_FILE)
    # A link stays a link, and what it points to is replaced.
    target = Path(os.path.realpath(path))
    mode = _mode_of(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f".{target.name[:100]}.{secrets.token_hex(4)}.tmp"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        with os.fdopen(descriptor, "wb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _flush_directory(target.parent)


def _mode_of(target: Path) -> int | None:
    """The mode to keep, if there is a file; replacing a device or a pipe would do harm."""
    try:
        found = target.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise OSError(None, _NOT_A_FILE)
    return stat.S_IMODE(found.st_mode)


def _flush_directory(directory: Path) -> None:
    # Some file systems cannot; the file itself is safe by then.
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
