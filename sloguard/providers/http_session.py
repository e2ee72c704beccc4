"""requests, made interruptible: every socket is known, so that it can be cut from another thread."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from sloguard.providers.result import AddressPolicy, UrlPolicy

if TYPE_CHECKING:
    from sloguard.providers.http import Request

# The author of an experiment who writes ``verify_tls: false`` knows, and need not be told each time.
urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

_CHUNK = 64 * 1024


class Forbidden(Exception):
    """A policy does not allow a URL."""


class Connections:
    """The sockets of one call, as duplicates: TLS and pools may do with the originals what they like."""

    def __init__(self, allow: UrlPolicy | None = None) -> None:
        self._guard = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._cut = False
        self._allow = allow if isinstance(allow, AddressPolicy) else None

    def add(self, opened: socket.socket) -> None:
        """A connection was opened; refused once the call is cut, and where the policy forbids its address.

        A name may lead elsewhere by now than when the policy looked.
        """
        reason = self._allow.address(str(opened.getpeername()[0])) if self._allow else None
        if reason:
            opened.close()
            raise Forbidden(f"this URL may not be called: {reason}")
        with self._guard:
            if self._cut:
                opened.close()
                raise ConnectionAbortedError("the call was stopped")
            self._sockets.append(socket.socket(fileno=os.dup(opened.fileno())))

    def cut(self) -> None:
        """Shut every connection down: whoever waits on one gets an error at once."""
        with self._guard:
            self._cut = True
            for known in self._sockets:
                with contextlib.suppress(OSError):
                    known.shutdown(socket.SHUT_RDWR)

    def forget(self) -> None:
        """Close the duplicates; nothing new can be opened from here on."""
        with self._guard:
            self._cut = True
            for known in self._sockets:
                known.close()
            self._sockets.clear()


class _Adapter(HTTPAdapter):
    """Makes every connection known to ``connections``, proxies' included."""

    def __init__(self, connections: Connections, retries: int) -> None:
        self._connections = connections
        super().__init__(max_retries=retries)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _pools(self._connections)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _pools(self._connections)
        return manager


def _pools(connections: Connections) -> dict[str, Any]:
    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            opened = super()._new_conn()
            connections.add(opened)
            return opened

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            opened = super()._new_conn()
            connections.add(opened)
            return opened

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


class _Session(requests.Session):
    def __init__(self, allow: UrlPolicy | None) -> None:
        super().__init__()
        self._allow = allow

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        # Redirects come through here as well.
        reason = self._allow(request.url or "") if self._allow else None
        if reason:
            raise Forbidden(f"this URL may not be called: {reason}")
        return super().send(request, **kwargs)


def send(
    request: Request, connections: Connections, allow: UrlPolicy | None, most: int
) -> tuple[requests.Response, bytes, bool]:
    """The answer, at most ``most`` bytes of its body, and whether some of it was left out."""
    with _Session(allow) as session:
        adapter = _Adapter(connections, request.retries)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        with session.request(
            request.method,
            request.url,
            headers=dict(request.headers),
            timeout=(request.connect, request.read),
            verify=request.verify,
            stream=True,
            **_payload(request),
        ) as response:
            body = bytearray()
            for chunk in response.iter_content(_CHUNK):
                body += chunk
                if len(body) > most:
                    return response, bytes(body[:most]), True
            return response, bytes(body), False


def _payload(request: Request) -> dict[str, Any]:
    if request.method == "GET":
        return {"params": request.arguments}
    declared = {name.lower(): text for name, text in request.headers.items()}
    if declared.get("content-type", "").partition(";")[0].strip() == "application/json":
        return {"json": request.arguments}
    return {"data": request.arguments}
