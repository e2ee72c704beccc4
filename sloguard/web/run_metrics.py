"""The newest runs one by one, for dashboards that show one. Only so many, so that series stay few."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from prometheus_client.core import GaugeMetricFamily, Metric

if TYPE_CHECKING:
    from sloguard.adapters.store import Store
    from sloguard.core.tallies import RunLine

#: How many of the newest runs are told one by one, and how many SLOs of each.
MOST_RUNS = 20
MOST_SLOS = 50


class RunFacts(Protocol):
    """What is told of one run."""

    @property
    def recovered(self) -> float | None:
        """Longest recovery, seconds."""
        ...

    @property
    def verdicts(self) -> Mapping[str, str]:
        """By SLO."""
        ...

    @property
    def burned(self) -> Mapping[str, float]:
        """Shares of error budgets, by SLO."""
        ...

    @property
    def marks(self) -> Mapping[str, float]:
        """``fault`` and ``restored``, seconds since the epoch."""
        ...


def marks_of(document: Mapping[str, Any]) -> Mapping[str, float]:
    """When the fault was there, of a verdict's document."""
    timeline = document.get("timeline") or {}
    found = {mark: timeline.get(mark) for mark in ("fault", "restored")}
    return {mark: datetime.fromisoformat(at).timestamp() for mark, at in found.items() if at}


class NewestRuns:
    """Ended runs and windows; judgements of earlier ones left out. ``facts_of`` reads a run's document."""

    def __init__(self, store: Store, facts_of: Callable[[str], RunFacts]) -> None:
        self._store, self._facts_of = store, facts_of
        self._known: dict[RunLine, RunFacts] = {}

    def families(self) -> Iterator[Metric]:
        """As prometheus-client wants them."""
        # Documents are long; one is read again only where its run's line is another one.
        known = self._known
        self._known = {
            line: known[line] if line in known else self._facts_of(line.id)
            for line in _ended(self._store)
        }
        yield from _families(self._known)


def _families(known: Mapping[RunLine, RunFacts]) -> Iterator[Metric]:
    times = GaugeMetricFamily(
        "sloguard_run_timestamp_seconds",
        f"When one of the newest {MOST_RUNS} runs started, had its fault, was restored, and ended",
        labels=("run", "experiment", "mark"),
    )
    outcome = GaugeMetricFamily(
        "sloguard_run_outcome",
        "1 for the outcome of one of the newest runs",
        labels=("run", "experiment", "outcome"),
    )
    recovered = GaugeMetricFamily(
        "sloguard_run_recovery_seconds",
        "Longest recovery in one of the newest runs, where everything recovered",
        labels=("run", "experiment"),
    )
    verdicts = GaugeMetricFamily(
        "sloguard_run_slo_verdict",
        "1 for the verdict of an SLO in one of the newest runs",
        labels=("run", "experiment", "slo", "verdict"),
    )
    burned = GaugeMetricFamily(
        "sloguard_run_budget_burned_ratio",
        "Largest share of its error budget that a series of an SLO burned in one of the newest runs",
        labels=("run", "experiment", "slo"),
    )
    for line, facts in known.items():
        who = (line.id, line.experiment)
        ended = line.started_at if line.ended_at is None else line.ended_at
        for mark, at in {"started": line.started_at, "ended": ended, **facts.marks}.items():
            times.add_metric((*who, mark), at)
        outcome.add_metric((*who, str(line.outcome)), 1)
        if facts.recovered is not None:
            recovered.add_metric(who, facts.recovered)
        for slo, verdict in list(facts.verdicts.items())[:MOST_SLOS]:
            verdicts.add_metric((*who, slo, verdict), 1)
        for slo, share in list(facts.burned.items())[:MOST_SLOS]:
            burned.add_metric((*who, slo), share)
    yield from (times, outcome, recovered, verdicts, burned)


def _ended(store: Store) -> list[RunLine]:
    # Some of the newest are still under way, or judge an earlier one again.
    found = store.run_lines(4 * MOST_RUNS)
    ended = [run for run in found if run.ended_at is not None and run.kind != "rejudge"]
    return ended[:MOST_RUNS]
