"""How long a client may take: gunicorn's threads alone would wait for slow ones as long as these like.

A client has so many seconds for the head of a request, for its body, and to take a piece of what it is
sent. That holds for all of it, however small the pieces are in which it comes.
"""

from __future__ import annotations

import errno
import re
import selectors
import socket
import time
from functools import partial
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

#: Seconds for the head (with a small body), for a large body, and for one piece of an answer to leave.
HEAD, BODY, ANSWER = 10.0, 60.0, 60.0
#: A body up to this size is small, bytes. Who may send a larger one has to show who they are.
SMALL = 64 << 10
#: More than gunicorn's limits let pass.
_LARGEST_HEAD = 128 << 10
_PIECE = 64 << 10
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*\r\n", re.IGNORECASE)


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

    def at_hand(self, size: int) -> bytes:
        """What a socket that does not block has now, whenever that was to be."""
        return self._sock.recv(size)


def _too_slow() -> ConnectionResetError:
    return ConnectionResetError(errno.ECONNRESET, "the client took too long")


class Impatient(ThreadWorker):
    """gunicorn's process of threads, with limits on how long each client may take.

    A request gets a thread once its head is there, and its body too unless that is large: until then the
    one thread that watches all connections collects it.
    """

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
        self._collect(conn, bytearray())

    def on_client_socket_readable(self, conn: TConn, client: Any) -> None:
        """A connection that was kept for more requests has another one; mostly all of it at once."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        begun = bytearray()
        if not self._begins(conn, begun):
            self._collect(conn, begun)

    def finish_request(self, conn: TConn, fs: Any) -> None:
        """An answer has left. What has come behind its request is the beginning of another one."""
        parser: Any = conn.parser
        answered = not fs.cancelled() and fs.exception() is None and fs.result() is True
        behind = parser.unreader.take_buffered() if answered else b""
        if not behind:
            super().finish_request(conn, fs)
        elif is_enough(behind):
            parser.unreader.unread(behind)
            self.enqueue_req(conn)
        else:
            conn.sock.setblocking(False)
            self._collect(conn, bytearray(behind))

    def _collect(self, conn: TConn, begun: bytearray) -> None:
        """Wait for the rest of a request."""
        conn.timeout = time.monotonic() + HEAD
        self.pending_conns.append(conn)
        readable = partial(self._on_piece, conn, begun)
        self.poller.register(conn.sock, selectors.EVENT_READ, readable)

    def _on_piece(self, conn: TConn, begun: bytearray, client: Any) -> None:
        if self._begins(conn, begun):
            self.poller.unregister(client)
            self.pending_conns.remove(conn)

    def _begins(self, conn: TConn, begun: bytearray) -> bool:
        """Read a piece. False: more has to come; else a thread has it, or nobody is there any more."""
        try:
            piece = _hurried(conn).at_hand(_PIECE)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            piece = b""
        begun += piece
        if piece and not is_enough(begun):
            return False
        if begun:
            conn.data_ready = True
            conn.init()
            parser: Any = conn.parser
            parser.unreader.unread(bytes(begun))
            self.enqueue_req(conn)
        else:
            self.nr_conns -= 1
            # Not yet: who has called this may still have to take it off the list.
            self.method_queue.defer(conn.close)
        return True

    def _cap_keepalive(self, deadline: float) -> None:
        """It is about to end: nobody who has not asked by then will be waited for."""
        super()._cap_keepalive(deadline)  # type: ignore[misc]  # its types are of an older one
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout or deadline, deadline)

    def handle(self, conn: TConn) -> Any:
        """One request of a connection, in a thread."""
        _hurried(conn).until = time.monotonic() + HEAD
        return super().handle(conn)

    def handle_request(self, req: Any, conn: TConn) -> Any:
        """The head is there: now the body."""
        _hurried(conn).until = time.monotonic() + BODY
        return super().handle_request(req, conn)


def is_enough(begun: bytes | bytearray) -> bool:
    """Whether a thread can begin: with the head and a body that is small, or where it is neither.

    Whatever is wrong with it gunicorn's parser finds out.
    """
    end = begun.find(b"\r\n\r\n")
    if end < 0:
        return len(begun) > _LARGEST_HEAD
    found = _LENGTH.search(begun, 0, end + 2)
    body = int(found.group(1)) if found else 0
    return body > SMALL or len(begun) - end - 4 >= body


def _hurried(conn: Any) -> Hurried:
    if not isinstance(conn.sock, Hurried):
        conn.sock = Hurried(conn.sock, 0.0)
    return conn.sock
