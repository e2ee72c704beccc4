"""YAML into a tree with places: one document, plain data only, every trap of YAML 1.1 explained.

Values are those of ``yaml.safe_load``, with three differences that keep data JSON: a date stays the
text it was written as, keys are the texts they were written as, and tags beyond YAML's own plain
types are refused. Aliases are followed, within bounds. The parser's events are read in a loop, so that no
nesting exhausts the stack.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from sloguard.documents.jsontree import duplicate_key
from sloguard.documents.problems import DocumentError, Problem
from sloguard.documents.scalars import Scalars
from sloguard.documents.tree import DEEPEST, MOST_VALUES, Node
from sloguard.documents.yamlhelp import explain

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONTAINER_TAGS = {"map": "tag:yaml.org,2002:map", "seq": "tag:yaml.org,2002:seq"}
#: What YAML allows to stand in a file as it is (YAML 1.1, 5.1).
_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


def parse_yaml(text: str, file: str = "") -> tuple[Node, list[Problem], list[Problem]]:
    """The one document of a YAML text, its problems and warnings.

    Raises DocumentError where the text gives no tree at all.
    """
    return _Composer(text, file).document()


def parse_yaml_stream(text: str, file: str = "") -> tuple[list[Node], list[Problem], list[Problem]]:
    """Every document of a YAML text (``---`` between them) but empty ones, with their problems and warnings.

    All of them together may hold as many values as one document elsewhere. Raises as ``parse_yaml``.
    """
    return _Composer(text, file).stream()


@dataclass(slots=True)
class _Open:
    """A container that is being read. ``merging``: its next value is one to be merged in (a plain ``<<``)."""

    node: Node
    anchor: str | None
    merging: bool = False
    key: tuple[str, tuple[int, int]] | None = None
    merges: list[Node] = field(default_factory=list)
    size: int = 1


class _Composer:
    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.scalars = Scalars(file)
        self.problems = self.scalars.problems
        self.stack: list[_Open] = []
        self.anchors: dict[str, tuple[Node, int]] = {}
        self.root: Node | None = None
        self.values = 0

    def document(self) -> tuple[Node, list[Problem], list[Problem]]:
        roots = self._documents(1)
        if not roots:
            raise DocumentError([Problem("the file is empty", "", self.file, 1, 1)])
        return roots[0], self.problems, self.scalars.warnings

    def stream(self) -> tuple[list[Node], list[Problem], list[Problem]]:
        return self._documents(None), self.problems, self.scalars.warnings

    def _documents(self, most: int | None) -> list[Node]:
        """The documents that hold something, at most so many."""
        self._printable()
        roots: list[Node] = []
        try:
            documents = 0
            for event in yaml.parse(self.text, Loader=_LOADER):
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if most is not None and documents > most:
                        raise self._fatal(
                            event,
                            "a second document begins here",
                            "one document",
                            "take '---' away, or split the file",
                        )
                self._event(event)
                if isinstance(event, yaml.DocumentEndEvent):
                    root, self.root, self.anchors = self.root, None, {}
                    if root is not None and (root.value is not None or root.written):
                        roots.append(root)
        except yaml.MarkedYAMLError as error:
            # What was found before the parser gave up is worth telling too.
            raise DocumentError([*self.problems, explain(error, self.text, self.file)]) from None
        return roots

    def _printable(self) -> None:
        found = _UNPRINTABLE.search(self.text)
        if found:
            line = self.text.count("\n", 0, found.start()) + 1
            column = found.start() - self.text.rfind("\n", 0, found.start())
            code = f"U+{ord(found[0]):04X}"
            message = f"the character {code} may not stand in YAML"
            hint = f'write it as an escape in double quotes: "\\u{ord(found[0]):04x}"'
            raise DocumentError([Problem(message, "", self.file, line, column, "plain text", hint)])

    def _event(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._open(event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._close()

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        line, column = _place(event)
        top = self.stack[-1] if self.stack else None
        is_key = top is not None and top.node.is_mapping and top.key is None
        if is_key and event.tag is None and event.implicit[0] and event.value == "<<":
            self._keyed(top, "<<", (line, column), merging=True)
            return
        if is_key:
            self._keyed(top, self.scalars.key(event, line, column), (line, column))
            return
        node = self.scalars.value(event, line, column)
        if event.anchor:
            self.anchors[event.anchor] = (node, 1)
        self._add(node, 1)

    def _keyed(
        self, top: _Open | None, key: str, place: tuple[int, int], *, merging: bool = False
    ) -> None:
        assert top is not None  # noqa: S101 - callers have checked
        top.key, top.merging = (key, place), merging

    def _alias(self, event: yaml.AliasEvent) -> None:
        line, column = _place(event)
        found = self.anchors.get(event.anchor or "")
        if found is None:
            around = any(o.anchor == event.anchor for o in self.stack)
            message = (
                f"'*{event.anchor}' stands inside its own anchor '&{event.anchor}'"
                if around
                else f"'*{event.anchor}' names no anchor"
            )
            hint = "" if around else "quote the text if it is meant to begin with '*'"
            raise self._fatal(event, message, f"an earlier '&{event.anchor}'", hint)
        node, size = found
        top = self.stack[-1] if self.stack else None
        if top is not None and top.node.is_mapping and top.key is None:
            if node.is_mapping or node.is_list:
                raise self._fatal(event, "a key must be text", "text", "")
            self._keyed(top, node.written, (line, column))
            return
        # Its own place, so that a message points to the use and not to the anchor.
        copy = Node(node.value, line, column, node.written, node.trap, node.keys)
        self._add(copy, size)

    def _open(self, event: Any) -> None:
        line, column = _place(event)
        top = self.stack[-1] if self.stack else None
        kind = "map" if isinstance(event, yaml.MappingStartEvent) else "seq"
        if top is not None and top.node.is_mapping and top.key is None:
            hint = 'quote it, if it is meant to be a text such as a query or "${name}"'
            raise self._fatal(event, "a key must be text", "text", hint)
        if event.tag not in (None, "!", _CONTAINER_TAGS[kind]):
            self.scalars.bad_tag(event.tag, line, column)
        if len(self.stack) >= DEEPEST:
            raise self._fatal(event, f"nested more than {DEEPEST} levels deep", "fewer levels", "")
        node = Node({} if kind == "map" else [], line, column)
        self.stack.append(_Open(node, event.anchor))

    def _close(self) -> None:
        done = self.stack.pop()
        for merged in done.merges:
            for key, child in merged.value.items():
                if key not in done.node.value:
                    done.node.value[key] = child
                    done.node.keys[key] = merged.place(key)
        if done.anchor:
            self.anchors[done.anchor] = (done.node, done.size)
        self._add(done.node, done.size)

    def _add(self, node: Node, size: int) -> None:
        """Hang a finished value into what is open."""
        if not self.stack:
            self.root = node
            self.values += size
            return
        top = self.stack[-1]
        top.size += size
        if self.values + top.size > MOST_VALUES:
            message = f"more than {MOST_VALUES} values (aliases followed)"
            raise DocumentError(
                [Problem(message, "", self.file, node.line, node.column, "fewer values")]
            )
        if top.node.is_list:
            top.node.value.append(node)
            return
        assert top.key is not None  # noqa: S101 - a mapping's key comes before its value
        (key, place), top.key = top.key, None
        if top.merging:
            self._merge(top, node)
        elif key in top.node.keys:
            self.problems.append(duplicate_key(key, self.file, place, top.node.keys[key]))
        else:
            top.node.keys[key] = place
            top.node.value[key] = node

    def _merge(self, top: _Open, node: Node) -> None:
        several = node.value if node.is_list else [node]
        if all(n.is_mapping for n in several):
            top.merges.extend(several)
            return
        message = "'<<' merges what is not a mapping"
        expected = "an alias of a mapping, or a list of these"
        self.problems.append(Problem(message, "", self.file, node.line, node.column, expected))

    def _fatal(self, event: Any, message: str, expected: str, hint: str) -> DocumentError:
        problem = Problem(message, "", self.file, *_place(event), expected=expected, hint=hint)
        return DocumentError([*self.problems, problem])


def _place(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1
