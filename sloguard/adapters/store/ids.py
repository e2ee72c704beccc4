"""Names of runs: sortable by time, short enough to type, never the same twice."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime


def new_run_id(at: float) -> str:
    """``20261121T031500-ab12cd`` for a run that starts at ``at`` (seconds since the epoch)."""
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
