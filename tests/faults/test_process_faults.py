"""Kill, stop and restart on real processes, cut off by SIGKILL at every moment, undone from the record."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sloguard.faults import processes
from sloguard.faults.base import Context, FaultError, Injection, find_fault
from sloguard.faults.finding import Criteria, find
from sloguard.host.identity import Identity
from tests.support.calling import eventually, stopped_when
from tests.support.crashing import killed_at, start_injecting, undone_elsewhere
from tests.support.patience import PATIENCE, SOON
from tests.support.victims import Victims, is_stopped, until_running, until_stopped, victims_in


@pytest.fixture
def victims(tmp_path: Path) -> Iterator[Victims]:
    with victims_in(tmp_path) as made:
        yield made


def planned(name: str, **arguments: Any) -> list[Injection]:
    return list(find_fault(name).plan(arguments, Context(seed=1)).injections)


def found(word: str) -> list[Identity]:
    return [c.identity for c in find(Criteria.of(command_pattern=word))[0]]


# kill


def test_kill_hits_whom_it_planned_and_nobody_else(victims: Victims) -> None:
    a, b, c = victims.start(3)
    made = find_fault("processes.kill")
    plan = made.plan({"command_pattern": victims.word, "qty": 2}, Context())
    assert [i.target for i in plan.injections] == [str(a), str(b)]
    assert plan.spared == ((str(c), "not chosen"),)
    assert plan.summary == f"send SIGKILL to {a}, {b}"
    assert a.alive()  # planning touches nothing
    context = Context()
    outputs = [made.inject(i, context) for i in plan.injections]
    assert outputs[0] == {"process": str(a), "signal": "SIGKILL", "ended": True}
    assert [a.alive(), b.alive(), c.alive()] == [False, False, True]
    assert [made.undo(i.record, context) for i in plan.injections] == ["", ""]


def test_kill_at_random_is_repeatable(victims: Victims) -> None:
    victims.start(6)
    arguments = {"command_pattern": victims.word, "qty": 2, "rand": True}
    made = find_fault("processes.kill")
    targets = [
        tuple(i.target for i in made.plan(arguments, Context(seed=seed)).injections)
        for seed in (1, 1, 2, 3, 4, 5)
    ]
    assert targets[0] == targets[1]
    assert len(set(targets)) > 1
    seeded = {**arguments, "seed": 7}
    assert [i.target for i in made.plan(seeded, Context(seed=1)).injections] == [
        i.target for i in made.plan(seeded, Context(seed=2)).injections
    ]


def test_kill_sends_any_signal(victims: Victims) -> None:
    code = (
        "import signal, time\n"
        "signal.signal(signal.SIGHUP, lambda *a: open(__file__ + '.hup', 'w').write('x'))\n"
        "print('up', flush=True)\nwhile True: time.sleep(0.05)\n"
    )
    (victim,) = victims.start(1, code)
    assert processes.kill(pid=victim.pid, signal="HUP") == [
        {"process": str(victim), "signal": "SIGHUP"}
    ]
    eventually(lambda: Path(f"{victims.script}.hup").exists())
    assert victim.alive()


def test_kill_of_what_ignores_it_says_so(victims: Victims) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    (victim,) = victims.start(1, code)
    (output,) = processes.kill(pid=victim.pid, signal="TERM", wait="100ms")
    assert output["ended"] is False


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"signal": "STOP"}, "use processes.stop"),
        ({"signal": "BANG"}, "'BANG' is not a signal"),
        ({"wait": "x"}, "wait: 'x' is not a duration"),
        ({}, "which processes"),
    ],
)
def test_kill_refuses_nonsense(arguments: dict[str, Any], expected: str) -> None:
    pid = {"pid": 1} if arguments else {}
    with pytest.raises(FaultError, match=expected):
        processes.kill(**pid, **arguments)


def test_a_process_that_ended_before_is_not_hit(victims: Victims) -> None:
    (victim,) = victims.start()
    (injection,) = planned("processes.kill", pid=victim.pid)
    os.kill(victim.pid, signal.SIGKILL)
    victims.processes[0].wait()
    with pytest.raises(FaultError, match="ended before it could be hit"):
        find_fault("processes.kill").inject(injection, Context())


def test_a_reused_pid_is_never_touched(victims: Victims) -> None:
    (victim,) = victims.start()
    for name in ("processes.kill", "processes.stop"):
        (injection,) = planned(name, pid=victim.pid)
        record = json.loads(json.dumps(injection.record))
        record["process"]["started"] -= 1  # another process had this pid then
        changed = Injection(injection.target, record)
        with pytest.raises(FaultError, match="ended before"):
            find_fault(name).inject(changed, Context())
        assert find_fault(name).undo(record, Context()) == ""
    assert victim.state() in ("R", "S")


def test_a_record_of_another_machine_is_refused(victims: Victims) -> None:
    (victim,) = victims.start()
    (injection,) = planned("processes.stop", pid=victim.pid)
    record = json.loads(json.dumps(injection.record))
    record["process"] |= {"host": "elsewhere", "boot": "another"}
    with pytest.raises(FaultError, match="ran on elsewhere"):
        find_fault("processes.stop").undo(record, Context())
    record["process"]["host"] = injection.record["process"]["host"]
    assert find_fault("processes.stop").undo(record, Context()) == ""  # rebooted since


def test_records_hold_neither_environment_nor_command_line(
    victims: Victims, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "swordfish-in-environment")
    victims.start(
        1, "import time; print('up', flush=True); time.sleep(60)", "swordfish-in-argument"
    )
    for name in ("processes.kill", "processes.stop", "processes.restart"):
        (injection,) = planned(name, name_pattern=victims.word)
        assert "swordfish" not in json.dumps(injection.record)
        assert "swordfish" not in injection.by_hand + injection.target


def test_what_a_kill_takes_out_of_the_world_is_named(victims: Victims) -> None:
    code = (
        "import socket, time\n"
        "s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()\n"
        "open(__file__ + '.port', 'w').write(str(s.getsockname()[1]))\n"
        "print('up', flush=True)\ntime.sleep(60)\n"
    )
    (victim,) = victims.start(1, code)
    port = Path(f"{victims.script}.port").read_text()
    (killing,) = planned("processes.kill", pid=victim.pid)
    assert f"127.0.0.1:{port}" in killing.removes["instance"]
    (asking,) = planned("processes.kill", pid=victim.pid, signal="HUP")
    (stopping,) = planned("processes.stop", pid=victim.pid)
    assert asking.removes == stopping.removes == {}


# stop


def test_stop_and_undo(victims: Victims) -> None:
    a, b = victims.start(2)
    made, context = find_fault("processes.stop"), Context()
    injections = planned("processes.stop", command_pattern=victims.word, all=True)
    assert [made.undo(i.record, context) for i in injections] == ["", ""]  # before the injection
    assert [made.inject(i, context) for i in injections] == [
        {"stopped": str(a)},
        {"stopped": str(b)},
    ]
    until_stopped(a, b)
    assert made.undo(injections[0].record, context) == f"continued {a}"
    until_running(a)
    assert is_stopped(b)
    assert made.undo(injections[0].record, context) == ""
    assert made.undo(injections[1].record, context) == f"continued {b}"
    until_running(a, b)


def test_stop_for_a_while_stops_all_together_and_continues_them(victims: Victims) -> None:
    everybody = victims.start(3)
    thread = threading.Thread(
        target=processes.stop,
        kwargs={"command_pattern": victims.word, "all": True, "duration": "600ms"},
    )
    began = time.monotonic()
    thread.start()
    until_stopped(*everybody)
    thread.join()
    assert 0.6 <= time.monotonic() - began < SOON
    until_running(*everybody)


def test_stop_for_a_while_ends_early_when_asked(victims: Victims) -> None:
    (victim,) = victims.start()
    context = Context()
    (injection,) = planned("processes.stop", pid=victim.pid, duration=60)
    outputs: list[Any] = []
    thread = threading.Thread(
        target=lambda: outputs.append(find_fault("processes.stop").inject(injection, context))
    )
    thread.start()
    until_stopped(victim)
    context.stop.set()
    thread.join(SOON)
    assert not thread.is_alive()
    until_running(victim)
    assert outputs[0]["seconds"] < 60


def test_stop_called_as_a_plain_activity_is_taken_back_when_that_is_stopped(
    victims: Victims,
) -> None:
    (victim,) = victims.start()
    provider = {
        "type": "python",
        "module": "sloguard.faults.processes",
        "func": "stop",
        "arguments": {"pid": victim.pid, "duration": 60},
    }
    assert stopped_when(provider, lambda: is_stopped(victim)).aborted
    until_running(victim)


def test_a_process_stopped_by_others_stays_stopped(victims: Victims) -> None:
    a, b = victims.start(2)
    os.kill(a.pid, signal.SIGSTOP)
    until_stopped(a)
    made = find_fault("processes.stop")
    plan = made.plan({"command_pattern": victims.word, "all": True}, Context())
    assert [i.target for i in plan.injections] == [str(b)]
    assert plan.spared == ((str(a), "is stopped already, by somebody else"),)
    os.kill(a.pid, signal.SIGCONT)


@pytest.mark.parametrize(
    ("moment", "duration", "said"),
    [
        ("planned", None, ""),
        ("injected", None, "continued"),
        ("planned", 60, ""),
    ],
)
def test_stop_cut_off_by_sigkill_is_undone_by_another_process(
    victims: Victims, tmp_path: Path, moment: str, duration: float | None, said: str
) -> None:
    (victim,) = victims.start()
    arguments = {"pid": victim.pid, "duration": duration}
    record = killed_at(moment, "processes.stop", arguments, tmp_path / "record.json")
    if said:
        until_stopped(victim)
    done, _ = undone_elsewhere("processes.stop", record)
    assert done == (f"continued {victim}" if said else "")
    until_running(victim)
    assert undone_elsewhere("processes.stop", record)[0] == ""


def test_stop_killed_while_it_lasts_is_undone_by_another_process(
    victims: Victims, tmp_path: Path
) -> None:
    (victim,) = victims.start()
    path = tmp_path / "record.json"
    with start_injecting("processes.stop", {"pid": victim.pid, "duration": 60}, path) as process:
        until_stopped(victim)
        process.kill()
    assert is_stopped(victim)
    done, _ = undone_elsewhere("processes.stop", json.loads(path.read_text()))
    assert done == f"continued {victim}"
    until_running(victim)


# restart


def again(victims: Victims) -> list[str]:
    return [sys.executable, str(victims.script)]


def restarting(victims: Victims, **more: Any) -> dict[str, Any]:
    return {
        "command_pattern": victims.word,
        "command": again(victims),
        "grace": 5,
        "back_within": 10,
        **more,
    }


def run_restart(victims: Victims, **more: Any) -> tuple[Any, dict[str, Any]]:
    """Plan and inject with the run's name on what is started, so that the test can end it."""
    made, saved = find_fault("processes.restart"), []
    context = Context(save=saved.append, run=victims.word)
    (injection,) = made.plan(restarting(victims, **more), context).injections
    return made.inject(injection, context), dict(saved[-1])


