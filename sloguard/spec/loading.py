"""A file into an experiment: read, resolved, substituted and checked, every problem at once."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sloguard.core.masking import Masker
from sloguard.core.model import Experiment, Json
from sloguard.documents.files import Document, parse_document, read_text
from sloguard.documents.problems import DocumentError, Problem, nearest
from sloguard.documents.tree import Node, implant, shown, walk
from sloguard.spec.backlog import looks_like_backlog
from sloguard.spec.building import Builder
from sloguard.spec.errors import FAILED, Reader, SpecError
from sloguard.spec.experiments import EXPERIMENT, SLO_FILE
from sloguard.spec.including import Included, Origin, expanded, origin_of
from sloguard.spec.openslo import looks_like_openslo
from sloguard.spec.overrides import Overrides, read_overrides
from sloguard.spec.substitution import Scope, braced_names
from sloguard.spec.tables import Table
from sloguard.spec.variables import (
    ReadVault,
    RunProbe,
    Variables,
    resolve_variables,
    run_probes,
)

Source = str | os.PathLike[str] | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Loaded:
    """An experiment with what its file still knows: warnings, and where everything was written.

    ``included``: what its ``from`` read beside it.
    """

    experiment: Experiment
    warnings: tuple[Problem, ...]
    file: str
    root: Node = field(repr=False)
    included: Included = field(default_factory=Included)

    def problem(self, path: str, message: str, *, expected: str = "", hint: str = "") -> Problem:
        """A problem that somebody else found at a path (``steady-state-hypothesis.slos[0].query``)."""
        line, column = self.where(path)
        return Problem(message, path, self.file, line, column, expected, hint)

    def where(self, path: str) -> tuple[int, int]:
        """Line and column of a path's value; of the nearest thing around it if it is not there."""
        places = {p: (n.line, n.column) for p, n in walk(self.root)}
        while path and path not in places:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return places[path]


def load(
    source: Source,
    *,
    variables: Mapping[str, Json] | None = None,
    var_files: Iterable[str | os.PathLike[str]] = (),
    environ: Mapping[str, str] | None = None,
    run_probe: RunProbe | None = None,
    read_vault: ReadVault | None = None,
    slo_roots: Iterable[str | os.PathLike[str]] | None = None,
    scrape_interval: float = 15.0,
) -> Experiment:
    """Read an experiment; its warnings are in ``.warnings``. Raises SpecError with every problem.

    ``source``: a file's path, or a document (as the store keeps it). ``variables``: ``--var``, already typed
    (``parse_variables``). ``environ``: the environment, the process's own by default; what a ``.env`` file
    among ``var_files`` adds is in ``.environment``. ``run_probe`` carries out the probes of the
    configuration, after everything else was found right; without it what depends on one is left out, with
    a warning. ``slo_roots``: the directories in which the files of ``slos: [{from: …}]`` have to lie; without it
    anywhere. ``scrape_interval`` (s) is what the lookback of their counters is chosen by.
    """
    return read(
        source,
        variables=variables,
        var_files=var_files,
        environ=environ,
        run_probe=run_probe,
        read_vault=read_vault,
        slo_roots=slo_roots,
        scrape_interval=scrape_interval,
    ).experiment


def parse_slos(source: Source, **options: Any) -> Experiment:
    """As ``load``, and takes a file that is just ``slos: […]`` as well: an experiment without a method."""
    return read(source, slos_alone=True, **options).experiment


def read(
    source: Source,
    *,
    variables: Mapping[str, Json] | None = None,
    var_files: Iterable[str | os.PathLike[str]] = (),
    environ: Mapping[str, str] | None = None,
    run_probe: RunProbe | None = None,
    read_vault: ReadVault | None = None,
    slo_roots: Iterable[str | os.PathLike[str]] | None = None,
    scrape_interval: float = 15.0,
    slos_alone: bool = False,
) -> Loaded:
    """As ``load``, with the places of everything. ``slos_alone``: a list of SLOs is enough, or an SLO file."""
    overrides = read_overrides(variables or {}, var_files)
    try:
        document = _document(source, slos_alone=slos_alone)
    except DocumentError as error:
        raise SpecError([*overrides.problems, *error.problems]) from None
    surroundings = {**(os.environ if environ is None else environ), **overrides.environment}
    origin = origin_of(document.file, slo_roots, scrape_interval)
    reading = _Reading(document, overrides, surroundings, read_vault, origin, slos_alone=slos_alone)
    experiment, reader = reading.once(None)
    if run_probe is not None and reading.has_probes:
        experiment, reader = reading.once(run_probe)
    warnings = _warnings(document, reader)
    experiment = replace(
        experiment,
        warnings=tuple(str(w) for w in warnings),
        environment=dict(overrides.environment),
    )
    return Loaded(experiment, warnings, document.file, reading.root, reading.included)


