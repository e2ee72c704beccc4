"""A file's bytes into a tree: bounded, decoded, JSON or YAML by its name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sloguard.documents.jsontree import parse_json
from sloguard.documents.problems import DocumentError, Problem, nearest
from sloguard.documents.tree import Node

LARGEST = 5 * 1024 * 1024
_OTHER_MARKS = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"), (b"\x00\x00\xfe\xff", "UTF-32"))


@dataclass(frozen=True, slots=True)
class Document:
    """One file's tree, its name as the user gave it, and what is wrong or worth a warning."""

    root: Node
    file: str
    problems: Sequence[Problem] = ()
    warnings: Sequence[Problem] = ()


def read_document(path: str | os.PathLike[str], *, strict: bool = True) -> Document:
    """Read a YAML or JSON file; raises DocumentError with every problem that reading can see.

    ``strict`` False: problems that leave a tree to work with (a key that is there twice) are only listed,
    so that a caller can add its own.
    """
    return parse_document(read_text(path), os.fspath(path), strict=strict)


def parse_document(text: str, file: str, *, strict: bool = True) -> Document:
    """Read a text; ``file`` names it in messages and tells JSON (``.json``) from YAML."""
    if file.lower().endswith(".json"):
        if not text.strip():
            raise DocumentError([Problem("the file is empty", "", file, 1, 1)])
        root, problems = parse_json(text, file)
        document = Document(root, file, tuple(problems))
    else:
        # YAML takes as long to import as all the rest of this room: only where it is needed.
        from sloguard.documents.yamltree import parse_yaml

        root, problems, warnings = parse_yaml(text, file)
        document = Document(root, file, tuple(problems), tuple(warnings))
    if strict and document.problems:
        raise DocumentError(document.problems)
    return document


def read_documents(path: str | os.PathLike[str]) -> list[Document]:
    """As ``read_document`` with ``strict`` False, of a YAML file that may hold several documents.

    Problems and warnings of the whole file are those of the first one. JSON holds one. Raises DocumentError,
    also where nothing is in it.
    """
    name, text = os.fspath(path), read_text(path)
    if name.lower().endswith(".json"):
        return [parse_document(text, name, strict=False)]
    from sloguard.documents.yamltree import parse_yaml_stream

    roots, problems, warnings = parse_yaml_stream(text, name)
    if not roots:
        raise DocumentError([*problems, Problem("the file is empty", "", name, 1, 1)])
    first, *rest = roots
    return [
        Document(first, name, tuple(problems), tuple(warnings)),
        *(Document(root, name) for root in rest),
    ]


def read_text(path: str | os.PathLike[str]) -> str:
    """A file's text: UTF-8 (a byte order mark is fine), at most 5 MiB; raises DocumentError."""
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise DocumentError([_unreadable(name, error)]) from None
    except ValueError:
        raise DocumentError([Problem(f"{name!r} is no file name")]) from None
    if len(data) > LARGEST:
        limit = f"at most {LARGEST // 1024 // 1024} MiB"
        raise DocumentError([Problem("the file is too large", "", name, expected=limit)])
    return decode(data, name)


def decode(data: bytes, file: str) -> str:
    """Bytes as UTF-8; raises DocumentError with the place of the first byte that is not."""
    for mark, encoding in _OTHER_MARKS:
        if data.startswith(mark):
            raise DocumentError(
                [Problem(f"the file is {encoding}", "", file, 1, 1, "UTF-8", "save it as UTF-8")]
            )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8", "replace")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        message = f"the byte 0x{error.object[error.start]:02x} is not UTF-8"
        raise DocumentError(
            [Problem(message, "", file, line, column, "UTF-8", "save the file as UTF-8")]
        ) from None


def _unreadable(name: str, error: OSError) -> Problem:
    if isinstance(error, FileNotFoundError):
        return Problem("no such file", "", name, hint=_neighbour(name))
    if isinstance(error, IsADirectoryError):
        return Problem("this is a directory", "", name, expected="a file")
    if isinstance(error, PermissionError):
        return Problem("the file may not be read", "", name, hint="look at its permissions")
    return Problem(f"the file cannot be read: {error.strerror or error}", "", name)


def _neighbour(name: str) -> str:
    path = Path(name)
    try:
        names = [p.name for p in path.parent.iterdir()]
    except OSError:
        return f"the directory '{path.parent}' cannot be read"
    near = nearest(path.name, names)
    return f"did you mean '{path.parent / near}'?" if near else ""
