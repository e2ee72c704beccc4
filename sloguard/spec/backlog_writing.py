"""Statuses written into the file of a backlog: at their places, and everything else stays as people wrote it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import yaml

from sloguard.core.backlog import Backlog, Status
from sloguard.documents.problems import Problem
from sloguard.spec.backlog import parse_backlog
from sloguard.spec.errors import SpecError

_BY_HAND = "write it by hand"


class Change(NamedTuple):
    """What is to be written of a hypothesis: its status, and the run that gave it."""

    status: Status
    run: str


class _Edit(NamedTuple):
    start: int
    end: int
    text: str


def updated(text: str, file: str, changes: Mapping[str, Change]) -> str:
    """The text of a backlog with these statuses (by id) in it, byte for byte the same elsewhere.

    What is missing is put behind the id, or the status, of its hypothesis. Raises SpecError for a file that is wrong, or in which a
    status cannot be written without touching something else (one that is an alias, say).
    """
    before = parse_backlog(text, file)
    if file.lower().endswith(".json"):
        raise SpecError([Problem("statuses are not written into JSON", "", file, hint=_BY_HAND)])
    edits = [edit for entry in _entries(text) for edit in _edits(text, file, entry, changes)]
    made = text
    for edit in sorted(edits, reverse=True):
        made = made[: edit.start] + edit.text + made[edit.end :]
    _check(before, made, file, changes)
    return made


def _entries(text: str) -> Sequence[yaml.MappingNode]:
    # Not the C parser: it counts bytes in places, and these are places in a text.
    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    for key, value in root.value:
        if key.value == "hypotheses" and isinstance(value, yaml.SequenceNode):
            return [entry for entry in value.value if isinstance(entry, yaml.MappingNode)]
    return []


def _edits(
    text: str, file: str, entry: yaml.MappingNode, changes: Mapping[str, Change]
) -> list[_Edit]:
    keys = {key.value: (key, value) for key, value in entry.value}
    if "id" not in keys or str(keys["id"][1].value) not in changes:
        return []
    change = changes[str(keys["id"][1].value)]
    wanted = {"status": str(change.status), "last_run": _plain(change.run)}
    made, missing = [], []
    for name, value in wanted.items():
        if name not in keys:
            missing.append(f"{name}: {value}")
            continue
        key, found = keys[name]
        if found.start_mark.index < key.end_mark.index:
            place = (key.start_mark.line + 1, key.start_mark.column + 1)
            message = f"'{name}' is an alias of another place"
            raise SpecError([Problem(message, "", file, *place, hint=_BY_HAND)])
        made.append(_Edit(found.start_mark.index, found.end_mark.index, value))
    return [*made, *([_added(text, entry, missing)] if missing else [])]


def _plain(text: str) -> str:
    """In quotes where YAML would make something else of it."""
    return text if yaml.safe_load(text) == text else json.dumps(text)


def _added(text: str, entry: yaml.MappingNode, lines: Sequence[str]) -> _Edit:
    """New keys: on lines of their own behind the status, else the id; or within the braces."""
    if entry.flow_style:
        at = entry.value[-1][1].end_mark.index
        return _Edit(at, at, "".join(f", {line}" for line in lines))
    keys = {key.value: value for key, value in entry.value}
    newline = "\r\n" if "\r\n" in text else "\n"
    indent = " " * entry.value[0][0].start_mark.column
    # What stands behind a value on its line may be a comment on it.
    at = _end_of_line(text, keys.get("status") or keys["id"])
    return _Edit(at, at, "".join(f"{newline}{indent}{line}" for line in lines))


def _end_of_line(text: str, value: yaml.Node) -> int:
    at = text.find("\n", value.end_mark.index)
    if at < 0:
        return len(text)
    return at - 1 if text[at - 1] == "\r" else at


def _check(before: Backlog, made: str, file: str, changes: Mapping[str, Change]) -> None:
    """Nothing else may have changed, whatever the file looks like."""
    expected = [
        replace(one, status=changes[one.id].status, last_run=changes[one.id].run, line=0)
        if one.id in changes
        else replace(one, line=0)
        for one in before.hypotheses
    ]
    try:
        found = [replace(one, line=0) for one in parse_backlog(made, file).hypotheses]
    except SpecError:
        found = []
    if found != expected:
        message = "the statuses cannot be written without changing something else"
        raise SpecError([Problem(message, "", file, hint=_BY_HAND)])
