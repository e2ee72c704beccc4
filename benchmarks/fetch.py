"""Fetching, decoding and judging against Prometheus's own time for the same answer.

A real Prometheus is started over blocks made by promtool. Each case is measured interleaved: curl to
/dev/null with identity encoding (its own total time, without the start of its process, and with it), then
sloguard over a kept connection. Medians, and their ratios.

    python -m benchmarks.fetch [--rounds 15] [--json]
"""

from __future__ import annotations

import argparse
import functools
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO
from urllib.parse import urlencode

from sloguard.adapters.prometheus import Prometheus, PrometheusSettings
from sloguard.core.judge import judge_slo
from sloguard.core.model import PhaseRule, Slo, Timeline
from sloguard.core.objective import parse_objective
from sloguard.core.series import Matrix, SloEvidence
from sloguard.core.windows import Grid
from tests.support.servers import PrometheusServer

START = 1_767_225_600
WIDE = Grid(START, 15, 240)
LONG = Grid(START, 1, 11_000)
FAN_OUT = 40


@dataclass(frozen=True)
class Case:
    """A query, its grid, and the ratio to curl that it should stay within (None: just shown)."""

    name: str
    query: str
    grid: Grid
    target: float | None


CASES = (
    Case("1 x 240", 'wide{pod="shop-00000-abcde"}', WIDE, None),
    Case("200 x 240", 'wide{pod=~"shop-00[01]..-abcde"}', WIDE, 1.5),
    Case("2,000 x 240", "wide", WIDE, 2.0),
    Case("200 x 11,000", "long", LONG, 4.0),
    Case("200 x 240 of rates", 'rate(wide{pod=~"shop-00[01]..-abcde"}[1m])', WIDE, None),
)


@dataclass
class Measured:
    """Seconds of every round."""

    curl: list[float] = field(default_factory=list)
    curl_process: list[float] = field(default_factory=list)
    fetch: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    judge: list[float] = field(default_factory=list)
    bytes: int = 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 0 even where a target is missed: a busy machine is no failure."""
    parser = argparse.ArgumentParser(description="Fetch, decode and judge against curl.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="sloguard-bench-") as directory:
        server = PrometheusServer(Path(directory), interval=60, openmetrics=write_data(directory))
        server.start()
        try:
            rows = [row(case, measure(server.url, case, chosen.rounds)) for case in CASES]
            rows.append(fanned_out(server.url, chosen.rounds))
            memory = [peak_memory(server.url, case) for case in CASES[1:4]]
        finally:
            server.stop()
    if chosen.json:
        print(json.dumps({"cases": rows, "memory": memory}))
    else:
        show(rows, memory, sys.stdout)
    return 0


def write_data(directory: str) -> list[Path]:
    """2,000 series of an hour, and 200 of three hours at a second, of full-length values."""
    chance = random.Random(1)
    files = []
    for name, series, grid in (("wide", 2000, WIDE), ("long", 200, LONG)):
        file = Path(directory) / f"{name}.om"
        with file.open("w") as out:
            out.write(f"# TYPE {name} unknown\n")
            for number in range(series):
                labels = f'job="shop",service="svc-{number % 20}",pod="shop-{number:05d}-abcde",code="200"'
                out.writelines(
                    f"{name}{{{labels}}} {chance.random()!r} {at:.0f}\n" for at in grid.times
                )
            out.write("# EOF\n")
        files.append(file)
    return files


def measure(url: str, case: Case, rounds: int) -> Measured:
    """Everything about one case, round by round, after one round to warm up."""
    prometheus = Prometheus(PrometheusSettings(url=url))
    address = api(url, case)
    measured = Measured()
    for _ in range(rounds + 1):
        begun = time.perf_counter()
        total, measured.bytes = curl([address])
        measured.curl_process.append(time.perf_counter() - begun)
        measured.curl.append(total)
        measured.fetch.append(timed(lambda: prometheus.range(case.query, case.grid)))
        measured.whole.append(timed(lambda: judge(case, prometheus.range(case.query, case.grid))))
        matrix = prometheus.range(case.query, case.grid)
        measured.judge.append(timed(functools.partial(judge, case, matrix)))
    prometheus.close()
    for times in (
        measured.curl, measured.curl_process, measured.fetch, measured.whole, measured.judge,
    ):  # fmt: skip
        del times[0]
    return measured


def fanned_out(url: str, rounds: int) -> dict[str, object]:
    """40 queries at once, as many connections on both sides."""
    settings = PrometheusSettings(url=url)
    prometheus = Prometheus(settings)
    cases = [
        Case(
            "",
            f'wide{{pod=~"shop-0{n % 20:02d}..-abcde|shop-0{(n + 1) % 20:02d}..-abcde"}}',
            WIDE,
            None,
        )
        for n in range(FAN_OUT)
    ]
    addresses = [api(url, case) for case in cases]
    measured = Measured()
    for _ in range(rounds + 1):
        begun = time.perf_counter()
        _, measured.bytes = curl(addresses, at_once=settings.concurrency)
        spent = time.perf_counter() - begun
        measured.curl.append(spent)
        measured.curl_process.append(spent)
        measured.fetch.append(
            timed(lambda: prometheus.range_many([(case.query, case.grid) for case in cases]))
        )
        measured.whole.append(timed(lambda: judge_all(prometheus, cases)))
    prometheus.close()
    for times in (measured.curl, measured.curl_process, measured.fetch, measured.whole):
        del times[0]
    return row(Case(f"{FAN_OUT} of 200 x 240", "", WIDE, 1.8), measured)


def judge_all(prometheus: Prometheus, cases: Sequence[Case]) -> None:
    answers = prometheus.range_many([(case.query, case.grid) for case in cases])
    for case, answer in zip(cases, answers, strict=True):
        assert isinstance(answer, Matrix), answer
        judge(case, answer)


def judge(case: Case, matrix: Matrix) -> None:
    """Judge an answer as an SLO with the fault in the middle of it, every series' reason included."""
    rule = PhaseRule(parse_objective("< 90%"))
    slo = Slo("bench", rule.objective, rule, rule, rule, query=case.query)
    quarter = case.grid.count // 4 * case.grid.step
    marks = [case.grid.first + n * quarter for n in (0, 2, 3)]
    evidence = SloEvidence(slo, case.grid, {"query": matrix}, 0.0, scrape_interval=case.grid.step)
    judge_slo(evidence, Timeline(*marks, case.grid.last))


