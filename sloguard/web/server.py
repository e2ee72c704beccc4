"""The application behind a production server: gunicorn, processes of threads.

Measured with a bare route on two processors: waitress cuts requests off when it is told to stop; granian
answers about twice as many a second, gunicorn's threads about 3,000 a process, far above what verdicts
need. gunicorn won for what is around that: hooks in the parent, where the dispatcher of jobs is watched,
and a stop in which every request is finished. Threads, because a request that waits for a verdict or
follows events holds one; its sync workers would be blocked by it.
"""

from __future__ import annotations

import ctypes
import logging
import os
import select
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger

from sloguard.telemetry import traces
from sloguard.web.patience import Impatient
from sloguard.web.telemetry import MULTIPROCESS

if TYPE_CHECKING:
    from flask import Flask

#: Of these many threads of a process, so many may be taken by requests that wait.
WAITING_SHARE = 2 / 3
GRACE_SECONDS = 30
#: As many connections wait to be accepted at most.
_LONGEST_QUEUE = 2048


class Companion(Protocol):
    """A process that lives as long as the server."""

    def look(self) -> None:
        """Start it, or start it again where it has died. Called about once a second."""
        ...

    def ask_to_stop(self) -> None:
        """It should end; returns at once."""
        ...

    def stop(self) -> None:
        """Wait until it has."""
        ...


class _Parent(Arbiter):
    """gunicorn's parent process, which also looks after the companion."""

    companion: Companion

    def manage_workers(self) -> None:
        """Called about once a second."""
        super().manage_workers()
        self.companion.look()

    def handle_int(self) -> None:
        """Ctrl-C: as SIGTERM. Asked once more while it stops, it does not wait any longer."""
        raise StopIteration

    def stop(self, graceful: bool = True) -> None:
        """Nothing new is begun while requests are finished."""
        self.companion.ask_to_stop()
        for listener in self.LISTENERS:
            close_door(listener)
        super().stop(graceful)
        self.companion.stop()


def close_door(listener: Any) -> None:
    """Nobody new gets onto a listening socket, in whichever process; who is in its queue stays there.

    Closing it would cut off who has connected and was not accepted yet. Their next try finds it closed.
    Where the system knows no such filter a connection of the last milliseconds may still be cut.
    """
    # One instruction of a packet filter: "return 0", that is, drop.
    code = ctypes.create_string_buffer(b"\x06\x00\x00\x00\x00\x00\x00\x00", 8)
    program = _FilterProgram(1, ctypes.cast(code, ctypes.c_void_p))
    with suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, bytes(program))


class _FilterProgram(ctypes.Structure):
    """Linux's sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


_ATTACH_FILTER = 26


class _Threads(Impatient):
    """gunicorn's process of threads, which leaves nobody behind who has connected already."""

    def init_signals(self) -> None:
        """Ctrl-C reaches every process of a terminal; the parent decides what it means."""
        super().init_signals()
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def handle(self, conn: Any) -> Any:
        """A client that is slow to close its end is waited for here; gunicorn would make all others wait."""
        kept = super().handle(conn)
        if not kept:
            conn.close(graceful=True)
            conn.close = _closed_already
        return kept

    def set_accept_enabled(self, enabled: bool | None) -> None:
        """Called with False also when it is about to end: then the queue is emptied first."""
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        for listener in self.sockets:
            for _ in range(_LONGEST_QUEUE):
                if not select.select([listener], [], [], 0)[0]:
                    break
                self.accept(listener)
            # While it is open somewhere, whoever comes would wait for an answer.
            listener.close()


def _closed_already(graceful: bool = False) -> None:
    """For a connection that needs no closing any more."""


class _Log(Logger):
    """What gunicorn says, among all other logs of this process."""

    def setup(self, cfg: Any) -> None:
        """No handlers of its own, and again so after a reload."""
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True


class Server(BaseApplication):
    """Serves what ``make`` gives in each process; its argument tells whether the process is about to end."""

    def __init__(
        self,
        make: Callable[[Callable[[], bool]], Flask],
        companion: Companion,
        *,
        bind: str,
        workers: int,
        threads: int,
        ready: Callable[[], None],
    ) -> None:
        self._make = make
        self._companion = companion
        self._worker: Any = None
        self._options: Mapping[str, Any] = {
            "bind": bind,
            "workers": workers,
            "threads": threads,
            "worker_class": _Threads,
            "timeout": 60,
            "graceful_timeout": GRACE_SECONDS,
            "backlog": _LONGEST_QUEUE,
            # Longer than most proxies keep theirs, so that they close first.
            "keepalive": 75,
            "limit_request_line": 8190,
            "limit_request_fields": 64,
            "limit_request_field_size": 8190,
            # What a proxy says is read by the application, which knows whom to trust.
            "forwarded_allow_ips": "",
            "control_socket_disable": True,
            "loglevel": "warning",
            "logger_class": _Log,
            "proc_name": "sloguard",
            "worker_tmp_dir": "/dev/shm" if os.access("/dev/shm", os.W_OK) else None,  # noqa: S108 - only a heartbeat
            "post_fork": self._forked,
            "child_exit": _gone,
            "when_ready": lambda _server: ready(),
        }
        super().__init__()

    def load_config(self) -> None:
        """What BaseApplication asks for."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """The application, made in each process of its own."""
        return self._make(self._stopping)

    def run(self) -> None:
        """Until a signal ends it. Raises SystemExit, in the parent alone."""
        me = os.getpid()
        parent = _Parent(self)
        parent.companion = self._companion
        try:
            parent.run()
        except SystemExit as end:
            if os.getpid() != me:
                # A process that answered requests must not tidy up what is its parent's.
                traces.close_all()
                logging.shutdown()
                os._exit(end.code if isinstance(end.code, int) else 1)
            raise

    def _forked(self, _server: Any, worker: Any) -> None:
        self._worker = worker

    def _stopping(self) -> bool:
        return self._worker is not None and not self._worker.alive


def _gone(_server: Any, worker: Any) -> None:
    """A process has ended: what it alone counted is no longer so."""
    if os.environ.get(MULTIPROCESS):
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]  # it has no types
