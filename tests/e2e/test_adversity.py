"""Runs through the real command line that meet what nobody wishes for: full disks, signals, closed outputs,
frozen servers, hanging actions, clocks that differ, secrets everywhere. All share one real Prometheus, and most
go on at once."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.adversity import MANY, MANY_AT, NAMES, Scene, World, process
from tests.support.command import ROOT, Ran, environment, sloguard, start
from tests.support.patience import SOON
from tests.support.servers import has

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not has("prometheus", "promtool"), reason="Prometheus is missing"),
]

#: Seconds: of all that are played at once the last one may end late.
LONG = 240.0

QUICK: dict[str, Any] = {
    "title": "Prüfung ✓ 🎉",
    "description": "Takes no time.",
    "phases": {"before": 0, "during": 0, "after": 0},
    "steady-state-hypothesis": {
        "title": "s",
        "probes": [
            {
                "type": "probe",
                "name": "p",
                "tolerance": 0,
                "provider": {"type": "process", "path": "true"},
            }
        ],
    },
    "method": [],
}


def ended(process: subprocess.Popen[str], timeout: float = LONG) -> Ran:
    out, err = process.communicate(timeout=timeout)
    return Ran(process.returncode, out, err)


# --- the scenes, played at once ---------------------------------------------------------------------


def play_full(scene: Scene) -> dict[str, Any]:
    scene.write()
    journal = scene.home / "journal.json"
    run = scene.start("--journal-path", journal, "--charts", scene.home / "charts")
    scene.wait_until_broken()
    # From now on no file takes a byte more: as on a full disk, for the store, the journal and the charts.
    resource.prlimit(run.pid, resource.RLIMIT_FSIZE, (1, 1))
    ran = ended(run)
    return {
        "ran": ran,
        "journal": json.loads(journal.read_text()),
        "listed": sloguard("runs", "list", "-o", "json", home=scene.home).json,
        "recovered": sloguard("recover", home=scene.home),
        "after": sloguard("runs", "list", "-o", "json", home=scene.home).json,
    }


def play_interrupted(scene: Scene) -> Ran:
    scene.write(takes=60)
    run = scene.start()
    scene.wait_until_broken()
    run.send_signal(signal.SIGINT)
    run.send_signal(signal.SIGINT)
    return ended(run)


def play_terminated(scene: Scene) -> Ran:
    scene.write(takes=60)
    run = scene.start()
    scene.wait_until_broken()
    run.send_signal(signal.SIGTERM)
    return ended(run)


def play_hung_up(scene: Scene) -> int:
    scene.write(takes=60)
    run = scene.start()
    scene.wait_until_broken()
    for stream in (run.stdout, run.stderr):
        assert stream is not None
        stream.close()
    run.send_signal(signal.SIGHUP)
    return run.wait(LONG)


def play_piped(scene: Scene) -> subprocess.CompletedProcess[str]:
    """The first line of all it says is enough for ``head``."""
    scene.write(during="< 10%")
    command = " ".join(map(str, [sys.executable, "-m", "sloguard", *scene.arguments()]))
    return subprocess.run(
        ["bash", "-c", f"{command} 2>&1 | head -1; echo ${{PIPESTATUS[0]}}"],
        env=environment(scene.home), cwd=scene.home, capture_output=True, text=True, check=False,
    )  # fmt: skip


def on_a_terminal(scene: Scene, env: Mapping[str, str]) -> tuple[subprocess.Popen[bytes], int]:
    ours, theirs = pty.openpty()
    given = environment(scene.home, env)
    run = subprocess.Popen(
        [sys.executable, "-m", "sloguard", *map(str, scene.arguments())],
        stdin=theirs, stdout=theirs, stderr=theirs, env=given, cwd=scene.home, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    return run, ours


def play_terminal(scene: Scene) -> tuple[int, str]:
    scene.write(during="< 10%")
    run, terminal = on_a_terminal(scene, {"COLUMNS": "40", "LANG": "C"})
    said = b""
    try:
        while chunk := os.read(terminal, 65536):
            said += chunk
    except OSError:  # the other side is closed: that is its end
        pass
    os.close(terminal)
    return run.wait(LONG), said.decode()


def play_closed(scene: Scene) -> int:
    """Somebody closes the window while the fault is on; without a controlling terminal no signal comes."""
    scene.write(during="< 10%")
    run, terminal = on_a_terminal(scene, {})
    # A terminal that nobody reads is full at some time, and then whoever writes waits.
    scene.wait_until_broken()
    os.close(terminal)
    return run.wait(LONG)


def play_locked(scene: Scene) -> tuple[Ran, Ran, str]:
    scene.write(takes=60)
    first = scene.start()
    scene.wait_until_broken()
    second = ended(scene.start())
    untouched = "stopped" if scene.is_stopped and scene.mark.exists() else "changed"
    first.send_signal(signal.SIGINT)
    return ended(first), second, untouched


def play_killed(scene: Scene) -> tuple[list[Ran], Ran, str]:
    scene.write(takes=60)
    run = scene.start()
    scene.wait_until_broken()
    run.kill()
    run.communicate()
    both = [ended(p) for p in [start("recover", home=scene.home) for _ in range(2)]]
    again = sloguard("recover", home=scene.home)
    return both, again, sloguard("runs", "show", home=scene.home).out


def play_hanging(scene: Scene) -> Ran:
    (scene.home / "hang.py").write_text(
        "import time\n"
        "def forever():\n"
        "    while True:\n"
        "        try: time.sleep(1000)\n"
        "        except BaseException: pass\n"
    )
    stubborn = "trap '' TERM INT HUP; while :; do sleep 1; done"
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        hangs = [
            {"type": "python", "module": "hang", "func": "forever"},
            {"type": "process", "path": "sh", "arguments": ["-c", f": hanging; {stubborn}"]},
            {"type": "http", "url": url},
        ]
        actions = [
            {"type": "action", "name": h["type"], "provider": {**h, "timeout": 0.5}} for h in hangs
        ]
        undo = [{**a, "name": f"{a['name']} undo"} for a in actions]
        scene.write(takes=0, method=actions, rollbacks=undo)
        patience = {
            "SLOGUARD_RUNS_ROLLBACK_ATTEMPTS": "1",
            "SLOGUARD_RUNS_STOP_GRACE": "1s",
        }
        return ended(scene.start("--journal-path", scene.home / "journal.json", env=patience))


def play_clock(scene: Scene) -> tuple[dict[str, Any], str, Ran]:
    """This machine is an hour ahead of Prometheus."""
    ahead = scene.home / "ahead"
    ahead.mkdir()
    (ahead / "sitecustomize.py").write_text(
        "import time\nright = time.time\ntime.time = lambda: right() + 3600\n"
    )
    scene.write(during="< 10%")
    ran = ended(scene.start("-o", "json", env={"PYTHONPATH": f"{ahead}:{ROOT}"}))
    marks = [f"--{mark}={at}" for mark, at in ran.json["timeline"].items()]
    later = ["judge", scene.file, "--prometheus", scene.url, *marks, "-o", "json"]
    return ran.json, ran.err, sloguard(*later, home=scene.home)


SECRET = "hunter2-nobody-may-see-this"


def play_secret(scene: Scene) -> list[Ran]:
    """A secret in every place where one may stand; the run is killed, and recovered."""
    (scene.home / "leaky.py").write_text(
        "def leak(token):\n    print(token)\n    raise RuntimeError(f'refused: {token}')\n"
        "def before_activity_control(context, secrets=None, **kw):\n    print('control', secrets)\n"
    )
    told = "${token}"
    leaks = [
        process("print", "sh", "-c", 'echo "$0"; echo "$0" >&2; exit 3', told),
        {
            "type": "action", "name": "raise", "secrets": ["shop"],
            "provider": {"type": "python", "module": "leaky", "func": "leak", "secrets": ["shop"],
                         "arguments": {"token": told}},
        },
        {
            "type": "action", "name": "call",
            "provider": {"type": "http", "url": f"http://127.0.0.1:1/?token={told}", "timeout": 1,
                         "headers": {"Authorization": f"Bearer {told}"}},
        },
    ]  # fmt: skip
    scene.write(
        takes=60,
        method=leaks,
        rollbacks=[process("with it", "sh", "-c", "echo undone with $0", told)],
        secrets={"shop": {"token": {"type": "env", "key": "SHOP_TOKEN"}}},
        controls=[{"name": "c", "provider": {"type": "python", "module": "leaky"}}],
    )
    env = {"SHOP_TOKEN": SECRET, "SLOGUARD_PROMETHEUS_PASSWORD": SECRET,
           "SLOGUARD_PROMETHEUS_USERNAME": "u", "SLOGUARD_PROMETHEUS_HEADERS": f"X-Key={SECRET}",
           "SLOGUARD_DEBUG": "1"}  # fmt: skip
    run = scene.start("--journal-path", scene.home / "journal.json", env=env)
    scene.wait_until_broken()
    run.kill()
    ran = ended(run)
    words = [
        ["recover"], ["runs", "show"], ["runs", "export"], ["runs", "export", "-o", "journal"],
        ["settings"],
    ]  # fmt: skip
    return [ran, *(sloguard(*given, home=scene.home, env=env) for given in words)]


PLAYS = {name: globals()[f"play_{name.replace('-', '_')}"] for name in NAMES if name != "frozen"}


class Theatre:
    """Plays the scenes, a few at a time; ``seen`` waits for one."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._pool = ThreadPoolExecutor(max_workers=6)
        # The longest first.
        order = sorted(PLAYS, key=lambda name: name != "hanging")
        self._plays: dict[str, Future[Any]] = {
            name: self._pool.submit(PLAYS[name], world.scene(name)) for name in order
        }

    def seen(self, name: str) -> Any:
        """What came of a scene; nothing of its fault is left."""
        found = self._plays[name].result(timeout=LONG)
        assert self.world.scene(name).is_as_before
        return found

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("adversity"))
    try:
        made.warm()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def theatre(world: World) -> Iterator[Theatre]:
    made = Theatre(world)
    yield made
    made.close()


