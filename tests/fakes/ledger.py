"""A ledger and a list of runs in memory, with every call written down in order."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sloguard.core.model import FaultRecord
from sloguard.ports import Intent, OutsideError, UnfinishedRun


class FakeLedger:
    """ports.Ledger. ``calls``: (method, what) in the order in which they came.

    ``fail_on``: names of methods that raise, as on a full disk. Callable from any thread.
    """

    def __init__(self, fail_on: Sequence[str] = ()) -> None:
        self.calls: list[tuple[str, str]] = []
        self.intents: dict[str, Intent] = {}
        self.begun: dict[str, dict[str, str]] = {}
        self.fail_on = set(fail_on)
        self._lock = threading.RLock()

    def begin(self, run: str, activity: str) -> None:
        with self._called("begin", activity):
            self.begun.setdefault(run, {})[activity] = "begun"

    def finish(self, run: str, activity: str, status: str) -> None:
        with self._called("finish", f"{activity} {status}"):
            self.begun.setdefault(run, {})[activity] = status

    def intend(self, intent: Intent) -> None:
        with self._called("intend", intent.target):
            if intent.id in self.intents:
                raise OutsideError(f"the ledger already has an intent {intent.id}")
            self.intents[intent.id] = intent

    def mark(
        self,
        intent_id: str,
        status: str,
        detail: str = "",
        *,
        record: Mapping[str, Any] | None = None,
    ) -> None:
        with self._called("mark", f"{intent_id} {status}"):
            if intent_id not in self.intents:
                raise OutsideError(f"the ledger has no intent {intent_id}")
            found = replace(self.intents[intent_id], status=status, detail=detail)
            self.intents[intent_id] = found if record is None else replace(found, record=record)

    def open_intents(self, run: str) -> Sequence[Intent]:
        with self._lock:
            return tuple(i for i in self.intents.values() if i.run == run and i.status != "undone")

    def activities(self, run: str) -> Mapping[str, str]:
        with self._lock:
            return dict(self.begun.get(run, {}))

    def _called(self, method: str, what: str) -> threading.RLock:
        with self._lock:
            self.calls.append((method, what))
            if method in self.fail_on:
                raise OutsideError(f"the fake ledger was told to fail on {method}")
        return self._lock


class FakeRuns:
    """ports.Runs. ``closed``: what was closed, by id, as (outcome, reason, faults)."""

    def __init__(self, *runs: UnfinishedRun) -> None:
        self.runs = {run.id: run for run in runs}
        self.closed: dict[str, tuple[str, str, tuple[FaultRecord, ...]]] = {}

    def unfinished(self) -> Sequence[UnfinishedRun]:
        left = (run for run in self.runs.values() if run.id not in self.closed)
        return tuple(sorted(left, key=lambda run: run.started_at))

    def not_restored(self) -> Sequence[UnfinishedRun]:
        left = (self.runs[id] for id, closed in self.closed.items() if closed[0] == "not-restored")
        return tuple(sorted(left, key=lambda run: run.started_at))

    def close(self, run: str, outcome: str, reason: str, faults: Sequence[FaultRecord]) -> None:
        if self.closed.get(run, ("not-restored",))[0] == "not-restored":
            self.closed[run] = (outcome, reason, tuple(faults))
