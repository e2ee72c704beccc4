"""All that one run knows and shares while it goes on."""

from __future__ import annotations

import logging
import math
import threading
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from sloguard.core.events import Event, FaultChanged, Interrupted, Note, PhaseStarted
from sloguard.core.masking import Masker
from sloguard.core.model import (
    Activity,
    ActivityRecord,
    Experiment,
    FaultRecord,
    PhaseName,
    Timeline,
)
from sloguard.core.outcome import ProbeResult
from sloguard.core.results import SloResult
from sloguard.core.spending import History
from sloguard.engine.aliases import drivers_for, named, provider_of
from sloguard.engine.control import Control
from sloguard.engine.ledger import Injected
from sloguard.engine.loop import Loop, Work
from sloguard.engine.options import Options
from sloguard.engine.ports_bundle import Ports, Task
from sloguard.engine.toolkit import Ending, ending_of, of_phase

if TYPE_CHECKING:
    from sloguard.core.alerting import AlertScope
    from sloguard.engine.alert_watch import AlertWatch
    from sloguard.engine.queries import Queries
    from sloguard.engine.watch import Watcher
    from sloguard.faults.base import Plan
    from sloguard.ports.alerts import AlertSource

log = logging.getLogger(__name__)
T = TypeVar("T")

#: What is stopped ends within this, seconds; what does not is undone while it still goes on.
STOPPED_WITHIN = 1.0
#: Between two signs of life, seconds; the store takes a minute of silence for death.
_BEAT = 15.0


class Stopped(Exception):
    """The run has been asked to end early; ``Session.stop`` tells by what."""


class NotStarted(Exception):
    """Something says no before anything was touched."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a run ends early: somebody asked, a guard tripped, or a guard could not be read."""

    kind: Literal["asked", "guard", "blind"]
    reason: str


