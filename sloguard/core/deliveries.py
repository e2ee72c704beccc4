"""What an Alertmanager delivers, one payload after another -> what is known of each alert.

A delivered episode is one alert from its start to its end: its fingerprint and the moment at which it began.
Webhooks come late, twice and in any order, so what two deliveries say of one episode is joined in a way that
knows no order: ``joined`` is commutative, associative and idempotent. Times are seconds since the epoch,
UTC.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

#: More than these are no labels that anybody has written: the alert is refused, because without them it would
#: be another one.
MOST_LABELS, LONGEST_LABELS = 128, 16_384
#: What people read is cut there instead.
MOST_ANNOTATIONS, LONGEST_ANNOTATION, LONGEST_URL = 64, 8_192, 4_096
#: Problems of a payload that are told one by one.
MOST_PROBLEMS = 20
#: Alertmanager's version of the webhook's payload.
VERSION = "4"
#: Before this there was no Prometheus.
EARLIEST = 1_325_376_000.0
#: So far may the clock of a sender be ahead, seconds.
AHEAD = 86_400.0

_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,30}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_FINGERPRINT = re.compile(r"[0-9a-f]{16}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What is known of an episode, from one delivery or from many.

    ``ends_at`` None: nobody has said that it ended. ``first_received`` and ``last_received``: when it was heard of.
    """

    fingerprint: str
    starts_at: float
    ends_at: float | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)
    generator_url: str = ""
    first_received: float
    last_received: float

    @property
    def key(self) -> tuple[str, float]:
        """What makes it this episode."""
        return self.fingerprint, self.starts_at

    @property
    def name(self) -> str:
        """Its alertname; empty if it has none."""
        return self.labels.get("alertname", "")


def joined(one: Delivered, other: Delivered) -> Delivered:
    """Two things that were said of the same episode, as one.

    What has ended stays so: a delivery that says "firing" may have been on its way for longer. Of two ends the
    later one counts; of annotations, which change, those that were received last.
    """
    ends = [end for end in (one.ends_at, other.ends_at) if end is not None]
    newest = _newest(one, other)
    return Delivered(
        fingerprint=one.fingerprint,
        starts_at=one.starts_at,
        ends_at=max(ends, default=None),
        # The fingerprint is of the labels; where a sender's is not, any rule will do that knows no order.
        labels=one.labels
        if one.labels == other.labels
        else min(one.labels, other.labels, key=_text),
        annotations=newest.annotations,
        generator_url=newest.generator_url,
        first_received=min(one.first_received, other.first_received),
        last_received=max(one.last_received, other.last_received),
    )


def _newest(one: Delivered, other: Delivered) -> Delivered:
    if one.last_received != other.last_received:
        return max(one, other, key=lambda episode: episode.last_received)
    return max(one, other, key=lambda episode: (_text(episode.annotations), episode.generator_url))


def _text(value: Mapping[str, str]) -> str:
    return json.dumps(value, sort_keys=True)


def by_key(told: Iterable[Delivered]) -> dict[tuple[str, float], Delivered]:
    """Every episode once."""
    found: dict[tuple[str, float], Delivered] = {}
    for episode in told:
        known = found.get(episode.key)
        found[episode.key] = episode if known is None else joined(known, episode)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """What one payload says.

    ``problems``: of the alerts that could not be taken; the others were. ``left_out``: alerts that Alertmanager
    itself did not send (``truncatedAlerts``). ``group``: of which group of which receiver.
    """

    episodes: tuple[Delivered, ...]
    problems: tuple[str, ...] = ()
    left_out: int = 0
    receiver: str = ""
    group: str = ""


class NotTaken(ValueError):
    """A payload of which nothing can be taken; the text says why, and what would be."""


def told_by(payload: Any, received_at: float) -> Telling:
    """What a webhook's payload (decoded JSON) says. Raises NotTaken."""
    if not isinstance(payload, dict):
        raise NotTaken(f"expected a JSON object, found {_kind(payload)}")
    check_version(payload.get("version"))
    alerts = payload.get("alerts")
    if not isinstance(alerts, list):
        raise NotTaken(f"alerts: expected a list, found {_kind(alerts)}")
    episodes, problems = [], []
    for number, alert in enumerate(alerts):
        try:
            episodes.append(_episode(alert, received_at))
        except NotTaken as problem:
            problems.append(f"alerts[{number}].{problem}")
    if len(problems) > MOST_PROBLEMS:
        problems = [*problems[:MOST_PROBLEMS], f"and {len(problems) - MOST_PROBLEMS} more"]
    return Telling(
        episodes=tuple(episodes),
        problems=tuple(problems),
        left_out=_count(payload.get("truncatedAlerts")),
        receiver=_brief(payload.get("receiver"), 500),
        group=_brief(payload.get("groupKey"), 2000),
    )


