"""Tolerances: every form, its reason, and the same answer as the Chaos Toolkit gives."""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sloguard.providers.calls import call
from sloguard.providers.result import Result
from sloguard.providers.tolerance import Tolerated, within


def calls(
    provider: Mapping[str, Any], *, configuration: Mapping[str, Any], secrets: Mapping[str, Any]
) -> Result:
    return call(provider, configuration=configuration, secrets=secrets, stop=threading.Event())


def check(tolerance: Any, value: Any, **around: Any) -> Tolerated:
    given_around: dict[str, Any] = {"configuration": {}, "secrets": {}, "call": calls, **around}
    return within(tolerance, value, **given_around)


PROCESS = {"status": 3, "stdout": "ready: 5 of 5\n", "stderr": ""}
HTTP = {
    "status": 200,
    "headers": {},
    "body": {"items": [{"name": "a", "n": 1}, {"name": "b", "n": 2}]},
}


@pytest.mark.parametrize(
    ("tolerance", "value", "ok", "reason"),
    [
        (200, HTTP, True, "200 is 200"),
        (0, PROCESS, False, "3 is not 0"),
        ([200, 201, 202], {"status": 3}, False, "3 is not in [200, 201, 202]"),
        ([200, 201], {"status": 3}, False, "3 is not in [200, 201]"),
        ([100, 299], HTTP, False, "200 is not in [100, 299]"),
        ([1, 5], 5, True, "5 is between 1 and 5"),
        ([1, 5], 0.5, False, "0.5 is not between 1 and 5"),
        (["a", "b", "c"], "b", True, '"b" is in ["a", "b", "c"]'),
        ([1, 2], "x", False, '"x" cannot be compared with [1, 2]'),
        (True, True, True, "true is true"),
        (True, False, False, "false is not true"),
        ("ok", "ok", True, '"ok" is "ok"'),
        (0.5, 0.25, False, "0.25 is not 0.5"),
        (None, None, False, "a tolerance of null can never be met"),
        ({"type": "range", "range": [1, 2]}, 1.5, True, "1.5 is in the range [1, 2]"),
        ({"type": "range", "range": [1, 2]}, "2.5", False, '"2.5" is not in the range [1, 2]'),
        (
            {"type": "range", "range": [1, 2], "target": "status"},
            PROCESS,
            False,
            "status 3 is not in the range [1, 2]",
        ),
        (
            {"type": "range", "range": [1, 2]},
            None,
            False,
            "null is not a number, so not in the range [1, 2]",
        ),
        ({"type": "range"}, 1, False, "range: expected two numbers, found null"),
        (
            {"type": "regex", "pattern": r"(\d) of \1", "target": "stdout"},
            PROCESS,
            True,
            r'stdout "ready: 5 of 5\n" matches /(\d) of \1/',
        ),
        ({"type": "regex", "pattern": "^x"}, "axe", False, '"axe" does not match /^x/'),
        (
            {"type": "regex", "pattern": "("},
            "axe",
            False,
            'pattern: "(" is not a regular expression',
        ),
        ({"type": "regex", "pattern": "x"}, 5, False, "5 is not a text, so it cannot match /x/"),
        ({"type": "regex", "pattern": '"n":2', "target": "body"}, HTTP, True, "body"),
        ({"type": "regex", "pattern": '"n": 2', "target": "body"}, HTTP, True, "body"),
        (
            {"type": "jsonpath", "path": "$.items[*].name", "target": "body", "expect": ["a", "b"]},
            HTTP,
            True,
            'body $.items[*].name gave ["a", "b"], as ["a", "b"]',
        ),
        (
            {"type": "jsonpath", "path": "$.items[*].n", "target": "body", "count": 3},
            HTTP,
            False,
            "body $.items[*].n gave 2 values, not 3",
        ),
        (
            {
                "type": "jsonpath",
                "path": '$.items[*][?(@.name="b")].n',
                "target": "body",
                "expect": 2,
            },
            HTTP,
            True,
            "gave [2], as [2]",
        ),
        ({"type": "jsonpath", "path": "$.x"}, '{"y": 1}', False, "$.x found nothing"),
        ({"type": "jsonpath", "path": "$.y"}, '{"y": 1}', True, "$.y gave [1]"),
        ({"type": "jsonpath", "path": "y"}, {}, False, "it must begin with '$'"),
        ({"type": "jsonpath", "path": "$['y']"}, {}, False, "double quotes"),
        ({"type": "jsonpath", "path": "$[?(@.n==1)]"}, {}, False, 'one "="'),
        ({"type": "jsonpath", "path": "$["}, {}, False, "is not a JSON path"),
        ({"type": "rnge"}, 1, False, "expected one of range, regex, jsonpath, probe"),
        ({"type": "probe"}, 1, False, "a probe tolerance needs a provider"),
    ],
)
def test_every_form_says_why(tolerance: Any, value: Any, ok: bool, reason: str) -> None:
    found = check(tolerance, value)
    assert found.ok is ok
    assert reason in found.reason
    assert "\n" not in found.reason


def probe(func: str, **arguments: Any) -> dict[str, Any]:
    provider = {"type": "python", "module": "tests.support.activities", "func": func}
    return {"type": "probe", "name": "judge", "provider": {**provider, "arguments": arguments}}


