"""The command line against bare Python and the Chaos Toolkit: help, and a run that does nothing.

python -m benchmarks.cli [--rounds 11]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

#: An empty run judges nothing, which is inconclusive.
GOOD = (0, 11)
EMPTY = {
    "title": "nothing",
    "description": "An empty method and no waiting: all that is left is the tool itself.",
    "phases": {"before": "0s", "during": "0s", "after": "0s"},
    "steady-state-hypothesis": {"title": "nothing", "probes": []},
    "method": [],
}


def commands(directory: Path) -> dict[str, list[str]]:
    """What is timed, by name; the Chaos Toolkit's where it is installed."""
    file = directory / "empty.json"
    file.write_text(json.dumps(EMPTY), "utf-8")
    python = sys.executable
    found = {
        "python -c pass": [python, "-c", "pass"],
        "sloguard --help": [python, "-m", "sloguard", "--help"],
        "sloguard run (empty)": [python, "-m", "sloguard", "run", str(file)],
    }
    beside = Path(python).with_name("chaos")
    chaos = str(beside) if beside.exists() else shutil.which("chaos")
    if chaos:
        journal = str(directory / "journal.json")
        quiet = [chaos, "--log-file", str(directory / "chaos.log")]
        found["chaos --help"] = [chaos, "--help"]
        found["chaos run (empty)"] = [
            *quiet, "run", "--no-verify-tls", "--journal-path", journal, str(file),
        ]  # fmt: skip
    return found


def measure(rounds: int) -> dict[str, float]:
    """Median seconds of each command, interleaved, after one round to warm up."""
    with tempfile.TemporaryDirectory(prefix="sloguard-bench-") as folder:
        directory = Path(folder)
        env = {**os.environ, "XDG_DATA_HOME": folder, "HOME": folder}
        times: dict[str, list[float]] = {}
        for _ in range(rounds + 1):
            for name, command in commands(directory).items():
                begun = time.perf_counter()
                done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True)
                times.setdefault(name, []).append(time.perf_counter() - begun)
                if done.returncode not in GOOD:
                    raise RuntimeError(f"{name} ended with {done.returncode}: {done.stderr}")
        return {name: statistics.median(spent[1:]) for name, spent in times.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 0 even where a target is missed: a busy machine is no failure."""
    parser = argparse.ArgumentParser(description="The command line against the Chaos Toolkit.")
    parser.add_argument("--rounds", type=int, default=11)
    rounds = parser.parse_args(arguments).rounds
    measured = measure(rounds)
    bare = measured["python -c pass"]
    print(f"{'command':24}{'ms':>8}{'x python':>10}{'x chaos':>10}")
    for name, seconds in measured.items():
        peer = measured.get(name.replace("sloguard", "chaos")) if "sloguard" in name else None
        shown = f"{seconds / peer:10.2f}" if peer else f"{'':10}"
        print(f"{name:24}{seconds * 1000:8.0f}{seconds / bare:10.1f}{shown}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
