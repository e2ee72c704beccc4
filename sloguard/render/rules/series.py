"""Names of the recorded series, and how they are picked."""

from __future__ import annotations

from collections.abc import Mapping

from sloguard.core.service_levels import (
    BUDGET_LEFT,
    SERVICE_LABEL,
    SLO_LABEL,
    ServiceLevel,
)
from sloguard.promql.windowed import quoted, window_text

#: The share of bad over a window; the window's text follows.
ERROR_RATIO = "slo:sli_error:ratio_rate"
#: What the shares of long windows are added up from: per second, or as the queries tell it.
ERRORS = {True: "slo:sli_errors:rate5m", False: "slo:sli_errors:value"}
EVENTS = {True: "slo:sli_events:rate5m", False: "slo:sli_events:value"}
#: A share that is told at each moment; that of one slice of time.
SHARE = "slo:sli_error:value"
SLICE = "slo:sli_error:slice"
OBJECTIVE = "slo:objective:ratio"
BUDGET = "slo:error_budget:ratio"
PERIOD = "slo:time_period:days"
CURRENT_BURN = "slo:current_burn_rate:ratio"
PERIOD_BURN = "slo:period_burn_rate:ratio"
REMAINING = BUDGET_LEFT
INFO = "slo:info"
ALERT = "SloErrorBudgetBurn"


def labels_of(level: ServiceLevel) -> dict[str, str]:
    """What every series of a level bears."""
    made = {SLO_LABEL: level.name}
    if level.service:
        made[SERVICE_LABEL] = level.service
    return made


def ratio_name(window: float) -> str:
    """``slo:sli_error:ratio_rate5m``."""
    return f"{ERROR_RATIO}{window_text(window)}"


def picked(name: str, level: ServiceLevel) -> str:
    """A recorded series of a level: ``name{slo="…"}``."""
    return f"{name}{{{SLO_LABEL}={quoted(level.name)}}}"


def number(value: float) -> str:
    """A number as PromQL reads it, as short as it can be."""
    return f"{value:.12g}"


def record(name: str, expr: str, labels: Mapping[str, str]) -> dict[str, object]:
    """A recording rule."""
    return {"record": name, "expr": expr, "labels": dict(labels)}
