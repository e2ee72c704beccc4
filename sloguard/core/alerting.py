"""Alerts held against a timeline: whose they are, which were expected, which must not have been.

Pure: episodes in, JSON entries out. An entry of ``document["alerts"]`` is an alert (``starts_at`` …), or an
expectation (``expectation``, ``verdict``, ``reason``), whose ``alert`` is the number of an alert's entry.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sloguard.core.alert_rules import Alerting, AlertPattern, pattern_of
from sloguard.core.episodes import AlertEpisode, merged
from sloguard.core.expecting import (
    Firing,
    Judgement,
    Seen,
    judged_abort,
    judged_expected,
    judged_forbidden,
)
from sloguard.core.model import Json, Timeline, Verdict
from sloguard.core.text import iso_time

Entry = dict[str, Any]

#: More than these are an outage of the alerting, and no help in a verdict.
MOST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsRead:
    """What the sources told of a window.

    ``unread``: sources that could not be asked, as sentences: what nobody saw may then have been all the
    same. ``away``: spans (seconds, UTC) in which Prometheus evaluated nothing.
    """

    episodes: tuple[AlertEpisode, ...] = ()
    unread: tuple[str, ...] = ()
    away: tuple[tuple[float, float], ...] = ()

    @property
    def unknown(self) -> str:
        """Why an alert that was not seen may have fired; empty where everything was seen."""
        return "; ".join(dict.fromkeys(self.unread))


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertScope:
    """Which alerts count for the time to alert and for coverage. ``unknown``: why nothing can be said of
    what was not seen."""

    where: AlertPattern = field(default_factory=AlertPattern)
    expected: tuple[AlertPattern, ...] = ()
    unknown: str = ""

    def counts(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert tells of what the experiment breaks: expected, where anything is."""
        if not self.where.holds(labels):
            return False
        return not self.expected or any(pattern.holds(labels) for pattern in self.expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsJudged:
    """Alerts by their start, then the expectations in the order of the file."""

    entries: tuple[Entry, ...] = ()
    scope: AlertScope = field(default_factory=AlertScope)
    notes: tuple[str, ...] = ()


def judge_alerts(read: AlertsRead, alerting: Alerting, timeline: Timeline) -> AlertsJudged:
    """What fired around a fault, and whether it is what was declared."""
    scope = AlertScope(
        where=alerting.where,
        expected=tuple(expected.pattern for expected in alerting.expect),
        unknown=read.unknown,
    )
    firing = firing_of(read.episodes, timeline)
    concerned = [one for one in firing if alerting.concerns(one.episode.labels)]
    seen = Seen(tuple(concerned), timeline, read.unknown, read.away)
    judgements = list(_judgements(alerting, seen))
    kept, note = _kept(firing, concerned, judgements)
    numbers = {id(one): index for index, one in enumerate(kept)}
    entries = [alert_entry(one, timeline, scope) for one in kept]
    entries += [_expectation(made, numbers) for made in judgements]
    return AlertsJudged(entries=tuple(entries), scope=scope, notes=note)


def undecided_until(
    read: AlertsRead, alerting: Alerting, timeline: Timeline, declared_end: float
) -> tuple[float, str] | None:
    """Until when (seconds, UTC) a run has to look on before all that is expected is decided, and for what.

    ``timeline.end`` is now; ``declared_end``: how long is waited for what may come at any time. None:
    nothing is open any more, or no time would decide it.
    """
    firing = [f for f in firing_of(read.episodes, timeline) if alerting.concerns(f.episode.labels)]
    seen = Seen(tuple(firing), timeline, read.unknown, read.away)
    waits = [judged_expected(expected, seen) for expected in alerting.expect]
    open_ones = [
        (declared_end if math.isinf(made.open_until) else made.open_until, made.open_for)
        for made in waits
        if made.open_until is not None
    ]
    return max((one for one in open_ones if one[0] > timeline.end), default=None)


def fired(entries: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The alerts among the entries of a document."""
    return (entry for entry in entries if "expectation" not in entry and "starts_at" in entry)


def expectations(entries: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The expectations among them."""
    return (entry for entry in entries if "expectation" in entry)


def alert_entry(one: Firing, timeline: Timeline, scope: AlertScope) -> Entry:
    """An alert as JSON. ``counts``: whether the time to alert may be its."""
    episode, before = one.episode, one.before
    end = episode.ends_at
    made: Entry = {
        "name": episode.name,
        "labels": {k: v for k, v in episode.labels.items() if k != "alertname"},
        "starts_at": iso_time(episode.starts_at),
        "ends_at": None if end is None else iso_time(end),
        "firing_before": before,
        "time_to_alert_seconds": None if before else round(episode.starts_at - timeline.fault, 3),
        "time_to_resolve_seconds": (
            None if before or end is None else max(round(end - timeline.restored, 3), 0.0)
        ),
        "origin": episode.origin,
        "counts": not one.tainted and scope.counts(episode.labels),
        "expected": bool(scope.expected) and scope.counts(episode.labels),
    }
    if episode.annotations:
        made["annotations"] = dict(episode.annotations)
    if episode.fingerprint:
        made["fingerprint"] = episode.fingerprint
    if episode.pending_since is not None:
        made["pending_since"] = iso_time(episode.pending_since)
    return made


def firing_of(episodes: Iterable[AlertEpisode], timeline: Timeline) -> list[Firing]:
    """What fired in ``during`` or ``after``, each once, by start."""
    whole = [
        e
        for e in merged(episodes)
        if e.starts_at <= timeline.end and (e.ends_at is None or e.ends_at > timeline.fault)
    ]
    old = {_key(e) for e in whole if e.starts_at < timeline.fault}
    return [Firing.of(e, timeline.fault, again=_key(e) in old) for e in whole]


def _key(episode: AlertEpisode) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(episode.labels.items()))


def _judgements(alerting: Alerting, seen: Seen) -> Iterator[Judgement]:
    for expected in alerting.expect:
        yield judged_expected(expected, seen)
    for pattern in alerting.forbid:
        yield judged_forbidden(pattern, seen)
    for pattern in alerting.abort_on:
        yield judged_abort(pattern, seen)


def _kept(
    firing: Sequence[Firing], concerned: Sequence[Firing], judgements: Iterable[Judgement]
) -> tuple[list[Firing], tuple[str, ...]]:
    """The alerts that are shown: those that a verdict stands on, then those that concern the run."""
    if len(firing) <= MOST:
        return list(firing), ()
    needed = {id(made.alert) for made in judgements if made.alert is not None}
    near = {id(one) for one in concerned}
    ranked = sorted(firing, key=lambda one: (id(one) not in needed, id(one) not in near))
    chosen = {id(one) for one in ranked[: max(MOST, len(needed))]}
    note = f"{len(firing)} alerts fired; {len(chosen)} of them are kept"
    return [one for one in firing if id(one) in chosen], (note,)


def _expectation(made: Judgement, numbers: Mapping[int, int]) -> Entry:
    entry: Entry = {
        "expectation": made.kind,
        "name": str(made.pattern),
        "matchers": made.pattern.plain,
        "verdict": str(made.verdict),
        "reason": made.reason,
        "alert": None if made.alert is None else numbers.get(id(made.alert)),
    }
    if made.kind == "expect":
        entry["within_seconds"] = made.within
        entry["resolved_within_seconds"] = made.resolved_within
    return entry


def scope_of(document: Mapping[str, Json]) -> AlertScope:
    """As it was when this document was made; an old one knows of none, and then any alert counts."""
    coverage = document.get("alert_coverage") or {}
    entries = document.get("alerts") or ()
    return AlertScope(
        where=pattern_of(coverage.get("where") or ()),
        expected=tuple(
            pattern_of(entry.get("matchers") or ())
            for entry in expectations(entries)
            if entry["expectation"] == "expect"
        ),
        unknown=str(coverage.get("unknown") or ""),
    )


def worst_expectation(entries: Iterable[Mapping[str, Any]]) -> Verdict:
    """The worst verdict of all expectations; not-judged if there is none."""
    verdicts = [Verdict(entry["verdict"]) for entry in expectations(entries)]
    return max(verdicts, key=lambda v: v.rank, default=Verdict.NOT_JUDGED)
