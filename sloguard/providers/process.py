"""The process provider: a program, with everything it starts, that can be stopped as a whole.

As in the Chaos Toolkit: ``path`` is looked up on the PATH, ``~`` is the home directory; ``arguments`` as
a text goes through the shell, as a list or mapping it does not; the output is
``{"status", "stdout", "stderr"}``; there is no timeout unless one is given. Working directory and
environment are sloguard's own, standard input is empty.

The program leads a process group (and session) of its own. On a stop or timeout the group gets SIGTERM,
two seconds later SIGKILL, and so do those of its descendants that have left the group (they are found
by their environment). A program that ends by itself may leave daemons behind: they live on, sloguard's
end included, which is why no parent-death signal is set. (What a daemon writes to the pipes is read as long
as sloguard runs; one that means to stay should write elsewhere.) Recovery finds what a killed run left through
``sloguard.host.marks``.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sloguard.host.identity import Identity, all_pids, read_stat
from sloguard.host.marks import ACTIVITY, RUN, processes_of
from sloguard.host.signals import end
from sloguard.providers.capture import Streams
from sloguard.providers.result import LOOK, Refused, Result, aborted, one_line, seconds, timed_out

#: Between SIGTERM and SIGKILL, seconds.
GRACE = 2.0
#: How long output is waited for once the program has ended but a descendant holds the pipe, seconds.
_LAST_WORDS = 0.2


def call_process(
    provider: Mapping[str, Any], *, stop: threading.Event, environment: Mapping[str, str]
) -> Result:
    """Run the program to its end, its timeout or ``stop``."""
    limit = seconds(provider)
    command, shell = command_of(provider)
    try:
        process = subprocess.Popen(
            command,
            shell=shell,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise Refused(f"path: '{provider['path']}' cannot be started: {_why(error)}") from error
    return _Running(process, environment).result(stop, limit)


def check_process(provider: Mapping[str, Any]) -> None:
    """Whether the program is there and the arguments make sense. Raises Refused."""
    seconds(provider)
    command_of(provider)


def command_of(provider: Mapping[str, Any]) -> tuple[str | list[str], bool]:
    """What to run, and whether through the shell. Raises Refused."""
    path = _program(provider.get("path"))
    arguments = provider.get("arguments")
    if isinstance(arguments, str):
        return f"{shlex.quote(path)} {arguments}", True
    if arguments is None:
        return [path], False
    if isinstance(arguments, Mapping):
        arguments = [part for pair in arguments.items() for part in pair]
    if not isinstance(arguments, Sequence):
        kind = type(arguments).__name__
        raise Refused(
            f"arguments: expected a text (for the shell), a list or a mapping, found {kind}"
        )
    return [path, *(str(part) for part in arguments if part is not None and part != "")], False


def _program(path: Any) -> str:
    if not isinstance(path, str) or not path:
        raise Refused("path: expected the program to run")
    wanted = os.path.expanduser(path)
    found = shutil.which(wanted)
    if found:
        return found
    if os.path.exists(wanted) and os.sep in wanted:
        kind = "a directory" if os.path.isdir(wanted) else "not executable (chmod +x)"
        raise Refused(f"path: '{path}' is {kind}")
    if len(path.split()) > 1:
        raise Refused(
            f"path: no program '{path}': give the program alone in path, and the rest in arguments"
        )
    near = difflib.get_close_matches(wanted, _programs(), n=1) if os.sep not in wanted else []
    hint = f"; did you mean '{near[0]}'?" if near else ""
    where = "" if os.sep in wanted else " on the PATH"
    raise Refused(f"path: no program '{path}'{where}{hint}")


def _programs() -> list[str]:
    names: set[str] = set()
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        with contextlib.suppress(OSError):
            names.update(os.listdir(folder))
    return sorted(names)


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


class _Running:
    """A program under way. It is not reaped before its group is dealt with: until then nobody can get
    its pid, so a signal to the group cannot hit strangers."""

    def __init__(self, process: subprocess.Popen[bytes], environment: Mapping[str, str]) -> None:
        self._process = process
        self._environment = environment
        self._started = getattr(read_stat(process.pid), "started", 0)
        # The descriptors are taken over from Popen, which would otherwise close them too early.
        self._out, self._err = (_taken(process.stdout), _taken(process.stderr))
        self._streams = Streams(self._out, self._err)

    def result(self, stop: threading.Event, limit: float | None) -> Result:
        try:
            why = self._wait(stop, limit)
            if why:
                self._end()
            else:
                self._hear_out()
        except BaseException:
            self._end()
            raise
        finally:
            status = self._process.wait()
            self._streams.close()
        output = {
            "status": status,
            "stdout": self._streams.kept[self._out].text(),
            "stderr": self._streams.kept[self._err].text(),
        }
        if why == "stop":
            ended = aborted()
        elif why == "timeout":
            ended = timed_out(limit or 0.0)
        else:
            ended = Result()
        return Result(output, ended.error, ended.unreachable, ended.aborted)

    def _wait(self, stop: threading.Event, limit: float | None) -> str:
        deadline = None if limit is None else time.monotonic() + limit
        with _watched(self._streams, self._process.pid) as look:
            while not self._ended():
                if stop.is_set():
                    return "stop"
                left = look if deadline is None else min(look, deadline - time.monotonic())
                if left <= 0:
                    return "timeout"
                self._streams.pump(left)
                if not self._streams.open and look < LOOK:
                    time.sleep(look)
        return ""

    def _ended(self) -> bool:
        found = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return found is not None

    def _hear_out(self) -> None:
        """Read the rest; a descendant that keeps the pipe open is not waited for."""
        began = time.monotonic()
        while self._streams.open:
            waited = time.monotonic() - began
            heard = self._streams.pump(max(_LAST_WORDS - waited, 0))
            # The second bound is for a daemon that never stops writing.
            if (waited >= _LAST_WORDS and not heard) or waited >= 10 * _LAST_WORDS:
                return

    def _end(self) -> None:
        """SIGTERM to the group and to those who left it, GRACE, SIGKILL."""
        self._signal_group(signal.SIGTERM)
        self._signal_group(signal.SIGCONT)
        until = time.monotonic() + GRACE
        while time.monotonic() < until and (not self._ended() or self._members()):
            self._streams.pump(LOOK)
            if not self._streams.open:
                time.sleep(LOOK)
        self._signal_group(signal.SIGKILL)
        end(self._strays(), GRACE)
        self._streams.pump(0)

    def _signal_group(self, number: int) -> None:
        # A member that has changed its user may not be signalled; the others still are.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _members(self) -> bool:
        """Whether anybody but the program itself is left in its group."""
        stats = (read_stat(pid) for pid in all_pids() if pid != self._process.pid)
        return any(s and s.group == self._process.pid and s.state not in "ZX" for s in stats)

    def _strays(self) -> list[Identity]:
        """Descendants outside the group: known by the markers, and not older than the program."""
        run, activity = self._environment.get(RUN), self._environment.get(ACTIVITY)
        if not run or not activity:
            return []
        return [i for i in processes_of(run, activity) if i.started >= self._started]


def _taken(pipe: Any) -> int:
    descriptor = os.dup(pipe.fileno())
    pipe.close()
    return descriptor


@contextlib.contextmanager
def _watched(streams: Streams, pid: int) -> Iterator[float]:
    """Wake up when the process ends, where the kernel can; yields how often to look."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        yield LOOK / 5
        return
    streams.watch(handle)
    try:
        yield LOOK
    finally:
        streams.unwatch(handle)
        os.close(handle)


def failure(output: Mapping[str, Any]) -> str | None:
    """Why an action that gave this output has failed: ``exit code 1: last line of stderr``."""
    status = output.get("status")
    if status == 0 or not isinstance(status, int):
        return None
    said = next((x for x in reversed(str(output.get("stderr", "")).splitlines()) if x.strip()), "")
    what = f"exit code {status}"
    if status < 0:
        try:
            what = f"killed by {signal.Signals(-status).name}"
        except ValueError:
            what = f"killed by signal {-status}"
    return one_line(f"{what}: {said}" if said else what)