def test_a_probe_gets_the_value_and_its_own_arguments() -> None:
    tolerance = probe("above", limit=2)
    before = copy.deepcopy(tolerance)
    assert check(tolerance, 3) == Tolerated(True, "judge said true of 3")
    assert check(tolerance, 1) == Tolerated(False, "judge said false of 1")
    assert tolerance == before
    del tolerance["provider"]["arguments"]
    assert check(tolerance, 1).ok


def test_a_probe_gets_configuration() -> None:
    assert check(probe("told"), 7, configuration={"expected": 7}).ok


def test_a_probe_that_fails_holds_nothing() -> None:
    found = check(probe("above", limit="x"), 3)
    assert not found.ok
    assert found.reason.startswith("judge could not judge 3: TypeError")


@pytest.mark.parametrize(
    ("provider", "output", "reason"),
    [
        (
            {"type": "process", "path": "looks"},
            {"status": 1, "stdout": "", "stderr": "no!"},
            "looks could not judge 3: exit code 1: no!",
        ),
        (
            {"type": "http", "url": "http://judge"},
            {"status": 404, "headers": {}, "body": ""},
            "the probe could not judge 3: HTTP 404 Not Found",
        ),
    ],
)
def test_a_probe_that_says_no_by_its_status_holds_nothing(
    provider: dict[str, Any], output: Any, reason: str
) -> None:
    def held(given: Any) -> Tolerated:
        return within(
            {"type": "probe", "provider": provider},
            3,
            configuration={},
            secrets={},
            call=lambda _provider, **_around: Result(given),
        )

    assert held(output) == Tolerated(False, reason)
    assert held({**output, "status": 0 if provider["type"] == "process" else 200}).ok


NANS = [math.nan, "NaN"]
FORMS: list[Any] = [
    math.nan,
    0,
    0.0,
    True,
    [0, 1],
    [math.nan, math.nan, math.nan],
    [NANS[0], 1, 2],
    ["NaN", 1, 2],
    [-math.inf, math.inf],
    {"type": "range", "range": [-1e999, 1e999]},
    {"type": "jsonpath", "path": "$.v", "expect": math.nan},
    {"type": "jsonpath", "path": "$.v", "expect": "NaN"},
]


@pytest.mark.parametrize("nan", NANS)
@pytest.mark.parametrize("tolerance", FORMS, ids=str)
def test_nan_is_within_nothing(tolerance: Any, nan: Any) -> None:
    for value in (nan, {"status": nan}, {"v": nan}):
        assert not check(tolerance, value).ok


def test_a_probe_that_answers_nan_holds_nothing() -> None:
    assert not within(
        {"type": "probe", "provider": {}},
        1,
        configuration={},
        secrets={},
        call=lambda _provider, **_around: Result("NaN"),
    ).ok


SCALARS = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["a", "b", "1", "2.5", ""])
)
NUMBERS = st.integers(-5, 5) | st.floats(-5, 5)
VALUES = st.recursive(
    SCALARS | NUMBERS | st.sampled_from(['{"a": [1, 2]}', "ready 3", "[1]"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["status", "stdout", "body", "a", "b"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)
TARGETS = st.sampled_from([{}, {"target": "body"}, {"target": "stdout"}, {"target": "a"}])
PATHS = st.sampled_from(
    [
        "$", "$.a", "$.a[*]", "$.a[0]", "$.a[-1]", "$.a[0:2]", "$..a", "$.*", "$..*", '$["a"]["b"]',
        "$[*].a", "$.a[0,1]", "$.a.length()", '$[*][?(@.a=1)].b', '$.a[*][?(@.b)]',
        '$[?(@.a="b" or not @.b)]', "$.body.a", "$[*][?(@ > 1)]",
    ]
)  # fmt: skip
TOLERANCES = (
    st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from(["a", "b", ""])
    | st.lists(st.integers(-5, 5) | st.sampled_from(["a", "b"]), max_size=4)
    | st.builds(
        lambda low, high, target: {"type": "range", "range": [low, high], **target},
        NUMBERS,
        NUMBERS,
        TARGETS,
    )
    | st.builds(
        lambda pattern, target: {"type": "regex", "pattern": pattern, **target},
        st.sampled_from(["a", "^b", r"\d", "", "ready (\\d)", "[12]"]),
        TARGETS,
    )
    | st.builds(
        lambda path, target, more: {"type": "jsonpath", "path": path, **target, **more},
        PATHS,
        TARGETS,
        st.fixed_dictionaries(
            {}, optional={"expect": VALUES, "count": st.none() | st.integers(0, 3)}
        ),
    )
)


@settings(max_examples=1500, deadline=None)
@given(
    TOLERANCES, VALUES | NUMBERS | st.builds(lambda status: {"status": status}, SCALARS | NUMBERS)
)
@example({"type": "jsonpath", "path": "$.a", "expect": [], "count": 1}, {})
@example([], {"status": 1})
@example([1, 5], {"status": 3})
@example(1, True)
def test_same_answer_as_the_chaos_toolkit(tolerance: Any, value: Any) -> None:
    theirs = pytest.importorskip("chaoslib.hypothesis")
    try:
        expected = bool(
            theirs.within_tolerance(
                copy.deepcopy(tolerance), copy.deepcopy(value), configuration={}, secrets={}
            )
        )
    except Exception:  # noqa: BLE001 - where theirs breaks, ours says what does not fit
        check(tolerance, value)
        return
    found = check(tolerance, value)
    assert found.ok is expected, found.reason


@given(VALUES, VALUES)
def test_nothing_raises(tolerance: Any, value: Any) -> None:
    found = check(tolerance, value)
    assert isinstance(found.ok, bool)
    assert found.reason
