"""Several documents of one file: each with its own places and anchors, bounded together."""

from __future__ import annotations

from pathlib import Path

import pytest

from sloguard.documents.files import read_documents
from sloguard.documents.problems import DocumentError
from sloguard.documents.tree import MOST_VALUES


def written(tmp_path: Path, text: str, name: str = "x.yaml") -> Path:
    file = tmp_path / name
    file.write_text(text)
    return file


def test_documents_keep_their_places_and_empty_ones_are_left_out(tmp_path: Path) -> None:
    found = read_documents(
        written(tmp_path, "---\n# nothing\n---\na: 1\n...\n---\nb:\n  c: 2\n---\n")
    )
    assert [one.root.plain() for one in found] == [{"a": 1}, {"b": {"c": 2}}]
    second = found[1].root.get("b")
    assert second is not None
    assert (second.line, second.place("c")) == (8, (8, 3))


def test_problems_of_all_documents_are_listed(tmp_path: Path) -> None:
    first, _ = read_documents(written(tmp_path, "a: 1\na: 2\n---\nb: !x 1\nb: 2\n"))
    assert [problem.line for problem in first.problems] == [2, 4, 5]


@pytest.mark.parametrize(
    "text", ["", "---\n---\n", "# nothing\n", "a: &a 1\n---\nb: *a\n", "a: [\n---\nb: 1\n"]
)
def test_what_gives_no_tree_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DocumentError):
        read_documents(written(tmp_path, text))


def test_all_documents_share_one_bound(tmp_path: Path) -> None:
    one = "a: &a [" + ", ".join("x" * 100) + "]\nb: [" + ", ".join(["*a"] * 100) + "]\n"
    assert len(read_documents(written(tmp_path, "---\n".join([one] * 9)))) == 9
    with pytest.raises(DocumentError, match=f"more than {MOST_VALUES} values"):
        read_documents(written(tmp_path, "---\n".join([one] * 11)))


def test_json_holds_one_document(tmp_path: Path) -> None:
    (found,) = read_documents(written(tmp_path, '{"a": 1}', "x.json"))
    assert found.root.plain() == {"a": 1}
