"""A service level as an experiment's SLO: the same promise, looked at over minutes.

- A share of events becomes a pair; its objective is ``<= 1 - target``. Of slices of time it is what a slice may lose
  (``<= 1 - timeSliceTarget``). A raw ratio and a threshold are queries.
- Counters and placeholders get a short range that the phases allow; a query with a range of its own keeps it.
- ``target`` and ``period`` come along, for the error budget; what is left of a budget of slices is asked of the
  generated rules.
"""

from __future__ import annotations

import math
import re
from typing import Any

from sloguard.core.model import Phases
from sloguard.core.objective import format_share
from sloguard.core.service_levels import (
    BUDGET_LEFT,
    SERVICE_LABEL,
    SLO_LABEL,
    Budgeting,
    ServiceLevel,
    complement,
)
from sloguard.promql.inspection import inspect
from sloguard.promql.tree import Call
from sloguard.promql.windowed import over, quoted, window_text

#: The longest range that is chosen, seconds, however long the phases are.
_LONGEST = 300.0
#: What substitution would take for a variable, or for an escaped dollar.
_DOLLAR = re.compile(r"\$(?=\$|\{[_a-zA-Z][_a-zA-Z0-9]*\}|[_a-zA-Z])")


def fitting_lookback(phases: Phases, scrape_interval: float) -> float:
    """A range (s) that sees a phase by itself: a quarter of the shortest one, at least four scrapes.

    Where both cannot be had it is half of the phase at most: a lookback as long as the fault averages it away.
    """
    lengths = [length for length in (phases.before, phases.during, phases.after) if length > 0]
    shortest = min(lengths, default=_LONGEST)
    chosen, scrapes = min(shortest / 4, _LONGEST), 4 * scrape_interval
    if chosen < scrapes:
        chosen = min(scrapes, shortest / 2)
    return max(1.0, float(math.floor(chosen)))


def as_slo(level: ServiceLevel, lookback: float) -> dict[str, Any]:
    """The SLO as a file would write it; its counters are looked at over ``lookback`` seconds."""
    indicator = level.indicator
    window = window_text(lookback)
    queries: dict[str, Any] = {}
    for role, query in indicator.queries.items():
        key = "query" if role in ("raw", "threshold") else role
        queries[key] = _DOLLAR.sub("$$", over(query, window, counter=indicator.counter))
    made = {
        "name": level.name,
        **queries,
        "objective": objective(level),
        "target": level.target,
        "period": window_text(level.period),
    }
    if level.budgeting is not Budgeting.OCCURRENCES:
        # Of slices of time no query of moments or events tells what is left; the generated rules record it.
        left = f"{BUDGET_LEFT}{{{SLO_LABEL}={quoted(level.name)}}}"
        made["budget_left"] = f"max without ({SLO_LABEL}, {SERVICE_LABEL}) ({left})"
    return made


def objective(level: ServiceLevel) -> str:
    """What has to hold of the values at any point."""
    indicator = level.indicator
    if indicator.threshold is not None:
        return f"{level.op} {level.value:.15g}{_unit(indicator.threshold)}"
    target = level.target
    if level.budgeting is Budgeting.TIMESLICES:
        target = level.slice_target
    if indicator.raw is not None and not indicator.raw_is_failure:
        return f">= {format_share(target)}"
    return f"<= {format_share(complement(target))}"


def _unit(query: str) -> str:
    """Seconds, for people, where a quantile of a histogram of seconds is asked for."""
    read = inspect(over(query, "5m", counter=False))
    quantile = isinstance(read.tree, Call) and read.tree.function == "histogram_quantile"
    return "s" if quantile and all(m.endswith("_seconds_bucket") for m in read.metrics) else ""
