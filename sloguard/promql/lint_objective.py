"""Findings on what a query is held against: units, shares, and the two sides of a pair."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from sloguard.core.model import Guard, Slo
from sloguard.core.objective import SIZE_UNITS, TIME_UNITS, Between, Bound, Comparison, Objective
from sloguard.promql.findings import Finding, Severity
from sloguard.promql.inspection import Inspection
from sloguard.promql.surroundings import Surroundings
from sloguard.promql.tree import Binary, Node, Number, selectors, walk

_WARNING = Severity.WARNING
_TAIL = r"(?:_(?:bucket|sum|max|min|avg))?$"
#: Units in a metric's name -> how many of them are a second. Counts of events (_count) have no unit.
_SUBSECONDS = (
    (re.compile(rf"_(?:milliseconds|millis|msec|msecs|ms){_TAIL}"), "milliseconds", 1e3),
    (re.compile(rf"_(?:microseconds|micros|usec|us){_TAIL}"), "microseconds", 1e6),
    (re.compile(rf"_(?:nanoseconds|nanos|nsec|ns){_TAIL}"), "nanoseconds", 1e9),
    # Envoy's histograms of time are in milliseconds and do not say so.
    (re.compile(rf"^envoy_\w*_(?:rq_time|cx_connect_ms|cx_length_ms){_TAIL}"), "milliseconds", 1e3),
)
_PERCENT_NAME = re.compile(r"_(?:percent|percentage|pct)$")


def objectives(slo: Slo | Guard) -> list[Objective]:
    """Every objective that an SLO is held against, each once."""
    if isinstance(slo, Guard):
        return [slo.objective]
    rules = (slo.before, slo.during, slo.after)
    return list(dict.fromkeys([slo.objective, *(rule.objective for rule in rules)]))


def _bounds(slo: Slo | Guard) -> list[tuple[str, Bound]]:
    """Each bound that does not name the baseline, with its objective as written."""
    found = []
    for objective in objectives(slo):
        for member in objective.members:
            sides = (member.low, member.high) if isinstance(member, Between) else (member.bound,)
            found += [(member.text, bound) for bound in sides if not bound.baseline]
    return found


def objective_findings(
    slo: Slo | Guard, read: Mapping[str, Inspection], around: Surroundings
) -> Iterator[Finding]:
    """What does not fit between a query's values and its objective."""
    if "total" in slo.queries:
        yield from _shares(slo)
        return
    for role, one in read.items():
        yield from _time_unit(slo, role, one)
        yield from _percent(slo, role, one, around)


def _time_unit(slo: Slo | Guard, role: str, read: Inspection) -> Iterator[Finding]:
    written = next((text for text, bound in _bounds(slo) if bound.unit in TIME_UNITS), None)
    if written is None:
        written = next((o.text for o in objectives(slo) if o.unit in TIME_UNITS), None)
    if written is None:
        return
    for selector in selectors(read.tree):
        for pattern, unit, factor in _SUBSECONDS:
            if pattern.search(selector.metric or "") and not _scaled(read.tree, factor):
                yield Finding(
                    "promql/time-unit",
                    _WARNING,
                    f"'{written}' is read in seconds, and {selector.metric} is in {unit}",
                    role,
                    selector.position,
                    f"divide the query by {factor:.0f}",
                )
                return


def _scaled(tree: Node, factor: float) -> bool:
    """Whether the query divides by this number, or multiplies with its inverse."""
    for node in walk(tree):
        if isinstance(node, Binary) and node.op in ("*", "/"):
            wanted = (factor,) if node.op == "/" else (1 / factor,)
            sides = (node.right,) if node.op == "/" else node.children
            if any(isinstance(s, Number) and s.value in wanted for s in sides):
                return True
    return False


def _percent(
    slo: Slo | Guard, role: str, read: Inspection, around: Surroundings
) -> Iterator[Finding]:
    found = next(((text, b) for text, b in _bounds(slo) if b.unit == "%"), None)
    if found is None:
        return
    text, bound = found
    why = _in_percent(read)
    if not why and around.observed is not None and around.observed[1] > 1 + 1e-9:
        why = f"the query answers values up to {around.observed[1]:.4g}"
    if why:
        yield Finding(
            "promql/percent",
            _WARNING,
            f"'{text}' means {bound.value:.10g} of 1, but {why}",
            role,
            hint=f"let the query answer a share of 1, or leave the % out ({_without_percent(text)})",
        )


def _without_percent(text: str) -> str:
    return f"'{text.replace('%', '').strip()}'"


def _in_percent(read: Inspection) -> str:
    """Why the values are percentages already, in words."""
    if _scaled(read.tree, 100.0):
        return ""
    products = [n for n in walk(read.tree) if isinstance(n, Binary) and n.op == "*"]
    if any(isinstance(s, Number) and s.value == 100 for n in products for s in n.children):
        return "the query multiplies by 100"
    for selector in selectors(read.tree):
        if _PERCENT_NAME.search(selector.metric or ""):
            return f"{selector.metric} is in percent already"
    return ""


def _shares(slo: Slo | Guard) -> Iterator[Finding]:
    for objective in objectives(slo):
        for member in objective.members:
            if not isinstance(member, Comparison) or member.bound.baseline:
                continue
            if member.bound.unit in {**TIME_UNITS, **SIZE_UNITS}:
                yield _pair_unit(
                    f"'{member.text}' has a unit, and a share has none", "write '< 5%'"
                )
            elif (member.op == "<=" and member.bound.value >= 1) or (
                member.op == "<" and member.bound.value > 1
            ):
                instead = f"did you mean '{member.text}%'?" if not member.bound.unit else ""
                yield _pair_unit(f"'{member.text}' always holds: nothing could breach it", instead)


def _pair_unit(message: str, hint: str) -> Finding:
    return Finding(
        "promql/pair-unit",
        _WARNING,
        f"{message}; the value of a pair is the share of bad events, 0 to 1",
        hint=hint,
    )


def pair_findings(read: Mapping[str, Inspection]) -> Iterator[Finding]:
    """Whether the series of a pair can meet: they are matched by their labels."""
    if "total" not in read:
        return
    total = read["total"].grouping
    for role in ("bad", "good"):
        if role not in read:
            continue
        part = read[role].grouping
        if "unknown" in (part.kind, total.kind):
            continue
        differ = (part.kind, part.labels) != (total.kind, total.labels)
        # What 'without' leaves of a metric may well be what the other side names.
        if not differ or (part.kind != total.kind and part.labels and total.labels):
            continue
        sure = part.certain and total.certain and part.kind == total.kind == "by"
        yield Finding(
            "promql/pair-grouping",
            Severity.ERROR if sure else _WARNING,
            f"'{role}' has {part} and 'total' has {total}: series are matched by their labels, so these "
            f"{'never' if sure else 'may never'} meet, and an absent '{role}' is read as 0",
            role,
            hint="group both in the same way",
        )
