"""Results of many SLOs in bounded memory: the worst series as rows, the others counted, no samples.

What is left of an SLO once its samples are let go. How many rows an SLO may keep follows from how many
series all of them have, and not from the order in which they are judged: as many as fit into the limit when
every SLO keeps the same number at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from sloguard.core.arrays import Bools, Ints
from sloguard.core.budget_limits import judge_guard
from sloguard.core.deciding import NOT_JUDGED
from sloguard.core.model import Budget, PhaseName, Timeline, Verdict
from sloguard.core.results import Omitted, SeriesResult, SloResult
from sloguard.core.rows import VERDICTS, JudgedSeries
from sloguard.core.series import LabelSet

#: Rows that the results of one judgement keep, unless somebody asks for more.
MOST_ROWS = 10_000


@dataclass(slots=True)
class _Slo:
    """One SLO; ``rows`` with the place of each by its labels, the worst first."""

    result: SloResult
    count: int
    rows: list[tuple[int, SeriesResult]]
    omitted: Omitted


class Condensed:
    """Takes results one by one, each with its samples, and keeps them without."""

    def __init__(
        self,
        limit: int = MOST_ROWS,
        *,
        budget: Budget | None = None,
        timeline: Timeline | None = None,
    ) -> None:
        self._limit, self._budget, self._timeline = max(limit, 1), budget, timeline
        self._slos: list[_Slo] = []
        self._all = 0

    def add(self, result: SloResult) -> None:
        """The samples of ``result`` are needed no more once this returns."""
        count = len(result.series)
        self._all += count
        most = self._most(count)
        self._slos.append(self._kept(result, most))
        if self._all > self._limit:
            for slo in self._slos:
                _trim(slo, most)

    def results(self) -> tuple[SloResult, ...]:
        """All of them, in the order in which they came; their series in the order of their labels."""
        return tuple(
            replace(
                slo.result,
                series=tuple(row for _, row in sorted(slo.rows, key=lambda one: one[0])),
                omitted=slo.omitted if slo.omitted.count else None,
            )
            for slo in self._slos
        )

    def _most(self, count: int) -> int:
        """How many rows an SLO may keep, with one more of ``count`` series; at least 1."""
        if self._all <= self._limit:
            return self._limit
        left, counts = self._limit, sorted([*(slo.count for slo in self._slos), count])
        for place, size in enumerate(counts):
            share = left // (len(counts) - place)
            if size > share:
                return max(share, 1)
            left -= size
        return self._limit

    def _kept(self, result: SloResult, most: int) -> _Slo:
        series, evidence = result.series, result.evidence
        light = replace(
            result,
            series=(),
            evidence=replace(evidence, answers={}),
            guard=self._guard(result),
            baselines=_baselines(result),
        )
        if not isinstance(series, JudgedSeries):
            return _Slo(light, len(series), list(enumerate(series)), Omitted())
        ranked = _ranked(result, series)
        places = {int(row): place for place, row in enumerate(series.order)}
        rows = [(places[row], series.row(row)) for row in ranked[:most].tolist()]
        return _Slo(light, len(series), rows, _omitted(series, ranked[most:]))

    def _guard(self, result: SloResult) -> Mapping[str, object] | None:
        """What can be told of the budget's guard from samples alone."""
        limits, timeline, slo = self._budget, self._timeline, result.evidence.slo
        if limits is None or timeline is None or not limits.guards or not limits.of([slo]):
            return None
        return judge_guard(limits, result, timeline)


def _trim(slo: _Slo, most: int) -> None:
    for _, row in slo.rows[most:]:
        slo.omitted = _with(slo.omitted, row)
    del slo.rows[most:]


def _baselines(result: SloResult) -> Mapping[LabelSet, float] | None:
    """Of an SLO whose objective names it: the baseline of every series."""
    if not isinstance(result.series, JudgedSeries):
        return None
    if not any(result.evidence.slo.rule(phase).objective.names_baseline for phase in PhaseName):
        return None
    facts = result.series.facts
    found = facts.columns.series.baseline
    return {
        labels: float(value)
        for labels, value in zip(facts.values.labels, found, strict=True)
        if not np.isnan(value)
    }


def _ranked(result: SloResult, series: JudgedSeries) -> Ints:
    """Rows, the worst first: by verdict, by time in breach, by labels. Of an SLO with an error budget the
    one that burned most comes second."""
    columns = series.facts.columns
    order = np.asarray(series.order, dtype=np.intp)
    during, after = columns.phases[PhaseName.DURING], columns.phases[PhaseName.AFTER]
    breaches = during.breaches[order] + after.breaches[order]
    ranked = order[np.lexsort((np.arange(len(order)), -breaches, -series.verdicts[order]))]
    if result.evidence.slo.has_budget and len(ranked) > 1:
        burned = [series.burned(row) or 0.0 for row in ranked.tolist()]
        most = int(np.argmax(burned))
        if most > 1:
            ranked = np.concatenate((ranked[:1], ranked[[most]], np.delete(ranked[1:], most - 1)))
    return ranked


def _omitted(series: JudgedSeries, rows: Ints) -> Omitted:
    """The same as ``_with`` of every row, without making them."""
    if not len(rows):
        return Omitted()
    facts, verdicts = series.facts, series.verdicts[rows]
    during = facts.columns.phases[PhaseName.DURING]
    after = facts.columns.phases[PhaseName.AFTER]
    recovered = np.where(after.verdict[rows] == NOT_JUDGED, np.nan, after.recovered[rows])
    back: Bools = ~np.isnan(recovered)
    not_back = ~back & ((after.breaches[rows] > 0) | (after.verdict[rows] == Verdict.DEVIATED.rank))
    first = during.first_breach[rows]
    earliest = None
    if (first >= 0).any():
        begin = float(facts.shared.times[facts.shared.spans[PhaseName.DURING].start])
        at = begin + int(first[first >= 0].min()) * facts.step
        earliest = round(at - facts.shared.timeline.fault, 3)
    counts = np.bincount(verdicts, minlength=len(VERDICTS))
    return Omitted(
        verdicts={str(v): int(n) for v, n in zip(VERDICTS, counts, strict=True) if n},
        first_breach_seconds=earliest,
        recovered_seconds=round(float(recovered[back].max()), 3) if back.any() else None,
        not_recovered=int(not_back.sum()),
    )


def _with(omitted: Omitted, row: SeriesResult) -> Omitted:
    during, after = row.phases[PhaseName.DURING], row.phases[PhaseName.AFTER]
    name = str(row.verdict)
    not_back = after.recovered_seconds is None and (
        after.breach_seconds > 0 or after.verdict is Verdict.DEVIATED
    )
    return Omitted(
        verdicts={**omitted.verdicts, name: omitted.verdicts.get(name, 0) + 1},
        first_breach_seconds=_known(min, omitted.first_breach_seconds, during.first_breach_seconds),
        recovered_seconds=_known(max, omitted.recovered_seconds, after.recovered_seconds),
        not_recovered=omitted.not_recovered + not_back,
    )


def _known(choose: Callable[[Iterable[float]], float], *values: float | None) -> float | None:
    found = [value for value in values if value is not None]
    return choose(found) if found else None
