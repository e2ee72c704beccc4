"""The command line in processes of its own, without starting Python for each.

One process is started, imports what a run needs, and forks another for every command: these see their own
arguments, environment, folder, modules and outputs, and end with an exit code, as any ``sloguard`` does.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.support.command import ROOT, Ran, environment

#: What a run imports sooner or later; a fork finds it there.
_NEEDED = (
    "alembic.config",
    "alembic.context",
    "kubernetes.client.rest",
    "numpy",
    "requests",
    "rich.console",
    "rich.table",
    "sloguard.adapters.kubernetes",
    "sloguard.adapters.kubernetes_locks",
    "sloguard.adapters.locks",
    "sloguard.adapters.prometheus_sockets",
    "sloguard.adapters.store.facade",
    "sloguard.adapters.store.migrate",
    "sloguard.bootstrap",
    "sloguard.cli.chart",
    "sloguard.cli.judge",
    "sloguard.cli.rbac",
    "sloguard.cli.recover",
    "sloguard.cli.run",
    "sloguard.cli.runs",
    "sloguard.cli.validate",
    "sloguard.documents.yamltree",
    "sloguard.engine.inspecting",
    "sloguard.engine.run",
    "sloguard.faults.istio",
    "sloguard.faults.pods",
    "sloguard.promql.lint",
    "sloguard.render.console",
    "sloguard.render.export",
    "sloguard.settings.reading",
    "sloguard.spec.loading",
    "sqlalchemy.dialects.sqlite",
)


class Started:
    """A command under way."""

    def __init__(self, pid: int, folder: Path, number: int) -> None:
        self.pid = pid
        self.out, self.err = folder / f"{number}.out", folder / f"{number}.err"
        self.rc = folder / f"{number}.rc"

    def wait(self, timeout: float) -> Ran:
        """Until it has ended; what is not over then is ended."""
        ends = time.monotonic() + timeout
        while not self.rc.exists():
            if time.monotonic() > ends:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGKILL)
                raise TimeoutError(f"not over after {timeout:g}s: {self.err.read_text()[-2000:]}")
            time.sleep(0.01)
        return Ran(int(self.rc.read_text()), self.out.read_text(), self.err.read_text())


class Commands:
    """``with`` starts the process that forks the others, and ends it. Any thread may start commands.

    ``nice``: how far they stand back for other processes.
    """

    def __init__(self, folder: Path, nice: int = 0) -> None:
        self.folder, self.nice = folder, nice
        self._lock = threading.Lock()
        self._count = 0

    def __enter__(self) -> Commands:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.forked"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment(self.folder),
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            # A command that is still under way keeps it; what that was, its test has told.
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def start(
        self,
        *arguments: str | Path,
        home: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        program: str = "sloguard",
    ) -> Started:
        """``sloguard`` (or ``chaos``) with these arguments; its own folder is ``home``, where it runs unless
        ``cwd`` is given."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        home.mkdir(parents=True, exist_ok=True)
        with self._lock:
            self._count += 1
            started = Started(0, self.folder, self._count)
            job = {
                "argv": [str(a) for a in arguments],
                "env": environment(home, env),
                "cwd": str(cwd or home),
                "files": [str(started.out), str(started.err), str(started.rc)],
                "nice": self.nice,
                "program": program,
            }
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
            started.pid = int(self._process.stdout.readline())
        return started


@functools.cache
def shared() -> Commands:
    """For all tests of this process; ended with it."""
    folder = tempfile.TemporaryDirectory(prefix="sloguard-commands-")
    commands = Commands(Path(folder.name))
    commands.__enter__()
    atexit.register(lambda: (commands.__exit__(), folder.cleanup()))
    return commands


def _live(job: Mapping[str, Any]) -> int:
    out, err, _ = job["files"]
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(out, flags, 0o600), 1)
    os.dup2(os.open(err, flags, 0o600), 2)
    os.environ.clear()
    os.environ.update(job["env"])
    os.chdir(job["cwd"])
    os.nice(job["nice"])
    sys.argv = [job["program"], *job["argv"]]
    # What python -m looks through: where it runs, PYTHONPATH, and then what is installed.
    named = [path for path in job["env"].get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [job["cwd"], *named, *(path for path in sys.path if path != str(ROOT))]
    try:
        _programs()[job["program"]]()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return int(end.code or 0)
    finally:
        # As an interpreter does that ends.
        threading._shutdown()  # type: ignore[attr-defined]  # no other name waits for all threads
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _programs() -> Mapping[str, Callable[[], object]]:
    def chaos() -> None:
        from chaostoolkit.cli import cli

        cli.main(prog_name="chaos")

    def sloguard() -> None:
        from sloguard.cli.main import run

        run()

    return {"chaos": chaos, "sloguard": sloguard}


def _watch(pid: int, rc: Path) -> None:
    """Write down how a child ends, in one step."""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    newer = rc.with_suffix(".new")
    newer.write_text(str(code))
    newer.replace(rc)


def main() -> None:
    """Fork for every line; tell the pid."""
    for name in _NEEDED:
        importlib.import_module(name)
    # What is there now is never collected, so that no child copies it only to look.
    gc.freeze()
    print("ready", flush=True)
    # Read without threads: a process that has some must not fork.
    running: dict[int, Path] = {}
    for line in iter(sys.stdin.readline, ""):
        job = json.loads(line)
        watcher = os.fork()
        if watcher == 0:
            # One more process, so that this one never has to wait for a command.
            pid = os.fork()
            if pid == 0:
                try:
                    os._exit(_live(job))
                except BaseException:  # noqa: BLE001 - whatever it is, it ends here and is printed
                    import traceback

                    traceback.print_exc()
                    sys.stderr.flush()
                    os._exit(1)
            print(pid, flush=True)
            _watch(pid, Path(job["files"][2]))
            os._exit(0)
        running[watcher] = Path(job["files"][2])
    for watcher in running:
        os.waitpid(watcher, 0)


if __name__ == "__main__":
    main()
