"""The guards of a run of the Chaos Toolkit, watched in a thread beside it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sloguard.chaostoolkit.surround import Surround
from sloguard.core.events import Event
from sloguard.core.model import Experiment
from sloguard.engine.alert_watch import AlertWatch
from sloguard.engine.budget_watch import BudgetWatch
from sloguard.engine.loop import Loop
from sloguard.engine.ports_bundle import Threads
from sloguard.engine.queries import Queries
from sloguard.engine.watch import Watcher

log = logging.getLogger("sloguard.chaostoolkit")


@dataclass(slots=True)
class Guards:
    """``stop_run`` is called from the guards' thread, once. ``tripped``: by what the run was stopped;
    ``blind``: why a guard could not be read any more."""

    experiment: Experiment
    around: Surround
    tell: Callable[[Event], None]
    stop_run: Callable[[str], None]
    tripped: str = ""
    blind: str = ""
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @property
    def stopped(self) -> str:
        """Why the method has to end; empty while it may go on. From any thread."""
        return self.tripped or self.blind

    def start(self, queries: Queries, budgets: Sequence[BudgetWatch], offset: float) -> None:
        """Watch, where there is anything to watch. ``offset``: Prometheus's clock less the local one, s."""
        if not (self.experiment.guards or self.experiment.alerts.abort_on or budgets):
            return
        watch = threading.Thread(
            target=self._watch, args=(queries, budgets, offset), name="guards", daemon=True
        )
        self._thread = watch
        watch.start()

    def close(self) -> None:
        """Watch no longer."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(5.0)

    def _watch(self, queries: Queries, budgets: Sequence[BudgetWatch], offset: float) -> None:
        loop = Loop(self.around.clock, Threads())
        loop.offset = offset
        watcher, alerts = self._watchers(loop, queries, budgets)
        while not self._over.is_set():
            try:
                for event in (*watcher.poll(), *alerts.poll()):
                    self.tell(event)
                    self.stop_run(self.stopped)
                    return
            except Exception as error:
                # A guard that cannot guard any more must not look as if all were well.
                log.exception("sloguard: the guards have failed; this is a bug")
                self._trip(f"the guards have failed: {type(error).__name__}: {error}", True)
                self.stop_run(self.stopped)
                return
            loop.rest()

    def _watchers(
        self, loop: Loop, queries: Queries, budgets: Sequence[BudgetWatch]
    ) -> tuple[Watcher, AlertWatch]:
        experiment, around = self.experiment, self.around
        watcher = Watcher(
            loop, around.live, (), experiment.guards, queries, around.options, self._trip
        )
        for watch in budgets:
            watcher.add(watch)
        alerts = AlertWatch(
            loop, around.live, around.sources, experiment.alerts, around.options, self._trip
        )
        watcher.start_guarding()
        alerts.start_guarding()
        return watcher, alerts

    def _trip(self, reason: str, blind: bool) -> None:
        if blind:
            self.blind = self.blind or reason
        else:
            self.tripped = self.tripped or reason
