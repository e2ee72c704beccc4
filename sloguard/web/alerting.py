"""Alerts as the API and the pages show them: what Alertmanager told, with the runs in whose time they fell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from sloguard.core.alerting import fired
from sloguard.core.deliveries import Delivered
from sloguard.core.text import iso_time
from sloguard.ports.alert_inbox import KeptEpisode, RunSpan
from sloguard.web.parts import Service
from sloguard.web.shaping import Json, time_or_none

#: Of so many runs in the time of one page, the newest, it is told what their verdicts say of its alerts.
MOST_RUNS = 60
#: Of one alert, so many runs are named.
RUNS_EACH = 10
#: A verdict tells times to the millisecond.
_SAME_START = 0.002


class _Alerts(msgspec.Struct):
    """All that is read of a document here."""

    alerts: list[dict[str, Any]] = []


_alerts_of = msgspec.json.Decoder(_Alerts).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which alerts. ``equal`` and ``unlike``: labels with these values, or without."""

    limit: int
    before: int | None = None
    run: str | None = None
    since: float | None = None
    until: float | None = None
    name: str | None = None
    equal: Mapping[str, str] | None = None
    unlike: Mapping[str, str] | None = None
    firing: bool | None = None


def matchers(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """``service=cart,severity!=page`` as labels to have and labels not to have."""
    equal: dict[str, str] = {}
    unlike: dict[str, str] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        (unlike if name.endswith("!") else equal)[name.removesuffix("!")] = value
    return equal, unlike


def alert_rows(here: Service, wanted: Wanted) -> tuple[list[Json], int | None]:
    """A page of alerts, the newest start first, and the number of its last one where there may be more."""
    span = None if wanted.run is None else here.store.run_span(wanted.run)
    if wanted.run is not None and span is None:
        return [], None
    kept = here.store.alert_page(
        wanted.limit,
        before=wanted.before,
        span=None if span is None else (span.start, span.end),
        since=wanted.since,
        until=wanted.until,
        name=wanted.name,
        equal=wanted.equal,
        unlike=wanted.unlike,
        firing=wanted.firing,
    )
    last = kept[-1].number if len(kept) == wanted.limit else None
    runs = [span] if span is not None else _runs_of(here, kept)
    verdicts = _verdicts(here, runs)
    rows = [_row(here, one, runs, verdicts) for one in kept]
    if span is not None and wanted.before is None:
        rows += _others(here, span, verdicts.get(span.run, ()), wanted)
        rows.sort(key=lambda row: str(row["starts_at"]), reverse=True)
    return rows, last


def _runs_of(here: Service, kept: Sequence[KeptEpisode]) -> Sequence[RunSpan]:
    if not kept:
        return ()
    episodes = [one.episode for one in kept]
    start = min(episode.starts_at for episode in episodes)
    return here.store.runs_during(start, max(map(_until, episodes)), MOST_RUNS)


def _until(episode: Delivered) -> float:
    return episode.last_received if episode.ends_at is None else episode.ends_at


def _verdicts(here: Service, runs: Sequence[RunSpan]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """What the verdict of each run says of alerts."""
    found = here.store.documents([span.run for span in runs])
    return {kept.run: tuple(fired(_alerts_of(kept.document).alerts)) for kept in found}


def _row(
    here: Service,
    one: KeptEpisode,
    runs: Iterable[RunSpan],
    verdicts: Mapping[str, Sequence[Mapping[str, Any]]],
) -> Json:
    episode = one.episode
    near = [r for r in runs if episode.starts_at <= r.end and _until(episode) >= r.start]
    return {
        "number": one.number,
        "name": episode.name,
        "labels": {k: v for k, v in episode.labels.items() if k != "alertname"},
        "annotations": dict(episode.annotations),
        "fingerprint": episode.fingerprint,
        "generator_url": episode.generator_url,
        "origin": "webhook",
        "state": _state(here, episode),
        "starts_at": iso_time(episode.starts_at),
        "ends_at": time_or_none(episode.ends_at),
        "first_received": iso_time(episode.first_received),
        "last_received": iso_time(episode.last_received),
        "runs": [_run(r, _entry(episode, verdicts.get(r.run, ()))) for r in near[:RUNS_EACH]],
    }


def _state(here: Service, episode: Delivered) -> str:
    if episode.ends_at is not None:
        return "resolved"
    silent = here.parts.now() - episode.last_received
    return "stale" if silent > here.parts.settings.alerts.stale_after else "firing"


def _entry(episode: Delivered, entries: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    for entry in entries:
        if entry.get("fingerprint") == episode.fingerprint and (
            abs(_seconds(entry["starts_at"]) - episode.starts_at) <= _SAME_START
        ):
            return entry
    return None


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _run(span: RunSpan, entry: Mapping[str, Any] | None) -> Json:
    """``in_verdict`` False: it fell into the run's time, and the verdict does not speak of it (yet)."""
    found = entry or {}
    return {
        "run": span.run,
        "title": span.title,
        "experiment": span.experiment,
        "outcome": span.outcome or None,
        "in_verdict": entry is not None,
        "firing_before": found.get("firing_before"),
        "time_to_alert_seconds": found.get("time_to_alert_seconds"),
        "time_to_resolve_seconds": found.get("time_to_resolve_seconds"),
        "late": bool(found.get("late")),
    }


def _others(
    here: Service, span: RunSpan, entries: Sequence[Mapping[str, Any]], wanted: Wanted
) -> list[Json]:
    """What the verdict of a run tells of alerts that no webhook brought: Prometheus was asked for them."""
    at = here.store.alert_page(1000, span=(span.start, span.end))
    known = [one.episode for one in at]
    made = []
    for entry in entries:
        if any(_entry(episode, (entry,)) for episode in known) or not _fits(entry, wanted):
            continue
        ends_at = entry.get("ends_at")
        made.append(
            {
                "number": None,
                "name": entry["name"],
                "labels": dict(entry.get("labels") or {}),
                "annotations": dict(entry.get("annotations") or {}),
                "fingerprint": entry.get("fingerprint", ""),
                "generator_url": "",
                "origin": entry.get("origin", "prometheus"),
                "state": "resolved" if ends_at else "firing",
                "starts_at": entry["starts_at"],
                "ends_at": ends_at,
                "first_received": None,
                "last_received": None,
                "runs": [_run(span, entry)],
            }
        )
    return made


def _fits(entry: Mapping[str, Any], wanted: Wanted) -> bool:
    labels = {"alertname": entry["name"], **(entry.get("labels") or {})}
    start = _seconds(entry["starts_at"])
    firing = entry.get("ends_at") is None
    return (
        (wanted.name is None or wanted.name == entry["name"])
        and (wanted.firing is None or wanted.firing == firing)
        and (wanted.since is None or start >= wanted.since)
        and (wanted.until is None or start < wanted.until)
        and all(labels.get(k, "") == v for k, v in (wanted.equal or {}).items())
        and all(labels.get(k, "") != v for k, v in (wanted.unlike or {}).items())
    )
