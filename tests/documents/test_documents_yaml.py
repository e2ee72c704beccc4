"""YAML is read as PyYAML's safe loader reads it, with places, within bounds, its traps explained."""

from __future__ import annotations

import json
import math
from datetime import date
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sloguard.documents.files import parse_document
from sloguard.documents.problems import DocumentError, Problem
from sloguard.documents.tree import Node, walk

TEXTS = st.text(alphabet="ab 1:-.{}[]#&*!|>'\"%@`,?\n\té~=<yesno", max_size=10)
VALUES = st.recursive(
    TEXTS | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=15,
)


def parse(text: str, **options: Any) -> Node:
    return parse_document(text, "x.yaml", **options).root


def problem(text: str) -> Problem:
    with pytest.raises(DocumentError) as caught:
        parse(text)
    return caught.value.problems[0]


@given(VALUES, st.booleans(), st.sampled_from([None, True, False]))
def test_what_is_dumped_is_read_back(value: Any, unicode: bool, flow: bool | None) -> None:
    text = yaml.safe_dump(value, allow_unicode=unicode, default_flow_style=flow)
    if value is None:
        value = {"a": None}
        text = yaml.safe_dump(value)
    assert parse(text).plain() == value


@pytest.mark.parametrize(
    "text",
    ["a: 1_000", "a: 0x1F", "a: 0b11", "a: 017", "a: 1e3", "a: 1.5e+3", "a: .5", "a: +1", "a: ~", "a: null", "a:",
     "a: Yes", "a: off", "a: '5'", "a: !!str 5", "a: !!int '5'", "a: !!float 1", "a: ! x", "a: |\n  x\n  y\n",
     "a: >-\n  x\n  y\n", 'a: "\\u00e9\\n"',  "a: [1, [2, {b: c}]]", "a: {}", "? a\n: b",
     "a: 1:30", "a: 190:20:30.15", "%YAML 1.1\n---\na: 1\n...\n", "'a b': 1", "a: .inf", "a: -.INF"],
)  # fmt: skip
def test_scalars_are_those_of_the_safe_loader(text: str) -> None:
    assert parse(text).plain() == yaml.safe_load(text)


@pytest.mark.parametrize("word", ["=", "<<"])
def test_words_that_the_safe_loader_stumbles_over_are_text(word: str) -> None:
    assert parse(f"a: {word}").plain() == {"a": word}


def test_nan_is_read() -> None:
    assert math.isnan(parse("a: .nan").plain()["a"])


def test_dates_stay_the_text_that_was_written_and_keys_the_word() -> None:
    text = "on: 2024-01-01\n200: x\n"
    document = parse_document(text, "x.yaml")
    assert yaml.safe_load(text) == {True: date(2024, 1, 1), 200: "x"}
    assert document.root.plain() == {"on": "2024-01-01", "200": "x"}
    assert [str(w).split("; ")[0] for w in document.warnings] == [
        "x.yaml:1:1: YAML reads the unquoted key on as a boolean",
        "x.yaml:1:5: YAML reads the unquoted 2024-01-01 as a date",
    ]


def test_every_key_and_value_has_its_place() -> None:
    root = parse('a: 1\nb:\n- x\n- {c: "y", d: [z]}\n')
    places = {path: (node.line, node.column) for path, node in walk(root)}
    assert places == {
        "": (1, 1),
        "a": (1, 4),
        "b": (3, 1),
        "b[0]": (3, 3),
        "b[1]": (4, 3),
        "b[1].c": (4, 7),
        "b[1].d": (4, 15),
        "b[1].d[0]": (4, 16),
    }
    assert root.place("b") == (2, 1)
    assert root.value["b"].value[1].place("d") == (4, 12)


def test_places_count_characters_and_begin_after_the_byte_order_mark() -> None:
    assert parse('"é😀": x').value["é😀"].column == 7


def test_aliases_and_merge_keys_are_followed() -> None:
    text = "x: &x {a: 1, b: 2}\ny: *x\nz:\n  b: 3\n  <<: *x\nw:\n  <<: [{a: 9}, *x]\n"
    assert parse(text).plain() == yaml.safe_load(text)
    # The alias has its own place.
    assert parse(text).value["y"].line == 2


def test_anchors_of_scalars_serve_as_keys() -> None:
    assert parse("a: &k name\nb: {*k : 1}\n").plain() == {"a": "name", "b": {"name": 1}}


def test_laughs_are_counted_and_not_followed() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 40)]
    assert "more than 100000 values" in problem("\n".join(lines)).message


