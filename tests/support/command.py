"""The command line as users meet it: a process, its exit code and both outputs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Ran:
    """A finished ``sloguard``."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


def environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment of its own: no user's settings, no colours, a store under ``home``."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SLOGUARD_", "XDG_"))}
    return {
        **kept,
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_RUNTIME_DIR": str(home),
        "PYTHONPATH": str(ROOT),
        "NO_COLOR": "1",
        "COLUMNS": "120",
        **(more or {}),
    }


def _is_read_at_the_start(name: str) -> bool:
    return name.startswith(("PYTHON", "LC_", "LANG")) and name != "PYTHONPATH"


def start(
    *arguments: str | Path,
    home: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[str]:
    """Start ``sloguard`` and do not wait."""
    return subprocess.Popen(
        [sys.executable, "-m", "sloguard", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(home, env),
        cwd=cwd or home,
    )


def sloguard(
    *arguments: str | Path,
    home: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 100,
    fresh: bool = False,
) -> Ran:
    """Run ``sloguard`` to its end.

    In a process that is forked from one that has imported much of it already, unless it has to be a
    ``fresh`` one, or what Python reads when it starts is given.
    """
    if not fresh and not any(_is_read_at_the_start(name) for name in env or ()):
        from tests.support.forked import shared

        return shared().start(*arguments, home=home, env=env, cwd=cwd).wait(timeout)
    process = start(*arguments, home=home, env=env, cwd=cwd)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Ran(process.returncode, out, err)
