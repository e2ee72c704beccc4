"""What an experiment declares about alerts: which have to fire, which must not, which end it.

Durations are seconds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Operator = Literal["=", "!=", "=~", "!~"]
OPERATORS: tuple[Operator, ...] = ("=", "!=", "=~", "!~")
NAME = "alertname"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label, as Prometheus and Alertmanager know it: a label that is missing is empty,
    and a regular expression has to match the whole value."""

    label: str
    operator: Operator
    value: str

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels meet it."""
        found = labels.get(self.label, "")
        if self.operator in ("=", "!="):
            same = found == self.value
        else:
            same = re.fullmatch(self.value, found, re.DOTALL) is not None
        return same is (self.operator in ("=", "=~"))

    def __str__(self) -> str:
        """As Prometheus writes it: ``severity=~"page|critical"``."""
        return f"{self.label}{self.operator}{json.dumps(self.value, ensure_ascii=False)}"

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {"label": self.label, "operator": self.operator, "value": self.value}


@dataclass(frozen=True, slots=True)
class AlertPattern:
    """Alerts that meet every matcher; without one, any alert."""

    matchers: tuple[Matcher, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with these labels is meant."""
        return all(matcher.holds(labels) for matcher in self.matchers)

    def __str__(self) -> str:
        """``HighErrorRate{severity="page"}``, or ``any alert``."""
        named = next((m.value for m in self.matchers if m.label == NAME and m.operator == "="), "")
        rest = [str(m) for m in self.matchers if not (named and m.label == NAME)]
        inner = f"{{{', '.join(rest)}}}" if rest else ""
        return f"{named}{inner}" or "any alert"

    @property
    def plain(self) -> list[dict[str, Any]]:
        """As JSON; ``pattern_of`` reads it back."""
        return [matcher.plain for matcher in self.matchers]


def pattern_of(plain: Iterable[Mapping[str, Any]]) -> AlertPattern:
    """A pattern from its JSON; what cannot be read in it is left out."""
    found = []
    for one in plain:
        operator = one.get("operator", "=")
        if operator in OPERATORS and "label" in one:
            found.append(Matcher(str(one["label"]), operator, str(one.get("value", ""))))
    return AlertPattern(tuple(found))


@dataclass(frozen=True, slots=True)
class ExpectedAlert:
    """An alert that the fault has to set off: within so long of the fault (None: by the end of the run),
    and over within so long of ``restored`` (None: whenever)."""

    pattern: AlertPattern
    within: float | None = None
    resolved_within: float | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """What Alertmanager tells nobody while the fault is there, and for how long at most."""

    matchers: tuple[Matcher, ...]
    at_most: float
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerting:
    """All that an experiment says of alerts. ``where``: only alerts that match it concern the run."""

    expect: tuple[ExpectedAlert, ...] = ()
    forbid: tuple[AlertPattern, ...] = ()
    abort_on: tuple[AlertPattern, ...] = ()
    refuse_when_firing: tuple[AlertPattern, ...] = ()
    where: AlertPattern = field(default_factory=AlertPattern)
    silence: Silence | None = None

    @property
    def judges(self) -> bool:
        """Whether anything here has a verdict."""
        return bool(self.expect or self.forbid or self.abort_on)

    @property
    def declared(self) -> bool:
        """Whether the experiment says anything of alerts."""
        return self != Alerting()

    def concerns(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with these labels concerns the run."""
        return self.where.holds(labels)
