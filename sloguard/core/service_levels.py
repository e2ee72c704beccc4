"""Service levels as SLO files declare them: what is measured, what is promised over which period.

An experiment's SLO (``core.model.Slo``) is judged over minutes; a service level is kept over weeks, and both are made
from the same declaration. Shares are 0..1, durations seconds, queries PromQL as written (a placeholder such as
``{{.window}}`` may stand for a range).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

#: What rules call the share of the budget that is left, and the labels that they put on every series of a level.
BUDGET_LEFT = "slo:period_error_budget_remaining:ratio"
SLO_LABEL, SERVICE_LABEL = "slo", "slo_service"


class Budgeting(StrEnum):
    """What is counted against the budget: events, bad slices of time, or what each slice lost."""

    OCCURRENCES = "Occurrences"
    TIMESLICES = "Timeslices"
    RATIO_TIMESLICES = "RatioTimeslices"


@dataclass(frozen=True, slots=True)
class Indicator:
    """How good is told from bad. One of ``threshold``; ``total`` with ``good`` or ``bad``; ``raw``.

    ``counter``: the queries select counters. ``raw``: a ratio that is computed already, of failures or successes.
    ``threshold``: values that are held against the level's ``op`` and ``value``.
    """

    total: str | None = None
    good: str | None = None
    bad: str | None = None
    raw: str | None = None
    threshold: str | None = None
    counter: bool = False
    raw_is_failure: bool = True

    @property
    def queries(self) -> dict[str, str]:
        """The queries by role."""
        roles = {
            "total": self.total,
            "good": self.good,
            "bad": self.bad,
            "raw": self.raw,
            "threshold": self.threshold,
        }
        return {role: text for role, text in roles.items() if text is not None}


@dataclass(frozen=True, slots=True)
class ServiceLevel:
    """One objective of one SLO. ``name`` is unique; ``slo`` is the SLO's, which may have several objectives.

    ``op`` and ``value`` are a threshold's: a value is good where ``value op bound`` holds. ``slice_window`` and
    ``slice_target`` are of the methods that count slices: a slice is good with at least this share of good.
    ``labels`` go to alerts; ``source`` is the file, as it was named.
    """

    name: str
    indicator: Indicator
    target: float
    period: float
    slo: str = ""
    service: str = ""
    budgeting: Budgeting = Budgeting.OCCURRENCES
    display_name: str = ""
    description: str = ""
    op: str = ""
    value: float = 0.0
    slice_target: float = 1.0
    slice_window: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    source: str = ""

    @property
    def budget(self) -> float:
        """The share that may be bad over the period."""
        return complement(self.target)


def complement(share: float) -> float:
    """1 - share, as people write it: of 0.999 it is 0.001 and nothing beside it."""
    return round(1.0 - share, 12)
