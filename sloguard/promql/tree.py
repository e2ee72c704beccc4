"""The parsed query as plain frozen data, with positions: what the rest of this room works on.

Parentheses are gone (the shape of the tree says the same). Times and durations are seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from sloguard.ports import Selection
from sloguard.promql.errors import Position
from sloguard.promql.functions import OPAQUE

Type = Literal["scalar", "vector", "matrix", "string"]
#: ``@ start()``, ``@ end()``, or a time in seconds since the epoch.
At: TypeAlias = Literal["start", "end"] | float

COMPARISONS = frozenset({"==", "!=", ">", "<", ">=", "<="})
SET_OPERATORS = frozenset({"and", "or", "unless"})


@dataclass(frozen=True, slots=True)
class Number:
    """A literal number, or a duration written as one."""

    value: float
    type: Type = "scalar"
    position: Position | None = None
    children: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Text:
    """A literal string."""

    value: str
    type: Type = "string"
    position: Position | None = None
    children: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Selector:
    """Series picked by name and labels. ``alternatives`` has one Selection, or one for each branch of
    ``or`` between matchers. ``range`` None: an instant selector. A negative ``offset`` looks ahead."""

    alternatives: tuple[Selection, ...]
    range: float | None = None
    offset: float = 0.0
    at: At | None = None
    position: Position | None = None
    children: tuple[Node, ...] = ()

    @property
    def type(self) -> Type:
        """Instant vector or range vector."""
        return "vector" if self.range is None else "matrix"

    @property
    def metric(self) -> str | None:
        """The one metric name; None if only matchers say."""
        return self.alternatives[0].metric

    def __str__(self) -> str:
        return " or ".join(map(str, self.alternatives))


@dataclass(frozen=True, slots=True)
class Subquery:
    """``inner[range:step]``."""

    inner: Node
    range: float
    step: float | None = None
    offset: float = 0.0
    at: At | None = None
    position: Position | None = None

    @property
    def type(self) -> Type:
        """A range vector."""
        return "matrix"

    @property
    def children(self) -> tuple[Node, ...]:
        """What is evaluated at each step."""
        return (self.inner,)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """``sum by (labels) (inner)``. ``grouping`` None: no ``by`` and no ``without``."""

    op: str
    inner: Node
    parameter: Node | None = None
    grouping: Literal["by", "without"] | None = None
    labels: frozenset[str] = frozenset()
    position: Position | None = None

    @property
    def type(self) -> Type:
        """An instant vector."""
        return "vector"

    @property
    def children(self) -> tuple[Node, ...]:
        """The parameter, where there is one, and what is aggregated."""
        return (self.inner,) if self.parameter is None else (self.parameter, self.inner)


@dataclass(frozen=True, slots=True)
class Call:
    """``function(arguments)``; the labels that ``info`` takes as its second argument are left out."""

    function: str
    arguments: tuple[Node, ...]
    type: Type
    position: Position | None = None

    @property
    def children(self) -> tuple[Node, ...]:
        """The arguments."""
        return self.arguments


@dataclass(frozen=True, slots=True)
class Unary:
    """``-inner``."""

    inner: Node
    position: Position | None = None

    @property
    def type(self) -> Type:
        """As what it negates."""
        return self.inner.type

    @property
    def children(self) -> tuple[Node, ...]:
        """What is negated."""
        return (self.inner,)


@dataclass(frozen=True, slots=True)
class Binary:
    """``left op right``. ``matching`` None: on all labels. ``group`` names the side with many series.
    ``filled``: series without a partner get a value (``fill``). ``position`` is the operator's."""

    op: str
    left: Node
    right: Node
    returns_bool: bool = False
    matching: Literal["on", "ignoring"] | None = None
    labels: frozenset[str] = frozenset()
    group: Literal["left", "right"] | None = None
    included: frozenset[str] = frozenset()
    filled: bool = False
    position: Position | None = None

    @property
    def type(self) -> Type:
        """A scalar where both sides are."""
        return "scalar" if self.left.type == self.right.type == "scalar" else "vector"

    @property
    def children(self) -> tuple[Node, ...]:
        """Both sides."""
        return (self.left, self.right)

    @property
    def filters(self) -> bool:
        """Whether series are dropped for what they are compared with."""
        return self.op in COMPARISONS and not self.returns_bool and self.type == "vector"

    @property
    def drops(self) -> bool:
        """Whether series of the left side may be missing in the answer, for whatever reason."""
        return self.filters or self.op in ("and", "unless")


Node: TypeAlias = Number | Text | Selector | Subquery | Aggregate | Call | Unary | Binary


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, as they stand in the text from left to right (parents first)."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        yield current
        waiting.extend(reversed(current.children))


def walk_with_parents(node: Node) -> Iterator[tuple[Node, tuple[Node, ...]]]:
    """As ``walk``, each with the nodes above it, the root first."""
    waiting: list[tuple[Node, tuple[Node, ...]]] = [(node, ())]
    while waiting:
        current, above = waiting.pop()
        yield current, above
        waiting.extend((child, (*above, current)) for child in reversed(current.children))


def outermost(tree: Node) -> Iterator[Node]:
    """The nodes whose series are those of the answer: nothing above them groups or replaces them."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, Unary):
            waiting.append(node.inner)
        elif isinstance(node, Binary) and node.op not in SET_OPERATORS:
            waiting.extend((node.right, node.left))
        elif isinstance(node, Call) and node.function not in OPAQUE:
            waiting.extend(a for a in reversed(node.arguments) if a.type == "vector")


def selectors(node: Node) -> list[Selector]:
    """All selectors, from left to right."""
    return [n for n in walk(node) if isinstance(n, Selector)]
