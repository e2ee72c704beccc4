"""The tree of a document: plain values that know where they were written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

#: More values than this (aliases followed) or deeper nesting than this is no document of a person.
MOST_VALUES = 100_000
DEEPEST = 100


@dataclass(slots=True, eq=False)
class Node:
    """A value: a scalar, a ``dict`` of nodes or a ``list`` of nodes. Places count from 1.

    ``written``: the text of a scalar as it stands in the file. ``trap``: what the format made of that
    text against the author's likely intent, as a sentence; else empty. ``keys``: places of the keys.
    """

    value: Any
    line: int
    column: int
    written: str = ""
    trap: str = ""
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def is_mapping(self) -> bool:
        """Whether the value is a mapping of nodes."""
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        """Whether the value is a list of nodes."""
        return isinstance(self.value, list)

    def plain(self) -> Any:
        """The value as plain Python data; every call gives fresh containers."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def get(self, key: str) -> Node | None:
        """The node of a key; None if there is none or this is no mapping."""
        return self.value.get(key) if isinstance(self.value, dict) else None

    def place(self, key: str) -> tuple[int, int]:
        """Where a key was written; this node's own place if that is not known."""
        return self.keys.get(key, (self.line, self.column))


def implant(data: Any, at: Node) -> Node:
    """Plain data as a tree whose every place is that of ``at``: what a variable brought in."""
    if isinstance(data, dict):
        children = {str(key): implant(item, at) for key, item in data.items()}
        return Node(children, at.line, at.column)
    if isinstance(data, list | tuple):
        return Node([implant(item, at) for item in data], at.line, at.column)
    written = data if isinstance(data, str) else ""
    return Node(data, at.line, at.column, written)


def walk(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Every node with its path, parents first."""
    yield path, node
    if isinstance(node.value, dict):
        for key, child in node.value.items():
            yield from walk(child, join(path, key))
    elif isinstance(node.value, list):
        for index, child in enumerate(node.value):
            yield from walk(child, f"{path}[{index}]")


def join(path: str, key: str) -> str:
    """``a`` and ``b`` -> ``a.b``."""
    return f"{path}.{key}" if path else key


def shown(node: Node) -> str:
    """A short name of a value for messages: ``the text 'x'``, ``a list``, ``nothing``."""
    value = node.value
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        text = value if len(value) <= 60 else value[:57] + "..."
        return f"the text {text!r}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"
    return f"a {type(value).__name__}"
