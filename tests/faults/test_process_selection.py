"""Whom a process fault hits: properties of the choice, and finding real processes."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloguard.faults.base import FaultError
from sloguard.faults.finding import Candidate, Criteria, find, read_pid_file
from sloguard.faults.selection import Choice, choose, select
from sloguard.faults.sockets import instances_of
from sloguard.host.identity import Identity, Machine
from tests.support.calling import eventually
from tests.support.victims import Victims, victims_in

HERE = Machine("here", "boot", "pids")
CANDIDATES = st.lists(
    st.builds(
        lambda pid, started: Candidate(Identity(pid, started, "x", HERE)),
        st.integers(2, 10_000),
        st.integers(0, 50),
    ),
    unique_by=lambda c: c.identity.pid,
    max_size=20,
)
CHOICES = st.builds(
    lambda kind, amount, rand, seed, leave: Choice.of(
        **{kind: amount if kind != "all" else True} if kind else {},
        rand=rand,
        seed=seed,
        leave_at_least=leave,
    ),
    st.sampled_from(["qty", "percentage", "all", ""]),
    st.integers(1, 25),
    st.booleans(),
    st.none() | st.integers(0, 5),
    st.integers(0, 6),
)


@given(CANDIDATES, CHOICES, st.integers(0, 1000))
def test_every_process_is_either_hit_or_left_and_enough_are_left(
    found: list[Candidate], choice: Choice, seed: int
) -> None:
    victims, left = choose(found, choice, random.Random(seed))
    assert sorted(str(c) for c in [*victims, *left]) == sorted(str(c) for c in found)
    assert len(left) >= min(choice.leave_at_least, len(found))
    if choice.qty is not None:
        assert len(victims) <= choice.qty
    if choice.all:
        assert len(victims) == max(len(found) - choice.leave_at_least, 0)
    if not choice.all and choice.qty is None and choice.share is None:
        assert len(victims) <= 1


@given(CANDIDATES, CHOICES, st.integers(0, 1000), st.randoms())
def test_the_same_seed_hits_the_same_processes_in_whatever_order_they_are_found(
    found: list[Candidate], choice: Choice, seed: int, shuffler: random.Random
) -> None:
    shuffled = list(found)
    shuffler.shuffle(shuffled)
    once = choose(found, choice, random.Random(seed))
    assert choose(shuffled, choice, random.Random(seed)) == once
    if choice.seed is not None:
        assert choose(found, choice, random.Random(seed + 1)) == once
    if not choice.rand:
        ages = [(c.identity.started, c.identity.pid) for c in once[0]]
        rest = [(c.identity.started, c.identity.pid) for c in once[1]]
        assert all(a < b for a in ages for b in rest)


@given(st.integers(1, 1000), st.integers(1, 100))
def test_a_percentage_is_never_exceeded_except_to_hit_one(found: int, percentage: int) -> None:
    count = Choice.of(percentage=percentage).count(found)
    assert count == max(found * percentage // 100, 1)


def test_random_choice_is_random() -> None:
    found = [Candidate(Identity(pid, pid, "x", HERE)) for pid in range(2, 40)]
    choice = Choice.of(qty=3, rand=True)
    chosen = {str(choose(found, choice, random.Random(seed))[0]) for seed in range(20)}
    assert len(chosen) > 10


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"qty": 1, "all": True}, "qty and all contradict each other"),
        ({"qty": 0}, "qty: must be at least 1"),
        ({"qty": "many"}, "qty: expected a whole number"),
        ({"percentage": 101}, "percentage: must be above 0 and at most 100"),
        ({"percentage": "x"}, "percentage: expected a percentage"),
        ({"leave_at_least": -1}, "leave_at_least: must be at least 0"),
        ({"seed": 1.5}, "seed: expected a whole number"),
    ],
)
def test_choices_that_make_no_sense(arguments: dict[str, Any], expected: str) -> None:
    with pytest.raises(FaultError, match=expected):
        Choice.of(**arguments)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, "which processes"),
        ({"name_pattern": "("}, "name_pattern: '\\(' is not a regular expression"),
        ({"name_pattern": ""}, "an empty pattern would match every process"),
        ({"pid": "x"}, "pid: expected a whole number"),
        ({"pid": 0}, "pid: must be at least 1"),
        ({"port": 70000}, "port: must be at least 1 and at most 65535"),
    ],
)
def test_criteria_that_make_no_sense(arguments: dict[str, Any], expected: str) -> None:
    with pytest.raises(FaultError, match=expected):
        Criteria.of(**arguments)


@given(
    st.builds(
        Criteria,
        pid=st.lists(st.integers(1, 99)).map(tuple),
        pid_file=st.lists(st.text()).map(tuple),
        name_pattern=st.text(),
        port=st.integers(0, 65535),
        user=st.text(),
    )
)
def test_criteria_survive_json(criteria: Criteria) -> None:
    import json

    assert Criteria.from_record(json.loads(json.dumps(criteria.record()))) == criteria


@pytest.fixture
def victims(tmp_path: Path) -> Iterator[Victims]:
    with victims_in(tmp_path) as made:
        yield made


def pids(criteria: Criteria) -> list[int]:
    return sorted(c.identity.pid for c in find(criteria)[0])


def test_found_by_every_criterion(victims: Victims, tmp_path: Path) -> None:
    a, b = victims.start(2)
    both = sorted([a.pid, b.pid])
    file = tmp_path / "pids"
    file.write_text(f"{a.pid}\n\n{b.pid}\n/var/lib/data\n99999999\n")
    assert pids(Criteria.of(pid=[a.pid, b.pid])) == both
    assert pids(Criteria.of(pid_file=str(file))) == both
    assert pids(Criteria.of(pid_file=str(file), pid=a.pid)) == [a.pid]
    assert pids(Criteria.of(name_pattern=f"^{victims.word}")) == both
    assert pids(Criteria.of(command_pattern=str(victims.script))) == both
    assert pids(Criteria.of(command_pattern=victims.word, user=str(os.getuid()))) == both
    assert pids(Criteria.of(command_pattern=victims.word, user="nobody")) == []
    # A name is not the whole command line.
    assert pids(Criteria.of(name_pattern=str(tmp_path))) == []


def test_found_by_the_port_it_listens_on(victims: Victims) -> None:
    code = (
        "import socket, time\n"
        "s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()\n"
        "print('up', flush=True)\n"
        "open(__file__ + '.port', 'w').write(str(s.getsockname()[1]))\n"
        "time.sleep(60)\n"
    )
    (listener,) = victims.start(1, code)
    note = Path(f"{victims.script}.port")
    port = int(eventually(lambda: note.exists() and note.read_text()))
    assert pids(Criteria.of(port=port)) == [listener.pid]
    names = instances_of([listener])
    assert {f"127.0.0.1:{port}", f"localhost:{port}"} <= names
    assert not any(str(port) not in name for name in names)
    with socket.create_connection(("127.0.0.1", port)):
        # Who merely talks to it does not listen on it.
        assert pids(Criteria.of(port=port)) == [listener.pid]


def test_sloguard_its_parents_and_the_first_process_are_spared() -> None:
    found, spared = find(Criteria.of(pid=[1, os.getpid(), os.getppid()]))
    assert found == []
    reasons = " ".join(reason for _, reason in spared)
    assert "sloguard itself" in reasons
    assert "a parent of sloguard" in reasons
    with pytest.raises(FaultError, match=r"no process to hit for pid 1: .*the first process"):
        select(Criteria.of(pid=1), Choice.of(), random.Random(1))


def test_kernel_threads_are_spared() -> None:
    with pytest.raises(FaultError, match=r"a kernel thread|the first process|no process matches"):
        select(Criteria.of(pid=2), Choice.of(), random.Random(1))


def test_a_pid_that_is_younger_than_its_file_is_another_process(
    victims: Victims, tmp_path: Path
) -> None:
    (victim,) = victims.start()
    file = tmp_path / "pid"
    file.write_text(str(victim.pid))
    old = time.time() - 3600
    os.utime(file, (old, old))
    with pytest.raises(FaultError, match="the pid was reused"):
        select(Criteria.of(pid_file=str(file)), Choice.of(), random.Random(1))
    # Named outright it is meant.
    assert pids(Criteria.of(pid=victim.pid)) == [victim.pid]


@pytest.mark.parametrize("text", ["", "not a pid\n1\n"])
def test_a_file_without_a_pid(text: str, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    file.write_text(text)
    with pytest.raises(FaultError, match="expected a process id in its first line"):
        read_pid_file(str(file))
    with pytest.raises(FaultError, match="No such file"):
        read_pid_file(str(tmp_path / "none"))


def test_one_by_default_and_all_that_are_named(victims: Victims) -> None:
    a, b, c = victims.start(3)
    source = random.Random(1)
    by_pattern = Criteria.of(command_pattern=victims.word)
    hit, spared = select(by_pattern, Choice.of(), source)
    assert [v.identity for v in hit] == [a]
    assert spared == ((str(b), "not chosen"), (str(c), "not chosen"))
    named, _ = select(Criteria.of(pid=[b.pid, c.pid]), Choice.of(), source)
    assert {v.identity for v in named} == {b, c}
    with pytest.raises(FaultError, match="leave_at_least is 3: none may be hit"):
        select(by_pattern, Choice.of(all=True, leave_at_least=3), source)
    most, _ = select(by_pattern, Choice.of(all=True, leave_at_least=1), source)
    assert len(most) == 2


def test_nobody_found_says_what_else_there_is(victims: Victims) -> None:
    victims.start(1, "import time; print('up', flush=True); time.sleep(60)", "--only-here-zz")
    with pytest.raises(FaultError, match=r"a process has it elsewhere .* use command_pattern"):
        select(
            Criteria.of(name_pattern="^--only-here-zz|only-here-zz"), Choice.of(), random.Random(1)
        )
    with pytest.raises(FaultError, match="user: no user 'nobody-at-all'"):
        find(Criteria.of(user="nobody-at-all"))


def test_a_process_of_another_user_is_spared(victims: Victims) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    (victim,) = victims.start()
    code = (
        "import os, random, sys\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "from sloguard.faults.finding import Criteria, find\n"
        f"print(find(Criteria.of(pid={victim.pid})))\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, '.'); {'import sloguard.faults.finding'}\n{code}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "belongs to another user: not permitted" in said.stdout
