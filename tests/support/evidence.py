"""Evidence written by hand: points are named by their seconds from the fault, as in the contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from sloguard.core.judge import judge_slo
from sloguard.core.model import PhaseRule, Slo, Timeline, Tolerance
from sloguard.core.objective import parse_objective
from sloguard.core.results import SloResult
from sloguard.core.series import LabelSet, Matrix, SloEvidence, Surroundings, label_set
from sloguard.core.windows import Grid, pinned_grid

FAULT = 1_767_268_800.0  # 2026-01-01T12:00:00Z

Curve = Callable[[float], float | None] | Mapping[float, float | None] | float


def marks(before: float = 60, during: float = 60, after: float = 120) -> Timeline:
    """A timeline around the fault at 12:00:00Z."""
    return Timeline(FAULT - before, FAULT, FAULT + during, FAULT + during + after)


def rule(objective: str, tolerate: float | str | None = None, **more: float) -> PhaseRule:
    """A phase's rule; ``tolerate`` in seconds or as '20%'."""
    tolerance = None
    if isinstance(tolerate, str):
        tolerance = Tolerance(share=float(tolerate.rstrip("%")) / 100)
    elif tolerate is not None:
        tolerance = Tolerance(seconds=float(tolerate))
    return PhaseRule(parse_objective(objective), tolerance, **more)


def slo(
    objective: str = "< 1%",
    *,
    before: PhaseRule | None = None,
    during: PhaseRule | None = None,
    after: PhaseRule | None = None,
    pair: str | None = None,
    **more: object,
) -> Slo:
    """A query, or with ``pair='bad'``/``'good'`` a pair."""
    plain = rule(objective)
    queries = {"query": "q"} if pair is None else {"total": "t", pair: "p"}
    return Slo(
        name="slo",
        objective=parse_objective(objective),
        before=before or plain,
        during=during or plain,
        after=after or plain,
        **queries,
        **more,  # type: ignore[arg-type]  # tests name the fields they set
    )


def matrix(
    grid: Grid, series: Mapping[str, Curve] | Sequence[tuple[Mapping[str, str], Curve]]
) -> Matrix:
    """Series by name (a ``service`` label) or by labels; None is no sample."""
    pairs = (
        [(({"service": name} if name else {}), curve) for name, curve in series.items()]
        if isinstance(series, Mapping)
        else list(series)
    )
    labels: list[LabelSet] = []
    values = np.full((len(pairs), grid.count), np.nan)
    present = np.zeros((len(pairs), grid.count), dtype=bool)
    for row, (names, curve) in enumerate(pairs):
        labels.append(label_set(names))
        for column, at in enumerate(grid.times):
            value = _at(curve, round(at - FAULT, 3))
            if value is not None:
                values[row, column], present[row, column] = value, True
    return Matrix(grid, tuple(labels), values, present)


def _at(curve: Curve, seconds: float) -> float | None:
    if callable(curve):
        return curve(seconds)
    if isinstance(curve, Mapping):
        return curve.get(seconds, 0.0)
    return float(curve)


def between(low: float, high: float, value: float | None, otherwise: float | None = 0.0) -> Curve:
    """``value`` from ``low`` to ``high`` (inclusive seconds from the fault), else ``otherwise``."""
    return lambda t: value if low <= t <= high else otherwise


def evidence_of(
    declared: Slo,
    timeline: Timeline,
    answers: Mapping[str, Mapping[str, Curve] | Sequence[tuple[Mapping[str, str], Curve]]],
    *,
    lookback: float | None = 0.0,
    step: float = 5.0,
    same_metric: bool = True,
    scrape_interval: float | None = None,
) -> SloEvidence:
    """Evidence with every answer on the pinned grid."""
    grid = pinned_grid(timeline, step)
    return SloEvidence(
        slo=declared,
        grid=grid,
        answers={role: matrix(grid, series) for role, series in answers.items()},
        lookback=lookback,
        same_metric=same_metric,
        scrape_interval=scrape_interval,
    )


def judged(
    declared: Slo,
    series: Mapping[str, Curve] | Curve | None = None,
    *,
    timeline: Timeline | None = None,
    total: Mapping[str, Curve] | Curve | None = None,
    part: Mapping[str, Curve] | Curve | None = None,
    lookback: float | None = 0.0,
    step: float = 5.0,
    same_metric: bool = True,
    surroundings: Surroundings | None = None,
    declared_after: float = 120.0,
) -> SloResult:
    """Judge a query's series, or a pair's ``total`` and ``part``. A bare curve is one series."""
    timeline = timeline or marks()

    def named(given: Mapping[str, Curve] | Curve | None) -> Mapping[str, Curve]:
        if given is None:
            return {}
        if isinstance(given, Mapping) and all(isinstance(k, str) for k in given):
            return given  # type: ignore[return-value]  # keys are names, not seconds
        return {"shop": given}  # type: ignore[dict-item]  # a bare curve

    roles = {"query": named(series)}
    if declared.is_pair:
        roles = {"total": named(total), "bad" if declared.bad else "good": named(part)}
    evidence = evidence_of(
        declared, timeline, roles, lookback=lookback, step=step, same_metric=same_metric
    )
    return judge_slo(evidence, timeline, surroundings, declared_after)
