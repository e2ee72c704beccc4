"""From events, or from what the store has of a run, to the content of a journal: see ``journal``."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sloguard.core.events import (
    ActivityEnded,
    ActivityStarted,
    Event,
    Interrupted,
    Judged,
    NoteTaken,
    RunEnded,
    RunStarted,
)
from sloguard.core.history import StoredEvent, StoredRun
from sloguard.core.jsonable import masked
from sloguard.core.masking import Masker
from sloguard.core.model import (
    Activity,
    ActivityRecord,
    ActivityStatus,
    Json,
    Outcome,
    PhaseName,
    Verdict,
    worst,
)
from sloguard.core.people import RunNote
from sloguard.render.observations import note_json

#: The version of chaoslib whose journal this is.
FORMAT_VERSION = "1.44.0"

_STATUS = {
    Outcome.MET: "completed",
    Outcome.DEVIATED: "completed",
    Outcome.INCONCLUSIVE: "failed",
    Outcome.NOT_STARTED: "failed",
    Outcome.ABORTED: "aborted",
    Outcome.NOT_RESTORED: "failed",
}
_NOT_ENDED = "it had not ended when this was written"


def _note_of(event: NoteTaken) -> dict[str, Json]:
    note = RunNote(
        run="", text=event.text, at=event.at, by=event.by, written_at=event.at, origin=event.origin
    )
    return note_json(note)


@dataclass(slots=True)
class _Entry:
    """An activity: begun, and perhaps ended."""

    activity: Activity
    section: str
    phase: PhaseName | None
    start: float
    record: ActivityRecord | None = None


class Journal:
    """Takes the events of one run and gives its journal at any moment."""

    def __init__(self) -> None:
        self._masker = Masker()
        self._experiment: Mapping[str, Json] = {}
        self._entries: list[_Entry] = []
        self._start = self._last = 0.0
        self._document: Mapping[str, Json] | None = None
        self._outcome: Outcome | None = None
        self._interrupted = False
        self._notes: list[dict[str, Json]] = []

    def take(self, event: Event) -> bool:
        """Note an event; True if the journal says more than before."""
        self._last = max(self._last, event.at)
        match event:
            case RunStarted():
                self._begin(event.at, event.resolved, Masker.of(event.experiment.secrets))
            case ActivityStarted(section="configuration"):
                return False
            case ActivityStarted():
                entry = _Entry(event.activity, event.section, event.phase, event.at)
                self._entries.append(entry)
            case ActivityEnded():
                return self._activity(event.record)
            case Interrupted():
                self._interrupted = True
            case NoteTaken():
                self._notes.append(_note_of(event))
            case Judged():
                self._document = event.document
            case RunEnded():
                self._end(event.outcome, event.reason, event.document)
            case _:
                return False
        return True

    def stored(self, run: StoredRun, events: Iterable[StoredEvent] = ()) -> None:
        """Note a run as the store has it; of ``events`` only whether somebody interrupted it counts."""
        self._begin(run.started_at, run.resolved or run.declared, Masker())
        for record in run.activities:
            self._activity(record)
        self._last = max([self._start, run.ended_at or 0.0, *(r.end for r in run.activities)])
        self._interrupted = any(event.kind == Interrupted.__name__ for event in events)
        self._document = run.document
        if run.ended_at is not None and run.outcome is not None:
            self._end(run.outcome, run.reason, run.document)

    def noted(self, notes: Iterable[RunNote]) -> None:
        """Note what people have noted: all of it, in the order of what it is about."""
        self._notes = [note_json(note) for note in notes]

    def build(self) -> dict[str, Json]:
        """The journal: JSON data, masked."""
        start, end = _time(self._start), _time(self._last)
        made = {
            "chaoslib-version": FORMAT_VERSION,
            "platform": platform.platform(),
            "node": platform.node(),
            "experiment": self._experiment_as_run(),
            "start": start,
            "status": self._status(),
            "deviated": self._deviated(),
            "steady_states": {
                "before": self._state(PhaseName.BEFORE),
                "after": self._state(PhaseName.AFTER),
                "during": [s for s in (self._state(PhaseName.DURING),) if s is not None],
            },
            "run": self._runs("method"),
            "rollbacks": self._runs("rollbacks"),
            "end": end,
            "duration": self._last - self._start,
            "sloguard": self._document or None,
        }
        if self._notes:
            made["sloguard-observations"] = self._notes
        kept: dict[str, Json] = masked(made, self._masker)
        return kept

    def _begin(self, at: float, experiment: Mapping[str, Json], masker: Masker) -> None:
        self._start = self._last = at
        self._experiment, self._masker = experiment, masker
        self._entries, self._document, self._outcome = [], None, None
        self._interrupted = False

    def _activity(self, record: ActivityRecord) -> bool:
        if record.section == "configuration":
            return False
        self._last = max(self._last, record.end)
        for entry in self._entries:
            same = (entry.activity.key, entry.section) == (record.activity.key, record.section)
            if same and entry.record is None:
                entry.record = record
                return True
        new = _Entry(record.activity, record.section, record.phase, record.start, record)
        self._entries.append(new)
        return True

    def _end(self, outcome: Outcome, reason: str, document: Mapping[str, Json] | None) -> None:
        self._outcome = outcome
        self._document = document or self._document
        if outcome is Outcome.ABORTED and reason.startswith("interrupted"):
            self._interrupted = True

    def _experiment_as_run(self) -> dict[str, Json]:
        # Readers take these for granted.
        return {"title": "", "description": "", "method": [], **self._experiment}

    @property
    def _there(self) -> Mapping[str, Any]:
        """How ``chaos run`` would have ended, where that was asked for."""
        return (self._document or {}).get("compat") or {}

    def _status(self) -> str:
        if "status" in self._there:
            return str(self._there["status"])
        if self._outcome is None or (self._outcome is Outcome.ABORTED and self._interrupted):
            return "interrupted"
        return _STATUS[self._outcome]

    def _deviated(self) -> bool:
        if "deviated" in self._there:
            return bool(self._there["deviated"])
        found = [*self._items("slos"), *self._items("probes")]
        return self._outcome is Outcome.DEVIATED or any(
            item.get("verdict") == Verdict.DEVIATED for item in found
        )

    def _items(self, name: str) -> list[Mapping[str, Any]]:
        return list((self._document or {}).get(name) or ())

    def _state(self, phase: PhaseName) -> dict[str, Json] | None:
        probes = [
            entry
            for entry in self._entries
            if entry.section == "hypothesis" and (entry.phase or PhaseName.BEFORE) is phase
        ]
        verdict = worst(self._verdicts(phase))
        if not probes and verdict is Verdict.NOT_JUDGED:
            return None
        met: bool | None = verdict is Verdict.MET
        if verdict is Verdict.NOT_JUDGED:
            known = [e.record.tolerance_met for e in probes if e.record is not None]
            met = all(known) if known and None not in known else None
        return {"steady_state_met": met, "probes": [self._run(entry) for entry in probes]}

    def _verdicts(self, phase: PhaseName) -> Iterable[Verdict]:
        for slo in self._items("slos"):
            for series in slo.get("series") or ():
                yield Verdict(series["phases"][phase]["verdict"])
        for probe in self._items("probes"):
            if probe.get("phase") == phase:
                yield Verdict(probe["verdict"])

    def _runs(self, section: str) -> list[Json]:
        return [self._run(entry) for entry in self._entries if entry.section == section]

    def _run(self, entry: _Entry) -> dict[str, Json]:
        record = entry.record
        end = self._last if record is None else record.end
        start = entry.start if record is None else record.start
        error = _NOT_ENDED if record is None else record.error
        made: dict[str, Json] = {
            "activity": _declared(entry.activity),
            "output": None if record is None else record.output,
            "start": _time(start),
            "status": "aborted" if record is None else str(record.status),
            "end": _time(end),
            "duration": end - start,
        }
        if error is not None:
            made["exception"] = [f"{error}\n"]
        if entry.activity.runs_as:
            # The activity stands there as declared, naming a driver that was not called.
            made["sloguard"] = {"runs_as": entry.activity.runs_as}
        if entry.section == "hypothesis":
            failed = record is None or record.status is not ActivityStatus.SUCCEEDED
            made["tolerance_met"] = False if failed or record is None else record.tolerance_met
        return made


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def _declared(activity: Activity) -> Mapping[str, Json]:
    if activity.declared:
        return activity.declared
    made: dict[str, Json] = {
        "type": activity.kind,
        "name": activity.name,
        "provider": dict(activity.provider),
    }
    if activity.has_tolerance:
        made["tolerance"] = activity.tolerance
    if activity.background:
        made["background"] = True
    pauses = {"before": activity.pause_before, "after": activity.pause_after}
    if any(pauses.values()):
        made["pauses"] = {when: length for when, length in pauses.items() if length}
    return made
