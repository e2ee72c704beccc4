"""The catalogue: what it offers, what it says of what it cannot offer, and when it looks again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from sloguard.engine.driver_names import TABLE, Alias
from sloguard.ports.service import ServiceError
from sloguard.service.catalogue import (
    Catalogue,
    NotUsable,
    UnknownExperiment,
    check_text,
    permissions,
    usable,
)
from sloguard.service.permissions import NotAllowed, check_call
from tests.support.experiments import UP, experiment


def own(**arguments: Any) -> dict[str, Any]:
    """An action of sloguard's own."""
    provider = {"module": "sloguard.faults.processes", "func": "stop", "arguments": arguments}
    return {"type": "action", "name": "stop", "provider": {"type": "python", **provider}}


def fine(**more: Any) -> dict[str, Any]:
    return experiment(method=[own(name_pattern="x")], **more)


class Folder:
    """A directory of experiments, and a catalogue whose clock is turned by hand."""

    def __init__(self, path: Path, allow: str = "", **more: Any) -> None:
        self.path = path
        path.mkdir(exist_ok=True)
        self.at = 0.0
        allowed = {str(path): allow} if allow else {}
        self.catalogue = Catalogue([path], allow=allowed, monotonic=lambda: self.at, **more)

    def write(self, name: str, document: Any) -> None:
        text = document if isinstance(document, str) else json.dumps(document)
        (self.path / name).write_text(text)

    def names(self) -> list[str]:
        self.at += 5
        return [entry.name for entry in self.catalogue.entries()]

    def problems(self, name: str) -> str:
        self.at += 5
        return "\n".join(map(str, self.catalogue.get(name).problems))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "shop")


def test_files_become_experiments_by_their_names(folder: Folder) -> None:
    folder.write("lose-a-replica.yaml", fine(title="Losing a replica"))
    folder.write("Slow DB (2).json", fine())
    folder.write(".hidden.yaml", fine())
    folder.write("notes.txt", "nothing")
    assert folder.names() == ["Slow-DB-2", "lose-a-replica"]
    entry = folder.catalogue.get("lose-a-replica")
    assert (entry.title, entry.valid, entry.problems) == ("Losing a replica", True, ())
    with pytest.raises(UnknownExperiment, match="did you mean 'lose-a-replica'"):
        folder.catalogue.get("lose-replica")


def test_what_cannot_be_read_is_listed_with_all_its_problems(folder: Folder) -> None:
    folder.write("broken.yaml", "title: x\nmethod: 7\nsteady-state-hypothesis: [")
    folder.write("wrong.yaml", json.dumps(experiment(slos=[{"name": "a"}], phases={"befor": 1})))
    folder.write("empty.json", "")
    assert folder.names() == ["broken", "empty", "wrong"]
    assert not any(entry.valid for entry in folder.catalogue.entries())
    assert "before" in folder.problems("wrong")
    assert "objective" in folder.problems("wrong")
    with pytest.raises(NotUsable) as caught:
        usable(folder.catalogue.get("wrong"), {})
    assert len(caught.value.problems) >= 2


def test_a_file_is_read_again_when_it_changes_and_not_before(folder: Folder) -> None:
    folder.write("a.yaml", fine(title="first"))
    assert folder.names() == ["a"]
    first = folder.catalogue.get("a")
    folder.names()
    assert folder.catalogue.get("a").experiment is first.experiment
    folder.write("a.yaml", fine(title="second"))
    assert folder.catalogue.get("a").title == "first"  # looked at a moment ago
    folder.at += 5
    assert folder.catalogue.get("a").title == "second"
    (folder.path / "a.yaml").unlink()
    assert folder.names() == []


def test_a_mounted_configmap_is_followed(tmp_path: Path) -> None:
    for version in ("..v1", "..v2"):
        (tmp_path / "shop" / version).mkdir(parents=True)
        text = json.dumps(fine(title=version))
        (tmp_path / "shop" / version / "a.yaml").write_text(text)
        os.utime(tmp_path / "shop" / version / "a.yaml", (1, 1))
    folder = Folder(tmp_path / "shop")
    (folder.path / "..data").symlink_to("..v1")
    (folder.path / "a.yaml").symlink_to("..data/a.yaml")
    assert folder.names() == ["a"]
    assert folder.catalogue.get("a").title == "..v1"
    (folder.path / "..new").symlink_to("..v2")
    (folder.path / "..new").rename(folder.path / "..data")
    folder.at += 5
    assert folder.catalogue.get("a").title == "..v2"


