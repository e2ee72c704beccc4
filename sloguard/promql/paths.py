"""Every path from a query to what it selects, through recording rules too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sloguard.ports import RecordingRule, Selection
from sloguard.promql.durations import format_duration
from sloguard.promql.errors import Position, PromqlError
from sloguard.promql.inspection import inspect
from sloguard.promql.recorded import Rules, looks_recorded
from sloguard.promql.tree import Node, Selector, Subquery

_GIVE = "give the SLO a lookback"


@dataclass(frozen=True, slots=True)
class End:
    """Where a path came to. ``back``: the seconds that it adds; 0 for a ``reference``, which sees only
    time before the fault, and where there is a ``problem``. ``position``: the selector in the query."""

    through: str
    back: float = 0.0
    reference: bool = False
    problem: str = ""
    refused: bool = False
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class _Path:
    """The way to a node. ``back``: what was added so far. ``age``: how old the newest instant is that
    it sees, all offsets added, negative ones too. ``pinned``: that instant, where ``@`` has fixed it."""

    back: float = 0.0
    age: float = 0.0
    pinned: float | None = None

    def into(self, node: Selector | Subquery, entry: _Path) -> _Path:
        """The path after a node's own ``@``, offset and range. ``entry``: the path as it came into this
        expression, which in a rule is where ``@ start()`` and ``@ end()`` lead back to: a rule is
        evaluated at one instant, its start and its end."""
        path = self
        if isinstance(node.at, str):
            path = entry
        elif node.at is not None:
            path = replace(self, pinned=node.at)
        if path.pinned is None:
            path = replace(path, age=path.age + node.offset)
        else:
            path = replace(path, pinned=path.pinned - node.offset)
        return replace(path, back=path.back + (node.range or 0.0) + max(node.offset, 0.0))


class Paths:
    """The paths of one question: ``window`` = end - fault in seconds, the fault's time if known."""

    def __init__(self, window: float, fault: float | None, rules: Sequence[RecordingRule]) -> None:
        self._window = window
        self._fault = fault
        self._rules = Rules(rules)
        # A rule's paths depend only on how old the newest instant is when they enter it.
        self._known: dict[tuple[int, float], list[End]] = {}

    def ends(self, tree: Node) -> list[End]:
        """One end or more for every selector, in the order of the text."""
        return self._ends(tree, _Path(), ())

    def _ends(self, tree: Node, entry: _Path, inside: tuple[str, ...]) -> list[End]:
        """``inside``: the rules on the way here; none: the query itself."""
        found: list[End] = []
        waiting: list[tuple[Node, _Path]] = [(tree, entry)]
        while waiting:
            node, path = waiting.pop()
            if isinstance(node, Selector | Subquery):
                if isinstance(node.at, str) and not inside:
                    found.append(_at_an_end(node, node.at))
                    continue
                path = path.into(node, entry)
            if isinstance(node, Selector):
                found.extend(
                    replace(end, position=node.position) for end in self._at(node, path, inside)
                )
            waiting.extend((child, path) for child in reversed(node.children))
        return found

    def _at(self, node: Selector, path: _Path, inside: tuple[str, ...]) -> list[End]:
        through = _text(node)
        if path.pinned is not None:
            if self._fault is None or path.pinned <= self._fault:
                return [End(through, reference=True)]
            problem = (
                f"{through} is fixed to an instant that is not before the fault, so every point has the "
                "same value; leave the '@' out"
            )
            return [End(through, problem=problem, refused=not inside)]
        if path.age > 0 and path.age >= self._window:
            return [End(through, reference=True)]
        return [
            end
            for selection in node.alternatives
            for end in self._through_rules(selection, through, path, inside)
        ]

    def _through_rules(
        self, selection: Selection, through: str, path: _Path, inside: tuple[str, ...]
    ) -> list[End]:
        rules = self._rules.hit_by(selection)
        if not rules and looks_recorded(selection):
            return [End(through, problem=_unlisted(selection))]
        ends = [end for rule in rules for end in self._of_rule(rule, through, path, inside)]
        if selection.metric is None or not rules:
            ends.append(End(through, path.back))
        return ends

    def _of_rule(
        self, rule: RecordingRule, through: str, path: _Path, inside: tuple[str, ...]
    ) -> list[End]:
        name = rule.name
        if name in inside:
            problem = (
                f"the recording rule {name} records itself, so it looks back without end; {_GIVE}"
            )
            return [End(through, problem=problem)]
        key = (id(rule), path.age)
        if key not in self._known:
            self._known[key] = self._inside(rule, path.age, (*inside, name))
        text = f"{through} (recorded every {format_duration(rule.interval)})"
        return [
            replace(
                end,
                back=0.0 if end.reference else path.back + rule.interval + end.back,
                through=f"{text} of {end.through}" if end.through else text,
            )
            for end in self._known[key]
        ]

    def _inside(self, rule: RecordingRule, age: float, inside: tuple[str, ...]) -> list[End]:
        """What a rule adds beside its interval: its longest path, its problem, or one reference."""
        try:
            tree = inspect(rule.expr).tree
        except PromqlError as error:
            problem = f"the recording rule {rule.name} cannot be read: {error}; {_GIVE}"
            return [End("", problem=problem)]
        ends = self._ends(tree, _Path(age=age), inside)
        problems = [end for end in ends if end.problem]
        if problems:
            return problems[:1]
        live = [end for end in ends if not end.reference]
        if live:
            return [max(live, key=lambda e: e.back)]
        return ends[:1] or [End("")]


def _at_an_end(node: Selector | Subquery, which: str) -> End:
    text = _text(node) if isinstance(node, Selector) else f"the subquery @ {which}()"
    problem = (
        f"'@ {which}()' fixes {text} to one instant of the run; leave it out, or compare with an offset "
        "that reaches behind the fault, such as metric / (metric offset 1h)"
    )
    return End(text, problem=problem, refused=True, position=node.position)


def _unlisted(selection: Selection) -> str:
    if selection.metric in ("ALERTS", "ALERTS_FOR_STATE"):
        return f"{selection.metric} comes from alert rules, whose lookback is not read; {_GIVE}"
    return f"{selection} looks like a recording rule that Prometheus does not list; {_GIVE}"


def _text(node: Selector) -> str:
    text = str(node)
    if node.range is not None:
        text += f"[{format_duration(node.range)}]"
    if node.at is not None:
        text += f" @ {node.at}()" if isinstance(node.at, str) else f" @ {node.at:.16g}"
    return f"{text} offset {format_duration(node.offset)}" if node.offset else text
