"""``sloguard run`` with the options of ``chaos run``: which of them count, and what is wrong about them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Ran
from tests.support.forked import shared


def look(name: str = "look", command: str = "true", **more: Any) -> dict[str, Any]:
    provider = {"type": "process", "path": "sh", "arguments": ["-c", command], "timeout": 60}
    return {"type": "probe", "name": name, "provider": provider, **more}


def run(folder: Path, *flags: str, **parts: Any) -> Ran:
    document = {
        "title": "As chaos run does it",
        "description": "Nothing is broken",
        "steady-state-hypothesis": {"title": "-", "probes": [look(tolerance=0)]},
        "method": [{**look("act", "touch acted"), "type": "action"}],
        "rollbacks": [{**look("back", "touch back"), "type": "action"}],
        **parts,
    }
    (folder / "experiment.json").write_text(json.dumps(document))
    arguments = ("run", "experiment.json", "--store", "store.db", "--format", "json", *flags)
    return shared().start(*arguments, home=folder).wait(120)


def test_the_file_s_strategies_come_before_the_settings_and_the_flags_before_both(
    tmp_path: Path,
) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text("runtime: {rollbacks: {strategy: never}, hypothesis: {strategy: skip}}\n")
    of_settings = run(tmp_path, "--compat", "--settings", "settings.yaml")
    assert of_settings.code == 0
    assert not (tmp_path / "back").exists()
    assert of_settings.json["probes"] == []
    runtime = {"rollbacks": {"strategy": "deviated"}, "hypothesis": {"strategy": "default"}}
    of_file = run(tmp_path, "--compat", "--settings", "settings.yaml", runtime=runtime)
    assert not (tmp_path / "back").exists()
    assert [probe["phase"] for probe in of_file.json["probes"]] == ["before", "after"]
    flags = ("--rollback-strategy", "always", "--hypothesis-strategy", "before-method-only")
    of_flags = run(tmp_path, "--compat", "--settings", "settings.yaml", *flags, runtime=runtime)
    assert (tmp_path / "back").exists()
    assert [probe["phase"] for probe in of_flags.json["probes"]] == ["before"]


def test_the_user_s_own_settings_count_with_compat_only(tmp_path: Path) -> None:
    settings = tmp_path / ".chaostoolkit" / "settings.yaml"
    settings.parent.mkdir()
    settings.write_text("runtime: {hypothesis: {strategy: skip}}\n")
    assert run(tmp_path).json["outcome"] == "met"
    assert run(tmp_path, "--compat").json["outcome"] == "inconclusive"


def test_compat_writes_the_journal_where_chaos_run_does_and_says_its_exit_code(
    tmp_path: Path,
) -> None:
    failing = {"method": [{**look("act", "exit 3"), "type": "action"}]}
    own = run(tmp_path, **failing)
    assert own.code == 11
    assert not (tmp_path / "journal.json").exists()
    ran = run(tmp_path, "--compat", **failing)
    assert ran.code == 0
    assert "exit code 0 (--compat): chaos run would say completed; without it, it is 11" in ran.err
    journal = json.loads((tmp_path / "journal.json").read_text())
    assert (journal["status"], journal["deviated"]) == ("completed", False)
    assert journal["sloguard"]["outcome"] == "inconclusive"


def test_an_unreadable_experiment_is_1_with_compat(tmp_path: Path) -> None:
    assert run(tmp_path, method="nothing").code == 2
    assert run(tmp_path, "--compat", method="nothing").code == 1


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (("--rollback-strategy", "never"), "the Chaos Toolkit's policy is followed with --compat"),
        (("--hypothesis-frequency", "0"), "0.0 is not in the range x>0"),
        (("--control-file", "list.yaml"), "list.yaml: expected a mapping, found list"),
        (("--control-file", "odd.yaml"), "control 'a': expected a provider such as"),
        (("--control-file", "broken.yaml"), "broken.yaml cannot be read: while parsing"),
        (("--settings", "odd.yaml", "--dry", "all"), "'all' is not one of 'probes', 'actions'"),
        (("--settings", "controls.yaml"), "'controls': expected a mapping of names"),
        (("--settings", "number.yaml"), "number.yaml: runtime: found the number 5"),
        (("--settings", "text.yaml"), "text.yaml: runtime.rollbacks: found the text 'always'"),
        (("--settings", "never.yaml"), "runtime.rollbacks.strategy: found 'nevr'"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_touched(
    tmp_path: Path, flags: tuple[str, ...], why: str
) -> None:
    for name, text in {
        "list.yaml": "[1]\n",
        "odd.yaml": "a: {type: python}\n",
        "broken.yaml": "a: [\n",
        "controls.yaml": "controls: [a]\n",
        "number.yaml": "runtime: 5\n",
        "text.yaml": "runtime: {rollbacks: always}\n",
        "never.yaml": "runtime: {rollbacks: {strategy: nevr}}\n",
    }.items():
        (tmp_path / name).write_text(text)
    ran = run(tmp_path, *flags)
    assert ran.code == 2
    assert why in " ".join(ran.err.split())
    assert not (tmp_path / "acted").exists()
    assert not (tmp_path / "store.db").exists()
