"""Python functions as activities: what they get, what they give, how they are stopped."""

from __future__ import annotations

import math
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloguard.providers.calls import check, failed_action
from sloguard.providers.plain import plain
from tests.support import activities
from tests.support.calling import carry_out, eventually, stopped_when
from tests.support.patience import PATIENCE

MODULE = "tests.support.activities"


def python(func: str, **more: Any) -> dict[str, Any]:
    return {"type": "python", "module": MODULE, "func": func, **more}


@pytest.fixture(autouse=True)
def quiet() -> None:
    for flag in (activities.running, activities.cleaned, activities.went_on, activities.resumed):
        flag.clear()


def test_arguments_go_by_name_and_the_value_comes_back() -> None:
    result = carry_out(python("add", arguments={"a": 2, "b": 3}))
    assert (result.output, result.error, result.aborted) == (5, None, False)
    assert carry_out(python("add", arguments={"a": 2})).output == 3


def test_configuration_and_listed_secrets_reach_only_who_asks() -> None:
    configuration = {"where": "here"}
    secrets = {"shop": {"token": "t"}, "bank": {"key": "k"}, "other": {"no": "no"}}
    around = {"configuration": configuration, "secrets": secrets}
    assert carry_out(python("asks", secrets=["shop", "bank"]), **around).output == {
        "configuration": configuration,
        "secrets": {"token": "t", "key": "k"},
    }
    assert carry_out(python("asks"), **around).output["secrets"] is None
    assert carry_out(python("asks", secrets=["unknown"]), **around).output["secrets"] == {}
    # Nobody passes them to a function that merely takes anything.
    assert carry_out(python("echo", secrets=["shop"]), **around).output == {}


def test_a_function_cannot_change_the_experiment() -> None:
    items: list[int] = []
    configuration: dict[str, Any] = {"nested": []}
    call = python("changes", arguments={"items": items})
    assert carry_out(call, configuration=configuration).output == 1
    assert items == []
    assert configuration == {"nested": []}


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        (python("ad", arguments={}), "has no function 'ad'; did you mean 'add'?"),
        (python("not_a_function"), "'not_a_function' of module"),
        (python("add", arguments={"a": 1, "c": 2}), "unexpected keyword argument 'c'"),
        (python("add"), "missing a required argument: 'a' (it takes: a, b)"),
        (python("add", arguments=[1]), "arguments: expected a mapping"),
        (python(""), "func: expected the name"),
        (
            {**python("add"), "module": "tests.support.activites"},
            "did you mean 'tests.support.activities'?",
        ),
        ({**python("add"), "module": "jsn"}, "did you mean 'json'?"),
        ({**python("add"), "module": None}, "module: expected the dotted name"),
        (python("add", timeout="soon"), "timeout: 'soon' is not a duration"),
        (python("add", timeout=0), "timeout: must be above 0"),
        ({"type": "pyton"}, "provider type 'pyton': expected python, process or http"),
    ],
)
def test_what_cannot_be_called_is_told_before_and_at_the_call(
    provider: dict[str, Any], expected: str
) -> None:
    result = carry_out(provider)
    assert expected in str(result.error)
    assert "\n" not in str(result.error)
    assert not result.unreachable
    assert check(provider) == result.error


def test_check_finds_nothing_wrong_with_what_works() -> None:
    assert check(python("add", arguments={"a": 1})) is None
    assert check(python("asks", secrets=["shop"])) is None


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("raise SystemExit(3)", "cannot be imported: SystemExit: 3"),
        ("import surely_not_there_zz", "needs 'surely_not_there_zz', which is not installed"),
        ("x = (", "cannot be imported: SyntaxError"),
        ("1/0", "cannot be imported: ZeroDivisionError"),
    ],
)
def test_modules_that_break_on_import(
    source: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"broken_{abs(hash(source))}"
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert expected in str(carry_out({"type": "python", "module": name, "func": "f"}).error)


def test_a_module_of_the_working_directory_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "of_this_directory.py").write_text("def f():\n    return 'here'\n")
    monkeypatch.chdir(tmp_path)
    call = {"type": "python", "module": "of_this_directory", "func": "f"}
    assert carry_out(call).output == "here"
    sys.path.remove(str(tmp_path))


@pytest.mark.parametrize(
    ("func", "expected", "unreachable"),
    [
        ("fails", "ValueError: two lines of sorrow", False),
        ("leaves", "SystemExit: 0", False),
        ("interrupts", "KeyboardInterrupt", False),
        ("refused", "ConnectionRefusedError: [Errno 111] Connection refused", True),
        ("wrapped_timeout", "RuntimeError: the shop did not answer", True),
    ],
)
def test_exceptions_become_one_line(func: str, expected: str, unreachable: bool) -> None:
    result = carry_out(python(func))
    assert (result.error, result.unreachable, result.aborted) == (expected, unreachable, False)
    assert "Traceback" in result.trace


