"""What a check knows beside the SLO itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sloguard.core.model import Phases
from sloguard.ports import RecordingRule


@dataclass(frozen=True, slots=True)
class Surroundings:
    """``scrape_interval`` in seconds, None if not known. ``rules``: None if Prometheus was not asked.
    ``observed``: the smallest and the largest value that was seen. ``pushed_jobs``: jobs whose metrics
    come from a push gateway. ``default_step``: the step without an SLO's and a scrape interval."""

    phases: Phases
    scrape_interval: float | None = None
    rules: Sequence[RecordingRule] | None = None
    kills_pods: bool = False
    observed: tuple[float, float] | None = None
    pushed_jobs: frozenset[str] = frozenset()
    default_step: float = 15.0

    def step(self, declared: float | None) -> float:
        """The step of the grid, at least 1 s."""
        return max(1.0, declared or self.scrape_interval or self.default_step)
