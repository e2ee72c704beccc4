"""CPU and memory stress: what is really used, and that nothing of it outlives sloguard."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from sloguard.faults import processes
from sloguard.faults.base import Context, FaultError, Injection, find_fault
from sloguard.host.identity import Identity
from sloguard.host.marks import FAULT, RUN, marked
from tests.support.calling import eventually
from tests.support.crashing import killed_at, start_injecting, undone_elsewhere
from tests.support.patience import SOON


def planned(name: str, **arguments: Any) -> Injection:
    return find_fault(name).plan(arguments, Context(run="stress-run")).injections[0]


def workers_of(record: Any) -> list[Identity]:
    return marked(**{FAULT: record["token"]})


def used(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def waited(pid: int) -> float:
    """How long it was ready to run, and another process had the CPU."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


@pytest.mark.parametrize("load", [25, 60])
def test_the_load_is_what_was_asked_for(load: int) -> None:
    made, injection = (
        find_fault("processes.cpu_stress"),
        planned("processes.cpu_stress", workers=1, load=load),
    )
    made.inject(injection, Context())
    try:
        (worker,) = workers_of(injection.record)
        eventually(lambda: used(worker.pid) > 0)
        began, before, queued = time.monotonic(), used(worker.pid), waited(worker.pid)
        threading.Event().wait(2.0)
        seconds = time.monotonic() - began
        share = (used(worker.pid) - before) / seconds
        missing = (waited(worker.pid) - queued) / seconds
    finally:
        assert made.undo(injection.record, Context()) == "ended 1 workers"
    # Never more; and less only by what other processes took away.
    assert load / 100 - missing - 0.1 <= share <= load / 100 + 0.1
    assert workers_of(injection.record) == []


def test_one_worker_for_each_cpu_by_default_and_the_marks_of_the_run() -> None:
    made, injection = find_fault("processes.cpu_stress"), planned("processes.cpu_stress", load=1)
    assert (
        injection.target
        == f"{len(os.sched_getaffinity(0))} x 1% CPU on {len(os.sched_getaffinity(0))} CPUs"
    )
    output = made.inject(injection, Context())
    try:
        assert len(output["workers"]) == len(os.sched_getaffinity(0))
        assert {w.pid for w in marked(**{RUN: "stress-run"})} >= {
            w.pid for w in workers_of(injection.record)
        }
    finally:
        made.undo(injection.record, Context())


def test_for_a_while_and_stopped_early() -> None:
    (output,) = processes.cpu_stress(workers=2, load=5, duration="300ms")
    assert 0.3 <= output["seconds"] < SOON
    context, injection = Context(), planned("processes.cpu_stress", workers=1, load=5, duration=60)
    thread = threading.Thread(
        target=find_fault("processes.cpu_stress").inject, args=(injection, context)
    )
    thread.start()
    eventually(lambda: workers_of(injection.record))
    context.stop.set()
    thread.join(SOON)
    assert not thread.is_alive()
    assert workers_of(injection.record) == []


def test_a_worker_that_dies_early_is_not_silently_missing() -> None:
    injection = planned("processes.cpu_stress", workers=2, load=5, duration=30)
    errors: list[Exception] = []

    def inject() -> None:
        try:
            find_fault("processes.cpu_stress").inject(injection, Context())
        except FaultError as error:
            errors.append(error)

    thread = threading.Thread(target=inject)
    thread.start()
    first = eventually(lambda: workers_of(injection.record))[0]
    os.kill(first.pid, signal.SIGKILL)
    thread.join(SOON)
    assert "1 of the stress workers ended early (exit -9)" in str(errors[0])
    assert workers_of(injection.record) == []


@pytest.mark.parametrize("moment", ["planned", "saving 1", "saved 1", "injected"])
def test_workers_die_with_the_process_that_started_them(moment: str, tmp_path: Path) -> None:
    arguments = {"workers": 2, "load": 5}
    record = killed_at(moment, "processes.cpu_stress", arguments, tmp_path / "record.json")
    eventually(lambda: not workers_of(record))
    assert undone_elsewhere("processes.cpu_stress", record)[0] == ""


def test_a_stuck_worker_is_ended_by_the_undo_of_another_process(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    arguments = {"workers": 1, "load": 5, "duration": 60}
    with start_injecting("processes.cpu_stress", arguments, path) as process:
        record = eventually(
            lambda: path.exists() and path.read_text() and json.loads(path.read_text())
        )
        (worker,) = eventually(lambda: workers_of(record))
        os.kill(worker.pid, signal.SIGSTOP)  # it will not notice the end of its parent
        process.kill()
    assert worker.alive()
    assert (
        undone_elsewhere("processes.cpu_stress", json.loads(path.read_text()))[0]
        == "ended 1 workers"
    )
    assert not worker.alive()


def test_memory_is_really_taken_and_given_back() -> None:
    made, injection = (
        find_fault("processes.memory_stress"),
        planned("processes.memory_stress", size="150MiB"),
    )
    made.inject(injection, Context())
    try:
        (worker,) = workers_of(injection.record)
        resident = int(Path(f"/proc/{worker.pid}/statm").read_text().split()[1]) * os.sysconf(
            "SC_PAGE_SIZE"
        )
        assert resident > 150 << 20
        assert Path(f"/proc/{worker.pid}/oom_score_adj").read_text().strip() == "1000"
    finally:
        assert made.undo(injection.record, Context()) == "ended 1 workers"
    assert not worker.alive()
    assert made.undo(injection.record, Context()) == ""


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("cpu_stress", {"workers": 0}, "workers: must be at least 1"),
        ("cpu_stress", {"load": 0}, "load: must be above 0 and at most 100"),
        ("cpu_stress", {"load": 120}, "load: must be above 0 and at most 100"),
        ("cpu_stress", {"duration": 0}, "duration: must be above 0"),
        ("memory_stress", {"size": "9000GiB"}, "less than leave_free"),
        ("memory_stress", {"size": "5 parsecs"}, "size: expected a size such as 200MiB"),
        ("memory_stress", {"size": "5s"}, "size: expected a size such as 200MiB"),
        ("memory_stress", {"size": 0}, "size: expected a size such as 200MiB"),
    ],
)
def test_nonsense_is_refused_before_anything_is_touched(
    name: str, arguments: dict[str, Any], expected: str
) -> None:
    with pytest.raises(FaultError, match=expected):
        getattr(processes, name)(**arguments)


def test_a_record_of_another_machine_is_refused() -> None:
    record = json.loads(json.dumps(planned("processes.cpu_stress").record))
    record["machine"] = {"host": "elsewhere", "boot": "other", "pids": "x"}
    with pytest.raises(FaultError, match="the workers ran on elsewhere"):
        find_fault("processes.cpu_stress").undo(record, Context())
