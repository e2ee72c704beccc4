"""Connections whose timeout is for a whole exchange, not for one read.

A server that sends a byte a second never lets a usual socket time out. Here ``settimeout(s)`` starts a
span of ``s`` seconds, and every later read or write gets only what is left of it. urllib3 calls it at the
start of a request and again before the answer, with what its own total leaves.
"""

from __future__ import annotations

import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.ssl_ import create_urllib3_context, resolve_cert_reqs

if TYPE_CHECKING:
    from urllib3._base_connection import BaseHTTPConnection
    from urllib3.util.connection import _TYPE_SOCKET_OPTIONS

    _Socket = socket.socket
else:
    _Socket = object

#: A peer that does not acknowledge for so long is gone (its node died): better a new connection.
UNACKNOWLEDGED_MS = 10_000

_OPTIONS: _TYPE_SOCKET_OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
]
if hasattr(socket, "TCP_USER_TIMEOUT"):
    _OPTIONS.append((socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS))


class _Spanned(_Socket):
    """The span, as a mix-in for plain and TLS sockets."""

    _until: float | None = None

    def settimeout(self, value: float | None) -> None:
        self._until = None if value is None else time.monotonic() + value
        super().settimeout(value)

    def _spend(self) -> None:
        if self._until is None:
            return
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        super().settimeout(left)

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self._spend()
        return super().recv_into(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self._spend()
        return super().sendall(*args, **kwargs)


class _PlainSocket(_Spanned, socket.socket):
    pass


class _TlsSocket(_Spanned, ssl.SSLSocket):
    pass


def resolve(
    host: str, port: int, seconds: float, lookup: Callable[..., Any] = socket.getaddrinfo
) -> list[Any]:
    """The addresses of a host within ``seconds``; raises TimeoutError or socket.gaierror.

    The C library cannot be interrupted, and with a dead name server it takes minutes, so a thread asks.
    """
    answer: queue.Queue[Any] = queue.Queue()

    def ask() -> None:
        try:
            answer.put(lookup(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answer.put(error)

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        found = answer.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError("no answer from the name servers in time") from None
    if isinstance(found, UnicodeError):
        raise socket.gaierror(socket.EAI_NONAME, "not a host name") from found
    if isinstance(found, Exception):
        raise found
    return list(found)


def connect(host: str, port: int, seconds: float, options: _TYPE_SOCKET_OPTIONS) -> socket.socket:
    """A connected socket, all addresses of a name tried, within ``seconds``; raises OSError."""
    until = time.monotonic() + seconds
    last: OSError = OSError(f"no address for {host}")
    for family, kind, protocol, _, address in resolve(host, port, seconds):
        sock = _PlainSocket(family, kind, protocol)
        try:
            for option in options:
                sock.setsockopt(*option)
            sock.settimeout(max(until - time.monotonic(), 0.001))
            sock.connect(address)
        except TimeoutError:
            sock.close()
            last = TimeoutError("no connection in time")
        except OSError as error:
            sock.close()
            last = error
        else:
            # What is left of the span is for the TLS handshake.
            sock.settimeout(max(until - time.monotonic(), 0.001))
            return sock
    raise last


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        # The timeout is always set: the adapter below is only used with one.
        seconds = float(self.timeout or 0.0)
        try:
            return connect(self._dns_host, self.port, seconds, self.socket_options or [])
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, str(error)) from error
        except OSError as error:
            raise NewConnectionError(self, f"no connection: {error}") from error


class _TlsConnection(HTTPSConnection):
    _new_conn = _Connection._new_conn

    def connect(self) -> None:
        # A context of its own for every connection: certificates that were renewed are read again.
        self.ssl_context = create_urllib3_context(cert_reqs=resolve_cert_reqs(self.cert_reqs))
        self.ssl_context.sslsocket_class = _TlsSocket
        super().connect()


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection

    def _validate_conn(self, conn: BaseHTTPConnection) -> None:
        # Without a warning for every connection where the settings say that the server is not verified.
        if conn.is_closed:
            conn.connect()


class SpanAdapter(HTTPAdapter):
    """requests' adapter over these connections; it does not retry by itself."""

    def __init__(self, connections: int) -> None:
        super().__init__(pool_connections=4, pool_maxsize=connections, max_retries=0)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any
    ) -> None:
        super().init_poolmanager(
            connections, maxsize, block=block, socket_options=_OPTIONS, **pool_kwargs
        )
        spanned(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        return spanned(super().proxy_manager_for(proxy, **proxy_kwargs))


def spanned(manager: PoolManager) -> PoolManager:
    """Let this manager make such connections from now on."""
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
    return manager
