"""Tokens of the service: only a hash of the secret is kept."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from sloguard.adapters.store.base import StorePart, parsed
from sloguard.adapters.store.tables import tokens
from sloguard.core.jsonable import dump
from sloguard.ports.service import Scope, Token, TokenNotFound

#: When a token was last used is written at most this often, in seconds.
USED_SECONDS = 60.0
# The secret is random over all of its length, so a plain hash is enough: there is nothing to guess.
_SECRET_BYTES = 32
COLUMNS = (
    tokens.c.id,
    tokens.c.name,
    tokens.c.scopes,
    tokens.c.created_at,
    tokens.c.created_by,
    tokens.c.expires_at,
    tokens.c.last_used_at,
    tokens.c.revoked_at,
    tokens.c.revoked_by,
)
_ALL = select(*COLUMNS).order_by(tokens.c.number)
_ONE = select(*COLUMNS).where(tokens.c.id == bindparam("token"))
_WITH_HASH = select(tokens.c.hash, *COLUMNS).where(tokens.c.id == bindparam("token"))
_FORM = re.compile(r"slg_([0-9a-f]{12})_([A-Za-z0-9_-]{43})", re.ASCII)


class TokensPart(StorePart):
    """ports.service.Tokens."""

    def create_token(
        self, name: str, scopes: Sequence[Scope], *, expires_at: float | None = None, by: str = ""
    ) -> tuple[Token, str]:
        """A new token and its secret (``slg_ID_…``), which is told this once only."""
        if not scopes:
            raise ValueError("a token without a scope can do nothing: give it at least one")
        made, words = secrets.token_hex(6), secrets.token_urlsafe(_SECRET_BYTES)
        values = {
            "id": made,
            "name": name,
            "scopes": dump(sorted({Scope(scope).value for scope in scopes})),
            "hash": _hash(words),
            "created_at": self._now(),
            "created_by": by,
            "expires_at": expires_at,
            "revoked_by": "",
        }
        with self._database.writing() as connection:
            connection.execute(insert(tokens).values(**values))
            row = connection.execute(_ONE, {"token": made}).one()
        return token_of(row), f"slg_{made}_{words}"

    def verify_token(self, secret: str) -> Token | None:
        """The valid token of a secret; None for one that is unknown, expired or revoked."""
        found = _FORM.fullmatch(secret)
        if found is None:
            return None
        rows = self._database.rows(_WITH_HASH, {"token": found.group(1)})
        # Compared where there is none, too: how long it takes tells nothing.
        kept = str(rows[0][0]) if rows else "0" * 64
        if not hmac.compare_digest(_hash(found.group(2)), kept) or not rows:
            return None
        token, now = token_of(rows[0][1:]), self._now()
        if token.revoked_at is not None:
            return None
        if token.expires_at is not None and token.expires_at <= now:
            return None
        if token.last_used_at is None or now - token.last_used_at >= USED_SECONDS:
            with self._database.writing(durable=False) as connection:
                mine = tokens.c.id == token.id
                connection.execute(update(tokens).where(mine).values(last_used_at=now))
        return token

    def tokens(self) -> Sequence[Token]:
        """All, oldest first, the expired and revoked ones too."""
        with self._database.reading() as connection:
            return tuple(token_of(row) for row in connection.execute(_ALL))

    def revoke_token(self, id: str, *, by: str = "") -> Token:
        """End a token at once; again changes nothing. Raises TokenNotFound."""
        valid = (tokens.c.id == id) & tokens.c.revoked_at.is_(None)
        with self._database.writing() as connection:
            ended = update(tokens).where(valid).values(revoked_at=self._now(), revoked_by=by)
            connection.execute(ended)
            row = connection.execute(_ONE, {"token": id}).first()
        if row is None:
            raise TokenNotFound(
                f"there is no token '{id}'; 'sloguard token list' shows those there are"
            )
        return token_of(row)


def _hash(words: str) -> str:
    return hashlib.sha256(words.encode()).hexdigest()


def token_of(row: Sequence[Any]) -> Token:
    """The token of a row of COLUMNS."""
    id, name, scopes, created_at, created_by, expires_at, last_used_at, revoked_at, revoked_by = row
    return Token(
        id=id,
        name=name,
        scopes=frozenset(Scope(scope) for scope in parsed(scopes)),
        created_at=created_at,
        created_by=created_by,
        expires_at=expires_at,
        last_used_at=last_used_at,
        revoked_at=revoked_at,
        revoked_by=revoked_by,
    )
