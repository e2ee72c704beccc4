"""An alert from its start to its end, and the same alert as several sources tell it.

Times are seconds since the epoch, UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

#: Who told of an alert. A webhook and Alertmanager's API know its start to the millisecond; Prometheus's
#: own series know when it was first evaluated so, and its end only to a step.
AlertOrigin = Literal["webhook", "alertmanager", "prometheus"]
#: The most exact first.
ORIGINS: tuple[AlertOrigin, ...] = ("webhook", "alertmanager", "prometheus")
#: So far apart two spans of one alert may be told, for clocks and rounding, seconds.
_SLACK = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEpisode:
    """One alert from its start to its end: the same labels fire again as another episode.

    ``labels`` hold ``alertname``. ``ends_at`` None: it still fires, as far as is known. ``fingerprint``:
    Alertmanager's for these labels; empty where only Prometheus was asked. ``received_at``: when this was
    first heard of; None where it was asked for. ``pending_since``: when its condition became true, where
    Prometheus tells it.
    """

    labels: Mapping[str, str]
    starts_at: float
    ends_at: float | None = None
    fingerprint: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    generator_url: str = ""
    origin: AlertOrigin = "prometheus"
    received_at: float | None = None
    pending_since: float | None = None

    @property
    def name(self) -> str:
        """Its alertname; empty if it has none."""
        return self.labels.get("alertname", "")

    def overlaps(self, start: float, end: float) -> bool:
        """Whether it fired at any moment of [start, end]."""
        return self.starts_at <= end and (self.ends_at is None or self.ends_at >= start)


def merged(episodes: Iterable[AlertEpisode]) -> tuple[AlertEpisode, ...]:
    """Every alert once, by start: what several sources tell of one is one, with the most exact times.

    One alert: overlapping in time, and the same labels. Between sources it is enough that the labels of
    one hold those of the other: on the way to Alertmanager external labels are added and others dropped.
    The order in which the episodes are given is irrelevant.
    """
    given = list(episodes)
    found: list[AlertEpisode] = []
    for origin in ORIGINS:
        fresh = []
        for episode in _joined(e for e in given if e.origin == origin):
            hosts = _hosts(found, episode)
            for index in hosts:
                found[index] = _filled(found[index], episode, alone=len(hosts) == 1)
            if not hosts:
                fresh.append(episode)
        found += fresh
    return tuple(sorted(found, key=_order))


def _order(episode: AlertEpisode) -> tuple[float, list[tuple[str, str]], bool, float]:
    end = episode.ends_at
    return (
        episode.starts_at,
        sorted(episode.labels.items()),
        # A known end comes before none: it is the newer word on the same start.
        end is None,
        -(end or 0.0),
    )


def _joined(episodes: Iterable[AlertEpisode]) -> list[AlertEpisode]:
    """Of one source: overlapping episodes of the same labels as one."""
    open_ones: dict[tuple[tuple[str, str], ...], AlertEpisode] = {}
    done: list[AlertEpisode] = []
    for episode in sorted(episodes, key=_full_order):
        key = tuple(sorted(episode.labels.items()))
        known = open_ones.get(key)
        if known is not None and (
            known.ends_at is None or episode.starts_at <= known.ends_at + _SLACK
        ):
            open_ones[key] = _together(known, episode)
            continue
        if known is not None:
            done.append(known)
        open_ones[key] = episode
    return [*done, *open_ones.values()]


def _full_order(episode: AlertEpisode) -> tuple[object, ...]:
    """With everything that may differ, so that no order of arrival shows."""
    heard = episode.received_at
    rest = (episode.fingerprint, sorted(episode.annotations.items()), episode.generator_url)
    pending = episode.pending_since
    return (
        *_order(episode),
        *rest,
        heard is None,
        heard or 0.0,
        pending is None,
        pending or 0.0,
    )


def _together(known: AlertEpisode, later: AlertEpisode) -> AlertEpisode:
    """``later`` starts no earlier. Of two words on one start the one with an end is the newer."""
    same_start = later.starts_at - known.starts_at < 0.001
    end = later.ends_at
    if end is None and same_start:
        end = known.ends_at
    elif end is not None and known.ends_at is not None:
        end = max(end, known.ends_at)
    return _with(replace(known, ends_at=end), later)


def _filled(known: AlertEpisode, other: AlertEpisode, *, alone: bool) -> AlertEpisode:
    """What a less exact source adds: an end, where nobody has told one."""
    end = known.ends_at
    if end is None and alone and other.ends_at is not None and other.ends_at >= known.starts_at:
        end = other.ends_at
    return _with(replace(known, ends_at=end), other)


def _with(known: AlertEpisode, other: AlertEpisode) -> AlertEpisode:
    pending = [p for p in (known.pending_since, other.pending_since) if p is not None]
    heard = [h for h in (known.received_at, other.received_at) if h is not None]
    return replace(
        known,
        fingerprint=known.fingerprint or other.fingerprint,
        annotations=known.annotations or other.annotations,
        generator_url=known.generator_url or other.generator_url,
        received_at=min(heard, default=None),
        pending_since=min(pending, default=None),
    )


def same_alert(one: AlertEpisode, other: AlertEpisode) -> bool:
    """Whether two sources may be telling of one alert: overlapping, the labels of one hold the other's."""
    return _near(one, other) and _holds(one.labels, other.labels)


def _hosts(found: list[AlertEpisode], episode: AlertEpisode) -> list[int]:
    """Those of more exact sources that are the same alert: with the same labels, else with such as hold it."""
    near = [i for i, known in enumerate(found) if _near(known, episode)]
    same = [i for i in near if dict(found[i].labels) == dict(episode.labels)]
    return same or [i for i in near if _holds(found[i].labels, episode.labels)]


def _near(one: AlertEpisode, other: AlertEpisode) -> bool:
    """The same name, and times that touch."""
    return (
        one.name == other.name
        and (other.ends_at is None or one.starts_at <= other.ends_at + _SLACK)
        and (one.ends_at is None or one.ends_at >= other.starts_at - _SLACK)
    )


def _holds(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    fewer, more = sorted((one.items(), other.items()), key=len)
    return all(pair in more for pair in fewer)
