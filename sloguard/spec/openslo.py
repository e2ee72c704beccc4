"""OpenSLO v1 files into service levels: every problem of every file at once.

Read are SLOs with their indicators (in place, or an SLI of the same files) and the types of DataSources; Services,
alert policies and their kin are passed over. What OpenSLO allows and sloguard cannot do is refused by name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sloguard.core.service_levels import ServiceLevel
from sloguard.documents.files import read_documents
from sloguard.documents.problems import DocumentError, Problem, did_you_mean
from sloguard.documents.tree import Node, shown
from sloguard.spec.errors import FAILED, SpecError
from sloguard.spec.openslo_levels import Indicators, Object, SloLevels
from sloguard.spec.openslo_shapes import PlainReader
from sloguard.spec.openslo_tables import DATA_SOURCE_SPEC, METADATA, SLI_SPEC, SLO_SPEC
from sloguard.spec.shapes import Anything, Key
from sloguard.spec.tables import Table

VERSION = "openslo/v1"
_PASSED_OVER = ("Service", "AlertPolicy", "AlertCondition", "AlertNotificationTarget")
_KINDS = ("SLO", "SLI", "DataSource", *_PASSED_OVER)
_BEGINS = re.compile(r"""^["']?apiVersion["']?\s*:\s*["']?openslo/""", re.MULTILINE)
#: As JSON: among the texts that an object begins with.
_BEGINS_JSON = re.compile(
    r"""\s*\{\s*(?:"\w+"\s*:\s*"[^"]*"\s*,\s*){0,9}"apiVersion"\s*:\s*"openslo/"""
)
_SPECS: Mapping[str, Table] = {"SLO": SLO_SPEC, "SLI": SLI_SPEC, "DataSource": DATA_SOURCE_SPEC}


@dataclass(frozen=True, slots=True)
class Levels:
    """What files declare: ``levels`` in their order, and what is worth a warning."""

    levels: tuple[ServiceLevel, ...]
    warnings: tuple[Problem, ...] = ()


@dataclass(slots=True)
class _Pool:
    """Everything that was read, by kind and name."""

    objects: list[Object] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    readers: list[PlainReader] = field(default_factory=list)

    def of(self, kind: str) -> dict[str, Object]:
        return {one.name: one for one in self.objects if one.kind == kind}


def looks_like_openslo(text: str) -> bool:
    """Whether a file's text is meant as OpenSLO, of whatever version."""
    return _BEGINS.search(text) is not None or _BEGINS_JSON.match(text) is not None


def read_levels(
    files: Iterable[str | os.PathLike[str]], *, names: Mapping[str, str] | None = None
) -> Levels:
    """Read SLO files together: an ``indicatorRef`` may name an SLI of another one.

    ``names``: what a file is called in ``source``, by its path as given. Raises SpecError with every problem of
    all files.
    """
    pool = _Pool()
    for file in files:
        _read_file(os.fspath(file), pool)
    levels = _levels(pool, names or {})
    for reader in pool.readers:
        pool.problems += reader.problems
        pool.warnings += reader.warnings
    if pool.problems:
        raise SpecError(dict.fromkeys(pool.problems))
    return Levels(tuple(levels), tuple(dict.fromkeys(pool.warnings)))


def _read_file(file: str, pool: _Pool) -> None:
    try:
        documents = read_documents(file)
    except DocumentError as error:
        pool.problems += error.problems
        return
    pool.problems += documents[0].problems
    pool.warnings += documents[0].warnings
    reader = PlainReader(file)
    pool.readers.append(reader)
    for document in documents:
        found = _object(document.root, reader)
        if found is None:
            continue
        twin = pool.of(found.kind).get(found.name)
        if twin is not None:
            first = f"{twin.reader.file}:{twin.node.line}"
            message = f"the {found.kind} '{found.name}' is there twice (first in {first})"
            reader.problem(
                found.node.get("metadata") or found.node, "metadata.name", message, "each name once"
            )
        pool.objects.append(found)


def _object(node: Node, reader: PlainReader) -> Object | None:
    if not node.is_mapping:
        reader.problem(
            node,
            "",
            f"found {shown(node)}",
            f"an object with apiVersion: {VERSION}, kind, metadata, spec",
        )
        return None
    if not _right_version(node, reader):
        return None
    kind = node.get("kind")
    given = kind.value if kind is not None else None
    if kind is None or given not in _KINDS:
        message = "'kind' is missing" if kind is None else f"unknown kind: {shown(kind)}"
        hint = did_you_mean(str(given), _KINDS) if kind is not None else ""
        reader.problem(kind or node, "kind", message, "one of " + ", ".join(_KINDS), hint)
        return None
    if given in _PASSED_OVER:
        return None
    top = Table(
        str(given),
        "An object of OpenSLO.",
        (
            Key("apiVersion", Anything(), VERSION),
            Key("kind", Anything(), "Its kind."),
            Key("metadata", METADATA, "Its name.", required=True),
            Key("spec", _SPECS[str(given)], "What it says.", required=True),
        ),
    )
    values = top.read(node, "", reader)
    if values is FAILED:
        return None
    metadata = values["metadata"]
    return Object(str(given), metadata["name"], node, metadata, values["spec"], reader)


def _right_version(node: Node, reader: PlainReader) -> bool:
    version = node.get("apiVersion")
    if version is not None and version.value == VERSION:
        return True
    if version is None:
        hint = "an experiment's own SLOs stand under 'slos'" if node.get("slos") else ""
        reader.problem(node, "apiVersion", "'apiVersion' is missing", VERSION, hint)
    else:
        hint = (
            "its older versions are not read" if str(version.value).startswith("openslo/") else ""
        )
        reader.problem(version, "apiVersion", f"found {shown(version)}", VERSION, hint)
    return False


def _levels(pool: _Pool, names: Mapping[str, str]) -> list[ServiceLevel]:
    known = pool.of("SLI")
    sources = pool.of("DataSource")
    indicators = {
        name: Indicators(one.reader, sources).read(one.node.get("spec"), one.spec, "spec")
        for name, one in known.items()
    }
    levels: list[ServiceLevel] = []
    for slo in pool.objects:
        if slo.kind == "SLO":
            levels += SloLevels(slo, sources, known, indicators, names).levels()
    _check_names(levels, pool)
    return levels


def _check_names(levels: Sequence[ServiceLevel], pool: _Pool) -> None:
    """Two SLOs of one name are reported where they stand; here are names that came of their objectives."""
    slos = pool.of("SLO")
    seen: dict[str, str] = {}
    for level in levels:
        if level.name in seen and not level.name == level.slo == seen[level.name]:
            one = slos[level.slo]
            message = f"the name '{level.name}' of an objective is taken (by the SLO '{seen[level.name]}')"
            one.reader.problem(one.node, "spec.objectives", message, "another displayName")
        seen.setdefault(level.name, level.slo)