def test_restart_by_a_command(victims: Victims) -> None:
    (old,) = victims.start()
    output, record = run_restart(victims)
    (new,) = found(victims.word)
    assert new != old
    assert (output["process"], output["back"], output["ended_with"]) == (
        str(old),
        str(new),
        "SIGTERM",
    )
    assert record["step"] == "back"
    assert os.readlink(f"/proc/{new.pid}/cwd") == os.getcwd()
    # It is back: there is nothing to undo, however often it is asked.
    assert undone_elsewhere("processes.restart", record)[0] == ""
    assert found(victims.word) == [new]


def test_restart_kills_what_does_not_end(victims: Victims) -> None:
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    victims.start(1, deaf)
    output, _ = run_restart(victims, grace="200ms")
    assert output["ended_with"] == "SIGKILL"
    assert len(found(victims.word)) == 1


def test_restart_through_the_shell_and_a_log(victims: Victims, tmp_path: Path) -> None:
    victims.start()
    log = tmp_path / "out.log"
    command = f"exec '{sys.executable}' '{victims.script}'"
    run_restart(victims, command=command, log=str(log))
    eventually(lambda: log.read_text() == "up\n")


def test_restart_by_a_supervisor(victims: Victims, tmp_path: Path) -> None:
    child = tmp_path / f"{victims.word}-child.py"
    child.write_text("import time\nwhile True: time.sleep(0.05)\n")
    supervisor = (
        "import subprocess, sys, time\nprint('up', flush=True)\n"
        f"while True:\n    subprocess.run([sys.executable, {str(child)!r}])\n    time.sleep(1)\n"
    )
    (boss,) = victims.start(1, supervisor)
    arguments = {"name_pattern": "-child", "command_pattern": str(child), "back_within": PATIENCE}
    eventually(lambda: found(str(child)))
    (output,) = processes.restart(**arguments)
    (new,) = found(str(child))
    assert output["back"] == str(new)
    assert output["down_seconds"] > 0.2
    assert boss.alive()
    os.kill(boss.pid, signal.SIGKILL)
    with pytest.raises(FaultError, match=r"is not back within 0\.5s: what supervises it"):
        processes.restart(pid=new.pid, back_within=0.5)


