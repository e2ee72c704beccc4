"""``sloguard token``: made, shown once, listed without secrets, ended; all of it in the audit log."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sloguard.adapters.store import Store
from sloguard.cli.token import SCOPES, command
from sloguard.ports.service import Scope


def run(store: Path, *words: str) -> Result:
    group, *rest = words
    return CliRunner().invoke(command, [group, *rest, "--store", str(store)])


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def test_the_scopes_are_those_of_the_service() -> None:
    assert {str(scope) for scope in Scope} == set(SCOPES)


def test_a_token_is_shown_once_alone_on_stdout(store: Path) -> None:
    made = run(store, "create", "ci", "--scope", "read", "--scope", "run", "--expires", "12h")
    assert made.exit_code == 0, made.output
    secret = made.stdout.strip()
    assert "ci (read, run), valid until" in made.stderr
    with Store(str(store)) as opened:
        token = opened.verify_token(secret)
        assert token is not None
        assert token.scopes == {Scope.READ, Scope.RUN}
        assert token.expires_at is not None
        assert token.expires_at - token.created_at == pytest.approx(12 * 3600, abs=5)
        assert token.created_by.startswith("cli:")
        [entry] = opened.audit_entries()
    assert (entry.action, entry.target) == ("token.create", f"token:{token.id}")
    assert secret.rpartition("_")[2] not in str(entry)
    for format_ in ("text", "json"):
        listed = run(store, "list", "-o", format_)
        assert "ci" in listed.stdout
        assert secret.rpartition("_")[2] not in listed.output


def test_for_programs_as_json(store: Path) -> None:
    made = json.loads(
        run(store, "create", "bot", "--scope", "webhook", "--expires", "never", "-o", "json").stdout
    )
    assert (made["name"], made["scopes"], made["expires"]) == ("bot", ["webhook"], None)
    with Store(str(store)) as opened:
        assert opened.verify_token(made["secret"]) is not None
    [listed] = json.loads(run(store, "list", "-o", "json").stdout)
    assert "secret" not in listed
    assert (listed["token"], listed["state"]) == (made["token"], "valid")


def test_revoked_by_its_name_or_its_id(store: Path) -> None:
    first = json.loads(run(store, "create", "a", "--scope", "read", "-o", "json").stdout)
    second = json.loads(run(store, "create", "b", "--scope", "read", "-o", "json").stdout)
    assert run(store, "revoke", "a").exit_code == 0
    assert run(store, "revoke", second["token"]).exit_code == 0
    with Store(str(store)) as opened:
        assert [opened.verify_token(t["secret"]) for t in (first, second)] == [None, None]
        assert [e.action for e in opened.audit_entries(limit=2)] == ["token.revoke"] * 2
    # A name is free again once its token is over.
    assert run(store, "create", "a", "--scope", "read").exit_code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("create", "a b", "--scope", "read"), "no name for a token"),
        (("create", "a\nb", "--scope", "read"), "no name for a token"),
        (("create", "x" * 65, "--scope", "read"), "no name for a token"),
        (("create", "a"), "Missing option '--scope'"),
        (("create", "a", "--scope", "root"), "'root' is not one of"),
        (("create", "a", "--scope", "read", "--expires", "soon"), "--expires"),
        (("create", "a", "--scope", "read", "--expires", "0s"), "--expires"),
        (("create", "taken", "--scope", "read"), "a valid token 'taken' already"),
        (("revoke", "nobody"), "there is no token 'nobody'"),
    ],
)
def test_mistakes_are_told(store: Path, words: Sequence[str], said: str) -> None:
    assert run(store, "create", "taken", "--scope", "read").exit_code == 0
    answer = run(store, *words)
    assert answer.exit_code == 2
    assert said in answer.stderr
    with Store(str(store)) as opened:
        assert [token.name for token in opened.tokens()] == ["taken"]


def test_an_empty_store_says_what_to_do(store: Path) -> None:
    assert "sloguard token create NAME" in run(store, "list").stdout
