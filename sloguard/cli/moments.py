"""Times on the command line."""

from __future__ import annotations

import time
from datetime import datetime

from sloguard.cli.common import fail


def moment(text: str | None, option: str, *, now: float | None = None) -> float | None:
    """Seconds since the epoch, UTC. A time without a zone is refused: nobody can tell what it means."""
    if text is None:
        return None
    now = time.time() if now is None else now
    stripped = text.strip()
    if stripped == "now":
        return now
    if stripped.startswith("-"):
        return now - _ago(stripped[1:], text, option)
    try:
        return float(stripped)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(stripped)
    except ValueError:
        fail(f"{option}: '{text}' is not a time; expected 2026-01-01T12:00:00Z, seconds, or -10m")
    if found.tzinfo is None:
        fail(
            f"{option}: '{text}' has no zone; write {found.isoformat()}Z for UTC, or +02:00 and the like"
        )
    return found.timestamp()


def _ago(duration: str, text: str, option: str) -> float:
    from sloguard.core.objective import ObjectiveError, parse_duration

    try:
        return parse_duration(duration)
    except ObjectiveError:
        fail(f"{option}: '{text}' is not a time; expected a duration before now such as -10m")
