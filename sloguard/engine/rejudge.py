"""Stored evidence under other objectives: the same samples, asked anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sloguard.core.alerting import AlertsJudged, AlertsRead, judge_alerts, scope_of
from sloguard.core.amending import told_episodes
from sloguard.core.budget_entries import Entry, budget_entries, kept_histories, kept_limits
from sloguard.core.condensing import MOST_ROWS, Condensed
from sloguard.core.judge import judge_slo
from sloguard.core.model import Budget, Experiment, Slo, Timeline
from sloguard.core.results import SloResult
from sloguard.core.series import SloEvidence, Surroundings

_Queries = tuple[tuple[str, str], ...]


def rejudge(evidence: Iterable[SloEvidence], slos: Sequence[Slo]) -> Iterator[SloEvidence]:
    """Evidence for other SLOs from what a run has kept (at least one), one SLO in memory at a time.

    An SLO finds its samples by its queries, whatever its name is: under the same name may stand another
    query's. One that finds none is inconclusive, not left out. They come in the order of what was kept.
    """
    wanted: dict[_Queries, list[Slo]] = {}
    for slo in slos:
        wanted.setdefault(_queries(slo), []).append(slo)
    other: SloEvidence | None = None
    for found in evidence:
        other = other or replace(found, answers={})
        for slo in wanted.pop(_queries(found.slo), ()):
            yield _evidence(slo, found, found)
    if other is not None:
        for slo in (slo for missing in wanted.values() for slo in missing):
            yield _evidence(slo, None, other)


def judge_kept(
    evidence: Iterable[SloEvidence],
    other: Experiment | None,
    timeline: Timeline,
    surroundings: Surroundings,
    declared_after: float,
    *,
    limits: Budget | None = None,
    max_series: int = MOST_ROWS,
    each: Callable[[SloEvidence], object] = lambda _: None,
) -> tuple[SloResult, ...]:
    """What a run has kept, judged by its own SLOs or those of ``other``, in their order.

    ``limits`` of the error budgets; ``each`` is called with the evidence of every SLO before it is let go.
    """
    judged = Condensed(max_series, budget=limits, timeline=timeline)
    for found in evidence if other is None else rejudge(evidence, other.slos):
        each(found)
        judged.add(judge_slo(found, timeline, surroundings, declared_after))
    results = judged.results()
    if other is None:
        return results
    places = {slo.name: place for place, slo in enumerate(other.slos)}
    return tuple(sorted(results, key=lambda result: places[result.name]))


def budget_again(
    results: Sequence[SloResult],
    kept: Mapping[str, Any] | None,
    other: Experiment | None,
    timeline: Timeline,
) -> tuple[Entry, ...]:
    """The error budgets of a judgement from what the run's own document (``kept``) says was left before.

    Their limits are those of ``other``; without it the run's own.
    """
    entries = (kept or {}).get("budget") or ()
    found = kept_histories(entries, [result.evidence.slo for result in results])
    return budget_entries(results, found, limits_again(kept, other), timeline)


def limits_again(kept: Mapping[str, Any] | None, other: Experiment | None) -> Budget | None:
    """The limits of the error budgets: those of ``other``; without it the run's own."""
    return kept_limits((kept or {}).get("budget") or ()) if other is None else other.budget


def alerts_again(
    kept: Mapping[str, Any] | None, other: Experiment | None, timeline: Timeline
) -> AlertsJudged | None:
    """The alerts of a judgement from the run's own document: as they were held, or as ``other`` asks.

    None where the document does not know of any having been looked for.
    """
    if kept is None or "alerts" not in kept:
        return None
    scope = scope_of(kept)
    if other is None:
        known = "alert_coverage" in kept
        return AlertsJudged(entries=tuple(kept["alerts"]), scope=scope) if known else None
    unread = (scope.unknown,) if scope.unknown else ()
    read = AlertsRead(episodes=told_episodes(kept), unread=unread)
    return judge_alerts(read, other.alerts, timeline)


def _queries(slo: Slo) -> _Queries:
    return tuple(sorted(slo.queries.items()))


def _evidence(slo: Slo, found: SloEvidence | None, other: SloEvidence) -> SloEvidence:
    if found is None:
        missing = "the run has no samples of its query; only queries that a run has sent can be judged again"
        return SloEvidence(slo, other.grid, {}, None, error=missing)
    lookback = slo.lookback if found.lookback is None else found.lookback
    return replace(found, slo=slo, lookback=lookback)
