"""Actions, probes, refs and controls arrive as declared, in their order."""

from __future__ import annotations

from typing import Any

import pytest

from sloguard.spec import SpecError, load
from tests.support.experiments import action, experiment, probe, read_corpus


def refusal(document: Any) -> str:
    with pytest.raises(SpecError) as caught:
        load(document, environ={})
    return str(caught.value)


def test_refs_are_followed_and_order_and_repeats_stay() -> None:
    loaded = load(
        experiment(
            probes=[probe("ask", tolerance=[0, 1]), {"ref": "ask"}, {"ref": "go", "tolerance": 1}],
            method=[action("go", background=True), {"ref": "ask"}, {"ref": "go"}, {"ref": "undo"}],
            rollbacks=[action("undo"), {"ref": "go"}],
        )
    )
    assert [(a.key, a.name) for a in loaded.method] == [
        ("method[0]", "go"),
        ("method[1]", "ask"),
        ("method[2]", "go"),
        ("method[3]", "undo"),
    ]
    assert [(a.key, a.name) for a in loaded.rollbacks] == [
        ("rollbacks[0]", "undo"),
        ("rollbacks[1]", "go"),
    ]
    assert [(a.key, a.tolerance) for a in loaded.probes] == [
        ("hypothesis[0]", [0, 1]),
        ("hypothesis[1]", [0, 1]),
        ("hypothesis[2]", 1),
    ]
    assert [a.background for a in loaded.method] == [True, False, False, False]
    assert loaded.declared["method"][1]["provider"] == {"type": "process", "path": "true"}
    assert "ref" not in str(loaded.declared)


def test_the_last_of_a_name_is_meant_and_rollbacks_come_last() -> None:
    first, last = action("go", background=False), action("go", background=True)
    loaded = load(
        experiment(
            method=[first, last, {"ref": "go"}],
            rollbacks=[action("go", pauses={"after": 9})],
        )
    )
    assert loaded.method[2].declared == last


def test_a_ref_says_what_it_ignores() -> None:
    loaded = load(experiment(method=[action("go"), {"ref": "go", "pauses": {"before": 1}}]))
    assert any("pauses beside a ref has no effect" in w for w in loaded.warnings)


def test_whether_a_ref_goes_on_in_the_background_is_said_beside_it() -> None:
    behind = action("go", background=True)
    loaded = load(experiment(method=[behind, {"ref": "go"}, {"ref": "go", "background": True}]))
    assert [a.background for a in loaded.method] == [True, False, True]
    assert not [w for w in loaded.warnings if "background" in w]
    with pytest.raises(SpecError, match=r"method\[1\].background: found 'yes'"):
        load(experiment(method=[behind, {"ref": "go", "background": "yes"}]))


def test_an_unknown_ref_names_the_nearest() -> None:
    assert "did you mean 'lose-a-pod'?" in refusal(
        experiment(method=[action("lose-a-pod"), {"ref": "loose-a-pod"}])
    )


def test_a_ref_leads_to_no_other_ref() -> None:
    problem = refusal(experiment(method=[{"ref": "b", "name": "a"}, {"ref": "a", "name": "b"}]))
    assert "no activity is named 'a'" in problem
    assert "no activity is named 'b'" in problem


def test_the_chaos_toolkits_own_experiment_is_read() -> None:
    loaded = read_corpus("valid/chaos-toolkit.yaml").experiment
    assert len(loaded.probes) == 8
    assert [a.name for a in loaded.method] == ["in-background", "status", "status", "read-log"]
    assert [a.name for a in loaded.rollbacks] == ["put-back", "in-background"]
    background = loaded.method[0]
    assert (background.background, background.pause_before, background.pause_after) == (
        True,
        0,
        1.5,
    )
    assert [c["name"] for c in background.controls] == ["around"]
    assert [c["name"] for c in loaded.controls] == ["tracing", "manual"]
    assert loaded.method[3].provider["arguments"] == ["-c", True, None, 5]
    assert not loaded.method[3].has_tolerance
    assert loaded.contributions == {"reliability": "high", "security": "none"}
    assert loaded.runtime["rollbacks"] == {"strategy": "always"}
    assert loaded.extensions == ({"name": "reports", "level": 3},)
    assert loaded.declared["owner"] == "somebody"


def test_keys_without_a_value_are_as_if_they_were_not_there() -> None:
    loaded = read_corpus("valid/nulls.yaml").experiment
    assert loaded.method[0].provider == {"type": "process", "path": "true"}
    assert loaded.tags == ()


def test_controls_refer_to_controls() -> None:
    control = {"name": "around", "provider": {"type": "python", "module": "json"}}
    loaded = load(
        experiment(controls=[control], method=[action("go", controls=[{"ref": "around"}])])
    )
    assert loaded.method[0].controls == (control,)


@pytest.mark.parametrize(
    "tolerance",
    [
        0,
        1.5,
        True,
        "text",
        [1, 2],
        [1, 2, 3],
        [],
        {"type": "range", "range": [1, 2]},
        {"type": "regex", "pattern": "^a+$", "target": "stdout"},
        {"type": "regex", "pattern": "${pattern}"},
        {"type": "jsonpath", "path": "$.a[*].b", "count": 2},
        {"type": "jsonpath", "path": '$[?(@.a = "b")]', "expect": ["b"]},
        {"type": "jsonpath", "path": "$.${field}"},
        {"type": "probe", "name": "p", "provider": {"type": "python", "module": "m", "func": "f"}}
        | {"type": "probe"},
    ],
)
def test_tolerances_of_every_form_pass(tolerance: Any) -> None:
    loaded = load(experiment(probes=[probe("p", tolerance=tolerance)]))
    assert loaded.probes[0].tolerance == tolerance
    assert loaded.probes[0].has_tolerance


@pytest.mark.parametrize(
    ("pause", "fits"),
    [
        (0, True),
        (1.5, True),
        ("${p}", True),
        ("${unknown}", True),
        ("5", False),
        (-1, False),
        ("${words}", False),
    ],
)
def test_pauses_are_numbers_or_variables(pause: Any, fits: bool) -> None:
    document = experiment(
        method=[action("go", pauses={"before": pause})],
        configuration={"p": 2, "words": "a while"},
    )
    if fits:
        assert load(document).method[0].pause_before == pause
    else:
        assert "pauses.before" in refusal(document)


def test_a_misspelt_variable_of_an_activity_is_worth_a_warning() -> None:
    step = action("go")
    step["provider"] = {"type": "process", "path": "true", "arguments": ["${namspace}", "${HOME}"]}
    loaded = load(experiment(method=[step], configuration={"namespace": "shop"}))
    (warning,) = loaded.warnings
    assert "method[0].provider.arguments[0]" in warning
    assert "did you mean '${namespace}'?" in warning


@pytest.mark.parametrize("wrong", ["rolbacks", "rollback", "Rollbacks", "roll-backs"])
def test_rollbacks_are_never_lost_to_a_typo(wrong: str) -> None:
    assert "did you mean 'rollbacks'?" in refusal({**experiment(), wrong: []})


@pytest.mark.parametrize("own", ["owner", "date", "links", "x-rollback", "notes", "contact"])
def test_keys_of_ones_own_are_nobodys_business(own: str) -> None:
    assert load({**experiment(), own: 1}).warnings == ()


def test_harmless_near_misses_warn() -> None:
    loaded = load({**experiment(), "contributors": ["somebody"]})
    assert any("'contributors'" in warning for warning in loaded.warnings)
