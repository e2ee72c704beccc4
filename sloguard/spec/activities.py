"""Actions, probes and controls, in the Chaos Toolkit's words."""

# ruff: noqa: ARG002 - one signature for all shapes

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sloguard.documents.tree import Node, join, shown
from sloguard.spec import scalars as s
from sloguard.spec.errors import Reader
from sloguard.spec.providers import PROVIDER
from sloguard.spec.shapes import Anything, Json, Key, ListOf, late
from sloguard.spec.tables import Table
from sloguard.spec.tolerances import Tolerance


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
        background = node.get("background")
        if background is not None:
            s.FLAG.read(background, join(path, "background"), reader)
        return {"ref": s.TEXT.read(ref, join(path, "ref"), reader)}

    def schema(self, defs: Json) -> Json:
        ref = {
            "type": "object",
            "required": ["ref"],
            "properties": {
                "ref": {"type": "string", "minLength": 1},
                "background": s.FLAG.schema(defs),
            },
        }
        return {"if": {"required": ["ref"]}, "then": ref, "else": self.table.schema(defs)}
