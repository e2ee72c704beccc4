"""Rates over seconds -> increases over a period, where the two count the same events.

Sound are sums of counters: ``sum by (…) (rate(counter[30s]))``, added, subtracted and multiplied by
numbers. What takes a ratio, a maximum, a quantile or a comparison is none: over a period it would say
something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sloguard.promql.durations import format_duration
from sloguard.promql.errors import PromqlError
from sloguard.promql.inspection import inspect
from sloguard.promql.tree import Aggregate, Binary, Call, Node, Number, Selector

#: By these an expression counts events: in what unit, must be the same in all of a pair.
_COUNTING = ("rate", "increase")


def over_period(queries: Mapping[str, str], seconds: float) -> dict[str, str] | None:
    """The same queries over the last ``seconds``; None where that would not count the same events.

    The answers are numbers of events, up to one factor that they all share.
    """
    writing = _Writing(format_duration(seconds))
    made = {}
    for role, query in queries.items():
        try:
            text = writing.sum_of(inspect(query).tree)
        except PromqlError:
            return None
        if text is None:
            return None
        made[role] = text
    return made if len(writing.units) == 1 else None


@dataclass(slots=True)
class _Writing:
    """``units``: of what was met so far: events a second, or in so many seconds."""

    period: str
    units: set[float] = field(default_factory=set)

    def sum_of(self, node: Node) -> str | None:
        match node:
            case Aggregate(op="sum", parameter=None):
                return self._aggregate(node)
            case Call() if node.function in _COUNTING and len(node.arguments) == 1:
                return self._increase(node)
            case Binary() if not node.filled and node.group is None:
                return self._binary(node)
            case _:
                return None

    def _aggregate(self, node: Aggregate) -> str | None:
        inner = self.sum_of(node.inner)
        if inner is None:
            return None
        if node.grouping is None:
            return f"sum({inner})"
        return f"sum {node.grouping} ({', '.join(sorted(node.labels))}) ({inner})"

    def _increase(self, node: Call) -> str | None:
        selector = node.arguments[0]
        if not isinstance(selector, Selector) or selector.range is None:
            return None
        if selector.offset or selector.at is not None or len(selector.alternatives) != 1:
            return None
        self.units.add(1.0 if node.function == "rate" else selector.range)
        return f"increase({selector.alternatives[0]}[{self.period}])"

    def _binary(self, node: Binary) -> str | None:
        if node.op in ("+", "-"):
            left, right = self.sum_of(node.left), self.sum_of(node.right)
            matching = ""
            if node.matching is not None:
                matching = f"{node.matching} ({', '.join(sorted(node.labels))}) "
            return (
                None if left is None or right is None else f"({left} {node.op} {matching}{right})"
            )
        if node.op == "or" and _is_zero(node.right):
            left = self.sum_of(node.left)
            matching = "on () " if node.matching == "on" and not node.labels else ""
            if left is None or (node.matching is not None and not matching):
                return None
            return f"({left} or {matching}vector(0))"
        if node.op in ("*", "/") and isinstance(node.right, Number):
            left = self.sum_of(node.left)
            return None if left is None else f"({left} {node.op} {node.right.value!r})"
        if node.op == "*" and isinstance(node.left, Number):
            right = self.sum_of(node.right)
            return None if right is None else f"({node.left.value!r} * {right})"
        return None


def _is_zero(node: Node) -> bool:
    if not isinstance(node, Call) or node.function != "vector" or len(node.arguments) != 1:
        return False
    number = node.arguments[0]
    return isinstance(number, Number) and number.value == 0
