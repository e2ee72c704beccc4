"""The shapes of values in OpenSLO files, which know no variables."""

# ruff: noqa: ARG002 - one signature for all shapes

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sloguard.core.service_levels import complement
from sloguard.documents.problems import did_you_mean
from sloguard.documents.tree import Node, shown
from sloguard.spec import values as v
from sloguard.spec.errors import Misfit, Reader
from sloguard.spec.shapes import Json
from sloguard.spec.substitution import Scope

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


def object_name(value: Any) -> str:
    """The name of an object: what Kubernetes takes, and a little more."""
    given = v.text(str(value) if isinstance(value, int) and not isinstance(value, bool) else value)
    if not _NAME.fullmatch(given):
        raise ValueError(f"found {given[:60]!r}")
    return given


def plain_text(value: Any) -> str:
    """Text of at most 1050 characters."""
    given = v.loose_text(value).strip()
    if len(given) > _LONGEST_TEXT:
        raise ValueError(f"the text has {len(given)} characters; expected at most {_LONGEST_TEXT}")
    return given


def shorthand(value: Any) -> float:
    """OpenSLO's durations, in seconds; units of the calendar are refused with what to write."""
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


def slice_window(value: Any) -> float:
    """The length of a slice in seconds; a bare number is minutes."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e6:
        if value < 0.5:
            raise ValueError(f"found {value:g} minutes; expected at least 0.5")
        return float(value) * 60
    return shorthand(value)


def target(value: Any) -> float:
    """A share that leaves a budget."""
    found = v.target(v.number(least=0, most=1)(value))
    if complement(found) < _SMALLEST_BUDGET:
        raise ValueError(
            f"found {value!r}: one in {1 / _SMALLEST_BUDGET:g} is less than anybody can count"
        )
    return found


def percent(value: Any) -> float:
    """A percentage as a share that leaves a budget."""
    given = v.number(least=0, most=100)(value)
    if 0 < given < 1:
        raise Misfit(
            f"found {given:g}, which is {given:g}%", f"'target: {given:g}' says {given:.6g} of all"
        )
    return target(round(given / 100, 12))


def slice_target(value: Any) -> float:
    """A share above 0."""
    return v.number(above=0, most=1)(value)


def one_of(*choices: str) -> Plain:
    """One of several words."""

    def convert(value: Any) -> str:
        if not isinstance(value, str) or value not in choices:
            raise Misfit(f"found {value!r}"[:80], did_you_mean(str(value), choices))
        return value

    return Plain("one of " + ", ".join(choices), convert)


DURATION = "a duration such as 30m, 12h, 30d or 4w"
