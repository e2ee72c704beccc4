"""What of the settings of access cannot be meant, and what has to be said when the service starts."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from sloguard.ports.service import ServiceError, Token, Tokens
from sloguard.web.access.authentication import scopes_of_users
from sloguard.web.access.exposure import is_open_to_others, wants_auth
from sloguard.web.access.proxies import networks

if TYPE_CHECKING:
    from sloguard.settings.groups import ServeSettings

_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
#: A proxy hands these on as they came.
_OF_CLIENTS = frozenset({"authorization", "cookie", "host", "origin", "x-csrf-token"})


class Misfit(NamedTuple):
    """A setting that cannot be meant."""

    setting: str
    message: str
    expected: str = ""
    hint: str = ""


def misfits(serve: ServeSettings) -> Iterator[Misfit]:
    """Everything that is wrong with who may do what."""
    for setting, check in (
        ("serve.trusted_proxies", lambda: networks(serve.trusted_proxies)),
        ("serve.proxy_scopes", lambda: scopes_of_users(serve.proxy_scopes)),
    ):
        try:
            check()
        except ServiceError as error:
            yield Misfit(setting, str(error).partition(": ")[2])
    for setting in ("proxy_user_header", "proxy_groups_header"):
        name = getattr(serve, setting).strip()
        if name and (not _HEADER.fullmatch(name) or name.lower() in _OF_CLIENTS):
            expected = "a header that only the proxy sets, such as X-Forwarded-User"
            yield Misfit(f"serve.{setting}", f"found '{name}'", expected)
    if serve.proxy_user_header.strip() and not serve.trusted_proxies:
        yield Misfit(
            "serve.proxy_user_header",
            "no proxy is trusted, so nobody could be named by it",
            hint="name the proxy's address in serve.trusted_proxies",
        )
    base = urlsplit(serve.base_url)
    if serve.base_url and (base.scheme not in ("http", "https") or not base.hostname):
        yield Misfit("serve.base_url", f"found '{serve.base_url}'", "https://HOST")
    elif base.path.strip("/") or base.query:
        yield Misfit("serve.base_url", "the service cannot live under a path", "https://HOST")


def told(serve: ServeSettings, tokens: Tokens) -> Iterator[str]:
    """Warnings for whoever starts it. Raises OutsideError where the store does not answer."""
    if is_open_to_others(serve):
        yield (
            f"AUTHENTICATION IS OFF and {serve.bind} is no loopback address: EVERYBODY who reaches it may "
            "run experiments, stop them and delete them (serve.auth)"
        )
    elif not wants_auth(serve):
        yield "nobody is asked for credentials: every user of this machine may do everything"
    elif not serve.proxy_user_header and not any(map(_is_valid, tokens.tokens())):
        yield (
            "nobody can log in yet: there is no token. Make one, in the same store, with "
            "'sloguard token create NAME --scope admin'"
        )


def _is_valid(token: Token) -> bool:
    lasts = token.expires_at is None or token.expires_at > time.time()
    return token.revoked_at is None and lasts
