"""Drawing charts: milliseconds each, charts a second, and whether memory stays flat.

Warm medians, formats interleaved, in this process; the first chart (with the import of matplotlib) in a
process of its own. Memory is what the process holds (RSS) and what Python does (tracemalloc).

    python -m benchmarks.charts [--rounds 21] [--charts 200] [--json]
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import psutil

from sloguard.core.model import Timeline
from sloguard.render.charts import FORMATS, Format, chart
from tests.support.charting import NOON, Situation, ages, one, rule, situation, slo

#: Milliseconds that a warm chart of ten series may take.
TARGETS: dict[str, float] = {"svg": 70.0, "png": 130.0}
#: How much more (MiB, of the process) the last chart may find than the 50th left.
FLAT_WITHIN = 6.0
_STEP = 5.0
_FIRST = (
    "import time; began = time.perf_counter()\n"
    "from benchmarks.charts import made_of, drawn\n"
    "made = made_of(10); ready = time.perf_counter()\n"
    "drawn(made, 'png'); print((time.perf_counter() - ready) * 1000)\n"
)


@dataclass(frozen=True)
class Speed:
    """Warm charts of one kind."""

    series: int
    format: str
    milliseconds: float
    kilobytes: float
    target: float | None

    @property
    def ok(self) -> bool:
        """Within its target, where it has one."""
        return self.target is None or self.milliseconds <= self.target


@dataclass(frozen=True)
class Memory:
    """MiB after so many charts."""

    charts: int
    process: float
    python: float


def made_of(series: int, points: int = 240) -> Situation:
    """A deviation with a way back in every tenth of so many series."""
    third = points * _STEP / 3
    marks = Timeline(NOON - third, NOON, NOON + third, NOON + 2 * third)
    t, random = ages(marks, _STEP), np.random.default_rng(1)
    rows = {}
    for i in range(series):
        noise = np.abs(random.normal(0.002, 0.0008, t.size))
        bump = np.where((t > 10 + i % 9) & (t < third + 60), 0.01 * (1 + i % 10), 0.0)
        rows[one(service=f"service-{i:04}", zone="ab"[i % 2])] = noise + bump
    declared = slo(during=rule("< 5%", "20s"), after=rule("< 1%", within=90.0))
    return situation(declared, rows, marks, step=_STEP)


def drawn(made: Situation, format: Format) -> bytes:
    """One chart."""
    return chart(made.evidence, made.result, made.timeline, format=format, title="benchmark")


def speeds(rounds: int) -> list[Speed]:
    """Medians of interleaved rounds."""
    measured = []
    for series, times in ((1, rounds), (10, rounds), (2000, max(3, rounds // 5))):
        made = made_of(series)
        spent: dict[Format, list[float]] = {format: [] for format in FORMATS}
        size = {format: len(drawn(made, format)) for format in FORMATS}
        for _ in range(times):
            for format in FORMATS:
                began = time.perf_counter()
                drawn(made, format)
                spent[format].append((time.perf_counter() - began) * 1000)
        for format in FORMATS:
            target = TARGETS.get(format) if series == 10 else None
            median = statistics.median(spent[format])
            measured.append(Speed(series, format, median, size[format] / 1024, target))
    return measured


def first_chart() -> float:
    """Milliseconds of the first chart of a process, with matplotlib's import."""
    done = subprocess.run(
        [sys.executable, "-c", _FIRST], capture_output=True, text=True, check=True, timeout=120
    )
    return float(done.stdout)


def memory(charts: int) -> list[Memory]:
    """After 10, 50 and so on, SVG and PNG in turn; garbage is collected where it is looked at only.

    Nobody collects it in between, so what the process holds shows what charts leave lying about.
    """
    made = made_of(10)
    process = psutil.Process()
    tracemalloc.start()
    found = []
    marks = sorted({10, 50, charts // 2, charts})
    for count in range(1, charts + 1):
        drawn(made, "png" if count % 2 else "svg")
        if count in marks:
            gc.collect()
            held = tracemalloc.get_traced_memory()[0]
            found.append(Memory(count, process.memory_info().rss / 2**20, held / 2**20))
    tracemalloc.stop()
    return found


def growth(found: Sequence[Memory]) -> float:
    """MiB of the process from the 50th chart to the last."""
    early = next(m for m in found if m.charts == 50)
    return found[-1].process - early.process


def report(measured: Sequence[Speed], first: float, found: Sequence[Memory]) -> str:
    """For people."""
    lines = ["series  format       ms  charts/s      KiB  target"]
    for speed in measured:
        target = "" if speed.target is None else f"< {speed.target:g} ms"
        verdict = "" if speed.target is None else ("ok" if speed.ok else "MISSED")
        lines.append(
            f"{speed.series:6,}  {speed.format:6} {speed.milliseconds:8.1f}  "
            f"{1000 / speed.milliseconds:8.1f}  {speed.kilobytes:7.1f}  {target} {verdict}".rstrip()
        )
    lines.append(f"the first chart of a process (with matplotlib's import): {first:.0f} ms")
    lines.extend(
        f"after {at.charts:4} charts: {at.process:6.1f} MiB held, {at.python:5.1f} MiB by Python"
        for at in found
    )
    flat = "flat" if growth(found) <= FLAT_WITHIN else "NOT FLAT"
    lines.append(f"from chart 50 to {found[-1].charts}: {growth(found):+.1f} MiB, {flat}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=21, help="of each kind (default 21)")
    parser.add_argument("--charts", type=int, default=200, help="for the memory (default 200)")
    parser.add_argument("--json", action="store_true", help="for machines")
    asked = parser.parse_args(arguments)
    measured, first = speeds(max(asked.rounds, 3)), first_chart()
    found = memory(max(asked.charts, 60))
    if asked.json:
        answer = {
            "speeds": [asdict(s) for s in measured],
            "first_ms": first,
            "memory": [asdict(m) for m in found],
            "growth_mib": growth(found),
        }
        sys.stdout.write(json.dumps(answer, indent=1) + "\n")
    else:
        sys.stdout.write(report(measured, first, found) + "\n")
    good = all(s.ok for s in measured) and growth(found) <= FLAT_WITHIN
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
