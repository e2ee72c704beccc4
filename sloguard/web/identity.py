"""Who asks, and what they may do. Every endpoint declares the scope it needs; here it is held against it.

``Identify`` is the one seam of authentication: what it returns for a request decides. Without one
everybody may do everything: see ``access.exposure`` for when that is so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from flask import g

from sloguard.ports.service import Scope
from sloguard.web.problems import Problem

if TYPE_CHECKING:
    from flask import Request

#: The scope of what anybody may ask: whether the service lives, and who they are.
PUBLIC = "public"

#: What a scope includes beside itself.
_INCLUDES = {
    Scope.READ: frozenset({Scope.READ}),
    Scope.RUN: frozenset({Scope.RUN, Scope.READ}),
    Scope.WEBHOOK: frozenset({Scope.WEBHOOK}),
    Scope.ADMIN: frozenset(Scope),
}


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks: ``name`` as the audit log has it (``token:ci``, ``user:ada``), and the scopes given.

    ``via``: what shows it: a ``token`` in a header; a ``session``, a ``proxy`` or a password (``basic``), which a
    browser brings along whoever has asked it to; ``open``: nothing, nobody is asked. ``token``: the id of the
    token behind it.
    """

    name: str
    scopes: frozenset[Scope]
    via: str = "token"
    token: str = ""

    def may(self, scope: Scope) -> bool:
        """Whether one of the scopes includes this one."""
        return scope in _reach(self.scopes)


@cache
def _reach(scopes: frozenset[Scope]) -> frozenset[Scope]:
    """Everything that these scopes include."""
    return frozenset(one for given in scopes for one in _INCLUDES[given])


#: None: the request shows no credentials. Credentials that are wrong raise a Problem (401).
Identify = Callable[["Request"], Identity | None]

_ANYBODY = Identity("anonymous", frozenset({Scope.ADMIN}), via="open")


_BEARER = 'Bearer realm="sloguard"'
_ASKED = {str(Scope.WEBHOOK): f'{_BEARER}, Basic realm="sloguard", charset="UTF-8"'}


def anybody(_request: Request) -> Identity:
    """Authentication is off: whoever reaches this may do everything."""
    return _ANYBODY


def who() -> Identity:
    """Who sent the request in hand."""
    found: Identity = g.who
    return found


def check(identity: Identity | None, scope: str) -> None:
    """Raises a Problem: 401 for a stranger, 403 for somebody who may not."""
    if scope == PUBLIC:
        return
    if identity is None:
        raise Problem(
            "unauthorized",
            "this needs credentials: send 'Authorization: Bearer TOKEN'",
            headers={"WWW-Authenticate": _ASKED.get(scope, _BEARER)},
        )
    if not identity.may(Scope(scope)):
        have = ", ".join(sorted(identity.scopes)) or "none"
        raise Problem("forbidden", f"this needs the scope '{scope}'; yours: {have}")
