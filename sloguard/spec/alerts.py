"""``alerts``: which alerts a fault has to set off, which it must not, and which end a run.

A label's value is taken as it is. One that begins with ``!=``, ``=~`` or ``!~`` is that comparison, as in
Prometheus: ``severity: "=~page|critical"``. A regular expression has to match the whole value.
"""

# ruff: noqa: ARG002 - one signature for all shapes and rules

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sloguard.core.alert_rules import (
    NAME,
    OPERATORS,
    Alerting,
    AlertPattern,
    ExpectedAlert,
    Matcher,
    Silence,
)
from sloguard.documents.problems import nearest
from sloguard.documents.tree import Node, join, shown
from sloguard.spec import scalars as s
from sloguard.spec.errors import FAILED, Misfit, Reader
from sloguard.spec.shapes import ByType, Json, Key, ListOf, Scalar
from sloguard.spec.tables import Table

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
#: What Python's regular expressions know and those of Prometheus and Alertmanager do not.
_FOREIGN = re.compile(r"\(\?(?:[=!>(#]|<[=!]|P=)|(?<!\\)(?:\\\\)*\\[1-9Z]|[*+?}]\+")
_MISTAKEN = ("alert", "name", "alert-name")
_A_VALUE = "a text, taken as it is, or one that begins with !=, =~ or !~"


def _comparison(value: Any) -> tuple[str, str]:
    """(operator, value) of what stands beside a label."""
    if isinstance(value, bool):
        value = "true" if value else "false"
    elif isinstance(value, int | float):
        value = str(value)
    if not isinstance(value, str):
        raise ValueError("")
    operator = next((o for o in OPERATORS if o != "=" and value.startswith(o)), "=")
    text = value.removeprefix(operator).strip() if operator != "=" else value
    if operator in ("=~", "!~"):
        _check_expression(text)
    elif operator == "=" and value.startswith("="):
        hint = "leave out the '='; a regular expression begins with '=~'"
        raise Misfit(f"found '{value}'", hint)
    return operator, text


def _check_expression(text: str) -> None:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"'{text}' is not a regular expression: {error}") from None
    if _FOREIGN.search(text):
        raise ValueError(f"'{text}' uses what regular expressions of Prometheus do not know")


MATCH = Scalar(
    _A_VALUE,
    _comparison,
    {"type": ["string", "number", "boolean"], "pattern": "^(?!=(?!~))"},
)


@dataclass(frozen=True)
class Labels:
    """A mapping of labels to what they have to be -> matchers, in the order of the file."""

    what: str = "labels"
    empty: bool = False

    @property
    def expected(self) -> str:
        return f"a mapping of {self.what}, such as severity: critical"

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        node = reader.resolve(node)
        if not node.is_mapping:
            return reader.problem(node, path, f"found {shown(node)}", self.expected)
        if not node.value and not self.empty:
            return reader.problem(node, path, "there is no label", self.expected)
        mark = reader.mark
        found = [
            matcher
            for label, child in node.value.items()
            if (matcher := self.matcher(label, child, node, path, reader)) is not None
        ]
        return FAILED if reader.mark != mark else tuple(found)

    def matcher(
        self, label: str, child: Node, holder: Node, path: str, reader: Reader
    ) -> Matcher | None:
        if not _LABEL.fullmatch(label):
            expected = "letters, digits and _, not beginning with a digit"
            reader.problem(holder.place(label), path, f"'{label}' is no label's name", expected)
            return None
        _warn_of_near_miss(label, holder, path, reader)
        read = MATCH.read(child, join(path, label), reader)
        return None if read is FAILED else Matcher(label, read[0], read[1])

    def schema(self, defs: Json) -> Json:
        form: Json = {
            "type": "object",
            "propertyNames": {"pattern": f"^{_LABEL.pattern}$"},
            "additionalProperties": MATCH.schema(defs),
        }
        return form if self.empty else {**form, "minProperties": 1}


def _warn_of_near_miss(label: str, holder: Node, path: str, reader: Reader) -> None:
    """A label of its own, maybe; but what matches nothing is easily held to be well."""
    if label == NAME or NAME in holder.value:
        return
    if label in _MISTAKEN or nearest(label, [NAME], 0.8):
        message = f"this is about the label '{label}'"
        reader.warn(holder.place(label), path, message, hint=f"did you mean '{NAME}'?")