class Session:
    """One run. Everything but ``outbox`` and the flags of ``running`` belongs to the loop's thread."""

    def __init__(
        self, experiment: Experiment, ports: Ports, options: Options, control: Control
    ) -> None:
        self.ports, self.options, self.control = ports, options, control
        self.drivers = drivers_for(experiment, options.use_drivers)
        self.experiment = named(experiment, self.drivers)
        self.run = options.run or uuid.uuid4().hex[:12]
        self.seed = options.seed if options.seed is not None else SystemRandom().getrandbits(32)
        self.loop = Loop(ports.clock, ports.executor)
        self.masker = Masker.of(experiment.secrets)
        self.outbox: deque[Event] = deque()
        self.stop: Stop | None = None
        self._asked = 0
        self._beat_due = 0.0
        self._unkept = ""
        # The marks, as far as they are known.
        self.start: float | None = None
        self.fault: float | None = None
        self.method_end: float | None = None
        self.restored: float | None = None
        self.end: float | None = None
        # What happened.
        self.method_begun = False
        self.method_hooks_open = False
        self.undone = False
        self.records: list[ActivityRecord] = []
        self.probes: list[ProbeResult] = []
        self.faults: dict[str, FaultRecord] = {}
        self.injected: list[Injected] = []
        self.running: list[tuple[Task[Any], threading.Event]] = []
        self.rolled_back: set[str] = set()
        self.removed: dict[str, frozenset[str]] = {}
        #: What each fault of the method would have hit when it was last looked, by the activity's key.
        self.plans: dict[str, Plan] = {}
        #: The same as people have agreed to it; None where nobody had to.
        self.approved: Mapping[str, frozenset[str]] | None = None
        self.approval: Mapping[str, Any] | None = None
        self.steps: list[Mapping[str, Any]] = []
        self.gate: tuple[SloResult, ...] = ()
        self.slos: tuple[SloResult, ...] = ()
        #: The probes as they were asked last while the fault was there; None where they were not.
        self.asked_last: list[ProbeResult] = []
        self.failed_fast = False
        self.interrupted_late = False
        self.alerts: tuple[Mapping[str, Any], ...] = ()
        self.alert_scope: AlertScope | None = None
        self.alert_sources: list[AlertSource] | None = None
        self.histories: tuple[History, ...] = ()
        self.notes: list[str] = []
        self.queries: Queries | None = None
        self.watcher: Watcher | None = None
        self.alert_watch: AlertWatch | None = None

    def provider_of(self, activity: Activity) -> dict[str, Any]:
        """What is called for an activity, variables filled in; raises Refused where nothing can be."""
        return provider_of(activity, self.experiment, self.drivers)

    def ending(self, *, refused: bool = False) -> Ending:
        """How the Chaos Toolkit would end this run, as far as it has come."""
        stopped = self.stop is not None and not self.failed_fast
        return ending_of(
            of_phase(self.probes, PhaseName.BEFORE),
            self.asked_last,
            refused=refused,
            interrupted=stopped or self.interrupted_late,
            failed_fast=self.failed_fast,
        )

    # Time and marks.

    def now(self) -> float:
        """Seconds since the epoch, UTC, on Prometheus's clock, to the millisecond."""
        return round(self.loop.now(), 3)

    @property
    def phase(self) -> PhaseName:
        """Where the run stands."""
        if self.fault is None:
            return PhaseName.BEFORE
        return PhaseName.DURING if self.restored is None else PhaseName.AFTER

    def mark_fault(self) -> Iterator[Event]:
        """The fault begins now, unless it has already."""
        if self.fault is None:
            self.fault = self.now()
            asked_for = self.start is not None and self.experiment.phases.before > 0
            # Without a ``before``, the time that the first action paused for is none either.
            self.start = min(self.start or self.fault, self.fault) if asked_for else self.fault
            if self.watcher is not None:
                self.watcher.phase = PhaseName.DURING
            until = self.fault + self.experiment.phases.during
            yield PhaseStarted(self.fault, PhaseName.DURING, until)

    def timeline(self, end: float | None = None) -> Timeline | None:
        """The four marks, once there was a fault. ``end``: a mark to try, in place of the last one."""
        if self.start is None or self.fault is None or self.restored is None:
            return None
        last = end if end is not None else self.end
        return Timeline(
            self.start,
            self.fault,
            self.restored,
            max(self.restored, last if last is not None else self.restored),
        )

    # Waiting. Whatever can be stopped waits here.

    def check(self) -> None:
        """Raise Stopped where the run has been asked to end."""
        if self.stop is not None:
            raise Stopped(self.stop.reason)

    def until(
        self, ready: Callable[[], bool], timeout: float = math.inf, *, stoppable: bool = True
    ) -> Work[bool]:
        """Wait until ``ready``; False after ``timeout`` seconds; raises Stopped where ``stoppable``."""
        wait = self.loop.until(ready, timeout)
        while True:
            if stoppable:
                self.check()
            try:
                item = next(wait)
            except StopIteration as end:
                return bool(end.value)
            yield item

    def pause(self, seconds: float, *, stoppable: bool = True) -> Work[None]:
        """Let time pass. Where it is not stoppable, being asked once more still cuts it short."""
        asked = len(self.control.reasons)

        def cut() -> bool:
            return not stoppable and len(self.control.reasons) > asked

        if seconds > 0:
            yield from self.until(cut, seconds, stoppable=stoppable)

    def attempt(self, work: Callable[[], T], name: str, *, stoppable: bool = True) -> Work[T]:
        """Do blocking work beside the loop; raises what it raises."""
        task = self.loop.submit(work, name)
        yield from self.until(task.done, stoppable=stoppable)
        return task.result()

    def begin(self, work: Callable[[], T], stop: threading.Event, name: str) -> Task[T]:
        """Start work that ``stop`` ends, and that must have ended before the undo is over."""
        task = self.loop.submit(work, name)
        self.running = [(t, s) for t, s in self.running if not t.done()]
        self.running.append((task, stop))
        return task

    def turn(self) -> Generator[Event, None, None]:
        """What happens whenever the run waits: hear who asks, watch, say what there is, rest."""
        yield from self.hear()
        if self.watcher is not None:
            yield from self.watcher.poll()
        if self.alert_watch is not None:
            yield from self.alert_watch.poll()
        yield from self.drain()
        self._beat()
        self.loop.rest()

    def _beat(self) -> None:
        """A run that waits in silence must not look dead to a recovery on another machine."""
        beat, now = self.ports.beat, self.loop.now()
        if beat is not None and now >= self._beat_due:
            self._beat_due = now + _BEAT
            self.loop.submit(lambda: beat(self.run), "heartbeat")

    def drain(self) -> Iterator[Event]:
        """Tell what threads have left to be told."""
        while self.outbox:
            yield self.outbox.popleft()

    def hear(self) -> Iterator[Event]:
        """Notice an abort."""
        reasons = self.control.reasons
        for reason in reasons[self._asked :]:
            self._asked += 1
            if self.stop is None:
                self.ask(reason)
                yield Interrupted(self.now(), reason)
            else:
                yield Note(self.now(), "info", f"asked again ({reason}): already ending")

    def set_aside(self) -> Stop | None:
        """Forget the stop for a while; ``take_up`` brings it back."""
        stop, self.stop = self.stop, None
        return stop

    def take_up(self, stop: Stop | None) -> None:
        """A stop that was set aside counts again; one that came meanwhile comes first."""
        self.stop = self.stop or stop

    def ask(self, reason: str) -> None:
        """End the run as aborted."""
        self.stop = self.stop or Stop("asked", reason)

    # What is said and kept.

    def say(self, level: Literal["info", "warning", "error"], message: str) -> None:
        """From any thread: something worth knowing, masked. Warnings and errors stay with the verdict."""
        message = self.masker.text(message)
        self.outbox.append(Note(self.now(), level, message))
        if level != "info":
            self.notes.append(message)

    def keep(self, write: Callable[[], None], what: str) -> bool:
        """Write to the ledger where the run goes on even if that fails; False if it did."""
        try:
            write()
        except Exception as error:  # nothing in the ledger may stand before an undo
            log.debug("the ledger could not be written (%s)", what, exc_info=True)
            if self._unkept == str(error):
                self.say("info", f"nor could this be written: {what}")
            else:
                self.say("error", f"the ledger could not be written ({what}): {error}")
            self._unkept = str(error)
            return False
        return True

    def tell(self, told: FaultRecord) -> FaultChanged:
        """Remember what became of a fault, and say it."""
        told = replace(
            told,
            detail=self.masker.text(told.detail),
            by_hand=self.masker.text(told.by_hand),
        )
        self.faults[told.id] = told
        return FaultChanged(self.now(), told)
