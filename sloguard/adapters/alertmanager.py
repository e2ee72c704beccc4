"""Alertmanager's API v2: the alerts that fire now, and silences; of one server or of a cluster.

Source: Alertmanager's OpenAPI v2, 0.22 and later. Connections, deadlines, retries and the masking of
secrets are those of the Prometheus adapter.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
from requests import Response

from sloguard.adapters.prometheus_http import PrometheusSession
from sloguard.adapters.prometheus_settings import PrometheusSettings
from sloguard.core.alert_rules import Matcher
from sloguard.core.episodes import AlertEpisode
from sloguard.core.text import iso_time
from sloguard.ports import MetricsError, MetricsRefused, MetricsUnreachable
from sloguard.ports.silences import AlertsError, AlertsRefused, AlertsUnreachable

log = logging.getLogger(__name__)

CREATOR = "sloguard"
#: So many alerts are remembered after they have ended.
_MOST_REMEMBERED = 10_000
#: Whatever is suppressed fires all the same.
_ALL = {"active": "true", "silenced": "true", "inhibited": "true", "unprocessed": "true"}

_Key = tuple[str, float]


class _Alert(msgspec.Struct):
    labels: dict[str, str]
    fingerprint: str
    startsAt: str  # noqa: N815 - the API's name
    annotations: dict[str, str] = {}
    generatorURL: str = ""  # noqa: N815 - the API's name


class _State(msgspec.Struct):
    state: str


class _Silence(msgspec.Struct):
    id: str
    status: _State
    createdBy: str = ""  # noqa: N815 - the API's name
    comment: str = ""


class _Created(msgspec.Struct):
    silenceID: str  # noqa: N815 - the API's name


class _Member:
    """One server. Raises AlertsError."""

    def __init__(self, settings: PrometheusSettings) -> None:
        self._session = PrometheusSession(settings)
        self._session.where = self.where = f"Alertmanager at {settings.address}"
        self._base = f"{settings.address}/api/v2"

    def get(self, path: str, kind: Any, params: Any = None) -> tuple[Any, Response]:
        response = self._asked("GET", path, params=params)
        return self._decoded(response, kind), response

    def post(self, path: str, body: Any, kind: Any) -> Any:
        return self._decoded(self._asked("POST", path, json=body), kind)

    def delete(self, path: str) -> None:
        self._asked("DELETE", path)

    def _asked(self, method: str, path: str, **options: Any) -> Response:
        try:
            return self._session.request(method, self._base + path, **options)
        except MetricsError as error:
            kind = AlertsError
            if isinstance(error, MetricsUnreachable):
                kind = AlertsUnreachable
            elif isinstance(error, MetricsRefused):
                kind = AlertsRefused
            text = str(error).replace("Prometheus's API", "Alertmanager's API v2")
            raise kind(text.replace("if Prometheus lives", "if it lives")) from error

    def _decoded(self, response: Response, kind: Any) -> Any:
        try:
            return msgspec.json.decode(response.content, type=kind)
        except msgspec.DecodeError as error:
            raise AlertsError(
                f"{self.where} answers not as Alertmanager's API v2 does ({error}); check the address and "
                "its path prefix"
            ) from None


class Alertmanager:
    """ports.AlertSource, Narrowing, Momentary and Silences. Any thread may call it.

    A server only knows what fires now. ``episodes`` remembers what it was told, so that an alert which is
    missing from a later answer of all servers has an end: the time of that answer. It is as good as it is
    asked often. Of a cluster one answer is enough; a silence is made on the first that answers.
    """

    momentary = True

    def __init__(
        self,
        servers: Sequence[PrometheusSettings],
        *,
        matchers: Sequence[Matcher] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        if not servers:
            raise ValueError("an Alertmanager needs an address")
        self._servers, self._now = tuple(servers), now
        self._members = [_Member(settings) for settings in servers]
        self._filter = [str(matcher) for matcher in matchers]
        self._seen: dict[_Key, AlertEpisode] = {}
        self._lock = threading.Lock()

    def narrowed(self, matchers: Sequence[Matcher]) -> Alertmanager:
        """The same servers, asked for alerts that match all of these; it remembers for itself."""
        return Alertmanager(self._servers, matchers=matchers, now=self._now)

    def episodes(self, start: float, end: float) -> Sequence[AlertEpisode]:
        """What fires, and what fired when it was asked before, of [start, end]. Raises AlertsError."""
        at = self._now()
        answers, errors = self._every(self._alerts)
        with self._lock:
            self._remember(answers, at, whole=not errors)
            known = list(self._seen.values())
        return sorted(
            (episode for episode in known if episode.overlaps(start, end)),
            key=lambda episode: episode.starts_at,
        )

    def create(self, matchers: Sequence[Matcher], seconds: float, comment: str, token: str) -> str:
        """See ports.Silences. Ends by the server's own clock, so that it is never longer."""
        errors: list[str] = []
        for member in self._members:
            try:
                return self._create(member, matchers, seconds, f"{comment} [{token}]")
            except AlertsUnreachable as error:
                errors.append(str(error))
        raise AlertsUnreachable("; ".join(errors))

    def expire(self, token: str, known: str = "") -> str:
        """See ports.Silences."""
        ended, errors = self._every(lambda member: self._expire(member, token, known))
        done = sorted({silence for found in ended for silence in found})
        if not done and errors:
            # Whoever did not answer may still hold it.
            raise AlertsUnreachable("; ".join(errors))
        return f"ended the silence {', '.join(done)}" if done else ""

    def check(self) -> str:
        """See ports.Silences."""

        def version(member: _Member) -> str:
            found, _ = member.get("/status", dict[str, Any])
            number = (found.get("versionInfo") or {}).get("version")
            return f"{member.where} ({number})" if number else member.where

        answers, _ = self._every(version)
        return ", ".join(answers)

    def _every(self, ask: Callable[[_Member], Any]) -> tuple[list[Any], list[str]]:
        """What each answers, and the errors of those that do not; raises where nobody answers."""
        answers: list[Any] = []
        errors: list[AlertsError] = []
        for member in self._members:
            try:
                answers.append(ask(member))
            except AlertsError as error:
                log.debug("%s", error)
                errors.append(error)
        if not answers:
            raise type(errors[0])("; ".join(str(error) for error in errors))
        return answers, [str(error) for error in errors]

    def _alerts(self, member: _Member) -> list[AlertEpisode]:
        params: dict[str, Any] = {**_ALL, "filter": self._filter}
        found, _ = member.get("/alerts", list[_Alert], params)
        return [_episode(alert, member.where) for alert in found]

    def _remember(self, answers: Sequence[list[AlertEpisode]], at: float, *, whole: bool) -> None:
        firing = {_key(episode): episode for found in answers for episode in found}
        for key, episode in self._seen.items():
            if key not in firing and episode.ends_at is None and whole:
                self._seen[key] = replace(episode, ends_at=max(at, episode.starts_at))
        self._seen.update(firing)
        if len(self._seen) > _MOST_REMEMBERED:
            over = [k for k, e in self._seen.items() if e.ends_at is not None]
            for key in over[: len(self._seen) - _MOST_REMEMBERED]:
                del self._seen[key]

    def _create(
        self, member: _Member, matchers: Sequence[Matcher], seconds: float, comment: str
    ) -> str:
        _, response = member.get("/status", dict[str, Any])
        now = _date(response, self._now())
        body = {
            "matchers": [_matcher(matcher) for matcher in matchers],
            "startsAt": iso_time(now),
            "endsAt": iso_time(now + seconds),
            "createdBy": CREATOR,
            "comment": comment,
        }
        made: _Created = member.post("/silences", body, _Created)
        return made.silenceID

    def _expire(self, member: _Member, token: str, known: str) -> list[str]:
        found, _ = member.get("/silences", list[_Silence])
        mine = [
            silence.id
            for silence in found
            if silence.status.state != "expired"
            and (silence.id == known or (silence.createdBy == CREATOR and token in silence.comment))
        ]
        for silence in mine:
            member.delete(f"/silence/{silence}")
        return mine


def _episode(alert: _Alert, where: str) -> AlertEpisode:
    try:
        start = datetime.fromisoformat(alert.startsAt).timestamp()
    except ValueError:
        raise AlertsError(f"{where}: '{alert.startsAt}' is no time of an alert") from None
    return AlertEpisode(
        labels=alert.labels,
        starts_at=round(start, 3),
        fingerprint=alert.fingerprint,
        annotations=alert.annotations,
        generator_url=alert.generatorURL,
        origin="alertmanager",
    )


def _key(episode: AlertEpisode) -> _Key:
    return episode.fingerprint, episode.starts_at


def _matcher(matcher: Matcher) -> Mapping[str, Any]:
    return {
        "name": matcher.label,
        "value": matcher.value,
        "isRegex": matcher.operator in ("=~", "!~"),
        "isEqual": matcher.operator in ("=", "=~"),
    }


def _date(response: Response, otherwise: float) -> float:
    """The server's time, in whole seconds, cut off."""
    try:
        return parsedate_to_datetime(response.headers.get("Date", "")).timestamp()
    except (TypeError, ValueError):
        return otherwise
