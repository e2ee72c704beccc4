"""Who may come in, and what was done by whom: tokens, sessions, the audit log. Times are seconds since the epoch, UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class Scope(StrEnum):
    """What a token may do. ``admin`` may do everything; ``run`` may read; ``webhook`` nothing else."""

    READ = "read"
    RUN = "run"
    WEBHOOK = "webhook"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token without its secret, which nobody but its owner has. ``expires_at`` None: never."""

    id: str
    name: str
    scopes: frozenset[Scope]
    created_at: float
    created_by: str = ""
    expires_at: float | None = None
    last_used_at: float | None = None
    revoked_at: float | None = None
    revoked_by: str = ""


class Tokens(Protocol):
    """Tokens, hashed at rest."""

    def create_token(
        self, name: str, scopes: Sequence[Scope], *, expires_at: float | None = None, by: str = ""
    ) -> tuple[Token, str]:
        """A new token and its secret (``slg_ID_…``), which is told this once only."""
        ...

    def verify_token(self, secret: str) -> Token | None:
        """The valid token of a secret; None for one that is unknown, expired or revoked.

        Compared in constant time. ``last_used_at`` is written at most once a minute.
        """
        ...

    def tokens(self) -> Sequence[Token]:
        """All, oldest first, the expired and revoked ones too."""
        ...

    def revoke_token(self, id: str, *, by: str = "") -> Token:
        """End a token at once; again changes nothing. Raises TokenNotFound."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A login of a browser. It ends with its token, whatever ``expires_at`` says."""

    token: Token
    created_at: float
    expires_at: float


class Sessions(Protocol):
    """Logins, the same for every process and replica of a service; hashed at rest."""

    def create_session(self, token: str, *, expires_at: float) -> str:
        """Begin a session of a token (its id); its secret, which is told this once only."""
        ...

    def verify_session(self, secret: str) -> Session | None:
        """The session of a secret; None for one that is unknown or over, or whose token is."""
        ...

    def end_session(self, secret: str) -> bool:
        """End a session at once; False: there was none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Something was changed: who (``token:ci``, ``user:ada``), from where (address), what, on what.

    ``detail``: JSON without secrets. ``number`` is given by the store.
    """

    at: float
    who: str
    where: str
    action: str
    target: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    number: int = 0


class Audit(Protocol):
    """Who changed what, when, from where. Only ever added to."""

    def append_audit(self, entry: AuditEntry) -> int:
        """Keep an entry, on disk before this returns; its number."""
        ...

    def audit_entries(
        self,
        *,
        limit: int = 100,
        before: int | None = None,
        target: str | None = None,
        who: str | None = None,
    ) -> Sequence[AuditEntry]:
        """Newest first; ``before``: the number of the page before's last."""
        ...

    def prune_audit(self, older_than: float) -> int:
        """Forget what is older than this time; how many entries these were."""
        ...
