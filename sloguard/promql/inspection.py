"""What a query is, at a look."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

from sloguard.ports import Selection
from sloguard.promql.errors import Position
from sloguard.promql.functions import COUNTER_FUNCTIONS, RANKINGS
from sloguard.promql.grouping import Grouping, result_grouping
from sloguard.promql.parse import parse
from sloguard.promql.tree import (
    Aggregate,
    Binary,
    Call,
    Node,
    Selector,
    Subquery,
    Type,
    outermost,
    selectors,
    walk,
)


@dataclass(frozen=True, slots=True)
class Inspection:
    """A query that was read.

    ``selections``: every selector once, in the order of the text. ``metrics``: the names among them.
    ``type``: what the query answers; a range query takes vectors and scalars only. ``grouping``: which
    labels the answer bears. ``filters``: what drops series of the answer, a comparison without bool,
    ``and`` or ``unless``; ``rankings``: topk and its kin, likewise. ``rates_of_aggregates``: where a counter function stands over an aggregate.
    ``pins_to_ends``: it has ``@ start()`` or ``@ end()``.
    """

    query: str
    type: Type
    selections: tuple[Selection, ...]
    metrics: frozenset[str]
    grouping: Grouping
    filters: tuple[str, ...]
    rankings: tuple[str, ...]
    rates_of_aggregates: tuple[tuple[str, Position | None], ...]
    pins_to_ends: bool
    tree: Node = field(repr=False, compare=False)


@functools.lru_cache(maxsize=512)
def inspect(query: str) -> Inspection:
    """Read a query; raises PromqlError with what is wrong, where, and what to write instead."""
    tree = parse(query)
    found = [selection for s in selectors(tree) for selection in s.alternatives]
    outer = list(outermost(tree))
    return Inspection(
        query=query,
        type=tree.type,
        selections=tuple(dict.fromkeys(found)),
        metrics=frozenset(s.metric for s in found if s.metric is not None),
        grouping=result_grouping(tree),
        filters=tuple(n.op for n in outer if isinstance(n, Binary) and n.drops),
        rankings=tuple(n.op for n in outer if isinstance(n, Aggregate) and n.op in RANKINGS),
        rates_of_aggregates=tuple(_rates_of_aggregates(tree)),
        pins_to_ends=any(
            n.at in ("start", "end") for n in walk(tree) if isinstance(n, Selector | Subquery)
        ),
        tree=tree,
    )


def _rates_of_aggregates(tree: Node) -> list[tuple[str, Position | None]]:
    return [
        (node.function, node.position)
        for node in walk(tree)
        if isinstance(node, Call) and node.function in COUNTER_FUNCTIONS
        for argument in node.arguments
        if isinstance(argument, Subquery) and any(isinstance(n, Aggregate) for n in walk(argument))
    ]


def same_metrics(a: str, b: str) -> bool:
    """Whether two queries select the same metrics, by name; raises PromqlError.

    False where a selector without a plain name leaves it open: absence then proves less, not more.
    """
    first, second = inspect(a), inspect(b)
    if not all(s.metric for s in (*first.selections, *second.selections)):
        return False
    return bool(first.metrics) and first.metrics == second.metrics