def test_restart_by_a_command_that_fails_says_so(victims: Victims) -> None:
    victims.start()
    with pytest.raises(FaultError, match="command: ended with exit code 3; give a log"):
        run_restart(victims, command="exit 3")


def test_a_command_that_starts_nothing_says_so(victims: Victims) -> None:
    victims.start()
    with pytest.raises(FaultError, match="is not back within 1s: the command has not started it"):
        run_restart(victims, command=["/bin/true"], back_within=1)


def test_a_command_that_cannot_be_run_says_so(victims: Victims) -> None:
    victims.start()
    with pytest.raises(FaultError, match="command: cannot be started"):
        run_restart(victims, command=["/nowhere/at/all"])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"command": []}, "command: is empty"),
        ({"command": 5}, "command: expected a list or a text"),
        ({"directory": "/nowhere"}, "directory: no directory"),
        ({"grace": 0}, "grace: must be above 0"),
        ({"back_within": "soon"}, "back_within: 'soon' is not a duration"),
    ],
)
def test_restart_refuses_nonsense(
    victims: Victims, arguments: dict[str, Any], expected: str
) -> None:
    victims.start()
    with pytest.raises(FaultError, match=expected):
        processes.restart(**restarting(victims, **arguments))


# A restart saves its record three times: before the first signal, when the process has ended, and when it
# is back. It can be cut off before and after each of them, and between.
@pytest.mark.parametrize(
    ("moment", "ended", "said"),
    [
        ("planned", False, ""),
        ("saving 1", False, ""),
        ("saved 1", False, ""),
        ("saving 2", True, "started"),
        ("saved 2", True, "started"),
        ("saving 3", True, ""),
        ("saved 3", True, ""),
        ("injected", True, ""),
    ],
)
def test_restart_cut_off_by_sigkill_is_finished_by_another_process(
    victims: Victims, tmp_path: Path, moment: str, ended: bool, said: str
) -> None:
    (old,) = victims.start()
    arguments = restarting(victims, grace=0.5 if moment == "saved 1" else 5)
    record = killed_at(moment, "processes.restart", arguments, tmp_path / "record.json")
    record["run"] = victims.word
    try:
        assert old.alive() is not ended
        done, newer = undone_elsewhere("processes.restart", record)
        assert done.startswith(said)
        assert bool(done) == bool(said)
        (now,) = found(victims.word)  # exactly one, whatever happened
        assert (now == old) is not ended
        assert undone_elsewhere("processes.restart", newer)[0] == ""
        assert undone_elsewhere("processes.restart", record)[0] == ""
        assert found(victims.word) == [now]
    finally:
        for left in found(victims.word):
            if left != old:
                os.kill(left.pid, signal.SIGKILL)


