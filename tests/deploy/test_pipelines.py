"""Examples for pipelines: their commands, what they read of the service, and the script that asks it."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click.testing
import pytest
import yaml

from sloguard.core.model import EXIT_CODES
from tests.support.served import PATIENCE, Served, serving

PIPELINES = Path(__file__).resolve().parents[2] / "deploy" / "pipelines"
#: Met, deviated and inconclusive, by probes: no Prometheus is needed.
OUTCOMES = {"true": "met", "false": "not-started"}


def commands() -> Iterator[tuple[str, list[str]]]:
    """(File, words) of every ``sloguard`` in a shell."""
    for file in sorted(PIPELINES.iterdir()):
        text = re.sub(r"\\\n\s*", " ", file.read_text("utf-8"))
        for line in text.splitlines():
            found = re.search(r"^.*?(?<![\w`'-])(sloguard (?:run|recover|judge)\b.*)$", line)
            if found and not line.lstrip().startswith(("#", "//")):
                yield file.name, shlex.split(found[1].partition(">")[0])
    for file in PIPELINES.glob("argo-*.yaml"):
        for document in yaml.safe_load_all(file.read_text("utf-8")):
            for container in containers(document):
                if container["image"].startswith("sloguard"):
                    yield file.name, ["sloguard", *container["args"]]


def containers(node: Any) -> Iterator[dict[str, Any]]:
    """Every container anywhere inside."""
    if isinstance(node, list):
        for item in node:
            yield from containers(item)
    elif isinstance(node, dict):
        if "image" in node and "args" in node:
            yield node
        for value in node.values():
            yield from containers(value)


COMMANDS = list(commands())


def test_the_commands_are_found() -> None:
    files = {name for name, _ in COMMANDS}
    assert files == {
        "Jenkinsfile",
        "argo-rollouts.yaml",
        "argo-workflow.yaml",
        "crontab",
        "github-actions.yaml",
        "gitlab-ci.yaml",
    }


@pytest.mark.parametrize(
    ("name", "words"), COMMANDS, ids=[f"{n}: {' '.join(w[:2])}" for n, w in COMMANDS]
)
def test_each_command_has_the_options_that_there_are(
    name: str, words: list[str], tmp_path: Path
) -> None:
    command = importlib.import_module(f"sloguard.cli.{words[1]}").command
    arguments = []
    for word in words[2:]:
        if word.endswith(".yaml"):
            there = tmp_path / Path(word).name
            there.write_text("title: x")
            word = str(there)
        arguments.append(word)
    ran = click.testing.CliRunner().invoke(command, [*arguments, "--help"])
    assert ran.exit_code == 0, f"{name}: {ran.output}"
    ran = click.testing.CliRunner().invoke(command, [*arguments, "--no-such-option", "--help"])
    assert ran.exit_code == 2


@pytest.mark.parametrize("file", sorted(PIPELINES.glob("*.yaml")), ids=lambda f: f.name)
def test_they_are_yaml(file: Path) -> None:
    assert all(isinstance(one, dict) for one in yaml.safe_load_all(file.read_text("utf-8")))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("pipeline")
    own = folder / "own"
    own.mkdir()
    for program, outcome in OUTCOMES.items():
        probe = {
            "type": "probe",
            "name": "fine",
            "tolerance": 0,
            "provider": {"type": "process", "path": program},
        }
        experiment = {
            "title": outcome,
            "description": "Takes no time.",
            "phases": {"before": 0, "during": 0, "after": 0},
            "steady-state-hypothesis": {"title": "It holds", "probes": [probe]},
            "method": [],
        }
        (own / f"{outcome}.json").write_text(json.dumps(experiment))
    allow = {"SLOGUARD_SERVE_ALLOW": f"{own}=process"}
    flags = ("--store", "runs.db", "--experiments", str(own))
    with serving(folder, *flags, environ=allow) as running:
        running.wait_until_ready()
        yield running


needs_shell = pytest.mark.skipif(
    not (shutil.which("jq") and shutil.which("curl")), reason="curl or jq is missing"
)


@pytest.mark.integration
@needs_shell
@pytest.mark.parametrize("outcome", sorted(OUTCOMES.values()))
def test_the_script_ends_with_the_exit_code_of_the_verdict(served: Served, outcome: str) -> None:
    asked = [
        subprocess.run(
            ["sh", str(PIPELINES / "service.sh"), outcome, f"build-of-{outcome}"],
            env={**os.environ, "SLOGUARD": served.url, "SLOGUARD_TOKEN": "none"},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        for _ in range(2)
    ]
    for ran in asked:
        assert json.loads(ran.stdout)["outcome"] == outcome, ran.stderr
        assert ran.returncode == {str(o): code for o, code in EXIT_CODES.items()}[outcome]
    # The same build is the same run.
    assert asked[0].stderr == asked[1].stderr


@pytest.mark.integration
@needs_shell
def test_the_script_fails_where_there_is_no_such_experiment(served: Served) -> None:
    ran = subprocess.run(
        ["sh", str(PIPELINES / "service.sh"), "nothing"],
        env={**os.environ, "SLOGUARD": served.url, "SLOGUARD_TOKEN": "none"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ran.returncode not in (0, *EXIT_CODES.values())


@pytest.mark.integration
@needs_shell
def test_a_rollout_reads_the_outcome(served: Served) -> None:
    """Argo's path into a real answer, with its conditions."""
    test_the_script_ends_with_the_exit_code_of_the_verdict(served, "met")
    documents = yaml.safe_load_all((PIPELINES / "argo-rollouts.yaml").read_text("utf-8"))
    (metric,) = next(documents)["spec"]["metrics"]
    web = metric["provider"]["web"]
    address = urlsplit(web["url"].replace("{{args.experiment}}", "met"))
    status, body = served.get(f"{address.path}?{address.query}")
    assert status == 200
    found: Any = json.loads(body)
    for key in re.findall(r"[a-z]+|\d+", web["jsonPath"]):
        found = found[int(key) if key.isdigit() else key]
    assert metric["successCondition"] == f'result == "{found}"'
    outcomes = set(map(str, EXIT_CODES))
    assert set(re.findall(r'"([a-z-]+)"', metric["failureCondition"])) <= outcomes
