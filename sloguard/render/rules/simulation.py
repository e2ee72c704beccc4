"""Time series that make a level good or bad, minute by minute, for promtool's unit tests.

Where a query is plain enough, series are made that it selects: so the query is tested too. Where it is not, the level
is tested with stand-ins in place of its queries (``stood_in``): then all but the query is.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sloguard.core.service_levels import Indicator, ServiceLevel
from sloguard.promql.inspection import inspect
from sloguard.promql.tree import Aggregate, Call, Node, Number, Selector, walk
from sloguard.promql.windowed import over, quoted, windowing
from sloguard.render.rules.picking import Matcher, Unknown, labels_beside, labels_of, series_name

#: Samples in a minute of the simulation, and events in each of them: so many that shares of them are whole numbers, for
#: a sum that is off by a hair would be a counter that begins anew.
PER_MINUTE = 2
_EVENTS = 3_000_000
_RATES = ("rate", "increase", "irate")
_LINEAR = ("sum",)
_CALM = ("sum", "avg", "min", "max")


@dataclass(frozen=True, slots=True)
class Made:
    """A series of promtool's input: its name with labels, and its samples, ``PER_MINUTE``."""

    series: str
    values: tuple[float, ...]

    def as_input(self) -> dict[str, str]:
        """As an entry of ``input_series``."""
        return {"series": self.series, "values": _expanding(self.values)}


def stood_in(level: ServiceLevel) -> ServiceLevel:
    """The same level, of metrics that are nobody's."""
    name = quoted(level.name)
    if level.indicator.total is not None:
        queries = Indicator(
            total=f"sum(slo_test_events_total{{slo={name}}})",
            bad=f"sum(slo_test_errors_total{{slo={name}}})",
            counter=True,
        )
    elif level.indicator.raw is not None:
        queries = Indicator(
            raw=f"sum(slo_test_ratio{{slo={name}}})", raw_is_failure=level.indicator.raw_is_failure
        )
    else:
        queries = Indicator(threshold=f"sum(slo_test_value{{slo={name}}})")
    return replace(level, indicator=queries)


