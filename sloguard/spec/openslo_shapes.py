"""What OpenSLO v1 allows, as tables; what of it sloguard cannot do is refused by name."""

# ruff: noqa: ARG002 - one signature for all shapes

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sloguard.core.service_levels import Budgeting, complement
from sloguard.documents.problems import did_you_mean
from sloguard.documents.tree import Node, shown
from sloguard.spec import values as v
from sloguard.spec.errors import Failed, Misfit, Reader
from sloguard.spec.shapes import Anything, Json, Key, ListOf
from sloguard.spec.substitution import Scope
from sloguard.spec.tables import Table

#: From an operator of OpenSLO to the one of an objective.
OPERATORS = {"lte": "<=", "gte": ">=", "lt": "<", "gt": ">"}
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._|/\\-]{0,253}[A-Za-z0-9])?")
_SHORTHAND = re.compile(r"(\d{1,6})([A-Za-z]+)")
_UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_CALENDAR_UNITS = {"M": "30d", "Q": "90d", "Y": "365d"}
_LONGEST_TEXT = 1050
_LONGEST = 10 * 366 * 86400.0
#: A budget below this is no number to divide by.
_SMALLEST_BUDGET = 1e-9


class PlainReader(Reader):
    """A file without variables: ``$`` means nothing there."""

    def __init__(self, file: str) -> None:
        super().__init__(file, Scope({}))

    def resolve(self, node: Node) -> Node:
        """The node itself."""
        return node


@dataclass(frozen=True)
class Plain:
    """One value; ``convert`` raises ValueError for what does not fit."""

    expected: str
    convert: Callable[[Any], Any]

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        if node.value is None:
            return reader.problem(node, path, "there is no value", self.expected)
        try:
            return self.convert(node.plain())
        except ValueError as error:
            message = str(error) or f"found {shown(node)}"
            expected = "" if "expected" in message else self.expected
            hint = getattr(error, "hint", "") or (node.trap and f"{node.trap}: put it in quotes")
            return reader.problem(node, path, message, expected, hint)

    def schema(self, defs: Json) -> Json:
        return {}


@dataclass(frozen=True)
class Unsupported:
    """A key that OpenSLO has and sloguard does not."""

    reason: str
    instead: str

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        return reader.problem(
            node, path, f"OpenSLO allows this, sloguard does not: {self.reason}", hint=self.instead
        )

    def schema(self, defs: Json) -> Json:
        return {}


@dataclass(frozen=True)
class Ignored:
    """A key that has no effect here, which is worth a word."""

    reason: str

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        reader.warn(node, path, self.reason)
        return None

    def schema(self, defs: Json) -> Json:
        return {}


@dataclass(frozen=True)
class Texts:
    """A mapping of texts, or of lists of texts where ``lists``; those are joined by commas."""

    lists: bool = False

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        if not node.is_mapping:
            return reader.problem(node, path, f"found {shown(node)}", "a mapping of texts")
        found: dict[str, str] = {}
        for key, child in node.value.items():
            value = self._text(child)
            if value is None:
                expected = "a text, or a list of texts" if self.lists else "a text"
                reader.problem(child, f"{path}.{key}", f"found {shown(child)}", expected)
            else:
                found[key] = value
        return found

    def _text(self, node: Node) -> str | None:
        if self.lists and node.is_list:
            parts = [self._text(child) for child in node.value]
            return (
                None
                if None in parts or any(c.is_list for c in node.value)
                else ",".join(p for p in parts if p)
            )
        if isinstance(node.value, str | int | float):
            # As it was written: true stays true, 1.10 stays 1.10.
            return node.written or str(node.value)
        return None

    def schema(self, defs: Json) -> Json:
        return {}


def _name(value: Any) -> str:
    given = v.text(str(value) if isinstance(value, int) and not isinstance(value, bool) else value)
    if not _NAME.fullmatch(given):
        raise ValueError(f"found {given[:60]!r}")
    return given


