"""What Prometheus can read of the service itself.

Everything about runs is counted in the store when it is asked for: it is the same from whichever process
answers, and after a restart. What only a process knows (requests) goes through prometheus-client, which
adds up the processes of one server through files when PROMETHEUS_MULTIPROC_DIR is set.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric

from sloguard import __version__
from sloguard.web.run_metrics import NewestRuns, marks_of

if TYPE_CHECKING:
    from sloguard.adapters.store import Store

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
#: Tallies are counted anew at most so often, seconds: several Prometheus servers may ask.
_FRESH = 5.0
#: More experiments than this are read anew each time.
_MOST_KNOWN = 1000
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)


class Telemetry:
    """The metrics of one process, and those of the store behind it."""

    def __init__(self, store: Store) -> None:
        self._own = CollectorRegistry()
        self._requests = Histogram(
            "sloguard_http_request_duration_seconds",
            "Time until an answer begins to leave, by endpoint",
            ("endpoint", "status"),
            registry=self._own,
            buckets=_BUCKETS,
        )
        self.waiting = Gauge(
            "sloguard_http_waiting",
            "Requests that wait for a verdict or follow events",
            registry=self._own,
            multiprocess_mode="livesum",
        )
        payloads = Counter(
            "sloguard_webhooks",
            "Payloads that webhooks brought: accepted, refused for good, or unavailable (sent again)",
            ("result",),
            registry=self._own,
        )
        alerts = Counter(
            "sloguard_webhook_alerts",
            "Alerts in payloads of webhooks, repeats included",
            ("result",),
            registry=self._own,
        )
        results = ("accepted", "refused", "unavailable")
        self._webhooks = {name: (payloads.labels(name), alerts.labels(name)) for name in results}
        self._by_place: dict[tuple[str, int], Histogram] = {}
        self._stored = StoredMetrics(store)

    def observe(self, endpoint: str, status: int, seconds: float) -> None:
        """One request was answered."""
        place = (endpoint, status)
        child = self._by_place.get(place)
        if child is None:
            child = self._by_place[place] = self._requests.labels(endpoint, str(status))
        child.observe(seconds)

    def webhook(self, result: str, alerts: int) -> None:
        """One payload came, and what became of it."""
        payloads, held = self._webhooks[result]
        payloads.inc()
        held.inc(alerts)

    def text(self) -> bytes:
        """Everything in Prometheus's text format."""
        registry = CollectorRegistry(auto_describe=False)
        if os.environ.get(MULTIPROCESS):
            from prometheus_client.multiprocess import MultiProcessCollector

            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # it has no types
            requests = generate_latest(registry)
        else:
            requests = generate_latest(self._own)
        stored = CollectorRegistry(auto_describe=False)
        stored.register(self._stored)
        return requests + generate_latest(stored)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is told of one run."""

    recovered: float | None = None
    verdicts: Mapping[str, str] = field(default_factory=dict)
    burned: Mapping[str, float] = field(default_factory=dict)
    marks: Mapping[str, float] = field(default_factory=dict)


class StoredMetrics:
    """What the store knows, counted when asked."""

    def __init__(
        self,
        store: Store,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._now, self._wall = now, wall
        self._lock = threading.Lock()
        self._kept: tuple[Metric, ...] = ()
        self._until = float("-inf")
        self._facts: dict[str, tuple[int, _Facts]] = {}
        self._newest = NewestRuns(store, self._of_document)

    def collect(self) -> Iterator[Metric]:
        """As prometheus-client asks for it."""
        with self._lock:
            if self._now() >= self._until:
                self._kept = tuple(self._families())
                self._until = self._now() + _FRESH
            kept = self._kept
        yield from kept

    def _families(self) -> Iterator[Metric]:
        info = InfoMetricFamily("sloguard", "The service")
        info.add_metric((), {"version": __version__})
        yield info
        yield self._runs()
        yield from self._latest()
        yield from self._newest.families()
        left = GaugeMetricFamily(
            "sloguard_faults_left", "Injections of ended runs that are not undone"
        )
        left.add_metric((), self._store.faults_left())
        yield left
        orphans = GaugeMetricFamily(
            "sloguard_orphaned_faults",
            "Faults that were found on the cluster and whose runs were dead: left, undone, or gone by another's hand",
            labels=("state",),
        )
        for orphaned, count in self._store.orphan_counts().items():
            orphans.add_metric((str(orphaned),), count)
        yield orphans
        age = GaugeMetricFamily(
            "sloguard_open_run_age_seconds", "How long ago the oldest run began that has not ended"
        )
        age.add_metric((), self._since(self._store.open_since()))
        yield age
        jobs = GaugeMetricFamily("sloguard_jobs", "Jobs by state", labels=("state",))
        for state, count in self._store.job_counts().items():
            jobs.add_metric((str(state),), count)
        yield jobs
        yield from self._inbox()
        yield from self._outbox()

    def _since(self, time: float | None) -> float:
        """Seconds since then; 0 where there is nothing to wait for."""
        return 0.0 if time is None else max(self._wall() - time, 0.0)

    def _outbox(self) -> Iterator[Metric]:
        messages = GaugeMetricFamily(
            "sloguard_outbox_messages",
            "Messages to others that are kept, by channel and state",
            labels=("channel", "state"),
        )
        age = GaugeMetricFamily(
            "sloguard_outbox_age_seconds",
            "How long the oldest message of a channel has waited",
            labels=("channel",),
        )
        counts, waiting = self._store.message_counts(), self._store.oldest_waiting()
        for (channel, state), count in counts.items():
            messages.add_metric((channel, str(state)), count)
        # A channel where nothing waits is told too: an alert has to see that it is well again.
        for channel in dict.fromkeys((*(name for name, _ in counts), *waiting)):
            age.add_metric((channel,), self._since(waiting.get(channel)))
        yield from (messages, age)

    def _inbox(self) -> Iterator[Metric]:
        state = self._store.inbox_state()
        waiting = GaugeMetricFamily(
            "sloguard_alert_inbox_payloads", "Payloads of webhooks that are not worked off"
        )
        waiting.add_metric((), state.waiting)
        age = GaugeMetricFamily(
            "sloguard_alert_inbox_age_seconds", "How long the oldest of them has waited"
        )
        age.add_metric((), self._since(state.oldest_at))
        refused = GaugeMetricFamily(
            "sloguard_alert_payloads_refused", "Refused payloads that are kept for inspection"
        )
        refused.add_metric((), state.refused)
        episodes = GaugeMetricFamily(
            "sloguard_alert_episodes", "Alerts that are kept, by state", labels=("state",)
        )
        for name, count in self._store.episode_counts().items():
            episodes.add_metric((name,), count)
        yield from (waiting, age, refused, episodes)

    def _runs(self) -> Metric:
        made = GaugeMetricFamily(
            "sloguard_runs",
            "Runs that are kept, by experiment, kind and outcome; retention makes it smaller",
            labels=("experiment", "kind", "outcome"),
        )
        for tally in self._store.tallies():
            made.add_metric((tally.experiment, tally.kind, tally.outcome), tally.count)
        return made

    def _latest(self) -> Iterator[Metric]:
        ended = GaugeMetricFamily(
            "sloguard_last_run_timestamp_seconds",
            "When the newest run of an experiment with an outcome ended",
            labels=("experiment", "outcome"),
        )
        outcome = GaugeMetricFamily(
            "sloguard_last_run_outcome",
            "1 for the outcome of the newest ended run of an experiment",
            labels=("experiment", "outcome"),
        )
        recovered = GaugeMetricFamily(
            "sloguard_last_recovery_seconds",
            "Longest recovery in an experiment's newest ended run, where everything recovered",
            labels=("experiment",),
        )
        verdicts = GaugeMetricFamily(
            "sloguard_last_slo_verdict",
            "1 for the verdict of an SLO in an experiment's newest ended run",
            labels=("experiment", "slo", "verdict"),
        )
        burned = GaugeMetricFamily(
            "sloguard_last_budget_burned_ratio",
            "Largest share of its error budget that a series of an SLO burned in the newest ended run",
            labels=("experiment", "slo"),
        )
        for latest in self._store.latest_runs():
            name = latest.experiment
            outcome.add_metric((name, latest.outcome), 1)
            facts = self._of_document(latest.run)
            if facts.recovered is not None:
                recovered.add_metric((name,), facts.recovered)
            for slo, verdict in facts.verdicts.items():
                verdicts.add_metric((name, slo, verdict), 1)
            for slo, share in facts.burned.items():
                burned.add_metric((name, slo), share)
        for latest in self._store.latest_runs(by_outcome=True):
            if latest.ended_at is not None:
                ended.add_metric((latest.experiment, latest.outcome), latest.ended_at)
        yield from (ended, outcome, recovered, verdicts, burned)

    def _of_document(self, run: str) -> _Facts:
        """Of a run; read again only when its document is another one."""
        found = self._store.answer(run)
        text = "" if found is None or found.document is None else found.document
        known = self._facts.get(run)
        if known is not None and known[0] == len(text):
            return known[1]
        facts = _facts(msgspec.json.decode(text)) if text else _Facts()
        if len(self._facts) > _MOST_KNOWN:
            self._facts.clear()
        self._facts[run] = len(text), facts
        return facts


def _facts(document: Mapping[str, Any]) -> _Facts:
    verdicts, burned = {}, {}
    for slo in document.get("slos") or ():
        verdicts[slo["name"]] = slo["verdict"]
        shares = [_number(series.get("budget_burned")) for series in slo["series"]]
        known = [share for share in shares if share is not None]
        if known:
            burned[slo["name"]] = max(known)
    recovered = _number(document.get("time_to_recover_seconds"))
    return _Facts(recovered, verdicts, burned, marks_of(document))


def _number(value: Any) -> float | None:
    # ±Inf is kept as a text, which float() reads.
    return None if value is None else float(value)
