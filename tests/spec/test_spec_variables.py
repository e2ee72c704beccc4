"""Configuration, secrets and what overrides them: as the Chaos Toolkit resolves them, checked against it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from chaoslib import convert_vars, merge_vars
from chaoslib.configuration import load_configuration, load_dynamic_configuration
from chaoslib.exceptions import ChaosException
from chaoslib.secret import load_secrets
from hypothesis import given
from hypothesis import strategies as st

from sloguard.core.model import Activity
from sloguard.spec import SpecError, load, masked, parse_variables
from tests.support.experiments import action, experiment, read_corpus, with_slo, written

ENVIRON = {"SLOGUARD_A": "12", "SLOGUARD_B": "no", "SLOGUARD_C": '{"x": [1]}'}
NAMES = st.sampled_from(["a", "b", "c"])
WORDS = st.sampled_from(["", "12", "1.5", "no", "True", "${b}", "text", '{"y": 2}', "é"])
PLAIN = st.one_of(WORDS, st.integers(-9, 9), st.none(), st.booleans(), st.lists(WORDS, max_size=2))
TYPES = st.sampled_from(
    ["str", "string", "int", "integer", "float", "number", "bytes", "bool", "json"]
)
ENTRIES = st.fixed_dictionaries(
    {"type": st.just("env"), "key": st.sampled_from([*ENVIRON, "SLOGUARD_NOT_SET"])},
    optional={"default": PLAIN, "env_var_type": TYPES},
)
CONFIGURATION = st.dictionaries(
    NAMES, PLAIN | ENTRIES | st.just({"type": "own", "a": 1}), max_size=3
)
SECRET = PLAIN | ENTRIES
SECRETS = st.dictionaries(
    NAMES,
    st.dictionaries(NAMES, SECRET | st.dictionaries(NAMES, SECRET, max_size=2), max_size=3),
    max_size=2,
)
OVERRIDING_SECRETS = st.dictionaries(NAMES, st.dictionaries(NAMES, WORDS, max_size=2), max_size=2)


@contextmanager
def process_environment(values: Mapping[str, str]) -> Iterator[None]:
    """The Chaos Toolkit reads and writes the process's own environment."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def theirs(configuration: Any, secrets: Any, variables: Any, secret_variables: Any) -> Any:
    with process_environment(ENVIRON):
        try:
            found = load_configuration(deepcopy(configuration), deepcopy(variables))
            return found, load_secrets(deepcopy(secrets), found, deepcopy(secret_variables))
        except (ChaosException, ValueError, TypeError, AttributeError, KeyError):
            return None


@given(
    CONFIGURATION, SECRETS, st.dictionaries(NAMES, PLAIN | ENTRIES, max_size=2), OVERRIDING_SECRETS
)
def test_values_are_those_of_the_chaos_toolkit(
    tmp_path_factory: pytest.TempPathFactory,
    configuration: Any,
    secrets: Any,
    variables: Any,
    secret_variables: Any,
) -> None:
    file = written(
        tmp_path_factory.getbasetemp(),
        {"configuration": variables, "secrets": secret_variables},
        "variables.json",
    )
    expected = theirs(configuration, secrets, variables, secret_variables)
    document = experiment(configuration=configuration, secrets=secrets)
    try:
        loaded = load(document, var_files=[file], environ=ENVIRON)
        ours: Any = (loaded.configuration, loaded.secrets)
    except SpecError:
        ours = None
    assert repr(ours) == repr(expected)


@given(
    st.lists(
        st.tuples(NAMES, st.one_of(st.just(""), TYPES.map(":{}".format)), WORDS).map(
            lambda parts: f"{parts[0]}{parts[1]}={parts[2]}"
        ),
        max_size=3,
    )
)
def test_var_is_typed_as_the_chaos_toolkit_types_it(texts: list[str]) -> None:
    try:
        expected: Any = convert_vars(texts)
    except ValueError:
        expected = None
    try:
        ours: Any = parse_variables(texts)
    except SpecError:
        ours = None
    assert ours == expected


