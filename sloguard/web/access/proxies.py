"""Who is at the other end when proxies are between: their headers count only where they are ours."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sloguard.ports.service import ServiceError

if TYPE_CHECKING:
    from sloguard.settings.groups import ServeSettings

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Environ = dict[str, Any]
#: Set for requests that came straight from a trusted proxy. No header of a request can have this name.
BY_PROXY = "sloguard.by_proxy"
#: A longer chain is somebody's invention.
_MOST_HOPS = 20


def networks(given: Iterable[str]) -> tuple[Network, ...]:
    """Addresses and networks; raises ServiceError with what is none."""
    found = []
    for text in given:
        try:
            found.append(ipaddress.ip_network(text.strip(), strict=False))
        except ValueError:
            raise ServiceError(
                f"serve.trusted_proxies: expected an address or a network such as 10.0.0.0/8, found '{text}'"
            ) from None
    return tuple(found)


def variable(header: str) -> str:
    """A header's name as WSGI has it."""
    return f"HTTP_{header.strip().upper().replace('-', '_')}"


class Proxies:
    """Around the application: puts the client's address and scheme where everything else looks for them.

    Of a peer that is no trusted proxy, every header is dropped that only a proxy may send.
    """

    def __init__(self, serve: ServeSettings, app: Callable[..., Any]) -> None:
        self._app = app
        self._trusted = networks(serve.trusted_proxies)
        headers = (serve.proxy_user_header, serve.proxy_groups_header)
        self._theirs = tuple(variable(name) for name in headers if name.strip())
        self._is_trusted = lru_cache(maxsize=4096)(self._looked_up)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Any:
        """WSGI."""
        if self._is_trusted(str(environ.get("REMOTE_ADDR", ""))):
            self._believe(environ)
        else:
            for name in self._theirs:
                environ.pop(name, None)
        return self._app(environ, start_response)

    def _believe(self, environ: Environ) -> None:
        environ[BY_PROXY] = True
        hops = str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(",")
        for text in reversed(hops[-_MOST_HOPS:]):
            hop = _address(text)
            if hop is None:
                # What stands before it was written by whoever wrote this.
                break
            environ["REMOTE_ADDR"] = hop
            if not self._is_trusted(hop):
                break
        scheme = str(environ.get("HTTP_X_FORWARDED_PROTO", "")).rpartition(",")[2].strip().lower()
        if scheme in ("http", "https"):
            environ["wsgi.url_scheme"] = scheme

    def _looked_up(self, text: str) -> bool:
        address = _address(text)
        if address is None:
            return False
        found = ipaddress.ip_address(address)
        return any(found in network for network in self._trusted)


def _address(text: str) -> str | None:
    """An address without its port, in its usual form; None where it is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)
