"""Files that must be read, and files that must be refused with these very words.

``tests/spec/corpus/valid``: read. ``invalid``: refused by the loader and by the schema. ``refused``: refused by
the loader alone, for what no schema can see. The words are beside each file; after a wanted change write
them anew with ``python -m tests.spec.test_spec_corpus``.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import jsonschema
import pytest

from sloguard.documents.files import read_document
from sloguard.spec import SpecError, read, schema
from tests.support.experiments import CORPUS, ENVIRON

VALIDATOR = jsonschema.Draft202012Validator(schema())


def files(*folders: str) -> list[str]:
    """Paths inside the corpus."""
    return sorted(
        f"{folder}/{path.name}"
        for folder in folders
        for path in (CORPUS / folder).iterdir()
        if path.suffix != ".txt"
    )


def words(name: str) -> str:
    """What the loader says about a file, warnings or problems."""
    with contextlib.chdir(CORPUS):
        try:
            loaded = read(name, environ=ENVIRON, slos_alone=True)
        except SpecError as error:
            return f"{error}\n"
        return "".join(f"{warning}\n" for warning in loaded.warnings)


@pytest.mark.parametrize("name", files("valid"))
def test_valid_files_are_read_by_loader_and_schema(name: str) -> None:
    with contextlib.chdir(CORPUS):
        loaded = read(name, environ=ENVIRON, slos_alone=True)
    assert loaded.experiment.title
    assert list(VALIDATOR.iter_errors(read_document(CORPUS / name).root.plain())) == []


@pytest.mark.parametrize("name", files("invalid"))
def test_invalid_files_are_refused_by_loader_and_schema(name: str) -> None:
    with pytest.raises(SpecError):
        read(CORPUS / name, environ=ENVIRON, slos_alone=True)
    assert not VALIDATOR.is_valid(read_document(CORPUS / name, strict=False).root.plain())


@pytest.mark.parametrize("name", files("invalid", "refused"))
def test_refused_files_are_refused(name: str) -> None:
    with pytest.raises(SpecError) as caught:
        read(CORPUS / name, environ=ENVIRON, slos_alone=True)
    assert all(problem.file and problem.message for problem in caught.value.problems)


@pytest.mark.parametrize("name", files("valid", "invalid", "refused"))
def test_the_words_are_these(name: str) -> None:
    golden = CORPUS / f"{name}.txt"
    assert words(name) == (golden.read_text(encoding="utf-8") if golden.exists() else "")


@pytest.mark.parametrize("name", files("invalid", "refused"))
def test_every_problem_points_into_its_file(name: str) -> None:
    lines = (CORPUS / name).read_bytes().count(b"\n") + 1
    with pytest.raises(SpecError) as caught:
        read(CORPUS / name, environ=ENVIRON, slos_alone=True)
    for problem in caught.value.problems:
        assert problem.line is not None
        assert problem.column is not None
        assert 1 <= problem.line <= lines
        assert problem.column >= 1


def test_places_are_exact() -> None:
    text = (CORPUS / "invalid" / "values.yaml").read_text()
    with pytest.raises(SpecError) as caught:
        read(CORPUS / "invalid" / "values.yaml")
    found = {p.path: p for p in caught.value.problems}
    weight = found["steady-state-hypothesis.slos[8].weight"]
    assert weight.line is not None
    assert text.splitlines()[weight.line - 1][weight.column - 1 :] == "-1"  # type: ignore[operator]


if __name__ == "__main__":
    os.chdir(Path(__file__).parent)
    for file in files("valid", "invalid", "refused"):
        said = words(file)
        target = CORPUS / f"{file}.txt"
        if said:
            target.write_text(said, encoding="utf-8")
        else:
            target.unlink(missing_ok=True)
