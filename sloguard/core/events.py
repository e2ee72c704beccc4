"""What a run can announce, in the order in which it happens. Frozen, JSON-able, masked.

``at`` is seconds since the epoch, UTC, on Prometheus's clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sloguard.core.model import (
    Activity,
    ActivityRecord,
    Experiment,
    FaultRecord,
    Outcome,
    PhaseName,
    Timeline,
    Verdict,
)
from sloguard.core.people import Ask, Decision, Step, StepAnswer
from sloguard.core.series import SloEvidence, Surroundings

Section = Literal["configuration", "hypothesis", "method", "rollbacks"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened at ``at``."""

    at: float


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """A run has its id, and nothing was touched yet. ``resolved``: the experiment, secrets masked.

    ``variables``: what ``--var`` and ``--var-file`` gave, so that recovery can load the file again.
    """

    run: str
    experiment: Experiment
    resolved: Mapping[str, Any]
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Preflight(Event):
    """One check before anything is broken. ``ok`` None: a warning that stops nothing."""

    name: str
    ok: bool | None
    message: str


@dataclass(frozen=True, slots=True)
class PhaseStarted(Event):
    """A phase begins; ``until`` is when it can end at the earliest (None: when its work is done)."""

    phase: PhaseName
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Waiting(Event):
    """The run waits, and says for what."""

    reason: str
    until: float


@dataclass(frozen=True, slots=True)
class ActivityStarted(Event):
    """An activity begins."""

    activity: Activity
    section: Section
    phase: PhaseName | None = None


@dataclass(frozen=True, slots=True)
class ActivityEnded(Event):
    """An activity ended, or a background one was collected."""

    record: ActivityRecord


@dataclass(frozen=True, slots=True)
class FaultPlanned(Event):
    """What a fault will hit. ``spared``: what it will not, and why, as (name, reason)."""

    activity: str
    fault: str
    targets: tuple[str, ...]
    spared: tuple[tuple[str, str], ...] = ()
    summary: str = ""


@dataclass(frozen=True, slots=True)
class FaultChanged(Event):
    """A fault was injected, undone, or could not be undone: see its status."""

    fault: FaultRecord


@dataclass(frozen=True, slots=True)
class SloReading:
    """An SLO's value right now: its worst series against the objective of the phase."""

    slo: str
    verdict: Verdict
    value: float | None
    objective: str
    labels: str = ""
    series: int = 0
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Observed(Event):
    """The live picture, once a tick."""

    phase: PhaseName
    readings: tuple[SloReading, ...]


@dataclass(frozen=True, slots=True)
class GuardTripped(Event):
    """A guard rail was breached for as long as it allows, or could not be read (``blind``)."""

    guard: str
    reason: str
    blind: bool = False


@dataclass(frozen=True, slots=True)
class Interrupted(Event):
    """A signal or a person asked the run to stop."""

    reason: str


@dataclass(frozen=True, slots=True)
class ApprovalAsked(Event):
    """People have to agree before the first fault; nothing was injected, and no target is held."""

    ask: Ask


@dataclass(frozen=True, slots=True)
class ApprovalDecided(Event):
    """What came of an ask: ``approved``, ``refused``, or nothing in time (an empty ``answer``)."""

    id: str
    digest: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class StepDecided(Event):
    """A person was asked before a step, and said what to do. ``asked``: since when they were asked."""

    step: Step
    answer: StepAnswer
    asked: float


@dataclass(frozen=True, slots=True)
class NoteTaken(Event):
    """Somebody observed something, and wrote it down. ``origin``: where they did."""

    text: str
    by: str
    origin: str = "step"


@dataclass(frozen=True, slots=True)
class Note(Event):
    """Something worth knowing. ``level``: info, warning or error."""

    level: Literal["info", "warning", "error"]
    message: str


@dataclass(frozen=True, slots=True)
class EvidenceCollected(Event):
    """The samples of one SLO over the whole timeline."""

    evidence: SloEvidence


@dataclass(frozen=True, slots=True)
class SurroundingsCollected(Event):
    """What all SLOs of the run share; kept beside the samples, so that they can be judged again."""

    surroundings: Surroundings


@dataclass(frozen=True, slots=True)
class Judged(Event):
    """The verdict. ``document`` is the answer of the JSON contract."""

    outcome: Outcome
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RunEnded(Event):
    """The last event of every run. ``timeline`` is None where nothing was injected."""

    run: str
    outcome: Outcome
    reason: str
    document: Mapping[str, Any]
    timeline: Timeline | None = None
