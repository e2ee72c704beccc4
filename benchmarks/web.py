"""The service against a bare Flask route on the same server, asked in turns: ratios, p50, p99, memory.

python -m benchmarks.web [--runs 100 100000] [--seconds 3] [--clients 4]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

#: Each place is asked in turns of this length, so that what else the machine does hits all alike.
TURN_SECONDS = 0.5
MEMORY_REQUESTS = 10_000
#: Place -> the share of the bare route's rate that it must reach.
TARGETS = {"verdict": 0.7, "list of 50": 0.3}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="benchmarks.web")
    parser.add_argument("--runs", type=int, nargs="+", default=[100, 100_000])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--clients", type=int, default=4)
    given = parser.parse_args(arguments)
    missed = 0
    for runs in given.runs:
        with tempfile.TemporaryDirectory() as directory:
            run = fill(Path(directory, "runs.db"), runs)
            with _served(Path(directory)) as (port, process):
                print(f"{runs:,} runs in the store, {given.clients} clients")
                missed += _rates(port, run, given.seconds, given.clients)
                if runs == given.runs[-1]:
                    _memory(port, run, process, given.clients)
    return 1 if missed else 0


def fill(path: Path, count: int) -> str:
    """A store with so many ended runs of twenty experiments; the id of one in the middle."""
    from sloguard.adapters.store import Store
    from tests.support import runs as made

    patterns = 20
    with Store(str(path)) as store:
        for number in range(patterns):
            recorder = store.recorder(experiment=f"experiment-{number}")
            for event in made.whole(f"20250101T0000{number:02d}-abcdef"):
                recorder.record(event)
    connection = sqlite3.connect(path)
    with contextlib.closing(connection), connection:
        connection.execute("PRAGMA synchronous=OFF")
        columns = [row[1] for row in connection.execute("PRAGMA table_info(runs)")]
        rows = connection.execute("SELECT * FROM runs").fetchall()
        copies = (
            _copy(dict(zip(columns, rows[number % patterns], strict=True)), number)
            for number in range(count - patterns)
        )
        marks = ",".join("?" * len(columns))
        connection.executemany(f"INSERT INTO runs VALUES ({marks})", copies)
        found = connection.execute(
            "SELECT id FROM runs ORDER BY id LIMIT 1 OFFSET ?", (count // 2,)
        )
        run: str = found.fetchone()[0]
    return run


def _copy(row: dict[str, Any], number: int) -> tuple[Any, ...]:
    at = datetime(2025, 2, 1, tzinfo=UTC) + timedelta(minutes=number)
    run = f"{at:%Y%m%dT%H%M%S}-{number:06x}"
    row["document"] = row["document"].replace(row["id"], run)
    row["id"], row["started_at"], row["ended_at"] = run, at.timestamp(), at.timestamp() + 182
    row["outcome"] = ("met", "deviated", "inconclusive", "aborted")[number % 4]
    return tuple(row.values())


@contextlib.contextmanager
def _served(directory: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.web_server", str(directory / "runs.db"), str(port)]
    begun = time.perf_counter()
    environ = {**os.environ, "SLOGUARD_SERVE_ACCESS_LOG": "false", "SLOGUARD_SERVE_RATE_LIMIT": "0"}
    process = subprocess.Popen(command, env=environ)
    try:
        _until_it_answers(port)
        print(f"start to first answer: {time.perf_counter() - begun:.2f} s")
        yield port, process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _until_it_answers(port: int) -> None:
    for _ in range(3000):
        with contextlib.suppress(OSError):
            Client(port).get("/healthz")
            return
        time.sleep(0.01)
    raise SystemExit("the service did not start")


class Client:
    """One connection, kept; as little of Python as will do, for it shares the processors."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""

    def get(self, path: str, headers: str = "") -> int:
        """The status of a GET."""
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode())
        while b"\r\n\r\n" not in self._rest:
            self._rest += self._received()
        head, _, rest = self._rest.partition(b"\r\n\r\n")
        _, _, length = head.lower().partition(b"content-length:")
        wanted = int(length.split(b"\r\n", 1)[0]) if length else 0
        while len(rest) < wanted:
            rest += self._received()
        self._rest = rest[wanted:]
        return int(head[9:12])

    def _received(self) -> bytes:
        data = self._socket.recv(1 << 16)
        if not data:
            raise ConnectionError("the server has closed the connection")
        return data


