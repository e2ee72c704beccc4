"""Stored evidence under other objectives: the same samples, asked anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sloguard.core.alerting import AlertsJudged, AlertsRead, judge_alerts, scope_of
from sloguard.core.amending import told_episodes
from sloguard.core.budget_entries import Entry, budget_entries, kept_histories, kept_limits
from sloguard.core.model import Experiment, Slo, Timeline
from sloguard.core.results import SloResult
from sloguard.core.series import SloEvidence

_Queries = tuple[tuple[str, str], ...]


def rejudge(evidence: Sequence[SloEvidence], slos: Sequence[Slo]) -> tuple[SloEvidence, ...]:
    """Evidence for other SLOs from what a run has kept (at least one).

    An SLO finds its samples by its queries, whatever its name is: under the same name may stand another
    query's. One that finds none is inconclusive, not left out.
    """
    kept = {_queries(e.slo): e for e in evidence}
    return tuple(_evidence(slo, kept.get(_queries(slo)), evidence[0]) for slo in slos)


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
    limits = kept_limits(entries) if other is None else other.budget
    return budget_entries(results, found, limits, timeline)


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
