"""The command line as a process: help, mistakes, exit codes, what goes where."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sloguard.cli.main import COMMANDS
from tests.support.command import ROOT, environment, sloguard
from tests.support.golden import same_as_golden

QUICK = {"before": "0s", "during": "0s", "after": "0s"}


def written(home: Path, name: str = "e.json", **keys: object) -> Path:
    """An experiment that takes no time, with ``keys`` in it."""
    made = {"title": "t", "description": "d", "phases": QUICK, "method": [], **keys}
    file = home / name
    file.write_text(json.dumps(made), "utf-8")
    return file


def action(name: str = "act", **provider: object) -> dict[str, object]:
    return {"type": "action", "name": name, "provider": provider}


def probe(tolerance: object, **provider: object) -> dict[str, object]:
    return {
        "title": "steady",
        "probes": [{"type": "probe", "name": "p", "tolerance": tolerance, "provider": provider}],
    }


TRUE = {"type": "process", "path": "true"}
FALSE = {"type": "process", "path": "false"}


def test_help_names_every_command_and_exit_code(tmp_path: Path) -> None:
    ran = sloguard("--help", home=tmp_path, env={"COLUMNS": "100"})
    assert ran.code == 0
    assert all(f"\n  {name} " in ran.out for name in COMMANDS)
    same_as_golden("help.txt", ran.out)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, tmp_path: Path) -> None:
    ran = sloguard(name, "--help", home=tmp_path)
    assert ran.code == 0
    assert ran.out.startswith(f"Usage: sloguard {name}")
    assert ran.err == ""


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "sys.argv = ['sloguard', '--help']\n"
        "from sloguard.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({m.partition('.')[0] for m in sys.modules}), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env=environment(tmp_path), cwd=ROOT,
    )  # fmt: skip
    heavy = {
        "numpy", "pandas", "matplotlib", "requests", "urllib3", "sqlalchemy", "rich", "yaml", "psutil",
        "pydantic", "kubernetes", "flask", "msgspec", "prometheus_api_client", "promql_parser", "asyncio",
    }  # fmt: skip
    assert heavy & set(json.loads(done.stderr.replace("'", '"'))) == set()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rum"], "Did you mean 'run'?"),
        (["run"], "Missing argument 'FILE'"),
        (["run", "nosuch.yaml"], "does not exist"),
        (["run", "e.json", "--step", "10ms"], "--step: expected at least 1s"),
        (["run", "e.json", "--step", "soon"], "is not a duration"),
        (["run", "e.json", "--format", "xml"], "is not one of"),
        (["judge"], "what is to be judged?"),
        (["judge", "slos.json"], "--fault TIME is needed"),
        (["judge", "slos.json", "--fault", "2026-01-01T12:00:00"], "has no zone"),
        (["judge", "slos.json", "--fault", "yesterday"], "is not a time"),
        (["judge", "slos.json", "--fault", "100", "--end", "50"], "not in order"),
        (["judge", "slos.json", "--fault", "100", "--removed", "web-1"], "expected LABEL=NAME"),
        (["judge", "--run", "nosuch"], "nosuch"),
        (["runs", "show", "nosuch"], "nosuch"),
        (["runs", "prune"], "say what may go"),
        (["chart", "latest"], "no run"),
        (["discover", "processes.kil"], "processes.kill"),
        (["demo", "--no-tour"], "--no-tour goes with --keep"),
        (["settings", "--config", "bad.yaml"], "prometheus.uurl"),
        (["run", "e.json", "--prometheus", "localhost:9090"], "http"),
    ],
)
def test_mistakes_end_with_2_and_one_message(
    arguments: list[str], says: str, tmp_path: Path
) -> None:
    written(tmp_path)
    (tmp_path / "slos.json").write_text(
        '{"slos": [{"name": "a", "query": "up", "objective": "> 0"}]}'
    )
    (tmp_path / "bad.yaml").write_text("prometheus: {uurl: http://localhost}\n")
    if arguments[:2] == ["run", "e.json"] and "--prometheus" in arguments:
        written(
            tmp_path,
            **{
                "steady-state-hypothesis": {
                    "title": "s",
                    "slos": [{"name": "a", "query": "up", "objective": "> 0"}],
                }
            },
        )
    ran = sloguard(*arguments, home=tmp_path)
    assert ran.code == 2, (ran.out, ran.err)
    assert says in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""


def test_all_problems_of_a_file_are_shown_at_once(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text(
        "title: Broken\n"
        "descripton: oops\n"
        "phases: {before: 2 minutes, durin: 1m}\n"
        "steady-state-hypothesis:\n"
        "  title: t\n"
        "  slos:\n"
        "  - name: a\n"
        "    bad: sum(rate(x[1m]))\n"
        "    total: sum(rate(y[1m]))\n"
        "    objective: '>= 99%'\n"
        "  - name: a\n"
        "    qery: up\n"
        "    objective: '5'\n"
        "method:\n"
        "- type: action\n"
        "  name: act\n"
        "  provider: {type: proces, path: ls}\n"
        "- ref: nosuch\n"
        "rolbacks: []\n"
    )
    ran = sloguard("run", "broken.yaml", home=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    same_as_golden("broken.yaml.txt", ran.err)
    checked = sloguard("validate", "broken.yaml", home=tmp_path)
    assert checked.code == 2
    assert checked.out.splitlines()[:-1] == ran.err.splitlines()[:-1]


@pytest.mark.parametrize(
    ("keys", "code", "says"),
    [
        ({"steady-state-hypothesis": probe(0, **TRUE), "method": [action(**TRUE)]}, 0, "met: "),
        ({"steady-state-hypothesis": probe(0, **FALSE)}, 12, "not-started: "),
        ({}, 11, "the experiment has no SLO and no probe"),
        ({"steady-state-hypothesis": probe(0, **TRUE), "method": [action(**FALSE)]}, 11, "exit code 1"),
        (
            {
                "steady-state-hypothesis": probe(0, **TRUE),
                "method": [action(type="python", module="no.such", func="f")],
            },
            12, "no module named",
        ),
        (
            {
                "steady-state-hypothesis": probe(0, **TRUE),
                "method": [action(type="http", url="http://127.0.0.1:1/x")],
            },
            11, "the fault was not injected",
        ),
        (
            {
                "steady-state-hypothesis": probe(0, **TRUE),
                "method": [action(**TRUE)],
                "rollbacks": [action("undo", **FALSE)],
            },
            14, "left behind",
        ),
        (
            {
                "steady-state-hypothesis": probe(0, type="process", path="sh", arguments="-c 'test ! -e broken'"),
                "method": [action(type="process", path="touch", arguments="broken")],
            },
            10, "deviated: ",
        ),
    ],
)  # fmt: skip
def test_the_exit_code_is_the_outcome(
    keys: dict[str, object], code: int, says: str, tmp_path: Path
) -> None:
    ran = sloguard("run", written(tmp_path, **keys), home=tmp_path)
    assert ran.code == code, (ran.out, ran.err)
    assert says in ran.out
    shown = sloguard("runs", "show", "-o", "json", home=tmp_path).json
    assert shown["exit_code"] == code


def test_slos_without_a_prometheus_never_pass(tmp_path: Path) -> None:
    slo = {"name": "a", "query": "up", "objective": "> 0"}
    file = written(tmp_path, **{"steady-state-hypothesis": {"title": "s", "slos": [slo]}})
    env = {"SLOGUARD_PROMETHEUS_RETRIES": "0"}
    ran = sloguard("run", file, "--prometheus", "http://127.0.0.1:1", home=tmp_path, env=env)
    assert ran.code == 12
    assert "cannot be reached: connection refused" in ran.out


def test_results_go_to_stdout_and_progress_to_stderr(tmp_path: Path) -> None:
    file = written(tmp_path, **{"steady-state-hypothesis": probe(0, **TRUE)})
    ran = sloguard("run", file, "-o", "json", home=tmp_path)
    assert ran.json["outcome"] == "met"
    assert "during" in ran.err
    out = tmp_path / "verdict.xml"
    ran = sloguard("run", file, "-o", "junit", "--output", out, home=tmp_path)
    assert ran.out == ""
    assert out.read_text().startswith("<?xml")
    unwritable = sloguard("run", file, "--output", "/proc/nosuch/x", home=tmp_path)
    assert unwritable.code == 0
    assert "met: " in unwritable.out
    assert "could not be written" in unwritable.err


def test_secrets_are_in_no_output_store_or_journal(tmp_path: Path) -> None:
    secret = "hunter2-is-long"
    echo = {"type": "process", "path": "echo", "arguments": "${token}"}
    file = written(
        tmp_path,
        secrets={"token": {"type": "env", "key": "MY_TOKEN"}},
        configuration={"token": {"type": "env", "key": "MY_TOKEN"}},
        **{
            "steady-state-hypothesis": probe(0, **TRUE),
            "method": [action(**echo, secrets=["token"])],
        },
    )
    journal = tmp_path / "journal.json"
    ran = sloguard(
        "run",
        file,
        "-o",
        "json",
        "--journal-path",
        journal,
        home=tmp_path,
        env={"MY_TOKEN": secret},
    )
    assert ran.code == 0, ran.err
    assert secret not in ran.out + ran.err
    assert json.loads(journal.read_text())["sloguard"]["outcome"] == "met"
    for kept in tmp_path.rglob("*"):
        if kept.is_file():
            assert secret.encode() not in kept.read_bytes(), kept


def test_a_run_is_kept_listed_exported_and_deleted(tmp_path: Path) -> None:
    file = written(tmp_path, tags=["web"], **{"steady-state-hypothesis": probe(0, **TRUE)})
    run = sloguard("run", file, "-o", "json", home=tmp_path).json["run"]
    listed = sloguard("runs", "list", "--tag", "web", "-o", "json", home=tmp_path).json
    assert [r["run"] for r in listed] == [run]
    assert sloguard("runs", "list", "--tag", "other", "-o", "json", home=tmp_path).json == []
    exported = sloguard("runs", "export", run[:17], home=tmp_path).json
    assert exported["run"] == run
    journal = sloguard("runs", "export", "-o", "journal", home=tmp_path).json
    assert journal["status"] == "completed"
    assert sloguard("runs", "delete", run, home=tmp_path).out == f"deleted {run}\n"
    assert "no runs in" in sloguard("runs", "list", home=tmp_path).out


def test_variables_from_the_command_line(tmp_path: Path) -> None:
    keys = {
        "configuration": {"code": 0},
        "steady-state-hypothesis": probe(
            "${code}", type="process", path="sh", arguments="-c 'exit 3'"
        ),
    }
    file = written(tmp_path, **keys)
    assert sloguard("run", file, home=tmp_path).code == 12
    assert sloguard("run", file, "--var", "code:int=3", home=tmp_path).code == 0


def test_dry_run_touches_nothing(tmp_path: Path) -> None:
    touch = action(type="process", path="touch", arguments="touched")
    file = written(tmp_path, **{"steady-state-hypothesis": probe(0, **TRUE), "method": [touch]})
    ran = sloguard("run", file, "--dry-run", home=tmp_path)
    assert ran.code == 0
    assert not (tmp_path / "touched").exists()
    assert "nothing is touched" in ran.out


def test_recover_with_nothing_to_do(tmp_path: Path) -> None:
    ran = sloguard("recover", home=tmp_path)
    assert (ran.code, ran.out) == (0, "nothing to recover\n")


def test_schema_is_a_json_schema(tmp_path: Path) -> None:
    from jsonschema import Draft202012Validator

    schema = sloguard("schema", home=tmp_path).json
    Draft202012Validator.check_schema(schema)
    example = {"title": "t", "description": "d", "method": []}
    assert not list(Draft202012Validator(schema).iter_errors(example))
    assert list(Draft202012Validator(schema).iter_errors({**example, "phases": {"befor": "1m"}}))


def test_a_closed_pipe_is_no_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m sloguard schema | head -1", shell=True, capture_output=True, text=True,
        env=environment(tmp_path), check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_the_environment_of_a_variable_file_reaches_functions_and_probes(tmp_path: Path) -> None:
    (tmp_path / "seen.py").write_text(
        "import os\ndef seen(name):\n    return os.environ.get(name)\n"
    )
    (tmp_path / "more.env").write_text("OF_A_FILE=there\n")
    seen = {"type": "python", "module": "seen", "func": "seen", "arguments": {"name": "OF_A_FILE"}}
    printed = {"type": "process", "path": "sh", "arguments": ["-c", "echo $OF_A_FILE"]}
    file = written(
        tmp_path,
        configuration={
            "found": {"type": "probe", "provider": seen},
            "said": {"type": "probe", "provider": printed},
        },
        **{"steady-state-hypothesis": probe("there", **seen)},
        method=[
            action(type="process", path="test", arguments=["${found}${said}", "=", "therethere"])
        ],
    )
    ran = sloguard("run", file, "--var-file", tmp_path / "more.env", home=tmp_path)
    assert ran.code == 0, ran.err


def test_what_functions_and_controls_print_is_no_result(tmp_path: Path) -> None:
    (tmp_path / "chatty.py").write_text(
        "def say(word='said'):\n    print(word)\n    return word\n"
        "def before_activity_control(context):\n    print('hooked')\n"
    )
    said = {"type": "python", "module": "chatty", "func": "say"}
    file = written(
        tmp_path,
        configuration={
            "found": {"type": "probe", "provider": {**said, "arguments": {"word": "found"}}}
        },
        controls=[{"name": "chatty", "provider": {"type": "python", "module": "chatty"}}],
        **{"steady-state-hypothesis": probe("said", **said)},
    )
    ran = sloguard("run", file, "--format", "json", home=tmp_path)
    assert ran.json["outcome"] == "met"
    assert {"said", "hooked", "found"} <= set(ran.err.split())


CONTROL = """
import os, signal
def before_method_control(context, **kwargs):
    os.kill(os.getpid(), signal.SIGUSR{number})
def before_rollback_control(context, **kwargs):
    raise ValueError("a control of the rollbacks fails")
"""


@pytest.mark.parametrize("number", [1, 2])
def test_a_control_that_ends_the_experiment_by_a_signal_aborts_it(
    tmp_path: Path, number: int
) -> None:
    (tmp_path / "guarding.py").write_text(CONTROL.replace("{number}", str(number)))
    file = written(
        tmp_path,
        controls=[{"name": "guard", "provider": {"type": "python", "module": "guarding"}}],
        method=[action(type="process", path="sleep", arguments=["30"])],
        rollbacks=[action("back", type="process", path="touch", arguments=["rolled-back"])],
        **{"steady-state-hypothesis": probe(0, **TRUE)},
    )
    ran = sloguard("run", file, home=tmp_path, timeout=20)
    assert ran.code == 13, ran.err
    assert f"SIGUSR{number}" in ran.out
    assert (tmp_path / "rolled-back").exists()
    assert "control guard: before_rollback_control failed: ValueError: a control of" in ran.err
    assert "Traceback" not in ran.err
