"""Webhooks of twenty alerts, each on the disk before it is answered, against a bare Flask route on the same server.

python -m benchmarks.webhooks [--seconds 8] [--clients 8]

A token is asked for, and what comes is worked off at the same time, as by a service. Beside the bare route
stands one that reads the same bodies and drops them, and how long one flush takes on this disk.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

TURN_SECONDS = 1
GROUPS, ALERTS = 40, 20
TARGET_RATIO, TARGET_P99 = 0.3, 0.020
#: A round of the groups with an order of its own for each client; its answer must be 202.
SCRIPT = """
local bodies = {}
for line in io.lines(os.getenv("BENCH_BODIES")) do bodies[#bodies + 1] = line end
local headers = { ["Content-Type"] = "application/json", ["Authorization"] = os.getenv("BENCH_TOKEN") }
local method = os.getenv("BENCH_METHOD")
local n = 0
request = function()
  n = n + 1
  if method == "GET" then return wrk.format("GET", nil, headers) end
  return wrk.format("POST", nil, headers, bodies[n % #bodies + 1])
end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("errors=%d requests=%d microseconds=%d p50=%f p99=%f\\n",
    e.connect + e.read + e.write + e.status + e.timeout, summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True)
class Turn:
    """One place asked for a while: answers a second, and seconds until half and nearly all of them.

    ``spent``: seconds of a processor that the processes that answer took.
    """

    rate: float
    count: int
    half: float
    most: float
    spent: float = 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="benchmarks.webhooks")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--clients", type=int, default=8)
    given = parser.parse_args(arguments)
    if not shutil.which("wrk"):
        print("wrk is not installed (Debian, Ubuntu: apt-get install wrk): nothing was measured")
        return 1
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        with served(place) as (port, token, web):
            return _measure(place, port, token, web, given.seconds, given.clients)


def _measure(place: Path, port: int, token: str, web: int, seconds: float, clients: int) -> int:
    bodies = place / "bodies"
    bodies.write_bytes(b"\n".join(payloads()) + b"\n")
    script = place / "wrk.lua"
    script.write_text(SCRIPT)
    places = {
        "bare route": ("GET", "/bare/x"),
        "bare, body read": ("POST", "/bare/x"),
        "webhook": ("POST", "/webhooks/alertmanager"),
    }
    turns: dict[str, list[Turn]] = {name: [] for name in places}
    flushes: list[float] = []
    for number in range(max(1, round(seconds)) + 1):
        for name, (method, path) in places.items():
            environ = {
                "BENCH_BODIES": str(bodies),
                "BENCH_METHOD": method,
                "BENCH_TOKEN": f"Bearer {token}",
            }
            before = _worked(web)
            turn = _asked(port, path, clients, script, environ)
            turn = replace(turn, spent=_worked(web) - before)
            if number:  # the first turn of each makes what is made once
                turns[name].append(turn)
        flushes += _flushes(place)
    flushes.sort()
    half, most = flushes[len(flushes) // 2], flushes[int(len(flushes) * 0.99)]
    print(f"one flush of this disk: p50 {half * 1e3:.2f} ms, p99 {most * 1e3:.2f} ms")
    missed = _table(turns)
    return max(missed, _counted(place, sum(t.count for t in turns["webhook"])))


def _asked(port: int, path: str, clients: int, script: Path, environ: dict[str, str]) -> Turn:
    command = ["wrk", "-t1", f"-c{clients}", f"-d{TURN_SECONDS}s", "-s", str(script)]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}{path}"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environ},
    )
    found = dict(part.split("=") for part in done.stdout.split() if part.count("=") == 1)
    if int(found["errors"]):
        raise SystemExit(f"{path} was not always answered with 2xx:\n{done.stdout}")
    count = int(found["requests"])
    rate = count / float(found["microseconds"]) * 1e6
    return Turn(rate, count, float(found["p50"]) / 1e6, float(found["p99"]) / 1e6)


def _worked(web: int) -> float:
    """Seconds of a processor that the processes that answer have taken so far."""
    times = [child.cpu_times() for child in psutil.Process(web).children()]
    return sum(taken.user + taken.system for taken in times)


def _flushes(place: Path) -> list[float]:
    """What nobody can be faster than: a page written and flushed, again and again."""
    found = []
    with (place / "flushed").open("wb", buffering=0) as file:
        for _ in range(30):
            begun = time.perf_counter()
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
            found.append(time.perf_counter() - begun)
    return found


def _table(turns: dict[str, list[Turn]]) -> int:
    print(f"{'':18}{'a second':>10}{'of bare':>9}{'cpu us':>9}{'p50 ms':>9}{'p99 ms':>9}")
    missed = 0
    for name, found in turns.items():
        rate = statistics.median(turn.rate for turn in found)
        # Of each turn against the bare route's beside it: what else the machine did hit both.
        pairs = zip(found, turns["bare route"], strict=True)
        ratio = statistics.median(turn.rate / bare.rate for turn, bare in pairs)
        half = statistics.median(turn.half for turn in found)
        most = statistics.median(turn.most for turn in found)
        cost = statistics.median(turn.spent / turn.count for turn in found) * 1e6
        note = ""
        if name == "webhook":
            short = ratio < TARGET_RATIO or most > TARGET_P99
            note = f"   target {TARGET_RATIO:g}, p99 {TARGET_P99 * 1e3:g} ms{': MISSED' if short else ''}"
            missed = int(short)
        numbers = f"{rate:10.0f}{ratio:9.2f}{cost:9.0f}{half * 1e3:9.2f}{most * 1e3:9.2f}"
        print(f"{name:18}{numbers}{note}")
    return missed


def _counted(place: Path, sent: int) -> int:
    """Nothing that was answered may be missing: all is worked off, and each alert is there once."""
    from sloguard.adapters.store import Store

    begun = time.monotonic()
    with Store(str(place / "runs.db")) as store:
        while store.payloads_wait():
            if time.monotonic() - begun > 120:
                print("the inbox was not worked off in time")
                return 1
            time.sleep(0.1)
        kept = len(store.alert_page(GROUPS * ALERTS + 1))
    print(f"{sent:,} payloads; worked off {time.monotonic() - begun:.1f} s after the last one")
    if kept != GROUPS * ALERTS:
        print(f"there are {kept} alerts, and should be {GROUPS * ALERTS}")
        return 1
    return 0


def payloads() -> Iterator[bytes]:
    """One group of alerts each."""
    for group in range(GROUPS):
        alerts = [_alert(group, number) for number in range(ALERTS)]
        body = {
            "receiver": "sloguard",
            "status": "firing",
            "alerts": alerts,
            "groupLabels": {"alertname": "ErrorBudgetBurn"},
            "commonLabels": {"alertname": "ErrorBudgetBurn", "severity": "page"},
            "commonAnnotations": {},
            "externalURL": "http://alertmanager:9093",
            "version": "4",
            "groupKey": f'{{}}:{{service="{group}"}}',
            "truncatedAlerts": 0,
        }
        yield json.dumps(body, separators=(",", ":")).encode()


def _alert(group: int, number: int) -> dict[str, Any]:
    labels = {
        "alertname": "ErrorBudgetBurn",
        "cluster": "demo",
        "service": f"service-{group}",
        "pod": f"service-{group}-{number}",
        "severity": "page",
        "slo": "availability",
    }
    return {
        "status": "firing",
        "labels": labels,
        "annotations": {
            "summary": f"service-{group} burns its budget",
            "runbook_url": "http://wiki/runbook",
        },
        "startsAt": f"2026-01-01T12:00:{number:02d}.218Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph?g0.expr=slo%3Aerror_ratio%3E0.05&g0.tab=1",
        "fingerprint": f"{group:08x}{number:08x}",
    }


@contextmanager
def served(directory: Path) -> Iterator[tuple[int, str, int]]:
    """A service with a bare route beside it, and what works its inbox off: port, token, the web's process."""
    from sloguard.adapters.store import Store
    from sloguard.ports.service import Scope
    from tests.support.servers import free_port

    path, port = directory / "runs.db", free_port()
    with Store(str(path)) as store:
        _, token = store.create_token("alertmanager", [Scope.WEBHOOK])
    environ = {
        **os.environ,
        "SLOGUARD_STORE_URL": str(path),
        "SLOGUARD_SERVE_ACCESS_LOG": "false",
        "SLOGUARD_SERVE_RATE_LIMIT": "0",
        "SLOGUARD_SERVE_AUTH": "on",
    }
    web = [sys.executable, "-m", "benchmarks.web_server", str(path), str(port)]
    works = [sys.executable, "-m", "sloguard", "worker", "serve"]
    with (directory / "log").open("wb") as log:
        processes = [
            subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stderr=log, cwd=place)
            for command, place in ((web, None), (works, directory))
        ]
    try:
        _until_it_answers(port)
        yield port, token, processes[0].pid
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(60)


def _until_it_answers(port: int) -> None:
    for _ in range(6000):
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz"):
            return
        time.sleep(0.01)
    raise SystemExit("the service did not start")


if __name__ == "__main__":
    sys.exit(main())
