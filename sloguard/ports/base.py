"""What the engine needs of the outside, as protocols. An adapter and a fake stand behind each.

Every call has a deadline, retries are bounded, and what goes wrong arrives as one of the errors here,
with a text that a person can act on and that holds no credentials.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event as Flag
from typing import Any, Protocol

from sloguard.core.model import FaultRecord
from sloguard.core.series import Matrix, Vector
from sloguard.core.windows import Grid


class OutsideError(Exception):
    """Something outside did not do what was asked. The text is for people."""


class MetricsError(OutsideError):
    """Prometheus did not answer as it should."""


class MetricsUnreachable(MetricsError):
    """No connection, or no answer within the deadline, after all retries."""


class MetricsBusy(MetricsUnreachable):
    """It has too much to do, and answered so until the deadline. It is there: others may be answered."""


class MetricsRefused(MetricsError):
    """401 or 403: the credentials are missing, wrong or not sufficient."""


class BadQuery(MetricsError):
    """The query itself is wrong (400, 422 with error type bad_data or execution)."""


class AnswerTooLarge(MetricsError):
    """The query loads too many samples or takes too long for the server."""


class BadAnswer(MetricsError):
    """Something answered that is not a Prometheus: HTML, a status of error with 200, broken JSON."""


class Held(OutsideError):
    """Another run holds the lock: ``holder`` tells which."""

    def __init__(self, key: str, holder: str) -> None:
        super().__init__(f"{key} is held by {holder}")
        self.key = key
        self.holder = holder


@dataclass(frozen=True, slots=True)
class Selection:
    """One vector selector of a query: metric name (None if only matchers) and label matchers
    as (label, operator, value) with operator one of ``= != =~ !~``."""

    metric: str | None
    matchers: tuple[tuple[str, str, str], ...] = ()

    def __str__(self) -> str:
        """As PromQL: what it shows can be pasted into Prometheus, whatever stands in the values."""
        metric, matchers = self.metric or "", self.matchers
        if metric and not _METRIC.fullmatch(metric):
            metric, matchers = "", (("__name__", "=", metric), *matchers)
        inner = ", ".join(f"{n}{op}{_quoted(v)}" for n, op, v in matchers)
        return f"{metric}{{{inner}}}" if inner or not metric else metric


#: A metric's name that needs no quotes.
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def _quoted(text: str) -> str:
    for plain, escaped in (("\\", r"\\"), ('"', r"\""), ("\n", r"\n")):
        text = text.replace(plain, escaped)
    return f'"{text}"'


@dataclass(frozen=True, slots=True)
class RecordingRule:
    """A recording rule as Prometheus's rules API tells it; ``interval`` in seconds is its group's."""

    name: str
    expr: str
    interval: float
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """Prometheus's clock less the local one, in seconds, within ``uncertainty``."""

    seconds: float
    uncertainty: float


class Metrics(Protocol):
    """A Prometheus, or what speaks its API (Thanos, Mimir, VictoriaMetrics)."""

    def range(self, query: str, grid: Grid) -> Matrix:
        """The series of a query on a grid; windows above 11,000 points are cut and joined."""
        ...

    def instant(self, query: str, at: float | None = None) -> Vector:
        """The value of a query at a time (seconds, UTC); None: at the server's now."""
        ...

    def scrape_interval(self, selections: Sequence[Selection]) -> float | None:
        """The largest scrape interval (s) of the jobs that these selectors hit; None: it cannot tell."""
        ...

    def recording_rules(self) -> Sequence[RecordingRule]:
        """All recording rules; empty where the server has no rules API."""
        ...

    def clock_offset(self) -> ClockOffset:
        """How far the server's clock is ahead of the local one."""
        ...


class Clock(Protocol):
    """Time, so that no test sleeps for real time that it need not."""

    def now(self) -> float:
        """Seconds since the epoch, UTC, local clock."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    def wait(self, flag: Flag, seconds: float) -> bool:
        """Wait until ``flag`` is set or ``seconds`` have passed; True if it is set."""
        ...


@dataclass(frozen=True, slots=True)
class Intent:
    """One line of the ledger: what is about to be injected, and all that undoing it needs.

    ``fault``: the name under which the registry finds the undo (``processes.stop``); ``record``: JSON.
    ``status``: intent, injected, undone, failed.
    """

    id: str
    run: str
    activity: str
    fault: str
    target: str
    record: Mapping[str, Any]
    status: str = "intent"
    detail: str = ""


class Ledger(Protocol):
    """Write-ahead, durable (on disk before a call returns)."""

    def begin(self, run: str, activity: str) -> None:
        """An activity of the method or the rollbacks is about to start."""
        ...

    def finish(self, run: str, activity: str, status: str) -> None:
        """An activity ended with this status."""
        ...

    def intend(self, intent: Intent) -> None:
        """An injection is about to happen."""
        ...

    def mark(
        self,
        intent_id: str,
        status: str,
        detail: str = "",
        *,
        record: Mapping[str, Any] | None = None,
    ) -> None:
        """An intent is now injected, undone or failed; ``record`` replaces what undoing needs."""
        ...

    def open_intents(self, run: str) -> Sequence[Intent]:
        """What was intended and is not undone, in the order of injection."""
        ...

    def activities(self, run: str) -> Mapping[str, str]:
        """Every activity that began, with its status (``begun`` while it has not ended)."""
        ...


class Locks(Protocol):
    """Keeps two runs on one target apart. A lock dies with its process."""

    def acquire(self, keys: Iterable[str], holder: str) -> None:
        """Take all keys or none; raises Held."""
        ...

    def release(self) -> None:
        """Give back all that was taken."""
        ...


@dataclass(frozen=True, slots=True)
class UnfinishedRun:
    """A run that the store does not know as ended, with all that finishing it needs.

    ``document``: the experiment as written (secrets masked); ``source``: its file, absolute;
    ``variables``: what ``--var`` gave (secrets masked). ``alive``: its process still runs.
    ``began_method``: something may have been injected. ``resolved``: the experiment with the
    configuration of that run filled in, secrets as references or masked. ``here``: its process is, or
    was, one of this machine, so that ``alive`` is certain; else it is told by the last sign of life.
    ``restored_at``: when its fault was gone, if it came so far.
    """

    id: str
    title: str
    source: str
    document: Mapping[str, Any]
    variables: Mapping[str, Any]
    alive: bool
    began_method: bool
    started_at: float
    fault_at: float | None = None
    resolved: Mapping[str, Any] = field(default_factory=dict)
    here: bool = True
    restored_at: float | None = None


class Runs(Protocol):
    """What recovery needs of the store."""

    def unfinished(self) -> Sequence[UnfinishedRun]:
        """Every run that has started and not ended, oldest first."""
        ...

    def not_restored(self) -> Sequence[UnfinishedRun]:
        """Every run that has ended with something still injected, oldest first."""
        ...

    def close(self, run: str, outcome: str, reason: str, faults: Sequence[FaultRecord]) -> None:
        """Mark a dead run as ended, with what became of its faults. Where it had ended not-restored,
        this replaces its outcome."""
        ...
