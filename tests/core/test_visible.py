"""Nothing in a text of others moves the cursor, breaks the line or hides what is there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloguard.core.visible import visible, visible_data


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("ünï ☕ 漢字 \U0001f600", "ünï ☕ 漢字 \U0001f600"),
        ("two\nlines\r\n", r"two\nlines\r\n"),
        ("\x1b[31mred\x1b]0;title\x07", r"\x1b[31mred\x1b]0;title\x07"),
        ("\u202eturned around", r"\u202eturned around"),
        ("\x85\u2028", r"\x85\u2028"),
        ("a\u00a0b", "a\u00a0b"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("\udc80", r"\udc80"),
    ],
)
def test_what_does_not_show_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_it_is_one_line_whatever_it_was(text: str) -> None:
    shown = visible(text)
    assert shown.splitlines() in ([shown], [])
    assert "\x1b" not in shown
    assert visible(shown) == shown
    shown.encode()


def test_data_keeps_its_structure() -> None:
    assert visible_data({"a\n": ["\t", 1, None, ("x",)]}) == {"a\\n": ["\\t", 1, None, ["x"]]}


def test_a_proposed_rule_keeps_its_lines_and_nothing_else() -> None:
    spots = [{"slo": "a\n", "proposed_rule": "groups:\n- name: \x1b[2Jx\n"}]
    assert visible_data({"blind_spots": spots}) == {
        "blind_spots": [{"slo": "a\\n", "proposed_rule": "groups:\n- name: \\x1b[2Jx\n"}]
    }