def _text(value: Any) -> str:
    given = v.loose_text(value).strip()
    if len(given) > _LONGEST_TEXT:
        raise ValueError(f"the text has {len(given)} characters; expected at most {_LONGEST_TEXT}")
    return given


def _shorthand(value: Any) -> float:
    found = _SHORTHAND.fullmatch(value) if isinstance(value, str) else None
    if found and found[2] in _CALENDAR_UNITS and int(found[1]):
        near = _CALENDAR_UNITS[found[2]]
        count = int(found[1]) * int(near[:-1])
        raise Misfit(
            f"OpenSLO allows {value}, sloguard does not: months, quarters and years differ in length",
            f"write days: {count}d" if count < 100_000 else "",
        )
    if not found or found[2] not in _UNITS or not int(found[1]):
        hint = f"write '{value}m' for minutes" if isinstance(value, int) else ""
        raise Misfit(f"found {value!r}"[:80], hint)
    seconds = int(found[1]) * _UNITS[found[2]]
    if seconds > _LONGEST:
        raise ValueError(f"found {value!r}; expected at most ten years")
    return seconds


def _slice(value: Any) -> float:
    # A bare number is minutes.
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e6:
        if value < 0.5:
            raise ValueError(f"found {value:g} minutes; expected at least 0.5")
        return float(value) * 60
    return _shorthand(value)


def _target(value: Any) -> float:
    found = v.target(v.number(least=0, most=1)(value))
    if complement(found) < _SMALLEST_BUDGET:
        raise ValueError(
            f"found {value!r}: one in {1 / _SMALLEST_BUDGET:g} is less than anybody can count"
        )
    return found


def _percent(value: Any) -> float:
    given = v.number(least=0, most=100)(value)
    if 0 < given < 1:
        raise Misfit(
            f"found {given:g}, which is {given:g}%", f"'target: {given:g}' says {given:.6g} of all"
        )
    return _target(round(given / 100, 12))


def _slice_target(value: Any) -> float:
    return v.number(above=0, most=1)(value)


def one_of(*choices: str) -> Plain:
    """One of several words."""

    def convert(value: Any) -> str:
        if not isinstance(value, str) or value not in choices:
            raise Misfit(f"found {value!r}"[:80], did_you_mean(str(value), choices))
        return value

    return Plain("one of " + ", ".join(choices), convert)


NAME = Plain(
    "letters, digits and - . | / \\, at most 255, with a letter or digit at both ends", _name
)
TEXT = Plain("text", _text)
FLAG = Plain("true or false", v.flag)
_DURATION = "a duration such as 30m, 12h, 30d or 4w"

