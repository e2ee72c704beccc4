"""The application behind a production server: gunicorn, processes of threads.

Measured with a bare route on two processors: waitress cuts requests off when it is told to stop; granian
answers about twice as many a second, gunicorn's threads about 3,000 a process, far above what verdicts
need. gunicorn won for what is around that: hooks in the parent, where the dispatcher of jobs is watched,
and a stop in which every request is finished. Threads, because a request that waits for a verdict or
follows events holds one; its sync workers would be blocked by it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from sloguard.web.telemetry import MULTIPROCESS

if TYPE_CHECKING:
    from flask import Flask

#: Of these many threads of a process, so many may be taken by requests that wait.
WAITING_SHARE = 2 / 3
GRACE_SECONDS = 30


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

    def stop(self, graceful: bool = True) -> None:
        """Nothing new is begun while requests are finished."""
        self.companion.ask_to_stop()
        super().stop(graceful)
        self.companion.stop()


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
            "worker_class": "gthread",
            "timeout": 60,
            "graceful_timeout": GRACE_SECONDS,
            # Longer than most proxies keep theirs, so that they close first.
            "keepalive": 75,
            "limit_request_line": 8190,
            # What a proxy says is read by the application, which knows whom to trust.
            "forwarded_allow_ips": "",
            "control_socket_disable": True,
            "loglevel": "warning",
            "proc_name": "sloguard",
            "worker_tmp_dir": "/dev/shm" if os.path.isdir("/dev/shm") else None,  # noqa: S108 - only a heartbeat
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
        """Until a signal ends it. Raises SystemExit."""
        parent = _Parent(self)
        parent.companion = self._companion
        parent.run()

    def _forked(self, _server: Any, worker: Any) -> None:
        self._worker = worker

    def _stopping(self) -> bool:
        return self._worker is not None and not self._worker.alive


def _gone(_server: Any, worker: Any) -> None:
    """A process has ended: what it alone counted is no longer so."""
    if os.environ.get(MULTIPROCESS):
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]  # it has no types
