"""Findings on single parts of a query: selectors and the functions over them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sloguard.promql.durations import format_duration
from sloguard.promql.errors import PromqlError
from sloguard.promql.findings import Finding, Severity
from sloguard.promql.functions import COUNTER_FUNCTIONS, SAMPLE_HUNGRY
from sloguard.promql.grouping import result_grouping
from sloguard.promql.inspection import Inspection, inspect
from sloguard.promql.surroundings import Surroundings
from sloguard.promql.tree import (
    Aggregate,
    Binary,
    Call,
    Node,
    Selector,
    Subquery,
    selectors,
    walk,
    walk_with_parents,
)

_WARNING = Severity.WARNING
#: Endings that only gauges have. Many counters lack _total, so its absence says nothing.
_GAUGE = re.compile(
    r"^up$|_(ratio|percent|percentage|celsius|timestamp_seconds|in_flight|inflight|in_progress|info|"
    r"goroutines|threads|open_fds|queue_length|queue_depth|utilization|usage_bytes|resident_memory_bytes)$"
)
#: Ask whether series are there, not how high a counter has come.
_COUNTING = frozenset({"count", "group", "count_values"})
_PRESENCE = frozenset({"absent", "timestamp", "present_over_time"})
_SAMPLES = 4


def query_findings(role: str, read: Inspection, around: Surroundings) -> Iterator[Finding]:
    """What can be said of one query by itself."""
    for node, above in walk_with_parents(read.tree):
        if isinstance(node, Selector):
            yield from _short_range(role, node, above, around)
            yield from _raw_counter(role, node, above, read)
            yield from _pushed(role, node, read, around)
        if isinstance(node, Selector | Subquery) and node.offset < 0:
            yield _negative_offset(role, node)
        if isinstance(node, Call):
            yield from _rates(role, node, around)
            yield from _quantile(role, node)


def _short_range(
    role: str, node: Selector, above: tuple[Node, ...], around: Surroundings
) -> Iterator[Finding]:
    caller = above[-1] if above else None
    if node.range is None or not isinstance(caller, Call) or caller.function not in SAMPLE_HUNGRY:
        return
    recorded = [r for r in around.rules or () if r.name == node.metric]
    interval = max((r.interval for r in recorded), default=around.scrape_interval)
    if interval and node.range < _SAMPLES * interval:
        kind = "rule interval" if recorded else "scrape interval"
        yield Finding(
            "promql/lookback-under-scrapes",
            _WARNING,
            f"lookback {format_duration(node.range)} is under {_SAMPLES} times the {kind} of "
            f"{format_duration(interval)}: one lost sample moves the value, or leaves none",
            role,
            node.position,
            f"write [{format_duration(_SAMPLES * interval)}] or more",
        )


def _raw_counter(
    role: str, node: Selector, above: tuple[Node, ...], read: Inspection
) -> Iterator[Finding]:
    metric = node.metric or ""
    if node.range is not None or not metric.endswith(("_total", "_bucket")):
        return
    for parent in above:
        if isinstance(parent, Subquery) or (isinstance(parent, Binary) and parent.filters):
            return
        if isinstance(parent, Aggregate) and parent.op in _COUNTING:
            return
        if isinstance(parent, Call) and parent.function in _PRESENCE:
            return
    # A counter less itself at an offset is an increase made by hand.
    if any(s.metric == metric and s.offset for s in selectors(read.tree)):
        return
    yield Finding(
        "promql/counter-without-rate",
        _WARNING,
        f"{metric} counts from the start of its process: its value hardly moves in a run",
        role,
        node.position,
        f"write rate({metric}[1m])",
    )


def _pushed(role: str, node: Selector, read: Inspection, around: Surroundings) -> Iterator[Finding]:
    if node.range is not None or not _is_pushed(node, around):
        return
    if any(isinstance(n, Call) and n.function == "time" for n in walk(read.tree)):
        # The age of a push is the right question.
        return
    yield Finding(
        "promql/pushed",
        _WARNING,
        f"{node} is pushed: the gateway shows the last value on and on when its source is dead",
        role,
        node.position,
        "check its age too: time() - push_time_seconds",
    )


def _is_pushed(node: Selector, around: Surroundings) -> bool:
    for selection in node.alternatives:
        if selection.metric in ("push_time_seconds", "push_failure_time_seconds"):
            return True
        for label, op, value in selection.matchers:
            if op not in ("=", "=~") or label not in ("job", "exported_job", "instance"):
                continue
            named = label == "job" and op == "=" and value in around.pushed_jobs
            if named or "pushgateway" in value.lower().replace("-", "").replace("_", ""):
                return True
    return False


def _negative_offset(role: str, node: Selector | Subquery) -> Finding:
    return Finding(
        "promql/negative-offset",
        _WARNING,
        f"offset {format_duration(node.offset)} looks ahead: while a run is watched the points of the "
        f"last {format_duration(-node.offset)} are not there yet",
        role,
        node.position,
        "leave it out",
    )


def _rates(role: str, node: Call, around: Surroundings) -> Iterator[Finding]:
    if node.function not in COUNTER_FUNCTIONS:
        return
    for argument in node.arguments:
        aggregate = _aggregate_under(argument, around)
        if aggregate:
            yield Finding(
                "promql/rate-of-sum",
                _WARNING,
                f"{node.function}() over {aggregate}: when one part restarts, the whole looks reset and "
                f"the {node.function} jumps",
                role,
                node.position,
                f"take the {node.function} first: sum({node.function}(metric[1m]))",
            )
        elif isinstance(argument, Selector) and _GAUGE.search(argument.metric or ""):
            yield Finding(
                "promql/rate-of-gauge",
                _WARNING,
                f"{node.function}() is of counters, and {argument.metric} looks like a gauge: every fall "
                "is taken for a restart",
                role,
                node.position,
                "delta() or deriv() are of gauges",
            )


def _aggregate_under(argument: Node, around: Surroundings) -> str:
    """The aggregate that a counter function is taken of, in words; empty if of none."""
    if isinstance(argument, Subquery):
        return next((f"{n.op}()" for n in walk(argument) if isinstance(n, Aggregate)), "")
    if not isinstance(argument, Selector):
        return ""
    for rule in around.rules or ():
        if rule.name == argument.metric and _is_aggregate(rule.expr):
            return f"{rule.name}, which records an aggregate"
    return ""


def _is_aggregate(expr: str) -> bool:
    try:
        return isinstance(inspect(expr).tree, Aggregate)
    except PromqlError:
        return False


def _quantile(role: str, node: Call) -> Iterator[Finding]:
    if node.function != "histogram_quantile" or len(node.arguments) < 2:
        return
    buckets = node.arguments[1]
    grouping = result_grouping(buckets)
    drops = (grouping.kind == "by") != ("le" in grouping.labels) and grouping.kind != "unknown"
    names = [s.metric for s in selectors(buckets) if (s.metric or "").endswith("_bucket")]
    if drops and names:
        yield Finding(
            "promql/quantile-without-le",
            _WARNING,
            f"histogram_quantile() needs the label le of {names[0]}, and the query drops it ({grouping}): "
            "the answer is empty",
            role,
            node.position,
            "write sum by (le, …) (rate(…))",
        )
