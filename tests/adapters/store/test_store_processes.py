"""Real processes: killed while they write, and several at once on one file."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

from sloguard.adapters.store import Store
from sloguard.adapters.store.tables import HEAD
from sloguard.core import events
from sloguard.ports import Intent
from tests.support import runs as made
from tests.support.runs import FAULT, RUN

ROOT = Path(__file__).parents[3]

WRITER = """
import itertools, os, sys
from sloguard.adapters.store import Store
from sloguard.ports import Intent
from tests.support import runs as made

def say(text):
    # In one write, so that no line is cut in two by the kill.
    os.write(1, f"{text}\\n".encode())

store = Store(sys.argv[1])
say("open")
for number in itertools.count():
    run = f"{sys.argv[2]}-{number:04}"
    announced = made.whole(run, evidence=[made.make_evidence(series=40, points=60)])
    for place, event in enumerate(announced):
        store.record(event)
        if place == 7:
            store.begin(run, "method[0]")
            store.intend(Intent(f"i {run}", run, "method[0]", "f", "t", {"run": run}))
            # Said only once it is durable: from here on it must be there.
            say(f"intent {run}")
            store.mark(f"i {run}", "injected", record={"pid": number})
            say(f"injected {run}")
    say(f"ended {run}")
"""

SOME = """
import sys
from sloguard.adapters.store import Store
from tests.support import runs as made

input()
store = Store(sys.argv[1])
for number in range(int(sys.argv[3])):
    run = f"{sys.argv[2]}-{number:04}"
    for event in made.whole(run):
        store.record(event)
    store.begin(run, "method[0]")
print("done", flush=True)
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def assert_sound(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


def test_a_writer_that_is_killed_again_and_again_loses_nothing_it_was_told_was_kept(
    tmp_path: Path,
) -> None:
    path = tmp_path / "runs.db"
    chance = random.Random(11)
    told: dict[str, set[str]] = {"intent": set(), "injected": set(), "ended": set()}
    for round_ in range(6):
        writer = start(WRITER, path, f"2026010{round_}T000000")
        assert writer.stdout is not None
        assert writer.stdout.readline() == "open\n"
        # Somewhere between two of its words, however slow this machine is.
        heard = [writer.stdout.readline() for _ in range(chance.randint(0, 9))]
        time.sleep(chance.uniform(0.0, 0.02))
        writer.send_signal(signal.SIGKILL)
        rest, _ = writer.communicate()
        for line in [*heard, *rest.splitlines()]:
            what, run = line.split()
            told[what].add(run)
        assert_sound(path)
        with Store(str(path)) as store:
            assert not any(r.alive for r in store.unfinished())
            unfinished = {r.id for r in store.unfinished()}
            for run in told["intent"]:
                (kept,) = store.ledger(run)
                assert kept.status in ("intent", "injected")
                assert kept.status == "injected" or run not in told["injected"]
            assert not told["ended"] & unfinished
            # At most the run that was under way, of every writer.
            assert len(unfinished) <= round_ + 1
    assert told["ended"]
    with Store(str(path)) as store:
        for run in sorted(told["ended"])[:3]:
            assert store.run(run).document is not None
            assert len(store.evidence(run)) == 1


def test_a_process_that_is_killed_while_it_makes_the_store_leaves_one_that_opens(
    tmp_path: Path,
) -> None:
    code = "import sys; from sloguard.adapters.store import Store; Store(sys.argv[1]); input()"
    chance = random.Random(5)
    for number in range(5):
        path = tmp_path / str(number) / "runs.db"
        maker = start(code, path)
        # From the moment the file is there until the tables are.
        deadline = time.monotonic() + 20
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(chance.uniform(0.0, 0.25))
        maker.send_signal(signal.SIGKILL)
        maker.communicate()
        with Store(str(path)) as store:
            store.record(made.opening()[0])
        assert_sound(path)


def test_several_processes_may_come_first_and_write_at_once(unmade_url: str) -> None:
    names = [f"2026010{n}T000000" for n in range(1, 5)]
    processes = [start(SOME, unmade_url, name, 3) for name in names]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        out, err = process.communicate(timeout=90)
        assert (out, process.returncode) == ("done\n", 0), err
    with Store(unmade_url) as store:
        assert len(store.runs()) == 12
        for run in store.runs():
            assert [e.kind for e in store.events(run.id)] == [
                type(e).__name__ for e in made.whole()
            ]
            assert store.activities(run.id) == {"method[0]": "begun"}


def test_reading_does_not_hold_up_writing_nor_see_it(url: str) -> None:
    with Store(url) as reader, Store(url) as writer:
        writer.record(made.opening()[0])
        pages = reader.events(RUN)
        assert next(pages).kind == "RunStarted"
        with reader._database.reading() as connection:
            before = connection.exec_driver_sql("SELECT count(*) FROM events").scalar_one()
            for event in made.opening()[1:]:
                writer.record(event)
            writer.intend(Intent("i", RUN, "method[0]", "f", "t", {}))
            after = connection.exec_driver_sql("SELECT count(*) FROM events").scalar_one()
        assert before == after == 1
        assert len(list(reader.events(RUN))) == len(made.opening())


def test_writing_does_not_hold_up_reading(url: str) -> None:
    with Store(url) as reader, Store(url) as writer:
        writer.record(made.opening()[0])
        with writer._database.writing() as connection:
            connection.exec_driver_sql("UPDATE runs SET title = 'unseen'")
            assert reader.run(RUN).title == "Losing a replica"
        assert reader.run(RUN).title == "unseen"


def test_a_second_writer_waits_for_the_first(url: str) -> None:
    with Store(url) as first, Store(url) as second:
        first.record(made.opening()[0])
        waiting = threading.Event()

        def write() -> None:
            waiting.set()
            second.begin(RUN, "method[0]")

        thread = threading.Thread(target=write)
        with first._database.writing() as connection:
            connection.exec_driver_sql(f"UPDATE runs SET heartbeat = {FAULT}")
            thread.start()
            assert waiting.wait(10)
            # Long enough for the second writer to have met the lock.
            thread.join(0.2)
        thread.join(30)
        assert second.activities(RUN) == {"method[0]": "begun"}


def test_a_stranger_who_opens_the_file_and_goes_takes_nothing_with_it(tmp_path: Path) -> None:
    """The last to close folds the log back; somebody else's closing is not the last."""
    path = tmp_path / "runs.db"
    with Store(str(path)) as store:
        store.record(made.opening()[0])
        for _ in range(3):
            child = start(
                "import sys, sqlite3; sqlite3.connect(sys.argv[1]).execute('select 1')", path
            )
            child.communicate()
            store.record(events.Note(FAULT, "info", "still here"))
        assert len(list(store.events(RUN))) == 4
        with store._database.reading() as connection:
            version = connection.exec_driver_sql("SELECT version_num FROM sloguard_schema")
            assert version.scalar_one() == HEAD
    assert_sound(path)
