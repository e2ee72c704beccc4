"""Query text -> tokens with their places. The library that parses PromQL keeps no positions."""

from __future__ import annotations

import re
from typing import NamedTuple


class Token(NamedTuple):
    """``kind``: name, number (durations too), string, operator, a bracket or other mark itself, or
    ``bad`` for a character that has no place in PromQL."""

    kind: str
    text: str
    offset: int

    @property
    def word(self) -> str:
        """The text in lower case: keywords know no case."""
        return self.text.lower()


_TOKEN = re.compile(
    r"""
    (?P<skip>[ \t\r\n]+|\#[^\n]*)
  | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`[^`]*`)
  | (?P<number>(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9][0-9_]*(?![0-9a-zA-Z_])|[0-9a-zA-Z_]*))
  | (?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
  | (?P<operator>==|!=|=~|!~|<=|>=|[-+*/%^<>=])
  | (?P<mark>[(){}\[\],@])
  | (?P<bad>.)
    """,
    re.VERBOSE | re.DOTALL,
)

_UNDERSCORES = re.compile(r"(?<=[0-9a-fA-FxX])_(?=[0-9a-fA-F])")


def tokenize(query: str) -> list[Token]:
    """All tokens but blanks and comments, in order. Never fails: what does not fit is ``bad``."""
    tokens = []
    for found in _TOKEN.finditer(query):
        kind = found.lastgroup or "bad"
        if kind == "skip":
            continue
        text = found.group()
        tokens.append(Token(text if kind == "mark" else kind, text, found.start()))
    return tokens


def without_underscores(query: str, tokens: list[Token]) -> str:
    """``1_000`` -> ``1000``: Prometheus reads both since 2.54, the library only the second."""
    pieces, done = [], 0
    for token in tokens:
        if token.kind == "number" and "_" in token.text:
            pieces += [query[done : token.offset], _UNDERSCORES.sub("", token.text)]
            done = token.offset + len(token.text)
    return "".join([*pieces, query[done:]])
