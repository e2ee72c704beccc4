"""How Prometheus is reached: address, credentials, TLS, deadlines. No network, no heavy import."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

Compression = Literal["auto", "gzip", "identity"]

#: Prometheus answers at most 11,000 points a series, and works on 20 queries at a time.
MAX_POINTS = 11_000
MAX_CONCURRENCY = 19
_CLUSTER_SUFFIXES = (".svc", ".cluster.local", ".localhost")


@dataclass(frozen=True, slots=True)
class PrometheusSettings:
    """Everything about one Prometheus, Thanos, Mimir or VictoriaMetrics.

    ``url``: base address, with the path prefix if there is one; a user and password inside it are taken
    as basic authentication. ``username``/``password``: basic authentication; ``token`` or ``token_file``
    (read again for every request): a bearer token; at most one of the three. ``headers``: sent with
    every request (``X-Scope-OrgID``); their values are treated as secrets. ``params``: query parameters
    sent with every query. ``ca_file``: a PEM bundle to trust instead of the usual authorities;
    ``cert_file`` and ``key_file``: the client certificate; ``verify`` False: any certificate will do.

    ``deadline`` (s) bounds a call with all its retries and pieces; ``connect_timeout`` (s) one connection.
    ``retries``: how often a failed connection and 502, 503, 504 are tried again, after ``backoff``,
    twice that, … (s); one that has too much to do (429) until the deadline. ``concurrency``: requests under
    way at once, fewer while the server has too much to do. ``compression``: ``auto`` asks for gzip
    unless the server is near (this host, this cluster), where compressing costs more than it saves.
    ``max_points``: longest series the server answers, ``max_window``: longest time (s), 0 for any; longer
    windows are cut and joined.
    ``max_bytes``: an answer above this is refused.

    Raises ValueError, with every problem at once, for settings that do not fit.
    """

    url: str = field(default="http://127.0.0.1:9090", repr=False)
    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    verify: bool = True
    deadline: float = 30.0
    connect_timeout: float = 5.0
    retries: int = 4
    backoff: float = 0.25
    concurrency: int = 8
    compression: Compression = "auto"
    max_points: int = MAX_POINTS
    max_window: float = 0.0
    max_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        problems = [*_address_problems(self), *_credential_problems(self), *_limit_problems(self)]
        if problems:
            raise ValueError("Prometheus: " + "; ".join(problems))

    @property
    def address(self) -> str:
        """The URL without credentials and without a trailing slash: safe to show."""
        parts = urlsplit(self.url.strip())
        path = parts.path.rstrip("/").removesuffix("/api/v1").rstrip("/")
        return urlunsplit((parts.scheme.lower(), _host_and_port(parts), path, "", ""))

    @property
    def basic(self) -> tuple[str, str] | None:
        """User and password, from the fields or from inside the URL."""
        if self.username:
            return self.username, self.password
        parts = urlsplit(self.url.strip())
        if parts.username:
            return unquote(parts.username), unquote(parts.password or "")
        return None

    @property
    def encoding(self) -> str:
        """What is asked for in Accept-Encoding."""
        if self.compression == "auto":
            return "identity" if is_near(urlsplit(self.url).hostname or "") else "gzip"
        return self.compression

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every value that must not be shown (a token file's content aside)."""
        user_and_password = self.basic or ("", "")
        return tuple(filter(None, (user_and_password[1], self.token, *self.headers.values())))


def is_near(host: str) -> bool:
    """Whether a host is this one or in this cluster: loopback, ``*.svc``, ``*.cluster.local``, no dots."""
    name = host.lower().rstrip(".")
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return "." not in name or name.endswith(_CLUSTER_SUFFIXES)


def _host_and_port(parts: SplitResult) -> str:
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{parts.port}" if parts.port is not None else shown


def _address_problems(settings: PrometheusSettings) -> list[str]:
    try:
        parts = urlsplit(settings.url.strip())
        _ = parts.port
    except ValueError:
        # The parser's own text may show what stands before the @.
        return ["the address is not a URL; expected e.g. http://prometheus:9090"]
    problems = []
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        problems.append("the address must begin with http:// or https:// and name a host")
    if parts.query or parts.fragment:
        problems.append("the address must end with the host or a path: leave out '?…' and '#…'")
    return problems


def _credential_problems(settings: PrometheusSettings) -> list[str]:
    problems = []
    try:
        in_url = bool(urlsplit(settings.url.strip()).username)
    except ValueError:
        in_url = False
    given = {
        "a user and password in the address": in_url,
        "a username": bool(settings.username),
        "a token": bool(settings.token),
        "a token file": settings.token_file is not None,
    }
    named = [what for what, is_given in given.items() if is_given]
    if len(named) > 1:
        problems.append(f"{' and '.join(named)} are both set; keep one")
    if settings.password and not settings.username:
        problems.append("a password is set, but no username")
    if settings.key_file and not settings.cert_file:
        problems.append("a key file is set, but no certificate file")
    for what, file in (
        ("CA", settings.ca_file),
        ("certificate", settings.cert_file),
        ("key", settings.key_file),
        ("token", settings.token_file),
    ):
        if file is not None and not file.exists():
            problems.append(f"the {what} file {file} does not exist")
    for name, value in settings.headers.items():
        if any(c in name + value for c in "\r\n\0") or not name.strip():
            problems.append(f"the header {name!r} holds a line break or has no name")
    return problems


def _limit_problems(settings: PrometheusSettings) -> list[str]:
    problems = []
    for name in ("deadline", "connect_timeout"):
        value = getattr(settings, name)
        if not 0 < value < float("inf"):
            problems.append(f"{name} must be a number of seconds above 0, not {value}")
    if settings.retries < 0 or settings.backoff < 0:
        problems.append("retries and backoff must be 0 or more")
    if not 1 <= settings.concurrency <= MAX_CONCURRENCY:
        problems.append(f"concurrency must be 1 to {MAX_CONCURRENCY}, not {settings.concurrency}")
    if settings.compression not in ("auto", "gzip", "identity"):
        problems.append(f"compression must be auto, gzip or identity, not {settings.compression}")
    if not 1 <= settings.max_points <= MAX_POINTS:
        problems.append(f"max_points must be 1 to {MAX_POINTS}, not {settings.max_points}")
    if settings.max_window < 0:
        problems.append(f"max_window must be 0 or more seconds, not {settings.max_window}")
    if settings.max_bytes < 1:
        problems.append("max_bytes must be above 0")
    return problems
