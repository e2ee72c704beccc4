"""Grafana's HTTP API, as far as sloguard needs it: annotations, and whether a dashboard is there.

Source: Grafana's HTTP API, v9 to v13. Every request has one deadline, nothing is retried here, redirects
are not followed, and every failure is a GrafanaError without a secret in it.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import msgspec
from requests import PreparedRequest, Response, Session
from requests.auth import AuthBase, _basic_auth_str
from requests.exceptions import RequestException
from requests.utils import get_environ_proxies
from urllib3.exceptions import HTTPError, InsecureRequestWarning
from urllib3.util import Timeout

from sloguard.adapters.prometheus_errors import connection_problem, excerpt, shorten
from sloguard.adapters.prometheus_sockets import SpanAdapter
from sloguard.core.masking import Masker
from sloguard.ports import OutsideError

#: Far more than any answer that is asked for here.
_MOST_BYTES = 8 << 20
_PIECE = 1 << 16
#: Annotations that one look gives at most; more with one id there cannot be.
_MOST_FOUND = 100


class GrafanaError(OutsideError):
    """Grafana did not do what was asked. ``status``: of its answer, None without one.

    ``own``: it was Grafana that answered, no proxy before it. ``id``: its ``messageId``, if it gave one. ``retry_after``: seconds that it asked for. ``maybe``: it may
    have done it all the same.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        own: bool = False,
        id: str = "",
        retry_after: float | None = None,
        maybe: bool = False,
    ) -> None:
        super().__init__(message)
        self.status, self.own, self.id = status, own, id
        self.retry_after, self.maybe = retry_after, maybe


@dataclass(frozen=True, slots=True, kw_only=True)
class GrafanaAccess:
    """How one Grafana is reached. Raises ValueError, with every problem at once.

    ``url``: base address with the path prefix; a user and password in it are basic authentication.
    ``token_file`` is read for every request. ``org_id`` 0: that of the token or user. ``deadline``: of one
    request, seconds.
    """

    url: str = field(repr=False)
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    org_id: int = 0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    verify: bool = True
    deadline: float = 10.0

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise ValueError("Grafana: " + "; ".join(problems))

    @property
    def address(self) -> str:
        """The URL without credentials and without a slash at its end: safe to show."""
        parts = urlsplit(self.url.strip())
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme.lower(), host, parts.path.rstrip("/"), "", ""))

    @property
    def basic(self) -> tuple[str, str] | None:
        """User and password, from the fields or from inside the URL."""
        if self.username:
            return self.username, self.password
        parts = urlsplit(self.url.strip())
        if parts.username:
            return unquote(parts.username), unquote(parts.password or "")
        return None


def _problems(access: GrafanaAccess) -> Iterator[str]:
    try:
        parts = urlsplit(access.url.strip())
        _ = parts.port
    except ValueError:
        # The parser's own text may show what stands before the @.
        yield "the address is not a URL; expected e.g. https://grafana.example.com"
        return
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        yield "the address must begin with http:// or https:// and name a host"
    if parts.query or parts.fragment:
        yield "the address must end with the host or a path: leave out '?…' and '#…'"
    given = {
        "a user in the address": bool(parts.username),
        "a username": bool(access.username),
        "a token": bool(access.token),
        "a token file": access.token_file is not None,
    }
    named = [what for what, is_given in given.items() if is_given]
    if len(named) > 1:
        yield f"{' and '.join(named)} are both set; keep one"
    if access.password and not access.username:
        yield "a password is set, but no username"
    if access.key_file and not access.cert_file:
        yield "a key file is set, but no certificate file"
    for name, value in access.headers.items():
        if any(c in name + value for c in "\r\n\0") or not name.strip():
            yield f"the header {name!r} holds a line break or has no name"


