"""One query over many windows: a placeholder is filled in, a counter is wrapped in rate().

- ``sum(rate(x[{{.window}}]))``: the placeholder (Sloth's; Grafana's ``$__rate_interval`` too) becomes the window.
- ``sum(x)`` of a counter: every selector is wrapped, ``sum(rate(x[5m]))``, so that the rate comes first.
- Anything else stays as it is: it has a range of its own, or needs none.
"""

from __future__ import annotations

import re
from typing import Literal

from sloguard.promql.errors import PromqlError
from sloguard.promql.inspection import inspect
from sloguard.promql.tokens import Token, tokenize
from sloguard.promql.tree import Selector, Subquery, selectors, walk

Windowing = Literal["placeholder", "counter", "fixed"]

_PLACEHOLDER = re.compile(
    r"\{\{-?\s*\.window\s*-?\}\}|\$__(?:rate_interval|interval|range)\b|\$\{__(?:rate_interval|interval|range)\}"
)


def windowing(query: str, *, counter: bool) -> Windowing:
    """How the window of a query can be chosen; raises PromqlError where it cannot be read."""
    if _PLACEHOLDER.search(query):
        return "placeholder"
    tree = inspect(query).tree
    ranged = any(
        isinstance(n, Subquery) or (isinstance(n, Selector) and n.range) for n in walk(tree)
    )
    return "counter" if counter and selectors(tree) and not ranged else "fixed"


def over(query: str, window: str, *, counter: bool) -> str:
    """The query over a window (``5m``), as far as it lets one choose; raises PromqlError.

    ``counter``: its selectors pick counters.
    """
    kind = windowing(query, counter=counter)
    if kind == "fixed":
        return query
    made = _PLACEHOLDER.sub(window, query) if kind == "placeholder" else _rated(query, window)
    inspect(made)
    return made


def _rated(query: str, window: str) -> str:
    tokens = tokenize(query)
    at = {token.offset: index for index, token in enumerate(tokens)}
    pieces, done = [], 0
    for selector in selectors(inspect(query).tree):
        if selector.position is None or selector.position.offset not in at:
            raise PromqlError(
                "where the counters stand in this query cannot be told",
                hint="write the rate yourself: rate(metric[{{.window}}])",
            )
        begin = selector.position.offset
        after, modified = _extent(tokens, at[begin])
        pieces += [query[done:begin], "rate(", query[begin:after], f"[{window}]"]
        pieces += [query[after:modified], ")"]
        done = modified
    return "".join([*pieces, query[done:]])


def _extent(tokens: list[Token], index: int) -> tuple[int, int]:
    """Where a selector ends without and with its ``offset`` and ``@``."""
    if tokens[index].kind == "name":
        index += 1
    if index < len(tokens) and tokens[index].kind == "{":
        while tokens[index].kind != "}":
            index += 1
        index += 1
    plain = _end(tokens[index - 1])
    while index < len(tokens) and (tokens[index].kind == "@" or tokens[index].word == "offset"):
        index += 2 if tokens[index + 1].kind != "operator" else 3
        if index < len(tokens) and tokens[index].kind == "(" and tokens[index - 1].kind == "name":
            index += 2
    return plain, _end(tokens[index - 1])


def _end(token: Token) -> int:
    return token.offset + len(token.text)


def window_text(seconds: float) -> str:
    """As people name windows: ``5m``, ``6h``, ``30d``, never ``4w2d``; below a second ``500ms``."""
    milliseconds = round(seconds * 1000)
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


def quoted(text: str) -> str:
    """A text as PromQL writes it, in double quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def one_line(query: str) -> str:
    """The same query without comments and in one line, so that it can stand inside another one."""
    pieces: list[str] = []
    done = 0
    for token in tokenize(query):
        gap = query[done : token.offset]
        pieces += [" " if gap and pieces else "", token.text]
        done = _end(token)
    return "".join(pieces)
