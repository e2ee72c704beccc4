"""One run of the Chaos Toolkit, watched and judged from beside it.

The Chaos Toolkit's runner breaks and rolls back; this keeps the marks of the timeline, watches the guards,
and says at the end what the SLOs did. Its methods are called by the hooks of ``control``, from the thread
that runs the experiment unless they say otherwise.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sloguard.chaostoolkit.alerts import Alerts, Silencing
from sloguard.chaostoolkit.budgets import Budgets
from sloguard.chaostoolkit.guarding import Guards
from sloguard.chaostoolkit.judging import Judging
from sloguard.chaostoolkit.marks import Marks, refused_by
from sloguard.chaostoolkit.reading import activities_of, probes_of
from sloguard.chaostoolkit.surround import Refusal, Surround
from sloguard.chaostoolkit.telling import Teller
from sloguard.core.alerting import judge_alerts
from sloguard.core.events import (
    ActivityEnded,
    ActivityStarted,
    EvidenceCollected,
    PhaseStarted,
    SurroundingsCollected,
)
from sloguard.core.model import Experiment, PhaseName, Verdict
from sloguard.core.outcome import RunFacts
from sloguard.core.results import SloResult
from sloguard.engine.history import missing_history
from sloguard.engine.loop import Loop
from sloguard.engine.ports_bundle import Threads

log = logging.getLogger("sloguard.chaostoolkit")

_NOBODY = (
    "it has to be approved, and inside 'chaos run' nobody can be asked: run it with 'sloguard run --approve', "
    "or by the service"
)


@dataclass(slots=True)
class Companion:
    """Judges one run. ``stop_run`` is called from another thread when a guard trips."""

    experiment: Experiment
    around: Surround
    stop_run: Callable[[str], None]
    _marks: Marks = field(default_factory=Marks)
    _refused: str = ""
    _loop: Loop = field(init=False)
    _teller: Teller = field(init=False)
    _judging: Judging = field(init=False)
    _budgets: Budgets = field(init=False)
    _alerts: Alerts = field(init=False)
    _silencing: Silencing = field(init=False)
    _guards: Guards = field(init=False)

    def __post_init__(self) -> None:
        experiment, around = self.experiment, self.around
        self._loop = Loop(around.clock, Threads())
        self._teller = Teller(experiment, around.options.run, around.consumers, self.now)
        self._judging = Judging(experiment, around, self._loop)
        self._budgets = Budgets(experiment, around.metrics, around.options)
        self._alerts = Alerts(experiment, around, self._loop)
        self._silencing = Silencing(experiment, around, self._teller)
        self._guards = Guards(experiment, around, self._teller.tell, self.stop_run)

    @property
    def offset(self) -> float:
        """Prometheus's clock less the local one, in seconds."""
        return self._loop.offset

    def now(self) -> float:
        """Seconds since the epoch, UTC, on Prometheus's clock, to the millisecond."""
        return round(self._loop.now(), 3)

    # Before anything is touched.

    def begin(self) -> None:
        """Ask Prometheus what a run has to know. Raises Refusal where nothing could be judged later, and
        for what has to be approved."""
        self._teller.started()
        approval = self.experiment.approval
        if approval is not None and approval.required:
            raise self._refusal(_NOBODY)
        try:
            for problem in self._judging.begin():
                self._teller.note(problem)
            self._alerts.check(self.now())
        except Refusal as error:
            raise self._refusal(str(error)) from None

    def gate(self) -> None:
        """Judge ``before``, from what Prometheus already has, and what is left of the error budgets.

        Raises Refusal unless the steady state is met and enough is left.
        """
        self._teller.tell(PhaseStarted(self.now(), PhaseName.BEFORE))
        if self.experiment.phases.before > 0:
            self._gate_slos()
        spent = self._budgets.gate(self.now())
        if not spent and self._judging.queries is not None:
            spent = self._budgets.prepare(
                self._judging.queries, lambda: self._marks.fault, lambda: self._marks.phase
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
                    self._teller.tell(EvidenceCollected(self.now(), result.evidence))
            raise self._refusal(
                "the steady state was not met before the fault: " + "; ".join(against)
            )

    def _judge_before(self) -> list[SloResult]:
        now = self.now()
        self._marks.start = round(now - self.experiment.phases.before, 3)
        return self._judging.before(self._marks.start, now)

    # The method.

    def fault_begins(self) -> None:
        """The first action is about to be carried out. From any thread, as often as one likes."""
        if self._marks.fault is not None:
            return
        self._marks.fault = now = self.now()
        self._marks.start = min(self._marks.start or now, now)
        until = now + self.experiment.phases.during
        self._teller.tell(PhaseStarted(now, PhaseName.DURING, until))
        if self._judging.queries is not None:
            self._guards.start(self._judging.queries, self._budgets.watches, self.offset)
        self._silencing.begin(now)

    @property
    def stopped(self) -> str:
        """Why the method has to end; empty while it may go on. From any thread."""
        return self._guards.stopped

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
        self._marks.rolled_back = True
        self._marks.restored = self.now()

    # Afterwards.

    def finish(self, journal: Mapping[str, Any]) -> dict[str, Any]:
        """Wait for ``after``, judge, tell; the document. The journal is the Chaos Toolkit's, complete."""
        self._guards.close()
        marks, teller = self._marks, self._teller
        marks.place(journal, self.offset, self.now())
        self._silencing.end()
        activities = activities_of(journal, self.offset, teller.masker)
        for record in activities:
            teller.tell(
                ActivityStarted(record.start, record.activity, record.section, record.phase)
            )
            teller.tell(ActivityEnded(record.end, record))
        facts = RunFacts(
            experiment=self.experiment.title,
            run=self.around.options.run,
            probes=probes_of(journal, self.offset, teller.masker),
            activities=activities,
            faults=marks.left(journal),
        )
        refused = self._refused or refused_by(journal)
        if refused or marks.fault is None:
            reason = refused or f"the method was not begun: {journal.get('status')}"
            budget = self._budgets.entries((), None)
            notes = tuple(teller.notes)
            return teller.ended(replace(facts, not_started=reason, notes=notes, budget=budget))
        interrupted = ""
        if journal.get("status") in ("interrupted", "aborted") and not self.stopped:
            interrupted = f"the Chaos Toolkit's run was {journal['status']}"
        return teller.ended(self._judged(facts, interrupted))

    def _judged(self, facts: RunFacts, interrupted: str) -> RunFacts:
        restored, guards, teller = self._marks.restored or self.now(), self._guards, self._teller
        if not interrupted and not guards.tripped:
            teller.tell(PhaseStarted(restored, PhaseName.AFTER))
            until = restored + self.experiment.phases.after
            interrupted = self._wait_until(until, "after the fault")
            interrupted = interrupted or self._look_on(restored, until)
        end = max(self.now(), restored)
        wait = end + self._judging.delay()
        interrupted = interrupted or self._wait_until(wait, "for the last samples")
        timeline = self._marks.timeline(restored, end)
        judged, collected = self._judging.whole(timeline, teller.tell, self.now)
        teller.tell(SurroundingsCollected(self.now(), collected.surroundings))
        held = judge_alerts(collected.alerts, self.experiment.alerts, timeline)
        return replace(
            facts,
            timeline=timeline,
            slos=judged,
            alerts=held.entries,
            alert_scope=held.scope,
            aborted=guards.tripped or interrupted,
            inconclusive=(guards.blind,) if guards.blind else (),
            budget=self._budgets.entries(judged, timeline),
            notes=(*teller.notes, *collected.notes, *held.notes),
        )

    def _look_on(self, restored: float, declared: float) -> str:
        """Wait beyond ``after`` while an expected alert may still come; why that was cut short, or empty.

        Bounded by what is declared: each expectation has its time.
        """
        told = ""
        while True:
            now = self.now()
            wait = self._alerts.open_until(
                lambda at: self._marks.timeline(restored, at), declared, now
            )
            if wait is None:
                return ""
            deadline, why = wait
            if why != told:
                log.info("sloguard: waiting for %s, %.0fs at most", why, deadline - now)
                told = why
            interrupted = self._rest(self._alerts.pace(deadline, now) - now, f"for {why}")
            if interrupted:
                return interrupted

    def _wait_until(self, moment: float, why: str) -> str:
        """Why the wait was cut short; empty where it was not."""
        left = moment - self.now()
        if left <= 0:
            return ""
        log.info("sloguard: waiting %.0fs %s", left, why)
        return self._rest(left, why)

    def _rest(self, seconds: float, why: str) -> str:
        try:
            self._loop.complete(self._loop.until(lambda: False, seconds))
        except (KeyboardInterrupt, SystemExit) as error:
            # The journal would be lost with the exception, and the verdict with it.
            return f"asked to stop while waiting {why} ({type(error).__name__})"
        return ""

    def _refusal(self, reason: str) -> Refusal:
        self._refused = self._teller.masker.text(reason)
        return Refusal(self._refused)
