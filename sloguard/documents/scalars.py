"""YAML 1.1 scalars: what a plain word becomes, and where that is not what its author meant."""

from __future__ import annotations

import re
from typing import Any

import yaml

from sloguard.documents.problems import Problem
from sloguard.documents.tree import Node

_TAG = "tag:yaml.org,2002:"
_TYPED = {_TAG + name for name in ("null", "bool", "int", "float")}
_TEXTS = {_TAG + name for name in ("str", "timestamp", "value", "merge")}
_BASE_60 = re.compile(r"[-+]?\d[\d_]*(:[0-5]?\d)+(\.\d*)?")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class Scalars:
    """Turns scalar events into nodes and keys; collects problems, and what is worth a warning."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self._resolver: Any = yaml.resolver.Resolver()
        self._constructor: Any = yaml.constructor.SafeConstructor()

    def value(self, event: yaml.ScalarEvent, line: int, column: int) -> Node:
        """The node of a value, with its trap if it has one."""
        tag, text = self._tag(event), event.value
        node = Node(text, line, column, text)
        self._check(tag, text, line, column)
        if tag in _TYPED:
            node.value = self._typed(tag, text, line, column)
            if event.tag is None:
                node.trap = _trap(text, node.value)
            if "base 60" in node.trap:
                self._warn(node.trap, line, column, "quote it if it is a text or a time of day")
        elif tag == _TAG + "timestamp":
            node.trap = f"YAML reads the unquoted {text} as a date"
            self._warn(f"{node.trap}; it is taken as text", line, column, "put it in quotes")
        return node

    def key(self, event: yaml.ScalarEvent, line: int, column: int) -> str:
        """The text of a key as it was written."""
        tag, text = self._tag(event), event.value
        self._check(tag, text, line, column)
        if tag == _TAG + "null":
            self._refuse("a key is missing", line, column, expected="text before ':'")
        elif tag == _TAG + "bool" and text.lower() not in ("true", "false"):
            message = f"YAML reads the unquoted key {text} as a boolean; it is taken as text"
            self._warn(message, line, column, "put it in quotes")
        return str(text)

    def bad_tag(self, tag: str, line: int, column: int) -> None:
        """A tag beyond plain data; ``!=`` and ``!~`` are usually unquoted comparisons."""
        short = tag.replace(_TAG, "!!")
        if re.fullmatch(r"![=~]+.*", short):
            hint = f'put the whole text in quotes: "{short} …"'
            self._refuse(f"YAML reads the unquoted '{short}' as a tag", line, column, hint=hint)
        else:
            message = f"the tag '{short}' is not allowed"
            self._refuse(message, line, column, expected="plain data without tags")

    def _check(self, tag: str, text: str, line: int, column: int) -> None:
        if tag not in _TYPED | _TEXTS:
            self.bad_tag(tag, line, column)
        if _SURROGATE.search(text):
            self._refuse("half of a surrogate pair", line, column, expected="whole characters")

    def _tag(self, event: yaml.ScalarEvent) -> str:
        if event.tag is not None and event.tag != "!":
            return str(event.tag)
        implicit = event.implicit if event.tag is None else (False, True)
        return str(self._resolver.resolve(yaml.ScalarNode, event.value, implicit))

    def _typed(self, tag: str, text: str, line: int, column: int) -> Any:
        try:
            return self._constructor.construct_object(yaml.ScalarNode(tag, text))
        except (ValueError, KeyError, IndexError):
            kind = tag.removeprefix(_TAG)
            message = f"'{text[:40]}' cannot be read as YAML's {kind}"
            self._refuse(message, line, column, hint="put it in quotes if it is text")
            return text

    def _refuse(
        self, message: str, line: int, column: int, *, expected: str = "", hint: str = ""
    ) -> None:
        self.problems.append(Problem(message, "", self.file, line, column, expected, hint))

    def _warn(self, message: str, line: int, column: int, hint: str) -> None:
        self.warnings.append(Problem(message, "", self.file, line, column, hint=hint))


def _trap(text: str, value: Any) -> str:
    if isinstance(value, bool) and text.lower() not in ("true", "false"):
        return f"YAML reads the unquoted {text} as {str(value).lower()}"
    if isinstance(value, int | float) and _BASE_60.fullmatch(text):
        return f"YAML reads the unquoted {text} as the number {value} (base 60)"
    return ""
