"""Variables are replaced as the Chaos Toolkit replaces them, checked against it."""

from __future__ import annotations

from typing import Any

import chaoslib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloguard.spec import substitute
from sloguard.spec.substitution import fill_provider

TEXTS = st.text(alphabet="${}ab_1 Aé\n", max_size=12)
VALUES = st.recursive(
    st.one_of(TEXTS, st.integers(), st.none(), st.booleans()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["a", "b", "ab", "A", "_", "a1"])
VARIABLES = st.dictionaries(NAMES, VALUES, max_size=3)
SECRETS = st.dictionaries(NAMES, VARIABLES, max_size=2)


@given(VALUES, VARIABLES, SECRETS)
def test_substitution_gives_what_the_chaos_toolkit_gives(
    value: Any, configuration: dict[str, Any], secrets: dict[str, Any]
) -> None:
    assert substitute(value, configuration, secrets) == chaoslib.substitute(
        value, configuration, secrets
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${port}", 8080),
        ("http://h:${port}/", "http://h:8080/"),
        ("${unknown}", "${unknown}"),
        ("$port", "8080"),
        ("$$port and $${port}", "$port and ${port}"),
        ('label_replace(up, "a", "$1-${2}", "b", "(.*)$")',) * 2,
        ("${labels}", {"app": "shop"}),
        ("${token}", "first"),
        ("${shadowed}", "configuration"),
        (["${port}", {"${port}": "${port}"}], [8080, {"${port}": 8080}]),
    ],
)
def test_names_are_replaced_and_the_rest_stays(text: Any, expected: Any) -> None:
    configuration = {"port": 8080, "labels": {"app": "shop"}, "shadowed": "configuration"}
    secrets = {
        "one": {"token": "first", "shadowed": "secret"},
        "two": {"token": "second"},
        "loose": "a secret outside a group is out of reach",
    }
    assert substitute(text, configuration, secrets) == expected


def test_what_was_put_in_is_not_looked_at_again() -> None:
    assert substitute("${a} ${a}", {"a": "${b}", "b": "no"}, {}) == "${b} ${b}"


def test_without_any_variable_arguments_stay_as_written() -> None:
    provider = {"url": "a$$b${c}", "arguments": {"x": "$$ ${c}"}, "timeout": 3}
    assert fill_provider(provider, {}, {}) == {**provider, "url": "a$b${c}"}
    filled = fill_provider(provider, {"c": 1}, {})
    assert filled == {"url": "a$b1", "arguments": {"x": "$ 1"}, "timeout": 3}


@given(VALUES)
def test_nothing_changes_without_dollars(value: Any) -> None:
    text = repr(value).replace("$", "")
    assert substitute(text, {"a": 1}, {}) == text