def test_restart_stopped_half_way_is_finished_by_the_undo(victims: Victims) -> None:
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    (old,) = victims.start(1, deaf)
    made, saved = find_fault("processes.restart"), []
    context = Context(save=saved.append, run=victims.word)
    (injection,) = made.plan(restarting(victims, grace=60), context).injections
    errors: list[Exception] = []

    def inject() -> None:
        try:
            made.inject(injection, context)
        except FaultError as error:
            errors.append(error)

    thread = threading.Thread(target=inject)
    thread.start()
    eventually(lambda: saved)
    context.stop.set()
    thread.join(SOON)
    assert "stopped while" in str(errors[0])
    os.kill(old.pid, signal.SIGKILL)
    victims.processes[0].wait()
    assert made.undo(saved[-1], Context(run=victims.word)).startswith("started ")
    assert len(found(victims.word)) == 1


def test_a_daemon_that_leaves_its_starter_is_found_by_what_it_is(victims: Victims) -> None:
    (old,) = victims.start()
    # The command itself ends well after the daemon is up, as service managers' do.
    command = f"setsid '{sys.executable}' '{victims.script}' >/dev/null 2>&1 & sleep 0.1"
    output, _ = run_restart(victims, command=command)
    (new,) = found(victims.word)
    assert output["back"] == str(new) != str(old)
    assert subprocess.run(["kill", "-0", str(new.pid)], check=False).returncode == 0