# --- disks ------------------------------------------------------------------------------------------


def test_a_disk_that_fills_up_under_the_fault_stops_neither_the_undo_nor_the_verdict(
    theatre: Theatre,
) -> None:
    found = theatre.seen("full")
    ran = found["ran"]
    assert ran.code == 0, ran.out + ran.err
    assert "met: the steady state held" in ran.out
    assert "the ledger could not be written" in ran.out
    assert "is not whole in" in ran.err
    assert "has no charts" in ran.err
    assert "kept in" not in ran.err
    assert ran.err.count("the disk did not take or give the data") <= 4, ran.err
    assert found["journal"]["status"] == "interrupted"
    assert [run["outcome"] for run in found["listed"]] == ["interrupted"]
    assert found["recovered"].code == 0
    assert [run["outcome"] for run in found["after"]] == ["aborted"]


@pytest.mark.parametrize("output", ["/dev/full", "-"])
def test_a_verdict_that_cannot_be_printed_is_still_the_exit_code(
    output: str, tmp_path: Path
) -> None:
    (tmp_path / "e.json").write_text(json.dumps(QUICK))
    to = ">&-" if output == "-" else f"> {output}"
    for command, code in (("run e.json", 0), ("runs show", 0 if output == "-" else 1)):
        done = subprocess.run(
            ["bash", "-c", f"{sys.executable} -m sloguard {command} {to}"],
            env=environment(tmp_path), cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert ("could not be printed: No space left" in done.stderr) == (output != "-")
        assert "Traceback" not in done.stderr


# --- signals and outputs ----------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "says"), [("interrupted", "SIGINT"), ("terminated", "SIGTERM")])
def test_a_signal_ends_it_at_once_and_a_second_one_skips_nothing(
    name: str, says: str, theatre: Theatre
) -> None:
    ran = theatre.seen(name)
    assert ran.code == 13, ran.out + ran.err
    assert f"• {says}" in ran.out
    assert "stopped, and everything was undone" in ran.out
    assert ": undone (continued" in ran.err


def test_a_hung_up_terminal_and_outputs_that_are_gone_leave_the_exit_code(theatre: Theatre) -> None:
    assert theatre.seen("hung-up") == 13
    assert theatre.seen("closed") == 10


def test_whoever_reads_one_line_gets_it_and_the_run_goes_on(theatre: Theatre) -> None:
    done = theatre.seen("piped")
    line, code = done.stdout.splitlines()
    assert line.endswith("Adversity: piped")
    assert code == "10"
    assert done.stderr == ""


def test_forty_columns_without_colours(theatre: Theatre) -> None:
    code, said = theatre.seen("terminal")
    assert code == 10
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", said), "a colour despite NO_COLOR"
    assert "\\u2713" not in said
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said)
    verdict = shown[shown.rindex("Adversity: terminal") :].splitlines()
    assert "✗ deviated errors < 10%" in verdict
    assert any(re.fullmatch(r"  during: ✗ 50% for \ds", line) for line in verdict), verdict
    lines = verdict[: next(i for i, line in enumerate(verdict) if line.startswith("run "))]
    assert max(map(len, lines)) <= 40


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_an_output_that_lacks_our_characters_gets_the_verdict_all_the_same(
    encoding: str, tmp_path: Path
) -> None:
    (tmp_path / "e.json").write_text(json.dumps(QUICK))
    env = {"PYTHONIOENCODING": encoding}
    spoken = subprocess.run(
        [sys.executable, "-m", "sloguard", "run", "e.json", "-o", "json"],
        env=environment(tmp_path, env), cwd=tmp_path, capture_output=True, check=False,
    )  # fmt: skip
    assert spoken.returncode == 0, spoken.stderr
    # Click writes UTF-8 where a locale knows ASCII alone.
    read = spoken.stdout.decode("utf-8" if encoding == "ascii" else encoding)
    assert json.loads(read)["experiment"] == QUICK["title"]
    shown = subprocess.run(
        [sys.executable, "-m", "sloguard", "runs", "show"],
        env=environment(tmp_path, env), cwd=tmp_path, capture_output=True, check=False,
    )  # fmt: skip
    assert shown.returncode == 0
    assert ("✓".encode() in shown.stdout) == (encoding == "ascii")
    assert b"met: the steady state held" in shown.stdout


