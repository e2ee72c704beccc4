"""A small HTTP server for tests, with paths for each thing that can go wrong."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.patience import PATIENCE
from tests.support.prompt_server import PromptServer


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    peer: tuple[str, int]


@dataclass
class Web:
    """A running server: its address and what it was asked."""

    port: int
    scheme: str = "http"
    seen: list[Seen] = field(default_factory=list)
    #: Requests for /gate wait until it is set.
    gate: threading.Event = field(default_factory=threading.Event)
    one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body leave in two pieces; the second must not wait for a delayed acknowledgement.
    disable_nagle_algorithm = True
    web: Web

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.web.seen.append(
            Seen(
                self.command,
                parts.path,
                parse_qs(parts.query),
                dict(self.headers.items()),
                body,
                self.client_address,
            )
        )
        name = parts.path.strip("/").partition("/")[0] or "ok"
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            getattr(self, f"_{name}", self._missing)(parts.path)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = _serve  # noqa: N815 - the base class asks for these names

    def _answer(self, status: int, kind: str, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for header, value in headers.items():
            self.send_header(header, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _missing(self, _path: str) -> None:
        self._answer(404, "text/html", b"<html>no such page</html>")

    def _ok(self, _path: str) -> None:
        self._answer(200, "text/plain; charset=utf-8", b"ok")

    def _json(self, _path: str) -> None:
        self._answer(200, "application/json", json.dumps({"n": 1, "l": ["é"]}).encode())

    def _jsonutf(self, _path: str) -> None:
        self._answer(200, "application/json; charset=utf-8", b'{"n": 1}')

    def _brokenjson(self, _path: str) -> None:
        self._answer(200, "application/json", b"{nope")

    def _latin(self, _path: str) -> None:
        self._answer(200, "text/plain; charset=latin-1", "é".encode("latin-1"))

    def _plain(self, _path: str) -> None:
        self._answer(200, "text/plain", "é".encode())

    def _status(self, path: str) -> None:
        self._answer(int(path.rsplit("/", 1)[1]), "text/plain", b"it is\nso")

    def _redirect(self, _path: str) -> None:
        self._answer(302, "text/plain", b"", Location="/json")

    def _once(self, path: str) -> None:
        # Closes a kept connection without having announced it.
        self._ok(path)
        self.close_connection = True

    def _stall(self, path: str) -> None:
        # The first request holds everybody up, as a garbage collector would.
        with self.web.one_at_a_time:
            if len([s for s in self.web.seen if s.path == "/stall"]) == 1:
                time.sleep(1.0)
        self._ok(path)

    def _slow(self, path: str) -> None:
        time.sleep(float(path.rsplit("/", 1)[1]))
        self._ok(path)

    def _gate(self, path: str) -> None:
        self.web.gate.wait(PATIENCE)
        self._ok(path)

    def _drip(self, _path: str) -> None:
        # A byte now and then keeps every read timeout from firing.
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        for _ in range(1000):
            self.wfile.write(b".")
            self.wfile.flush()
            if self.web.gate.wait(0.1):
                return

    def _big(self, _path: str) -> None:
        self._answer(200, "application/json", b"[" + b"1," * (3 << 20) + b"1]")

    def _chunked(self, _path: str) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"3\r\nabc\r\n10;x=y\r\n0123456789abcdef\r\n0\r\nTrailer: x\r\n\r\n")

    def _close(self, _path: str) -> None:
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"until the end")
        self.close_connection = True

    def _hangup(self, _path: str) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _nobody(self, _path: str) -> None:
        self.send_response(204)
        self.end_headers()

    def _continue(self, path: str) -> None:
        self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
        self._ok(path)

    def log_message(self, *args: Any) -> None:
        pass


class _Server(PromptServer):
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients of these tests hang up on purpose


@contextlib.contextmanager
def serve(context: ssl.SSLContext | None = None) -> Iterator[Web]:
    """A server on a free loopback port, until the block ends."""
    web = Web(0, "https" if context else "http")
    handler = type("Handler", (_Handler,), {"web": web})
    server = _Server(("127.0.0.1", 0), handler)
    if context:
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    web.port = server.server_address[1]
    thread = server.begin()
    try:
        yield web
    finally:
        web.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()
