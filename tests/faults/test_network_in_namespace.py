"""Network faults for real, in a network namespace that is gone when its process ends.

Each test runs a script of its own under ``unshare --net``; what the kernel lacks is told, and then tested as
the refusal that it has to be.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sloguard.faults import tc
from sloguard.faults.base import FaultError
from sloguard.faults.network import delay

ROOT = Path(__file__).parents[2]
_NAMESPACE = [shutil.which("unshare") or "unshare", "--net"]


def _possible() -> bool:
    try:
        tc.program()
        tc.need_rights()
    except FaultError:
        return False
    try:
        return (
            subprocess.run([*_NAMESPACE, "true"], check=False, capture_output=True).returncode == 0
        )
    except OSError:
        return False


pytestmark = pytest.mark.skipif(not _possible(), reason="needs root, iproute2 and unshare")

_HEAD = """
import json, socket, subprocess, sys, threading, time
from sloguard.faults import tc
from sloguard.faults.base import Context, FaultError, find_fault

def sh(line):
    subprocess.run(line, shell=True, check=True)

def now():
    return tc.comparable(tc.qdiscs("lo"))

def listen():
    s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(20)
    return s

def reach(s, within=20):
    try:
        socket.create_connection(s.getsockname(), timeout=within).close()
        return True
    except TimeoutError:
        return False

sh("ip link set lo up")
notes = []
context = Context(note=notes.append)
"""


def in_namespace(body: str, *words: str) -> Any:
    """Run a script in a namespace of its own; what it prints last, as JSON."""
    done = subprocess.run(
        [*_NAMESPACE, sys.executable, "-c", _HEAD + body, *words],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_partition_cuts_one_port_off_and_is_undone() -> None:
    found = in_namespace("""
a, b = listen(), listen()
made = find_fault("network.partition")
before = now()
plan = made.plan({"interface": "lo", "hosts": "127.0.0.1", "ports": a.getsockname()[1]}, context)
(injection,) = plan.injections
seen = {"planned": now() == before, "undo before": made.undo(injection.record, context)}
made.inject(injection, context)
seen |= {"cut": not reach(a, 0.4), "rest": reach(b)}
seen["undo"] = made.undo(injection.record, context)
seen |= {"back": reach(a), "same": now() == before, "again": made.undo(injection.record, context)}
seen |= {"notes": notes, "summary": plan.summary}
print(json.dumps(seen))
""")
    summary = found.pop("summary")
    assert summary.startswith("partition on lo (to 127.0.0.1 to port ")
    assert summary.endswith(") until undone")
    assert found == {
        "planned": True,
        "undo before": "",
        "cut": True,
        "rest": True,
        "undo": "restored traffic control of lo",
        "back": True,
        "same": True,
        "again": "",
        "notes": [],
    }


def test_a_throttle_slows_down_and_ends_by_itself() -> None:
    found = in_namespace("""
def transfer(size=400_000):
    s = listen()
    def send():
        peer, _ = s.accept()
        with peer: peer.sendall(b"x" * size)
    threading.Thread(target=send).start()
    began = time.monotonic()
    with socket.create_connection(s.getsockname()) as c:
        while c.recv(1 << 16): pass
    return time.monotonic() - began

made = find_fault("network.throttle")
before, free = now(), transfer()
(injection,) = made.plan({"interface": "lo", "rate": "1mbit", "duration": 4}, context).injections
thread = threading.Thread(target=made.inject, args=(injection, context)); thread.start()
while now() == before: time.sleep(0.01)
slow = transfer()
context.stop.set(); thread.join()
print(json.dumps({"free": free, "slow": slow, "same": now() == before}))
""")
    # 400 kB less the burst, at 125 kB a second.
    assert found["slow"] > 1.5
    assert found["free"] < found["slow"] / 2
    assert found["same"] is True


@pytest.mark.parametrize(
    "own",
    ["pfifo limit 33", "handle 8001: tbf rate 1mbit burst 32kb latency 50ms", "bfifo limit 99000"],
)
def test_somebodys_own_setting_is_put_back_exactly(own: str) -> None:
    found = in_namespace(
        """
sh("tc qdisc add dev lo root " + sys.argv[1])
made, before = find_fault("network.partition"), now()
(injection,) = made.plan({"interface": "lo", "hosts": "127.0.0.9"}, context).injections
made.inject(injection, context)
changed = now() != before
made.undo(injection.record, context)
print(json.dumps([changed, now() == before, injection.by_hand]))
""",
        own,
    )
    assert found[:2] == [True, True]
    assert found[2].startswith("tc qdisc replace dev lo root")


def test_a_setting_with_classes_is_not_touched() -> None:
    found = in_namespace("""
sh("tc qdisc add dev lo root handle 1: htb default 1 && tc class add dev lo parent 1: classid 1:1 htb rate 1gbit")
before = now()
try:
    find_fault("network.partition").plan({"interface": "lo", "ports": 9}, context)
