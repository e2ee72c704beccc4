"""Credentials: bearer tokens, basic authentication of webhooks, sessions of browsers, users of a trusted proxy."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from sloguard.ports.service import Scope, ServiceError, Session, Token
from sloguard.web.access.auditing import Auditor
from sloguard.web.access.browsers import SESSION, Browsers
from sloguard.web.access.limits import Attempts
from sloguard.web.access.proxies import BY_PROXY, variable
from sloguard.web.identity import Identity
from sloguard.web.problems import Problem

if TYPE_CHECKING:
    from flask import Request

    from sloguard.settings.groups import ServeSettings

_WEBHOOKS = frozenset({Scope.WEBHOOK})
_ID = re.compile(r"slg_([0-9a-f]{12})_", re.ASCII)
_NAME = re.compile(r"[\x21-\x2b\x2d-\x7e]{1,200}", re.ASCII)
EVERYBODY, GROUP = "*", "group:"


class Known(Protocol):
    """The part of ports.service.Tokens and Sessions that is needed here."""

    def verify_token(self, secret: str) -> Token | None:
        """The valid token of a secret."""
        ...

    def verify_session(self, secret: str) -> Session | None:
        """The session of a cookie."""
        ...


class Authenticator:
    """identity.Identify over the store, and over what a trusted proxy says."""

    def __init__(
        self, known: Known, serve: ServeSettings, attempts: Attempts, auditor: Auditor
    ) -> None:
        self._known = known
        self._attempts, self._auditor = attempts, auditor
        self._browsers = Browsers(serve)
        self._users = ProxyUsers(serve) if serve.proxy_user_header.strip() else None

    def __call__(self, request: Request) -> Identity | None:
        """None: the request shows no credentials. Raises a Problem for wrong ones."""
        given = request.environ.get("HTTP_AUTHORIZATION")
        if given is not None:
            return self._by_header(str(given), request.remote_addr or "")
        secret = self._browsers.cookie(SESSION)
        if secret:
            # One that is over is no attempt at anything: its owner has to log in again.
            session = self._known.verify_session(secret)
            if session is not None:
                return of_token(session.token, "session")
        if self._users is not None and request.environ.get(BY_PROXY):
            return self._users.identity(request.environ)
        return None

    def _by_header(self, given: str, address: str) -> Identity:
        scheme, _, text = given.partition(" ")
        text = text.strip()
        if scheme.lower() == "bearer":
            return of_token(self.token(text, address))
        if scheme.lower() == "basic":
            # Alertmanager and its like can send nothing else; people would leave it in their browsers.
            found = of_token(self.token(_password(text), address))
            scopes = _WEBHOOKS if found.may(Scope.WEBHOOK) else frozenset()
            return replace(found, scopes=scopes, via="basic")
        raise unauthorized("the Authorization header is read as 'Bearer TOKEN'")

    def token(self, secret: str, address: str) -> Token:
        """The token of a secret. Raises a Problem: 401 for a wrong one, 429 after too many of these."""
        self._attempts.check(address, secret)
        found = self._known.verify_token(secret) if secret.isascii() else None
        if found is None:
            if self._attempts.wrong(address):
                named = _ID.match(secret)
                target = f"token:{named.group(1)}" if named else ""
                self._auditor.add("stranger", address, "credentials.refused", target)
            raise unauthorized("this token is unknown, expired or revoked")
        self._attempts.right(secret)
        return found


def of_token(token: Token, via: str = "token") -> Identity:
    """Who shows this token."""
    return Identity(f"token:{token.name}", token.scopes, via=via, token=token.id)


def unauthorized(why: str) -> Problem:
    """401, with how it is done."""
    header = {"WWW-Authenticate": 'Bearer realm="sloguard"'}
    return Problem("unauthorized", why, headers=header)


def _password(text: str) -> str:
    try:
        user, _, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise unauthorized("the basic authentication cannot be read") from None
    # Some tools have a field for the user alone.
    return password or user


class ProxyUsers:
    """Users that a trusted proxy has let in, and what they may do: by name, by group, and everybody."""

    def __init__(self, serve: ServeSettings) -> None:
        self._user = variable(serve.proxy_user_header)
        groups = serve.proxy_groups_header.strip()
        self._groups = variable(groups) if groups else ""
        self._scopes = scopes_of_users(serve.proxy_scopes or {EVERYBODY: Scope.READ})

    def identity(self, environ: Mapping[str, object]) -> Identity | None:
        """Who the proxy says it is; None where it names nobody. Raises a Problem for what is no name."""
        name = str(environ.get(self._user, "")).strip()
        if not name:
            return None
        # A comma: the header came twice, and one of them may be the client's own.
        if not _NAME.fullmatch(name):
            raise unauthorized("the proxy's header does not name one user")
        scopes = set(self._scopes.get(EVERYBODY, ())) | set(self._scopes.get(name, ()))
        if self._groups:
            for group in str(environ.get(self._groups, "")).split(","):
                scopes |= self._scopes.get(f"{GROUP}{group.strip()}", frozenset())
        return Identity(f"user:{name}", frozenset(scopes), via="proxy")


def scopes_of_users(given: Mapping[str, str]) -> Mapping[str, frozenset[Scope]]:
    """``{"*": "read", "group:sre": "run", "ada": "admin"}``; raises ServiceError with what is none."""
    found = {}
    for name, text in given.items():
        words = [word for word in re.split(r"[+\s]+", text.strip().lower()) if word]
        try:
            found[name.strip()] = frozenset(Scope(word) for word in words)
        except ValueError:
            known = ", ".join(Scope)
            raise ServiceError(
                f"serve.proxy_scopes: expected {known}, or several with + between, found '{text}'"
            ) from None
    return found
