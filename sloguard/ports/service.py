"""What the service needs of its store and of those who carry runs out: all of it under one name.

Jobs (``ports.jobs``), executors (``ports.executors``), windows that others open (``ports.windows``), tokens, sessions
and the audit log (``ports.credentials``), and what is refused (``ports.service_errors``). Times are seconds since the
epoch, UTC.
"""

from __future__ import annotations

from typing import Protocol

from sloguard.ports.credentials import Audit, AuditEntry, Scope, Session, Sessions, Token, Tokens
from sloguard.ports.executors import Executor, SeenWorker, SharedExecutor, WorkerPhase
from sloguard.ports.jobs import Job, JobKind, JobRequest, Jobs, JobState, taking_of
from sloguard.ports.service_errors import (
    JobExists,
    KeyReused,
    NoPlaceNow,
    QueueFull,
    ServiceError,
    TokenNotFound,
    WindowNotFound,
    WindowOver,
)
from sloguard.ports.windows import Window, Windows, WindowState

__all__ = [
    "Audit",
    "AuditEntry",
    "Executor",
    "Job",
    "JobExists",
    "JobKind",
    "JobRequest",
    "JobState",
    "Jobs",
    "KeyReused",
    "Leases",
    "NoPlaceNow",
    "QueueFull",
    "Scope",
    "SeenWorker",
    "ServiceError",
    "Session",
    "Sessions",
    "SharedExecutor",
    "Token",
    "TokenNotFound",
    "Tokens",
    "Window",
    "WindowNotFound",
    "WindowOver",
    "WindowState",
    "Windows",
    "WorkerPhase",
    "taking_of",
]


class Leases(Protocol):
    """What only one of several services does at a time."""

    def hold_lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take or prolong a lease; False while another holder has it and it has not run out."""
        ...
