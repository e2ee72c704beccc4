"""The examples of docs/faults.md: each is an experiment, or activities of one, with arguments that exist."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sloguard.faults.base import find_fault
from sloguard.faults.manifests import read_manifests
from sloguard.spec import read

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "faults.md").read_text(encoding="utf-8")
EXAMPLES = [yaml.safe_load(body) for body in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)]


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_it_is_a_valid_experiment(example: Any, tmp_path: Path) -> None:
    whole = example if isinstance(example, dict) else {"title": "t", "description": "d", "method": example}  # fmt: skip
    file = tmp_path / "experiment.json"
    file.write_text(json.dumps(whole))
    made = read(file).experiment
    assert made.method
    for activity in made.method:
        provider = activity.provider
        if provider["type"] != "python":
            assert len(made.rollbacks) == len(made.method)
            continue
        family = provider["module"].removeprefix("sloguard.faults.")
        fault = find_fault(f"{family}.{provider['func']}")
        assert fault.planner.__module__ == provider["module"]
        inspect.signature(fault.planner).bind(**provider["arguments"], context=None)
        if "manifest" in provider["arguments"]:
            assert read_manifests(provider["arguments"]["manifest"])


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 4
