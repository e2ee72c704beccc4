"""A service that ends with its machine: its runs undo first."""

from __future__ import annotations

import json
import signal
import time
import urllib.request
from pathlib import Path

import pytest

from tests.support.command import sloguard
from tests.support.served import PATIENCE, serving

pytestmark = pytest.mark.integration


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """An experiment that would take an hour; it leaves ``broken`` and takes it away again."""
    broken = tmp_path / "broken"

    def process(kind: str, name: str, path: str, *words: str) -> dict[str, object]:
        provider = {"type": "process", "path": path, "arguments": list(words)}
        return {"type": kind, "name": name, "provider": provider}

    fine = {**process("probe", "fine", "true"), "tolerance": 0}
    experiment = {
        "title": "An hour",
        "description": "Breaks something for an hour.",
        "phases": {"before": 0, "during": "1h", "after": 0},
        "steady-state-hypothesis": {"title": "It holds", "probes": [fine]},
        "method": [process("action", "break", "touch", str(broken))],
        "rollbacks": [process("action", "mend", "rm", str(broken))],
    }
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "hour.json").write_text(json.dumps(experiment))
    return folder


def test_its_runs_undo_before_it_ends(own: Path, tmp_path: Path) -> None:
    broken, environ = tmp_path / "broken", {
        "SLOGUARD_SERVE_ALLOW": f"{own}=process",
        "SLOGUARD_SERVE_DRAIN": "40s",
    }  # fmt: skip
    flags = ("--store", "runs.db", "--experiments", str(own))
    with serving(tmp_path, *flags, environ=environ) as served:
        served.wait_until_ready()
        body = json.dumps({"experiment": "hour"}).encode()
        headers = {"Content-Type": "application/json"}
        asked = urllib.request.Request(f"{served.url}/api/v1/runs", body, headers)
        with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
            run = json.load(answer)["run"]
        deadline = time.monotonic() + PATIENCE
        while not broken.exists():
            assert time.monotonic() < deadline, served.said()
            time.sleep(0.05)
        code, alive = served.end(signal.SIGTERM)
        assert (code, alive) == (0, []), served.said()
        assert not broken.exists()
    told = sloguard(
        "runs", "show", run, "--store", tmp_path / "runs.db", "--format", "json", home=tmp_path
    )
    assert json.loads(told.out)["outcome"] == "aborted", told.out + told.err