def test_names_are_unique_over_directories(tmp_path: Path) -> None:
    for name in ("shop", "bank"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.yaml").write_text(json.dumps(fine(title=name)))
    (tmp_path / "bank" / "b.yaml").write_text(json.dumps(fine()))
    (tmp_path / "bank" / "a.json").write_text(json.dumps(fine()))
    known = Catalogue([tmp_path / "shop", tmp_path / "bank", tmp_path / "none"])
    assert [entry.name for entry in known.entries()] == ["b", "bank.a", "shop.a"]
    assert any("has the same name" in problem for problem in known.problems)
    assert any("none cannot be read" in problem for problem in known.problems)


def test_a_pipe_is_not_waited_for(folder: Folder) -> None:
    os.mkfifo(folder.path / "a.yaml")
    assert folder.names() == []


PROCESS = {"type": "process", "path": "rm", "arguments": "-rf x"}
CODE = {"type": "python", "module": "os", "func": "system", "arguments": {"command": "id"}}
ACTION = {"type": "action", "name": "x"}
PLACES: dict[str, dict[str, Any]] = {
    "method": {"method": [{**ACTION, "provider": PROCESS}]},
    "rollbacks": {"rollbacks": [{**ACTION, "provider": PROCESS}]},
    "hypothesis": {
        "steady-state-hypothesis": {
            "title": "x",
            "probes": [{"type": "probe", "name": "x", "tolerance": 0, "provider": PROCESS}],
        }
    },
    "tolerance": {
        "steady-state-hypothesis": {
            "title": "x",
            "probes": [
                {
                    "type": "probe",
                    "name": "x",
                    "tolerance": {"type": "probe", "name": "y", "provider": PROCESS},
                    "provider": {"type": "http", "url": "http://x"},
                }
            ],
        }
    },
    "configuration": {
        "configuration": {"x": {"type": "probe", "name": "y", "provider": PROCESS}},
    },
}


@pytest.mark.parametrize("place", PLACES)
def test_processes_need_the_directorys_permission_wherever_they_stand(
    tmp_path: Path, place: str
) -> None:
    for allow, valid in (("", False), ("python", False), ("process", True)):
        folder = Folder(tmp_path / f"shop{allow}", allow)
        folder.write(
            "a.yaml", fine(**PLACES[place]) if place != "method" else experiment(**PLACES[place])
        )
        said = folder.problems("a")
        assert folder.catalogue.get("a").valid is valid, said
        if not valid:
            assert "the process 'rm' needs the permission 'process'" in said
            assert "serve.allow" in said


@pytest.mark.parametrize(
    ("provider", "what"),
    [
        (CODE, "os.system"),
        ({**CODE, "module": "sloguard.faults.processes", "func": "subprocess"}, "subprocess"),
        ({**CODE, "module": "sloguard.faults.base", "func": "find_fault"}, "find_fault"),
        ({**CODE, "module": "sloguard.faults.processes.os", "func": "system"}, "system"),
        ({**CODE, "module": "${which}", "func": "stop"}, "stop"),
        ({**CODE, "module": "chaosk8s.pod.actions", "func": "exec_in_pods_of_no_name"}, "exec_in"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_code_that_is_not_sloguards_own_needs_permission(
    tmp_path: Path, provider: dict[str, Any], what: str
) -> None:
    document = experiment(
        method=[{**ACTION, "provider": provider}],
        configuration={"which": "sloguard.faults.processes"},
    )
    refused, allowed = Folder(tmp_path / "no", "process"), Folder(tmp_path / "yes", "python")
    for folder in (refused, allowed):
        folder.write("a.yaml", document)
    assert "needs the permission 'python'" in refused.problems("a")
    assert what in refused.problems("a")
    assert allowed.catalogue.get("a").valid


RESTART = {"type": "python", "module": "sloguard.faults.processes", "func": "restart"}


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        ({"name_pattern": "x"}, True),
        ({"name_pattern": "x", "command": "id > /tmp/x"}, False),
        ({"name_pattern": "x", "log": "/etc/cron.d/x"}, False),
        ("${arguments}", False),
    ],
    ids=str,
)
def test_a_fault_that_starts_a_command_needs_the_permission_of_a_process(
    tmp_path: Path, arguments: Any, allowed: bool
) -> None:
    provider = {**RESTART, "arguments": arguments}
    document = experiment(
        method=[{**ACTION, "provider": provider}],
        configuration={"arguments": {"name_pattern": "x", "command": "id"}},
    )
    for permission, valid in (("", allowed), ("process", True)):
        folder = Folder(tmp_path / f"shop{permission}", permission)
        folder.write("a.yaml", document)
        assert folder.catalogue.get("a").valid is valid, folder.problems("a")


@pytest.mark.parametrize(
    "provider",
    [
        {**RESTART, "arguments": {"name_pattern": "x", "command": ["sleep", "${v}"]}},
        {**RESTART, "arguments": {"pid_file": "${v}"}},
        {
            "type": "python",
            "module": "sloguard.faults.kubernetes",
            "func": "apply",
            "arguments": {"manifest": "$v"},
        },
        {"type": "http", "url": "http://x", "verify_tls": "${v}"},
        {"type": "process", "path": "true", "arguments": ["${v}"]},
    ],
    ids=str,
)
def test_requests_reach_no_command_and_no_path(tmp_path: Path, provider: dict[str, Any]) -> None:
    folder = Folder(tmp_path / "shop", "process+python")
    actions = [{**ACTION, "provider": provider}]
    folder.write("a.yaml", experiment(method=actions, configuration={"v": "x", "w": "y"}))
    folder.at += 5
    assert set(folder.catalogue.get("a").closed) == {"v"}
    assert folder.problems("a") == ""


def test_controls_are_code(folder: Folder) -> None:
    control = {"name": "c", "provider": {"type": "python", "module": "my_control"}}
    folder.write("a.yaml", fine(controls=[control]))
    assert "the control my_control needs the permission 'python'" in folder.problems("a")


def test_faults_and_what_stands_in_for_drivers_need_none(folder: Folder) -> None:
    driver = {
        "type": "python",
        "module": "chaosk8s.pod.actions",
        "func": "terminate_pods",
        "arguments": {"label_selector": "app=x"},
    }
    folder.write(
        "a.yaml", experiment(method=[own(name_pattern="x"), {**ACTION, "provider": driver}])
    )
    assert folder.problems("a") == ""


@pytest.mark.parametrize("alias", TABLE.values(), ids=lambda one: one.name)
def test_all_that_stands_in_for_drivers_may_be_called(alias: Alias) -> None:
    for target in filter(None, (alias.target, alias.rollback_target)):
        module, _, func = target.rpartition(".")
        check_call({"type": "python", "module": module, "func": func}, frozenset())


@pytest.mark.parametrize("func", ["os", "read_manifests", "_scale_needs", "ambient"])
def test_what_else_is_in_these_modules_is_code(func: str) -> None:
    provider = {"type": "python", "module": "sloguard.faults.restoring", "func": func}
    with pytest.raises(NotAllowed, match="needs the permission 'python'"):
        check_call(provider, frozenset())


VARIABLES = {
    "replicas": "scale",
    "url": "http://a",
    "word": "x",
    "path": "/bin/true",
    "secretish": {"type": "env", "key": "HOME"},
}


def with_variables(folder: Folder) -> Any:
    process = {"type": "process", "path": "${path}", "arguments": "--word $word"}
    code = {"type": "python", "module": "my_code", "func": "${replicas}"}
    http = {"type": "http", "url": "${url}"}
    actions = [{**ACTION, "provider": provider} for provider in (process, code, http)]
    folder.write("a.yaml", experiment(configuration=VARIABLES, method=actions))
    folder.at += 5
    return folder.catalogue.get("a")


def test_what_a_request_may_set(tmp_path: Path) -> None:
    entry = with_variables(Folder(tmp_path / "shop", "process+python"))
    assert entry.valid
    assert usable(entry, {"url": "http://b"}) == {"url": "http://b"}
    assert usable(entry, {"secretish": [1, None, "x"]}) == {"secretish": [1, None, "x"]}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"ulr": 1}, "did you mean 'url'"),
        ({"word": "$(id)"}, "may not come from a request"),
        ({"path": "/bin/sh"}, "may not come from a request"),
        ({"replicas": "system"}, "may not come from a request"),
        ({"url": {"type": "env", "key": "AWS_SECRET"}}, "found a mapping"),
        ({"url": {"type": "probe", "provider": PROCESS}}, "found a mapping"),
        ({"url": [{"type": "env"}]}, "found a mapping"),
    ],
    ids=str,
)
def test_what_a_request_may_not_set(tmp_path: Path, variables: dict[str, Any], said: str) -> None:
    entry = with_variables(Folder(tmp_path / "shop", "process+python"))
    with pytest.raises(NotUsable) as caught:
        usable(entry, variables)
    assert said in str(caught.value.problems[0])