@dataclass(frozen=True)
class Pattern:
    """``{alertname: …, labels: {…}}``, labels alone, or the name of an alert -> AlertPattern."""

    expected = "a mapping of labels, or the name of an alert"

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        node = reader.resolve(node)
        if not node.is_mapping:
            read = MATCH.read(node, path, reader) if isinstance(node.value, str) else None
            if read is None:
                return reader.problem(node, path, f"found {shown(node)}", self.expected)
            return FAILED if read is FAILED else AlertPattern((Matcher(NAME, *read),))
        if not node.value:
            return reader.problem(node, path, "there is no label", self.expected)
        mark = reader.mark
        found = list(self._matchers(node, path, reader))
        return FAILED if reader.mark != mark else AlertPattern(tuple(found))

    def _matchers(self, node: Node, path: str, reader: Reader) -> Iterator[Matcher]:
        labels = Labels()
        for label, child in node.value.items():
            if label == "labels" and reader.resolve(child).is_mapping:
                read = labels.read(child, join(path, label), reader)
                yield from () if read is FAILED else read
            else:
                matcher = labels.matcher(label, child, node, path, reader)
                if matcher is not None:
                    yield matcher

    def schema(self, defs: Json) -> Json:
        labels = Labels().schema(defs)
        either = {"anyOf": [MATCH.schema(defs), labels]}
        form = {**labels, "properties": {"labels": either}}
        return {"anyOf": [form, {"type": "string", "minLength": 1}]}


def _any_alert(value: Any) -> tuple[AlertPattern, ...]:
    if value is not True:
        raise ValueError("")
    return (AlertPattern(),)


_LIST_OR_TRUE = "a list of alerts, or true for any alert"
PATTERNS = ByType(
    _LIST_OR_TRUE,
    scalar=Scalar(_LIST_OR_TRUE, _any_alert, {"const": True}),
    list=ListOf(Pattern(), "alerts"),
)


class Named:
    """An expected alert says which one."""

    def check(self, node: Node, values: Mapping[str, Any], path: str, reader: Reader) -> None:
        if node.get(NAME) is None and node.get("labels") is None:
            reader.problem(node, path, "it names no alert", "'alertname', 'labels' or both")

    def schema(self) -> Json:
        return {"anyOf": [{"required": [NAME]}, {"required": ["labels"]}]}


def _expected(values: dict[str, Any]) -> ExpectedAlert:
    named = (Matcher(NAME, *values[NAME]),) if NAME in values else ()
    return ExpectedAlert(
        AlertPattern((*named, *values.get("labels", ()))),
        values.get("within"),
        values.get("resolved_within"),
    )


EXPECTED = Table(
    "expected-alert",
    "An alert that the fault has to set off. One that does not fire, or too late, is a weakness.",
    (
        Key(NAME, MATCH, "Name of the alert.", examples=("HighErrorRate",), mistaken=_MISTAKEN),
        Key("labels", Labels(), "Labels that it has to have.", examples=({"severity": "page"},),
            mistaken=("label", "matchers", "match")),
        Key("within", s.PERIOD, "So long after the fault it has to fire. Without it: by the end of the run.",
            examples=("2m",), mistaken=("after", "for", "fires-within", "in")),
        Key("resolved_within", s.PERIOD,
            "So long after all is undone every such alert has to be over. Without it: whenever.",
            examples=("5m",), mistaken=("resolve-within", "resolves-within", "recover-within")),
    ),
    rules=(Named(),),
    finish=_expected,
)  # fmt: skip

SILENCE = Table(
    "silence",
    "What Alertmanager is to keep to itself: from the fault until all is undone.",
    (
        Key("matchers", Labels("matchers"), "Alerts with these labels notify nobody meanwhile.",
            required=True, examples=({"namespace": "shop"},), mistaken=("labels", "match", "where")),
        Key("at_most", s.PERIOD, "The silence ends by itself after so long, whatever becomes of the run.",
            required=True, examples=("30m",), mistaken=("duration", "for", "max", "ends-after")),
        Key("comment", s.LOOSE_TEXT, "What is said in its comment beside the run and the experiment."),
    ),
    finish=lambda values: Silence(**values),
)  # fmt: skip


