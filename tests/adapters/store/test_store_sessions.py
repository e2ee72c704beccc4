"""Logins: known by their hash alone, over with their time, their token or a logout."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

from sloguard.adapters.store import Store
from sloguard.adapters.store.sessions import MOST_SESSIONS
from sloguard.ports.service import Scope


def test_a_session_is_its_token_for_a_while(url: str) -> None:
    now = [1000.0]
    with Store(url, now=lambda: now[0]) as store:
        token, _ = store.create_token("ada", [Scope.RUN], expires_at=5000.0)
        secret = store.create_session(token.id, expires_at=2000.0)
        found = store.verify_session(secret)
        assert found is not None
        assert (found.token.id, found.token.scopes) == (token.id, {Scope.RUN})
        assert (found.created_at, found.expires_at) == (1000.0, 2000.0)
        now[0] = 2000.0
        assert store.verify_session(secret) is None


def test_a_session_ends_with_its_token(url: str) -> None:
    now = [1000.0]
    with Store(url, now=lambda: now[0]) as store:
        token, _ = store.create_token("ada", [Scope.READ], expires_at=1500.0)
        secret = store.create_session(token.id, expires_at=9000.0)
        found = store.verify_session(secret)
        assert found is not None
        assert found.expires_at == 1500.0
        now[0] = 1500.0
        assert store.verify_session(secret) is None
        other, _ = store.create_token("bob", [Scope.READ])
        secret = store.create_session(other.id, expires_at=9000.0)
        assert store.verify_session(secret) is not None
        store.revoke_token(other.id)
        assert store.verify_session(secret) is None


def test_a_logout_ends_one_session_and_no_other(store: Store) -> None:
    token, _ = store.create_token("ada", [Scope.READ])
    far = 4e9
    first, second = (store.create_session(token.id, expires_at=far) for _ in range(2))
    assert first != second
    assert store.end_session(first)
    assert not store.end_session(first)
    assert store.verify_session(first) is None
    assert store.verify_session(second) is not None


def test_nobody_collects_sessions_without_end(url: str) -> None:
    now = [1000.0]
    with Store(url, now=lambda: now[0]) as store:
        token, _ = store.create_token("ada", [Scope.READ])
        made = []
        for _ in range(MOST_SESSIONS + 2):
            now[0] += 1
            made.append(store.create_session(token.id, expires_at=9000.0))
        known = [store.verify_session(secret) is not None for secret in made]
        assert known == [False, False] + [True] * MOST_SESSIONS


def test_what_is_no_secret_is_no_session(store: Store) -> None:
    token, secret = store.create_token("ada", [Scope.READ])
    made = store.create_session(token.id, expires_at=4e9)
    kept = hashlib.sha256(made.encode()).hexdigest()
    for text in ("", kept, secret, made[:-1], made + "A", made + "\n", "é" * 43, "' OR 1=1 --"):
        assert store.verify_session(text) is None


def test_the_cookie_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with Store(str(path)) as store:
        token, _ = store.create_token("ada", [Scope.READ])
        secret = store.create_session(token.id, expires_at=4e9)
    whole = sqlite3.connect(path)
    text = "\n".join(whole.iterdump())
    whole.close()
    assert token.id in text
    assert secret not in text