def _document(source: Source, *, slos_alone: bool) -> Document:
    if isinstance(source, Mapping):
        return Document(implant(dict(source), Node(None, 1, 1)), "")
    text, file = read_text(source), os.fspath(source)
    if not looks_like_openslo(text):
        return parse_document(text, file, strict=False)
    if not slos_alone:
        hint = (
            "name it in one, slos: [{from: …}], or hold a window against it with 'sloguard judge'"
        )
        message = "this file holds SLOs (OpenSLO) and no experiment"
        raise DocumentError([Problem(message, "", file, 1, 1, "an experiment with a method", hint)])
    # An SLO file by itself is the list of its SLOs.
    itself = {"slos": [{"from": glob.escape(os.path.basename(file))}]}
    return Document(implant(itself, Node(None, 1, 1)), file)


class _Reading:
    """The same document read once, and once more when the probes of its configuration may run."""

    def __init__(
        self,
        document: Document,
        overrides: Overrides,
        environ: Mapping[str, str],
        read_vault: ReadVault | None,
        origin: Origin,
        *,
        slos_alone: bool,
    ) -> None:
        self.document = document
        self.root = document.root
        self.origin = origin
        self.included = Included()
        self.overrides = overrides
        self.environ = environ
        self.read_vault = read_vault
        self.slos_alone = slos_alone
        self.has_probes = False

    def once(self, run_probe: RunProbe | None) -> tuple[Experiment, Reader]:
        """Raises SpecError with every problem."""
        reader = Reader(self.document.file, Scope({}))
        if not self.root.is_mapping:
            self._refuse_root(reader)
        table = self._table(reader)
        found = self._variables(reader, run_probe)
        self.root, self.included = expanded(self.document.root, reader, self.origin)
        values = table.read(self.root, "", reader)
        builder = Builder(self.root, reader)
        _warn_of_texts(self.root, reader)
        masker = Masker.of(found.secrets)
        reader.problems = [_masked(problem, masker) for problem in reader.problems]
        reader.warnings = [_masked(warning, masker) for warning in reader.warnings]
        self._raise(reader)
        experiment = builder.experiment(
            {} if values is FAILED else values,
            found,
            title=Path(self.document.file).stem,
            source=os.path.abspath(self.document.file) if self.document.file else "",
        )
        if not experiment.slos and not experiment.probes:
            message = "there is neither an SLO nor a probe: a run can only end as inconclusive"
            reader.warn(self.root, "", message)
        return experiment, reader

    def _raise(self, reader: Reader) -> None:
        problems = [*self.overrides.problems, *self.document.problems, *reader.problems]
        if problems:
            raise SpecError(_once_each(problems))

    def _refuse_root(self, reader: Reader) -> None:
        hint = "SLOs alone go below the key 'slos'" if self.root.is_list else ""
        expected = "a mapping with title, description, steady-state-hypothesis, method …"
        reader.problem(self.root, "", f"found {shown(self.root)}", expected, hint)
        self._raise(reader)

    def _table(self, reader: Reader) -> Table:
        root = self.root
        if looks_like_backlog(root):
            message = "this file holds hypotheses and no experiment"
            hint = "'sloguard backlog' reads it"
            reader.problem(
                root.place("hypotheses"), "", message, "an experiment with a method", hint
            )
            self._raise(reader)
        method_or_hypothesis = root.get("method") or root.get("steady-state-hypothesis")
        if root.get("slos") is None or method_or_hypothesis is not None:
            return EXPERIMENT
        if not self.slos_alone:
            message = "this file holds SLOs and no experiment"
            hint = "to hold a window against it, use 'sloguard judge'"
            reader.problem(root.place("slos"), "", message, "an experiment with a method", hint)
        return SLO_FILE

    def _variables(self, reader: Reader, run_probe: RunProbe | None) -> Variables:
        found = resolve_variables(self.root, self.overrides, self.environ, reader, self.read_vault)
        self.has_probes = bool(found.probes)
        if run_probe is not None and not reader.problems:
            run_probes(found, run_probe, reader, self.overrides.environment)
        known = {k: v for k, v in found.configuration.items() if k not in found.probes}
        reader.scope = Scope(known, found.secrets)
        reader.deferred = frozenset(found.probes)
        return found


def _masked(problem: Problem, masker: Masker) -> Problem:
    """A message may quote a value, and a value may have come from a secret."""
    return replace(problem, message=masker.text(problem.message), hint=masker.text(problem.hint))


def _once_each(problems: Sequence[Problem]) -> list[Problem]:
    return list(dict.fromkeys(problems))


def _warnings(document: Document, reader: Reader) -> tuple[Problem, ...]:
    found = _once_each([*document.warnings, *reader.warnings])
    return tuple(sorted(found, key=lambda w: (w.line or 0, w.column or 0)))


def _warn_of_texts(root: Node, reader: Reader) -> None:
    """An activity's ``${nmae}`` is passed on as written: worth a word where a known name is near."""
    names = [*reader.scope.names, *reader.deferred]
    for section in ("method", "rollbacks", "steady-state-hypothesis"):
        node = root.get(section)
        for path, child in walk(node, section) if node is not None else ():
            for name in braced_names(child.value) if isinstance(child.value, str) else ():
                near = None if name in names else nearest(name, names, 0.75)
                if near and ".slos[" not in path:
                    message = f"${{{name}}} has no value and is passed on as written"
                    reader.warn(child, path, message, hint=f"did you mean '${{{near}}}'?")
