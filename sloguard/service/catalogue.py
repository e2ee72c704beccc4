"""The experiments and sets of SLOs that a service offers: files of the operator's directories, by name.

No request names a file: it names an experiment, and the catalogue knows the file. Files are looked at again
when they change, also where they are links of a mounted ConfigMap.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sloguard.core.jsonable import jsonable
from sloguard.core.model import Experiment, Json
from sloguard.documents.files import parse_document
from sloguard.documents.problems import DocumentError, Problem, did_you_mean
from sloguard.ports.service import ServiceError
from sloguard.service.permissions import PERMISSIONS, closed_to_requests, refused
from sloguard.spec import Loaded, masked, read
from sloguard.spec.backlog import FILE_NAMES

#: How often the directories are looked at, at most, in seconds.
LOOK_SECONDS = 1.0
_ENDINGS = (".yaml", ".yml", ".json")
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")
#: What tells one state of a file from another.
_Mark = tuple[int, int, int, int]


class UnknownExperiment(ServiceError):
    """The catalogue has no such experiment, or set of SLOs."""


class NotUsable(ServiceError):
    """It is in the catalogue, and cannot be run as asked. ``problems``: all of them."""

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file. ``experiment`` None: it cannot be read, ``problems`` tell why.

    ``allowed``: what its directory allows besides sloguard's own functions. ``problems`` of a file that can
    be read are things that are not allowed there. ``closed``: variables that a request may not set, and why.
    ``declared``: the document as written, literal secrets masked. ``beside``: files and directories that its ``from``
    looked at.
    """

    name: str
    file: str
    directory: str
    allowed: frozenset[str] = frozenset()
    experiment: Experiment | None = field(default=None, repr=False)
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    declared: Mapping[str, Json] = field(default_factory=dict, repr=False)
    closed: Mapping[str, str] = field(default_factory=dict)
    beside: tuple[str, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether it can be run."""
        return self.experiment is not None and not self.problems

    @property
    def title(self) -> str:
        """Its title, or its name where it cannot be read."""
        return self.experiment.title if self.experiment else self.name


@dataclass(slots=True)
class _Seen:
    """A file as it was last read, and those that it names; its name depends on the others.

    ``again``: what is wrong may be mended in another file, which need not be there yet.
    """

    mark: tuple[_Mark, ...]
    entry: Entry
    again: bool = False


class Catalogue:
    """Looks at its directories when it is asked, at most once a second; any thread may ask.

    ``directories`` of experiments; ``allow``: directory -> permissions (``process``, ``python``); ``slos``: the
    directory of sets of SLOs. Raises ServiceError for permissions that there are not. ``scrape_interval``: what the
    lookback of SLOs in other files is chosen by.
    """

    def __init__(
        self,
        directories: Iterable[str | os.PathLike[str]],
        *,
        allow: Mapping[str, str] | None = None,
        slos: str | os.PathLike[str] | None = None,
        environ: Mapping[str, str] | None = None,
        scrape_interval: float = 15.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allowed = {_whole(path): permissions(text) for path, text in (allow or {}).items()}
        self._experiments = [_whole(directory) for directory in directories]
        self._slos = [] if slos is None else [_whole(slos)]
        self._environ, self._monotonic = environ, monotonic
        self._scrape_interval = scrape_interval
        self._guard = threading.Lock()
        self._looked = float("-inf")
        self._seen: dict[str, _Seen] = {}
        self._entries: dict[str, Entry] = {}
        self._sets: dict[str, Entry] = {}
        self._problems: tuple[str, ...] = ()

    @property
    def slo_roots(self) -> tuple[str, ...]:
        """The only directories in which files that an experiment names may lie."""
        return (*self._experiments, *self._slos)

    def entries(self) -> tuple[Entry, ...]:
        """All experiments by name, those that cannot be run too."""
        self._look()
        return tuple(self._entries[name] for name in sorted(self._entries))

    def slo_sets(self) -> tuple[Entry, ...]:
        """All sets of SLOs by name."""
        self._look()
        return tuple(self._sets[name] for name in sorted(self._sets))

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the directories themselves."""
        self._look()
        return self._problems

    def get(self, name: str) -> Entry:
        """One experiment; raises UnknownExperiment with the nearest name."""
        self._look()
        return _found(self._entries, name, "experiment")

    def slo_set(self, name: str) -> Entry:
        """One set of SLOs; raises UnknownExperiment with the nearest name."""
        self._look()
        return _found(self._sets, name, "set of SLOs")

    def of_file(self, file: str) -> Entry | None:
        """The experiment of a file, whatever its name is now."""
        self._look()
        return next((entry for entry in self._entries.values() if entry.file == file), None)

    def _look(self) -> None:
        with self._guard:
            now = self._monotonic()
            if now - self._looked < LOOK_SECONDS:
                return
            problems: list[str] = []
            entries = self._scan(self._experiments, problems, slos_alone=False)
            sets = self._scan(self._slos, problems, slos_alone=True)
            present = {entry.file for entry in (*entries.values(), *sets.values())}
            self._seen = {file: seen for file, seen in self._seen.items() if file in present}
            # Whole or not at all: others read these without the lock.
            self._entries, self._sets, self._problems = entries, sets, tuple(problems)
            self._looked = now

    def _scan(
        self, directories: Sequence[str], problems: list[str], *, slos_alone: bool
    ) -> dict[str, Entry]:
        files = [file for directory in directories for file in _files(directory, problems)]
        stems = Counter(_name(file) for file in files)
        found: dict[str, Entry] = {}
        for file in files:
            name = _name(file)
            if stems[name] > 1:
                name = f"{_safe(Path(file).parent.name)}.{name}"
            if name in found:
                problems.append(
                    f"{file} has the same name as {found[name].file}: rename one of them"
                )
                continue
            entry = self._entry(file, slos_alone=slos_alone)
            found[name] = replace(entry, name=name)
        return found

    def _entry(self, file: str, *, slos_alone: bool) -> Entry:
        seen = self._seen.get(file)
        if seen is None or seen.again or seen.mark != _marks(file, seen.entry.beside):
            directory = str(Path(file).parent)
            allowed = self._allowed.get(directory, frozenset())
            # Taken first: a change while it is read is seen the next time.
            mark = _mark(file)
            entry = read_entry(
                file,
                allowed,
                environ=self._environ,
                slos_alone=slos_alone,
                slo_roots=self.slo_roots,
                scrape_interval=self._scrape_interval,
            )
            again = any(p.path.endswith(".from") or p.file != file for p in entry.problems)
            self._seen[file] = seen = _Seen((mark, *_marks(file, entry.beside)[1:]), entry, again)
        return seen.entry


def read_entry(
    file: str,
    allowed: frozenset[str],
    *,
    environ: Mapping[str, str] | None = None,
    slos_alone: bool = False,
    slo_roots: Sequence[str] = (),
    scrape_interval: float = 15.0,
) -> Entry:
    """Read a file as the catalogue does. Never raises for what is in it; runs no probe."""
    entry = Entry(name=_name(file), file=file, directory=str(Path(file).parent), allowed=allowed)
    try:
        loaded = read(
            file,
            environ=environ,
            slos_alone=slos_alone,
            slo_roots=slo_roots,
            scrape_interval=scrape_interval,
        )
    except DocumentError as error:
        return replace(entry, problems=error.problems)
    declared = loaded.experiment.declared
    return replace(
        entry,
        experiment=loaded.experiment,
        warnings=loaded.warnings,
        problems=tuple(_forbidden(loaded, allowed)),
        declared=as_written(declared),
        closed=closed_to_requests(declared),
        beside=(*loaded.included.files, *loaded.included.directories),
    )


def check_text(
    text: str, *, json_text: bool = False
) -> tuple[Experiment | None, Sequence[Problem], Sequence[Problem]]:
    """An experiment that somebody has sent: what it is (None: unreadable), its problems, its warnings.

    It is only read: no probe runs, no file is opened, and it is told nothing of this environment.
    """
    name = "experiment.json" if json_text else "experiment.yaml"
    try:
        document = parse_document(text, name, strict=False)
        if document.problems:
            raise DocumentError(document.problems)
        plain = document.root.plain()
        if not isinstance(plain, Mapping):
            raise DocumentError([Problem("this is no mapping", "", name, 1, 1, "an experiment")])
        loaded = read(plain, environ={})
    except DocumentError as error:
        return None, error.problems, ()
    return loaded.experiment, (), loaded.warnings


def usable(entry: Entry, variables: Mapping[str, Any]) -> dict[str, Json]:
    """The variables of a request for an experiment, checked. Raises NotUsable with every problem.

    Only what the experiment declares under ``configuration`` can be set, to a plain value or a list of these:
    a mapping could be a probe, or a look into the environment.
    """
    if not entry.valid:
        raise NotUsable(f"the experiment '{entry.name}' cannot be run", entry.problems)
    known = [str(name) for name in entry.declared.get("configuration") or {}]
    problems = [
        problem
        for name, value in variables.items()
        if (problem := _variable_problem(entry, known, str(name), value)) is not None
    ]
    if problems:
        raise NotUsable(f"the variables do not fit '{entry.name}'", problems)
    return {str(name): value for name, value in variables.items()}


def as_written(declared: Mapping[str, Json]) -> dict[str, Any]:
    """A document for people: as written, but for literal secrets and credentials."""
    shown = masked(Experiment(title="", declared=declared))
    if "configuration" in declared:
        # Otherwise the values of a run would stand here, and there is none.
        values = masked(Experiment(title="", declared={"x": declared["configuration"]}))
        shown["configuration"] = values["x"]
    return dict(jsonable(shown))


def permissions(text: str) -> frozenset[str]:
    """``process+python`` as a set; raises ServiceError."""
    words = frozenset(word for word in re.split(r"[+,\s]+", text.strip().lower()) if word)
    strange = sorted(words - PERMISSIONS)
    if strange or not words:
        raise ServiceError(
            f"serve.allow: expected process, python or process+python, found '{text}'"
        )
    return words


def _variable_problem(entry: Entry, known: list[str], name: str, value: Any) -> Problem | None:
    where = f"variables.{name}"
    if name not in known:
        hint = did_you_mean(name, known)
        expected = "one of " + ", ".join(known) if known else "none: it declares no configuration"
        return Problem(
            "the experiment declares no such configuration", where, expected=expected, hint=hint
        )
    if name in entry.closed:
        return Problem(
            f"it reaches code or a process at {entry.closed[name]}, and may not come from a request",
            where,
        )
    values = value if isinstance(value, list) else [value]
    if not all(item is None or isinstance(item, str | int | float | bool) for item in values):
        return Problem(
            "found a mapping, or a list that holds more than plain values",
            where,
            expected="a text, a number, true, false, or a list of these",
        )
    return None


def _forbidden(loaded: Loaded, allowed: frozenset[str]) -> Iterable[Problem]:
    for need in refused(loaded.experiment.declared, allowed):
        hint = f"the operator can allow it: serve.allow: {{DIRECTORY: {need.permission}}}"
        yield loaded.problem(need.path, need.message, hint=hint)


def _found(entries: Mapping[str, Entry], name: str, what: str) -> Entry:
    if name in entries:
        return entries[name]
    hint = did_you_mean(name, list(entries))
    raise UnknownExperiment(f"there is no {what} '{name}'" + (f"; {hint}" if hint else ""))


def _files(directory: str, problems: list[str]) -> list[str]:
    """Experiments of a directory. A ConfigMap's own links begin with two dots."""
    try:
        names = sorted(os.listdir(directory))
    except OSError as error:
        problems.append(f"the directory {directory} cannot be read: {error.strerror}")
        return []
    files = [name for name in names if name.endswith(_ENDINGS) and not name.startswith(".")]
    # The hypothesis backlog lies beside what tests it.
    files = [name for name in files if name not in FILE_NAMES]
    return [os.path.join(directory, name) for name in files if _is_file(directory, name)]


def _is_file(directory: str, name: str) -> bool:
    # Opening a pipe would wait for its writer.
    return os.path.isfile(os.path.join(directory, name))


def _marks(file: str, beside: Iterable[str]) -> tuple[_Mark, ...]:
    return (_mark(file), *(_mark(other) for other in beside))


def _mark(file: str) -> _Mark:
    try:
        found = os.stat(file)
    except OSError:
        return (0, 0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev)


def _name(file: str) -> str:
    return _safe(Path(file).stem)


def _safe(text: str) -> str:
    """As it can stand in a URL."""
    return _NOT_IN_A_NAME.sub("-", text).strip("-") or "unnamed"


def _whole(path: str | os.PathLike[str]) -> str:
    return os.path.abspath(os.path.expanduser(path))
