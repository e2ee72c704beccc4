"""Files are bounded and UTF-8, and problems say where and what."""

from __future__ import annotations

from pathlib import Path

import pytest

from sloguard.documents.files import LARGEST, decode, read_document, read_text
from sloguard.documents.problems import DocumentError, Problem, did_you_mean, nearest
from sloguard.documents.tree import Node, implant, shown


def refusal(path: Path) -> str:
    with pytest.raises(DocumentError) as caught:
        read_text(path)
    return str(caught.value)


def test_a_byte_order_mark_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    root = read_document(path).root
    assert root.plain() == {"a": 1}
    assert root.place("a") == (1, 1)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("ä: ö".encode("latin-1"), "x:1:1: the byte 0xe4 is not UTF-8"),
        (b"a: 1\nb: \xff\n", "x:2:4: the byte 0xff is not UTF-8"),
        ("a: 1".encode("utf-16"), "x:1:1: the file is UTF-16"),
        (b"\x00\x00\xfe\xff\x00\x00\x00a", "x:1:1: the file is UTF-32"),
    ],
)
def test_other_encodings_are_told_with_their_place(data: bytes, words: str) -> None:
    with pytest.raises(DocumentError) as caught:
        decode(data, "x")
    assert words in str(caught.value)


def test_a_file_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b" " * (LARGEST + 1))
    assert "too large; expected at most 5 MiB" in refusal(path)
    assert "too large" in refusal(Path("/dev/zero"))


def test_a_missing_file_names_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "checkout.yaml").write_text("a: 1")
    assert f"did you mean '{tmp_path / 'checkout.yaml'}'?" in refusal(tmp_path / "chekout.yaml")
    assert "cannot be read" in refusal(tmp_path / "no" / "x.yaml")
    assert "this is a directory" in refusal(tmp_path)
    assert "is no file name" in refusal(Path("a\0b"))


def test_a_problem_is_a_line_with_all_that_is_known() -> None:
    full = Problem("unknown key 'a'", "slos[0]", "x.yaml", 3, 5, "one of b, c", "did you mean 'b'?")
    assert (
        str(full) == "x.yaml:3:5: slos[0]: unknown key 'a'; expected one of b, c; did you mean 'b'?"
    )
    assert str(Problem("it is wrong")) == "it is wrong"
    assert str(Problem("it is wrong", file="x")) == "x: it is wrong"


def test_problems_are_in_order_and_not_endless() -> None:
    error = DocumentError(Problem("p", "", "x", line, 1) for line in range(500, 0, -1))
    assert [p.line for p in error.problems[:3]] == [1, 2, 3]
    assert str(error).splitlines()[-1] == "… and 400 more problems"


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("rolbacks", "rollbacks"),
        ("abort_when", "abort-when"),
        ("ROLLBACKS", "rollbacks"),
        ("xyz", None),
    ],
)
def test_the_nearest_word_is_found(word: str, near: str | None) -> None:
    known = ["rollbacks", "abort-when", "method"]
    assert nearest(word, known) == near
    assert did_you_mean(word, known) == (f"did you mean '{near}'?" if near else "")


def test_values_are_named_for_people() -> None:
    named = [shown(Node(v, 1, 1)) for v in (None, {}, [], "a", True, 5, 1.5)]
    assert named == [
        "nothing",
        "a mapping",
        "a list",
        "the text 'a'",
        "true",
        "the number 5",
        "the number 1.5",
    ]
    assert len(shown(Node("x" * 500, 1, 1))) < 80


def test_what_is_implanted_bears_the_place_of_its_host() -> None:
    tree = implant({"a": [1, {"b": (2,)}]}, Node("${x}", 7, 3))
    assert tree.plain() == {"a": [1, {"b": [2]}]}
    assert tree.value["a"].value[1].value["b"].line == 7