# --- several at once --------------------------------------------------------------------------------


def test_two_runs_on_one_target(theatre: Theatre) -> None:
    first, second, untouched = theatre.seen("locked")
    assert (first.code, second.code, untouched) == (13, 12, "stopped"), second.out
    words = " ".join(second.out.split())
    assert re.search(
        r"another run is on it: experiment:\S.* is held by run \S+ \(.*\), pid \d+, since \d{4}-",
        words,
    )
    assert "not-started: nothing was injected" in second.out


def test_a_killed_run_is_undone_once_by_two_recoveries_at_once(theatre: Theatre) -> None:
    both, again, shown = theatre.seen("killed")
    assert [ran.code for ran in both] == [0, 0], both
    said = "".join(ran.out + ran.err for ran in both)
    assert said.count(": undone (continued") == 1
    assert said.count("aborted: interrupted") == 1
    assert again.out == "nothing to recover\n"
    assert "• interrupted" in shown


# --- what hangs -------------------------------------------------------------------------------------


def test_what_hangs_is_given_up_and_told_and_what_can_be_undone_is(theatre: Theatre) -> None:
    ran = theatre.seen("hanging")
    assert ran.code == 14, ran.out + ran.err
    for kind in ("python", "process", "http"):
        assert re.search(rf"method: {kind} failed: .*timed out after 0.5s", ran.err)
        assert f"left behind: rollback on {kind} undo; undo by hand" in " ".join(ran.out.split())
        assert f"! method: {kind} failed" in ran.out
    assert "rollbacks: mend" in ran.err
    left = subprocess.run(["pgrep", "-f", ": hanging; trap"], capture_output=True, check=False)
    assert left.stdout == b""


