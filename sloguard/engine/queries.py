"""What Prometheus knows about the queries of a run: scrape intervals, recording rules, resolution."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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


def look_up(
    slos: Sequence[Slo], guards: Sequence[Guard], metrics: Metrics, *, at_once: int = 4
) -> Queries:
    """Ask Prometheus, ``at_once`` questions at a time. Blocking; raises MetricsUnreachable and
    MetricsRefused, as nothing else would work."""
    problems: list[str] = []
    try:
        rules = tuple(metrics.recording_rules())
    except (MetricsUnreachable, MetricsRefused):
        raise
    except MetricsError as error:
        rules = ()
        problems.append(f"the recording rules could not be read: {error}")
    by_name = _by_name(rules)
    everything: tuple[Slo | Guard, ...] = (*slos, *guards)
    followed = [_followed(one.queries.values(), by_name) for one in everything]
    first: dict[tuple[Selection, ...], str] = {}
    for one, (selections, _) in zip(everything, followed, strict=True):
        if selections:
            first.setdefault(selections, one.name)

    def interval_of(selections: tuple[Selection, ...]) -> float | None:
        try:
            return metrics.scrape_interval(selections)
        except (MetricsUnreachable, MetricsRefused):
            raise
        except MetricsError as error:
            name = first[selections]
            problems.append(f"{name}: the scrape interval could not be read: {error}")
            return None

    cache = dict(zip(first, _mapped(interval_of, tuple(first), at_once), strict=True))

    asked = [
        Asked(cache.get(selections), interval, _same_metric(one))
        for one, (selections, interval) in zip(everything, followed, strict=True)
    ]
    return Queries(
        rules,
        {slo.name: found for slo, found in zip(slos, asked, strict=False)},
        {guard.name: found for guard, found in zip(guards, asked[len(slos) :], strict=True)},
        tuple(problems),
    )


def _mapped(
    ask: Callable[[tuple[Selection, ...]], float | None],
    questions: Sequence[tuple[Selection, ...]],
    at_once: int,
) -> list[float | None]:
    """The answers in order; the first that raises ends the others that were not asked yet."""
    if len(questions) < 2 or at_once < 2:
        return [ask(question) for question in questions]
    with ThreadPoolExecutor(at_once, thread_name_prefix="look-up") as pool:
        tasks = [pool.submit(ask, question) for question in questions]
        try:
            return [task.result() for task in tasks]
        finally:
            pool.shutdown(cancel_futures=True)


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
