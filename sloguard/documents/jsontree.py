"""JSON into a tree with places. Strict: the grammar of RFC 8259."""

from __future__ import annotations

import re
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]  # not in stubs

from sloguard.documents.problems import DocumentError, Problem, nearest
from sloguard.documents.tree import DEEPEST, MOST_VALUES, Node

_BLANK = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_WORD = re.compile(r"[A-Za-z_'][\w']*")
_LITERALS = {"true": True, "false": False, "null": None}
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def parse_json(text: str, file: str = "") -> tuple[Node, list[Problem]]:
    """The one value of a JSON text, and its problems (keys that are there twice).

    Raises DocumentError with the first error of the grammar.
    """
    return _Json(text, file).document()


class _Json:
    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.at = 0
        self.count = 0
        self.seen = (0, 1, 0)
        self.duplicates: list[Problem] = []

    def document(self) -> tuple[Node, list[Problem]]:
        self._blank()
        node = self._value(0)
        self._blank()
        if self.at < len(self.text):
            raise self._error("there is text after the end of the JSON value", "nothing more")
        return node, self.duplicates

    def _blank(self) -> None:
        match = _BLANK.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def _place(self, at: int | None = None) -> tuple[int, int]:
        # Places are asked for in order, so lines are counted on from the last one.
        at = self.at if at is None else at
        base, line, start = self.seen if at >= self.seen[0] else (0, 1, 0)
        line += self.text.count("\n", base, at)
        found = self.text.rfind("\n", base, at)
        start = found + 1 if found >= 0 else start
        self.seen = (at, line, start)
        return line, at - start + 1

    def _error(self, message: str, expected: str, hint: str = "") -> DocumentError:
        line, column = self._place()
        whole = f"not valid JSON: {message}"
        return DocumentError(
            [Problem(whole, "", self.file, line, column, expected=expected, hint=hint)]
        )

    def _value(self, depth: int) -> Node:
        self.count += 1
        if depth > DEEPEST:
            raise self._error(f"nested more than {DEEPEST} levels deep", "fewer levels")
        if self.count > MOST_VALUES:
            raise self._error(f"more than {MOST_VALUES} values", "fewer values")
        char = self.text[self.at : self.at + 1]
        if char == "{":
            return self._object(depth)
        if char == "[":
            return self._array(depth)
        line, column = self._place()
        if char == '"':
            text = self._string()
            return Node(text, line, column, text)
        number = _NUMBER.match(self.text, self.at)
        if number:
            self.at = number.end()
            return Node(self._number(number), line, column, number[0])
        return self._word(line, column)

    def _number(self, match: re.Match[str]) -> int | float:
        try:
            return float(match[0]) if match[1] or match[2] else int(match[0])
        except ValueError:
            self.at = match.start()
            raise self._error("the number has too many digits", "a shorter number") from None

    def _word(self, line: int, column: int) -> Node:
        word = _WORD.match(self.text, self.at)
        if word and word[0] in _LITERALS:
            self.at = word.end()
            return Node(_LITERALS[word[0]], line, column, word[0])
        hint = ""
        if word and not word[0].startswith("'"):
            near = nearest(word[0], list(_LITERALS))
            hint = f"did you mean {near}?" if near else 'text needs double quotes: "…"'
        elif word:
            hint = "JSON quotes with double quotes"
        if self.at >= len(self.text):
            raise self._error("the text ends here", "a value", hint)
        raise self._error(f"found {self.text[self.at]!r}", "a value", hint)

    def _string(self) -> str:
        start = self.at
        try:
            text, self.at = scanstring(self.text, start + 1, True)
        except JSONDecodeError as error:
            self.at = error.pos
            reason = error.msg[:1].lower() + error.msg[1:].removesuffix(" at")
            raise self._error(reason, "a text in double quotes, on one line") from None
        if _SURROGATE.search(text):
            self.at = start
            raise self._error("half of a surrogate pair", "whole characters")
        return str(text)

    def _object(self, depth: int) -> Node:
        node = Node({}, *self._place())
        self._next()
        while self._more("}", bool(node.value), "a key in double quotes"):
            if self.text[self.at : self.at + 1] != '"':
                raise self._error("a key is missing", "a key in double quotes")
            place = self._place()
            key = self._string()
            self._blank()
            if self.text[self.at : self.at + 1] != ":":
                raise self._error(f"no ':' after the key '{key}'", "':'")
            self._next()
            if key in node.value:
                self.duplicates.append(duplicate_key(key, self.file, place, node.keys[key]))
            node.keys[key] = place
            node.value[key] = self._value(depth + 1)
            self._blank()
        return node

    def _array(self, depth: int) -> Node:
        node = Node([], *self._place())
        self._next()
        while self._more("]", bool(node.value), "a value"):
            node.value.append(self._value(depth + 1))
            self._blank()
        return node

    def _next(self) -> None:
        self.at += 1
        self._blank()

    def _more(self, closing: str, began: bool, wanted: str) -> bool:
        """Step over ',' or the closing bracket; whether another member follows."""
        char = self.text[self.at : self.at + 1]
        if char == closing:
            self.at += 1
            return False
        if not began:
            if not char:
                raise self._error("the text ends here", f"{wanted} or '{closing}'")
            return True
        if char != ",":
            raise self._error(
                f"found {char!r}" if char else "the text ends here", f"',' or '{closing}'"
            )
        self._next()
        if self.text[self.at : self.at + 1] == closing:
            raise self._error(f"a comma before '{closing}'", wanted, "take the comma away")
        return True


def duplicate_key(key: str, file: str, place: tuple[int, int], first: tuple[int, int]) -> Problem:
    """The problem of a key that stands twice in one mapping: one of the two would be lost."""
    return Problem(
        f"the key '{key}' is there twice (first in line {first[0]})",
        "",
        file,
        *place,
        expected="each key once",
        hint="remove or rename one of them",
    )