def test_what_is_shown_holds_no_secrets(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_WORD", "from-the-environment")
    folder.write(
        "a.yaml",
        fine(
            configuration={"word": {"type": "env", "key": "THE_WORD"}, "n": 3},
            secrets={"shop": {"token": "hunter2-literal"}},
        ),
    )
    folder.at += 5
    entry = folder.catalogue.get("a")
    shown = json.dumps(entry.declared)
    assert "hunter2" not in shown
    assert "from-the-environment" not in shown
    assert entry.declared["configuration"] == {"word": {"type": "env", "key": "THE_WORD"}, "n": 3}


def test_sets_of_slos(tmp_path: Path) -> None:
    (tmp_path / "slos").mkdir()
    (tmp_path / "slos" / "shop.yaml").write_text(json.dumps({"slos": [UP]}))
    folder = Folder(tmp_path / "shop", slos=tmp_path / "slos")
    assert [entry.name for entry in folder.catalogue.slo_sets()] == ["shop"]
    assert folder.catalogue.slo_set("shop").valid
    with pytest.raises(UnknownExperiment, match="no set of SLOs"):
        folder.catalogue.slo_set("../shop/a")


def test_what_was_sent_is_read_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_WORD", "from-the-environment")
    mark = tmp_path / "ran"
    probe = {"type": "process", "path": "touch", "arguments": [str(mark)]}
    document = fine(
        configuration={
            "word": {"type": "env", "key": "THE_WORD", "default": "none"},
            "made": {"type": "probe", "name": "x", "provider": probe},
        }
    )
    found, problems, _ = check_text(json.dumps(document), json_text=True)
    assert found is not None
    assert problems == ()
    assert found.configuration["word"] == "none"
    assert not mark.exists()
    for text in ("", "[]", "{", "7", "title: [", "\0", "a: &a [*a]"):
        found, problems, _ = check_text(text)
        assert found is None
        assert problems


def test_permissions_are_words() -> None:
    assert permissions("process+python") == permissions("python, process") == {"process", "python"}
    for text in ("", "shell", "process+all"):
        with pytest.raises(ServiceError, match=r"serve\.allow"):
            permissions(text)


OPENSLO = {
    "apiVersion": "openslo/v1",
    "kind": "SLO",
    "metadata": {"name": "replicas"},
    "spec": {
        "indicator": {
            "spec": {"thresholdMetric": {"metricSource": {"spec": {"query": "sum(up)"}}}}
        },
        "timeWindow": [{"duration": "30d", "isRolling": True}],
        "budgetingMethod": "Occurrences",
        "objectives": [{"target": 0.99, "op": "gte", "value": 3}],
    },
}


def by_file(path: str) -> Any:
    document = fine()
    document["steady-state-hypothesis"]["slos"] = [{"from": path}]
    return document


def test_slos_of_other_files_are_read_again_when_these_change(tmp_path: Path) -> None:
    (tmp_path / "slos").mkdir()
    folder = Folder(tmp_path / "shop", slos=tmp_path / "slos")
    folder.write("x.json", by_file("../slos/*.json"))
    assert "no file matches" in folder.problems("x")
    file = tmp_path / "slos" / "a.json"
    file.write_text(json.dumps(OPENSLO))
    assert folder.problems("x") == ""

    def objectives() -> list[str]:
        folder.at += 5
        found = folder.catalogue.get("x").experiment
        assert found is not None
        return [slo.objective.text for slo in found.slos]

    assert objectives() == [">= 3"]
    file.write_text(json.dumps(OPENSLO).replace('"value": 3', '"value": 25'))
    assert objectives() == [">= 25"]
    # Another file that the pattern matches, too.
    (tmp_path / "slos" / "b.json").write_text(json.dumps(OPENSLO).replace('"replicas"', '"other"'))
    assert objectives() == [">= 25", ">= 3"]
    (tmp_path / "slos" / "b.json").write_text("{")
    assert "b.json:1" in folder.problems("x")
    (tmp_path / "slos" / "b.json").unlink()
    assert objectives() == [">= 25"]
    # It is a set of SLOs by itself as well.
    assert folder.catalogue.slo_set("a").valid


def test_files_outside_of_the_services_directories_are_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps(OPENSLO).replace("sum(up)", "hunter2"))
    folder = Folder(tmp_path / "shop")
    (tmp_path / "shop" / "deep").mkdir()
    (tmp_path / "shop" / "deep" / "link.json").symlink_to(secret)
    for path in (str(secret), "../secret.json", "deep/link.json", "deep/*.json", "../*.json"):
        folder.write("x.json", by_file(path))
        said = folder.problems("x")
        assert "outside of the directories that may be read" in said, path
        assert "hunter2" not in said


def test_what_was_sent_names_no_file(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps(OPENSLO))
    found, errors, _ = check_text(json.dumps(by_file(str(file))), json_text=True)
    assert found is None
    assert "this document is no file" in "\n".join(map(str, errors))
