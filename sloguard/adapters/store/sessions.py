"""Logins of browsers: a token, for as long as its cookie lasts; only a hash of the cookie is kept."""

from __future__ import annotations

import hashlib
import re
import secrets

from sqlalchemy import bindparam, delete, insert, select

from sloguard.adapters.store.base import StorePart
from sloguard.adapters.store.tables import sessions, tokens
from sloguard.adapters.store.tokens import COLUMNS, token_of
from sloguard.ports.service import Session

#: More logins of one token end the oldest ones.
MOST_SESSIONS = 100
_SECRET_BYTES = 32
_FORM = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_ONE = (
    select(sessions.c.created_at, sessions.c.expires_at, *COLUMNS)
    .join(tokens, tokens.c.id == sessions.c.token)
    .where(sessions.c.hash == bindparam("hash"))
)


class SessionsPart(StorePart):
    """ports.service.Sessions."""

    def create_session(self, token: str, *, expires_at: float) -> str:
        """Begin a session of a token (its id); its secret, for the cookie."""
        secret, now = secrets.token_urlsafe(_SECRET_BYTES), self._now()
        own = sessions.c.token == token
        kept = (
            select(sessions.c.hash)
            .where(own)
            .order_by(sessions.c.created_at.desc())
            .limit(MOST_SESSIONS - 1)
        )
        with self._database.writing() as connection:
            connection.execute(delete(sessions).where(sessions.c.expires_at <= now))
            newest = connection.execute(kept).scalars().all()
            if len(newest) >= MOST_SESSIONS - 1:
                connection.execute(delete(sessions).where(own, sessions.c.hash.not_in(newest)))
            values = {"hash": _hash(secret), "token": token, "created_at": now}
            connection.execute(insert(sessions).values(**values, expires_at=expires_at))
        return secret

    def verify_session(self, secret: str) -> Session | None:
        """The session of a cookie; None for one that is unknown or over, or whose token is."""
        if _FORM.fullmatch(secret) is None:
            return None
        # Looked for by its hash: how long that takes tells nothing about any secret.
        rows = self._database.rows(_ONE, {"hash": _hash(secret)})
        if not rows:
            return None
        created_at, expires_at, *rest = rows[0]
        token, now = token_of(rest), self._now()
        ends = expires_at if token.expires_at is None else min(expires_at, token.expires_at)
        if ends <= now or token.revoked_at is not None:
            return None
        return Session(token=token, created_at=created_at, expires_at=ends)

    def end_session(self, secret: str) -> bool:
        """End a session at once; False: there was none."""
        with self._database.writing() as connection:
            ended = connection.execute(delete(sessions).where(sessions.c.hash == _hash(secret)))
        return bool(ended.rowcount)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
