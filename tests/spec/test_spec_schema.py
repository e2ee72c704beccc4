"""The schema for editors says what the loader says, and documents every key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloguard.spec import SpecError, load, schema
from tests.support.experiments import UP, action, experiment, probe, with_slo

SCHEMA = schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def loads(document: Any) -> bool:
    try:
        load(document, environ={})
    except SpecError:
        return False
    return True


def properties(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for name, form in node.get("properties", {}).items():
            if isinstance(form, dict) and "const" not in form and "enum" not in form:
                yield f"{path}.{name}", form
        for name, child in node.items():
            if name in ("$defs",):
                for key, definition in child.items():
                    yield from properties(definition, key)


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_key_is_documented() -> None:
    keys = dict(properties(SCHEMA))
    assert {"slo.objective", "guard.for", "experiment.abort-when", "phases.during"} <= set(keys)
    assert [path for path, form in keys.items() if not form.get("description")] == []


def test_examples_and_defaults_fit_their_own_keys() -> None:
    for path, form in properties(SCHEMA):
        part = {**form, "$defs": SCHEMA["$defs"]}
        for value in [*form.get("examples", []), *([form["default"]] if "default" in form else [])]:
            assert jsonschema.Draft202012Validator(part).is_valid(value), (path, value)


DURATIONS = [
    "5s",
    "1m30s",
    5,
    0,
    1.5,
    "90",
    " 5s ",
    "",
    "5",
    "-5s",
    -5,
    "5x",
    "soon",
    True,
    None,
    [5],
]
SHARES = ["60%", 0.6, "0%", 0, 1, "100%", "99.9 %", "150%", "-1%", 1.5, -0.5, "60", True, None, {}]
POLICIES = ["breach", "met", "inconclusive", 0, 1.5, -2, "0", "Breach", True, None, []]
OBJECTIVES = [
    "< 1%", "<= 300ms", ">3", "== 0", "!= 1e3", "between 1 and 2", "between 10ms and 1.5 s",
    "<= baseline", "<= baseline + 50%", ">= baseline - 5ms", "between baseline - 5% and baseline + 5%",
    ["< 1%", "> 0"], "< -.5", "<= 2 GiB", "1%", "=< 1", "= 1", "<", "< 5 parsecs", "< 1 %%", [], 5, True,
    None, ["< 1", 2], "<= baseline * 2", "between 1", "< baseline + ", "x < 1", {"a": 1},
]  # fmt: skip
FORMS: dict[str, list[Any]] = {
    "name": ["a", "a b", 5, "é", "", " ", "a\nb", True, None, [], "x" * 200, "x" * 201],
    "query": ["up", "", 5, True, None, {}, ["up"]],
    "objective": OBJECTIVES,
    "before": [{}, {"objective": "< 1"}, {"tolerate": 5}, {"hold": 5}, {"x-a": 1}, "< 1", None, []],
    "during": [{"objective": o} for o in OBJECTIVES]
    + [{"tolerate": t} for t in DURATIONS + SHARES],
    "after": [{"recover_within": d} for d in DURATIONS] + [{"hold": d} for d in DURATIONS],
    "no_data": POLICIES,
    "idle": POLICIES,
    "min_coverage": SHARES,
    "weight": [0, 1, 2.5, -1, "1", True, None],
    "step": [1, "1s", "5s", 60, 0.5, 0, -1, "soon", True, None],
    "lookback": DURATIONS,
    "target": ["99.9%", 0.5, 0, 1, 99.9, "x", True, None],
    "period": ["30d", 5, "4w", "soon", -1, True, None],
    "wieght": [1],
    "x-own": [1, None, {}],
}
CASES = [(key, value) for key, values in FORMS.items() for value in values]


@pytest.mark.parametrize(("key", "value"), CASES, ids=str)
def test_loader_and_schema_agree_on_every_form_of_every_key(key: str, value: Any) -> None:
    document = experiment(slos=[{**UP, key: value}])
    assert VALIDATOR.is_valid(document) == loads(document)


QUERIES = [
    dict.fromkeys(keys.split(), "q")
    for keys in (
        "", "query", "total", "bad", "good", "total bad", "total good", "bad good", "query total",
        "query bad", "total bad good", "query total bad good",
    )
]  # fmt: skip


@given(
    st.sampled_from(QUERIES),
    st.sampled_from(["< 1%", "> 1%", ["< 1%", ">= 5%"], "between 0 and 1", "< baseline"]),
    st.sampled_from([None, {"objective": "> 5%"}, {"objective": "< 5%"}, {"tolerate": "5s"}]),
    st.booleans(),
)
def test_loader_and_schema_agree_on_queries_and_pairs(
    queries: dict[str, str], objective: Any, after: Any, guard: bool
) -> None:
    entry = {"name": "a", "objective": objective, **queries}
    if guard:
        document = experiment(**{"abort-when": [entry]})
    else:
        document = experiment(slos=[entry if after is None else {**entry, "after": after}])
    assert VALIDATOR.is_valid(document) == loads(document)


OTHERS = [
    experiment(phases={"before": "5m"}),
    experiment(phases={"befor": "5m"}),
    experiment(phases=[1]),
    experiment(tags="a"),
    experiment(tags=["a", ""]),
    experiment(method=None),
    experiment(method=[action("a"), {"ref": "a"}]),
    experiment(method=[{"ref": ""}]),
    experiment(method=[action("a", background="yes")]),
    experiment(method=[action("a", pauses={"before": "5s"})]),
    experiment(method=[action("a", pauses={"before": "${x}"})]),
    experiment(method=[action("", background=True)]),
    experiment(probes=[{**probe("a"), "tolerance": {"type": "rnage", "range": [1, 2]}}]),
    experiment(probes=[{**probe("a"), "tolerance": {"type": "range", "range": [1]}}]),
    experiment(probes=[{k: v for k, v in probe("a").items() if k != "tolerance"}]),
    experiment(probes=[probe("a", tolerance=None)]),
    experiment(configuration={"a": {"type": "env", "key": "K", "default": 1}}),
    experiment(configuration={"a": {"type": "env"}}),
    experiment(configuration={"a": {"type": "env", "key": "K", "default": 1, "env_var_type": "x"}}),
    experiment(configuration=[1]),
    experiment(slos=None, **{"abort-when": None}),
    {**experiment(), "slos": []},
    {**with_slo(), "description": None},
    {"title": "t"},
    [],
    "text",
]


@pytest.mark.parametrize("index", range(len(OTHERS)))
def test_loader_and_schema_agree_on_the_rest(index: int) -> None:
    document = OTHERS[index]
    ours = loads(document) if isinstance(document, dict) else False
    assert VALIDATOR.is_valid(document) == ours
