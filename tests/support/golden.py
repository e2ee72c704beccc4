"""Outputs held against files that people have read. ``SLOGUARD_GOLDEN=write`` writes them anew."""

from __future__ import annotations

import os
from pathlib import Path

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def same_as_golden(name: str, text: str) -> None:
    """Assert that ``text`` is what tests/golden/NAME says."""
    file = GOLDEN / name
    if os.environ.get("SLOGUARD_GOLDEN") == "write":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8"), f"tests/golden/{name} says something else"
