"""Stress on CPU and memory by worker processes that cannot outlive sloguard."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal as signals
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from sloguard.core.model import Json
from sloguard.faults import stress_worker
from sloguard.faults.arguments import duration as as_duration
from sloguard.faults.arguments import percent, size, whole
from sloguard.faults.base import Context, FaultError, Injection, Plan, Record
from sloguard.faults.reaching import LOOK, alive, reach
from sloguard.host.identity import Identity, identify, this_machine
from sloguard.host.marks import FAULT, RUN, marked

MOST_WORKERS = 1024
LONGEST = 86_400.0
#: A worker outlives its time by this much before it ends by itself, seconds.
_SLACK = 5.0
#: How long filling a gigabyte may take, seconds.
_PER_GIB = 10.0

#: Workers of this process, so that they are reaped when they end, by the token of their injection.
_children: dict[str, list[subprocess.Popen[bytes]]] = {}


def plan_cpu(workers: Any, load: Any, duration: Any, context: Context) -> Plan:
    """The plan of ``processes.cpu_stress``."""
    cpus = len(os.sched_getaffinity(0))
    count = cpus if workers is None else whole(workers, "workers", least=1, most=MOST_WORKERS)
    share = percent(load, "load")
    seconds = _seconds(duration)
    what = f"{count} x {share * 100:g}% CPU on {cpus} CPUs"
    return _plan("cpu", [share] * count, seconds, what, context)


def plan_memory(amount: Any, duration: Any, leave_free: Any, context: Context) -> Plan:
    """The plan of ``processes.memory_stress``."""
    wanted, kept = size(amount, "size"), size(leave_free, "leave_free")
    available = _available()
    if available is not None and wanted + kept > available:
        raise FaultError(
            f"size: {_mib(wanted)} would leave {_mib(max(available - wanted, 0))} available here, "
            f"less than leave_free ({_mib(kept)})"
        )
    return _plan("memory", [wanted], _seconds(duration), f"{_mib(wanted)} of memory", context)


def _seconds(duration: Any) -> float | None:
    return None if duration is None else as_duration(duration, "duration", longest=LONGEST)


def _plan(
    kind: str, amounts: list[float] | list[int], seconds: float | None, what: str, context: Context
) -> Plan:
    token = uuid.uuid4().hex
    machine = this_machine()
    record = {
        "kind": kind,
        "amounts": amounts,
        "duration": seconds,
        "token": token,
        "run": context.run,
        "machine": {"host": machine.host, "boot": machine.boot, "pids": machine.pids},
        "workers": [],
    }
    how_long = "until undone" if seconds is None else f"for {seconds:g}s"
    injection = Injection(
        target=what,
        record=record,
        lock=f"{kind} stress {machine.host}",
        by_hand=f"pkill -KILL -f {token}",
    )
    return Plan((injection,), summary=f"take {what} {how_long}")


def inject(record: Record, context: Context) -> Json:
    """Start the workers; with a duration, wait and end them. Ends early on ``context.stop``."""
    seconds, began = record["duration"], time.monotonic()
    try:
        workers = _start(record, context)
        if record["kind"] == "memory":
            for child in _children.get(record["token"], []):
                _wait_full(child, int(record["amounts"][0]), context)
        if seconds is None:
            return {"workers": [str(w) for w in workers]}
        while (left := began + float(seconds) - time.monotonic()) > 0:
            if context.stop.wait(min(left, 0.5)):
                break
            _all_there(record["token"])
    except BaseException:
        undo(record, context)
        raise
    ended = undo(record, context)
    return {
        "workers": [str(w) for w in workers],
        "seconds": round(time.monotonic() - began, 3),
        "end": ended,
    }


def undo(record: Record, _context: Context) -> str:
    """End the workers, whoever started them; an empty text if there are none."""
    here, there = this_machine(), record["machine"]
    if there["boot"] != here.boot and there["host"] != here.host:
        raise FaultError(f"the workers ran on {there['host']}, and this is {here.host}")
    known = (
        [Identity.from_record(w) for w in record["workers"]] if there["boot"] == here.boot else []
    )
    found = list(dict.fromkeys([*known, *marked(**{FAULT: record["token"]})]))
    ended = [worker for worker in found if reach(worker, signals.SIGKILL)]
    for worker in ended:
        if not _gone(worker):
            raise FaultError(f"{worker} does not end")
    _reap(record["token"])
    return f"ended {len(ended)} workers" if ended else ""


def _gone(worker: Identity) -> bool:
    deadline = time.monotonic() + 5.0
    while alive(worker):
        if time.monotonic() >= deadline:
            return False
        time.sleep(LOOK)
    return True


def _start(record: Record, context: Context) -> list[Identity]:
    token, seconds = record["token"], record["duration"]
    environment = {**os.environ, FAULT: token, RUN: record["run"]}
    limit = 0.0 if seconds is None else float(seconds) + _SLACK
    children = _children.setdefault(token, [])
    for amount in record["amounts"]:
        words = [record["kind"], repr(amount), repr(limit), token]
        try:
            children.append(
                subprocess.Popen(
                    # Isolated, and without site packages: it needs none, and is up in 15 ms.
                    [sys.executable, "-I", "-S", str(Path(stress_worker.__file__)), *words],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE if record["kind"] == "memory" else subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=environment,
                    start_new_session=True,
                )
            )
        except OSError as error:
            raise FaultError(f"a stress worker cannot be started: {error}") from error
    workers = [found for child in children if (found := identify(child.pid))]
    context.save({**record, "workers": [w.record() for w in workers]})
    return workers


def _wait_full(worker: subprocess.Popen[bytes], wanted: int, context: Context) -> None:
    """Until the memory is held. Raises FaultError if the worker ends, or needs too long."""
    output = worker.stdout
    if output is None:  # pragma: no cover - it was asked for above
        return
    deadline = time.monotonic() + 5.0 + _PER_GIB * wanted / (1 << 30)
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while not selector.select(0.05):
            if context.stop.is_set():
                return
            if time.monotonic() >= deadline:
                raise FaultError(f"{_mib(wanted)} of memory could not be filled in time")
    if not output.readline().strip():
        raise FaultError(
            f"the worker ended before it held {_mib(wanted)}: killed for want of memory?"
        )


def _all_there(token: str) -> None:
    """Raises FaultError if a worker has ended on its own: the stress is not what was asked for."""
    gone = [child for child in _children.get(token, []) if child.poll() is not None]
    if gone:
        raise FaultError(
            f"{len(gone)} of the stress workers ended early (exit {gone[0].returncode})"
        )


def _reap(token: str) -> None:
    for child in _children.pop(token, []):
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _available() -> int | None:
    """Memory that can be had without swapping, bytes; the control group's if that is less."""
    found: list[int] = []
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(line for line in lines if line.startswith("MemAvailable:"))
        found.append(int(free.split()[1]) * 1024)
    with contextlib.suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        most = (group / "memory.max").read_text().strip()
        if most != "max":
            found.append(int(most) - int((group / "memory.current").read_text()))
    return min(found, default=None)


def _mib(amount: int) -> str:
    return f"{amount / (1 << 20):.0f} MiB"
