"""The demo as a whole: real processes, real Envoy, Prometheus and Alertmanager; and what ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sloguard.demo.environment import Demo, DemoError, importable
from tests.support.leftover_processes import mentioning, wait_until_gone
from tests.support.patience import PATIENCE, eventually

pytestmark = pytest.mark.integration

ERRORS = (
    'sum(rate(http_requests_total{service="front", code=~"5.."}[5s]))'
    ' / sum(rate(http_requests_total{service="front"}[5s]))'
)
SLOWEST = (
    "histogram_quantile(0.99, sum by (le) "
    '(rate(http_request_duration_seconds_bucket{service="front"}[5s])))'
)


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    running = Demo()
    running.start()
    home = str(running.directory)
    try:
        yield running
    finally:
        running.stop()
        wait_until_gone(home)


def fetch(address: str, *, post: bool = False) -> Any:
    request = urllib.request.Request(address, method="POST" if post else "GET")
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        text = answer.read().decode()
    return json.loads(text) if text.startswith(("{", "[")) else text


def replicas(demo: Demo) -> set[int]:
    return set(map(int, Path(demo.environment["DEMO_CHECKOUT_PIDFILE"]).read_text().split()))


def set_runtime(demo: Demo, **keys: str) -> None:
    pairs = "&".join(f"{key.replace('__', '.')}={value}" for key, value in keys.items())
    assert fetch(f"{demo.addresses['envoy_admin']}/runtime_modify?{pairs}", post=True) == "OK\n"


def test_when_it_is_ready_everything_answers_and_is_scraped(demo: Demo) -> None:
    assert fetch(demo.addresses["front"] + "/order") == {"order": "taken"}
    assert demo.query("count(up == 1)") == 7
    assert demo.query('count by (job) (up{job="checkout"})') == 3
    offered = 'sum(rate(http_requests_total{service="front"}[5s]))'
    eventually(lambda: demo.query(offered) == pytest.approx(80, rel=0.2))
    assert demo.query('count(envoy_cluster_upstream_rq_total{envoy_cluster_name="checkout"})') == 1
    rules = fetch(demo.addresses["prometheus"] + "/api/v1/rules")["data"]["groups"][0]["rules"]
    assert {rule["health"] for rule in rules} == {"ok"}


def test_another_terminal_finds_it_by_its_env_file(demo: Demo) -> None:
    shell = f". {demo.directory}/env; env"
    seen = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True).stdout
    for name, value in demo.environment.items():
        assert f"{name}={value}" in seen.splitlines()


def test_starting_it_twice_is_refused(demo: Demo) -> None:
    with pytest.raises(DemoError, match="already running"):
        demo.start()


def test_a_killed_replica_is_bridged_by_retries_and_comes_back_by_itself(demo: Demo) -> None:
    before = replicas(demo)
    assert len(before) == 3
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: demo.query('sum(up{job="checkout"})') == 2)
    assert replicas(demo) == before - {victim}
    eventually(lambda: demo.query('sum(up{job="checkout"})') == 3)
    assert len(replicas(demo)) == 3
    assert demo.query(f"max_over_time(({ERRORS})[8s:1s])") == 0


def test_without_retries_the_customers_meet_the_dead_replica(demo: Demo) -> None:
    set_runtime(demo, upstream__use_retry="0")
    try:
        os.kill(min(replicas(demo)), signal.SIGKILL)
        eventually(lambda: (demo.query(ERRORS) or 0) > 0.15)
    finally:
        set_runtime(demo, upstream__use_retry="")
    demo.settle(2)


def test_a_delay_shows_in_the_tail_and_goes_away(demo: Demo) -> None:
    set_runtime(demo, fault__http__delay__fixed_delay_percent="30")
    try:
        eventually(lambda: (demo.query(SLOWEST) or 0) > 2)
    finally:
        set_runtime(demo, fault__http__delay__fixed_delay_percent="")
    demo.settle(2)


def test_an_outage_reaches_alertmanager(demo: Demo) -> None:
    set_runtime(demo, fault__http__abort__abort_percent="50")
    try:
        eventually(lambda: (demo.query(ERRORS) or 0) > 0.4)
        eventually(lambda: "CheckoutErrors" in alerts(demo))
    finally:
        set_runtime(demo, fault__http__abort__abort_percent="")
    demo.settle(2)


def alerts(demo: Demo) -> set[str]:
    found = fetch(demo.addresses["alertmanager"] + "/api/v2/alerts")
    return {alert["labels"]["alertname"] for alert in found}


# --- its end -----------------------------------------------------------------------------------------

HOLDER = """
import sys, time
from sloguard.demo.environment import Demo
demo = Demo()
def told(message):
    print(demo.directory, flush=True)
