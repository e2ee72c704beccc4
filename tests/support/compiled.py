"""Compiles everything once, before many processes would each do it for themselves.

``python -m tests.support.compiled``. Each worker of pytest rewrites the assertions of all tests when it collects
them, unless it finds them rewritten; here every processor takes a part.
"""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_TAIL = f".{sys.implementation.cache_tag}-pytest-{pytest.__version__}.pyc"


def main() -> None:
    """Do what is not done yet. What does not compile is for its test to tell."""
    for folder in ("sloguard", "tests/fakes", "tests/support"):
        compileall.compile_dir(ROOT / folder, quiet=2)
    stale = [str(path) for path in sorted(ROOT.glob("tests/**/test_*.py")) if _is_stale(path)]
    processors = len(os.sched_getaffinity(0))
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    collecting = [
        subprocess.Popen(
            [sys.executable, "-m", "pytest", "--collect-only", "-q", *part],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for part in (stale[number::processors] for number in range(processors))
        if part
    ]
    for process in collecting:
        process.wait()


def _is_stale(path: Path) -> bool:
    made = path.parent / "__pycache__" / f"{path.stem}{_TAIL}"
    return not made.exists() or made.stat().st_mtime < path.stat().st_mtime


if __name__ == "__main__":
    main()
