"""Alerts as Alertmanager and Prometheus tell them, and who can be asked for them.

Times are seconds since the epoch, UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sloguard.core.episodes import AlertEpisode, AlertOrigin

__all__ = ["AlertEpisode", "AlertOrigin", "AlertSource"]


class AlertSource(Protocol):
    """Knows which alerts fired when."""

    def episodes(self, start: float, end: float) -> Sequence[AlertEpisode]:
        """Every episode that overlaps [start, end], by its start. Raises OutsideError."""
        ...
