"""A server that answers the same to everybody, byte for byte: what the corpus of experiments asks."""

from __future__ import annotations

import contextlib
import gzip
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

JSON = json.dumps({"items": [{"n": 1}, {"n": 2}], "name": "ünï"}).encode()
#: Said back by /echo, of what a client sends: the rest tells which client it is.
ECHOED = ("content-type", "x-word", "x-token", "x-empty", "x-number")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    closing: threading.Event

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        self.sent = self.rfile.read(length).decode()
        name, _, rest = parts.path.strip("/").partition("/")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLError):
            getattr(self, f"_{name}", self._text)(rest)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = _serve  # noqa: N815 - the base class asks for these names

    def _answer(self, status: int, kind: str, body: bytes = b"", **headers: str) -> None:
        self.send_response_only(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            **headers,
        }.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _text(self, _rest: str) -> None:
        self._answer(200, "text/plain; charset=utf-8", b"plain text", X_Own="yes")

    def _echo(self, _rest: str) -> None:
        said = {
            "method": self.command,
            "query": urlsplit(self.path).query,
            "headers": {k: v for k, v in self.headers.items() if k.lower() in ECHOED},
            "body": self.sent,
        }
        self._answer(200, "application/json", json.dumps(said).encode())

    def _json(self, _rest: str) -> None:
        self._answer(200, "application/json", JSON)

    def _list(self, _rest: str) -> None:
        self._answer(200, "application/json", b'[1, null, {"a": "b"}]')

    def _jsonutf(self, _rest: str) -> None:
        self._answer(200, "application/json; charset=utf-8", b'{"ok": true}')

    def _problem(self, _rest: str) -> None:
        self._answer(400, "application/problem+json", b'{"title": "no"}')

    def _brokenjson(self, _rest: str) -> None:
        self._answer(200, "application/json", b"{nope")

    def _empty(self, _rest: str) -> None:
        self._answer(204, "text/plain; charset=utf-8")

    def _utf8(self, _rest: str) -> None:
        self._answer(200, "text/plain; charset=utf-8", "ünï ☕".encode())

    def _plainutf(self, _rest: str) -> None:
        self._answer(200, "text/plain", "ünï ☕".encode())

    def _latin(self, _rest: str) -> None:
        self._answer(200, "text/plain; charset=latin-1", "ünï".encode("latin-1"))

    def _gzip(self, _rest: str) -> None:
        self._answer(200, "application/json", gzip.compress(JSON, mtime=0), Content_Encoding="gzip")

    def _chunks(self, _rest: str) -> None:
        self.send_response_only(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"3\r\none\r\n4\r\n two\r\n0\r\n\r\n")

    def _status(self, rest: str) -> None:
        self._answer(int(rest), "text/plain; charset=utf-8", b"as asked")

    def _redirect(self, rest: str) -> None:
        self._answer(int(rest), "text/plain; charset=utf-8", Location="/echo")

    def _bearer(self, _rest: str) -> None:
        known = ("Bearer l1teral-token", "Bearer from-the-environment")
        fits = self.headers.get("Authorization") in known
        self._answer(200 if fits else 401, "text/plain; charset=utf-8", b"hm")

    def _slow(self, rest: str) -> None:
        self.closing.wait(float(rest))
        self._text(rest)

    def _hangup(self, _rest: str) -> None:
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that does not trust the certificate, or has gone."""


@contextlib.contextmanager
def serving(certificate: Path | None = None, key: Path | None = None) -> Iterator[str]:
    """Serve on a free port; gives the address. With ``certificate``: over TLS."""
    closing = threading.Event()
    handler = type("Handler", (_Handler,), {"closing": closing})
    with _Server(("127.0.0.1", 0), handler) as server:
        scheme = "http"
        if certificate is not None:
            scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            # The handshake belongs into the connection's own thread.
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"{scheme}://127.0.0.1:{server.server_address[1]}"
        finally:
            closing.set()
            server.shutdown()
            thread.join()
