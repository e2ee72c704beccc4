"""When an error budget burns so fast that somebody has to know: several windows, several burn rates.

A burn rate of 1 spends the budget exactly by the end of its period. The shares and windows are those of the SRE
workbook ("Alerting on SLOs"), which for a period of 30 days give the well-known factors 14.4, 6, 3 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Severity = Literal["page", "ticket"]
HOUR, DAY = 3600.0, 86400.0
#: The shortest period for which alerts make sense: their windows have to fit into it.
SHORTEST_PERIOD = DAY
#: Windows over which an SLI is recorded, as far as they fit into the period, and the period itself.
WINDOWS = (300.0, 1800.0, HOUR, 2 * HOUR, 6 * HOUR, DAY, 3 * DAY)


@dataclass(frozen=True, slots=True)
class Burn:
    """``share`` of the budget may go within ``long``; ``short`` tells whether it still burns.

    ``factor`` is the burn rate from which on it fires, over both windows.
    """

    severity: Severity
    share: float
    long: float
    short: float
    factor: float = 0.0

    def threshold(self, budget: float) -> float:
        """The share of errors above which it fires."""
        return self.factor * budget


WORKBOOK = (
    Burn("page", 0.02, HOUR, 300.0),
    Burn("page", 0.05, 6 * HOUR, 1800.0),
    Burn("ticket", 0.10, DAY, 2 * HOUR),
    Burn("ticket", 0.10, 3 * DAY, 6 * HOUR),
)


@dataclass(frozen=True, slots=True)
class Burns:
    """What can fire, the fastest first, and why the rest cannot."""

    alerts: tuple[Burn, ...]
    dropped: tuple[str, ...] = ()

    def of(self, severity: Severity) -> tuple[Burn, ...]:
        """Those of one severity."""
        return tuple(burn for burn in self.alerts if burn.severity == severity)


def burns(period: float, budget: float, *, slice_window: float = 0.0) -> Burns:
    """The alerts of a budget (0..1) over a period (s). No window is shorter than a slice.

    A factor is never below 1: such a burn keeps the objective. What no outage could reach is left out, and so
    are windows that are longer than the period.
    """
    kept: list[Burn] = []
    dropped: list[str] = []
    for burn in WORKBOOK:
        factor = max(1.0, round(burn.share * period / burn.long, 6))
        what = f"{burn.severity} over {burn.long / HOUR:g}h"
        if burn.long > period:
            dropped.append(f"{what}: longer than the period")
        elif burn.long < slice_window:
            dropped.append(f"{what}: shorter than a slice")
        elif factor * budget >= 1.0:
            dropped.append(
                f"{what}: even if all fails, the budget burns only {1 / budget:g} times as fast, not {factor:g}"
            )
        else:
            kept.append(replace(burn, factor=factor, short=max(burn.short, slice_window)))
    return Burns(tuple(kept), tuple(dropped))


def windows(period: float, *, slice_window: float = 0.0) -> tuple[float, ...]:
    """The windows to record, ascending; the last one is the period."""
    fitting = {w for w in WINDOWS if slice_window <= w < period}
    return (*sorted(fitting), period)
