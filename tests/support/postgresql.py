"""A real PostgreSQL for tests: its own data in a temporary directory, reached by a Unix socket only."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

READY_SECONDS = 30.0


def binaries() -> Path | None:
    """Where the newest installed server's programs are; None if there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    return found[-1].parent if found else None


def why_not() -> str:
    """Why no server can be started here, or an empty text."""
    try:
        import psycopg  # noqa: F401 - only whether it is there
    except ImportError:
        return "psycopg is not installed"
    if binaries() is None:
        return "PostgreSQL's server is not installed"
    if os.geteuid() == 0 and (_user() is None or shutil.which("setpriv") is None):
        return "PostgreSQL does not run as root, and there is no user or setpriv to give that up"
    return ""


def _user() -> str | None:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    return None


class PostgreSQL:
    """A server; ``start`` before use, ``stop`` in the end."""

    def __init__(self) -> None:
        # A socket's path may not be longer than some hundred characters.
        self.directory = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self._process: subprocess.Popen[bytes] | None = None
        self._names = itertools.count(1)
        self._template: str | None = None
        if os.geteuid() == 0:
            shutil.chown(self.directory, _user())

    def start(self) -> None:
        """Make the data directory, and wait until the server answers."""
        programs = binaries()
        assert programs is not None
        data = str(self.directory / "data")
        self._run(
            programs / "initdb", "-D", data, "-U", "tester", "-A", "trust", "-N", "-E", "UTF8"
        )
        self._serve()

    def restart(self, away: float = 0.0) -> None:
        """Crash it, and start it again after ``away`` seconds."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(30)
        time.sleep(away)
        self._serve()

    def _serve(self) -> None:
        programs = binaries()
        command = [
            f"{programs}/postgres",
            *("-D", str(self.directory / "data"), "-k", str(self.directory)),
            *("-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=16MB"),
            *("-c", "max_connections=60"),
        ]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._as_user(), *command], stdout=log, stderr=log, cwd="/"
            )
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                self.execute("SELECT 1")
                return
            except Exception:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    self.stop()
                    raise
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server and remove its data."""
        if self._process is not None:
            # At once, without writing anything back: the data goes with it.
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)
        shutil.rmtree(self.directory, ignore_errors=True)

    def execute(self, statement: str, database: str = "postgres") -> list[Any]:
        """Run one statement outside any transaction."""
        import psycopg

        where = {"host": str(self.directory), "user": "tester", "dbname": database}
        with psycopg.connect(**where, autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]  # not a literal
            return cursor.fetchall() if cursor.description else []

    def new_database(self) -> str:
        """The URL of an empty database of its own."""
        name = f"store{next(self._names)}"
        self.execute(f"CREATE DATABASE {name}")
        return self._url(name)

    def migrated_database(self) -> str:
        """The URL of a database of its own, with a store's tables in it and nothing else."""
        if self._template is None:
            url = self.new_database()
            from sloguard.adapters.store import Store

            # Migrating takes most of the time of a small test: that is done once.
            Store(url).dispose()
            self._template = url.partition("@/")[2].partition("?")[0]
        name = f"store{next(self._names)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {self._template} STRATEGY FILE_COPY")
        return self._url(name)

    def _url(self, database: str) -> str:
        return f"postgresql://tester@/{database}?host={self.directory}"

    def _run(self, *command: object) -> None:
        parts = [*self._as_user(), *map(str, command)]
        subprocess.run(parts, check=True, capture_output=True, cwd="/")

    def _as_user(self) -> list[str]:
        if os.geteuid() != 0:
            return []
        user = str(_user())
        return [
            "setpriv",
            f"--reuid={user}",
            f"--regid={pwd.getpwnam(user).pw_gid}",
            "--clear-groups",
        ]
