"""The shapes of what the API answers, for its document. Times are ISO 8601 UTC.

Answers are written from the store's own rows; the contract test holds them against these.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sloguard.core.model import Outcome, Verdict
from sloguard.ports.service import JobState, WindowState

RUN_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
NAME_PATTERN = r"^[A-Za-z0-9._-]{1,200}$"

#: The arguments of paths: their schema, and what they are.
PATH_ARGUMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "run": (
        {"type": "string", "pattern": RUN_PATTERN},
        "A run's id, or `latest`.",
    ),
    "experiment": (
        {"type": "string", "pattern": NAME_PATTERN},
        "An experiment's name, as GET /experiments lists it.",
    ),
    "window": ({"type": "string", "pattern": RUN_PATTERN}, "A window's id."),
    "report": ({"type": "string", "pattern": RUN_PATTERN}, "A report's id, or `latest`."),
    "message": ({"type": "string", "pattern": r"^[0-9]{1,15}$"}, "A message's number."),
    "shape": ({"type": "string", "enum": ["html", "pdf", "md"]}, "How the report is written."),
    "format": ({"type": "string", "enum": ["svg", "png"]}, "How it is drawn."),
    "form": ({"type": "string", "enum": ["csv", "parquet"]}, "How the samples are written."),
}

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
#: ±Inf and NaN are no JSON numbers.
Number = float | Literal["+Inf", "-Inf", "NaN"]


class Shape(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Open(BaseModel):
    """Base of answers that may grow, or that bring along what others wrote."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Finding(Shape):
    """One thing that is wrong: where, and what to do."""

    at: str = Field(description="`query.limit`, `body.experiment`, or a place in a file")
    message: str
    hint: str = ""


class ProblemAnswer(Open):
    """An error (RFC 9457)."""

    type: str = Field(description="`urn:sloguard:problem:NAME`")
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[Finding] = []


class RunRow(Shape):
    """One line of a list of runs."""

    run: str
    kind: Literal["run", "window", "rejudge"]
    experiment: str = Field(description="its name in the catalogue, or its file's")
    title: str
    tags: list[str]
    state: Literal["queued", "starting", "running", "interrupted", "ended", "cancelled", "failed"]
    outcome: Outcome | None
    score: float | None
    reason: str
    started: Time | None
    ended: Time | None
    origin: str | None = Field(description="of a rejudgement: the run whose evidence it judges")
    href: str


class RunList(Shape):
    """A page of runs, newest first."""

    runs: list[RunRow]
    next: str | None = Field(description="the next page, also in the Link header")


class Marks(Shape):
    """The four marks of a timeline."""

    start: Time
    fault: Time
    restored: Time
    end: Time


class JobShape(Shape):
    """What was asked of the service, and what became of it."""

    state: JobState
    kind: Literal["run", "window", "rejudge"]
    experiment: str
    variables: dict[str, Any]
    dry_run: bool
    tags: list[str]
    seed: int | None
    requested: Time
    requested_by: str
    started: Time | None
    ended: Time | None
    worker: str
    exit_code: int | None
    detail: str
    abort_reason: str
    result: dict[str, Any] = Field(description="of a dry run: could_start, checks, plans, notes")


class Links(Open):
    """Where the rest of it is."""


class RunShape(RunRow):
    """A run: what it is and where it stands. Its verdict, samples and events have addresses of their own."""

    source: str
    version: str
    host: str
    timeline: Marks | None
    variables: dict[str, Any]
    definition: dict[str, Any] = Field(description="the experiment as it was run, secrets masked")
    faults: list[dict[str, Any]]
    activities: list[dict[str, Any]]
    slos: list[str] = Field(description="the SLOs whose samples are kept")
    job: JobShape | None
    links: dict[str, str]


class Started(Shape):
    """A job that was accepted; its id is the run's."""

    run: str
    href: str
    job: JobShape


class PhaseVerdict(Open):
    """One phase of one series."""

    verdict: Verdict
    reason: str
    points: int
    gaps: int
    idle: int
    breach_seconds: float
    longest_breach_seconds: float
    worst: Number | None
    worst_at: Time | None


class SeriesVerdict(Open):
    """One series of an SLO."""

    labels: dict[str, str]
    verdict: Verdict
    reason: str
    baseline: Number | None
    budget_burned: Number | None
    phases: dict[Literal["before", "during", "after"], PhaseVerdict]