def simulated(level: ServiceLevel, shares: Sequence[float]) -> list[Made] | None:
    """Series by which the level is as bad as ``shares`` says, a minute each; None where its queries are too much
    for that. A threshold knows only good (below 0.5) and bad."""
    indicator = level.indicator
    # A minute ends with the sample of its number: what is counted then happened in it.
    samples = range(PER_MINUTE * (len(shares) - 1) + 1)
    shares = [shares[-(-sample // PER_MINUTE)] for sample in samples]
    try:
        if indicator.total is not None:
            return _pair(indicator, shares)
        if indicator.raw is not None:
            values = [s if indicator.raw_is_failure else 1 - s for s in shares]
            return _steady(indicator.raw, values)
        return _threshold(level, indicator.threshold or "", shares)
    except Unknown:
        return None


@dataclass(frozen=True, slots=True)
class Blur:
    """How a query blurs what happens: over ``minutes``, and where it is a quantile, bad from this share on."""

    minutes: int = 0
    beyond: float | None = None


def counted(level: ServiceLevel) -> bool:
    """Whether events are counted over windows that can be chosen: then no moment is lost between evaluations."""
    indicator = level.indicator
    kinds = {windowing(q, counter=indicator.counter) for q in indicator.queries.values()}
    return indicator.total is not None and "fixed" not in kinds


def blur_of(level: ServiceLevel) -> Blur:
    """What a level's values at a moment are made of. A counter's rate is no blur: it is added up exactly."""
    queries = level.indicator.queries
    if counted(level):
        return Blur()
    ranges = [
        n.range or 0.0
        for query in queries.values()
        for n in walk(inspect(over(query, "5m", counter=False)).tree)
        if isinstance(n, Selector)
    ]
    tree = inspect(over(next(iter(queries.values())), "5m", counter=False)).tree
    quantile = (
        tree.arguments[0]
        if isinstance(tree, Call) and tree.function == "histogram_quantile"
        else None
    )
    beyond = 1 - quantile.value if isinstance(quantile, Number) else None
    return Blur(round(max(ranges, default=0.0) / 60), beyond)


def _pair(indicator: Indicator, shares: Sequence[float]) -> list[Made]:
    other = indicator.bad if indicator.bad is not None else indicator.good
    total = _plain(indicator.total or "", counter=indicator.counter)
    part = _plain(other or "", counter=indicator.counter)
    if total.counts != part.counts:
        raise Unknown
    bad = [float(round(_EVENTS * share)) for share in shares]
    good = [_EVENTS - count for count in bad]
    within, outside = (bad, good) if indicator.bad is not None else (good, bad)
    if total.metric == part.metric:
        inside = labels_of([*total.matchers, *part.matchers], total.grouping)
        beside = labels_beside(total.matchers, part.matchers, total.grouping)
        rows = [(total.metric, inside, within), (total.metric, beside, outside)]
    else:
        all_events = [float(_EVENTS) for _ in shares]
        rows = [
            (part.metric, labels_of(part.matchers, part.grouping), within),
            (total.metric, labels_of(total.matchers, total.grouping), all_events),
        ]
    return [
        Made(series_name(metric, labels), _summed(values) if total.counts else tuple(values))
        for metric, labels, values in rows
    ]


def _steady(query: str, values: Iterable[float]) -> list[Made]:
    plain = _plain(query, counter=False, calm=True)
    if plain.counts:
        raise Unknown
    return [
        Made(series_name(plain.metric, labels_of(plain.matchers, plain.grouping)), tuple(values))
    ]


def _threshold(level: ServiceLevel, query: str, shares: Sequence[float]) -> list[Made]:
    bad = [share >= 0.5 for share in shares]
    tree = inspect(over(query, "5m", counter=False)).tree
    if isinstance(tree, Call) and tree.function == "histogram_quantile":
        return _histogram(level, tree, bad)
    away = max(1.0, abs(level.value))
    low, high = level.value - away, level.value + away
    fine, broken = (low, high) if level.op in ("<", "<=") else (high, low)
    return _steady(query, [broken if b else fine for b in bad])


def _histogram(level: ServiceLevel, tree: Call, bad: Sequence[bool]) -> list[Made]:
    """Observations that all lie well below the bound, or all well above it."""
    quantile, inner = tree.arguments
    plain = _of(inner, aggregations=_LINEAR)
    if (
        not plain.counts
        or level.op not in ("<", "<=")
        or level.value <= 0
        or not isinstance(quantile, Number)
    ):
        raise Unknown
    labels = labels_of([m for m in plain.matchers if m.name != "le"], plain.grouping - {"le"})
    bounds = [level.value / 2, level.value * 2, level.value * 4, float("inf")]
    made = []
    for bound in bounds:
        within = [float(_EVENTS) if bound >= (level.value * 4 if b else 0) else 0.0 for b in bad]
        le = "+Inf" if bound == float("inf") else f"{bound:.12g}"
        made.append(Made(series_name(plain.metric, {**labels, "le": le}), _summed(within)))
    return made


@dataclass(frozen=True, slots=True)
class _Plain:
    """A query of one selector; ``counts``: it is a rate, so the selector picks a counter."""

    metric: str
    matchers: tuple[Matcher, ...]
    grouping: frozenset[str]
    counts: bool


def _plain(query: str, *, counter: bool, calm: bool = False) -> _Plain:
    tree = inspect(over(query, "5m", counter=counter)).tree
    return _of(tree, aggregations=_CALM if calm else _LINEAR)


def _of(tree: Node, *, aggregations: Sequence[str]) -> _Plain:
    """Only sums (and their kin, of one series) over a rate, or over the selector itself."""
    grouping: frozenset[str] | None = None
    node, counts = tree, False
    while not isinstance(node, Selector):
        if (
            isinstance(node, Aggregate)
            and node.op in aggregations
            and not counts
            and node.parameter is None
        ):
            if grouping is None and node.grouping != "without":
                grouping = node.labels
            node = node.inner
        elif isinstance(node, Call) and node.function in _RATES and not counts:
            node, counts = node.arguments[0], True
        else:
            raise Unknown
    if node.offset or node.at is not None or len(node.alternatives) != 1 or node.metric is None:
        raise Unknown
    if (node.range is not None) != counts or any(isinstance(n, Call) for n in walk(node)):
        raise Unknown
    matchers = tuple(Matcher(*m) for m in node.alternatives[0].matchers)
    return _Plain(node.metric, matchers, grouping or frozenset(), counts)


def _summed(increments: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(total, 6) for total in itertools.accumulate(increments))


def _expanding(values: Sequence[float]) -> str:
    """Runs of equal steps in promtool's notation: ``0+100x59``; without a value where there is none."""
    parts = []
    index = 0
    while index < len(values):
        start = values[index]
        step = round(values[index + 1] - start, 6) if index + 1 < len(values) else 0.0
        count = 0
        while (
            index + count + 1 < len(values)
            and abs(values[index + count + 1] - values[index + count] - step) < 1e-6
        ):
            count += 1
        if count == 0:
            parts.append(f"{start:.12g}")
        else:
            sign = "-" if step < 0 else "+"
            parts.append(f"{start:.12g}{sign}{abs(step):.12g}x{count}")
        index += count + 1
    return " ".join(parts)
