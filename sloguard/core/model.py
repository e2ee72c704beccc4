"""What is declared and what is decided: the frozen vocabulary that every room shares.

Times are seconds since the epoch, UTC, on Prometheus's clock; durations are seconds; shares are 0..1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from sloguard.core.alert_rules import Alerting
from sloguard.core.objective import Objective

Json = Any
Labels = Mapping[str, str]


class Verdict(StrEnum):
    """Of a phase, series, SLO, probe. Declared in order of weight: the worst wins."""

    NOT_JUDGED = "not-judged"
    MET = "met"
    INCONCLUSIVE = "inconclusive"
    DEVIATED = "deviated"

    @property
    def rank(self) -> int:
        """0 for not-judged up to 3 for deviated."""
        return _RANKS[self]


_RANKS = {verdict: rank for rank, verdict in enumerate(Verdict)}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of these; not-judged if there is none."""
    return max(verdicts, key=lambda v: v.rank, default=Verdict.NOT_JUDGED)


class Outcome(StrEnum):
    """Of a run."""

    MET = "met"
    DEVIATED = "deviated"
    INCONCLUSIVE = "inconclusive"
    NOT_STARTED = "not-started"
    ABORTED = "aborted"
    NOT_RESTORED = "not-restored"


#: The one table of exit codes: an outcome's, then sloguard's own failure and the user's mistake.
EXIT_CODES: Mapping[Outcome, int] = {
    Outcome.MET: 0,
    Outcome.DEVIATED: 10,
    Outcome.INCONCLUSIVE: 11,
    Outcome.NOT_STARTED: 12,
    Outcome.ABORTED: 13,
    Outcome.NOT_RESTORED: 14,
}
EXIT_FAILED = 1
EXIT_USAGE = 2


class PhaseName(StrEnum):
    """The three phases of a timeline."""

    BEFORE = "before"
    DURING = "during"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Phases:
    """Declared lengths. ``during`` is a minimum: the method is held open until it has passed."""

    before: float = 120.0
    during: float = 60.0
    after: float = 120.0


@dataclass(frozen=True, slots=True)
class Timeline:
    """The four marks, rounded to milliseconds: start <= fault <= restored <= end."""

    start: float
    fault: float
    restored: float
    end: float

    def __post_init__(self) -> None:
        for name in ("start", "fault", "restored", "end"):
            object.__setattr__(self, name, round(getattr(self, name), 3))
        if not self.start <= self.fault <= self.restored <= self.end:
            raise ValueError("a timeline must be in order: start <= fault <= restored <= end")


#: What a gap or an idle point stands for: a verdict on it, or a number to be judged in its place.
Policy = Literal["inconclusive", "breach", "met"] | float


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The longest continuous breach allowed (``seconds``), or the share of judged points (``share``)."""

    seconds: float | None = None
    share: float | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class PhaseRule:
    """An SLO in one phase. ``recover_within`` and ``hold`` are of ``after``; None means the default."""

    objective: Objective
    tolerate: Tolerance | None = None
    recover_within: float | None = None
    hold: float | None = None


@dataclass(frozen=True, slots=True)
class Slo:
    """A query, or a pair of ``total`` with ``bad`` or ``good``, and what is promised of it.

    ``target`` (0..1) and ``period`` (seconds) are the error budget's; ``budget_left``: a query of the
    share of it that is left, where a rule records it.
    """

    name: str
    objective: Objective
    before: PhaseRule
    during: PhaseRule
    after: PhaseRule
    query: str | None = None
    total: str | None = None
    bad: str | None = None
    good: str | None = None
    no_data: Policy = "inconclusive"
    idle: Policy = "inconclusive"
    min_coverage: float = 0.6
    weight: float = 1.0
    step: float | None = None
    lookback: float | None = None
    target: float | None = None
    period: float | None = None
    budget_left: str | None = None

    @property
    def is_pair(self) -> bool:
        """Whether the value is a share of events."""
        return self.total is not None

    @property
    def has_budget(self) -> bool:
        """Whether an error budget follows from it."""
        return self.target is not None and self.period is not None

    @property
    def unit(self) -> str:
        """How values are written: as the objectives are, a pair's always as a share."""
        if self.is_pair:
            return "%"
        objectives = (self.objective, self.during.objective, self.after.objective)
        return next((o.unit for o in objectives if o.unit), "")

    @property
    def queries(self) -> dict[str, str]:
        """The queries as sent, by role: ``query``, or ``total`` with ``bad`` or ``good``."""
        roles = {"query": self.query, "total": self.total, "bad": self.bad, "good": self.good}
        return {role: text for role, text in roles.items() if text is not None}

    def rule(self, phase: PhaseName) -> PhaseRule:
        """The rule of one phase."""
        return {
            PhaseName.BEFORE: self.before,
            PhaseName.DURING: self.during,
            PhaseName.AFTER: self.after,
        }[phase]