try:
    demo.start(told)
    time.sleep(600)
finally:
    print("ending", flush=True)
"""

KEEPER = """
import sys
from sloguard.demo.tour import demonstrate
def never(file, environment):
    raise AssertionError("no experiment was asked for")
sys.exit(demonstrate(never, lambda line: print(line, flush=True), keep=True, tell=False))
"""


@pytest.fixture
def python(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts a script whose temporary files are in this test's directory."""
    started = []

    def start(script: str) -> subprocess.Popen[str]:
        environment = importable({**os.environ, "TMPDIR": str(tmp_path)})
        process = subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def manifest(home: str) -> dict[str, Any]:
    return json.loads((Path(home) / "manifest.json").read_text())


def all_started(home: str) -> bool:
    try:
        return all(entry.get("process") for entry in manifest(home)["programs"].values())
    except (OSError, ValueError):  # it is not there yet, or not whole
        return False


def test_nothing_outlives_a_killed_owner(python) -> None:
    owner = python(HOLDER)
    home = first_line(owner)
    eventually(lambda: all_started(home))
    assert len(mentioning(home)) == 10
    owner.kill()
    wait_until_gone(home)


def test_nothing_outlives_a_killed_owner_and_supervisor_but_files_that_the_next_demo_removes(
    python,
) -> None:
    owner = python(HOLDER)
    home = first_line(owner)
    eventually(lambda: all_started(home))
    supervisor = [p for p in mentioning(home) if "sloguard.demo.supervisor" in _line(p)]
    assert len(supervisor) == 1
    os.kill(owner.pid, signal.SIGSTOP)  # so that it cannot clean up first
    os.kill(supervisor[0], signal.SIGKILL)
    eventually(lambda: not mentioning(home))
    owner.kill()
    owner.wait()
    assert Path(home).is_dir()
    sweeper = python("from sloguard.demo.leftovers import *; print(*remove_leftovers())")
    assert first_line(sweeper) == home
    assert not Path(home).exists()


def test_a_living_demo_is_no_leftover(python) -> None:
    home = first_line(python(HOLDER))
    eventually(lambda: all_started(home))
    sweeper = python("from sloguard.demo.leftovers import *; print(remove_leftovers())")
    assert first_line(sweeper) == "[]"
    assert len(mentioning(home)) == 10


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_while_it_starts_ends_it_cleanly(python, tmp_path: Path, number: int) -> None:
    keeper = python(KEEPER)
    eventually(lambda: bool(list(tmp_path.glob("sloguard-demo-*/manifest.json"))))
    home = next(str(path) for path in tmp_path.glob("sloguard-demo-*"))
    keeper.send_signal(number)
    assert keeper.wait(PATIENCE) == 128 + number
    wait_until_gone(home)


def test_ctrl_c_is_the_ordinary_end_of_a_kept_demo(python) -> None:
    keeper = python(KEEPER)
    line, said = "", []
    while "After a fault" not in line:
        line = keeper.stdout.readline()
        assert line, "it ended early"
        said.append(line)
    home = next(word.rpartition("/")[0] for word in " ".join(said).split() if word.endswith("/env"))
    assert all_started(home)
    keeper.send_signal(signal.SIGINT)
    assert keeper.wait(PATIENCE) == 0
    wait_until_gone(home)


def test_a_server_that_does_not_start_is_named_with_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "bin" / "prometheus"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho 'the disk is on fire'\nexit 3\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")
    home = tmp_path / "demo"
    with pytest.raises(DemoError, match=r"(?s)prometheus ended with status 3.*disk is on fire"):
        Demo(home).start()
    wait_until_gone(str(home))


def test_a_directory_with_something_in_it_is_never_taken(tmp_path: Path) -> None:
    (tmp_path / "diary").write_text("dear diary")
    with pytest.raises(DemoError, match="not empty"):
        Demo(tmp_path).start()
    assert (tmp_path / "diary").read_text() == "dear diary"


def _line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
