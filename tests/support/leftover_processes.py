"""Who still mentions a directory on its command line."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.support.patience import PATIENCE


def mentioning(directory: str) -> list[int]:
    """Pids of living processes (not this one) whose command line holds ``directory``."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            line = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if directory in line:
            found.append(int(entry.name))
    return found


def wait_until_gone(directory: str, seconds: float = PATIENCE) -> None:
    """Fails unless ``directory`` and all that mention it are gone in time."""
    deadline = time.monotonic() + seconds
    while mentioning(directory) or Path(directory).exists():
        assert time.monotonic() < deadline, (
            f"left behind: pids {mentioning(directory)}, directory: {Path(directory).exists()}"
        )
        time.sleep(0.05)
