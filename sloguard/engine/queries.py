"""What Prometheus knows about the queries of a run: scrape intervals, recording rules, resolution."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sloguard.core.model import Guard, Slo
from sloguard.engine.options import Options
from sloguard.ports import (
    Metrics,
    MetricsError,
    MetricsRefused,
    MetricsUnreachable,
    RecordingRule,
    Selection,
)
from sloguard.promql.errors import PromqlError
from sloguard.promql.inspection import inspect, same_metrics
from sloguard.promql.lookback import Lookback, slo_lookback

#: No point stands for less than this, seconds.
SHORTEST_STEP = 1.0


@dataclass(frozen=True, slots=True)
class Asked:
    """The queries of one SLO or guard. ``scrape_interval`` None: Prometheus cannot tell.

    ``rule_interval``: the largest of the recording rules that it reads, 0 if none. ``same_metric``: both
    queries of a pair select the same metrics.
    """

    scrape_interval: float | None = None
    rule_interval: float = 0.0
    same_metric: bool = True


@dataclass(frozen=True, slots=True)
class Queries:
    """All of a run, by name. ``problems``: what could not be asked, as sentences."""

    rules: tuple[RecordingRule, ...] = ()
    slos: Mapping[str, Asked] = field(default_factory=dict)
    guards: Mapping[str, Asked] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def step(self, slo: Slo, options: Options) -> float:
        """The flag's, else the SLO's, else the scrape interval, else the setting's; at least 1 s."""
        asked = self.slos[slo.name].scrape_interval
        chosen = options.step or slo.step or asked or options.fallback_step
        return max(chosen, SHORTEST_STEP)

    def lookback(self, slo: Slo, *, window: float, fault: float | None = None) -> Lookback:
        """An SLO's lookback; a query that cannot be read gives the problem and no exception."""
        try:
            return slo_lookback(slo, window=window, rules=self.rules, fault=fault)
        except PromqlError as error:
            return Lookback(None, str(error), refused=True)

    def delay(self, slos: Iterable[Slo], options: Options) -> float:
        """How long after a moment Prometheus can have it: scrape interval + rule interval + 1 s."""
        waits = [
            (asked.scrape_interval or options.fallback_step) + asked.rule_interval
            for asked in (self.slos[slo.name] for slo in slos)
        ]
        return max(waits, default=0.0) + 1.0


def look_up(slos: Sequence[Slo], guards: Sequence[Guard], metrics: Metrics) -> Queries:
    """Ask Prometheus. Blocking; raises MetricsUnreachable and MetricsRefused, as nothing else would work."""
    problems: list[str] = []
    try:
        rules = tuple(metrics.recording_rules())
    except (MetricsUnreachable, MetricsRefused):
        raise
    except MetricsError as error:
        rules = ()
        problems.append(f"the recording rules could not be read: {error}")
    by_name = _by_name(rules)
    cache: dict[tuple[Selection, ...], float | None] = {}

    def asked(one: Slo | Guard) -> Asked:
        selections, interval = _followed(one.queries.values(), by_name)
        if selections and selections not in cache:
            try:
                cache[selections] = metrics.scrape_interval(selections)
            except (MetricsUnreachable, MetricsRefused):
                raise
            except MetricsError as error:
                cache[selections] = None
                problems.append(f"{one.name}: the scrape interval could not be read: {error}")
        return Asked(cache.get(selections), interval, _same_metric(one))

    return Queries(
        rules,
        {slo.name: asked(slo) for slo in slos},
        {guard.name: asked(guard) for guard in guards},
        tuple(problems),
    )


def _by_name(rules: Iterable[RecordingRule]) -> dict[str, list[RecordingRule]]:
    found: dict[str, list[RecordingRule]] = {}
    for rule in rules:
        found.setdefault(rule.name, []).append(rule)
    return found


def _followed(
    queries: Iterable[str], rules: Mapping[str, Sequence[RecordingRule]]
) -> tuple[tuple[Selection, ...], float]:
    """What is scraped for these queries, through recording rules, and the largest rule interval."""
    selections: dict[Selection, None] = {}
    intervals = [0.0]
    waiting, seen = list(queries), set[str]()
    while waiting:
        query = waiting.pop()
        if query in seen:
            continue
        seen.add(query)
        try:
            found = inspect(query).selections
        except PromqlError:
            continue
        for selection in found:
            recorded = rules.get(selection.metric or "", ())
            if not recorded:
                selections[selection] = None
            for rule in recorded:
                intervals.append(rule.interval)
                waiting.append(rule.expr)
    return tuple(sorted(selections, key=str)), max(intervals)


def _same_metric(one: Slo | Guard) -> bool:
    part = one.bad if one.bad is not None else one.good
    if one.total is None or part is None:
        return True
    try:
        return same_metrics(part, one.total)
    except PromqlError:
        return False
