"""Manifests of Kubernetes as people give them: a mapping, a list, a text, or a file beside the experiment.

Read and looked at as far as can be told without a cluster: each has an apiVersion, a kind and a name.
"""

from __future__ import annotations

import copy
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sloguard.documents.files import parse_document, read_text
from sloguard.documents.problems import DocumentError
from sloguard.faults.base import FaultError
from sloguard.faults.marking import LABEL
from sloguard.faults.undo_records import ANNOTATION
from sloguard.ports import Object

#: More objects than this are no fault, but an installation.
MOST = 100
_NEXT = re.compile(r"^---(?=\s|$)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object as it was given. ``where``: its place, for errors. ``named``: whether it was given a name,
    and not only what names begin with."""

    body: Object
    where: str
    named: bool = True

    @property
    def api_version(self) -> str:
        """``chaos-mesh.org/v1alpha1``."""
        return str(self.body["apiVersion"])

    @property
    def kind(self) -> str:
        """``NetworkChaos``."""
        return str(self.body["kind"])

    @property
    def name(self) -> str:
        """The object's name."""
        return str(self.body["metadata"]["name"])

    @property
    def namespace(self) -> str | None:
        """The namespace that it names itself, if any."""
        found = self.body["metadata"].get("namespace")
        return None if found is None else str(found)


def read_manifests(given: Any, folder: str = "") -> list[Manifest]:
    """Every object, in the order given. ``folder``: where the files are. Raises FaultError."""
    found = [
        _checked(body, where)
        for piece, where in _pieces(given, "manifest", folder)
        for body, where in _flat(piece, where)
    ]
    if not found:
        raise FaultError("manifest: there is no object in it")
    if len(found) > MOST:
        raise FaultError(f"manifest: at most {MOST} objects, found {len(found)}")
    seen: dict[tuple[str, ...], str] = {}
    for one in found:
        group = one.api_version.rpartition("/")[0]
        place = (group, one.kind, str(one.namespace or ""), one.name)
        if place in seen:
            raise FaultError(f"{one.where}: {one.kind} {one.name} is in {seen[place]} already")
        seen[place] = one.where
    return found


def _pieces(given: Any, where: str, folder: str) -> Iterator[tuple[Any, str]]:
    if isinstance(given, str):
        yield from _of_text(given, where) if _is_text(given) else _of_file(given, where, folder)
    elif isinstance(given, list | tuple):
        for index, item in enumerate(given):
            yield from _pieces(item, f"{where}[{index}]", folder)
    elif isinstance(given, Mapping):
        yield given, where
    else:
        raise FaultError(
            f"{where}: expected a mapping, a YAML text or the path of a file, found {given!r}"
        )


def _is_text(given: str) -> bool:
    return "\n" in given or ": " in given or given.lstrip()[:1] in ("{", "[")


def _of_file(given: str, where: str, folder: str) -> Iterator[tuple[Any, str]]:
    path = Path(folder) / Path(given).expanduser()
    if not given.strip():
        raise FaultError(f"{where}: expected a mapping, a YAML text or the path of a file")
    try:
        text = read_text(path)
    except DocumentError as error:
        raise FaultError(f"{where}: {error}") from None
    yield from _of_text(text, str(path))


def _of_text(text: str, file: str) -> Iterator[tuple[Any, str]]:
    """The documents of a text. Each is read with empty lines in the place of those before it, so that
    problems are told with their lines."""
    starts = [0, *(match.start() for match in _NEXT.finditer(text))]
    pieces = [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
    before = 0
    for piece in pieces:
        content = _NEXT.sub("   ", piece, count=1)
        if not all(map(_says_nothing, content.splitlines())):
            try:
                read = parse_document("\n" * before + content, file)
            except DocumentError as error:
                raise FaultError(str(error)) from None
            yield read.root.plain(), f"{file}:{read.root.line}"
        before += piece.count("\n")


def _says_nothing(line: str) -> bool:
    return line.strip() in ("", "...") or line.lstrip().startswith("#")


def _flat(piece: Any, where: str) -> Iterator[tuple[Any, str]]:
    """The items of a List, and of a list."""
    if isinstance(piece, list):
        for index, item in enumerate(piece):
            yield from _flat(item, f"{where}[{index}]")
    elif isinstance(piece, Mapping) and piece.get("kind") == "List":
        yield from _flat(list(piece.get("items") or []), f"{where}.items")
    else:
        yield piece, where


def _checked(given: Any, where: str) -> Manifest:
    if not isinstance(given, Mapping):
        raise FaultError(f"{where}: expected a mapping with apiVersion, kind and metadata")
    body: Object = copy.deepcopy(dict(given))
    for key in ("apiVersion", "kind"):
        if not isinstance(body.get(key), str) or not body[key]:
            raise FaultError(f"{where}: {key}: expected a text, found {body.get(key)!r}")
    about = body.get("metadata")
    if not isinstance(about, Mapping):
        raise FaultError(f"{where}: metadata: expected a mapping with a name, found {about!r}")
    # What only the server writes is nothing to ask for.
    body.pop("status", None)
    about = {k: v for k, v in about.items() if k not in _SERVERS}
    named = bool(about.get("name"))
    if not named and about.get("generateName"):
        # The name has to be known before there is an object of it.
        about["name"] = f"{about['generateName']}{uuid.uuid4().hex[:8]}"
    about.pop("generateName", None)
    for key, needed in (("name", True), ("namespace", False)):
        if (key in about or needed) and not (isinstance(about.get(key), str) and about[key]):
            raise FaultError(f"{where}: metadata.{key}: expected a text, found {about.get(key)!r}")
    for key, own in (("annotations", ANNOTATION), ("labels", LABEL)):
        texts = about.get(key) or {}
        if not isinstance(texts, Mapping):
            raise FaultError(f"{where}: metadata.{key}: expected a mapping of names to texts")
        if own in texts:
            raise FaultError(f"{where}: metadata.{key}: {own} is sloguard's own")
    body["metadata"] = about
    return Manifest(body, where, named)


_SERVERS = frozenset(
    {
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
        "selfLink",
    }
)
