"""What Prometheus tells of its targets and rules, and how selectors and durations are written for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from sloguard.ports import RecordingRule, Selection

_PLAIN_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_PLAIN_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdwy])")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}


class Target(msgspec.Struct):
    """One active target; ``scrapeInterval`` is not told by everything that has this API."""

    labels: dict[str, str] = {}
    discoveredLabels: dict[str, str] = {}  # noqa: N815 - the API's name
    scrapeInterval: str = ""  # noqa: N815 - the API's name
    lastScrape: str = ""  # noqa: N815 - the API's name

    @property
    def interval(self) -> float:
        """Seconds; 0 if it is not told."""
        text = self.scrapeInterval or self.discoveredLabels.get("__scrape_interval__", "")
        return parse_duration(text)


class Targets(msgspec.Struct):
    """The answer of ``/api/v1/targets``."""

    activeTargets: list[Target] | None = None  # noqa: N815 - the API's name

    def interval(self, jobs: set[str]) -> float | None:
        """The largest scrape interval of these jobs; None if none of them is told."""
        active = self.activeTargets or ()
        told = [target.interval for target in active if target.labels.get("job") in jobs]
        return max((interval for interval in told if interval > 0), default=None)

    def last_scrape(self) -> float | None:
        """When a target was last scraped, on the server's clock; None if never."""
        times = [_timestamp(target.lastScrape) for target in self.activeTargets or ()]
        return max((at for at in times if at > 0), default=None)


class Rule(msgspec.Struct):
    """One rule; alerting rules have other fields beside these."""

    type: str = ""
    name: str = ""
    query: str = ""
    labels: dict[str, str] | None = None


class RuleGroup(msgspec.Struct):
    """The rules that are evaluated together, every ``interval`` seconds."""

    interval: float = 0.0
    rules: list[Rule] = []


class Rules(msgspec.Struct):
    """The answer of ``/api/v1/rules``."""

    groups: list[RuleGroup] | None = None

    def recording(self) -> Iterator[RecordingRule]:
        """The recording rules, in the order of their groups."""
        for group in self.groups or ():
            for rule in group.rules:
                if rule.type == "recording":
                    labels = rule.labels or {}
                    yield RecordingRule(rule.name, rule.query, group.interval, labels)


def selector(selection: Selection) -> str:
    """A selection as PromQL that every server reads, whatever its names and values hold."""
    name = selection.metric or ""
    matchers = list(selection.matchers)
    if name and not _PLAIN_NAME.fullmatch(name):
        matchers.insert(0, ("__name__", "=", name))
        name = ""
    inner = ",".join(f"{_label(label)}{op}{_quoted(value)}" for label, op, value in matchers)
    return f"{name}{{{inner}}}" if inner else name


def batches(texts: Sequence[str], longest: int) -> Iterator[list[str]]:
    """The texts in order, in groups of at most ``longest`` characters (or one text)."""
    group: list[str] = []
    for text in texts:
        if group and sum(map(len, group)) + len(text) > longest:
            yield group
            group = []
        group.append(text)
    if group:
        yield group


def parse_duration(text: str) -> float:
    """``1m30s`` -> 90.0; 0 for what is no duration."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return 0.0
    return float(sum(float(number) * _UNITS[unit] for number, unit in parts))


def _label(label: str) -> str:
    return label if _PLAIN_LABEL.fullmatch(label) else _quoted(label)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _timestamp(text: str) -> float:
    """RFC 3339 -> seconds; 0 for year 1, which means never, and for what is no time."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    return at.timestamp() if at.tzinfo is not None and at.year > 1970 else 0.0
