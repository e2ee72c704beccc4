"""The releases of the Chaos Toolkit that experiments are compared with: the installed one, and another.

The other one lies in a folder of its own, in front of the installed one on ``PYTHONPATH``:
``SLOGUARD_TEST_CHAOSTOOLKIT`` names it, else it is what scripts/setup.sh has unpacked into the environment.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib.metadata import distributions, version
from pathlib import Path

_NAMED = os.environ.get("SLOGUARD_TEST_CHAOSTOOLKIT", "")
#: Where the other release is looked for.
FOLDER = Path(_NAMED) if _NAMED else Path(sys.prefix) / "chaostoolkit"


@dataclass(frozen=True)
class Release:
    """One release. ``folder``: where it lies; None for the one that is installed."""

    library: str
    folder: Path | None = None

    @property
    def series(self) -> str:
        """Its first two numbers, as in ``1.45``."""
        return ".".join(self.library.split(".")[:2])

    @property
    def name(self) -> str:
        """The side of a comparison on which it stands."""
        return f"chaos {self.series}"

    def path(self, *more: str | Path) -> str:
        """A PYTHONPATH with it in front of everything."""
        return os.pathsep.join(map(str, [*filter(None, [self.folder]), *more]))


def installed() -> Release:
    """The one that is installed."""
    return Release(version("chaostoolkit-lib"))


def other() -> Release | None:
    """The one beside it; None where there is none (``MISSING`` says what to do)."""
    found = [d for d in distributions(path=[str(FOLDER)]) if d.name == "chaostoolkit-lib"]
    return Release(found[0].version, FOLDER) if found else None


MISSING = f"no other release of the Chaos Toolkit in {FOLDER}; scripts/setup.sh test unpacks one"