class Grafana:
    """One Grafana. Times are seconds since the epoch, UTC. One thread at a time."""

    def __init__(self, access: GrafanaAccess) -> None:
        self.access = access
        self.where = f"Grafana at {access.address}"
        self._authorization = _Authorization(access)
        self._session = _session(access, self._authorization)

    def add(self, annotation: Mapping[str, Any]) -> int:
        """Make an annotation; its number."""
        made = self._asked("POST", "/api/annotations", json=annotation)
        number = made.get("id") if isinstance(made, dict) else None
        if not isinstance(number, int) or isinstance(number, bool):
            raise GrafanaError(f"{self.where} gave no number for an annotation", maybe=True)
        return number

    def patch(self, number: int, change: Mapping[str, Any]) -> None:
        """Change an annotation; what is not named stays."""
        self._asked("PATCH", f"/api/annotations/{number}", json=change)

    def delete(self, number: int) -> None:
        """Remove an annotation."""
        self._asked("DELETE", f"/api/annotations/{number}")

    def find(self, tags: Sequence[str], start: float, end: float) -> list[int]:
        """Numbers of the annotations with all these tags that touch a span, oldest first."""
        params: dict[str, Any] = {
            "tags": list(tags),
            "from": milliseconds(start),
            "to": milliseconds(end),
            "type": "annotation",
            "limit": _MOST_FOUND,
        }
        found = self._asked("GET", "/api/annotations", params=params)
        if not isinstance(found, list):
            raise GrafanaError(f"{self.where} answers with no list of annotations")
        wanted = set(tags)
        # Whoever does not know the filter would give all.
        mine = [a for a in found if isinstance(a, dict) and wanted <= set(a.get("tags") or ())]
        return sorted(int(a["id"]) for a in mine if isinstance(a.get("id"), int))

    def dashboard(self, uid: str) -> str:
        """The title of a dashboard; GrafanaError with status 404 where there is none."""
        found = self._asked("GET", f"/api/dashboards/uid/{quote(uid, safe='')}")
        inner = found.get("dashboard") if isinstance(found, dict) else None
        if not isinstance(inner, dict):
            raise GrafanaError(f"{self.where} answers with no dashboard")
        return str(inner.get("title") or uid)

    def version(self) -> str:
        """Its version, where it tells."""
        found = self._asked("GET", "/api/health")
        return str(found.get("version") or "") if isinstance(found, dict) else ""

    def organisation(self) -> str:
        """The name of the organisation that it counts us to."""
        found = self._asked("GET", "/api/org")
        name = found.get("name") if isinstance(found, dict) else None
        if not isinstance(name, str):
            raise GrafanaError(f"{self.where} does not name the organisation")
        return name

    def _asked(self, method: str, path: str, **options: Any) -> Any:
        try:
            return self._answered(method, path, options)
        except GrafanaError as error:
            secrets = self._authorization.secrets
            error.args = (Masker(secrets).text(str(error)),)
            raise

    def _answered(self, method: str, path: str, options: dict[str, Any]) -> Any:
        seconds = self.access.deadline
        try:
            response = self._session.request(
                method,
                self.access.address + path,
                # requests takes urllib3's own Timeout, which alone knows a total.
                timeout=Timeout(total=seconds, connect=seconds),  # type: ignore[arg-type]
                allow_redirects=False,
                stream=True,
                **options,
            )
            with response:
                body = self._body(response)
        except (RequestException, HTTPError, OSError) as error:
            reason, _, _ = connection_problem(error)
            raise GrafanaError(f"{self.where} cannot be reached: {reason}", maybe=True) from error
        if response.status_code == 200:
            return self._decoded(response, body)
        raise self._refusal(response, body)

    def _body(self, response: Response) -> bytes:
        body = b""
        for piece in response.raw.stream(_PIECE, decode_content=True):
            body += piece
            if len(body) > _MOST_BYTES:
                raise GrafanaError(f"{self.where} answers with more than {_MOST_BYTES} bytes")
        return body

    def _decoded(self, response: Response, body: bytes) -> Any:
        try:
            return msgspec.json.decode(body)
        except msgspec.DecodeError:
            said = excerpt(response.headers.get("Content-Type", ""), body)
            raise GrafanaError(
                f"{self.where} answered with {said}, not as Grafana's API does; check the address and "
                "its path prefix, and whether a login stands before it",
                maybe=True,
            ) from None

    def _refusal(self, response: Response, body: bytes) -> GrafanaError:
        status = response.status_code
        said, id = _message(body)
        own = bool(said)
        said = said or excerpt(response.headers.get("Content-Type", ""), body)
        hint = _HINTS.get(status, "")
        if 300 <= status < 400:
            target = response.headers.get("Location", "").partition("?")[0]
            target = target.partition("//")[2].rpartition("@")[2] or target
            said = f"a redirect to {shorten(target, 200) or 'nowhere'}; give the address where it lives"
        return GrafanaError(
            f"{self.where} answered {status}: {shorten(said)}{hint}",
            status=status,
            own=own,
            id=id,
            retry_after=_seconds(response.headers.get("Retry-After", "")),
            maybe=status >= 500,
        )


_HINTS: Mapping[int, str] = {
    401: " (check the token, or user and password, and the organisation)",
    403: " (the account may not do this: it needs the role Editor, or annotations:create, :write and :read)",
}


class _Authorization(AuthBase):
    """Basic, or a bearer token; a token file is read for every request, as it may change at any time."""

    def __init__(self, access: GrafanaAccess) -> None:
        self._access = access
        self._token = access.token

    @property
    def secrets(self) -> list[str]:
        """Every value that must not be shown."""
        basic = self._access.basic or ("", "")
        return [basic[1], self._access.password, self._token, *self._access.headers.values()]

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        if self._access.basic:
            user, password = (part.encode("utf-8") for part in self._access.basic)
            request.headers["Authorization"] = _basic_auth_str(user, password)
        if self._access.token_file is not None:
            self._token = _read(self._access.token_file)
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _session(access: GrafanaAccess, authorization: AuthBase) -> Session:
    session = Session()
    session.headers.update({"Accept": "application/json", "User-Agent": "sloguard"})
    session.headers.update(access.headers)
    if access.org_id:
        session.headers["X-Grafana-Org-Id"] = str(access.org_id)
    session.auth = authorization
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    # Neither ~/.netrc nor the environment of one request may overrule what is given here.
    session.trust_env = False
    session.proxies = get_environ_proxies(access.address)
    named = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    session.verify = access.verify and (str(access.ca_file) if access.ca_file else named or True)
    if access.cert_file:
        session.cert = (str(access.cert_file), str(access.key_file or access.cert_file))
    if not access.verify:
        # It was asked for in as many words; a warning for every request says nothing new.
        warnings.filterwarnings("ignore", category=InsecureRequestWarning)
    for prefix in ("http://", "https://"):
        session.mount(prefix, SpanAdapter(1))
    return session


def milliseconds(seconds: float) -> int:
    """As Grafana counts time."""
    return round(seconds * 1000.0)


def _read(file: Path) -> str:
    try:
        token = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise GrafanaError(f"the token file {file} cannot be read: {reason}") from error
    if not token or not token.isprintable():
        raise GrafanaError(f"the token file {file} holds no token")
    return token


def _message(body: bytes) -> tuple[str, str]:
    """What a refusal says, and its ``messageId``."""
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return "", ""
    if not isinstance(found, dict):
        return "", ""
    title, said = str(found.get("title") or ""), str(found.get("message") or "")
    return ": ".join(filter(None, [title, said])), str(found.get("messageId") or "")


def _seconds(text: str) -> float | None:
    """Of Retry-After: seconds, or a date."""
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None
