"""What sloguard needs of an Alertmanager beyond its alerts, and how it says that it did not get it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from sloguard.core.alert_rules import Matcher
from sloguard.ports.alerts import AlertSource
from sloguard.ports.base import OutsideError


class AlertsError(OutsideError):
    """Alertmanager did not answer as it should."""


class AlertsUnreachable(AlertsError):
    """No connection, or no answer within the deadline, after all retries."""


class AlertsRefused(AlertsError):
    """401 or 403, or what was asked for is not accepted."""


@runtime_checkable
class Narrowing(Protocol):
    """A source that can be asked for some alerts alone, so that a large installation answers quickly."""

    def narrowed(self, matchers: Sequence[Matcher]) -> AlertSource:
        """The same source, for alerts that match all of these."""
        ...


@runtime_checkable
class Momentary(Protocol):
    """A source that knows only what fires now: it has to be asked all through a run."""

    momentary: bool


class Silences(Protocol):
    """Where a silence is made and ended. ``token`` is part of its comment and finds it again."""

    def create(self, matchers: Sequence[Matcher], seconds: float, comment: str, token: str) -> str:
        """Silence what matches for so long, from now on by the server's clock; its id. Raises AlertsError."""
        ...

    def expire(self, token: str, known: str = "") -> str:
        """End every silence of this token; what was done in words, empty if there was nothing to end.

        ``known``: its id, where ``create`` gave one. Safe to call again. Raises AlertsError.
        """
        ...

    def check(self) -> str:
        """Who answers, in words, such as its address and version. Raises AlertsError."""
        ...
