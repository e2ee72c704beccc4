"""The library's tree -> this room's, each node with its place in the text."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Literal

from sloguard.ports import Selection
from sloguard.promql.errors import Position, PromqlError, position_at
from sloguard.promql.outline import Outline
from sloguard.promql.tokens import Token
from sloguard.promql.tree import (
    Aggregate,
    At,
    Binary,
    Call,
    Node,
    Number,
    Selector,
    Subquery,
    Text,
    Type,
    Unary,
)

_NAME = "__name__"
_OPERATORS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
_TYPES: dict[str, Type] = {
    "Vector": "vector",
    "Scalar": "scalar",
    "Matrix": "matrix",
    "String": "string",
}

_METHODS = {
    "NumberLiteral": "_number",
    "StringLiteral": "_text",
    "VectorSelector": "_vector",
    "MatrixSelector": "_matrix",
    "SubqueryExpr": "_subquery",
    "AggregateExpr": "_aggregate",
    "Call": "_call",
    "UnaryExpr": "_unary",
    "BinaryExpr": "_binary",
}


def build(parsed: Any, query: str, found: Outline) -> Node:
    """The tree of what the library parsed. Positions come from the outline, in step with the tree; where
    the two do not agree they are left out."""
    return _Builder(query, found).node(parsed)


def _last_word(value: Any) -> str:
    # The library's enums are not Python's: their text is 'MatchOp.Equal'.
    return str(value).rsplit(".", 1)[-1]


def _seconds(value: timedelta | None) -> float:
    return 0.0 if value is None else value / timedelta(seconds=1)


class _Builder:
    def __init__(self, query: str, found: Outline) -> None:
        self.query = query
        self.calls = deque(found.calls)
        self.selectors = deque(found.selectors)
        self.operators = deque(found.operators)
        self.subqueries = deque(found.subqueries)

    def node(self, parsed: Any) -> Node:
        """The node of what the library parsed; arguments may come as bare texts and numbers."""
        if isinstance(parsed, str):
            return Text(parsed)
        if isinstance(parsed, int | float):
            return Number(float(parsed))
        kind = type(parsed).__name__
        while kind == "ParenExpr":
            parsed = parsed.expr
            kind = type(parsed).__name__
        if kind not in _METHODS:
            raise PromqlError(f"a part of the query cannot be read here ({kind})", unsupported=True)
        made: Node = getattr(self, _METHODS[kind])(parsed)
        return made

    def _place(self, waiting: deque[Token], *words: str | None) -> Position | None:
        """The next token of a kind, if it is one of these words (none: any)."""
        if not waiting:
            return None
        token = waiting.popleft()
        if words and token.word not in words and token.text not in words:
            waiting.clear()
            return None
        return position_at(self.query, token.offset)

    def _number(self, parsed: Any) -> Node:
        return Number(float(parsed.val))

    def _text(self, parsed: Any) -> Node:
        return Text(str(parsed.val))

    def _vector(self, parsed: Any) -> Node:
        alternatives = _alternatives(parsed)
        place = self._place(self.selectors, parsed.name or "{")
        return Selector(
            alternatives, None, _seconds(parsed.offset), _pinned(parsed.at), position=place
        )

    def _matrix(self, parsed: Any) -> Node:
        inner = parsed.vector_selector
        alternatives = _alternatives(inner)
        place = self._place(self.selectors, inner.name or "{")
        return Selector(
            alternatives,
            _seconds(parsed.range),
            _seconds(inner.offset),
            _pinned(inner.at),
            position=place,
        )

    def _subquery(self, parsed: Any) -> Node:
        inner = self.node(parsed.expr)
        place = self._place(self.subqueries)
        step = None if parsed.step is None else _seconds(parsed.step)
        offset, at = _seconds(parsed.offset), _pinned(parsed.at)
        return Subquery(inner, _seconds(parsed.range), step, offset, at, place)

    def _aggregate(self, parsed: Any) -> Node:
        op = str(parsed.op)
        place = self._place(self.calls, op)
        parameter = None if parsed.param is None else self.node(parsed.param)
        inner = self.node(parsed.expr)
        if parsed.modifier is None:
            return Aggregate(op, inner, parameter, position=place)
        by = _last_word(parsed.modifier.type) == "By"
        labels = frozenset(parsed.modifier.labels)
        return Aggregate(op, inner, parameter, "by" if by else "without", labels, place)

    def _call(self, parsed: Any) -> Node:
        name = parsed.func.name
        place = self._place(self.calls, name)
        # A plain loop: every frame that a comprehension adds takes from the depth that can be read.
        arguments = []
        for argument in parsed.args:
            arguments.append(self.node(argument))  # noqa: PERF401 - see above
        if name == "info":
            # The second one is a list of labels in a selector's clothes: nothing is selected by it.
            arguments = arguments[:1]
        return Call(name, tuple(arguments), _TYPES[_last_word(parsed.func.return_type)], place)

    def _unary(self, parsed: Any) -> Node:
        return Unary(self.node(parsed.expr))

    def _binary(self, parsed: Any) -> Node:
        op = str(parsed.op).strip()
        left = self.node(parsed.lhs)
        place = self._place(self.operators, op)
        right = self.node(parsed.rhs)
        modifier = parsed.modifier
        if modifier is None:
            return Binary(op, left, right, position=place)
        matching: Literal["on", "ignoring"] | None = None
        labels: frozenset[str] = frozenset()
        if modifier.matching is not None:
            on = _last_word(modifier.matching.type) == "Include"
            matching, labels = "on" if on else "ignoring", frozenset(modifier.matching.labels)
        groups: dict[str, Literal["left", "right"]] = {"ManyToOne": "left", "OneToMany": "right"}
        fill = modifier.fill_values
        return Binary(
            op,
            left,
            right,
            returns_bool=bool(modifier.return_bool),
            matching=matching,
            labels=labels,
            group=groups.get(_last_word(modifier.card)),
            included=frozenset(modifier.group_labels or ()),
            filled=fill is not None and (fill.lhs is not None or fill.rhs is not None),
            position=place,
        )


def _pinned(at: Any) -> At | None:
    if at is None:
        return None
    # Its own getter for the time panics before 1970, so the text is read: '@ 1609746000.000'.
    text = str(at).removeprefix("@").strip()
    if text.startswith("start"):
        return "start"
    return "end" if text.startswith("end") else float(text)


def _alternatives(parsed: Any) -> tuple[Selection, ...]:
    common = list(parsed.matchers.matchers)
    branches = [list(b) for b in parsed.matchers.or_matchers] or [[]]
    return tuple(_selection(parsed.name, [*common, *branch]) for branch in branches)


def _selection(name: str | None, matchers: Iterable[Any]) -> Selection:
    metric, kept = name, []
    for matcher in matchers:
        op = _OPERATORS[_last_word(matcher.op)]
        if matcher.name == _NAME and op == "=" and metric is None:
            metric = matcher.value
        else:
            kept.append((matcher.name, op, matcher.value))
    return Selection(metric, tuple(kept))
