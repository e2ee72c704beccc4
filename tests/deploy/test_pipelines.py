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
from tests.support import schemas
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


@pytest.mark.parametrize(
    ("file", "schema"),
    [
        ("github-actions.yaml", ["vendor.github-workflows"]),
        ("gitlab-ci.yaml", ["vendor.gitlab-ci", "--data-transform", "gitlab-ci"]),
    ],
)
def test_ci_takes_them(file: str, schema: list[str], tmp_path: Path) -> None:
    """By the schemas that GitHub and GitLab publish."""
    from check_jsonschema import main

    def told(checked: Path) -> click.testing.Result:
        return click.testing.CliRunner().invoke(main, ["--builtin-schema", *schema, str(checked)])

    ran = told(PIPELINES / file)
    assert ran.exit_code == 0, ran.output
    wrong = yaml.safe_load((PIPELINES / file).read_text("utf-8"))
    wrong.get("jobs", wrong)["broken"] = {"script": 1, "runs-on": 1}
    (tmp_path / file).write_text(yaml.safe_dump(wrong))
    assert told(tmp_path / file).exit_code == 1


@pytest.mark.parametrize("version", schemas.VERSIONS)
def test_argo_takes_them(version: str) -> None:
    """By the fields that its kinds have, and their pods by Kubernetes's own."""
    kinds = []
    for file in PIPELINES.glob("argo-*.yaml"):
        for one in yaml.safe_load_all(file.read_text("utf-8")):
            assert schemas.problems(one, version) == [], file.name
            kinds.append(one["kind"])
    assert sorted(kinds) == ["AnalysisTemplate", "AnalysisTemplate", "Workflow"]


def test_ci_shows_what_the_run_writes() -> None:
    """The file that is written is the one that is shown as a test report, also where the run fails."""
    for file, shown in {
        "github-actions.yaml": r"report_paths: (\S+),",
        "gitlab-ci.yaml": r"junit: (\S+)",
        "Jenkinsfile": r"junit testResults: '(\S+)'",
        "argo-workflow.yaml": r"junit, path: (\S+),",
    }.items():
        text = (PIPELINES / file).read_text("utf-8")
        (written,) = re.findall(r"--format,? junit,? --output,? ([^\s\]]+)", text)
        assert re.findall(shown, text) == [written], file
    steps = yaml.safe_load((PIPELINES / "github-actions.yaml").read_text("utf-8"))["jobs"]
    after = next(iter(steps.values()))["steps"][-3:]
    assert [step["if"] for step in after] == ["always()"] * 3


def test_every_variable_is_a_setting() -> None:
    """In pipelines, manifests and what is told about them."""
    from sloguard.settings.table import describe

    known = {"SLOGUARD_CONFIG", *(one.env for one in describe())}
    # What service.sh is given itself.
    known |= {"SLOGUARD_TOKEN"}
    seen = set()
    for file in (f for f in PIPELINES.parent.rglob("*") if f.is_file()):
        if file.suffix != ".json":
            for name in re.findall(r"\bSLOGUARD_[A-Z_]+", file.read_text("utf-8")):
                seen.add(name)
                assert name.removesuffix("_FILE") in known, f"{file}: {name}"
    assert "SLOGUARD_STORE_URL_FILE" in seen


KUBECTL = """#!/bin/sh
echo "$*" >> "$ASKED"
case "$*" in
  *'get job'*) test -e "$ASKED.again" && printf %s "$CONDITIONS"; touch "$ASKED.again" ;;
  *'get pods'*) printf %s "$CODE" ;;
  *logs*) echo "the verdict" ;;
esac
"""


@pytest.mark.parametrize(
    ("conditions", "code", "expected"),
    [
        ("SuccessCriteriaMet Complete", "0", 0),
        ("FailureTarget Failed", "10", 10),
        ("Failed", "", 1),
    ],
)
def test_a_job_ends_the_pipeline_with_its_exit_code(
    conditions: str, code: str, expected: int, tmp_path: Path
) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(KUBECTL)
    kubectl.chmod(0o755)
    asked = tmp_path / "asked"
    given = {"CONDITIONS": conditions, "CODE": code, "ASKED": str(asked), "INTERVAL": "0"}
    ran = subprocess.run(
        ["sh", str(PIPELINES / "job.sh"), "deploy/overlays/one-shot"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", **given},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (expected, "the verdict\n"), ran.stderr
    words = [line.split()[0] if line.startswith("apply") else line.split()[2] for line in asked.read_text().splitlines()]  # fmt: skip
    # What was there goes before the new one comes, and the end is waited for.
    assert words == ["delete", "apply", "get", "get", "logs", "get"]


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
