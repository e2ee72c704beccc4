"""One run of the Chaos Toolkit, watched and judged from beside it.

The Chaos Toolkit's runner breaks and rolls back; this keeps the marks of the timeline, watches the guards,
and says at the end what the SLOs did. Its methods are called by the hooks of ``control``, from the thread
that runs the experiment unless they say otherwise.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sloguard.chaostoolkit.budgets import Budgets
from sloguard.chaostoolkit.reading import activities_of, moment, probes_of
from sloguard.core.alerting import judge_alerts
from sloguard.core.condensing import Condensed
from sloguard.core.document import document
from sloguard.core.events import (
    ActivityEnded,
    ActivityStarted,
    Event,
    EvidenceCollected,
    Judged,
    Note,
    PhaseStarted,
    RunEnded,
    RunStarted,
    SurroundingsCollected,
)
from sloguard.core.judge import judge_slo
from sloguard.core.masking import Masker
from sloguard.core.model import Experiment, FaultRecord, PhaseName, Timeline, Verdict
from sloguard.core.outcome import RunFacts, conclude
from sloguard.core.results import SloResult
from sloguard.core.series import SloEvidence, Surroundings
from sloguard.engine.alert_checks import firing_against
from sloguard.engine.alert_sources import PrometheusAlerts, asking_sources
from sloguard.engine.alert_watch import AlertWatch
from sloguard.engine.evidence import Collected, Take, collecting
from sloguard.engine.gate import guarded_budgets, with_samples
from sloguard.engine.history import missing_history
from sloguard.engine.holding import Held
from sloguard.engine.loop import Loop, Work
from sloguard.engine.options import Options
from sloguard.engine.ports_bundle import Threads
from sloguard.engine.queries import Queries, look_up
from sloguard.engine.watch import Watcher
from sloguard.ports import Clock, Metrics, MetricsError
from sloguard.ports.alerts import AlertSource

log = logging.getLogger("sloguard.chaostoolkit")

Consumer = Callable[[Event], object]


class Refusal(Exception):
    """The experiment must not go on: nothing was injected yet. The text says why."""


@dataclass(slots=True)
class _Marks:
    """As far as they are known, on Prometheus's clock."""

    start: float | None = None
    fault: float | None = None
    method_end: float | None = None
    restored: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surround:
    """What a companion works with. ``live``: the same Prometheus with short deadlines, for the guards.
    ``sources``: who knows of alerts besides Prometheus."""

    metrics: Metrics
    live: Metrics
    clock: Clock
    options: Options
    sources: Sequence[AlertSource] = ()
    consumers: Sequence[Consumer] = ()