class NoContradiction:
    """What is expected is neither forbidden nor the end of the run, and can be of those that count."""

    def check(self, node: Node, values: Mapping[str, Any], path: str, reader: Reader) -> None:
        lists = (node.get(key) for key in values)
        if any(
            n and n.is_list and len(n.value) != len(values[k])
            for k, n in zip(values, lists, strict=True)
        ):
            return  # what could not be read was left out, and the rest is not where it was
        where = {m.label: m for m in values.get("where") or ()}
        expected = [e.pattern for e in values.get("expect") or ()]
        for key, why in (("forbid", "forbidden"), ("abort_on", "the end of the run")):
            for index, pattern in enumerate(values.get(key) or ()):
                if pattern in expected:
                    at, place = _member(node, key, index)
                    message = f"{pattern} is expected, and {why} as well"
                    reader.problem(at, join(path, place), message, "one of the two")
        for key in ("expect", "forbid", "abort_on", "refuse_when_firing"):
            for index, one in enumerate(values.get(key) or ()):
                pattern = one.pattern if isinstance(one, ExpectedAlert) else one
                self._fits(pattern, where, (node, key, index), path, reader)

    def _fits(
        self,
        pattern: AlertPattern,
        where: Mapping[str, Matcher],
        member: tuple[Node, str, int],
        path: str,
        reader: Reader,
    ) -> None:
        for matcher in pattern.matchers:
            other = where.get(matcher.label)
            both = other is not None and matcher.operator == other.operator == "="
            if other is not None and both and other.value != matcher.value:
                at, place = _member(*member)
                message = f"no alert is meant: {matcher}, and 'where' says {other}"
                reader.problem(at, join(path, place), message, "alerts that 'where' lets through")

    def schema(self) -> Json:
        return {}


def _member(node: Node, key: str, index: int) -> tuple[Node, str]:
    found = node.get(key) or node
    if found.is_list and index < len(found.value):
        return found.value[index], f"{key}[{index}]"
    return found, key


def _alerting(values: dict[str, Any]) -> Alerting:
    def patterns(key: str) -> tuple[AlertPattern, ...]:
        found: Sequence[AlertPattern] = values.get(key) or ()
        return tuple(found)

    return Alerting(
        expect=tuple(values.get("expect") or ()),
        forbid=patterns("forbid"),
        abort_on=patterns("abort_on"),
        refuse_when_firing=patterns("refuse_when_firing"),
        where=AlertPattern(tuple(values.get("where") or ())),
        silence=values.get("silence"),
    )


ALERTS = Table(
    "alerts",
    "What the alerting has to do, and must not do, while the fault is there.",
    (
        Key("expect", ListOf(EXPECTED, "alerts"), "Alerts that the fault has to set off.",
            nullable=True, mistaken=("expected", "must", "should-fire", "require")),
        Key("forbid", PATTERNS, "Alerts that it must not set off; true: none at all.", nullable=True,
            examples=([{"severity": "critical"}],), mistaken=("forbidden", "must-not", "deny")),
        Key("abort_on", PATTERNS, "Alerts at which the run is stopped and undone.", nullable=True,
            examples=([{"alertname": "EverythingIsDown"}],),
            mistaken=("abort", "abort-when", "abort-if", "stop-on", "guard")),
        Key("refuse_when_firing", PATTERNS, "With one of these firing a run does not start; true: with any.",
            nullable=True, examples=(True,),
            mistaken=("refuse", "refuse-when", "refuse-on", "not-when-firing", "refuse-if-firing")),
        Key("where", Labels(), "Only alerts with these labels concern the run.", nullable=True,
            examples=({"namespace": "shop"},), mistaken=("labels", "filter", "scope", "only", "match")),
        Key("silence", SILENCE, SILENCE.doc, nullable=True, mistaken=("silences", "mute")),
    ),
    rules=(NoContradiction(),),
    finish=_alerting,
)  # fmt: skip