def test_prometheus_frozen_and_thawed(theatre: Theatre, world: World) -> None:
    for name in PLAYS:
        theatre.seen(name)
    scene = world.scene("frozen")
    rail = {"name": "rail", "query": "vector(0)", "objective": "< 1", "for": "30s"}
    # Less the window in which 'up' is looked for, two points of the grid at least: one is a late scrape.
    scene.write(takes=4.5, **{"abort-when": [rail]})
    run = scene.start(env={"SLOGUARD_PROMETHEUS_DEADLINE": "5s"})
    scene.wait_until_broken()
    world.prometheus.freeze()
    thaw = threading.Timer(4.0, world.prometheus.thaw)
    thaw.start()
    begun = time.monotonic()
    try:
        ran = ended(run)
    finally:
        thaw.join()
    assert scene.is_as_before
    assert ran.code == 11, ran.out + ran.err
    assert "Prometheus was away for" in ran.out
    assert time.monotonic() - begun < 2 * SOON


# --- clocks, and the same window twice ---------------------------------------------------------------


def test_a_clock_that_differs_is_told_and_moves_no_mark(theatre: Theatre) -> None:
    document, err, _ = theatre.seen("clock")
    assert re.search(r"clock: Prometheus's clock is -3(600\.0|599\.9)\d+s from the local one", err)
    assert document["outcome"] == "deviated"
    assert document["time_to_impact_seconds"] <= 2


