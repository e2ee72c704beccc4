"""Which addresses the http providers of a service may call: those of the operator's list, and metadata
services never, whatever name they are called by."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from sloguard.ports.service import ServiceError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
#: All addresses that a name has now; raises OSError where there is none.
Resolve = Callable[[str], Iterable[str]]

_PORTS = {"http": 80, "https": 443}
# Clouds tell secrets to whoever asks here. Most are link-local; these are the others.
_METADATA = frozenset(
    map(
        ipaddress.ip_address,
        ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"),
    )
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_STRANGE = re.compile(r"[\x00-\x20\x7f\\]")


def resolved(host: str) -> list[str]:
    """The addresses of a name by the system's own resolver."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(entry[4][0]).partition("%")[0] for entry in found]


@dataclass(frozen=True, slots=True)
class _Pattern:
    scheme: re.Pattern[str]
    host: re.Pattern[str]
    port: int | None
    any_port: bool
    path: re.Pattern[str] | None

    def fits(self, parts: SplitResult) -> bool:
        scheme = parts.scheme.lower()
        port = parts.port or _PORTS.get(scheme)
        wanted = self.port or _PORTS.get(scheme)
        if not self.scheme.fullmatch(scheme) or not self.host.fullmatch(_host(parts)):
            return False
        if not self.any_port and port != wanted:
            return False
        return self.path is None or bool(self.path.fullmatch(_path(parts)))


class UrlRules:
    """Says why a URL may not be called, or None where it may; ``address`` says it of an address.

    ``patterns``: ``http://*.shop.svc:8080/*``, with ``*`` for any text within the host or within the path; no
    port is the scheme's own, no path is any; ``*`` alone is everything. Raises ServiceError for a pattern that
    is none. A name is looked up here, and whoever connects asks ``address`` again about where it got to.
    """

    def __init__(self, patterns: Iterable[str], resolve: Resolve = resolved) -> None:
        self._patterns = tuple(_pattern(text) for text in patterns)
        self._resolve = resolve

    def __call__(self, url: str) -> str | None:
        """Why not, or None."""
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError:
            return "it is not a URL"
        host = _host(parts)
        if parts.scheme.lower() not in _PORTS or not host or _STRANGE.search(url):
            return "it is not a plain http or https address"
        if not self._patterns:
            return "the operator has allowed none: see the setting serve.allow_urls"
        if not any(pattern.fits(parts) for pattern in self._patterns):
            return f"{host} is not among those that the operator has allowed (serve.allow_urls)"
        try:
            found = list(self._resolve(host))
        except OSError:
            # Whoever connects will say it better.
            return None
        return next((why for text in found if (why := self.address(text))), None)

    def address(self, text: str) -> str | None:
        """Why nothing at this address may be called, or None."""
        try:
            plain = _unwrapped(ipaddress.ip_address(text.partition("%")[0]))
        except ValueError:
            return "it is no address"
        if plain.is_link_local or plain.is_multicast or plain in _METADATA:
            return f"{plain} is link-local, or a metadata service"
        return None


def _unwrapped(address: Address) -> Address:
    """An IPv4 address that is dressed as an IPv6 one."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return inner or address
    return address


def _host(parts: SplitResult) -> str:
    return (parts.hostname or "").rstrip(".").lower()


def _path(parts: SplitResult) -> str:
    """As a server would see it; what climbs out of its place fits nothing."""
    path = unquote(parts.path) or "/"
    return "\0" if any(piece in (".", "..") for piece in path.split("/")) else path


def _pattern(text: str) -> _Pattern:
    text = text.strip()
    if text == "*":
        text = "*://*:*"
    scheme, marks, rest = text.partition("://")
    host, slash, path = rest.partition("/")
    name, port = _split_port(host)
    if not marks or not name or "@" in host or scheme not in ("*", *_PORTS):
        raise _unfit(text)
    if port not in ("", "*") and not (port.isdigit() and 0 < int(port) < 65536):
        raise _unfit(text)
    return _Pattern(
        _glob(scheme, "[a-z]*"),
        _glob(name.strip("[]").lower(), r"[^/]*"),
        int(port) if port.isdigit() else None,
        port == "*",
        _glob(f"/{path}", ".*") if slash else None,
    )


def _split_port(host: str) -> tuple[str, str]:
    if host.startswith("["):
        name, _, port = host.partition("]")
        return f"{name}]", port.removeprefix(":")
    name, _, port = host.partition(":")
    return name, port


def _glob(text: str, anything: str) -> re.Pattern[str]:
    return re.compile(anything.join(map(re.escape, text.split("*"))), re.DOTALL)


def _unfit(text: str) -> ServiceError:
    return ServiceError(
        f"serve.allow_urls: expected an address such as http://*.shop.svc:8080/*, found '{text}'"
    )