METADATA = Table(
    "metadata",
    "Name and labels of an object.",
    (
        Key("name", NAME, "Name of the object.", required=True),
        Key("displayName", TEXT, "Name for people.", nullable=True),
        Key(
            "labels",
            Texts(lists=True),
            "Labels; those of an SLO are put on its alerts.",
            nullable=True,
        ),
        Key("annotations", Texts(), "Annotations.", nullable=True),
    ),
)
_SOURCE_SPEC = Table(
    "metric-source-spec",
    "What Prometheus is asked.",
    (Key("query", Plain("a PromQL query", v.query), "The PromQL query.", required=True,
         mistaken=("promql", "expr", "expression", "metric")),),
    open=True,
)  # fmt: skip
_SOURCE = Table(
    "metricSource",
    "Where values come from: Prometheus.",
    (
        Key("metricSourceRef", NAME, "Name of a DataSource.", nullable=True),
        Key("type", TEXT, "Type of the source: Prometheus.", nullable=True),
        Key("spec", _SOURCE_SPEC, "The query.", required=True),
    ),
)
_METRIC = Table(
    "metric",
    "One query.",
    (Key("metricSource", _SOURCE, "Where values come from.", required=True),),
)
_RATIO = Table(
    "ratioMetric",
    "good or bad with total, or raw with rawType.",
    (
        Key("counter", FLAG, "Whether the queries select counters.", nullable=True),
        Key("good", _METRIC, "The good events."),
        Key("bad", _METRIC, "The bad events."),
        Key("total", _METRIC, "All events."),
        Key("raw", _METRIC, "A ratio that is computed already."),
        Key("rawType", one_of("success", "failure"), "Of what the raw ratio is."),
    ),
)
SLI_SPEC = Table(
    "indicator-spec",
    "A ratioMetric or a thresholdMetric.",
    (
        Key("description", TEXT, "What is measured.", nullable=True),
        Key("ratioMetric", _RATIO, "A share of events."),
        Key("thresholdMetric", _METRIC, "Values to hold against a bound."),
    ),
)
_INDICATOR = Table(
    "indicator",
    "An indicator in its place.",
    (
        Key("metadata", METADATA, "Its name.", nullable=True),
        Key("spec", SLI_SPEC, "What is measured.", required=True),
    ),
)
_COMPOSITE = Unsupported(
    "SLOs that are composed of several indicators", "write an SLO for each indicator"
)
_OBJECTIVE = Table(
    "objective",
    "What is promised.",
    (
        Key("displayName", TEXT, "Name for people.", nullable=True),
        Key("op", one_of(*OPERATORS), "How a threshold's values compare with 'value'."),
        Key("value", Plain("a number", v.number()), "The bound of a threshold."),
        Key("target", Plain("a share between 0 and 1, such as 0.999", _target), "Share of good that is promised."),
        Key("targetPercent", Plain("a percentage between 0 and 100, such as 99.9", _percent),
            "The same in percent."),
        Key("timeSliceTarget", Plain("a share above 0 and at most 1", _slice_target),
            "Share of good with which a slice of time is good."),
        Key("timeSliceWindow", Plain(f"{_DURATION}, or a number of minutes", _slice), "Length of a slice of time."),
        Key("indicator", _COMPOSITE, "Of a composite SLO."),
        Key("indicatorRef", _COMPOSITE, "Of a composite SLO."),
        Key("compositeWeight", _COMPOSITE, "Of a composite SLO."),
    ),
)  # fmt: skip
_TIME_WINDOW = Table(
    "timeWindow",
    "The period of the budget.",
    (
        Key("duration", Plain(_DURATION, _shorthand), "Length of the period.", required=True),
        Key("isRolling", FLAG, "Has to be true.", nullable=True),
        Key("calendar", Unsupported("periods that follow the calendar",
                                    "a rolling one: duration: 30d, isRolling: true"), "Start by the calendar."),
    ),
)  # fmt: skip
SLO_SPEC = Table(
    "slo-spec",
    "An SLO.",
    (
        Key("description", TEXT, "The SLO in words.", nullable=True),
        Key("service", TEXT, "The service that it is of.", nullable=True),
        Key("indicator", _INDICATOR, "The indicator itself."),
        Key("indicatorRef", NAME, "Name of an SLI."),
        Key("timeWindow", ListOf(_TIME_WINDOW, "one time window"), "The period of the budget."),
        Key("budgetingMethod", one_of(*Budgeting), "What is counted.", required=True),
        Key("objectives", ListOf(_OBJECTIVE, "objectives"), "What is promised.", required=True,
            mistaken=("objective",)),
        Key("alertPolicies", Ignored("it has no effect: the alerts are burn rates over several windows"),
            "Policies of alerting.", nullable=True),
    ),
)  # fmt: skip
DATA_SOURCE_SPEC = Table(
    "data-source-spec",
    "A source of data.",
    (
        Key("description", TEXT, "What it is.", nullable=True),
        Key("type", TEXT, "Its type.", required=True),
        Key(
            "connectionDetails",
            Anything(),
            "How it is reached; sloguard has settings for that.",
            nullable=True,
        ),
    ),
)


def is_failed(value: Any) -> bool:
    """Whether a shape reported a problem in place of a value."""
    return isinstance(value, Failed)
