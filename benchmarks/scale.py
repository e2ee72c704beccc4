"""Many SLOs: how the peak of memory and the time of ``sloguard judge`` grow with their number.

A server beside it answers every range query with 200 series x 240 points, as Prometheus would. Each case
runs `sloguard judge` in a process of its own; then curl fetches the same bytes to /dev/null. After that, many writers
on one PostgreSQL (`benchmarks/writers.py`).

    python -m benchmarks.scale [--slos 10 100 1000] [--json]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmarks import writers
from benchmarks.fetch import Case, api, curl, timed
from sloguard.core.windows import Grid

SERIES, FAULT = 200, 1_767_225_600 + 1800
GRID = Grid(1_767_225_600, 15, 240)
#: Runs the command as the shell would; says the kernel's own high-water mark of its memory at the end.
_CHILD = """
import re, sys, time
from pathlib import Path
from sloguard.cli.main import run
begun = time.perf_counter()
try:
    run()
except SystemExit as end:
    code = end.code
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
print(code, peak, time.perf_counter() - begun, time.process_time(), file=sys.stderr)
"""


@dataclass(frozen=True)
class Judged:
    """One judgement. ``peak``: bytes; ``seconds`` of it, ``cpu`` of them; ``document``: its bytes."""

    slos: int
    peak: int
    seconds: float
    cpu: float
    curl: float
    fetched: int
    document: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Judge many SLOs.")
    parser.add_argument("--slos", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    chosen = parser.parse_args(arguments)
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.scale_server", str(SERIES)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        url = f"http://127.0.0.1:{_line(server.stdout)}"
        rows = [judge(url, count) for count in chosen.slos]
    finally:
        server.terminate()
        server.wait()
    if chosen.json:
        print(json.dumps([row.__dict__ for row in rows]))
        return 0
    show(rows)
    print()
    return writers.main([])


def _line(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline().strip()


def judge(url: str, count: int) -> Judged:
    """One judgement of so many SLOs, and the bare fetch of the same bytes."""
    with tempfile.TemporaryDirectory(prefix="sloguard-scale-") as directory:
        file, answer = Path(directory) / "slos.json", Path(directory) / "verdict.json"
        slos = [
            {"name": f"slo-{n:04d}", "query": f"wide_{n:04d}", "objective": "< 90%"}
            for n in range(count)
        ]
        phases = {"before": "30m", "during": "15m", "after": "14m45s"}
        file.write_text(json.dumps({"slos": slos, "phases": phases}))
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                _CHILD,
                "judge",
                str(file),
                "--prometheus",
                url,
                "--fault",
                str(FAULT),
                "--format",
                "json",
                "--output",
                str(answer),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        code, peak, seconds, cpu = done.stderr.split()[-4:]
        if code != "10":
            raise RuntimeError(f"sloguard judge ended with {code}: {done.stderr[-2000:]}")
        size = answer.stat().st_size
    address = api(url, Case("", "wide", GRID, None))
    curl([address])
    fetched = 0

    def fetch() -> None:
        nonlocal fetched
        # As many at once as sloguard has under way.
        for begin in range(0, count, 200):
            addresses = [address] * min(200, count - begin)
            fetched += curl(addresses, at_once=4 if len(addresses) > 1 else 1)[1]

    return Judged(count, int(peak), float(seconds), float(cpu), timed(fetch), fetched, size)


def show(rows: Sequence[Judged]) -> None:
    """The table: ratios stand where a machine's speed would."""
    print(
        f"{'SLOs':>6}{'series':>9}{'fetched MB':>12}{'peak MB':>9}{'of the fetched':>16}"
        f"{'seconds / curl':>16}{'CPU / curl':>12}{'document MB':>13}"
    )
    for one in rows:
        print(
            f"{one.slos:6,}{one.slos * SERIES:9,}{one.fetched / 1e6:12.0f}{one.peak / 1e6:9.0f}"
            f"{one.peak / one.fetched:16.2f}{one.seconds / one.curl:16.1f}{one.cpu / one.curl:12.1f}"
            f"{one.document / 1e6:13.1f}"
        )
    first, last = rows[0], rows[-1]
    print(
        f"peak memory of {last.slos:,} SLOs / of {first.slos:,}: {last.peak / first.peak:.2f} "
        f"(of {last.slos / first.slos:,.0f} times as many)"
    )


if __name__ == "__main__":
    sys.exit(main())
