"""What is kept of a run, as it is read back. Times are seconds since the epoch, UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sloguard.core.model import ActivityRecord, FaultRecord, Json, Outcome, Timeline
from sloguard.core.series import Surroundings


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One line of a list of runs. ``outcome`` None: it has not ended; ``alive``: its process still runs.

    ``experiment``: its name in the service's catalogue, else its file's. ``kind``: run, window (broken by
    another tool, judged here) or rejudge (the evidence of the run ``origin``, judged again).
    """

    id: str
    title: str
    tags: tuple[str, ...]
    source: str
    started_at: float
    ended_at: float | None
    outcome: Outcome | None
    reason: str
    score: float | None
    host: str
    version: str
    alive: bool
    experiment: str = ""
    kind: str = "run"
    origin: str = ""

    @property
    def state(self) -> str:
        """The outcome; ``running`` while it runs; ``interrupted`` where its process is gone."""
        if self.outcome is not None and self.ended_at is not None:
            return str(self.outcome)
        return "running" if self.alive else "interrupted"


@dataclass(frozen=True, slots=True)
class StoredRun(RunSummary):
    """All that is kept of a run except samples and events.

    ``declared``: the experiment as written, ``resolved``: as it was run, both with secrets masked.
    ``timeline`` None: it did not get as far. ``document``: the answer of the JSON contract; None while
    there is none. An activity that began and never ended is among ``activities`` as aborted.
    """

    pid: int = 0
    heartbeat: float = 0.0
    fault_at: float | None = None
    restored_at: float | None = None
    timeline: Timeline | None = None
    declared: Mapping[str, Json] = field(default_factory=dict)
    variables: Mapping[str, Json] = field(default_factory=dict)
    resolved: Mapping[str, Json] = field(default_factory=dict)
    document: Mapping[str, Json] | None = None
    surroundings: Surroundings = field(default_factory=Surroundings)
    activities: tuple[ActivityRecord, ...] = ()
    faults: tuple[FaultRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One announcement: ``kind`` is the event's class name, ``data`` its fields as JSON."""

    number: int
    at: float
    kind: str
    data: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class StoredVerdict:
    """One series of one SLO in one run (``labels`` None: the SLO itself), for comparing runs.

    ``before``, ``during``, ``after``: a series' verdicts by phase, empty for an SLO.
    """

    run: str
    slo: str
    labels: Mapping[str, str] | None
    verdict: str
    reason: str
    before: str
    during: str
    after: str
