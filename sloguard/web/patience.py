"""How long a client may take: gunicorn's threads alone would wait for slow ones as long as these like.

A connection gets a thread once it has sent something, and then so many seconds for the head of a request,
for its body, and to take what it is sent. That holds for all of it, not for each piece.
"""

from __future__ import annotations

import errno
import selectors
import socket
import time
from functools import partial
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

#: Seconds until the first byte, for the head, for the body; and for one piece of an answer to leave.
SILENCE, HEAD, BODY, ANSWER = 10.0, 10.0, 60.0, 60.0


class Hurried:
    """A socket that reads until a deadline. Whatever else is asked of it, the socket itself does."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock = sock
        self.until = until

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def setblocking(self, flag: bool) -> None:
        """Blocking: as long as it takes to send one piece."""
        self._sock.settimeout(ANSWER if flag else 0.0)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Raises ConnectionResetError once the deadline has passed, as for a client that went away."""
        before = self._sock.gettimeout()
        left = self.until - time.monotonic()
        if left <= 0:
            raise _too_slow()
        self._sock.settimeout(left if before is None else min(before, left))
        try:
            return self._sock.recv(size, flags)
        except TimeoutError:
            if time.monotonic() >= self.until:
                raise _too_slow() from None
            raise
        finally:
            self._sock.settimeout(before)


def _too_slow() -> ConnectionResetError:
    return ConnectionResetError(errno.ECONNRESET, "the client took too long")


class Impatient(ThreadWorker):
    """gunicorn's process of threads, with limits on how long each client may take."""

    def accept(self, listener: socket.socket) -> None:
        """Take a connection; no thread waits for its first byte."""
        if not self.alive:
            super().accept(listener)
            return
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        self.nr_conns += 1
        conn = TConn(self.cfg, client, address, listener.getsockname())
        conn.timeout = time.monotonic() + SILENCE
        self.pending_conns.append(conn)
        readable = partial(self.on_pending_socket_readable, conn)
        self.poller.register(client, selectors.EVENT_READ, readable)

    def handle(self, conn: TConn) -> Any:
        """One request of a connection, in a thread."""
        _hurried(conn).until = time.monotonic() + HEAD
        return super().handle(conn)

    def handle_request(self, req: Any, conn: TConn) -> Any:
        """The head is there: now the body."""
        _hurried(conn).until = time.monotonic() + BODY
        return super().handle_request(req, conn)


def _hurried(conn: Any) -> Hurried:
    if not isinstance(conn.sock, Hurried):
        conn.sock = Hurried(conn.sock, 0.0)
    return conn.sock