def check_version(version: Any) -> None:
    """Raises NotTaken for a payload that is written in another way."""
    if version != VERSION:
        raise NotTaken(f"version: expected '{VERSION}', found {_shown(version)}")


def _episode(alert: Any, received_at: float) -> Delivered:
    if not isinstance(alert, dict):
        raise NotTaken(f": expected an object, found {_kind(alert)}")
    status = alert.get("status")
    if status not in ("firing", "resolved"):
        raise NotTaken(f"status: expected 'firing' or 'resolved', found {_shown(status)}")
    labels = _labels(alert.get("labels"))
    starts_at = _moment(alert.get("startsAt"), "startsAt", received_at)
    ends_at = None
    if status == "resolved":
        # While it fires, the end is the year 1. A clock that is behind must not make it end before its start.
        ends_at = max(starts_at, _moment(alert.get("endsAt"), "endsAt", received_at))
    given = alert.get("fingerprint")
    known = isinstance(given, str) and _FINGERPRINT.fullmatch(given)
    return Delivered(
        fingerprint=str(given) if known else fingerprint(labels),
        starts_at=starts_at,
        ends_at=ends_at,
        labels=labels,
        annotations=_annotations(alert.get("annotations")),
        generator_url=_brief(alert.get("generatorURL"), LONGEST_URL),
        first_received=received_at,
        last_received=received_at,
    )


def fingerprint(labels: Mapping[str, str]) -> str:
    """Alertmanager's own of a set of labels: 64 bits of FNV-1a over the sorted names and values."""
    made = 0xCBF29CE484222325
    for name in sorted(labels):
        for text in (name, labels[name]):
            for byte in (*text.encode("utf-8", "surrogatepass"), 0xFF):
                made = ((made ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{made:016x}"


def _labels(given: Any) -> Mapping[str, str]:
    if not isinstance(given, dict) or not given:
        raise NotTaken(f"labels: expected an object with at least one, found {_kind(given)}")
    if len(given) > MOST_LABELS:
        raise NotTaken(f"labels: expected at most {MOST_LABELS}, found {len(given)}")
    for name, value in given.items():
        if not isinstance(value, str):
            raise NotTaken(f"labels.{_brief(name, 60)}: expected a text, found {_kind(value)}")
    size = sum(len(name) + len(value) for name, value in given.items())
    if size > LONGEST_LABELS:
        raise NotTaken(f"labels: expected at most {LONGEST_LABELS} characters, found {size}")
    return dict(sorted(given.items()))


def _annotations(given: Any) -> Mapping[str, str]:
    if not isinstance(given, dict):
        return {}
    texts = [(name, value) for name, value in sorted(given.items()) if isinstance(value, str)]
    return {
        _brief(name, 200): _brief(value, LONGEST_ANNOTATION)
        for name, value in texts[:MOST_ANNOTATIONS]
    }


def _moment(given: Any, name: str, received_at: float) -> float:
    expected = f"{name}: expected a time such as 2026-01-31T12:00:00Z"
    found = _TIME.fullmatch(given) if isinstance(given, str) else None
    if found is None:
        raise NotTaken(f"{expected}, found {_shown(given)}")
    day, clock, fraction, zone = found.groups()
    # Nanoseconds are more than a number of seconds can hold, and more than datetime reads.
    text = f"{day}T{clock}.{(fraction or '0')[:6]:0<6}{'+00:00' if zone in 'Zz' else zone}"
    try:
        at = datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise NotTaken(f"{expected}, found {_shown(given)}") from None
    if not EARLIEST <= at <= received_at + AHEAD:
        raise NotTaken(f"{name}: {_shown(given)} cannot be when it was")
    return at


def _count(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int | float) or not given > 0:
        return 0
    return int(min(given, 1_000_000_000))


def _brief(given: Any, most: int) -> str:
    if not isinstance(given, str):
        return ""
    return given if len(given) <= most else f"{given[: most - 1]}…"


def _shown(given: Any) -> str:
    return f"'{_brief(given, 60)}'" if isinstance(given, str) else _kind(given)


def _kind(given: Any) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "true or false",
        type(None): "nothing",
    }
    return names.get(type(given), "a number")
