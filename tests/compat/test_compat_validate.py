"""What is shipped passes ``chaos validate``, and what passes there is read here, drivers installed or not."""

from __future__ import annotations

import re
import sys
import warnings
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from chaoslib.experiment import ensure_experiment_is_valid

from tests.support.command import ROOT, sloguard

#: A backlog is no experiment.
SHIPPED = sorted(p for p in (ROOT / "experiments").rglob("*.yaml") if p.name != "backlog.yaml")
WRITTEN = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
DRIVERS = Path(__file__).parent / "drivers"
FOREIGN = sorted(p for p in DRIVERS.iterdir() if p.suffix in (".yaml", ".json"))


def shown() -> list[tuple[str, dict[str, Any]]]:
    """Every whole experiment of the documentation."""
    found = []
    for page in WRITTEN:
        for text in re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
            document = yaml.safe_load(text)
            if isinstance(document, dict) and "method" in document:
                found.append((page.name, document))
    return found


def variables(value: Any) -> set[str]:
    """The environment variables that a document cannot do without."""
    if isinstance(value, list):
        return set().union(*map(variables, value))
    if not isinstance(value, dict):
        return set()
    needed = value.get("type") == "env" and "default" not in value
    own = {value["key"]} if needed else set()
    return own.union(*map(variables, value.values()))


def chaos_validate(document: dict[str, Any], environ: pytest.MonkeyPatch) -> None:
    for name in variables(document):
        environ.setenv(name, "http://127.0.0.1:1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ensure_experiment_is_valid(deepcopy(document))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_shipped_experiments_pass_chaos_validate(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chaos_validate(yaml.safe_load(path.read_text("utf-8")), monkeypatch)


def test_documented_experiments_pass_chaos_validate(monkeypatch: pytest.MonkeyPatch) -> None:
    found = shown()
    assert "README.md" in [page for page, _ in found]
    for _, document in found:
        chaos_validate(document, monkeypatch)


# Experiments of drivers that are not installed, in the shapes that people publish them in.

ENVIRON = {
    name: "http://127.0.0.1:1"
    for path in FOREIGN
    for name in variables(yaml.safe_load(path.read_text("utf-8")))
}


def functions(value: Any) -> set[tuple[str, str]]:
    """Every function of a python provider, and every module of a control."""
    if isinstance(value, list):
        return set().union(*map(functions, value))
    if not isinstance(value, dict):
        return set()
    own = {(value["module"], value.get("func", ""))} if value.get("type") == "python" else set()
    return own.union(*map(functions, value.values()))


def stubs(folder: Path, document: dict[str, Any]) -> None:
    """The drivers of an experiment, as far as ``chaos validate`` looks at them."""
    for module, function in functions(document):
        if module.partition(".")[0] == "os":
            continue
        *parents, last = module.split(".")
        home = folder.joinpath(*parents)
        home.mkdir(parents=True, exist_ok=True)
        with (home / f"{last}.py").open("a") as file:
            file.write(f"def {function}(**given): ...\n" if function else "")


@pytest.mark.parametrize("path", FOREIGN, ids=lambda p: p.name)
def test_with_its_drivers_chaos_validate_takes_it(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = yaml.safe_load(path.read_text("utf-8"))
    stubs(tmp_path, document)
    for name in ("vegeta",):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.syspath_prepend(tmp_path)
    for module, _ in functions(document):
        for part in list(sys.modules):
            if part.partition(".")[0] == module.partition(".")[0] != "os":
                monkeypatch.delitem(sys.modules, part)
    chaos_validate(document, monkeypatch)


#: Names functions of chaosk8s that sloguard has none of its own for.
UNKNOWN = "prometheus-and-controls.json"
#: Modules whose functions sloguard has itself.
OWN = {"chaosk8s", "chaosistio"}


def test_without_its_drivers_sloguard_validate_takes_it(tmp_path: Path) -> None:
    files = [path for path in FOREIGN if path.name != UNKNOWN]
    ran = sloguard("validate", *files, home=tmp_path, env=ENVIRON)
    assert ran.code == 0, ran.out
    assert " warning" not in ran.out.replace("0 warning", "")
    assert (
        "abort-half: chaosistio.fault.actions.add_abort_fault runs as sloguard.faults.istio.add_abort_fault"
        in ran.out
    )


def test_a_function_that_nobody_here_has_is_told_with_what_to_do(tmp_path: Path) -> None:
    ran = sloguard("validate", DRIVERS / UNKNOWN, home=tmp_path, env=ENVIRON)
    assert ran.code == 2
    assert f"{UNKNOWN}:46:5: roll-out: chaosk8s.deployment.actions.set_deployment_image" in ran.out
    assert "sloguard has no function of its own for it" in ran.out
    assert "pip install chaostoolkit-kubernetes" in ran.out


@pytest.mark.parametrize("path", FOREIGN, ids=lambda p: p.name)
def test_without_its_drivers_a_run_does_not_start_and_says_what_is_missing(
    path: Path, tmp_path: Path
) -> None:
    ran = sloguard("run", path, home=tmp_path, env=ENVIRON)
    assert ran.code == 12, ran.err
    document = yaml.safe_load(path.read_text("utf-8"))
    called = functions([activity.get("provider") for activity in document["method"]])
    missing = {module.partition(".")[0] for module, _ in called}
    said = " ".join(ran.out.split())
    for module in missing - OWN:
        assert f"no module named '{module}'; is it installed" in said
    if path.name == UNKNOWN:
        assert "pip install chaostoolkit-kubernetes" in said
    elif missing & OWN:
        assert "no kubeconfig at" in said
    assert "Traceback" not in ran.err
