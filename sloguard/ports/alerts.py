"""Alerts as Prometheus and Alertmanager tell them, and who can be asked for them.

Times are seconds since the epoch, UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

#: Who told of an alert. A webhook and Alertmanager's API know its start to the millisecond; Prometheus's
#: own series only to a step.
AlertOrigin = Literal["webhook", "alertmanager", "prometheus"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEpisode:
    """One alert from its start to its end: the same labels fire again as another episode.

    ``labels`` hold ``alertname``. ``ends_at`` None: it still fires, as far as is known. ``fingerprint``:
    Alertmanager's for these labels; empty where only Prometheus was asked. ``received_at``: when this was
    first heard of; None where it was asked for.
    """

    labels: Mapping[str, str]
    starts_at: float
    ends_at: float | None = None
    fingerprint: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    generator_url: str = ""
    origin: AlertOrigin = "prometheus"
    received_at: float | None = None

    @property
    def name(self) -> str:
        """Its alertname; empty if it has none."""
        return self.labels.get("alertname", "")


class AlertSource(Protocol):
    """Knows which alerts fired when."""

    def episodes(self, start: float, end: float) -> Sequence[AlertEpisode]:
        """Every episode that overlaps [start, end], by its start. Raises OutsideError."""
        ...
