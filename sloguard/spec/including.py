"""``slos: [{from: rules/slos/checkout.yaml}]``: SLOs of other files, put into the tree where they are named.

The tree is expanded before anything else reads it, so that the resolved document holds the SLOs themselves and
nobody ever needs the files again. An entry's own keys (objective, phases …) go on top of each of its SLOs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sloguard.core.model import Phases
from sloguard.core.service_levels import ServiceLevel
from sloguard.documents.problems import did_you_mean
from sloguard.documents.tree import Node, implant
from sloguard.promql.errors import PromqlError
from sloguard.spec.errors import FAILED, Reader, SpecError
from sloguard.spec.globbing import TooMany, matching
from sloguard.spec.imported import as_slo, fitting_lookback
from sloguard.spec.openslo import read_levels
from sloguard.spec.slo_entries import FROM_ONLY, INCLUDED
from sloguard.spec.slos import PHASES

#: More SLOs than this from one entry are no hypothesis about a steady state.
MOST_SLOS = 500
_HYPOTHESIS = "steady-state-hypothesis"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a document's ``from`` begins. ``directory`` None: it is no file, and may name none.

    ``roots``: the directories outside of which nothing is read, links followed; None: wherever this process may.
    """

    directory: Path | None = None
    roots: tuple[Path, ...] | None = None
    scrape_interval: float = 15.0


@dataclass(slots=True)
class Included:
    """What was read beside the document: ``files``, and ``directories`` in which a pattern looked."""

    files: list[str] = field(default_factory=list)
    directories: list[str] = field(default_factory=list)


def expanded(root: Node, reader: Reader, origin: Origin) -> tuple[Node, Included]:
    """The tree with every ``from`` replaced by its SLOs; problems go to ``reader``. ``root`` stays as it is."""
    included = Included()
    for path in ("slos", f"{_HYPOTHESIS}.slos"):
        holders = [root]
        for key in path.split(".")[:-1]:
            child = holders[-1].get(key)
            if child is None:
                break
            holders.append(child)
        slos = holders[-1].get("slos") if len(holders) == path.count(".") + 1 else None
        if slos is None or not slos.is_list or not any(_is_from(one) for one in slos.value):
            continue
        made = _Expansion(root, reader, origin, included).of(slos, path)
        root = _with(root, path.split("."), made)
    return root, included


def _is_from(node: Node) -> bool:
    return node.get("from") is not None


def _with(node: Node, keys: Sequence[str], value: Node) -> Node:
    """A copy of the way to a key, with another value there."""
    first, *rest = keys
    child = value if not rest else _with(node.value[first], rest, value)
    return replace(node, value={**node.value, first: child})


