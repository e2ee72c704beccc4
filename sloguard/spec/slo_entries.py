"""The entries of ``slos``: an SLO itself, or ``from`` with the files in which SLOs stand."""

# ruff: noqa: ARG002 - one signature for all shapes and rules

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sloguard.documents.tree import Node
from sloguard.spec import scalars as s
from sloguard.spec.errors import FAILED, Reader
from sloguard.spec.shapes import Json, Key, Scalar
from sloguard.spec.slos import SLO, UniqueNames
from sloguard.spec.tables import Table

_FROM_DOCS = {
    "objective": "In place of the objective that the file promises, in all phases.",
    "lookback": "The range of counters and of {{.window}} in the files' queries. Without it one that the phases "
    "allow: a quarter of the shortest, at least four scrapes.",
    "target": "In place of the file's target, for the error budget.",
    "period": "In place of the file's period, for the error budget.",
}


@dataclass(frozen=True)
class _OneOrMore:
    """A text, or a list of texts: a list of them. Nothing is substituted in it."""

    expected: str
    item: Scalar

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        members = node.value if node.is_list else [node]
        if not members:
            return reader.problem(node, path, "the list is empty", self.expected)
        found = []
        for number, member in enumerate(members):
            where = f"{path}[{number}]" if node.is_list else path
            try:
                found.append(self.item.convert(member.plain()))
            except ValueError as error:
                reader.problem(member, where, str(error), self.expected)
        return found if len(found) == len(members) else FAILED

    def schema(self, defs: Json) -> Json:
        return {
            "anyOf": [self.item.form, {"type": "array", "minItems": 1, "items": self.item.form}]
        }


_PATHS = _OneOrMore("a path or a pattern, or a list of these", s.TEXT)
_NAMES = _OneOrMore("the name of an SLO, or a list of names", s.NAME)


#: Keys of an entry with ``from`` that choose; all others go to each of its SLOs.
FROM_ONLY = ("from", "only", "name")
#: What an SLO says of itself, and an entry with ``from`` never.
_NOT_WITH_FROM = ("name", "query", "total", "bad", "good")


class OneChoice:
    """Either ``name`` or ``only``."""

    def check(self, node: Node, values: Mapping[str, Any], path: str, reader: Reader) -> None:
        if node.get("name") is not None and node.get("only") is not None:
            message = "'name' and 'only' both choose"
            reader.problem(node.place("only"), path, message, "one of them")

    def schema(self) -> Json:
        return {"not": {"required": ["name", "only"]}}


INCLUDED = Table(
    "slos-from",
    "SLOs of OpenSLO files. Further keys go to each of them, in place of what the file says.",
    (
        Key(
            "from",
            _PATHS,
            "SLO files (OpenSLO v1): a path or a pattern such as rules/slos/*.yaml, or a list of these, "
            "relative to this file.",
            required=True,
            examples=("rules/slos/checkout.yaml", ["rules/slos/*.yaml"]),
        ),
        Key("name", s.NAME, "Only the SLO of this name.", examples=("availability",)),
        Key("only", _NAMES, "Only the SLOs of these names.", examples=(["availability"],)),
        *(
            Key(key.name, key.shape, _FROM_DOCS.get(key.name, key.doc), examples=key.examples,
                mistaken=key.mistaken)
            for key in SLO.keys
            if key.name not in _NOT_WITH_FROM
        ),
    ),
    rules=(OneChoice(),),
    elsewhere=dict.fromkeys(
        ("query", "total", "bad", "good"), "in the SLO file, or in an SLO without 'from'"
    ),
)  # fmt: skip


@dataclass(frozen=True)
class SloOrFrom:
    """An SLO. An entry with ``from`` has been replaced by its SLOs before anything is read."""

    expected: str = SLO.expected

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        return SLO.read(node, path, reader)

    def schema(self, defs: Json) -> Json:
        return {
            "if": {"type": "object", "required": ["from"]},
            "then": INCLUDED.schema(defs),
            "else": SLO.schema(defs),
        }


SLOS = UniqueNames(SloOrFrom(), "SLOs, each with name, query and objective")
