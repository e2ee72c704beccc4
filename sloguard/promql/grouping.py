"""Which labels the series of an answer bear, as far as the query alone tells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from sloguard.promql.functions import RANKINGS
from sloguard.promql.tree import (
    SET_OPERATORS,
    Aggregate,
    Binary,
    Call,
    Node,
    Number,
    Selector,
    Subquery,
    Text,
    Unary,
)


@dataclass(frozen=True, slots=True)
class Grouping:
    """``by``: just these labels (none: one series). ``without``: all that the metric has but these (none:
    all of them). ``unknown``: the query does not tell. ``certain``: nothing was inferred on the way."""

    kind: Literal["by", "without", "unknown"]
    labels: frozenset[str] = frozenset()
    certain: bool = True

    def __str__(self) -> str:
        names = ", ".join(sorted(self.labels))
        if self.kind == "by":
            return f"by ({names})" if names else "no labels"
        if self.kind == "without":
            return f"without ({names})" if names else "all labels"
        return "unknown labels"


_NONE = Grouping("by")
_ALL = Grouping("without")
_UNKNOWN = Grouping("unknown", certain=False)


def result_grouping(node: Node) -> Grouping:
    """The labels of the answer to a query (the metric's name is not one of them)."""
    match node:
        case Number() | Text():
            return _NONE
        case Selector():
            return _ALL
        case Subquery() | Unary():
            return result_grouping(node.inner)
        case Aggregate():
            return _of_aggregate(node)
        case Call():
            return _of_call(node)
        case Binary():
            return _of_binary(node)


def _minus(grouping: Grouping, labels: frozenset[str]) -> Grouping:
    if grouping.kind == "by":
        return replace(grouping, labels=grouping.labels - labels)
    if grouping.kind == "without":
        return replace(grouping, labels=grouping.labels | labels)
    return grouping


def _plus(grouping: Grouping, labels: frozenset[str]) -> Grouping:
    changed = {
        "by": grouping.labels | labels,
        "without": grouping.labels - labels,
        "unknown": grouping.labels,
    }[grouping.kind]
    return replace(grouping, labels=changed, certain=False)


def _of_aggregate(node: Aggregate) -> Grouping:
    if node.op in RANKINGS:
        return result_grouping(node.inner)
    if node.grouping == "without":
        found = _minus(result_grouping(node.inner), node.labels)
    else:
        found = Grouping("by", node.labels)
    if node.op == "count_values" and isinstance(node.parameter, Text):
        return _plus(found, frozenset({node.parameter.value}))
    return found


def _of_call(node: Call) -> Grouping:
    if node.type == "scalar" or node.function == "vector":
        return _NONE
    if node.function in ("absent", "absent_over_time", "info"):
        return _UNKNOWN
    given = [a for a in node.arguments if a.type in ("vector", "matrix")]
    if not given:
        return _NONE
    found = result_grouping(given[0])
    if node.function.startswith("histogram_quantile"):
        found = _minus(found, frozenset({"le"}))
    texts = [a.value for a in node.arguments if isinstance(a, Text)]
    if node.function in ("label_replace", "label_join", "histogram_quantiles") and texts:
        return _plus(found, frozenset({texts[0]}))
    return found


def _of_binary(node: Binary) -> Grouping:
    if node.left.type == "scalar":
        return result_grouping(node.right)
    left = result_grouping(node.left)
    if node.right.type == "scalar":
        return left
    right = result_grouping(node.right)
    if node.op in SET_OPERATORS:
        same = node.op != "or" or (left.kind, left.labels) == (right.kind, right.labels)
        return left if same else _UNKNOWN
    if node.group:
        many = left if node.group == "left" else right
        return _plus(many, node.included) if node.included else many
    if node.matching == "on":
        return Grouping("by", node.labels, certain=False)
    if node.matching == "ignoring":
        return replace(_minus(left, node.labels), certain=False)
    # Without a word about matching both sides bear the same labels: the one that is known tells.
    return left if left.kind == "by" or right.kind != "by" else right