@dataclass(slots=True)
class Companion:
    """Judges one run. ``stop_run`` is called from another thread when a guard trips."""

    experiment: Experiment
    around: Surround
    stop_run: Callable[[str], None]
    _marks: _Marks = field(default_factory=_Marks)
    _queries: Queries | None = None
    _notes: list[str] = field(default_factory=list)
    _refused: str = ""
    _tripped: str = ""
    _blind: str = ""
    _over: threading.Event = field(default_factory=threading.Event)
    _watching: threading.Thread | None = None
    _rolled_back: bool = False
    _loop: Loop = field(init=False)
    _masker: Masker = field(init=False)
    _budgets: Budgets = field(init=False)

    def __post_init__(self) -> None:
        self._loop = Loop(self.around.clock, Threads())
        self._masker = Masker.of(self.experiment.secrets)
        self._budgets = Budgets(self.experiment, self.around.metrics, self.around.options)

    @property
    def offset(self) -> float:
        """Prometheus's clock less the local one, in seconds."""
        return self._loop.offset

    def now(self) -> float:
        """Seconds since the epoch, UTC, on Prometheus's clock, to the millisecond."""
        return round(self._loop.now(), 3)

    # Before anything is touched.

    def begin(self) -> None:
        """Ask Prometheus what a run has to know. Raises Refusal where nothing could be judged later."""
        metrics, experiment = self.around.metrics, self.experiment
        self._tell(RunStarted(self.now(), self.around.options.run, self._shown(), self._kept()))
        try:
            self._loop.offset = metrics.clock_offset().seconds
            self._queries = look_up(experiment.slos, experiment.guards, metrics)
        except MetricsError as error:
            raise self._refusal(str(error)) from None
        for problem in self._queries.problems:
            self._note(problem)
        for slo in experiment.slos:
            look = self._queries.lookback(slo, window=self._window)
            if look.refused:
                raise self._refusal(f"SLO {slo.name}: {look.problem}")
        self._check_alerts()

    def _check_alerts(self) -> None:
        """Nothing is broken while alerts fire that speak against it. Raises Refusal."""
        alerting, now = self.experiment.alerts, self.now()
        if alerting.silence is not None:
            self._note("alerts.silence is left out: it is made by 'sloguard run' only")
        sources = [PrometheusAlerts(self.around.live, 1.0), *self.around.sources]
        if not (alerting.refuse_when_firing or alerting.abort_on):
            return
        asked = asking_sources(self._loop, sources, now - 2 * self.around.options.tick, now)
        against = list(firing_against(alerting, self._loop.complete(asked), now))
        if against:
            raise self._refusal("; ".join(against))

    def gate(self) -> None:
        """Judge ``before``, from what Prometheus already has, and what is left of the error budgets.

        Raises Refusal unless the steady state is met and enough is left.
        """
        self._tell(PhaseStarted(self.now(), PhaseName.BEFORE))
        if self.experiment.phases.before > 0:
            self._gate_slos()
        spent = self._budgets.gate(self.now())
        if not spent and self._queries is not None:
            spent = self._budgets.prepare(
                self._queries, lambda: self._marks.fault, lambda: self._phase
            )
        if spent:
            raise self._refusal(spent)

    def _gate_slos(self) -> None:
        missing = missing_history(self.around.metrics, self.now(), self.experiment.phases.before)
        results = self._judge_before()
        if missing > 0 and not any(result.verdict is Verdict.DEVIATED for result in results):
            # A breach that history already shows is not worth the wait.
            self._wait_until(self.now() + missing, "for Prometheus to have all of 'before'")
            results = self._judge_before()
        self._budgets.before = results
        against = [result.reason for result in results if result.verdict.rank > Verdict.MET.rank]
        if against:
            for result in results:
                if result.evidence.answers:
                    self._tell(EvidenceCollected(self.now(), result.evidence))
            raise self._refusal(
                "the steady state was not met before the fault: " + "; ".join(against)
            )

    def _judge_before(self) -> list[SloResult]:
        now = self.now()
        self._marks.start = round(now - self.experiment.phases.before, 3)
        timeline = Timeline(self._marks.start, now, now, now)
        after = self.experiment.phases.after
        options = self.around.options
        judged = Condensed(options.max_series)
        held = Held(options.held_samples, always=guarded_budgets(self.experiment))

        def take(evidence: SloEvidence, surroundings: Surroundings) -> Work[None]:
            judged.add(judge_slo(evidence, timeline, surroundings, after))
            held.add(evidence)
            yield from ()

        self._collect(timeline, take, window=self._window)
        return list(with_samples(judged.results(), held))

    # The method.

    def fault_begins(self) -> None:
        """The first action is about to be carried out. From any thread, as often as one likes."""
        if self._marks.fault is not None:
            return
        self._marks.fault = now = self.now()
        self._marks.start = min(self._marks.start or now, now)
        until = now + self.experiment.phases.during
        self._tell(PhaseStarted(now, PhaseName.DURING, until))
        guarded = self.experiment.guards or self.experiment.alerts.abort_on or self._budgets.watches
        if guarded and self._queries is not None:
            self._watching = threading.Thread(target=self._watch, name="guards", daemon=True)
            self._watching.start()

    @property
    def stopped(self) -> str:
        """Why the method has to end; empty while it may go on. From any thread."""
        return self._tripped or self._blind

    def hold(self) -> None:
        """The method is through: keep it open until ``phases.during`` has passed, or a guard trips."""
        if self._marks.fault is None:
            self.fault_begins()
        fault = self._marks.fault or self.now()
        left = fault + self.experiment.phases.during - self.now()
        if left > 0:
            log.info("sloguard: the fault is held for another %.0fs", left)
            self._loop.complete(self._loop.until(lambda: bool(self.stopped), left))
        self._marks.method_end = self.now()

    def rolled_back(self) -> None:
        """The last rollback is through."""
        self._rolled_back = True
        self._marks.restored = self.now()

    def _watch(self) -> None:
        """In a thread of its own, with a loop of its own."""
        loop = Loop(self.around.clock, Threads())
        loop.offset = self.offset
        queries = self._queries
        assert queries is not None  # noqa: S101 - it is started with them only
        watcher = Watcher(
            loop,
            self.around.live,
            (),
            self.experiment.guards,
            queries,
            self.around.options,
            self._trip,
        )
        for watch in self._budgets.watches:
            watcher.add(watch)
        watcher.start_guarding()
        alerts = AlertWatch(
            loop,
            self.around.live,
            self.around.sources,
            self.experiment.alerts,
            self.around.options,
            self._trip,
        )
        alerts.start_guarding()
        while not self._over.is_set():
            try:
                for event in (*watcher.poll(), *alerts.poll()):
                    self._tell(event)
                    self.stop_run(self.stopped)
                    return
            except Exception as error:
                # A guard that cannot guard any more must not look as if all were well.
                log.exception("sloguard: the guards have failed; this is a bug")
                self._trip(f"the guards have failed: {type(error).__name__}: {error}", True)
                self.stop_run(self.stopped)
                return
            loop.rest()

    def _trip(self, reason: str, blind: bool) -> None:
        if blind:
            self._blind = self._blind or reason
        else:
            self._tripped = self._tripped or reason

    # Afterwards.

    def finish(self, journal: Mapping[str, Any]) -> dict[str, Any]:
        """Wait for ``after``, judge, tell; the document. The journal is the Chaos Toolkit's, complete."""
        self._over.set()
        if self._watching is not None:
            self._watching.join(5.0)
        activities = activities_of(journal, self.offset, self._masker)
        self._place_marks(journal)
        for record in activities:
            self._tell(ActivityStarted(record.start, record.activity, record.section, record.phase))
            self._tell(ActivityEnded(record.end, record))
        facts = RunFacts(
            experiment=self.experiment.title,
            run=self.around.options.run,
            probes=probes_of(journal, self.offset, self._masker),
            activities=activities,
            faults=self._left(journal),
        )
        refused = self._refused or _refused_by(journal)
        if refused or self._marks.fault is None:
            reason = refused or f"the method was not begun: {journal.get('status')}"
            budget = self._budgets.entries((), None)
            return self._end(
                replace(facts, not_started=reason, notes=tuple(self._notes), budget=budget)
            )
        interrupted = ""
        if journal.get("status") in ("interrupted", "aborted") and not self.stopped:
            interrupted = f"the Chaos Toolkit's run was {journal['status']}"
        return self._end(self._judged(facts, interrupted))

    def _judged(self, facts: RunFacts, interrupted: str) -> RunFacts:
        restored = self._marks.restored or self.now()
        if not interrupted and not self._tripped:
            self._tell(PhaseStarted(restored, PhaseName.AFTER))
            interrupted = self._wait_until(
                restored + self.experiment.phases.after, "after the fault"
            )
        end = max(self.now(), restored)
        delay = (
            self._queries.delay(self.experiment.slos, self.around.options) if self._queries else 0
        )
        interrupted = interrupted or self._wait_until(end + delay, "for the last samples")
        marks = self._marks
        assert marks.start is not None and marks.fault is not None  # noqa: S101, PT018 - see finish
        timeline = Timeline(marks.start, marks.fault, max(marks.fault, restored), end)
        after, options = self.experiment.phases.after, self.around.options
        kept = Condensed(options.max_series, budget=self.experiment.budget, timeline=timeline)

        def take(evidence: SloEvidence, surroundings: Surroundings) -> Work[None]:
            # What is judged is told and let go: no more samples are held than are under way.
            self._tell(EvidenceCollected(self.now(), evidence))
            kept.add(judge_slo(evidence, timeline, surroundings, after))
            yield from ()

        collected = self._collect(timeline, take, patience=options.metrics_patience)
        self._tell(SurroundingsCollected(self.now(), collected.surroundings))
        judged = kept.results()
        held = judge_alerts(collected.alerts, self.experiment.alerts, timeline)
        return replace(
            facts,
            timeline=timeline,
            slos=judged,
            alerts=held.entries,
            alert_scope=held.scope,
            aborted=self._tripped or interrupted,
            inconclusive=(self._blind,) if self._blind else (),
            budget=self._budgets.entries(judged, timeline),
            notes=(*self._notes, *collected.notes, *held.notes),
        )

    def _wait_until(self, moment: float, why: str) -> str:
        """Why the wait was cut short; empty where it was not."""
        left = moment - self.now()
        if left <= 0:
            return ""
        log.info("sloguard: waiting %.0fs %s", left, why)
        try:
            self._loop.complete(self._loop.until(lambda: False, left))
        except (KeyboardInterrupt, SystemExit) as error:
            # The journal would be lost with the exception, and the verdict with it.
            return f"asked to stop while waiting {why} ({type(error).__name__})"
        return ""

    def _end(self, facts: RunFacts) -> dict[str, Any]:
        conclusion = conclude(facts)
        made: dict[str, Any] = self._masker.data(document(facts))
        reason = self._masker.text(conclusion.reason)
        self._tell(Judged(self.now(), conclusion.outcome, made))
        run = self.around.options.run
        self._tell(RunEnded(self.now(), run, conclusion.outcome, reason, made, facts.timeline))
        return made

    def _place_marks(self, journal: Mapping[str, Any]) -> None:
        """The journal knows when the first action really began, after its pause, and what came last."""
        marks = self._marks
        actions = [
            run
            for run in journal.get("run") or []
            if (run.get("activity") or {}).get("type") == "action" and run.get("start")
        ]
        if marks.fault is not None and actions:
            marks.fault = max(marks.fault, min(moment(r["start"], self.offset) for r in actions))
            marks.start = min(marks.start or marks.fault, marks.fault)
        undone = [moment(run.get("end"), self.offset) for run in journal.get("rollbacks") or []]
        last = (marks.restored or 0.0) if undone else (marks.method_end or self.now())
        marks.restored = max(last, marks.fault or 0.0, *undone)

    def _left(self, journal: Mapping[str, Any]) -> tuple[FaultRecord, ...]:
        """Rollbacks that were declared, and not carried out although the method had begun."""
        declared = (journal.get("experiment") or {}).get("rollbacks") or []
        if not declared or self._rolled_back or self._marks.fault is None or not journal.get("run"):
            return ()
        names = ", ".join(str(one.get("name", "?")) for one in declared if isinstance(one, Mapping))
        return (
            FaultRecord(
                id="rollbacks",
                fault="the method",
                target="what its actions have changed",
                status="left",
                detail=f"the Chaos Toolkit did not run the rollbacks ({names})",
                by_hand="carry these rollbacks out by hand, and run with --rollback-strategy=always next time",
            ),
        )

    # Small things.

    @property
    def _phase(self) -> PhaseName:
        return PhaseName.DURING if self._marks.restored is None else PhaseName.AFTER

    @property
    def _window(self) -> float:
        return self.experiment.phases.during + self.experiment.phases.after

    def _collect(
        self,
        timeline: Timeline,
        take: Take,
        *,
        patience: float = 0.0,
        window: float | None = None,
    ) -> Collected:
        queries = self._queries
        assert queries is not None  # noqa: S101 - nothing goes on without them
        more: dict[str, Any] = {} if window is None else {"window": window}
        return self._loop.complete(
            collecting(
                self._loop,
                self.experiment.slos,
                queries,
                timeline,
                self.around.metrics,
                self.around.options,
                patience=patience,
                sources=self.around.sources,
                alerts_alone=self.experiment.alerts.declared,
                take=take,
                **more,
            )
        )

    def _refusal(self, reason: str) -> Refusal:
        self._refused = self._masker.text(reason)
        return Refusal(self._refused)

    def _shown(self) -> Experiment:
        masked, text = self._masker.data, self._masker.text
        return replace(
            self.experiment,
            title=text(self.experiment.title),
            description=text(self.experiment.description),
            tags=tuple(map(text, self.experiment.tags)),
            configuration=masked(self.experiment.configuration),
            secrets=masked(self.experiment.secrets),
        )

    def _kept(self) -> Mapping[str, Any]:
        kept: Mapping[str, Any] = self._masker.data(self.experiment.declared)
        return kept

    def _note(self, text: str) -> None:
        text = self._masker.text(text)
        self._notes.append(text)
        log.warning("sloguard: %s", text)
        self._tell(Note(self.now(), "warning", text))

    def _tell(self, event: Event) -> None:
        """Hand an event to everybody; what one of them does wrong is logged and changes nothing."""
        _hand(self.around.consumers, event)


def _hand(consumers: Iterable[Consumer], event: Event) -> None:
    for consumer in consumers:
        try:
            consumer(event)
        except Exception as error:
            name = getattr(consumer, "__qualname__", type(consumer).__qualname__)
            log.warning("sloguard: %s failed at %s: %s", name, type(event).__name__, error)
            log.debug("the consumer's failure", exc_info=True)


def _refused_by(journal: Mapping[str, Any]) -> str:
    """Why the Chaos Toolkit itself did not begin: a probe of the hypothesis."""
    if journal.get("run"):
        return ""
    before = (journal.get("steady_states") or {}).get("before")
    if isinstance(before, Mapping) and before.get("steady_state_met") is False:
        return "the Chaos Toolkit's hypothesis was not met before the method"
    return ""
