"""Which recording rules a selector may hit."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from sloguard.ports import RecordingRule, Selection
from sloguard.promql.errors import PromqlError
from sloguard.promql.inspection import inspect

_NAME = "__name__"
#: Series that Prometheus writes from its alert rules, whose expressions no API of rules-by-name gives.
_ALERTS = frozenset({"ALERTS", "ALERTS_FOR_STATE"})
#: Colons of the syntax of expressions: (?:…), (?i:…), [[:alpha:]].
_SYNTAX_COLONS = re.compile(r"\(\?[a-zA-Z-]*:|\[:\^?\w+:\]")
#: What the server's expressions have and Python's have not, or read in another way.
_FOREIGN = re.compile(r"\[:|\\[pPCQEzA]|\(\?[a-zA-Z]*U|(?<!^)\(\?[a-zA-Z-]+\)")


class Rules:
    """All recording rules that a server lists."""

    def __init__(self, rules: Sequence[RecordingRule]) -> None:
        self.all = tuple(rules)
        self._named: dict[str, list[RecordingRule]] = defaultdict(list)
        for rule in rules:
            self._named[rule.name].append(rule)

    def hit_by(self, selection: Selection) -> list[RecordingRule]:
        """The rules whose series a selector may select; all that cannot be told apart."""
        if selection.metric is not None:
            return list(self._named.get(selection.metric, ()))
        return [rule for rule in self.all if _may_hit(selection, rule)]


def looks_recorded(selection: Selection) -> bool:
    """Whether a name has the colon that, by convention, only recorded metrics have."""
    if selection.metric is not None:
        return ":" in selection.metric or selection.metric in _ALERTS
    names = [v for n, op, v in selection.matchers if n == _NAME and op in ("=", "=~")]
    return any(":" in _SYNTAX_COLONS.sub("", name) for name in names)


def _may_hit(selection: Selection, rule: RecordingRule) -> bool:
    for label, op, value in selection.matchers:
        borne = rule.name if label == _NAME else _borne(rule, label)
        if borne is not None and not matches(op, value, borne):
            return False
    return True


def _borne(rule: RecordingRule, label: str) -> str | None:
    """The value of a label on all series of a rule ('' if they do not bear it); None: not known."""
    if label in rule.labels:
        return rule.labels[label]
    try:
        grouping = inspect(rule.expr).grouping
    except PromqlError:
        return None
    absent = grouping.kind == "by" and grouping.certain and label not in grouping.labels
    return "" if absent else None


def matches(op: str, pattern: str, value: str) -> bool:
    """Whether a matcher takes a value; True where Python cannot tell what the server's expression means."""
    if op in ("=", "!="):
        return (value == pattern) is (op == "=")
    if _FOREIGN.search(pattern):
        return True
    try:
        found = re.fullmatch(pattern, value, re.DOTALL) is not None
    except re.error:
        return True
    return found is (op == "=~")