class SloVerdict(Open):
    """One SLO: as bad as its worst series."""

    name: str
    verdict: Verdict
    reason: str
    lookback_seconds: float | None
    step_seconds: float
    series: list[SeriesVerdict]


class VerdictDocument(Open):
    """The verdict of a run: the same document as of `sloguard run --format json`."""

    outcome: Outcome
    exit_code: int
    reason: str
    score: float | None
    experiment: str
    run: str | None
    timeline: Marks | None
    slos: list[SloVerdict]
    probes: list[dict[str, Any]]
    alerts: list[dict[str, Any]] = Field(
        description="alerts from the fault on; and expectations of alerts, each with a verdict"
    )
    alert_coverage: dict[str, Any] | None = Field(
        None,
        description="blind spots, each with a rule that is proposed, noise, and what was covered; where alerts were read",
    )
    budget: list[dict[str, Any]] = Field(
        [],
        description="error budgets of SLOs with a target and a period, with what was asked of them",
    )
    amended_at: Time | None = Field(
        None, description="when alerts that came after the run were added last; then only"
    )
    faults: list[dict[str, Any]]
    activities: list[dict[str, Any]]


class LatestVerdict(Shape):
    """The newest ended run of an experiment."""

    run: str
    experiment: str
    title: str
    outcome: Outcome
    score: float | None
    reason: str
    ended: Time
    href: str


class LatestVerdicts(Shape):
    """The newest verdict of every experiment that has one, or of the one asked for."""

    verdicts: list[LatestVerdict]


class JournalShape(Open):
    """A Chaos Toolkit journal, with sloguard's document under `sloguard`."""

    status: str
    deviated: bool


class FileProblem(Shape):
    """Something wrong, or worth knowing, in a file."""

    message: str
    path: str
    line: int | None
    column: int | None
    expected: str
    hint: str


class SloShape(Shape):
    """An SLO as it is declared."""

    name: str
    objective: str
    queries: dict[str, str]


class ExperimentRow(Shape):
    """One line of the catalogue."""

    name: str
    title: str
    description: str
    tags: list[str]
    valid: bool
    problems: list[FileProblem]
    href: str


class ExperimentList(Shape):
    """All files of the catalogue; also those that have problems, with these."""

    experiments: list[ExperimentRow]
    problems: list[str] = Field(description="of the directories themselves")


class ExperimentShape(ExperimentRow):
    """What an experiment does."""

    file: str
    phases: dict[str, float] | None = Field(description="seconds")
    slos: list[SloShape]
    probes: list[str]
    method: list[str]
    rollbacks: list[str]
    configuration: dict[str, Any] = Field(description="what variables may replace")
    definition: dict[str, Any] = Field(description="as written, secrets masked")
    warnings: list[FileProblem]
    latest: LatestVerdict | None


class Validated(Shape):
    """What is wrong with an experiment, all at once."""

    valid: bool
    title: str
    errors: list[FileProblem]
    warnings: list[FileProblem]


class WindowShape(Shape):
    """A chaos window that another tool opened."""

    window: str
    title: str
    slos: str
    tool: str
    tags: list[str]
    removed: dict[str, list[str]]
    before: float | None
    after: float | None
    state: WindowState
    opened: Time
    opened_by: str
    fault: Time
    restored: Time | None
    closed: Time | None
    closed_by: str
    expires: Time
    detail: str
    href: str
    run_href: str = Field(description="the run that judges it, once it is closed")


class WindowList(Shape):
    """A page of windows, newest first."""

    windows: list[WindowShape]
    next: str | None


class SloSet(Shape):
    """A named set of SLOs, by which windows are judged."""

    name: str
    title: str
    valid: bool
    problems: list[FileProblem]
    slos: list[SloShape]


class SloSets(Shape):
    """All named sets."""

    sets: list[SloSet]


class Health(Shape):
    """The process lives."""

    status: Literal["ok"]
    version: str


class Check(Shape):
    """One thing that the service needs."""

    ok: bool
    detail: str


class Readiness(Shape):
    """Whether requests can be served, and what is missing."""

    status: Literal["ready", "degraded", "unready"]
    checks: dict[str, Check]
