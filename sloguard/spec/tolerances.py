"""What a probe's output has to be: a value, a list, a range, a pattern, a JSON path, or another probe."""

# ruff: noqa: ARG002 - one signature for all shapes

from __future__ import annotations

import contextlib
import io
import re
from dataclasses import dataclass
from typing import Any

from sloguard.documents.tree import Node, shown
from sloguard.spec import scalars as s
from sloguard.spec.errors import Reader
from sloguard.spec.shapes import Anything, Json, Key, Lazy, Shape, Tagged, late
from sloguard.spec.substitution import texts_variables
from sloguard.spec.tables import Table


@dataclass(frozen=True)
class Pattern:
    """A regular expression that compiles."""

    expected: str = "a regular expression"

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        value = reader.resolve(node).value
        if not isinstance(value, str):
            return reader.problem(node, path, f"found {shown(node)}", self.expected)
        try:
            re.compile(value)
        except (re.error, OverflowError, RecursionError) as error:
            message = f"the regular expression does not compile: {error}"
            return reader.problem(node, path, message, self.expected)
        return value

    def schema(self, defs: Json) -> Json:
        return {"type": "string", "format": "regex"}


@dataclass(frozen=True)
class JsonPath:
    """A JSON path in the Chaos Toolkit's dialect (jsonpath2)."""

    expected: str = "a JSON path such as $.items[*].status"

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        value = reader.resolve(node).value
        if not isinstance(value, str) or not value.strip():
            return reader.problem(node, path, f"found {shown(node)}", self.expected)
        if any(texts_variables(value)):
            return value
        # Its grammar takes as long to load as all the rest of a file's reading.
        from jsonpath2.path import Path as Jsonpath

        try:
            # Its grammar's runtime also prints what it raises.
            with contextlib.redirect_stderr(io.StringIO()):
                Jsonpath.parse_str(value.strip())
        except Exception as error:  # noqa: BLE001 - the grammar's runtime raises what it likes
            reason = re.sub(r"^line \d+:", "column ", str(error))
            message = f"the JSON path cannot be read: {reason}"
            return reader.problem(node, path, message, self.expected)
        return value

    def schema(self, defs: Json) -> Json:
        return {"type": "string", "pattern": r"^\s*\$"}


@dataclass(frozen=True)
class TwoNumbers:
    """The lower and the upper bound of a range."""

    expected: str = "two numbers, the lower one first"

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        if not node.is_list or len(node.value) != 2:
            return reader.problem(node, path, f"found {shown(node)}", self.expected)
        numbers = [s.NUMBER.read(n, f"{path}[{i}]", reader) for i, n in enumerate(node.value)]
        low, high = numbers
        if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
            reader.warn(node, path, f"no value is from {low} to {high}", self.expected)
        return numbers

    def schema(self, defs: Json) -> Json:
        return {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}


_TARGET = Key(
    "target", s.TEXT, "Entry of the output to look at (status, body, stdout …).", nullable=True
)
_TOLERANCE_TYPE = Key("type", s.TEXT, "Kind of the tolerance.", required=True)

REGEX = Table(
    "regex-tolerance",
    "Holds where the pattern is found in the output.",
    (_TOLERANCE_TYPE, Key("pattern", Pattern(), "The regular expression.", required=True), _TARGET),
    open=True,
)
JSONPATH = Table(
    "jsonpath-tolerance",
    "Holds where the path finds something, or what is expected.",
    (
        _TOLERANCE_TYPE,
        Key("path", JsonPath(), "The JSON path.", required=True),
        Key("expect", Anything(), "What the path has to find: a value, or a list of all of them."),
        Key("count", late(s.WHOLE), "How many values the path has to find.", nullable=True),
        _TARGET,
    ),
    open=True,
)
RANGE = Table(
    "range-tolerance",
    "Holds for a number within the range.",
    (
        _TOLERANCE_TYPE,
        Key("range", TwoNumbers(), "The lower and the upper bound, both included.", required=True),
        _TARGET,
    ),
    open=True,
)


@dataclass(frozen=True)
class Tolerance:
    """A value, a list, or a mapping with ``type`` range, regex, jsonpath or probe."""

    expected: str = "a value, a list, or a mapping of type range, regex, jsonpath or probe"

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        if node.is_mapping:
            return _TYPED.read(node, path, reader)
        if node.value is None:
            return reader.problem(node, path, "there is no value", self.expected)
        return node.plain()

    def schema(self, defs: Json) -> Json:
        scalar = {"type": ["boolean", "number", "string", "array"]}
        return {"anyOf": [scalar, _TYPED.schema(defs)]}


def _probe() -> Shape:
    # A tolerance may be a probe, and a probe may have a tolerance.
    from sloguard.spec.activities import ACTION_OR_PROBE

    return ACTION_OR_PROBE


_TYPED = Tagged(
    "a tolerance",
    {
        "range": RANGE,
        "regex": REGEX,
        "jsonpath": JSONPATH,
        "probe": Lazy(_probe),
    },
)
