"""Requests to an API server over the Kubernetes client's connections: one deadline for a call with all
its tries, retries only where they cannot do harm, every failure one of the port's errors."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from urllib3 import BaseHTTPResponse, HTTPHeaderDict, PoolManager
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NewConnectionError,
    SSLError,
)
from urllib3.util import Timeout

from sloguard.adapters.kubernetes_config import Connection, KubernetesSettings
from sloguard.adapters.kubernetes_errors import refusal
from sloguard.core.masking import Masker
from sloguard.ports import ClusterError, ClusterUnauthorized, ClusterUnreachable

JSON = "application/json"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
#: Credentials are read anew after a 401, but not more often than this, seconds.
_RENEW = 1.0
_PIECE = 1 << 16


class Http:
    """One API server. Any thread may call."""

    def __init__(
        self,
        settings: KubernetesSettings,
        connect: Callable[[], Connection],
        *,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self._settings, self._connect, self._wait = settings, connect, wait
        self._guard = threading.Lock()
        self._renewed = float("-inf")
        self.connection = connect()
        self._pool = _pool(self.connection)
        self._offset = 0.0

    @property
    def where(self) -> str:
        """The server as errors name it."""
        parts = urlsplit(str(self.connection.configuration.host))
        return f"{self.connection.context} ({parts.scheme}://{parts.netloc.rpartition('@')[2]})"

    def now(self) -> float:
        """The server's clock, from the Date of its last answer."""
        return time.time() + self._offset

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        *,
        content_type: str = JSON,
        again: bool,
        timeout: float | None = None,
    ) -> Any:
        """The JSON of the answer. ``again``: sending it twice does no harm. Raises ClusterError.

        An error has ``maybe_done`` set where an earlier try may have been carried out.
        """
        data = self._answered(
            method, path, query, body, content_type=content_type, again=again, timeout=timeout
        )
        try:
            return json.loads(data) if data else {}
        except ValueError as error:
            raise ClusterError(
                f"{self.where} answers {method} {path} with something that is not JSON: is it an API server?"
            ) from error

    def text(self, method: str, path: str, query: Mapping[str, str] | None = None) -> str:
        """An answer that is plain text, such as a log; for what does no harm twice. Raises ClusterError."""
        data = self._answered(method, path, query, None, again=True, accept="*/*")
        return data.decode("utf-8", "replace")

    def _answered(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Any,
        *,
        content_type: str = JSON,
        again: bool,
        timeout: float | None = None,
        accept: str = JSON,
    ) -> bytes:
        """The body of the answer, after as many tries as there is time for."""
        seconds = self._settings.timeout if timeout is None else timeout
        ends, pause, tries = time.monotonic() + seconds, _FIRST_PAUSE, 0
        maybe_done = renewed = False
        while True:
            tries += 1
            try:
                return self._once(method, path, query, body, content_type, ends, accept)
            except ClusterUnauthorized:
                # Tokens are rotated: once more with what the file or plugin gives now.
                if renewed or not self._renew():
                    raise
                renewed = True
            except ClusterUnreachable as error:
                maybe_done = maybe_done or error.applied is None
                asked = error.retry_after or 0.0
                delay = max(pause, asked)
                if not (again or error.applied is False) or time.monotonic() + delay >= ends:
                    raise self._final(error, tries, maybe_done) from error.__cause__
                self._wait(delay)
                pause = min(pause * 2, _LONGEST_PAUSE)
            except ClusterError as error:
                error.maybe_done = maybe_done
                raise

    def stream(
        self, path: str, query: Mapping[str, str], *, silence: float
    ) -> Iterator[dict[str, Any]]:
        """The events of a watch, one JSON object a line, until the server ends it. Raises ClusterError."""
        ends = time.monotonic() + self._settings.connect_timeout + silence
        answer = self._send("GET", path, query, None, JSON, ends, read=silence)
        try:
            if answer.status != 200:
                raise self._refused("GET", path, answer, answer.read(), JSON)
            rest = b""
            for piece in answer.stream(_PIECE, decode_content=True):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    if line.strip():
                        yield json.loads(line)
        except (HTTPError, OSError, ValueError) as error:
            raise self._away("GET", path, error, sent=True) from error
        finally:
            answer.close()

    def authorization(self) -> HTTPHeaderDict:
        """Headers that every request bears; a name may be there several times."""
        headers = HTTPHeaderDict({"User-Agent": "sloguard"})
        for name, value in self.connection.headers:
            headers.add(name, value)
        for setting in self.connection.configuration.auth_settings().values():
            if setting["in"] == "header" and setting["value"]:
                headers[str(setting["key"])] = str(setting["value"])
        return headers

    def masked(self, text: str) -> str:
        """The text without the credentials."""
        keys = self.connection.configuration.api_key.values()
        return Masker([word for key in keys for word in str(key).split() if len(word) > 6]).text(
            text
        )

    def _once(
        self,
        method: str,
        path: str,
        query: Any,
        body: Any,
        content_type: str,
        ends: float,
        accept: str,
    ) -> bytes:
        answer = self._send(method, path, query, body, content_type, ends, accept=accept)
        try:
            data = b"".join(answer.stream(_PIECE, decode_content=True))
        except (HTTPError, OSError) as error:
            raise self._away(method, path, error, sent=True) from error
        finally:
            answer.release_conn()
        self._see_clock(answer)
        if not 200 <= answer.status < 300:
            raise self._refused(method, path, answer, data, content_type, body)
        return data

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Any,
        content_type: str,
        ends: float,
        read: float | None = None,
        accept: str = JSON,
    ) -> BaseHTTPResponse:
        left = max(ends - time.monotonic(), 0.001)
        connect = min(left, self._settings.connect_timeout)
        timeout = (
            Timeout(connect=connect, read=read) if read else Timeout(total=left, connect=connect)
        )
        url = str(self.connection.configuration.host).rstrip("/") + path
        if query:
            url += "?" + urlencode(query)
        headers = self.authorization()
        headers["Accept"] = accept
        if body is not None:
            headers["Content-Type"] = content_type
        try:
            return self._pool.request(
                method,
                url,
                body=None if body is None else json.dumps(body).encode(),
                headers=headers,
                timeout=timeout,
                # Whether to try again is decided here, where it is known what does harm.
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except (HTTPError, OSError) as error:
            raise self._away(method, path, error, sent=not _not_connected(error)) from error

    def _away(self, method: str, path: str, error: Exception, *, sent: bool) -> ClusterError:
        reason = _reason(error)
        if _distrusts(error):
            return ClusterError(f"{self.where} is not trusted: {reason}")
        text = f"{self.where} does not answer {method} {path}: {reason}"
        return ClusterUnreachable(self.masked(text), applied=None if sent else False)

    def _refused(
        self,
        method: str,
        path: str,
        answer: BaseHTTPResponse,
        data: bytes,
        content_type: str,
        body: Any = None,
    ) -> ClusterError:
        tested = content_type == JSON_PATCH and any(o.get("op") == "test" for o in body or ())
        asked = f"{self.where}: {method} {path}"
        error = refusal(asked, answer.status, data, _seconds(answer), tested=tested)
        error.args = (self.masked(str(error)),)
        # A server that is too busy has not begun; one that breaks may have finished.
        if isinstance(error, ClusterUnreachable) and answer.status == 429:
            error.applied = False
        return error

    def _final(self, error: ClusterUnreachable, tries: int, maybe_done: bool) -> ClusterError:
        often = "" if tries == 1 else f" ({tries} tries)"
        return ClusterUnreachable(
            f"{error}{often}",
            applied=None if maybe_done else error.applied,
            status=error.status,
            reason=error.reason,
            causes=error.causes,
            retry_after=error.retry_after,
        )

    def _see_clock(self, answer: BaseHTTPResponse) -> None:
        try:
            # The Date has whole seconds: half of one is the best guess at the rest.
            told = parsedate_to_datetime(answer.headers["Date"]).timestamp() + 0.5
        except (KeyError, TypeError, ValueError):
            return
        offset = told - time.time()
        # Within the resolution of the header there is nothing to correct.
        self._offset = offset if abs(offset) > 1.0 else 0.0

    def _renew(self) -> bool:
        with self._guard:
            if time.monotonic() - self._renewed < _RENEW:
                return False
            self._renewed = time.monotonic()
            self.connection = self._connect()
            self._pool = _pool(self.connection)
            return True


def _pool(connection: Connection) -> PoolManager:
    """The Kubernetes client's own pool (its TLS, its proxies), over connections that keep to deadlines."""
    from kubernetes.client.rest import RESTClientObject

    from sloguard.adapters.prometheus_sockets import spanned

    connection.configuration.connection_pool_maxsize = 16
    pool: PoolManager = RESTClientObject(connection.configuration).pool_manager
    return spanned(pool)


def _innermost(error: BaseException) -> BaseException:
    return error.reason if isinstance(error, MaxRetryError) and error.reason else error


def _not_connected(error: Exception) -> bool:
    """Whether the request cannot have reached anybody."""
    found = _innermost(error)
    return isinstance(found, ConnectTimeoutError | NewConnectionError) or _distrusts(error)


def _distrusts(error: Exception) -> bool:
    """Whether one side does not take the other's TLS; a connection that broke off is no such thing."""
    found = _innermost(error)
    broken = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
    return isinstance(found, SSLError) and not any(isinstance(arg, broken) for arg in found.args)


def _reason(error: Exception) -> str:
    found = _innermost(error)
    text = str(found.__cause__ or found.args[-1] if found.args else found)
    return " ".join(text.split())[:200] or type(found).__name__


def _seconds(answer: BaseHTTPResponse) -> float | None:
    try:
        return min(max(float(answer.headers["Retry-After"]), 0.0), 60.0)
    except (KeyError, ValueError):
        return None
