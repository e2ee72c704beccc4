"""An HTTP server at the level of sockets, which answers as a test says: well, badly, slowly, never."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Request:
    """One request as it came. ``connection`` counts the connections from 1."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    connection: int

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def params(self) -> dict[str, list[str]]:
        """Of the URL and of a form."""
        form = parse_qs(self.body.decode()) if self.body else {}
        return {**parse_qs(urlsplit(self.target).query), **form}


class Line:
    """The server's side of a connection, for an answer to write on."""

    def __init__(self, sock: socket.socket, closing: threading.Event) -> None:
        self._sock = sock
        self.closing = closing

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def trickle(self, data: bytes, every: float = 0.02) -> None:
        """Send byte by byte, over and over, until the server is closed or the client has gone."""
        while not self.closing.is_set():
            for byte in data:
                self.send(bytes([byte]))
                if self.closing.wait(every):
                    return

    def hold(self) -> None:
        """Say nothing until the server is closed."""
        self.closing.wait()


#: Writes an answer; False: the connection is closed after it.
Answer = Callable[[Line], bool]
Script = Callable[[Request], Answer]


def reply(
    body: bytes | str | Mapping[str, Any],
    status: int = 200,
    kind: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """A whole answer."""
    data = json.dumps(body).encode() if isinstance(body, Mapping) else body
    data = data.encode() if isinstance(data, str) else data
    lines = {"Content-Type": kind, "Content-Length": str(len(data)), **(headers or {})}
    head = f"HTTP/1.1 {status} Said\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items())

    def write(line: Line) -> bool:
        line.send(head.encode() + b"\r\n" + data)
        return True

    return write


def raw(data: bytes) -> Answer:
    """Bytes as they are, then the end of the connection."""

    def write(line: Line) -> bool:
        line.send(data)
        return False

    return write


def silence(line: Line) -> bool:
    """Accepts, and never answers."""
    line.hold()
    return False


def hang_up(line: Line) -> bool:
    """Closes without a word."""
    return False


def trickled(head: bytes, rest: bytes) -> Answer:
    """Says ``head`` at once and ``rest`` byte by byte for ever."""

    def write(line: Line) -> bool:
        line.send(head)
        line.trickle(rest)
        return False

    return write


def in_turn(*answers: Answer) -> Script:
    """One answer a request; the last for all that follow."""
    left = list(answers)
    lock = threading.Lock()

    def script(request: Request) -> Answer:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return script


@dataclass
class HttpDouble:
    """The server. ``tls``: a context makes it speak TLS. Use it as a context manager."""

    script: Script
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    host: str = "127.0.0.1"

    def __enter__(self) -> HttpDouble:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._closing = threading.Event()
        self._listener = socket.create_server((self.host, 0), family=family)
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        # Wakes accept(), which close() alone does not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._sockets:
            _shut(sock)
        for thread in self._threads:
            thread.join(5)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    def _accept(self) -> None:
        count = 0
        while not self._closing.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            count += 1
            self._sockets.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock, count), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        try:
            # So that a small piece is sent at once, and a test knows what has arrived.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire = self.tls.wrap_socket(sock, server_side=True) if self.tls else sock
            if self.tls:
                self._sockets.append(wire)
            with wire, wire.makefile("rb") as stream:
                while (request := _read(stream, number)) is not None:
                    self.requests.append(request)
                    if not self.script(request)(Line(wire, self._closing)):
                        return
        except OSError:
            # The client has gone, which is its right.
            return
        finally:
            _shut(sock)


def _read(stream: Any, number: int) -> Request | None:
    first = stream.readline().decode("latin-1").split()
    if len(first) != 3:
        return None
    headers: dict[str, str] = {}
    while line := stream.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", 0)))
    return Request(first[0], first[1], headers, body, number)


def _shut(sock: socket.socket) -> None:
    # It may be closed already.
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()
