"""Who knows of alerts, and where they are silenced, in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sloguard.core.alert_rules import Matcher
from sloguard.core.episodes import AlertEpisode
from sloguard.ports.silences import AlertsUnreachable


class FakeAlerts:
    """ports.AlertSource. ``told``: what it knows at any time it is asked; ``away``: whether it fails."""

    def __init__(self, told: Callable[[], Sequence[AlertEpisode]] = tuple) -> None:
        self.told = told
        self.away = False
        self.asked: list[tuple[float, float]] = []

    def episodes(self, start: float, end: float) -> Sequence[AlertEpisode]:
        self.asked.append((start, end))
        if self.away:
            raise AlertsUnreachable("Alertmanager at http://127.0.0.1:9 refused the connection")
        return [episode for episode in self.told() if episode.overlaps(start, end)]


class FakeSilences:
    """ports.Silences. ``log``: what was asked of it; ``active``: silences by token.

    ``fail``: methods that raise; ``lost``: a silence is made, and the answer does not arrive.
    """

    def __init__(self, *, fail: Sequence[str] = (), lost: bool = False) -> None:
        self.fail, self.lost = set(fail), lost
        self.log: list[tuple[str, Any]] = []
        self.active: dict[str, tuple[str, float, str]] = {}

    def create(self, matchers: Sequence[Matcher], seconds: float, comment: str, token: str) -> str:
        self._called("create", seconds)
        self.active[token] = (", ".join(map(str, matchers)), seconds, comment)
        if self.lost:
            raise AlertsUnreachable("the connection was closed without an answer")
        return f"id of {token}"

    def expire(self, token: str, known: str = "") -> str:
        self._called("expire", known)
        return "ended the silence" if self.active.pop(token, None) else ""

    def check(self) -> str:
        self._called("check", "")
        return "a fake Alertmanager"

    def _called(self, method: str, what: Any) -> None:
        self.log.append((method, what))
        if method in self.fail:
            raise AlertsUnreachable(f"Alertmanager at http://127.0.0.1:9 is away ({method})")
