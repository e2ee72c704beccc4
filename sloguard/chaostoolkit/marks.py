"""The marks of the timeline, on Prometheus's clock: as they are seen, and as the journal knows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sloguard.chaostoolkit.reading import moment
from sloguard.core.model import FaultRecord, PhaseName, Timeline


@dataclass(slots=True)
class Marks:
    """As far as they are known."""

    start: float | None = None
    fault: float | None = None
    method_end: float | None = None
    restored: float | None = None
    #: Whether the last rollback is through.
    rolled_back: bool = False

    @property
    def phase(self) -> PhaseName:
        """Where the run stands, once its fault has begun."""
        return PhaseName.DURING if self.restored is None else PhaseName.AFTER

    def timeline(self, restored: float, end: float) -> Timeline:
        """All of them, for a run whose fault has begun."""
        assert self.start is not None and self.fault is not None  # noqa: S101, PT018 - it has begun
        return Timeline(self.start, self.fault, max(self.fault, restored), end)

    def place(self, journal: Mapping[str, Any], offset: float, now: float) -> None:
        """The journal knows when the first action really began, after its pause, and what came last."""
        actions = [
            run
            for run in journal.get("run") or []
            if (run.get("activity") or {}).get("type") == "action" and run.get("start")
        ]
        if self.fault is not None and actions:
            self.fault = max(self.fault, min(moment(r["start"], offset) for r in actions))
            self.start = min(self.start or self.fault, self.fault)
        undone = [moment(run.get("end"), offset) for run in journal.get("rollbacks") or []]
        last = (self.restored or 0.0) if undone else (self.method_end or now)
        self.restored = max(last, self.fault or 0.0, *undone)

    def left(self, journal: Mapping[str, Any]) -> tuple[FaultRecord, ...]:
        """Rollbacks that were declared, and not carried out although the method had begun."""
        declared = (journal.get("experiment") or {}).get("rollbacks") or []
        if not declared or self.rolled_back or self.fault is None or not journal.get("run"):
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


def refused_by(journal: Mapping[str, Any]) -> str:
    """Why the Chaos Toolkit itself did not begin: a probe of the hypothesis."""
    if journal.get("run"):
        return ""
    before = (journal.get("steady_states") or {}).get("before")
    if isinstance(before, Mapping) and before.get("steady_state_met") is False:
        return "the Chaos Toolkit's hypothesis was not met before the method"
    return ""
