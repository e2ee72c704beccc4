"""How far back Prometheus can know anything."""

from __future__ import annotations

import numpy as np

from sloguard.core.model import Timeline
from sloguard.core.windows import pinned_grid
from sloguard.engine.queries import SHORTEST_STEP
from sloguard.ports import Metrics, MetricsError


def missing_history(metrics: Metrics, now: float, before: float) -> float:
    """How much of the last ``before`` seconds Prometheus cannot have: it had not scraped anything yet. Blocking.

    Told by the history of ``up``; where that never existed, there is nothing to tell it by, and
    what the SLOs' own series lack is left to the judge.
    """
    step = max(SHORTEST_STEP, before / 1000)
    grid = pinned_grid(Timeline(now - before, now, now, now), step)
    try:
        there = metrics.range("count(up)", grid).present.any(axis=0)
    except MetricsError:
        return 0.0
    if not there.any():
        return 0.0
    lacking = float(grid.times[int(np.argmax(there))] - grid.first)
    # One missing point may be no more than the resolution of this look.
    return lacking if lacking > step else 0.0
