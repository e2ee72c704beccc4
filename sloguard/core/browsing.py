"""What pages read of the store, in short forms. Times are seconds since the epoch, UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FaultLeft:
    """An injection that is not undone. ``by_hand``: how a person would undo it."""

    run: str
    title: str
    fault: str
    target: str
    status: str
    detail: str
    by_hand: str


@dataclass(frozen=True, slots=True)
class SeriesFound:
    """A series of an SLO in the newest run that judged it."""

    labels: Mapping[str, str]
    slo: str
    verdict: str
    reason: str
    run: str
    title: str
    experiment: str
    started_at: float


@dataclass(frozen=True, slots=True)
class TargetFound:
    """What a fault has hit, in the newest run that did; ``outcome`` None: that has none yet."""

    fault: str
    target: str
    run: str
    title: str
    experiment: str
    started_at: float
    outcome: str | None


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A run's JSON document as it is kept, as text."""

    run: str
    experiment: str
    title: str
    started_at: float
    document: str
