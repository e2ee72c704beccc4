"""Who can reach the service, and so whether it has to ask for credentials, and under which names it answers."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sloguard.web.problems import Problem

if TYPE_CHECKING:
    from sloguard.settings.groups import ServeSettings

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::[0-9]{1,5})?")
_BIND = re.compile(r"(\[[^\]]*\]|[^:]*)(?::[0-9]+)?")
#: What only a proxy adds.
_PASSED_ON = frozenset(
    {"HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_X_FORWARDED_HOST"}
)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bound_host(serve: ServeSettings) -> str:
    """The host of ``bind``, without its port."""
    found = _BIND.match(serve.bind)
    return found.group(1).strip("[]") if found else ""


def wants_auth(serve: ServeSettings) -> bool:
    """Whether credentials are asked for.

    ``auto``: unless the address is loopback, and neither a base_url nor a proxy makes it known to others.
    """
    if serve.auth != "auto":
        return serve.auth == "on"
    known_as = urlsplit(serve.base_url).hostname or "localhost"
    alone = is_loopback(bound_host(serve)) and is_loopback(known_as)
    return not alone or bool(serve.trusted_proxies)


def is_open_to_others(serve: ServeSettings) -> bool:
    """Whether everybody who reaches it from elsewhere may do everything."""
    return not wants_auth(serve) and not is_loopback(bound_host(serve))


def is_https(serve: ServeSettings) -> bool:
    """Whether people reach it by https, as far as the settings know."""
    return serve.base_url.lower().startswith("https://")


class Hosts:
    """Which names the service answers to.

    A page of elsewhere can have its own name lead here (DNS rebinding) and would then be of the same origin:
    where nobody is asked for credentials, only addresses, loopback names and those of the settings count.
    Where credentials are asked for, any name does, unless ``hosts`` names those that do.
    """

    def __init__(self, serve: ServeSettings) -> None:
        known = {host.strip().lower().rstrip(".") for host in serve.hosts}
        named = urlsplit(serve.base_url).hostname
        self._known = known | ({named.lower()} if named else set())
        self._strict = not wants_auth(serve) or bool(known)
        self._suspicious = serve.auth == "auto" and not wants_auth(serve)
        self._fine: set[str] = set()

    def check(self, environ: Mapping[str, object]) -> None:
        """Raises a Problem for a request that was meant for somebody else."""
        host = environ.get("HTTP_HOST")
        if host is not None and host not in self._fine:
            self._look(str(host))
        if self._suspicious and not environ.keys().isdisjoint(_PASSED_ON):
            raise Problem(
                "forbidden",
                "this request came through a proxy, and the service asks nobody for credentials: "
                "set serve.auth to on, or to off if the proxy asks for them",
            )

    def _look(self, host: str) -> None:
        found = _HOST.fullmatch(host)
        if found is None:
            raise Problem("malformed", "the Host header is none")
        name = found.group(1).lower().rstrip(".")
        if self._strict and name not in self._known and not _is_safe(name):
            raise Problem(
                "misdirected", "this service does not go by this name: add it to serve.hosts"
            )
        if len(self._fine) < 1000:
            self._fine.add(host)


def _is_safe(name: str) -> bool:
    """An address cannot be made to lead elsewhere; nor can these names."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