except FaultError as error:
    print(json.dumps([str(error), now() == before]))
""")
    assert "traffic control of somebody's own (htb 1:)" in found[0]
    assert found[1] is True


def test_what_others_set_up_in_between_is_left_alone() -> None:
    found = in_namespace("""
made = find_fault("network.partition")
(injection,) = made.plan({"interface": "lo", "ports": 9}, context).injections
sh("tc qdisc add dev lo root pfifo limit 7")
others = now()
try:
    made.inject(injection, context)
except FaultError as error:
    said = str(error)
undone = made.undo(injection.record, context)
print(json.dumps([said, undone, now() == others, notes]))
""")
    assert "was set up anew since it was looked at" in found[0]
    assert found[1:3] == ["", True]
    assert "left alone" in found[3][0]


def test_a_setup_that_fails_half_way_leaves_nothing() -> None:
    found = in_namespace("""
made, before = find_fault("network.partition"), now()
(injection,) = made.plan({"interface": "lo", "ports": 9}, context).injections
record = json.loads(json.dumps(injection.record))
record["commands"][2][-1] = "nonsense"
try:
    made.injector(record, context)
except FaultError as error:
    print(json.dumps([str(error), now() == before]))
""")
    assert found[0].startswith("tc qdisc add")
    assert found[1] is True


@pytest.mark.parametrize("kept", [0, 1, 2, 3, 5])
def test_sigkill_between_any_two_commands_is_undone_by_another_process(kept: int) -> None:
    found = in_namespace(
        """
kept, before = int(sys.argv[1]), now()
made = find_fault("network.partition")
(injection,) = made.plan({"interface": "lo", "ports": [9, 10]}, context).injections
record = json.loads(json.dumps(injection.record))
inject = '''
import json, os, signal, sys
from sloguard.faults import tc
record, kept = json.loads(sys.argv[1]), int(sys.argv[2])
for command in record["commands"][:kept]: tc.run(command)
os.kill(os.getpid(), signal.SIGKILL)
'''
subprocess.run([sys.executable, "-c", inject, json.dumps(record), str(kept)])
changed = now() != before
undo = '''
import json, sys
from sloguard.faults.base import Context, find_fault
print(find_fault("network.partition").undo(json.loads(sys.argv[1]), Context()))
'''
said = [subprocess.run([sys.executable, "-c", undo, json.dumps(record)], check=True,
        capture_output=True, text=True).stdout.strip() for _ in range(2)]
print(json.dumps([changed, said, now() == before]))
""",
        str(kept),
    )
    restored = "restored traffic control of lo" if kept else ""
    assert found == [bool(kept), [restored, ""], True]


def test_a_record_of_another_namespace_is_refused_and_a_lost_interface_is_nothing_to_undo() -> None:
    found = in_namespace("""
sh("ip link add v0 type veth peer name v1")
made = find_fault("network.partition")
(injection,) = made.plan({"interface": "v0", "ports": 9}, context).injections
made.inject(injection, context)
record = json.loads(json.dumps(injection.record))
record["machine"]["network"] = "net:[1]"
try:
    made.undo(record, context)
except FaultError as error:
    said = str(error)
sh("ip link del v0")
print(json.dumps([said, made.undo(injection.record, context)]))
""")
    assert "another network namespace" in found[0]
    assert found[1] == ""


def test_delay_works_or_says_what_the_kernel_lacks() -> None:
    found = in_namespace("""
a = listen()
before = now()
try:
    (injection,) = find_fault("network.delay").plan(
        {"interface": "lo", "delay": "150ms", "ports": a.getsockname()[1]}, context).injections
except FaultError as error:
    print(json.dumps({"said": str(error), "same": now() == before}))
else:
    made = find_fault("network.delay")
    made.inject(injection, context)
    began = time.monotonic(); socket.create_connection(a.getsockname()); took = time.monotonic() - began
    made.undo(injection.record, context)
    print(json.dumps({"took": took, "same": now() == before}))
""")
    assert found["same"] is True
    if "said" in found:
        assert found["said"].startswith("not available here: this kernel has no sch_netem")
    else:
        assert 0.14 < found["took"] < 10


def test_without_rights_it_is_not_available_here() -> None:
    code = (
        "import os; os.setgid(65534); os.setuid(65534)\n"
        "from sloguard.faults.network import delay\n"
        "try: delay(interface='lo', delay='1ms')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sloguard.faults.network\n{code}"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert "FaultError not available here: changing the network needs root" in done.stdout


def test_without_tc_it_is_not_available_here(tmp_path: Path) -> None:
    with pytest.raises(FaultError, match="no 'tc-of-nowhere' program; install iproute2"):
        tc.program("tc-of-nowhere")
    with pytest.raises(FaultError, match="interface: no 'eth99' here"):
        delay(interface="eth99", delay="1ms")
