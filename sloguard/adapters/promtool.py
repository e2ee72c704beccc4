"""promtool, the command beside Prometheus that checks files of rules and runs their unit tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sloguard.ports import OutsideError

#: Unit tests of many rules over many hours take a while; more than this is a hang.
DEADLINE = 600.0
_LARGEST = 100_000


class PromtoolError(OutsideError):
    """promtool is not there, or does not come to an end."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What promtool said, and whether all was well."""

    good: bool
    said: str


class Promtool:
    """Runs promtool; ``path`` names it, else it is looked for in PATH. Raises PromtoolError where it is not."""

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        given = None if path is None else os.fspath(path)
        found = shutil.which(given or "promtool")
        if found is None:
            where = "in PATH" if given is None else f"at {given}"
            raise PromtoolError(
                f"promtool is not {where}; it comes with Prometheus (Debian, Ubuntu: apt-get install prometheus)"
            )
        self.path = found

    def check_rules(self, files: Sequence[Path]) -> Checked:
        """``promtool check rules``: syntax, names, twins."""
        return self._run("check", "rules", *map(str, files))

    def test_rules(self, files: Sequence[Path]) -> Checked:
        """``promtool test rules``: the unit tests of these files. The rules that they name are relative to them."""
        return self._run("test", "rules", *map(str, files))

    def _run(self, *arguments: str) -> Checked:
        try:
            done = subprocess.run(
                [self.path, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=DEADLINE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise PromtoolError(f"promtool did not end within {DEADLINE:g} s") from None
        except OSError as error:
            raise PromtoolError(f"{self.path} cannot be run: {error.strerror}") from error
        text = b"\n".join(part for part in (done.stdout, done.stderr) if part.strip())
        said = text[:_LARGEST].decode("utf-8", "replace")
        return Checked(done.returncode == 0, re.sub(r"\n{2,}", "\n", said).strip())
