"""The service against a bare Flask route on the same server, asked in turns: ratios, p50, p99, memory.

python -m benchmarks.web [--runs 100 100000] [--seconds 5] [--clients 8]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

#: Each place is asked in turns of this length, so that what else the machine does hits all alike.
TURN_SECONDS = 1
MEMORY_REQUESTS = 10_000
#: Place -> the share of the bare route's rate that it must reach.
TARGETS = {"verdict": 0.7, "list of 50": 0.3}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="benchmarks.web")
    parser.add_argument("--runs", type=int, nargs="+", default=[100, 10_000, 100_000])
    parser.add_argument("--seconds", type=float, default=9.0)
    parser.add_argument("--clients", type=int, default=8)
    given = parser.parse_args(arguments)
    missed = 0
    for runs in given.runs:
        with tempfile.TemporaryDirectory() as directory:
            run = fill(Path(directory, "runs.db"), runs)
            with _served(Path(directory)) as (port, process):
                print(f"{runs:,} runs in the store, {given.clients} clients")
                missed += _rates(port, run, process, given.seconds, given.clients)
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
        for statement in _WITH_THEM:
            connection.execute(statement)
        found = connection.execute(
            "SELECT id FROM runs ORDER BY id LIMIT 1 OFFSET ?", (count // 2,)
        )
        run: str = found.fetchone()[0]
    return run


#: What every run has in tables of its own, copied from the pattern of its experiment.
_PATTERN = (
    "FROM runs r JOIN runs p ON p.experiment = r.experiment AND p.id < '20250102' "
    "JOIN {0} x ON x.run = p.id WHERE r.id > '20250102'"
)
_WITH_THEM = (
    "INSERT INTO verdicts (run, slo, labels, verdict, reason, before, during, after) SELECT r.id, "
    "x.slo, x.labels, x.verdict, x.reason, x.before, x.during, x.after "
    + _PATTERN.format("verdicts"),
    "INSERT INTO search_mentions (thing, run) SELECT x.thing, r.id "
    + _PATTERN.format("search_mentions"),
)


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


def _rates(
    port: int, run: str, process: subprocess.Popen[bytes], seconds: float, clients: int
) -> int:
    places = {
        "bare route": f"/bare/{run}",
        "verdict": f"/api/v1/runs/{run}/verdict",
        "list of 50": "/api/v1/runs",
        "list of an experiment": "/api/v1/runs?experiment=experiment-3",
        "run": f"/api/v1/runs/{run}",
        "latest verdicts": "/api/v1/verdicts/latest",
        "search": "/search?q=checkout",
        "overview": "/",
        "chart (drawn before)": "/api/v1/runs/20250101T000003-abcdef/chart.svg",
    }
    turns: dict[str, list[Turn]] = {name: [] for name in places}
    with _asking(port, clients) as asked:

        def ask(path: str) -> Turn:
            before = _worked(process)
            turn = asked(path)
            return replace(turn, spent=_worked(process) - before)

        for path in places.values():
            # Once before it counts: what is made at the first time is made now.
            ask(path)
        for _ in range(max(1, round(seconds / TURN_SECONDS))):
            for name, path in places.items():
                turns[name].append(ask(path))
    return _table(turns)


@contextlib.contextmanager
def _asking(port: int, clients: int) -> Iterator[Callable[[str], Turn]]:
    """Asks one place for a turn."""
    if shutil.which("wrk"):
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(_WRK_DONE)
            script.flush()
            yield lambda path: _by_wrk(port, path, clients, script.name)
        return
    print(
        "wrk is not installed (Debian, Ubuntu: apt-get install wrk; 'make bench' does it): asked by "
        "Python, which takes processors from the server and makes every share look better than it is"
    )
    connected = [Client(port) for _ in range(clients)]
    with ThreadPoolExecutor(clients) as pool:
        yield lambda path: _by_threads(pool, connected, path)


@dataclass(frozen=True, slots=True)
class Turn:
    """One place asked for a while: answers a second, how many, and seconds until each of them.

    ``spent``: seconds of a processor that the server took for all of them.
    """

    rate: float
    count: int
    half: float
    most: float
    spent: float = 0.0

    @property
    def cost(self) -> float:
        """Seconds of a processor for one answer. What else the machine does changes it little."""
        return self.spent / max(1, self.count)


def _by_wrk(port: int, path: str, clients: int, script: str) -> Turn:
    """As fast as it goes, by a program that takes little of the processors for itself."""
    command = ["wrk", "-t1", f"-c{clients}", f"-d{TURN_SECONDS}s", "-s", script]
    address = f"http://127.0.0.1:{port}{path}"
    done = subprocess.run([*command, address], capture_output=True, text=True, check=True)
    found = dict(part.split("=") for part in done.stdout.split() if part.count("=") == 1)
    if int(found["errors"]):
        raise SystemExit(f"{path} was not always answered with 200")
    count = int(found["requests"])
    rate = count / float(found["microseconds"]) * 1e6
    return Turn(rate, count, float(found["p50"]) / 1e6, float(found["p99"]) / 1e6)


#: What wrk tells in the end, in Lua: one line of names and numbers.
_WRK_DONE = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("errors=%d requests=%d microseconds=%d p50=%f p99=%f\\n",
    e.connect + e.read + e.write + e.status + e.timeout, summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99)))
end
"""


def _by_threads(pool: ThreadPoolExecutor, connected: list[Client], path: str) -> Turn:
    """The same in Python."""
    taken = pool.map(lambda client: _asked(client, path), connected)
    found = sorted(one for each in taken for one in each)
    half, most = found[len(found) // 2], found[int(len(found) * 0.99)]
    return Turn(len(found) / TURN_SECONDS, len(found), half, most)


def _asked(client: Client, path: str) -> list[float]:
    end = time.perf_counter() + TURN_SECONDS
    found = []
    while (begun := time.perf_counter()) < end:
        if client.get(path) != 200:
            raise SystemExit(f"{path} was not answered with 200")
        found.append(time.perf_counter() - begun)
    return found


def _table(turns: dict[str, list[Turn]]) -> int:
    missed = 0
    print(f"{'':24}{'a second':>10}{'of bare':>9}{'cpu us':>9}{'p50 ms':>9}{'p99 ms':>9}")
    for name, found in turns.items():
        rate = statistics.median(turn.rate for turn in found)
        # Of each turn against the bare route's beside it: what else the machine did hit both.
        pairs = zip(found, turns["bare route"], strict=True)
        ratio = statistics.median(turn.rate / max(bare.rate, 1.0) for turn, bare in pairs)
        cost = statistics.median(turn.cost for turn in found)
        half = statistics.median(turn.half for turn in found)
        most = statistics.median(turn.most for turn in found)
        target = TARGETS.get(name)
        short = target is not None and ratio < target
        missed += short
        note = "" if target is None else f"   target {target:g}{': MISSED' if short else ''}"
        numbers = f"{rate:10.0f}{ratio:9.2f}{cost * 1e6:9.0f}{half * 1e3:9.2f}{most * 1e3:9.2f}"
        print(f"{name:24}{numbers}{note}")
    print()
    return missed


def _worked(process: subprocess.Popen[bytes]) -> float:
    """Seconds of a processor that the server's processes have taken so far."""
    times = [child.cpu_times() for child in psutil.Process(process.pid).children()]
    return sum(taken.user + taken.system for taken in times)


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
