"""Identity, signals and markers on real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from sloguard.host.identity import (
    AnotherMachine,
    Identity,
    Machine,
    identify,
    protected_pids,
    this_machine,
)
from sloguard.host.marks import ACTIVITY, RUN, processes_of
from sloguard.host.signals import _send_by_pid, end, send, signal_number, wait_gone
from tests.support.patience import PATIENCE


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def known(process: subprocess.Popen[bytes]) -> Identity:
    identity = identify(process.pid)
    assert identity is not None
    return identity


def test_identity_survives_json_and_tells_the_state(sleeper: subprocess.Popen[bytes]) -> None:
    identity = known(sleeper)
    assert Identity.from_record(identity.record()) == identity
    assert identity.alive()
    assert send(identity, signal.SIGKILL)
    assert wait_gone([identity], PATIENCE) == []
    assert not identity.alive()  # a zombie until it is waited for
    sleeper.wait()
    assert identity.state() == ""


def test_a_reused_pid_is_another_process(sleeper: subprocess.Popen[bytes]) -> None:
    before = replace(known(sleeper), started=known(sleeper).started - 1)
    assert before.state() == ""
    assert send(before, signal.SIGKILL) is False
    assert sleeper.poll() is None


def test_without_pidfds_the_identity_is_looked_at_all_the_same(
    sleeper: subprocess.Popen[bytes],
) -> None:
    identity = known(sleeper)
    assert _send_by_pid(replace(identity, started=identity.started - 1), signal.SIGKILL) is False
    assert sleeper.poll() is None
    assert _send_by_pid(identity, signal.SIGKILL) is True
    assert sleeper.wait(PATIENCE) == -signal.SIGKILL


def test_a_process_of_an_earlier_boot_is_gone_and_one_of_another_machine_is_unknown() -> None:
    me = identify(os.getpid())
    assert me is not None
    here = this_machine()
    rebooted = replace(me, machine=Machine(here.host, "another-boot", here.pids))
    assert rebooted.state() == ""
    elsewhere = replace(me, machine=Machine("elsewhere", "another-boot", here.pids))
    with pytest.raises(AnotherMachine, match="ran on elsewhere"):
        elsewhere.state()
    contained = replace(me, machine=Machine(here.host, here.boot, "pid:[1]"))
    with pytest.raises(AnotherMachine, match="same container"):
        send(contained, signal.SIGTERM)


def test_self_parents_and_the_first_process_are_protected() -> None:
    kept = protected_pids()
    assert {1, os.getpid(), os.getppid()} <= set(kept)


def test_marked_processes_are_found_with_their_daemons() -> None:
    run = f"run-{os.getpid()}"
    environment = {**os.environ, RUN: run, ACTIVITY: "method[0]"}
    script = "(setsid sleep 61 >/dev/null 2>&1 &) ; exec sleep 62"
    process = subprocess.Popen(["sh", "-c", script], env=environment, stdout=subprocess.PIPE)
    try:
        for _ in range(3000):
            if [i.name for i in processes_of(run, "method[0]")] == ["sleep", "sleep"]:
                break
            wait_gone([known(process)], 0.02)
        found = processes_of(run, "method[0]")
        assert [i.name for i in found] == ["sleep", "sleep"]
        assert processes_of(run, "method[1]") == []
        assert processes_of("run-of-others") == []
        assert {i.pid for i in end(processes_of(run))} == {i.pid for i in found}
        assert processes_of(run) == []
    finally:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


def test_end_kills_what_ignores_a_polite_word() -> None:
    script = "import signal,sys,time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    identity = known(process)
    os.kill(process.pid, signal.SIGSTOP)  # not even a stopped one survives
    assert end([identity], grace=0.2) == [identity]
    assert process.wait(PATIENCE) == -signal.SIGKILL
    process.stdout.close()


@pytest.mark.parametrize("text", ["TERM", "sigterm", 15, "15"])
def test_signals_by_name_and_number(text: str | int) -> None:
    assert signal_number(text) == 15


def test_a_signal_that_does_not_exist_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match="'BOOM' is not a signal; one of HUP, INT"):
        signal_number("BOOM")
