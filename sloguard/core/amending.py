"""What alerts that come late, or end later, add to the document of a run that has ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sloguard.core.alert_rules import ExpectedAlert, pattern_of
from sloguard.core.alerting import (
    MOST,
    AlertScope,
    Entry,
    alert_entry,
    expectations,
    fired,
    firing_of,
    scope_of,
)
from sloguard.core.coverage import Coverage, coverage
from sloguard.core.episodes import ORIGINS, AlertEpisode, same_alert
from sloguard.core.expecting import (
    Firing,
    Judgement,
    Seen,
    judged_abort,
    judged_expected,
    judged_forbidden,
)
from sloguard.core.model import Json, Timeline
from sloguard.core.text import iso_time

Document = dict[str, Any]
_MARKS = ("start", "fault", "restored", "end")


def amended(document: Mapping[str, Json], episodes: Iterable[AlertEpisode]) -> Document | None:
    """The document with what these episodes add, or None where they add nothing. ``document`` stays as it is.

    What was said stays: outcome, reason, verdicts, starts of alerts. Added are alerts that nobody had told
    (``late``), ends that were not known (``amended``), ``time_to_alert_seconds`` where there was none, what
    an expectation would be judged as today (``late_verdict``, ``late_reason``), and coverage. Episodes may
    be given again and in any order; those before the fault or after the end are not the run's.
    """
    timeline = _timeline(document)
    if timeline is None:
        return None
    scope = scope_of(document)
    told = list(fired(document.get("alerts") or ()))
    kept = [_episode(entry) for entry in told]
    firing = firing_of([*kept, *episodes], timeline)
    entries = _entries(told, kept, firing, timeline, scope)
    if entries == told:
        return None
    judged = [
        _again(entry, firing, timeline, scope)
        for entry in expectations(document.get("alerts") or ())
    ]
    made = {**document, "alerts": [*entries, *judged], "alerts_amended": True}
    if made.get("time_to_alert_seconds") is None:
        made["time_to_alert_seconds"] = min(
            (e["time_to_alert_seconds"] for e in entries if e.get("counts")), default=None
        )
    if document.get("alert_coverage") is not None:
        made["alert_coverage"] = _coverage(document, entries, scope, timeline)
    return made


def told_episodes(document: Mapping[str, Json]) -> tuple[AlertEpisode, ...]:
    """The alerts of a document, as somebody told them."""
    return tuple(_episode(entry) for entry in fired(document.get("alerts") or ()))


def _timeline(document: Mapping[str, Json]) -> Timeline | None:
    marks = document.get("timeline")
    if not marks:
        return None
    return Timeline(*(_seconds(marks[name]) for name in _MARKS))


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _episode(entry: Mapping[str, Any]) -> AlertEpisode:
    """An alert as it was told; an old document does not say by whom."""
    origin = entry.get("origin", "prometheus")
    pending, end = entry.get("pending_since"), entry.get("ends_at")
    return AlertEpisode(
        labels={"alertname": entry["name"], **(entry.get("labels") or {})},
        starts_at=_seconds(entry["starts_at"]),
        ends_at=None if end is None else _seconds(end),
        fingerprint=entry.get("fingerprint", ""),
        annotations=entry.get("annotations") or {},
        origin=origin if origin in ORIGINS else "prometheus",
        pending_since=None if pending is None else _seconds(pending),
    )


def _entries(
    told: Sequence[Mapping[str, Any]],
    kept: Sequence[AlertEpisode],
    firing: Sequence[Firing],
    timeline: Timeline,
    scope: AlertScope,
) -> list[Entry]:
    """What was told, in its place, with the ends that are known now; then what is new, by start."""
    known = [_ended(dict(entry), kept[i], firing, timeline) for i, entry in enumerate(told)]
    fresh = [
        {**alert_entry(one, timeline, scope), "late": True}
        for one in firing
        if not any(same_alert(episode, one.episode) for episode in kept)
    ]
    return [*known, *fresh[: max(MOST - len(known), 0)]]


def _ended(
    entry: Entry, episode: AlertEpisode, firing: Sequence[Firing], timeline: Timeline
) -> Entry:
    if entry.get("ends_at") is not None:
        return entry
    ends = [one.episode.ends_at for one in firing if same_alert(episode, one.episode)]
    end = max((e for e in ends if e is not None), default=None)
    if end is None or None in ends:
        return entry
    entry.update(ends_at=iso_time(end), amended=True)
    if not entry.get("firing_before"):
        entry["time_to_resolve_seconds"] = max(round(end - timeline.restored, 3), 0.0)
    return entry


def _again(
    entry: Mapping[str, Any],
    firing: Sequence[Firing],
    timeline: Timeline,
    scope: AlertScope,
) -> Entry:
    """An expectation with what it would be judged as today, where that is something else."""
    concerned = tuple(one for one in firing if scope.where.holds(one.episode.labels))
    made = _judgement(entry, Seen(concerned, timeline, scope.unknown))
    # What an earlier delivery made of it may not hold any more: an alert that fired late, and then for too long.
    again: Entry = {k: v for k, v in entry.items() if k not in ("late_verdict", "late_reason")}
    if str(made.verdict) != entry["verdict"]:
        again.update(late_verdict=str(made.verdict), late_reason=made.reason)
    return again


def _judgement(entry: Mapping[str, Any], seen: Seen) -> Judgement:
    pattern = pattern_of(entry.get("matchers") or ())
    if entry["expectation"] == "forbid":
        return judged_forbidden(pattern, seen)
    if entry["expectation"] == "abort_on":
        return judged_abort(pattern, seen)
    within, resolved = entry.get("within_seconds"), entry.get("resolved_within_seconds")
    return judged_expected(ExpectedAlert(pattern, within, resolved), seen)


def _coverage(
    document: Mapping[str, Any],
    entries: Sequence[Entry],
    scope: AlertScope,
    timeline: Timeline,
) -> Coverage:
    before = document["alert_coverage"]
    proposals = {
        spot["slo"]: spot.get("proposed_rule", "") for spot in before.get("blind_spots") or ()
    }
    made = coverage(
        document.get("slos") or (),
        entries,
        scope,
        timeline,
        lambda slo, _series: proposals.get(slo["name"], ""),
    )
    return {**made, "amended": True} if made != before else made
