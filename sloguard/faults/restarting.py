"""Ending a process and seeing it back, in steps that can be cut off anywhere and still be finished.

The record says how far it got: ``planned``, ``ending`` (saved before the first signal), ``ended``, ``back``.
What a command starts carries the record's token in its environment, so that it is found again even if
sloguard dies between starting it and writing that down.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal as signals
import subprocess
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sloguard.core.model import Json
from sloguard.faults.arguments import duration as as_duration
from sloguard.faults.base import Context, FaultError, Record
from sloguard.faults.finding import Candidate, Criteria, candidate_of, find
from sloguard.faults.reaching import LOOK, alive, ended_within, reach
from sloguard.host.identity import Identity, all_pids
from sloguard.host.marks import FAULT, RUN, marked

#: A command that ends within this time with an error has not started anything, seconds.
_SETTLE = 0.5


@dataclass(frozen=True, slots=True)
class How:
    """How a process is ended and brought back."""

    command: str | list[str] | None
    directory: str | None
    log: str | None
    grace: float
    back_within: float

    @classmethod
    def of(cls, command: Any, directory: Any, log: Any, grace: Any, back_within: Any) -> How:
        """From the fault's arguments. Raises FaultError."""
        if isinstance(command, list | tuple):
            command = [str(word) for word in command]
        elif command is not None and not isinstance(command, str):
            raise FaultError(f"command: expected a list or a text for the shell, found {command!r}")
        if command is not None and not command:
            raise FaultError("command: is empty; leave it out if something else starts the process")
        if directory is not None and not os.path.isdir(directory):
            raise FaultError(f"directory: no directory '{directory}'")
        return cls(
            command,
            directory,
            log,
            as_duration(grace, "grace", longest=3600),
            as_duration(back_within, "back_within", longest=3600),
        )

    def by_hand(self, name: str) -> str:
        """How a person would bring the process back."""
        if self.command is None:
            return f"see that {name} is started again by what supervises it"
        return self.command if isinstance(self.command, str) else shlex.join(self.command)

    def __str__(self) -> str:
        return "by what supervises it" if self.command is None else "by a command"


def record_of(victim: Candidate, criteria: Criteria, how: How, run: str) -> dict[str, Json]:
    """All that restarting one process needs, in any process and at any later time."""
    directory = how.directory
    if directory is None and how.command is not None:
        with contextlib.suppress(OSError):
            directory = os.readlink(f"/proc/{victim.identity.pid}/cwd")
    others, _ = find(criteria)
    return {
        "process": victim.identity.record(),
        "names": list(victim.names),
        "criteria": criteria.record(),
        "others": [o.identity.record() for o in others if o.identity != victim.identity],
        "command": how.command,
        "directory": directory,
        "log": how.log,
        "grace": how.grace,
        "back_within": how.back_within,
        "run": run,
        "token": uuid.uuid4().hex,
        "step": "planned",
        "back": None,
    }


def inject(record: Record, context: Context) -> Json:
    """End the process, then bring it back. Ends early on ``context.stop``; the undo finishes it."""
    identity, began = Identity.from_record(record["process"]), time.monotonic()
    steps = _Steps(record, context)
    if not alive(identity):
        raise FaultError(f"{identity} ended before it could be restarted")
    steps.reached("ending")
    reach(identity, signals.SIGTERM)
    reach(identity, signals.SIGCONT)
    ended_with = "SIGTERM"
    if not ended_within(identity, float(record["grace"]), context.stop):
        if context.stop.is_set():
            raise FaultError(f"stopped while {identity} was ending")
        ended_with = "SIGKILL"
        reach(identity, signals.SIGKILL)
        ended_within(identity, 5.0, context.stop)
    steps.reached("ended")
    down = time.monotonic()
    back = bring_back(steps, context)
    now = time.monotonic()
    return {
        "process": str(identity),
        "ended_with": ended_with,
        "back": str(back),
        "down_seconds": round(now - down, 3),
        "seconds": round(now - began, 3),
    }


def undo(record: Record, context: Context) -> str:
    """Finish a restart that was cut off: a process that was ended is back afterwards."""
    step = record["step"]
    identity = Identity.from_record(record["process"])
    if step == "planned":
        return ""
    # It may still be on its way out. If it stays, the signal never reached it.
    if step == "ending" and not ended_within(identity, float(record["grace"]), context.stop):
        return ""
    steps = _Steps(record, context)
    if steps.returned() is not None:
        return ""
    return f"started {bring_back(steps, context)} again"


