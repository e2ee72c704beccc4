"""What a run tells to others: its events become messages in the outbox, durably, and the run goes on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sloguard.core import events
from sloguard.core.jsonable import masked
from sloguard.core.masking import Masker
from sloguard.core.model import FaultRecord, Outcome, PhaseName
from sloguard.ports import OutsideError, Runs, UnfinishedRun
from sloguard.ports.outbox import Draft
from sloguard.ports.service import Window, WindowState

log = logging.getLogger(__name__)

#: After a failure the outbox is left alone for so long, in seconds: a run has better things to do.
PAUSE_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What is known of a run so far. Times are seconds since the epoch, UTC.

    ``experiment``: its name in the catalogue, else its file's. ``kind``: ``run``, ``window`` or
    ``rejudge``; ``origin``: the run that is judged again. ``targets``: what is, or was to be, hit.
    ``recovered``: another process had to finish it.
    """

    run: str
    title: str = ""
    experiment: str = ""
    kind: str = "run"
    origin: str = ""
    tags: tuple[str, ...] = ()
    started_at: float = 0.0
    before_at: float | None = None
    fault_at: float | None = None
    restored_at: float | None = None
    targets: tuple[str, ...] = ()
    faults: Mapping[str, FaultRecord] = field(default_factory=dict)
    recovered: bool = False


#: Makes messages of an event, told with all that was known of its run, this event included. Pure: the
#: same event makes the same keys, so that one that is told twice is one message.
Writer = Callable[[events.Event, Story], Iterable[Draft]]
Put = Callable[[Sequence[Draft]], object]
Consumer = Callable[[events.Event], object]


