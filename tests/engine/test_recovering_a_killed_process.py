"""SIGKILL at many moments of a real run, with a real store, then ``recover``: all is as before."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest

from sloguard.adapters.store import Store
from sloguard.core.events import RunEnded
from sloguard.engine.recover import recover
from sloguard.host.identity import read_stat
from sloguard.host.marks import processes_of
from sloguard.spec import load
from tests.support.killed_run import ports

ROOT = Path(__file__).parents[2]

EXPERIMENT = """
title: Killed while it runs
description: All is put back by somebody else.
phases: {{before: 0s, during: 1s, after: 30s}}
configuration: {{mark: "{folder}/broken"}}
steady-state-hypothesis:
  title: there is a folder
  probes:
  - {{type: probe, name: folder, tolerance: 0, provider: {{type: process, path: "true"}}}}
method:
- type: action
  name: break by hand
  provider: {{type: process, path: touch, arguments: ["${{mark}}"]}}
- type: action
  name: stop the victim
  provider: {{type: python, module: sloguard.faults.processes, func: stop, arguments: {{pid: {victim}}}}}
- type: action
  name: something long
  background: true
  provider: {{type: process, path: sleep, arguments: ["1.5"]}}
- type: action
  name: something short
  provider: {{type: process, path: sleep, arguments: ["0.3"]}}
rollbacks:
- type: action
  name: mend by hand
  provider: {{type: process, path: rm, arguments: [-f, "${{mark}}"]}}
"""


_started: list[subprocess.Popen] = []


@pytest.fixture(autouse=True)
def ended_with_the_test():
    yield
    while _started:
        process = _started.pop()
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def victim():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def run_of(folder: Path) -> str:
    """A name of its own: processes are found by it, also those of the test beside this one."""
    return f"20260101T120000-{zlib.crc32(str(folder).encode()):08x}"


def start(folder: Path, victim: subprocess.Popen) -> subprocess.Popen:
    text = EXPERIMENT.format(folder=folder, victim=victim.pid)
    (folder / "experiment.yaml").write_text(text)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.killed_run", str(folder), run_of(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    _started.append(process)
    return process


def kill_at(process: subprocess.Popen, moment: str, delay: float = 0.0) -> None:
    """Wait for a line that begins with the moment, then SIGKILL."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(moment):
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            break
    else:
        pytest.fail(f"the run never came to {moment}")
    process.wait()


def is_stopped(victim: subprocess.Popen) -> bool:
    stat = read_stat(victim.pid)
    assert stat is not None
    return stat.state == "T"


def recovered(folder: Path) -> list:
    with Store(str(folder / "runs.db")) as store:
        return list(
            recover(store, ports(store, folder / "locks"), lambda s, v: load(s, variables=v))
        )


def assert_as_before(folder: Path, victim: subprocess.Popen) -> None:
    events = recovered(folder)
    last = events[-1]
    assert isinstance(last, RunEnded)
    assert (last.outcome, last.reason) == ("aborted", "interrupted")
    assert not is_stopped(victim)
    assert not (folder / "broken").exists()
    assert processes_of(run_of(folder)) == []
    with Store(str(folder / "runs.db")) as store:
        assert store.unfinished() == ()
        assert store.open_intents(run_of(folder)) == ()
        (kept,) = store.runs()
        assert (kept.outcome, kept.reason) == ("aborted", "interrupted")
    assert recovered(folder) == []


@pytest.mark.parametrize(
    "moment",
    [
        "RunStarted",
        "PhaseStarted before",
        "PhaseStarted during",
        "FaultPlanned",
        "FaultChanged injected",
        "FaultChanged undone",
        "PhaseStarted after",
    ],
)
def test_killed_at_a_moment(tmp_path, victim, moment):
    kill_at(start(tmp_path, victim), moment)
    assert_as_before(tmp_path, victim)


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_time_of_the_method(tmp_path, victim, seed):
    delay = random.Random(seed).uniform(0.0, 2.2)
    kill_at(start(tmp_path, victim), "PhaseStarted during", delay)
    assert_as_before(tmp_path, victim)


def test_a_run_that_lives_is_not_touched(tmp_path, victim):
    process = start(tmp_path, victim)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("FaultChanged injected"):
            break
    assert recovered(tmp_path) == []
    assert is_stopped(victim)
    process.kill()
    process.wait()
    assert_as_before(tmp_path, victim)
