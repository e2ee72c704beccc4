"""``--var`` and ``--var-file``: values that replace those of a file, as the Chaos Toolkit takes them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sloguard.core.model import Json
from sloguard.documents.files import read_document, read_text
from sloguard.documents.problems import DocumentError, Problem, did_you_mean
from sloguard.documents.tree import shown
from sloguard.spec.errors import SpecError

TYPES = ("str", "string", "int", "integer", "float", "number", "bytes", "bool", "json")
_SECTIONS = ("configuration", "secrets")
_STRUCTURED = (".yaml", ".yml", ".json")


@dataclass(slots=True)
class Overrides:
    """What replaces the file's own ``configuration`` and ``secrets``, and what joins the environment."""

    configuration: dict[str, Json] = field(default_factory=dict)
    secrets: dict[str, Json] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def parse_variables(texts: Iterable[str]) -> dict[str, Json]:
    """``["name=text", "port:int=8080"]`` -> values; raises SpecError with every text that does not fit."""
    found: dict[str, Json] = {}
    problems = []
    for text in texts:
        name, sign, value = text.partition("=")
        kind = None
        if ":" in name:
            name, _, kind = name.rpartition(":")
        if not sign or not name.strip():
            problems.append(
                Problem(
                    f"--var {name or text[:40]!r} gives no value",
                    expected="NAME=VALUE or NAME:TYPE=VALUE",
                )
            )
            continue
        try:
            found[name] = convert(kind, value)
        except ValueError as error:
            problems.append(Problem(f"--var {name}: {error}"))
    if problems:
        raise SpecError(problems)
    return found


def convert(kind: str | None, value: Any) -> Any:
    """A value as ``kind`` says, the Chaos Toolkit's way; raises ValueError without showing the value."""
    if kind is None or kind in ("str", "string"):
        return value
    if kind not in TYPES:
        near = did_you_mean(kind, TYPES)
        raise ValueError(
            f"unknown type '{kind}'; expected one of {', '.join(TYPES)}; {near}".rstrip("; ")
        )
    try:
        if kind in ("int", "integer"):
            return int(value)
        if kind in ("float", "number"):
            return float(value)
        if kind == "bytes":
            return value.encode("utf-8")
        if kind == "bool":
            return value if isinstance(value, bool) else value.lower() not in ("false", "0", "no")
        return json.loads(value) if isinstance(value, str) and value else value
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        raise ValueError(f"its value cannot be read as {kind}") from None


def read_overrides(
    variables: Mapping[str, Json], files: Iterable[str | os.PathLike[str]]
) -> Overrides:
    """All files in their order, later ones first in rank, then ``--var``; problems are collected."""
    overrides = Overrides()
    for file in files:
        try:
            _read_file(os.fspath(file), overrides)
        except DocumentError as error:
            overrides.problems.extend(error.problems)
    overrides.configuration.update(variables)
    return overrides


def _read_file(file: str, overrides: Overrides) -> None:
    if os.path.splitext(file)[1].lower() not in _STRUCTURED:
        _read_environment(file, overrides)
        return
    document = read_document(file)
    if not document.root.is_mapping:
        raise DocumentError([_misfit(file, f"found {shown(document.root)}")])
    given = document.root.value
    if not any(section in given for section in _SECTIONS):
        raise DocumentError([_misfit(file, "there is neither 'configuration' nor 'secrets'")])
    for section, node in given.items():
        place = document.root.place(section)
        if section not in _SECTIONS:
            near = did_you_mean(section, _SECTIONS)
            if near:
                overrides.problems.append(
                    Problem(f"unknown key '{section}'", "", file, *place, hint=near)
                )
        elif node.is_mapping:
            getattr(overrides, section).update(node.plain())
        elif node.value is not None:
            message = f"'{section}' is {shown(node)}"
            overrides.problems.append(Problem(message, "", file, *place, expected="a mapping"))


def _misfit(file: str, message: str) -> Problem:
    return Problem(message, "", file, 1, 1, "a mapping with 'configuration' and 'secrets'")


def _read_environment(file: str, overrides: Overrides) -> None:
    for number, line in enumerate(read_text(file).splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, sign, value = text.partition("=")
        if not sign or not name or "\0" in text:
            message = "this line sets no environment variable"
            overrides.problems.append(Problem(message, "", file, number, 1, "NAME=VALUE"))
        else:
            overrides.environment[name] = value