class Announcer:
    """A consumer of one run's events that keeps what its writers make of them.

    ``around`` puts it in its place beside the one that records the run. ``experiment``, ``kind`` and
    ``origin``: see Story. ``told`` is called when something was kept.
    """

    def __init__(
        self,
        put: Put,
        writers: Sequence[Writer],
        *,
        experiment: str = "",
        kind: str = "run",
        origin: str = "",
        told: Callable[[], object] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._put, self._writers, self._told, self._monotonic = put, writers, told, monotonic
        self._story = Story(run="", experiment=experiment, kind=kind, origin=origin)
        self._masker = Masker()
        self._waiting: list[Draft] = []
        self._not_before = float("-inf")

    @property
    def waiting(self) -> int:
        """How many messages could not be kept yet."""
        return len(self._waiting)

    def around(self, keep: Callable[[events.Event], object]) -> list[Consumer]:
        """The consumers of a run that ``keep`` records.

        Of its end is told before it is recorded, of everything else after: whoever dies in between leaves
        a run that is not over, whose recovery tells all that is to be told of it.
        """
        return [_Part(self, ends=True), keep, _Part(self, ends=False)]

    def record(self, event: events.Event) -> None:
        """Tell of an event. Raises OutsideError where the outbox is away; it is tried again later."""
        if isinstance(event, events.RunStarted):
            self._masker = Masker.of(event.experiment.secrets)
        self._story = continued(self._story, event)
        trouble = self._written(event)
        if self._waiting and (isinstance(event, events.RunEnded) or self._is_time()):
            self.keep()
        if trouble is not None:
            raise trouble

    def keep(self) -> None:
        """Put what is not kept yet. Raises OutsideError."""
        if not self._waiting:
            return
        try:
            self._put(self._waiting)
        except OutsideError:
            self._not_before = self._monotonic() + PAUSE_SECONDS
            raise
        except ValueError:
            self._put_what_can_be()
        self._waiting = []
        self._told()

    def _put_what_can_be(self) -> None:
        """One that no outbox takes may not keep the others from it."""
        for draft in self._waiting:
            try:
                self._put([draft])
            except ValueError as error:
                log.error("a %s to %s cannot be kept: %s", draft.kind, draft.channel, error)

    def flush(self, seconds: float) -> bool:
        """Try for so long to keep what is left; whether nothing is."""
        deadline = self._monotonic() + seconds
        while True:
            try:
                self.keep()
                return True
            except OutsideError as error:
                log.warning("messages are not kept yet: %s", error)
            if self._monotonic() >= deadline:
                return False
            threading.Event().wait(0.5)

    def finished(
        self,
        run: UnfinishedRun,
        outcome: str,
        reason: str,
        faults: Iterable[FaultRecord],
        at: float,
    ) -> None:
        """Tell of the end of a dead run that this process has finished. Raises OutsideError."""
        self._masker = Masker()
        found = of_unfinished(run, faults, at)
        self._story = replace(found, experiment=self._story.experiment or found.experiment)
        ended = events.RunEnded(at, run.id, Outcome(outcome), reason, {})
        trouble = self._written(ended)
        self.keep()
        if trouble is not None:
            raise trouble

    def _is_time(self) -> bool:
        return self._monotonic() >= self._not_before

    def _written(self, event: events.Event) -> Exception | None:
        """What the writers make of it; one that fails takes nothing from the others."""
        trouble: Exception | None = None
        for write in self._writers:
            try:
                drafts = list(write(event, self._story))
            except Exception as error:  # noqa: BLE001 - raised once all have written
                trouble = error
                continue
            self._waiting += [
                replace(draft, payload=_clean(draft.payload, self._masker)) for draft in drafts
            ]
        return trouble


class _Part:
    """The announcer's share of the events, under the name that people know it by."""

    def __init__(self, announcer: Announcer, *, ends: bool) -> None:
        self.__qualname__ = "the outbox"
        self._announcer, self._ends = announcer, ends

    def __call__(self, event: events.Event) -> None:
        if isinstance(event, events.RunEnded) is self._ends:
            self._announcer.record(event)


class AnnouncedRuns:
    """ports.Runs as recovery needs it, telling of every run that is closed before it is."""

    def __init__(
        self, runs: Runs, announcer: Announcer, *, now: Callable[[], float] = time.time
    ) -> None:
        self._runs, self._announcer, self._now = runs, announcer, now
        self._seen: dict[str, UnfinishedRun] = {}

    def unfinished(self) -> Sequence[UnfinishedRun]:
        """As the store says."""
        return self._look(self._runs.unfinished())

    def not_restored(self) -> Sequence[UnfinishedRun]:
        """As the store says."""
        return self._look(self._runs.not_restored())

    def close(self, run: str, outcome: str, reason: str, faults: Sequence[FaultRecord]) -> None:
        """As the store does."""
        seen = self._seen.get(run)
        if seen is not None:
            try:
                self._announcer.finished(seen, outcome, reason, faults, self._now())
            except Exception as error:  # noqa: BLE001 - whatever it is, the run must be closed
                log.warning("the end of run %s is not told to others: %s", run, error)
        self._runs.close(run, outcome, reason, faults)

    def _look(self, found: Sequence[UnfinishedRun]) -> Sequence[UnfinishedRun]:
        self._seen.update({run.id: run for run in found})
        return found


def tell_window(put: Put, writers: Sequence[Writer], window: Window) -> None:
    """Tell that another tool's window was opened, or closed: its fault began, or was restored. What fails
    is logged: the judgement of the window tells it again."""
    opened = window.state is WindowState.OPEN
    at = window.fault_at if opened else (window.restored_at or window.fault_at)
    event = events.PhaseStarted(at, PhaseName.DURING if opened else PhaseName.AFTER)
    try:
        put([draft for write in writers for draft in write(event, of_window(window))])
    except Exception as error:  # noqa: BLE001 - whatever it is, the window stands
        log.warning("window %s is not told to others: %s", window.id, error)


def continued(story: Story, event: events.Event) -> Story:
    """The story with what an event adds to it."""
    match event:
        case events.RunStarted():
            experiment = event.experiment
            return replace(
                story,
                run=event.run,
                title=experiment.title,
                experiment=story.experiment or Path(experiment.source).stem or experiment.title,
                tags=tuple(experiment.tags),
                started_at=event.at,
            )
        case events.FaultPlanned():
            return replace(story, targets=tuple(dict.fromkeys((*story.targets, *event.targets))))
        case events.FaultChanged():
            targets = (*story.targets, *filter(None, [event.fault.target]))
            return replace(
                story,
                faults={**story.faults, event.fault.id: event.fault},
                targets=tuple(dict.fromkeys(targets)),
            )
        case events.PhaseStarted(phase=PhaseName.BEFORE):
            return replace(story, before_at=event.at)
        case events.PhaseStarted(phase=PhaseName.DURING):
            return replace(story, fault_at=event.at)
        case events.PhaseStarted(phase=PhaseName.AFTER):
            return replace(story, restored_at=event.at)
        case events.RunEnded(timeline=timeline) if timeline is not None:
            return replace(story, fault_at=timeline.fault, restored_at=timeline.restored)
    return story


def of_unfinished(run: UnfinishedRun, faults: Iterable[FaultRecord], at: float) -> Story:
    """What the store knows of a dead run; a fault that was still there counts as restored at ``at``."""
    known = {fault.id: fault for fault in faults}
    kept = run.resolved or run.document
    return Story(
        run=run.id,
        title=run.title,
        experiment=Path(run.source).stem or run.title,
        tags=tuple(map(str, kept.get("tags") or ())),
        started_at=run.started_at,
        fault_at=run.fault_at,
        restored_at=_restored(run, known.values(), at),
        targets=tuple(dict.fromkeys(f.target for f in known.values() if f.target)),
        faults=known,
        recovered=True,
    )


def _restored(run: UnfinishedRun, faults: Iterable[FaultRecord], at: float) -> float | None:
    """When nothing was broken any more, as far as known: not before the last fault was undone."""
    if run.fault_at is None:
        return None
    ends = [run.fault_at, at if run.restored_at is None else run.restored_at]
    for fault in faults:
        if fault.status == "left":
            ends.append(at)
        elif fault.undone_at is not None:
            ends.append(fault.undone_at)
    return max(ends)


def of_window(window: Window) -> Story:
    """What is known of a window that another tool has opened."""
    return Story(
        run=window.id,
        title=window.title,
        experiment=window.slos,
        kind="window",
        tags=window.tags,
        started_at=window.opened_at,
        fault_at=window.fault_at,
        restored_at=window.restored_at,
        targets=tuple(name for names in window.removed.values() for name in names),
    )


def _clean(payload: Mapping[str, Any], masker: Masker) -> Mapping[str, Any]:
    cleaned: Mapping[str, Any] = masked(dict(payload), masker)
    return cleaned
