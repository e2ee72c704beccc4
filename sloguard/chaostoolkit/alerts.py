"""Alerts around a run of the Chaos Toolkit: what fires before it, what may still come after it, and a silence."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from sloguard.chaostoolkit.surround import Refusal, Surround
from sloguard.chaostoolkit.telling import Teller
from sloguard.core.alerting import AlertsRead, undecided_until
from sloguard.core.model import Experiment, Timeline
from sloguard.core.text import format_time
from sloguard.engine.alert_checks import firing_against
from sloguard.engine.alert_sources import PrometheusAlerts, asking_sources
from sloguard.engine.loop import Loop
from sloguard.faults.base import Context, Injection, Record
from sloguard.faults.silencing import silence
from sloguard.ports import OutsideError
from sloguard.ports.alerts import AlertSource

#: Between two looks at whether an alert has come, seconds.
_PACE = 2.0
#: How long the end of a silence is waited for, seconds; it ends by itself as well.
_PATIENCE = 30.0


@dataclass(slots=True)
class Alerts:
    """The alerts of one experiment."""

    experiment: Experiment
    around: Surround
    loop: Loop
    sources: list[AlertSource] = field(init=False)

    def __post_init__(self) -> None:
        self.sources = [PrometheusAlerts(self.around.live, 1.0), *self.around.sources]

    def check(self, now: float) -> None:
        """Nothing is broken while alerts fire that speak against it. Raises Refusal. Blocking."""
        alerting = self.experiment.alerts
        if alerting.silence is not None:
            self._check_silences()
        if not (alerting.refuse_when_firing or alerting.abort_on):
            return
        read = self._read(now - 2 * self.around.options.tick, now)
        against = list(firing_against(alerting, read, now))
        if against:
            raise Refusal("; ".join(against))

    def _check_silences(self) -> None:
        silences = self.around.silences
        if silences is None:
            raise Refusal("alerts.silence: no Alertmanager is configured; set alertmanager.url")
        try:
            silences.check()
        except OutsideError as error:
            raise Refusal(f"alerts.silence: it could not be made: {error}") from None

    def open_until(
        self, timeline: Callable[[float], Timeline], declared: float, now: float
    ) -> tuple[float, str] | None:
        """Until when an expected alert may still come, or still be over in time, and which one; None where all
        is decided. ``declared``: the end of ``after``. Blocking."""
        if not self.experiment.alerts.expect:
            return None
        made = timeline(now)
        read = self._read(made.start, now)
        return undecided_until(read, self.experiment.alerts, made, declared)

    @staticmethod
    def pace(deadline: float, now: float) -> float:
        """When to look again."""
        return min(now + _PACE, deadline)

    def _read(self, start: float, end: float) -> AlertsRead:
        return self.loop.complete(asking_sources(self.loop, self.sources, start, end))


@dataclass(slots=True)
class Silencing:
    """The silence of one experiment: made once the fault has begun, ended when all is undone.

    Nothing waits for Alertmanager while the fault is there. A process that is killed leaves it to its own end, which
    is declared.
    """

    experiment: Experiment
    around: Surround
    teller: Teller
    _thread: threading.Thread | None = None
    _made: Injection | None = None
    _record: Record = field(default_factory=dict)

    def begin(self, fault: float) -> None:
        """Make it, in a thread of its own; what goes wrong is told, and the run goes on without."""
        declared = self.experiment.alerts.silence
        if declared is None or self._thread is not None:
            return
        until = fault + declared.at_most
        said = f"{declared.comment}: " if declared.comment else ""
        arguments = {
            "matchers": [matcher.plain for matcher in declared.matchers],
            "seconds": declared.at_most,
            "until": round(until, 3),
            "comment": self.teller.masker.text(
                f"{said}{self.experiment.title} (run {self.teller.run})"
            ),
        }
        (self._made,) = silence.fault.plan(arguments, self._context()).injections
        self._record = self._made.record
        self._thread = threading.Thread(
            target=self._make, args=(until,), name="silence", daemon=True
        )
        self._thread.start()

    def end(self) -> None:
        """End it, whether it is known to have been made or not. Can be called again. Blocking."""
        if self._thread is None or self._made is None:
            return
        self._thread.join(_PATIENCE)
        made, self._made = self._made, None
        try:
            done = silence.fault.undo(self._record, self._context())
        except Exception as error:  # noqa: BLE001 - whatever it is, the verdict does not hang on it
            self.teller.note(f"the silence could not be ended ({error}); {made.by_hand}")
            return
        self.teller.say(done or "no silence was left to end")

    def _make(self, until: float) -> None:
        made = self._made
        if made is None:
            return
        try:
            silence.fault.inject(made, self._context())
        except Exception as error:  # noqa: BLE001 - without a silence the run is as it would be without it
            self.teller.note(f"the silence could not be made: {error}")
            return
        self.teller.say(
            f"silenced {made.target} in Alertmanager, until {format_time(until)} at most"
        )

    def _context(self) -> Context:
        def save(record: Record) -> None:
            self._record = record

        return Context(
            save=save,
            run=self.teller.run,
            silences=self.around.silences,
            now=self.teller.now,
        )
