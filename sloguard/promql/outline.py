"""A pass over the tokens beside the real parser: where things stand, and where a query goes wrong.

The library gives neither positions in its tree nor places in its errors. This pass knows only the shape
of PromQL (value, operator, value …), which is enough for both: the k-th call, selector, operator and
subquery of the text are the k-th of the tree.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sloguard.promql.cursor import NEWER, SIGNS, Cursor, Stop, Trouble
from sloguard.promql.functions import AGGREGATIONS
from sloguard.promql.tokens import Token

_WORD_OPERATORS = frozenset({"and", "or", "unless", "atan2"})
_GROUPING = frozenset({"by", "without"})
_MATCHING = frozenset({"on", "ignoring", "group_left", "group_right"})
_FILL = frozenset({"fill", "fill_left", "fill_right"})


@dataclass(slots=True)
class Outline:
    """What stands where, by kind and in the order of the text; ``levels`` is an upper bound of how
    deep the tree of this query can be."""

    tokens: list[Token]
    calls: list[Token] = field(default_factory=list)
    selectors: list[Token] = field(default_factory=list)
    operators: list[Token] = field(default_factory=list)
    subqueries: list[Token] = field(default_factory=list)
    levels: int = 0
    trouble: Trouble | None = None


def outline(query: str) -> Outline:
    """Go over a query once. Never fails: what is wrong is the outline's ``trouble``."""
    scan = _Scan(query)
    try:
        scan.run()
    except Stop as stop:
        scan.found.trouble = stop.trouble
    scan.found.levels = _levels(scan.tokens)
    return scan.found


def _levels(tokens: list[Token]) -> int:
    depth = deepest = operators = 0
    for token in tokens:
        depth += token.kind in ("(", "[", "{")
        depth -= token.kind in (")", "]", "}")
        deepest = max(deepest, depth)
        # A range counts as one: it may be a subquery's, which is a level of the tree.
        operators += token.kind == "["
        operators += token.kind == "operator" and token.text not in ("=", "=~", "!~")
        operators += token.kind == "name" and token.word in _WORD_OPERATORS
    return deepest + operators


class _Scan(Cursor):
    def __init__(self, query: str) -> None:
        super().__init__(query)
        self.found = Outline(self.tokens)
        self.open: list[Token] = []

    def run(self) -> None:
        if not self.tokens:
            raise self.stop(self.end, "the query is empty")
        wants_value = True
        while self.at < len(self.tokens):
            wants_value = self._value() if wants_value else self._after_value()
        if wants_value:
            raise self.stop(self.end, "a value is missing at the end of the query")
        if self.open:
            raise self.stop(self.open[-1], "this '(' is never closed")

    # Each of these reads on, and tells whether a value is wanted next.

    def _value(self) -> bool:
        token = self.take()
        if token.kind == "(":
            self.open.append(token)
            return True
        if token.kind == "operator" and token.text in SIGNS:
            return True
        if token.kind == "name":
            return self._name(token)
        if token.kind == "{":
            self.found.selectors.append(token)
            self.matchers(token)
        elif token.kind == "number":
            self.check_number(token)
        elif token.kind != "string":
            raise self.stop(token, f"expected a value, found '{token.text}'")
        return False

    def _name(self, token: Token) -> bool:
        following = self.peek()
        if token.word in AGGREGATIONS and following.word in _GROUPING:
            self.labels(self.take())
            following = self.peek()
            if following.kind != "(":
                raise self.stop(following, f"expected '(' and what to take the {token.word} of")
        if following.kind == "(":
            self.found.calls.append(token)
            return self._open_call()
        if token.word in ("inf", "nan") and following.kind != "{":
            return False
        self.found.selectors.append(token)
        if following.kind == "{":
            self.matchers(self.take())
        return False

    def _open_call(self) -> bool:
        opening = self.take()
        if self.peek().kind == ")":
            self.at += 1
            return False
        self.open.append(opening)
        return True

    def _after_value(self) -> bool:
        token = self.take()
        if token.kind == "operator" or (token.kind == "name" and token.word in _WORD_OPERATORS):
            return self._operator(token)
        if token.kind == ",":
            if not self.open:
                raise self.stop(token, "',' outside of a call", "one query has one expression")
            return True
        if token.kind == ")":
            if not self.open:
                raise self.stop(token, "this ')' was never opened")
            self.open.pop()
        else:
            self._modifier(token)
        return False

    def _modifier(self, token: Token) -> None:
        if token.kind == "[":
            if self.range(token):
                self.found.subqueries.append(token)
        elif token.kind == "@":
            self.pin(token)
        elif token.word == "offset":
            self.offset(token)
        elif token.word in _GROUPING and self.tokens[self.at - 2].kind == ")":
            self.labels(token)
        elif token.word in ("anchored", "smoothed"):
            raise self.stop(token, f"'{token.text}' cannot be read here", NEWER, unsupported=True)
        else:
            raise self.stop(token, f"expected an operator or the end, found '{token.text}'")

    def _operator(self, token: Token) -> bool:
        if token.text in ("=", "=~", "!~"):
            raise self.stop(token, f"'{token.text}' does not compare values")
        if token.text in ("<", ">") and self.peek().text == "/":
            raise self.stop(token, "trimming histograms cannot be read here", unsupported=True)
        self.found.operators.append(token)
        if self.peek().word == "bool":
            self.at += 1
        while self.peek().kind == "name" and self.peek(1).kind == "(":
            if self.peek().word in _MATCHING:
                self.labels(self.take())
            elif self.peek().word in _FILL:
                self.skip_to(")")
            else:
                break
        if self.peek().word in ("group_left", "group_right"):
            self.at += 1
        return True