def api(url: str, case: Case) -> str:
    """The address of an answer."""
    grid = case.grid
    window = {"start": grid.first, "end": grid.last, "step": grid.step}
    return f"{url}/api/v1/query_range?{urlencode({'query': case.query, **window})}"


def curl(addresses: Sequence[str], at_once: int = 1) -> tuple[float, int]:
    """(Seconds by curl's own clock, all bytes) of fetching these to /dev/null."""
    command = ["curl", "-s", "-H", "Accept-Encoding: identity"]
    command += ["-Z", "--parallel-max", str(at_once)] if at_once > 1 else []
    for address in addresses:
        command += ["-o", "/dev/null", address]
    command += ["-w", "%{time_total} %{size_download} %{http_code}\n"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    if len(lines) != len(addresses) or any(code != "200" for _, _, code in lines):
        raise RuntimeError(f"curl: {done.stdout} {done.stderr}")
    return max(float(total) for total, _, _ in lines), sum(int(size) for _, size, _ in lines)


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


#: The kernel's own high-water mark of this program's memory; ru_maxrss still holds the parent's.
_CHILD = """
import re, sys
from pathlib import Path
from benchmarks.fetch import CASES
from sloguard.adapters.prometheus import Prometheus, PrometheusSettings
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
case = CASES[int(sys.argv[2])]
prometheus = Prometheus(PrometheusSettings(url=sys.argv[1]))
prometheus.range(CASES[0].query, CASES[0].grid)
before = peak()
matrix = prometheus.range(case.query, case.grid)
print(peak() - before)
"""


def peak_memory(url: str, case: Case) -> dict[str, object]:
    """How far an answer raises the peak of a process that has already asked once."""
    number = str(CASES.index(case))
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, url, number], capture_output=True, text=True, check=True
    )
    _, size = curl([api(url, case)])
    return {"case": case.name, "bytes": size, "ratio": round(int(done.stdout) / size, 2)}


def row(case: Case, measured: Measured) -> dict[str, object]:
    """Medians in milliseconds, and ratios."""
    curl_time, process, fetch, whole = (
        statistics.median(times)
        for times in (measured.curl, measured.curl_process, measured.fetch, measured.whole)
    )
    return {
        "case": case.name,
        "bytes": measured.bytes,
        "curl_ms": round(curl_time * 1000, 1),
        "curl_process_ms": round(process * 1000, 1),
        "fetch_ms": round(fetch * 1000, 1),
        "whole_ms": round(whole * 1000, 1),
        "judge_ratio": round(statistics.median(measured.judge) / curl_time, 2)
        if measured.judge
        else None,
        "fetch_ratio": round(fetch / curl_time, 2),
        "ratio": round(whole / curl_time, 2),
        "ratio_to_process": round(whole / process, 2),
        "target": case.target,
    }


def _or_dash(value: object) -> object:
    return "-" if value is None else value


def show(
    rows: Sequence[dict[str, object]], memory: Sequence[dict[str, object]], out: TextIO
) -> None:
    """The table."""
    print(
        f"{'series x points':20}{'MB':>7}{'curl ms':>9}{'fetch+decode':>14}{'+judge':>9}"
        f"{'ratio':>8}{'target':>8}{'judging alone':>15}{'to curl process':>17}",
        file=out,
    )
    for one in rows:
        megabytes = int(str(one["bytes"])) / 1e6
        print(
            f"{one['case']:20}{megabytes:7.1f}{one['curl_ms']:9}{one['fetch_ms']:14}{one['whole_ms']:9}"
            f"{one['ratio']:8}{one['target'] or '-':>8}{_or_dash(one['judge_ratio']):>15}"
            f"{one['ratio_to_process']:17}",
            file=out,
        )
    print("judging alone: its ratio to curl, target 0.1 of 2,000 x 240", file=out)
    for one in memory:
        print(f"peak memory, {one['case']}: {one['ratio']} x the answer (target 2)", file=out)


if __name__ == "__main__":
    sys.exit(main())