def test_merges_are_counted_too() -> None:
    lines = ["x0: &x0 {" + ", ".join(f"k{i}: 1" for i in range(100)) + "}"]
    lines += [f"x{n}: &x{n} [*x{n - 1}, *x{n - 1}, *x{n - 1}]" for n in range(1, 20)]
    assert "more than 100000 values" in problem("\n".join(lines)).message


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_depth_is_bounded(opening: str) -> None:
    assert "100 levels deep" in problem(opening * 50_000).message


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, 1, "the key 'a' is there twice (first in line 1)"),
        ("a: {b: 1, b: 2}\n", 1, 11, "the key 'b' is there twice"),
        ("a: 1\n---\nb: 1\n", 2, 1, "a second document"),
        ("", 1, 1, "the file is empty"),
        ("---\n# nothing\n", 1, 1, "the file is empty"),
        ("a: !!set {x}\n", 1, 4, "the tag '!!set' is not allowed"),
        ("a: !!python/name:os.system x\n", 1, 4, "the tag '!!python/name:os.system'"),
        ("!x {a: 1}\n", 1, 1, "the tag '!x' is not allowed"),
        ("a: !!binary aGk=\n", 1, 4, "the tag '!!binary'"),
        ("a: !!int abc\n", 1, 4, "'abc' cannot be read as YAML's int"),
        ("a: &x [*x]\n", 1, 8, "stands inside its own anchor"),
        ("a: *nobody\n", 1, 4, "names no anchor"),
        ("? [a]\n: b\n", 1, 3, "a key must be text"),
        ("? {a: b}\n: c\n", 1, 3, "a key must be text"),
        ("a: &l [1]\n? *l\n: b\n", 2, 3, "a key must be text"),
        ("~: b\n", 1, 1, "a key is missing"),
        ("a: 1\n<<: 5\n", 2, 5, "'<<' merges what is not a mapping"),
        ('a: "\x00"\n', 1, 5, "U+0000 may not stand"),
        ("a: " + "9" * 5000, 1, 4, "cannot be read as YAML's int"),
    ],
)
def test_what_is_no_plain_document_is_told_with_its_place(
    text: str, line: int, column: int, words: str
) -> None:
    found = problem(text)
    assert (found.line, found.column) == (line, column)
    assert words in found.message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a:\n\tb: 1\n", "indent with spaces"),
        ("a: >= 3\n", 'needs quotes: ">= 3"'),
        ("- a\n- > 3\n", 'needs quotes: ">= 3"'),
        ("a: != 3\n", 'put the whole text in quotes: "!= …"'),
        ("a: {n: ${x}}\n", 'quote variables inside {…} and […]: "${name}"'),
        ("a: [${x}, ${y}]\n", "quote variables"),
        ("a: b: c\n", "a text that holds ': ' needs quotes"),
        ("a: %x\n", "a text that begins with '%' needs quotes"),
        ("a: `x`\n", "a text that begins with '`' needs quotes"),
        ("a: 'x\nb: 1\n", "a quote that opens in line 1 is never closed"),
        ("a: b\n  c: d\n", "look at the indentation"),
        ("a: {b: c}: d\n", ""),
    ],
)
def test_errors_of_the_grammar_come_with_the_way_out(text: str, hint: str) -> None:
    assert hint in problem(text).hint


def test_several_problems_come_at_once() -> None:
    with pytest.raises(DocumentError) as caught:
        parse("a: 1\na: !x 2\nb: !!int x\n? - y\n")
    assert len(caught.value.problems) == 4
    loose = parse_document("a: 1\na: 2\n", "x.yaml", strict=False)
    assert loose.root.plain() == {"a": 1}
    assert len(loose.problems) == 1


@given(VALUES.filter(lambda value: "inf" not in repr(value).lower()))
def test_json_is_read_as_the_standard_library_reads_it(value: Any) -> None:
    for indent, ascii_ in ((None, True), (2, False), ("\t", True)):
        text = json.dumps(value, indent=indent, ensure_ascii=ascii_)
        assert parse_document(text, "x.json").root.plain() == value


def test_json_has_places_too() -> None:
    root = parse_document('{\n  "a": [1,\n 2.5],\n  "é": {"b": null}\n}', "x.JSON").root
    places = {path: (node.line, node.column) for path, node in walk(root)}
    assert places["a[1]"] == (3, 2)
    assert places["é.b"] == (4, 14)
    assert root.place("é") == (4, 3)


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("", 1, 1, "the file is empty"),
        (" \n", 1, 1, "the file is empty"),
        ('{"a": 1,}', 1, 9, "a comma before '}'"),
        ("[1,\n]", 2, 1, "a comma before ']'"),
        ('{"a" 1}', 1, 6, "no ':' after the key 'a'"),
        ("{a: 1}", 1, 2, "a key is missing"),
        ("[1 2]", 1, 4, "found '2'"),
        ('{"a": tru}', 1, 7, "did you mean true?"),
        ('{"a": None}', 1, 7, "found 'N'"),
        ("[NaN]", 1, 2, "found 'N'"),
        ("['a']", 1, 2, "JSON quotes with double quotes"),
        ("[01]", 1, 3, "found '1'"),
        ("[1.]", 1, 3, "found '.'"),
        ('["a\nb"]', 1, 4, "invalid control character"),
        ('["\\x"]', 1, 3, "invalid"),
        ('["abc', 1, 2, "unterminated string"),
        ('["\\ud800"]', 1, 2, "half of a surrogate pair"),
        ('{"a": 1} {"b": 2}', 1, 10, "text after the end"),
        ('{"a": 1,\n "a": 2}', 2, 2, "the key 'a' is there twice (first in line 1)"),
        ("[", 1, 2, "the text ends here"),
        ('{"a":', 1, 6, "the text ends here"),
        ("[" * 50_000, 1, 102, "100 levels deep"),
        ("[" + "9" * 5000 + "]", 1, 2, "too many digits"),
        ("[" + "1," * 100_001 + "1]", 1, 200_000, "more than 100000 values"),
        ("title: x", 1, 1, "text needs double quotes"),
    ],
)
def test_what_is_not_json_is_told_with_its_place(
    text: str, line: int, column: int, words: str
) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_document(text, "x.json")
    found = caught.value.problems[0]
    assert words in str(found)
    assert (found.line, found.column) == (line, column)
