"""Situations worth a picture: evidence from a few numbers, judged by the real judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sloguard.core.judge import judge_slo
from sloguard.core.model import PhaseRule, Policy, Slo, Timeline, Tolerance
from sloguard.core.objective import parse_duration, parse_objective
from sloguard.core.results import SloResult
from sloguard.core.series import Matrix, SloEvidence, Surroundings, label_set
from sloguard.core.windows import Grid, pinned_grid

#: 2026-01-01 14:00:00Z
NOON = 1767276000.0


@dataclass(frozen=True)
class Situation:
    """What ``chart`` needs."""

    evidence: SloEvidence
    result: SloResult | None
    timeline: Timeline
    keywords: dict[str, Any] = field(default_factory=dict)


def timeline(before: float = 120, during: float = 60, after: float = 120) -> Timeline:
    return Timeline(NOON - before, NOON, NOON + during, NOON + during + after)


def rule(objective: Any, tolerate: str = "", within: float | None = None) -> PhaseRule:
    allowed = Tolerance(seconds=parse_duration(tolerate), text=tolerate) if tolerate else None
    return PhaseRule(parse_objective(objective), allowed, within)


def slo(
    objective: Any = "< 1%",
    *,
    name: str = "error-ratio",
    before: PhaseRule | None = None,
    during: PhaseRule | None = None,
    after: PhaseRule | None = None,
    pair: bool = True,
    query: str = "",
    no_data: Policy = "inconclusive",
) -> Slo:
    plain = rule(objective)
    queries: dict[str, str] = {"query": query or "value"}
    if pair:
        queries = {
            "bad": 'sum by (service) (rate(http_requests_total{code=~"5.."}[30s]))',
            "total": "sum by (service) (rate(http_requests_total[30s]))",
        }
    return Slo(
        name=name,
        objective=plain.objective,
        before=before or plain,
        during=during or plain,
        after=after or plain,
        no_data=no_data,
        **queries,
    )


def matrix(grid: Grid, series: Mapping[Any, Any]) -> Matrix:
    """``series``: label values by name (a mapping or pairs) -> values; None is an absent sample."""
    labels = tuple(label_set(dict(key)) for key in series)
    rows = [list(values) for values in series.values()]
    shape = (len(rows), grid.count)
    values = np.array([[np.nan if v is None else v for v in row] for row in rows], dtype=float)
    present = np.array([[v is not None for v in row] for row in rows], dtype=bool)
    return Matrix(grid, labels, values.reshape(shape), present.reshape(shape))


def situation(
    declared: Slo,
    series: Mapping[Any, Any],
    marks: Timeline | None = None,
    *,
    step: float = 5.0,
    lookback: float | None = 30.0,
    surroundings: Surroundings | None = None,
    totals: Mapping[Any, Any] | None = None,
    notes: Sequence[str] = (),
    **keywords: Any,
) -> Situation:
    """``series``: of a pair the shares of bad events out of 100 a second (or ``totals``)."""
    marks = marks or timeline()
    grid = pinned_grid(marks, step)
    if declared.is_pair:
        totals = totals or {
            key: [None if v is None else 100.0 for v in row] for key, row in series.items()
        }
        bad = {key: [None if v is None else v * 100.0 for v in row] for key, row in series.items()}
        answers = {"bad": matrix(grid, bad), "total": matrix(grid, totals)}
    else:
        answers = {"query": matrix(grid, series)}
    evidence = SloEvidence(
        declared, grid, answers, lookback, scrape_interval=step, notes=tuple(notes)
    )
    result = judge_slo(evidence, marks, surroundings)
    return Situation(evidence, result, marks, {**keywords, "surroundings": surroundings})


def ages(marks: Timeline, step: float = 5.0) -> np.ndarray:
    """Seconds from the fault of every point."""
    return np.round(pinned_grid(marks, step).times - marks.fault, 3)


def one(**labels: str) -> tuple[tuple[str, str], ...]:
    """A key for ``situation``."""
    return tuple(labels.items())