@pytest.mark.parametrize("text", ["a", "=b", "a:int=x", "a:integers=1", ":int=1", ""])
def test_var_that_does_not_fit_is_refused_without_its_value(text: str) -> None:
    with pytest.raises(SpecError, match="--var") as caught:
        parse_variables([text, "fine=1"])
    assert len(caught.value.problems) == 1


def test_var_files_add_up_as_in_the_chaos_toolkit(tmp_path: Path) -> None:
    first = written(tmp_path, "configuration: {a: 1, b: 1}\nsecrets: {s: {t: one}}\n", "1.yaml")
    second = written(tmp_path, {"configuration": {"b": 2}}, "2.json")
    env = written(tmp_path, "# comment\n\nSLOGUARD_FROM_FILE = x=y \nSLOGUARD_A=13\n", "x.env")
    files = [str(first), str(second), str(env)]
    variables = {"c": 3}
    with process_environment(ENVIRON):
        configuration, secrets = merge_vars(dict(variables), files)
        environment = {k: v for k, v in os.environ.items() if k.startswith("SLOGUARD_")}
    declared = {"a": 0, "b": 0, "c": 0, "d": {"type": "env", "key": "SLOGUARD_A"}}
    loaded = load(
        experiment(configuration=declared, secrets={"s": {"t": "zero"}}),
        variables=variables,
        var_files=files,
        environ=ENVIRON,
    )
    assert loaded.configuration == {**configuration, "d": "13"}
    assert loaded.secrets == secrets
    assert {**ENVIRON, **loaded.environment} == environment


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("x.yaml", "a: 1\n", "x.yaml:1:1: there is neither 'configuration' nor 'secrets'"),
        ("x.yaml", "- 1\n", "x.yaml:1:1: found a list"),
        ("x.yaml", "configuration: [1]\n", "x.yaml:1:1: 'configuration' is a list"),
        ("x.yaml", "configuration: {}\nsecret: {}\n", "x.yaml:2:1: unknown key 'secret'"),
        ("x.json", '{"configuration": }', "x.json:1:19: not valid JSON"),
        ("x.env", "A=1\nhello\n", "x.env:2:1: this line sets no environment variable"),
    ],
)
def test_var_files_that_do_not_fit_are_told_with_everything_else(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    with pytest.raises(SpecError) as caught:
        load(with_slo(weight=-1), var_files=[written(tmp_path, text, name)], environ={})
    assert words in str(caught.value)
    assert "found -1" in str(caught.value)


def test_a_var_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    written(tmp_path, "configuration: {}", "variables.yaml")
    with pytest.raises(SpecError, match=r"no such file; did you mean '.*variables\.yaml'"):
        load(with_slo(), var_files=[tmp_path / "variable.yaml"])


def test_a_variable_that_replaces_nothing_is_worth_a_warning() -> None:
    loaded = load(experiment(configuration={"namespace": "a"}), variables={"namspace": "b"})
    assert "did you mean 'namespace'?" in loaded.warnings[0]
    assert loaded.configuration == {"namespace": "a"}


def test_the_environment_of_this_process_is_left_alone(tmp_path: Path) -> None:
    before = dict(os.environ)
    load(with_slo(), var_files=[written(tmp_path, "SLOGUARD_NEW=1\n", "x.env")])
    assert dict(os.environ) == before


class Probes:
    """Answers the probes of a configuration, and remembers what it was asked."""

    def __init__(self, outputs: Mapping[str, Any]) -> None:
        self.outputs = outputs
        self.asked: list[tuple[str, dict[str, Any], dict[str, Any]]] = []

    def __call__(self, activity: Activity, configuration: Any, secrets: Any) -> Any:
        self.asked.append((activity.name, dict(configuration), dict(activity.provider)))
        output = self.outputs[activity.name]
        if isinstance(output, Exception):
            raise output
        return output


def dynamic(name: str, kind: str, **provider: Any) -> dict[str, Any]:
    return {"type": "probe", "name": name, "provider": {"type": kind, **provider}}


PYTHON = dynamic("node", "python", module="platform", func="python_implementation")
PROCESS = dynamic("echo", "process", path="echo", arguments=["${first}"])
HTTP = dynamic("get", "http", url="http://127.0.0.1/")


def test_probes_give_what_they_give_in_the_chaos_toolkit() -> None:
    configuration = {"first": 5, "limit": deepcopy(PYTHON), "said": deepcopy(PROCESS), "last": 1}
    secrets = {"group": {"token": "s3cr3t"}}
    expected = load_dynamic_configuration(load_configuration(deepcopy(configuration)), secrets)
    probes = Probes({"node": "CPython", "echo": {"status": 0, "stdout": "5\n", "stderr": ""}})
    loaded = load(
        experiment(configuration=configuration, secrets=secrets), run_probe=probes, environ={}
    )
    assert loaded.configuration == expected
    # A probe sees what stands above it, and every group of secrets.
    assert [seen for _, seen, _ in probes.asked] == [{"first": 5}, {"first": 5, "limit": "CPython"}]
    assert probes.asked[0][2]["secrets"] == ["group"]


def test_the_body_of_an_http_probe_is_its_value() -> None:
    probes = Probes({"get": {"status": 200, "headers": {}, "body": "2%"}})
    loaded = load(
        {**with_slo(objective="< ${limit}"), "configuration": {"limit": HTTP}}, run_probe=probes
    )
    assert loaded.slos[0].objective.text == "< 2%"


@pytest.mark.parametrize(
    "output", [RuntimeError("no answer for s3cr3t-token"), {"status": 3, "stderr": "s3cr3t-token"}]
)
def test_a_probe_without_a_value_is_a_problem_that_shows_no_secret(output: Any) -> None:
    document = experiment(configuration={"said": PROCESS}, secrets={"g": {"t": "s3cr3t-token"}})
    with pytest.raises(SpecError) as caught:
        load(document, run_probe=Probes({"echo": output}))
    assert "configuration.said: the probe gave no value" in str(caught.value)
    assert "s3cr3t-token" not in str(caught.value)


def test_no_probe_runs_for_a_file_that_is_wrong_anyway() -> None:
    probes = Probes({"node": 1})
    with pytest.raises(SpecError):
        load({**with_slo(weight=-1), "configuration": {"a": PYTHON}}, run_probe=probes)
    assert probes.asked == []


def test_without_a_run_what_waits_for_a_probe_is_left_out_with_a_warning() -> None:
    document = experiment(
        slos=[
            {"name": "waits", "query": "up", "objective": "< ${limit}"},
            {"name": "stays", "query": "up", "objective": "> 0"},
        ],
        configuration={"limit": PYTHON},
        phases={"before": "${limit}"},
    )
    loaded = load(document)
    assert [slo.name for slo in loaded.slos] == ["stays"]
    assert len([w for w in loaded.warnings if "comes from a probe" in w]) == 2
    assert loaded.title == "A title"


def test_a_probe_may_ask_for_the_environment_of_variable_files(tmp_path: Path) -> None:
    seen: dict[str, str] = {}

    def run_probe(_a: Any, _c: Any, _s: Any, environment: Mapping[str, str]) -> str:
        seen.update(environment)
        return "1"

    file = written(tmp_path, "SLOGUARD_NEW=1\n", "x.env")
    load(experiment(configuration={"a": PYTHON}), var_files=[file], run_probe=run_probe)
    assert seen == {"SLOGUARD_NEW": "1"}


def test_vault_is_read_by_whoever_can() -> None:
    declared = {"type": "vault", "path": "a/b"}
    document = experiment(secrets={"g": {"t": declared}}, configuration={"vault_addr": "x"})
    with pytest.raises(SpecError, match="secrets in Vault need a driver"):
        load(document)
    loaded = load(document, read_vault=lambda entry, conf: [entry["path"], conf["vault_addr"]])
    assert loaded.secrets == {"g": {"t": ["a/b", "x"]}}


def test_secrets_stay_out_of_messages() -> None:
    step = action("go")
    step["provider"]["timeout"] = "${token}"
    document = experiment(method=[step], secrets={"g": {"token": "s3cr3t-token"}})
    with pytest.raises(SpecError) as caught:
        load(document)
    assert "method[0].provider.timeout" in str(caught.value)
    assert "s3cr3t-token" not in str(caught.value)


SECRET_DOCUMENT = experiment(
    title="Run with ${where} and ${token}",
    configuration={
        "where": {"type": "env", "key": "WHERE"},
        "copied": "hunter2hunter2",
        "port": {"type": "env", "key": "PORT", "env_var_type": "int"},
        "raw": {"type": "env", "key": "WHERE", "env_var_type": "bytes"},
    },
    secrets={
        "g": {"token": {"type": "env", "key": "TOKEN"}, "password": "hunter2hunter2", "pin": "12"},
        "deep": {"er": {"key": "very-deep-key"}},
    },
    method=[
        {
            "type": "action",
            "name": "call",
            "provider": {
                "type": "http",
                "url": "https://user:pass@${where}:${port}/?key=very-deep-key",
                "headers": {
                    "Authorization": "Bearer literal-token",
                    "X-Token": "${token}",
                    "A": "b",
                },
                "arguments": {"password": "hunter2hunter2", "port": "${port}"},
            },
        }
    ],
)


def test_what_is_kept_is_resolved_and_without_secrets() -> None:
    environ = {"WHERE": "shop.example", "PORT": "8080", "TOKEN": "t0ken-from-env"}
    loaded = load(SECRET_DOCUMENT, environ=environ)
    assert loaded.title == "Run with shop.example and t0ken-from-env"
    kept = masked(loaded)
    text = json.dumps(kept)
    for secret in (
        "t0ken-from-env",
        "hunter2hunter2",
        "very-deep-key",
        "literal-token",
        "user:pass",
    ):
        assert secret not in text
    assert kept["title"] == "Run with shop.example and ${token}"
    assert kept["configuration"] == {
        "where": "shop.example",
        "copied": "*****",
        "port": 8080,
        "raw": "shop.example",
    }
    assert kept["secrets"] == {
        "g": {"token": {"type": "env", "key": "TOKEN"}, "password": "*****", "pin": "*****"},
        "deep": {"er": {"key": "*****"}},
    }
    provider = kept["method"][0]["provider"]
    assert provider["url"] == "https://*****@shop.example:8080/?key=*****"
    assert provider["headers"] == {"Authorization": "*****", "X-Token": "${token}", "A": "b"}
    assert provider["arguments"] == {"password": "*****", "port": 8080}


def test_what_is_kept_can_be_read_again() -> None:
    environ = {"WHERE": "shop.example", "PORT": "8080", "TOKEN": "t0ken-from-env"}
    first = load(SECRET_DOCUMENT, environ=environ)
    again = load(masked(first), environ={"TOKEN": "t0ken-from-env"})
    assert again.slos == first.slos
    assert again.title == first.title
    assert again.method[0].provider["url"] == "https://*****@shop.example:8080/?key=*****"


@pytest.mark.parametrize(
    "name", ["contract.yaml", "every-key.yaml", "variables.yaml", "merged.yaml"]
)
def test_the_corpus_survives_being_kept(name: str) -> None:
    first = read_corpus(f"valid/{name}").experiment
    kept = json.loads(json.dumps(masked(first), allow_nan=False))
    again = load(kept, environ={})
    assert (again.slos, again.guards, again.phases) == (first.slos, first.guards, first.phases)
