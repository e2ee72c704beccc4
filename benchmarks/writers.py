"""Many writers on one PostgreSQL: whole runs through the store, against plain INSERTs of the same bytes.

Both in turns on one server, with as many processes and threads: each event in a transaction of its own, as the store
keeps it. What the store does beside that (rows of activities and verdicts, search, masking, JSON) is its price.

    python -m benchmarks.writers [--processes 2] [--threads 8] [--runs 4] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from tests.support.many_writers import whole
from tests.support.postgresql import PostgreSQL, why_not

ROUNDS = 3
#: One transaction an event, of the sizes given; as many threads as the store's writers have.
_PLAIN = """
import json, sys, threading, time
import psycopg
where, sizes, threads, runs = json.loads(sys.argv[1])
def work():
    with psycopg.connect(**where) as connection:
        for _ in range(runs):
            for size in sizes:
                connection.execute("INSERT INTO plain (data) VALUES (%s)", [b"x" * size])
                connection.commit()
started = [threading.Thread(target=work) for _ in range(threads)]
begun = time.perf_counter()
for one in started: one.start()
for one in started: one.join()
print(time.perf_counter() - begun)
"""
_STORE = """
import sys, threading, time
from sloguard.adapters.store import Store
from tests.support.many_writers import whole
url, name, threads, runs = sys.argv[1:]
told = [[list(whole(f"{name}-{t}-{n}")) for n in range(int(runs))] for t in range(int(threads))]
with Store(url) as store:
    def work(own):
        for events in own:
            recorder = store.recorder(experiment="shop")
            for event in events:
                recorder.record(event)
    started = [threading.Thread(target=work, args=(own,)) for own in told]
    begun = time.perf_counter()
    for one in started: one.start()
    for one in started: one.join()
    print(time.perf_counter() - begun)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Many writers on one PostgreSQL.")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--runs", type=int, default=4, help="of each thread")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    chosen = parser.parse_args(arguments)
    problem = why_not()
    if problem:
        print(f"not measured: {problem}")
        return 0
    server = PostgreSQL()
    server.start()
    try:
        found = measure(server, chosen.processes, chosen.threads, chosen.runs)
    finally:
        server.stop()
    if chosen.json:
        print(json.dumps(found))
        return 0
    print(
        f"{chosen.processes * chosen.threads} writers in {chosen.processes} processes: "
        f"{found['runs_a_second']:.1f} runs/s, {found['events_a_second']:.0f} events/s, "
        f"{found['kilobytes_a_run']:.1f} kB a run\n"
        f"plain INSERTs of the same bytes, one transaction an event: "
        f"{found['plain_events_a_second']:.0f} events/s; the store keeps {found['ratio']:.2f} x as many"
    )
    return 0


def measure(server: PostgreSQL, processes: int, threads: int, runs: int) -> dict[str, Any]:
    """Medians of a few rounds, in turns."""
    sizes = sizes_of_one(server)
    stored, plain = [], []
    for _ in range(ROUNDS):
        url = server.migrated_database()
        commands = [
            [sys.executable, "-c", _STORE, url, f"p{n}", str(threads), str(runs)]
            for n in range(processes)
        ]
        stored.append(_slowest(commands))
        url = server.new_database()
        database = url.partition("@/")[2].partition("?")[0]
        server.execute("CREATE TABLE plain (id bigserial PRIMARY KEY, data bytea)", database)
        where = {"host": str(server.directory), "user": "tester", "dbname": database}
        given = json.dumps([where, sizes, threads, runs])
        plain.append(_slowest([[sys.executable, "-c", _PLAIN, given]] * processes))
    count = processes * threads * runs
    events = count * len(sizes)
    seconds, bare = statistics.median(stored), statistics.median(plain)
    return {
        "runs_a_second": count / seconds,
        "events_a_second": events / seconds,
        "plain_events_a_second": events / bare,
        "ratio": bare / seconds,
        "kilobytes_a_run": sum(sizes) / 1000,
    }


def sizes_of_one(server: PostgreSQL) -> list[int]:
    """How many bytes each event of a run is in the store: its row, and for samples theirs."""
    from sloguard.adapters.store import Store

    url = server.migrated_database()
    database = url.partition("@/")[2].partition("?")[0]
    with Store(url) as store:
        for event in whole("one"):
            store.record(event)
    rows = server.execute("SELECT kind, length(data) FROM events ORDER BY number", database)
    samples = server.execute(
        "SELECT sum(length(labels) + length(present) + length(samples)) FROM answers", database
    )
    document = server.execute("SELECT sum(length(document) + length(resolved)) FROM runs", database)
    more = {"EvidenceCollected": int(samples[0][0]), "Judged": int(document[0][0])}
    return [int(size) + more.get(kind, 0) for kind, size in rows]


def _slowest(commands: Sequence[Sequence[str]]) -> float:
    """Seconds from the first to the last of some processes at work, without their start."""
    begun = time.perf_counter()
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    said = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise RuntimeError(f"a writer failed after {time.perf_counter() - begun:.1f} s: {said}")
    return max(float(text.splitlines()[-1]) for text in said)


if __name__ == "__main__":
    sys.exit(main())