def _rates(port: int, run: str, seconds: float, clients: int) -> int:
    places = {
        "bare route": f"/bare/{run}",
        "verdict": f"/api/v1/runs/{run}/verdict",
        "list of 50": "/api/v1/runs",
        "list of an experiment": "/api/v1/runs?experiment=experiment-3",
        "run": f"/api/v1/runs/{run}",
        "latest verdicts": "/api/v1/verdicts/latest",
        "chart (drawn before)": "/api/v1/runs/20250101T000003-abcdef/chart.svg",
    }
    times: dict[str, list[float]] = {name: [] for name in places}
    rates: dict[str, list[float]] = {name: [] for name in places}
    connected = [Client(port) for _ in range(clients)]
    with ThreadPoolExecutor(clients) as pool:
        for _ in range(max(1, round(seconds / TURN_SECONDS))):
            for name, path in places.items():
                taken = list(pool.map(lambda client, p=path: _asked(client, p), connected))
                found = [one for each in taken for one in each]
                times[name] += found
                rates[name].append(len(found) / TURN_SECONDS)
    return _table(times, rates)


def _asked(client: Client, path: str) -> list[float]:
    end = time.perf_counter() + TURN_SECONDS
    found = []
    while (begun := time.perf_counter()) < end:
        if client.get(path) != 200:
            raise SystemExit(f"{path} was not answered with 200")
        found.append(time.perf_counter() - begun)
    return found


def _table(times: dict[str, list[float]], rates: dict[str, list[float]]) -> int:
    bare = statistics.median(rates["bare route"])
    missed = 0
    print(f"{'':24}{'a second':>10}{'of bare':>9}{'p50 ms':>9}{'p99 ms':>9}")
    for name, found in times.items():
        found.sort()
        rate = statistics.median(rates[name])
        half, most = found[len(found) // 2], found[int(len(found) * 0.99)]
        target = TARGETS.get(name)
        short = target is not None and rate / bare < target
        missed += short
        note = "" if target is None else f"   target {target:g}{': MISSED' if short else ''}"
        print(f"{name:24}{rate:10.0f}{rate / bare:9.2f}{half * 1e3:9.2f}{most * 1e3:9.2f}{note}")
    print()
    return missed


def _memory(port: int, run: str, process: subprocess.Popen[bytes], clients: int) -> None:
    """Of the processes that answer: after they have answered everything once, and after very often."""
    answering = psutil.Process(process.pid).children()
    paths = [
        f"/api/v1/runs/{run}/verdict",
        "/api/v1/runs",
        f"/api/v1/runs/{run}",
        f"/api/v1/runs/{run}/journal",
        f"/api/v1/runs/{run}/events",
        "/metrics",
        "/api/v1/runs/nobody",
        "/api/v1/runs?limit=nothing",
    ]

    def used() -> float:
        return sum(child.memory_info().rss for child in answering) / 2**20

    def ask(many: int) -> None:
        def one(_client: int) -> None:
            for number in range(many // clients):
                _ask_once(port, paths[number % len(paths)])

        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(one, range(clients)))

    ask(1000)
    before = used()
    ask(MEMORY_REQUESTS)
    print(
        f"memory after 1,000 requests {before:.1f} MiB, after {MEMORY_REQUESTS:,} more {used():.1f} MiB"
    )


def _ask_once(port: int, path: str) -> int:
    """A request on a connection of its own, for answers of any kind: how many bytes came."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        text = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        connection.sendall(text.encode())
        count = 0
        while data := connection.recv(1 << 16):
            count += len(data)
        return count


if __name__ == "__main__":
    sys.exit(main())