def test_judging_the_window_of_a_run_gives_the_document_of_the_run(theatre: Theatre) -> None:
    document, _, later = theatre.seen("clock")
    assert later.code == 10, later.err
    own = ("run", "seed", "faults", "victims", "activities", "notes")
    assert {k: v for k, v in later.json.items() if k not in own} == {
        k: v for k, v in document.items() if k not in own
    }


# --- answers ----------------------------------------------------------------------------------------


def judged(world: World, home: Path, query: str, *more: str) -> Ran:
    slo = {"name": "many", "query": query, "objective": "< 10%"}
    (home / "slos.json").write_text(json.dumps({"slos": [slo]}))
    marks = [f"--{mark}={MANY_AT + after}" for mark, after in
             (("start", 0), ("fault", 60), ("restored", 120), ("end", 180))]  # fmt: skip
    url = world.prometheus.url
    words = ["judge", "slos.json", "--prometheus", url, "--step", "15s", *marks, *more]
    return sloguard(*words, home=home, cwd=home)


def test_ten_thousand_series_and_one_that_deviates(world: World, tmp_path: Path) -> None:
    ran = judged(world, tmp_path, "last_over_time(many[1s])")
    assert ran.code == 10, ran.err
    assert 'pod="p-01234"}: 50% at' in " ".join(ran.out.split())
    assert len(ran.out.splitlines()) < 20
    whole = judged(world, tmp_path, "last_over_time(many[1s])", "-o", "json").json
    (slo,) = whole["slos"]
    assert len(slo["series"]) == MANY
    assert [s["labels"]["pod"] for s in slo["series"] if s["verdict"] != "met"] == ["p-01234"]


@pytest.mark.parametrize("query", ["nothing", "no_such_metric", "many < -1"])
def test_nan_and_nothing_never_pass(query: str, world: World, tmp_path: Path) -> None:
    ran = judged(world, tmp_path, query)
    assert ran.code == 11, ran.out + ran.err
    assert "inconclusive: no evidence" in ran.out


# --- secrets and stores -----------------------------------------------------------------------------


def test_a_secret_is_in_no_byte_that_was_produced(theatre: Theatre) -> None:
    made = theatre.seen("secret")
    assert made[1].code == 0, made[1]
    assert "with it" in made[1].err
    for ran in made:
        assert SECRET not in ran.out + ran.err
    home = theatre.world.scene("secret").home
    kept = [p for p in home.rglob("*") if p.is_file()]
    assert any(p.suffix == ".db" for p in kept)
    assert any(p.name == "journal.json" for p in kept)
    for path in kept:
        assert SECRET.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("newer", "run"),
        ("newer", "recover"),
        ("letter", "run"),
        ("directory", "recover"),
        ("stranger", "run"),
    ],
)
def test_a_store_that_is_none_is_said_before_anything_is_touched(
    kind: str, command: str, tmp_path: Path
) -> None:
    touch = process("touch", "touch", str(tmp_path / "touched"))
    (tmp_path / "e.json").write_text(json.dumps({**QUICK, "method": [touch]}))
    store = tmp_path / "store.db"
    if kind == "directory":
        store.mkdir()
    elif kind == "letter":
        store.write_text("Dear reader, " * 100)
    else:
        if kind == "newer":
            sloguard("runs", "list", "--store", store, home=tmp_path)
        connection = sqlite3.connect(store)
        if kind == "newer":
            connection.execute("UPDATE sloguard_schema SET version_num = '9999'")
        else:
            connection.execute("CREATE TABLE runs (id text)")
        connection.commit()
        connection.close()
    before = b"" if kind == "directory" else store.read_bytes()
    words = ["run", tmp_path / "e.json"] if command == "run" else ["recover"]
    ran = sloguard(*words, "--store", store, home=tmp_path)
    says = {
        "newer": "newer", "letter": "not an SQLite database", "directory": "is not a file",
        "stranger": "holds tables of something else",
    }  # fmt: skip
    assert (ran.code, ran.out) == (1, "")
    assert says[kind] in ran.err
    assert len(ran.err.splitlines()) == 1
    assert not (tmp_path / "touched").exists()
    assert kind == "directory" or store.read_bytes() == before