class _Steps:
    """The record as it grows, durable at each step."""

    def __init__(self, record: Record, context: Context) -> None:
        self.record: dict[str, Any] = dict(record)
        self._save = context.save

    def reached(self, step: str, back: Identity | None = None) -> None:
        """Write down how far it got."""
        self.record["step"] = step
        if back is not None:
            self.record["back"] = back.record()
        self._save(dict(self.record))

    def returned(self) -> Identity | None:
        """The process that has taken the old one's place, if there is one."""
        if self.record["back"] is not None:
            back = Identity.from_record(self.record["back"])
            if alive(back):
                return back
        names = set(self.record["names"])
        for started in self.launched():
            found = candidate_of(started.pid)
            if found is not None and names & set(found.names):
                return started
        return _successor(self.record)

    def launched(self) -> list[Identity]:
        """What the command has started and still runs, the command itself included."""
        return marked(**{FAULT: self.record["token"]})


def _successor(record: Mapping[str, Any]) -> Identity | None:
    """A process that fits what the author asked for, and was not there before."""
    before = {int(p["pid"]): int(p["started"]) for p in [record["process"], *record["others"]]}
    criteria = Criteria.from_record(record["criteria"])
    if criteria.pid:
        # A pid alone says nothing about who comes after it; its names do.
        found = _named(record["names"])
    else:
        try:
            found, _ = find(criteria)
        except FaultError:
            return None  # the pid file is not there yet
    old = int(record["process"]["started"])
    new = [
        c.identity
        for c in found
        if before.get(c.identity.pid) != c.identity.started and c.identity.started >= old
    ]
    return min(new, key=lambda i: (i.started, i.pid), default=None)


def _named(names: list[str]) -> list[Candidate]:
    everybody = (candidate_of(pid) for pid in all_pids())
    return [c for c in everybody if c and list(c.names) == names and c.identity.alive()]


def bring_back(steps: _Steps, context: Context) -> Identity:
    """Start the process, or wait for whatever does. Raises FaultError."""
    record = steps.record
    deadline = time.monotonic() + float(record["back_within"])
    launcher = None
    # One that was started by a run that then died may just need its time.
    if record["command"] is not None and not steps.returned() and not steps.launched():
        launcher = _start(record)
    while True:
        back = steps.returned()
        if launcher is not None:
            _complain(launcher, record)
        if back is not None and (launcher is None or _settled(launcher, context)):
            if not alive(back):
                continue
            steps.reached("back", back)
            return back
        if context.stop.wait(LOOK):
            raise FaultError("stopped before the process was back")
        if time.monotonic() >= deadline:
            who = "what supervises it" if record["command"] is None else "the command"
            raise FaultError(
                f"{record['process']['name']} is not back within {record['back_within']:g}s: "
                f"{who} has not started it"
            )


@dataclass(slots=True)
class _Launched:
    process: subprocess.Popen[bytes]
    at: float


def _start(record: Mapping[str, Any]) -> _Launched:
    command = record["command"]
    environment = {**os.environ, FAULT: record["token"], RUN: record["run"]}
    log = record["log"]
    try:
        with contextlib.ExitStack() as stack:
            sink: Any = subprocess.DEVNULL
            if log is not None:
                sink = stack.enter_context(Path(log).expanduser().open("ab"))
            process = subprocess.Popen(
                command,
                shell=isinstance(command, str),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                cwd=record["directory"],
                env=environment,
                start_new_session=True,
            )
    except OSError as error:
        raise FaultError(f"command: cannot be started: {error}") from error
    # Reaped whenever it ends, so that it is not left as a zombie while sloguard runs on.
    threading.Thread(target=process.wait, name=f"restarted {process.pid}", daemon=True).start()
    return _Launched(process, time.monotonic())


def _settled(launched: _Launched, context: Context) -> bool:
    """Whether the command has lived for a moment, or ended well after starting something."""
    if launched.process.poll() == 0:
        return True
    left = launched.at + _SETTLE - time.monotonic()
    if left > 0:
        context.stop.wait(min(left, LOOK))
    return left <= 0


def _complain(launched: _Launched, record: Mapping[str, Any]) -> None:
    code = launched.process.poll()
    if code:
        hint = f"; see {record['log']}" if record["log"] else "; give a log to see why"
        raise FaultError(f"command: ended with exit code {code}{hint}")
