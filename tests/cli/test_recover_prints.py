"""What a rollback prints while ``sloguard recover`` runs it: no result, and no secret in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sloguard.cli.recovering import Known
from sloguard.core.events import Event, Note

SECRET = "hunter2secret"


def test_prints_go_to_stderr_without_secrets_and_results_to_stdout(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def load(_source: object, _variables: Mapping[str, Any]) -> Any:
        return SimpleNamespace(secrets={"shop": {"password": SECRET}})

    def recovering() -> Iterator[Event]:
        known({}, {})
        print("mended with", SECRET)
        yield Note(1.0, "info", "undone")

    known = Known(cast(Any, load))
    for event in known.quietly(recovering()):
        print(type(event).__name__)
    said = capsys.readouterr()
    assert said.out == "Note\n"
    assert "mended with" in said.err
    assert SECRET not in said.err


def test_a_later_run_masks_what_a_dead_runs_rollback_prints_with_the_dead_runs_secrets(
    tmp_path: Path,
) -> None:
    (tmp_path / "shopkeeper.py").write_text(
        "def mend(secrets):\n    print('mended with', secrets['password'])\n    return True\n"
    )
    dead = experiment("kill -9 $PPID", "deadly") | {
        "secrets": {"shop": {"password": {"type": "env", "key": "SHOP_PASSWORD"}}},
        "rollbacks": [
            {
                "type": "action",
                "name": "mend",
                "provider": {
                    "type": "python",
                    "module": "shopkeeper",
                    "func": "mend",
                    "secrets": ["shop"],
                },
            }
        ],
    }
    assert sloguard(tmp_path, dead).returncode == -9
    said = sloguard(tmp_path, experiment("true", "harmless"))
    assert "mended with" in said.stderr
    assert SECRET not in said.stderr + said.stdout


def experiment(command: str, title: str) -> dict[str, Any]:
    """One without a Prometheus, with a probe to hold."""
    process = {"type": "process", "path": "sh", "arguments": ["-c", command], "timeout": 20}
    probe = {
        "type": "probe",
        "name": "there",
        "tolerance": 0,
        "provider": {"type": "process", "path": "true"},
    }
    return {
        "title": title,
        "description": "And mended.",
        "phases": {"before": 0, "during": 0, "after": 0},
        "steady-state-hypothesis": {"title": "It is there", "probes": [probe]},
        "method": [{"type": "action", "name": "break", "provider": process}],
    }


def sloguard(directory: Path, what: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
    """``sloguard run`` in a process of its own."""
    file = directory / f"{what['title']}.json"
    file.write_text(json.dumps(what))
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "sloguard",
            "run",
            str(file),
            "--store",
            str(directory / "store.db"),
        ],
        env={**os.environ, "SHOP_PASSWORD": SECRET, "PYTHONPATH": str(directory)},
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
