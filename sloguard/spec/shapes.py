"""The shapes that values can have. Each checks and reads a node, and says itself as JSON Schema.

Tables of keys (``spec.tables``) are made of these: the one source of what is legal, for the checks, for
the messages and for the schema that editors use.
"""

# ruff: noqa: ARG002 - one signature for all shapes

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from sloguard.documents.problems import did_you_mean
from sloguard.documents.tree import Node, join, shown
from sloguard.spec.errors import FAILED, Reader
from sloguard.spec.substitution import texts_variables

Json = dict[str, Any]
#: A text that names a variable may stand for a value of any type.
VARIABLE: Json = {"type": "string", "pattern": r"\$\{[_a-zA-Z][_a-zA-Z0-9]*\}"}


class Shape(Protocol):
    """What a value has to look like."""

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        """The value as the model wants it; FAILED after reporting what is wrong."""
        ...

    def schema(self, defs: Json) -> Json:
        """JSON Schema 2020-12; named parts go into ``defs``."""
        ...


@dataclass(frozen=True)
class Scalar:
    """One value. ``convert`` raises ValueError for what does not fit.

    ``late``: the engine substitutes again, so an unknown variable may stand here; ``texts``: the value
    is a text in which ``${x}`` may mean something else (a PromQL label_replace), so an unknown one warns.
    """

    expected: str
    convert: Callable[[Any], Any]
    form: Json
    late: bool = False
    texts: bool = False

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        resolved = reader.resolve(node)
        # A list (of objectives) is one value too, and its members may name variables.
        value = reader.scope.fill(node.plain()) if node.is_list else resolved.plain()
        for name in texts_variables(value):
            if self.late:
                return value
            if not self.texts or name in reader.deferred:
                return reader.no_value(node, path, name)
            message = (
                f"${{{name}}} has no value in 'configuration' or 'secrets' and stays as written"
            )
            reader.warn(node, path, message)
        if value is None:
            return reader.problem(node, path, "there is no value", self.expected)
        if "base 60" in resolved.trap and not self.texts:
            return reader.problem(node, path, resolved.trap, self.expected, "write 90s or 1m30s")
        try:
            return self.convert(value)
        except ValueError as error:
            message = str(error) or f"found {shown(resolved)}"
            expected = "" if "expected" in message else self.expected
            hint = resolved.trap and f"{resolved.trap}: put it in quotes"
            hint = getattr(error, "hint", "") or hint
            return reader.problem(node, path, message, expected, hint)

    def schema(self, defs: Json) -> Json:
        if self.form.get("type") == "string" and "pattern" not in self.form:
            return dict(self.form)
        return {"anyOf": [self.form, VARIABLE]}


@dataclass(frozen=True)
class Anything:
    """Whatever it is; as plain data, before substitution."""

    expected: str = "a value"

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        return node.plain()

    def schema(self, defs: Json) -> Json:
        return {}


@dataclass(frozen=True)
class ListOf:
    """A list. Members that fail are reported and left out."""

    item: Shape
    what: str
    literal: bool = True
    length: int | None = None

    @property
    def expected(self) -> str:
        return f"a list of {self.what}"

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        node = node if self.literal else reader.resolve(node)
        if not node.is_list:
            hint = "put '- ' before each of them" if node.is_mapping else ""
            return reader.problem(node, path, f"found {shown(node)}", self.expected, hint)
        read = [self.item.read(child, f"{path}[{i}]", reader) for i, child in enumerate(node.value)]
        return [value for value in read if value is not FAILED]

    def schema(self, defs: Json) -> Json:
        form: Json = {"type": "array", "items": self.item.schema(defs)}
        if self.length is not None:
            form |= {"minItems": self.length, "maxItems": self.length}
        return form


@dataclass(frozen=True)
class MappingOf:
    """A mapping from any text to one shape."""

    item: Shape
    what: str

    @property
    def expected(self) -> str:
        return f"a mapping of {self.what}"

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        if not node.is_mapping:
            return reader.problem(node, path, f"found {shown(node)}", self.expected)
        read = {
            key: self.item.read(child, join(path, key), reader) for key, child in node.value.items()
        }
        return {key: value for key, value in read.items() if value is not FAILED}

    def schema(self, defs: Json) -> Json:
        return {"type": "object", "additionalProperties": self.item.schema(defs)}


@dataclass(frozen=True)
class ByType:
    """A shape by what the value is: ``mapping``, ``list``, else ``scalar``."""

    expected: str
    scalar: Shape | None = None
    list: Shape | None = None
    mapping: Shape | None = None

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        resolved = reader.resolve(node)
        shape = self.scalar
        if resolved.is_mapping:
            shape = self.mapping
        elif resolved.is_list:
            shape = self.list
        if shape is None:
            return reader.problem(node, path, f"found {shown(resolved)}", self.expected)
        return shape.read(resolved, path, reader)

    def schema(self, defs: Json) -> Json:
        shapes = [s for s in (self.scalar, self.list, self.mapping) if s is not None]
        return {"anyOf": [shape.schema(defs) for shape in shapes]}


@dataclass(frozen=True)
class Tagged:
    """A mapping whose ``type`` says which of several shapes it has."""

    what: str
    variants: Mapping[str, Shape]

    @property
    def expected(self) -> str:
        return f"{self.what} of type {', '.join(self.variants)}"

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        if not node.is_mapping:
            return reader.problem(node, path, f"found {shown(node)}", self.expected)
        kind = node.get("type")
        if kind is None or kind.value is None:
            return reader.problem(node, path, "'type' is missing", self.expected)
        if not isinstance(kind.value, str) or kind.value not in self.variants:
            hint = did_you_mean(str(kind.value), list(self.variants))
            message = f"unknown type: {shown(kind)}"
            expected = "one of " + ", ".join(self.variants)
            return reader.problem(kind, join(path, "type"), message, expected, hint)
        return self.variants[kind.value].read(node, path, reader)

    def schema(self, defs: Json) -> Json:
        return {
            "type": "object",
            "required": ["type"],
            "properties": {"type": {"enum": list(self.variants)}},
            "allOf": [
                {
                    "if": {"properties": {"type": {"const": kind}}, "required": ["type"]},
                    "then": shape.schema(defs),
                }
                for kind, shape in self.variants.items()
            ],
        }


@dataclass(frozen=True)
class Lazy:
    """A shape that is known only later: a tolerance holds a probe, whose provider …"""

    find: Callable[[], Shape]

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        return self.find().read(node, path, reader)

    def schema(self, defs: Json) -> Json:
        return self.find().schema(defs)


def late(shape: Scalar) -> Scalar:
    """The same shape where the engine substitutes once more before use."""
    return replace(shape, late=True)


@dataclass(frozen=True)
class Key:
    """One key of a table: the source of the check, the message, the schema and the documentation.

    ``critical``: a near miss of it in an open table is a problem, for losing it silently would change
    what a run does; else it only warns. ``mistaken``: other words that people write for it.
    """

    name: str
    shape: Shape
    doc: str
    required: bool = False
    nullable: bool = False
    critical: bool = True
    default: Any = None
    examples: tuple[Any, ...] = ()
    mistaken: tuple[str, ...] = ()
    also: Json = field(default_factory=dict)

    def schema(self, defs: Json) -> Json:
        """The key's schema with its documentation."""
        form = self.shape.schema(defs)
        if self.nullable:
            form = {"anyOf": [form, {"type": "null"}]}
        form = {**form, **self.also, "description": self.doc}
        if self.default is not None:
            form["default"] = self.default
        if self.examples:
            form["examples"] = list(self.examples)
        return form
