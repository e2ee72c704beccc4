"""Tables of keys: mappings whose keys are known, each with its shape and its documentation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from sloguard.documents.problems import nearest
from sloguard.documents.tree import Node, join, shown
from sloguard.spec.errors import FAILED, Reader
from sloguard.spec.shapes import VARIABLE, Json, Key

#: How near an unknown key must come to a known one in a mapping that also takes keys of others.
NEAR_MISS = 0.8


class Rule(Protocol):
    """Something that binds several keys of a table."""

    def check(self, node: Node, values: Mapping[str, Any], path: str, reader: Reader) -> None:
        """Report what is wrong; ``values`` holds the keys that could be read."""
        ...

    def schema(self) -> Json:
        """The same as JSON Schema, as far as it can say it."""
        ...


Finish = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class Table:
    """A mapping. ``open``: the Chaos Toolkit's own, where keys of others are nobody's business.

    ``elsewhere``: keys that belong to another place, with that place. ``finish`` makes the model's object of
    what was read, if nothing was wrong. ``literal``: a lone ``${x}`` may not stand for the whole.
    ``whole``: stays without the members that wait for a probe.
    """

    name: str
    doc: str
    keys: tuple[Key, ...]
    open: bool = False
    rules: tuple[Rule, ...] = ()
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    finish: Finish | None = None
    literal: bool = False
    whole: bool = False

    @property
    def expected(self) -> str:
        return f"a mapping with {', '.join(k.name for k in self.keys[:12])}"

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        """The values by key; FAILED if anything inside was wrong."""
        node = node if self.literal else reader.resolve(node)
        if not node.is_mapping:
            return reader.problem(node, path, f"found {shown(node)}", self.expected)
        mark = reader.mark
        known = {key.name: key for key in self.keys}
        values: dict[str, Any] = {}
        for name, child in node.value.items():
            if name not in known:
                self._unknown(name, node, path, reader)
            elif child.value is not None or not known[name].nullable:
                value = known[name].shape.read(child, join(path, name), reader)
                if value is not FAILED:
                    values[name] = value
        self._required(node, path, reader)
        for rule in self.rules:
            rule.check(node, values, path, reader)
        if self.whole:
            reader.skipped = mark[1]
        if reader.mark != mark:
            return FAILED
        return self.finish(values) if self.finish else values

    def _required(self, node: Node, path: str, reader: Reader) -> None:
        for key in self.keys:
            if not key.required:
                continue
            if node.get(key.name) is None:
                what = f"'{key.name}' is missing"
                reader.problem(node, path, what, _first_sentence(key.doc))

    def _unknown(self, name: str, node: Node, path: str, reader: Reader) -> None:
        if name.startswith("x-"):
            return
        free = [key for key in self.keys if key.name not in node.value]
        place = node.place(name)
        message = f"unknown key '{name}'"
        if name in self.elsewhere:
            reader.problem(place, path, f"'{name}' belongs {self.elsewhere[name]}")
            return
        by_word = next((key for key in free if _folded(name) in key.mistaken), None)
        cutoff = NEAR_MISS if self.open else 0.6
        # A key that is there already is not meant again, unless there is nothing else it could be.
        names = [key.name for key in (free if self.open else self.keys)]
        near = nearest(name, names, cutoff) if by_word is None else by_word.name
        hint = f"did you mean '{near}'?" if near else ""
        if not self.open:
            expected = "one of " + ", ".join(key.name for key in self.keys)
            reader.problem(place, path, message, expected, hint)
        elif near and next(key for key in free if key.name == near).critical:
            hint += " If it is a key of your own, name it 'x-…'"
            reader.problem(place, path, message, hint=hint)
        elif near:
            reader.warn(place, path, message, hint=hint)

    def schema(self, defs: Json) -> Json:
        """A reference to this table's definition."""
        if self.name not in defs:
            defs[self.name] = {}
            defs[self.name] = self.definition(defs)
        whole = {"$ref": f"#/$defs/{self.name}"}
        return whole if self.literal else {"anyOf": [whole, VARIABLE]}

    def definition(self, defs: Json) -> Json:
        """The table itself as JSON Schema."""
        form: Json = {
            "type": "object",
            "description": self.doc,
            "properties": {key.name: key.schema(defs) for key in self.keys},
        }
        required = [key.name for key in self.keys if key.required]
        if required:
            form["required"] = required
        if not self.open:
            form["patternProperties"] = {"^x-": {}}
            form["additionalProperties"] = False
        elif self.elsewhere:
            form["properties"].update(dict.fromkeys(self.elsewhere, False))
        if self.rules:
            form["allOf"] = [rule.schema() for rule in self.rules]
        return form


def _folded(name: str) -> str:
    return name.lower().replace("_", "-")


def _first_sentence(doc: str) -> str:
    sentence = doc.split(". ")[0].rstrip(".")
    return sentence[:1].lower() + sentence[1:]
