"""What the engine writes ahead of every injection, and reads back to undo it."""

from __future__ import annotations

import importlib
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sloguard.core.model import FaultRecord, Json
from sloguard.engine.ports_bundle import Task
from sloguard.faults.base import Fault, FaultError, Injection, find_fault
from sloguard.faults.silencing import NAME as SILENCE
from sloguard.ports import Intent, Ledger

#: Beside the fault's own record: how a person undoes it, and which module brings the fault.
_BY_HAND = "sloguard.by-hand"
_MODULE = "sloguard.module"
#: A node holds no more pods than this; nobody reads a longer list.
_MOST_HIT = 500


@dataclass(slots=True)
class Injected:
    """One injection of this run, from its intent until it is undone.

    ``record`` is the newest one: a fault may replace it while it works. ``task``: the injection itself.
    ``said``: what the injection said of itself, in words, for as long as there is nothing newer to tell.
    """

    intent: Intent
    record: Mapping[str, Json]
    by_hand: str = ""
    module: str = ""
    made: Fault | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    task: Task[Json] | None = None
    injected_at: float | None = None
    said: str = ""
    over: bool = False
    error: str = ""
    hit: tuple[str, ...] = ()

    @classmethod
    def planned(
        cls, run: str, activity: str, made: Fault, module: str, injection: Injection
    ) -> Injected:
        """What is about to be injected."""
        intent = Intent(
            id=uuid.uuid4().hex,
            run=run,
            activity=activity,
            fault=made.name,
            target=injection.target,
            record={**injection.record, _BY_HAND: injection.by_hand, _MODULE: module},
        )
        entry = cls(intent, injection.record, injection.by_hand, module, made)
        entry.hit = _beside(injection)
        return entry

    @classmethod
    def read(cls, intent: Intent) -> Injected:
        """What an earlier process has left."""
        record = {k: v for k, v in intent.record.items() if k not in (_BY_HAND, _MODULE)}
        by_hand, module = intent.record.get(_BY_HAND, ""), intent.record.get(_MODULE, "")
        return cls(intent, record, str(by_hand), str(module))

    @property
    def lasts(self) -> bool:
        """Whether it is undone after everything else, and told in words: a silence breaks nothing."""
        return self.intent.fault == SILENCE

    @property
    def injecting(self) -> bool:
        """Whether the injection itself is still under way."""
        return self.task is not None and not self.task.done()

    def fault(self) -> Fault:
        """The fault that can undo this; raises FaultError."""
        if self.made is None:
            self.made = _find(self.intent.fault, self.module)
        return self.made

    def save(self, ledger: Ledger, record: Mapping[str, Json]) -> None:
        """Make a newer record durable, then use it."""
        kept = {**record, _BY_HAND: self.by_hand, _MODULE: self.module}
        status = "intent" if self.injected_at is None else "injected"
        ledger.mark(self.intent.id, status, record=kept)
        self.record = dict(record)

    def told(self, status: Any, at: float | None = None, detail: str = "") -> FaultRecord:
        """What is said of it."""
        told = FaultRecord(
            id=self.intent.id,
            fault=self.intent.fault,
            target=self.intent.target,
            status=status,
            injected_at=self.injected_at,
            detail=detail or self.said,
            by_hand=self.by_hand,
            hit=self.hit,
        )
        return replace(told, undone_at=at) if status in ("undone", "nothing-to-undo") else told


def _beside(injection: Injection) -> tuple[str, ...]:
    """What suffers besides the target itself."""
    named = {name for names in injection.hits.values() for name in names}
    return tuple(sorted(named - {injection.target}))[:_MOST_HIT]


def _find(name: str, module: str) -> Fault:
    """By name; a fault outside the known families registers itself when its module is imported."""
    try:
        return find_fault(name)
    except FaultError:
        if not module:
            raise
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise FaultError(f"the fault {name} needs the module {module}: {error}") from error
    return find_fault(name)
