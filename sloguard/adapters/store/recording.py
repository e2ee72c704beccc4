"""Events to rows, one transaction an event, so that a run killed at any time leaves what was known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from sloguard import __version__
from sloguard.adapters.store import summaries
from sloguard.adapters.store.base import STUB_VERSION, StorePart, upsert
from sloguard.adapters.store.database import Database
from sloguard.adapters.store.errors import RunExists, StoreError
from sloguard.adapters.store.masking import masked_secrets
from sloguard.adapters.store.people import write_note
from sloguard.adapters.store.samples import evidence_json, pack
from sloguard.adapters.store.searching import mention, mention_hits, series_of, title_of
from sloguard.adapters.store.tables import (
    activities,
    answers,
    events,
    evidence,
    faults,
    runs,
    tags,
    verdicts,
)
from sloguard.core import events as announced
from sloguard.core.jsonable import dump, masked
from sloguard.core.masking import Masker
from sloguard.core.model import ActivityRecord, FaultRecord, Outcome, PhaseName
from sloguard.core.people import RunNote
from sloguard.core.series import Matrix, Surroundings
from sloguard.host.identity import Identity

#: Events that the end of a machine may not take back. The rest follows with the next one of these.
_DURABLE = (
    announced.RunStarted,
    announced.FaultChanged,
    announced.Judged,
    announced.RunEnded,
)
RUNNING = "running"


class Recorder(StorePart):
    """Writes the events of one run; several may write at once, each their own."""

    def __init__(
        self,
        database: Database,
        now: Callable[[], float],
        process: Callable[[], Identity],
        *,
        experiment: str = "",
        kind: str = "run",
        origin: str = "",
    ) -> None:
        super().__init__(database, now, process)
        self._what = {"experiment": experiment, "kind": kind, "origin": origin}
        self._run = ""
        self._masker = Masker()
        self._document: Mapping[str, Any] | None = None
        self._missed: announced.RunStarted | None = None

    def record(self, event: announced.Event) -> None:
        """Keep one event; raises StoreError, and then nothing of this event is kept.

        A start that could not be kept is tried again with every later event.
        """
        self._begin(event)
        if self._missed is not None:
            self._write(self._missed)
            self._missed = None
        if not isinstance(event, announced.RunStarted):
            self._write(event)

    def record_whole(self, told: Iterable[announced.Event]) -> None:
        """Keep a run that is over already: all of its events at once, or nothing of it."""
        with self._database.writing() as connection:
            for event in told:
                self._begin(event)
                self._missed = None
                self._keep(connection, event)

    def _begin(self, event: announced.Event) -> None:
        if isinstance(event, announced.RunStarted):
            self._masker = Masker.of(event.experiment.secrets)
            self._run, self._document, self._missed = event.run, None, event
        if not self._run:
            raise StoreError(f"{type(event).__name__} came before RunStarted: no run to keep it in")

    def _write(self, event: announced.Event) -> None:
        with self._database.writing(durable=isinstance(event, _DURABLE)) as connection:
            self._keep(connection, event)

    def _keep(self, connection: Connection, event: announced.Event) -> None:
        handle = _HANDLERS.get(type(event))
        if handle is not None:
            handle(self, connection, event)
        connection.execute(
            insert(events).values(
                run=self._run,
                at=event.at,
                kind=type(event).__name__,
                data=self._json(summaries.of_event(event)),
            )
        )
        self._update_run(connection, heartbeat=self._now())

    def _update_run(self, connection: Connection, **values: Any) -> None:
        changed = connection.execute(update(runs).where(runs.c.id == self._run).values(**values))
        if changed.rowcount != 1:
            raise StoreError(f"run {self._run} is no longer in the store: somebody deleted it")

    def _json(self, value: Any) -> str:
        return dump(masked(value, self._masker))

    def _started(self, connection: Connection, event: announced.RunStarted) -> None:
        experiment, text = event.experiment, self._masker.text
        source = str(Path(experiment.source).absolute()) if experiment.source else ""
        values = {
            **self._blank(self._now()),
            "title": text(experiment.title),
            "tags": self._json(experiment.tags),
            "source": source,
            "declared": self._json(masked_secrets(experiment.declared)),
            "variables": self._json(event.variables),
            "resolved": self._json(event.resolved),
            "version": __version__,
            "started_at": event.at,
            **self._what,
            "experiment": self._what["experiment"] or Path(source).stem,
        }
        known = connection.execute(select(runs.c.version).where(runs.c.id == self._run)).scalar()
        if known not in (None, STUB_VERSION):
            raise RunExists(f"run {self._run} is already in the store: every run needs its own id")
        changed = tuple(values)
        upsert(connection, runs, {"id": self._run, **values}, keys=("id",), update=changed)
        for tag in dict.fromkeys(experiment.tags):
            row = {"tag": text(tag), "run": self._run, "at": event.at}
            upsert(connection, tags, row, keys=("tag", "run"), update=())
        title = title_of(str(values["experiment"]), str(values["title"]))
        mention(connection, self._run, [title])

    def _phase(self, connection: Connection, event: announced.PhaseStarted) -> None:
        if event.phase is PhaseName.DURING:
            self._update_run(connection, fault_at=event.at)
        elif event.phase is PhaseName.AFTER:
            self._update_run(connection, restored_at=event.at)

    def _activity_started(self, connection: Connection, event: announced.ActivityStarted) -> None:
        connection.execute(
            insert(activities).values(
                run=self._run,
                key=event.activity.key,
                section=event.section,
                phase=_text(event.phase),
                activity=self._json(event.activity),
                status=RUNNING,
                started_at=event.at,
                output="null",
                unreachable=False,
            )
        )

    def _activity_ended(self, connection: Connection, event: announced.ActivityEnded) -> None:
        record = event.record
        values = self._activity_values(record)
        same = (
            (activities.c.run == self._run)
            & (activities.c.key == record.activity.key)
            & (activities.c.section == record.section)
            & activities.c.ended_at.is_(None)
        )
        number = connection.execute(select(func.max(activities.c.number)).where(same)).scalar()
        if number is None:
            connection.execute(insert(activities).values(run=self._run, **values))
        else:
            mine = activities.c.number == number
            connection.execute(update(activities).where(mine).values(**values))

    def _activity_values(self, record: ActivityRecord) -> dict[str, Any]:
        return {
            "key": record.activity.key,
            "section": record.section,
            "phase": _text(record.phase),
            "activity": self._json(record.activity),
            "status": str(record.status),
            "started_at": record.start,
            "ended_at": record.end,
            "output": self._json(record.output),
            "error": None if record.error is None else self._masker.text(record.error),
            "tolerance_met": record.tolerance_met,
            "unreachable": record.unreachable,
        }

    def _fault(self, connection: Connection, event: announced.FaultChanged) -> None:
        write_fault(connection, self._run, event.fault, self._masker)

    def _evidence(self, connection: Connection, event: announced.EvidenceCollected) -> None:
        found = event.evidence
        old = (evidence.c.run == self._run) & (evidence.c.slo == found.slo.name)
        connection.execute(delete(evidence).where(old))
        data = self._json(evidence_json(found))
        written = connection.execute(
            insert(evidence).values(run=self._run, slo=found.slo.name, data=data)
        )
        key = written.inserted_primary_key
        for role, matrix in found.answers.items():
            values = {"role": role, **self._answer(matrix)}
            connection.execute(insert(answers).values(evidence=key[0] if key else 0, **values))

    def _answer(self, matrix: Matrix) -> dict[str, Any]:
        packed = pack(replace(matrix, labels=masked(matrix.labels, self._masker)))
        return {
            "series": len(matrix.labels),
            "points": matrix.grid.count,
            "first": matrix.grid.first,
            "step": matrix.grid.step,
            "notes": self._json(matrix.notes),
            "labels": packed.labels,
            "present": packed.present,
            "samples": packed.samples,
        }

    def _surroundings(self, connection: Connection, event: announced.SurroundingsCollected) -> None:
        found: Surroundings = event.surroundings
        self._update_run(connection, surroundings=self._json(found))

    def _note(self, connection: Connection, event: announced.NoteTaken) -> None:
        note = RunNote(
            run=self._run,
            text=self._masker.text(event.text),
            at=event.at,
            by=self._masker.text(event.by),
            written_at=self._now(),
            origin=event.origin,
        )
        write_note(connection, note)

    def _judged(self, connection: Connection, event: announced.Judged) -> None:
        self._verdict(connection, event.outcome, event.document)

    def _ended(self, connection: Connection, event: announced.RunEnded) -> None:
        if event.document is not self._document:
            self._verdict(connection, event.outcome, event.document)
        marks: dict[str, Any] = {}
        if event.timeline is not None:
            marks = {
                "timeline": dump(event.timeline),
                "fault_at": event.timeline.fault,
                "restored_at": event.timeline.restored,
            }
        self._update_run(
            connection,
            ended_at=event.at,
            outcome=str(event.outcome),
            reason=self._masker.text(event.reason),
            **marks,
        )

    def _verdict(
        self, connection: Connection, outcome: Outcome, document: Mapping[str, Any]
    ) -> None:
        kept = masked(document, self._masker)
        self._update_run(
            connection,
            outcome=str(outcome),
            reason=str(kept.get("reason") or ""),
            score=kept.get("score"),
            document=dump(kept),
        )
        connection.execute(delete(verdicts).where(verdicts.c.run == self._run))
        rows = [{"run": self._run, **row} for row in summaries.of_document(kept)]
        if rows:
            connection.execute(insert(verdicts), rows)
        mine = select(runs.c.experiment).where(runs.c.id == self._run)
        experiment = str(connection.execute(mine).scalar_one())
        series = [series_of(experiment, row["slo"], row["labels"]) for row in rows if row["labels"]]
        mention(connection, self._run, series)
        mention_hits(connection, self._run)
        self._document = document


def _text(phase: PhaseName | None) -> str | None:
    # Drivers differ in what they make of an enum.
    return None if phase is None else str(phase)


def write_fault(connection: Connection, run: str, fault: FaultRecord, masker: Masker) -> None:
    """One row a fault: the last that was said of it."""
    values = {
        "run": run,
        "id": fault.id,
        "fault": fault.fault,
        "target": masker.text(fault.target),
        "status": fault.status,
        "injected_at": fault.injected_at,
        "undone_at": fault.undone_at,
        "detail": masker.text(fault.detail),
        "by_hand": masker.text(fault.by_hand),
    }
    changed = tuple(name for name in values if name not in ("run", "id"))
    upsert(connection, faults, values, keys=("run", "id"), update=changed)


_Handler = Callable[[Recorder, Connection, Any], None]
# What is not listed here (Observed, Note, Waiting …) is kept as an event alone.
_HANDLERS: dict[type[announced.Event], _Handler] = {
    announced.RunStarted: Recorder._started,
    announced.PhaseStarted: Recorder._phase,
    announced.ActivityStarted: Recorder._activity_started,
    announced.ActivityEnded: Recorder._activity_ended,
    announced.FaultChanged: Recorder._fault,
    announced.EvidenceCollected: Recorder._evidence,
    announced.SurroundingsCollected: Recorder._surroundings,
    announced.NoteTaken: Recorder._note,
    announced.Judged: Recorder._judged,
    announced.RunEnded: Recorder._ended,
}