@pytest.mark.parametrize(
    ("func", "kind"), [("asynchronous", "coroutine"), ("generator", "generator")]
)
def test_what_has_not_run_is_not_a_result(func: str, kind: str) -> None:
    assert f"returned a {kind}" in str(carry_out(python(func)).error)


def test_any_value_becomes_json() -> None:
    assert carry_out(python("odd")).output == {
        "nan": "NaN",
        "inf": ["+Inf", "-Inf"],
        "bytes": "café \\xff",
        "set": [1, 2, 3],
        "when": "2026-01-01T12:00:00+00:00",
        "span": 60.0,
        "point": {"x": 1.5, "y": [1, 2]},
        "decimal": [1.5, 2],
        "uuid": "00000000-0000-0000-0000-000000000001",
        "7": None,
        "error": "ValueError: no",
        "surrogate": "\\ud800\\x00",
    }


def test_plain_is_bounded() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert plain(endless) == ["[… contains itself]"]
    many = plain([list(range(1000))] * 1000)
    assert str(many).count("left out") > 0
    assert len(str(many)) < 2_000_000
    deep: Any = 0
    for _ in range(3000):
        deep = [deep]
    assert "nested too deeply" in str(plain(deep))
    assert plain(10**5000).startswith("0x")


def test_keys_that_are_no_text_are_written_as_json_writes_them() -> None:
    keys: dict[Any, int] = {None: 1, True: 2, 1.5: 3, 7: 4, "text": 5}
    assert list(plain(keys)) == ["null", "true", "1.5", "7", "text"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.text() | st.integers(), inner)
            | st.tuples(inner, inner)
        ),
    )
)
def test_plain_is_valid_json_and_stable(value: Any) -> None:
    import json

    once = plain(value)
    assert json.loads(json.dumps(once, allow_nan=False).encode("utf-8")) == once
    assert plain(once) == once


@given(st.floats() | st.integers(-(2**63), 2**63 - 1) | st.text(alphabet="abc é"))
def test_plain_keeps_what_json_can_say(value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        return
    assert plain(value) == value


def test_stop_ends_a_busy_function_and_lets_it_clean_up() -> None:
    result = stopped_when(python("spins"), activities.running.is_set)
    assert (result.aborted, result.unreachable) == (True, False)
    assert activities.cleaned.is_set()


def test_a_function_that_swallows_everything_is_left_behind_within_the_grace() -> None:
    result = stopped_when(python("stubborn"), activities.running.is_set)
    assert result.aborted
    assert "cannot be interrupted" in str(result.error)
    activities.cleaned.set()
    eventually(lambda: not [t for t in threading.enumerate() if "stubborn" in t.name])


def test_after_a_blocking_call_returns_nothing_more_of_the_function_runs() -> None:
    reading, writing = os.pipe()
    result = stopped_when(python("blocks", arguments={"pipe": reading}), activities.running.is_set)
    assert result.aborted
    assert not activities.resumed.is_set()
    os.write(writing, b".")
    assert activities.resumed.wait(PATIENCE)
    os.close(writing)
    os.close(reading)
    assert not activities.went_on.is_set()


def test_a_timeout_is_the_targets_fault_and_not_an_abort() -> None:
    result = carry_out(python("spins", timeout="200ms"))
    assert result.error == "timed out after 0.2s"
    assert (result.unreachable, result.aborted) == (True, False)


def test_nothing_is_called_once_stopped() -> None:
    stop = threading.Event()
    stop.set()
    assert carry_out(python("spins"), stop=stop).error == "stopped before it began"
    assert not activities.running.is_set()


def test_stopping_does_not_disturb_the_next_call() -> None:
    for _ in range(5):
        result = stopped_when(python("spins"), activities.running.is_set)
        assert result.aborted
        activities.running.clear()
        assert carry_out(python("add", arguments={"a": 1})).output == 2


def test_the_output_of_a_function_never_fails_an_action() -> None:
    assert failed_action(python("add"), {"status": 500}) is None


def test_ctrl_c_in_the_waiting_thread_does_not_leave_the_function_behind() -> None:
    class Interrupting(threading.Event):
        def is_set(self) -> bool:
            if activities.running.is_set():
                raise KeyboardInterrupt
            return False

    with pytest.raises(KeyboardInterrupt):
        carry_out(python("spins"), stop=Interrupting())
    assert activities.cleaned.wait(PATIENCE)
