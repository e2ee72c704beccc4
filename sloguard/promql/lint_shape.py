"""Findings on what a query answers: which series, and when none."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sloguard.core.model import Guard, Slo
from sloguard.core.objective import Comparison
from sloguard.promql.findings import Finding, Severity
from sloguard.promql.functions import ABSENT, RANKINGS
from sloguard.promql.inspection import Inspection
from sloguard.promql.surroundings import Surroundings
from sloguard.promql.tree import (
    Aggregate,
    Binary,
    Call,
    Node,
    Selector,
    Unary,
    outermost,
    selectors,
    walk,
)

_WARNING = Severity.WARNING
#: Labels that name what goes when a pod goes.
KILLED_LABELS = frozenset(
    {"pod", "pod_name", "pod_ip", "kubernetes_pod_name", "exported_pod", "instance"}
    | {"exported_instance", "container_id"}
)
_TROUBLED = re.compile(r"(error|fail|5xx|timeout|reject|denied|drop|abort|exception)", re.I)
#: Buckets and quantiles are all there or none is.
_ALWAYS_THERE = frozenset({"le", "quantile"})


def shape_findings(
    slo: Slo | Guard, role: str, read: Inspection, around: Surroundings
) -> Iterator[Finding]:
    """What can be said of the series that a query answers."""
    if read.type in ("matrix", "string"):
        what = "a range of samples" if read.type == "matrix" else "a text"
        yield Finding(
            "promql/not-a-vector",
            Severity.ERROR,
            f"the query answers {what}, not a value",
            role,
            hint="take a function of it, such as rate(metric[1m])" if read.type == "matrix" else "",
        )
    for node in outermost(read.tree):
        yield from _dropped(role, node)
    yield from _killed(role, read, around)
    if role == "query":
        yield from _ratios(slo, role, read)


def _dropped(role: str, node: Node) -> Iterator[Finding]:
    absent = f"counts as 0 {role}" if role in ("bad", "good") else "is a gap, not a value"
    if isinstance(node, Binary) and (node.drops):
        by = f"'{node.op}'" if node.op in ("and", "unless") else f"'{node.op}' without bool"
        instead = "leave it out: the objective compares" if node.filters else "leave it out"
        yield Finding(
            "promql/filter",
            _WARNING,
            f"{by} drops series, and a point that is dropped {absent}",
            role,
            node.position,
            instead,
        )
    if isinstance(node, Aggregate) and node.op in RANKINGS:
        yield Finding(
            "promql/ranking",
            _WARNING,
            f"{node.op}() picks other series from point to point, and a point that is left out {absent}",
            role,
            node.position,
            "leave it out: every series is judged, and the worst one decides",
        )
    if isinstance(node, Call) and node.function in ABSENT:
        yield Finding(
            "promql/absent",
            _WARNING,
            f"{node.function}() answers 1 or nothing: while all is well there is no value to judge",
            role,
            node.position,
            f"write {node.function}(…) or vector(0)",
        )


def _killed(role: str, read: Inspection, around: Surroundings) -> Iterator[Finding]:
    if not around.kills_pods or read.grouping.kind != "by":
        return
    named = sorted(read.grouping.labels & KILLED_LABELS)
    if named:
        by = next(
            (
                n.position
                for n in walk(read.tree)
                if isinstance(n, Aggregate) and named[0] in n.labels
            ),
            None,
        )
        yield Finding(
            "promql/by-killed-label",
            _WARNING,
            f"the series are by ({', '.join(named)}), and the method kills pods: a series ends with its "
            "pod, and the next one starts without a before",
            role,
            by,
            "group by what users see, such as by (service)",
        )


def _ratios(slo: Slo | Guard, role: str, read: Inspection) -> Iterator[Finding]:
    for node in outermost(read.tree):
        if not isinstance(node, Binary) or node.op != "/" or node.filled:
            continue
        if "scalar" in (node.left.type, node.right.type) or _has_fallback(node.left):
            continue
        lower = any(
            isinstance(m, Comparison) and m.op in (">", ">=") for m in slo.objective.members
        )
        if isinstance(slo, Guard) and not lower:
            # A guard with an upper bound trips on values; that there is none while all is well is fine.
            continue
        why = _may_be_empty(node.left, node.right)
        if why:
            top = "good" if lower else "bad"
            yield Finding(
                "promql/ratio-not-a-pair",
                _WARNING,
                f"the top of this ratio {why}: then the ratio has no value, neither good nor bad",
                role,
                node.position,
                f"write a pair: '{top}:' is the top, 'total:' the bottom; an absent {top} is read as 0",
            )


def _has_fallback(node: Node) -> bool:
    """Whether an ``or`` stands for the case that there is nothing."""
    if isinstance(node, Binary):
        if node.op == "or":
            return True
        sides = [s for s in node.children if s.type == "vector"]
        return len(sides) == 1 and _has_fallback(sides[0])
    if isinstance(node, Unary | Aggregate):
        return _has_fallback(node.inner)
    if isinstance(node, Call):
        return any(_has_fallback(a) for a in node.arguments if a.type == "vector")
    return False


def _may_be_empty(top: Node, bottom: Node) -> str:
    """Why, in words; empty if nothing speaks for it."""
    for node in walk(top):
        if isinstance(node, Binary) and (node.drops):
            return f"is empty where '{node.op}' leaves nothing"
    below = selectors(bottom)
    for selector in selectors(top):
        extra = next((e for e in (_narrower(selector, b) for b in below) if e), "")
        if extra:
            return f"is empty while no series has {extra}"
    named = [s.metric or "" for s in selectors(top)]
    troubled = [m for m in named if _TROUBLED.search(m) and m not in {b.metric for b in below}]
    return f"is empty while there is no {troubled[0]} yet" if troubled else ""


def _narrower(top: Selector, bottom: Selector) -> str:
    """The matchers that the top has beyond those of the bottom, of the same metric."""
    one, other = top.alternatives[0], bottom.alternatives[0]
    if one.metric != other.metric or not set(one.matchers) > set(other.matchers):
        return ""
    extra = [m for m in one.matchers if m not in other.matchers and m[0] not in _ALWAYS_THERE]
    return ", ".join(f'{name}{op}"{value}"' for name, op, value in extra)