@dataclass(frozen=True, slots=True)
class Guard:
    """A guard rail, judged live: the objective must hold; any series in breach for ``hold_for`` trips it.

    A query, or a pair as in an SLO.
    """

    name: str
    objective: Objective
    hold_for: float = 0.0
    query: str | None = None
    total: str | None = None
    bad: str | None = None
    good: str | None = None

    @property
    def queries(self) -> dict[str, str]:
        """The queries as sent, by role."""
        roles = {"query": self.query, "total": self.total, "bad": self.bad, "good": self.good}
        return {role: text for role, text in roles.items() if text is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What an experiment may cost. All are shares of an SLO's whole error budget over its period.

    ``slos``: of which SLOs; empty: of all that have a target and a period. ``keep_at_least``: with less
    left a run does not start, nor where less than ``min_history`` of the period is known. A run that has
    spent ``abort_spent``, or burns faster than ``abort_burn_rate`` (1: a budget that lasts just for its
    period) for ``hold_for`` seconds, is stopped.
    """

    slos: tuple[str, ...] = ()
    keep_at_least: float | None = None
    min_history: float = 0.9
    abort_spent: float | None = None
    abort_burn_rate: float | None = None
    hold_for: float = 0.0

    @property
    def guards(self) -> bool:
        """Whether there is anything by which a run is stopped."""
        return self.abort_spent is not None or self.abort_burn_rate is not None

    def of(self, slos: Iterable[Slo]) -> tuple[Slo, ...]:
        """The SLOs that it is about."""
        budgeted = (slo for slo in slos if slo.has_budget)
        return tuple(slo for slo in budgeted if not self.slos or slo.name in self.slos)


@dataclass(frozen=True, slots=True)
class Activity:
    """An action or probe as declared; ``${x}`` is substituted when it is carried out.

    ``key`` names its place in the file: ``method[0]``, ``rollbacks[1]``, ``hypothesis[0]``. ``runs_as``: the
    function of sloguard's own that is called in place of the driver's that it names.
    """

    key: str
    kind: Literal["action", "probe"]
    name: str
    provider: Mapping[str, Json]
    background: bool = False
    pause_before: float | str = 0.0
    pause_after: float | str = 0.0
    has_tolerance: bool = False
    tolerance: Json = None
    controls: tuple[Mapping[str, Json], ...] = ()
    declared: Mapping[str, Json] = field(default_factory=dict)
    runs_as: str = ""


@dataclass(frozen=True, slots=True)
class Approval:
    """Who has to agree before anything is injected. ``by``: names, empty for whoever may start runs;
    ``within``: seconds; None: as the settings say."""

    required: bool = True
    by: tuple[str, ...] = ()
    within: float | None = None
    minimum: int | None = None


@dataclass(frozen=True, slots=True)
class Experiment:
    """One file, read and checked. ``configuration`` and ``secrets`` hold resolved values.

    ``declared`` is the whole document as written (after ``ref`` was followed, before substitution).
    ``environment``: what variable files add to the environment of the run's processes. ``warnings``: what
    reading found worth knowing, one line each.
    """

    title: str
    description: str = ""
    tags: tuple[str, ...] = ()
    phases: Phases = field(default_factory=Phases)
    hypothesis_title: str = ""
    slos: tuple[Slo, ...] = ()
    probes: tuple[Activity, ...] = ()
    guards: tuple[Guard, ...] = ()
    budget: Budget | None = None
    method: tuple[Activity, ...] = ()
    rollbacks: tuple[Activity, ...] = ()
    controls: tuple[Mapping[str, Json], ...] = ()
    hypothesis_controls: tuple[Mapping[str, Json], ...] = ()
    configuration: Mapping[str, Json] = field(default_factory=dict)
    secrets: Mapping[str, Json] = field(default_factory=dict)
    contributions: Mapping[str, Json] = field(default_factory=dict)
    extensions: tuple[Mapping[str, Json], ...] = ()
    runtime: Mapping[str, Json] = field(default_factory=dict)
    source: str = ""
    declared: Mapping[str, Json] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    alerts: Alerting = field(default_factory=Alerting)
    approval: Approval | None = None


class ActivityStatus(StrEnum):
    """How an activity ended, in the Chaos Toolkit's words."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ABORTED = "aborted"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class ActivityRecord:
    """What an activity did. ``output`` is JSON and masked; ``error`` one line for people, or None.

    ``tolerance_met`` is None where there was no tolerance to hold it against. ``unreachable``: the
    error was a refused connection or a timeout, which in a probe is a deviation and not an error.
    """

    activity: Activity
    section: Literal["configuration", "hypothesis", "method", "rollbacks"]
    status: ActivityStatus
    start: float
    end: float
    output: Json = None
    error: str | None = None
    tolerance_met: bool | None = None
    unreachable: bool = False
    phase: PhaseName | None = None


@dataclass(frozen=True, slots=True)
class FaultRecord:
    """One injection and how it came undone. ``by_hand``: how a person would undo it.

    ``hit``: what suffers besides the target, as ``namespace/name``: the pods that have to leave a node, say.
    """

    id: str
    fault: str
    target: str
    status: Literal["planned", "injected", "undone", "nothing-to-undo", "left"]
    injected_at: float | None = None
    undone_at: float | None = None
    detail: str = ""
    by_hand: str = ""
    hit: tuple[str, ...] = ()