class _Expansion:
    def __init__(self, root: Node, reader: Reader, origin: Origin, included: Included) -> None:
        self.root, self.reader, self.origin, self.included = root, reader, origin, included

    def of(self, slos: Node, path: str) -> Node:
        made: list[Node] = []
        for index, entry in enumerate(slos.value):
            made += self._entry(entry, f"{path}[{index}]") if _is_from(entry) else [entry]
        return replace(slos, value=made)

    def _entry(self, entry: Node, path: str) -> list[Node]:
        """The SLOs of one entry; none after reporting what is wrong with it."""
        # Its other keys are read once more on each of the SLOs, so here only for what is wrong with them.
        values = INCLUDED.read(entry, path, self.reader)
        if values is FAILED:
            return []
        files = self._files(entry, values["from"], f"{path}.from")
        levels = self._levels(entry, files, f"{path}.from") if files else None
        if levels is None:
            return []
        chosen = self._chosen(entry, values, levels, path)
        lookback = values.get("lookback") or fitting_lookback(
            self._phases(), self.origin.scrape_interval
        )
        return [
            node
            for level in chosen
            if (node := self._slo(entry, level, lookback, path)) is not None
        ]

    def _files(self, entry: Node, patterns: Sequence[str], path: str) -> list[str]:
        at = entry.get("from") or entry
        if self.origin.directory is None:
            message = "this document is no file, so there is nothing that a path could begin at"
            self.reader.problem(at, path, message, "the SLOs themselves")
            return []
        found: list[str] = []
        for number, pattern in enumerate(patterns):
            node = at.value[number] if at.is_list else at
            found += self._matching(node, pattern, path, self.origin.directory)
        return list(dict.fromkeys(found))

    def _matching(self, node: Node, pattern: str, path: str, directory: Path) -> list[str]:
        if "$" in pattern:
            message = f"'{pattern}' names a variable: which file is read may not depend on one"
            self.reader.problem(node, path, message, "a path or a pattern")
            return []
        if any(mark in pattern for mark in "*?["):
            try:
                files, directories = matching(pattern, directory)
            except TooMany as error:
                self.reader.problem(node, path, f"'{pattern}' {error}", "a narrower pattern")
                return []
            self.included.directories += directories
            if not files:
                message = f"no file matches '{pattern}'"
                self.reader.problem(node, path, message, f"SLO files, as seen from {directory}")
                return []
        else:
            files = [os.path.normpath(directory / os.path.expanduser(pattern))]
        return [file for file in files if self._may(node, file, path)]

    def _may(self, node: Node, file: str, path: str) -> bool:
        """Whether a file may be read at all, and opening it cannot wait for a writer."""
        roots = self.origin.roots
        real = Path(os.path.realpath(file))
        if roots is not None and not any(real.is_relative_to(os.path.realpath(r)) for r in roots):
            message = f"'{file}' lies outside of the directories that may be read here"
            self.reader.problem(
                node, path, message, "a file of the directories of experiments or of SLOs"
            )
            return False
        if os.path.exists(file) and not os.path.isfile(file):
            self.reader.problem(node, path, f"'{file}' is not a regular file", "an SLO file")
            return False
        return True

    def _levels(self, entry: Node, files: Sequence[str], path: str) -> list[ServiceLevel] | None:
        directory = self.origin.directory
        assert directory is not None  # noqa: S101 - no file was found without one
        names = {file: os.path.relpath(file, directory) for file in files}
        self.included.files += files
        try:
            read = read_levels(files, names=names)
        except SpecError as error:
            self.reader.problems += error.problems
            return None
        self.reader.warnings += read.warnings
        at = entry.get("from") or entry
        if not read.levels:
            self.reader.problem(
                at, path, f"there is no SLO in {', '.join(names.values())}", "an object of kind SLO"
            )
            return None
        return list(read.levels)

    def _chosen(
        self, entry: Node, values: dict[str, Any], levels: Sequence[ServiceLevel], path: str
    ) -> list[ServiceLevel]:
        wanted = values.get("only") or ([values["name"]] if "name" in values else None)
        if wanted is None:
            chosen = list(levels)
        else:
            names = list(
                dict.fromkeys([name for level in levels for name in (level.name, level.slo)])
            )
            at = entry.get("only") or entry.get("name") or entry
            for name in wanted:
                if name not in names:
                    hint = did_you_mean(name, names)
                    message = f"there is no SLO '{name}' in these files"
                    self.reader.problem(at, path, message, "one of " + ", ".join(names), hint)
            chosen = [level for level in levels if level.name in wanted or level.slo in wanted]
        if len(chosen) > MOST_SLOS:
            self.reader.problem(
                entry, path, f"these are {len(chosen)} SLOs", f"at most {MOST_SLOS}"
            )
            return []
        return chosen

    def _slo(self, entry: Node, level: ServiceLevel, lookback: float, path: str) -> Node | None:
        try:
            data = as_slo(level, lookback)
        except PromqlError as error:
            self.reader.problem(entry, path, f"{level.source}: {level.name}: {error}")
            return None
        made = implant({**data, "x-from": f"{level.source}#{level.slo or level.name}"}, entry)
        for key, child in entry.value.items():
            if key not in FROM_ONLY:
                made.value[key] = child
                made.keys[key] = entry.place(key)
        return made

    def _phases(self) -> Phases:
        """The lengths as far as they can be read; what is wrong with them is said elsewhere."""
        node = self.root.get("phases")
        quiet = Reader(self.reader.file, self.reader.scope, self.reader.deferred)
        read: Any = FAILED if node is None else PHASES.read(node, "phases", quiet)
        return read if isinstance(read, Phases) else Phases()


def origin_of(
    file: str, roots: Iterable[str | os.PathLike[str]] | None, scrape_interval: float
) -> Origin:
    """Where the ``from`` of a file begins; an empty name is that of a document that is no file."""
    return Origin(
        directory=Path(os.path.abspath(file)).parent if file else None,
        roots=None if roots is None else tuple(Path(root) for root in roots),
        scrape_interval=scrape_interval,
    )
