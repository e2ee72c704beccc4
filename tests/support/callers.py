"""Those who call a guarded service in tests: tokens, browsers, and pages of somewhere else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask.testing import FlaskClient

from sloguard.ports.service import Scope, Token
from tests.support.service import NOW, World

_CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')


def make_token(
    world: World, *scopes: Scope, name: str = "", lasts: float | None = 3600.0
) -> tuple[Token, str]:
    """A token, and its secret."""
    until = None if lasts is None else NOW + lasts
    return world.store.create_token(name or "-".join(scopes), scopes, expires_at=until)


def bearer(secret: str) -> dict[str, str]:
    """The header that shows it."""
    return {"Authorization": f"Bearer {secret}"}


def csrf_in(page: Any) -> str:
    """The token of the first form of a page."""
    found = _CSRF.search(page.get_data(as_text=True))
    assert found, page.get_data(as_text=True)
    return found.group(1)


@dataclass
class Browser:
    """A browser that is logged in, or tries to."""

    client: FlaskClient

    def log_in(self, secret: str, **fields: str) -> Any:
        """Open the form and send it."""
        page = self.client.get("/login")
        given = {"csrf_token": csrf_in(page), "token": secret, **fields}
        return self.client.post("/login", data=given)

    def cookie(self, name: str = "sloguard_session") -> str:
        """What it keeps."""
        found = self.client.get_cookie(name)
        return "" if found is None else found.value


def browser(world: World, *scopes: Scope, secret: str = "") -> Browser:
    """A browser, logged in with a new token of these scopes, or with this one."""
    made = Browser(world.client)
    if scopes and not secret:
        _, secret = make_token(world, *scopes)
    if secret:
        assert made.log_in(secret).status_code == 303
    return made


def cookies_of(answer: Any) -> Sequence[str]:
    """The cookies that an answer sets, as they were sent."""
    return answer.headers.getlist("Set-Cookie")
