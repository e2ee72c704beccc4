"""Actions and probes, tolerances and controls, in the Chaos Toolkit's words."""

# ruff: noqa: ARG002 - one signature for all shapes

from __future__ import annotations

import contextlib
import io
import re
from dataclasses import dataclass
from typing import Any

from sloguard.documents.tree import Node, join, shown
from sloguard.spec import scalars as s
from sloguard.spec.errors import Reader
from sloguard.spec.providers import PROVIDER
from sloguard.spec.shapes import Anything, Json, Key, Lazy, ListOf, Tagged, late
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


@dataclass(frozen=True)
class Pause:
    """Seconds, or a lone ``${name}`` (all that the Chaos Toolkit takes besides)."""

    expected: str = 'a number of seconds, or a variable such as "${pause}"'

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        if isinstance(node.value, str) and not re.fullmatch(r"\$\{.+\}", node.value):
            return reader.problem(node, path, f"found {shown(node)}", self.expected)
        return late(s.DURATION).read(node, path, reader)

    def schema(self, defs: Json) -> Json:
        variable = {"type": "string", "pattern": r"^\$\{.+\}$"}
        return {"anyOf": [{"type": "number", "minimum": 0}, variable]}


PAUSES = Table(
    "pauses",
    "Waiting before and after an activity.",
    (
        Key("before", Pause(), "Seconds before the activity.", nullable=True),
        Key("after", Pause(), "Seconds after the activity.", nullable=True),
    ),
    open=True,
)

_CONTROL_PROVIDER = Table(
    "control-provider",
    "The module of a control.",
    (
        Key("type", s.CONTROL_TYPE, "Always python.", required=True),
        Key("module", late(s.TEXT), "Dotted name of the module.", required=True),
        Key("arguments", Anything(), "Arguments of the control's functions.", nullable=True),
        Key("secrets", Anything(), "Groups of secrets.", nullable=True),
    ),
    open=True,
)
CONTROL = Table(
    "control",
    "A control: Python code that is called before and after what it stands beside.",
    (
        Key("name", s.LOOSE_TEXT, "Name of the control.", required=True),
        Key(
            "provider",
            _CONTROL_PROVIDER,
            "Where the control's code is.",
            required=True,
        ),
        Key("scope", s.SCOPE, "Only 'before' or only 'after'; without it both.", nullable=True),
        Key("automatic", s.FLAG, "Whether a control of the experiment goes to every level below.",
            nullable=True, default=True),
        Key("ref", s.TEXT, "Name of another control.", nullable=True),
    ),
    open=True,
)  # fmt: skip


@dataclass(frozen=True)
class ControlOrRef:
    """A control, or ``ref`` to another one by name."""

    expected: str = "a control with name and provider, or a ref"

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        ref = node.get("ref")
        if ref is not None and node.get("provider") is None:
            return {"ref": s.TEXT.read(ref, join(path, "ref"), reader)}
        return CONTROL.read(node, path, reader)

    def schema(self, defs: Json) -> Json:
        only_ref = {"type": "object", "required": ["ref"], "properties": {"provider": False}}
        return {"anyOf": [CONTROL.schema(defs), only_ref]}


CONTROLS = ListOf(ControlOrRef(), "controls")


def _activity_keys(*, tolerance_required: bool = False) -> tuple[Key, ...]:
    return (
        Key("type", s.ACTIVITY_TYPE, "action or probe.", required=True),
        Key("name", s.LOOSE_TEXT, "Name of the activity.", required=True),
        Key("provider", PROVIDER, "How the activity is called.", required=True),
        Key(
            "tolerance",
            Tolerance(),
            "What a probe's output has to be: a value, a list, or a mapping of type range, regex, "
            "jsonpath or probe.",
            required=tolerance_required,
        ),
        Key("background", s.FLAG, "Whether the next activity starts without waiting for this one.",
            default=False),
        Key("pauses", PAUSES, "Seconds to wait before and after.", nullable=True),
        Key("controls", CONTROLS, "Controls around this activity.", nullable=True),
        Key("timeout", s.NUMBER, "Unused by the Chaos Toolkit; a provider has its own.", nullable=True),
        Key("dry", Anything(), "Unused in a file; see --dry-run.", nullable=True, critical=False),
        Key("ref", s.TEXT, "Name of another activity of this file, to be carried out here.",
            nullable=True),
    )  # fmt: skip


_ELSEWHERE = dict.fromkeys(("abort-when", "phases", "slos"), "outside of the activity")
ACTION_OR_PROBE = Table(
    "activity", "An action or a probe.", _activity_keys(), open=True, elsewhere=_ELSEWHERE,
    literal=True,
)  # fmt: skip
HYPOTHESIS_PROBE = Table(
    "hypothesis-probe",
    "A probe of the steady-state hypothesis, with the tolerance that its output has to meet.",
    _activity_keys(tolerance_required=True),
    open=True,
    elsewhere=_ELSEWHERE,
    literal=True,
)
_TYPED = Tagged(
    "a tolerance",
    {
        "range": RANGE,
        "regex": REGEX,
        "jsonpath": JSONPATH,
        "probe": Lazy(lambda: ACTION_OR_PROBE),
    },
)


@dataclass(frozen=True)
class ActivityOrRef:
    """An activity, or ``{ref: name}``. ``hypothesis``: a tolerance belongs to it."""

    hypothesis: bool = False
    expected: str = "an activity with type, name and provider, or a ref"

    @property
    def table(self) -> Table:
        """The table of the whole activity."""
        return HYPOTHESIS_PROBE if self.hypothesis else ACTION_OR_PROBE

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        ref = node.get("ref")
        if ref is None:
            return self.table.read(node, path, reader)
        # What it leads to is found, and checked, once all activities are known.
        tolerance = node.get("tolerance")
        if tolerance is not None:
            Tolerance().read(tolerance, join(path, "tolerance"), reader)
        return {"ref": s.TEXT.read(ref, join(path, "ref"), reader)}

    def schema(self, defs: Json) -> Json:
        ref = {
            "type": "object",
            "required": ["ref"],
            "properties": {"ref": {"type": "string", "minLength": 1}},
        }
        return {"if": {"required": ["ref"]}, "then": ref, "else": self.table.schema(defs)}
