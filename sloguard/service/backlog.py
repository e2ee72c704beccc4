"""How it stands with the hypotheses of the backlog: the file beside the runs that are kept."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sloguard.core.backlog import (
    Attempt,
    Backlog,
    Offered,
    Standing,
    declared_ids,
    ids_in,
    is_tested_by,
    may_be_named,
    standings,
    tags_of,
)
from sloguard.core.history import RunSummary
from sloguard.core.tallies import LatestRun
from sloguard.documents.files import read_document
from sloguard.documents.problems import DocumentError, Problem
from sloguard.service.catalogue import Catalogue
from sloguard.spec.backlog import FILE_NAMES, load_backlog, looks_like_backlog

#: Runs of one hypothesis that are looked at, besides the newest that answered it.
EACH = 30
_ENDINGS = (".yaml", ".yml", ".json")
#: More files than these below a backlog are no experiments of people.
_MOST_FILES = 2000


class AttemptSource(Protocol):
    """Where runs are kept."""

    def attempts(
        self,
        wanted: Sequence[str],
        names: Sequence[str],
        *,
        until: float | None = None,
        each: int = 30,
    ) -> tuple[Attempt, ...]:
        """The newest runs with each of these tags, and of each of these experiments."""
        ...

    def latest_runs(
        self, experiment: str | None = None, *, by_outcome: bool = False
    ) -> tuple[LatestRun, ...]:
        """The newest ended run of every experiment."""
        ...

    def runs(self, limit: int = 50, *, outcome: str | None = None) -> tuple[RunSummary, ...]:
        """Runs, newest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The backlog as it stands. ``problems``: of the file; then there is nothing else.

    ``standings``: by risk, the highest first. ``unknown``: ids that experiments name and the backlog has not, with
    these experiments.
    """

    file: str
    title: str = ""
    standings: tuple[Standing, ...] = ()
    problems: tuple[Problem, ...] = ()
    unknown: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def get(self, id: str) -> Standing | None:
        """How it stands with one."""
        return next((one for one in self.standings if one.hypothesis.id == id), None)


class BacklogDesk:
    """Looks at the file whenever it has changed, and asks the store each time; any thread may ask.

    ``store`` None: no run is known. ``offered``: the experiments that there are.
    """

    def __init__(
        self,
        file: str | os.PathLike[str],
        store: AttemptSource | None,
        offered: Callable[[], Sequence[Offered]],
    ) -> None:
        self.file = os.path.abspath(os.path.expanduser(file))
        self._store, self._offered = store, offered
        self._guard = threading.Lock()
        self._seen: tuple[tuple[int, int, int], Backlog] | None = None

    def backlog(self) -> Backlog:
        """The file. Raises SpecError with every problem."""
        with self._guard:
            mark = _mark(self.file)
            if self._seen is None or self._seen[0] != mark or not any(mark):
                self._seen = None
                self._seen = (mark, load_backlog(self.file))
            return self._seen[1]

    def look(self, until: float | None = None, *, each: int = EACH) -> Look:
        """How it stands; ``until``: with the runs that had started before. Raises OutsideError."""
        try:
            backlog = self.backlog()
        except DocumentError as error:
            return Look(file=self.file, problems=error.problems)
        offered = self._offered()
        return Look(
            file=self.file,
            title=backlog.title,
            standings=standings(backlog, self._attempts(backlog, until, each), offered),
            unknown=unknown_ids(backlog, offered),
        )

    def tested_by(self, tags: Iterable[str], file: str) -> tuple[Standing, ...]:
        """How it stands with those that a run or an experiment tests, by its tags and its file.

        A backlog that cannot be read has none. Raises OutsideError.
        """
        try:
            backlog = self.backlog()
        except DocumentError:
            return ()
        ids = ids_in(tags)
        mine = Backlog(
            hypotheses=tuple(one for one in backlog.hypotheses if is_tested_by(one, ids, file))
        )
        if not mine.hypotheses:
            return ()
        return standings(mine, self._attempts(mine, None, EACH), ())

    def _attempts(self, backlog: Backlog, until: float | None, each: int) -> Sequence[Attempt]:
        if self._store is None:
            return ()
        patterns = [p for one in backlog.hypotheses for p in one.experiments]
        names: set[str] = set()
        if patterns:
            names.update(run.experiment for run in self._store.latest_runs())
            # Those that never ended before are in no list of newest runs.
            names.update(run.experiment for run in self._store.runs(200, outcome="running"))
        wanted = [n for n in sorted(names) if any(may_be_named(p, n) for p in patterns)]
        return self._store.attempts(tags_of(backlog.ids), wanted, until=until, each=each)


def unknown_ids(
    backlog: Backlog, offered: Iterable[Offered]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Ids that experiments name and the backlog has not, with the names of these experiments."""
    known = set(backlog.ids)
    found: dict[str, list[str]] = {}
    for one in offered:
        for id in one.hypotheses:
            if id not in known:
                found.setdefault(id, []).append(one.name)
    return tuple((id, tuple(names)) for id, names in sorted(found.items()))


def offered_by(catalogue: Catalogue) -> list[Offered]:
    """The experiments of a service."""
    return [
        Offered(
            name=entry.name,
            file=entry.file,
            title=entry.title,
            hypotheses=declared_ids(entry.declared),
            valid=entry.valid,
        )
        for entry in catalogue.entries()
    ]


def offered_below(directory: str | os.PathLike[str]) -> list[Offered]:
    """The experiments in a directory and below it: files with a method. They are not checked."""
    made = []
    for path in _files(Path(directory)):
        try:
            root = read_document(path, strict=False).root
        except DocumentError:
            # Nobody can run it, and 'sloguard validate' tells why.
            continue
        if root.get("method") is None or looks_like_backlog(root):
            continue
        title = root.get("title")
        made.append(
            Offered(
                name=path.stem,
                file=str(path),
                title=str(title.value) if title is not None and title.value else path.stem,
                hypotheses=declared_ids(root.plain()),
            )
        )
    return made


def _files(directory: Path) -> list[Path]:
    found: list[Path] = []
    for place, below, names in os.walk(directory):
        below[:] = sorted(name for name in below if not name.startswith("."))
        found += [Path(place) / name for name in sorted(names) if _may_be_one(name)]
        if len(found) >= _MOST_FILES:
            break
    return found[:_MOST_FILES]


def _may_be_one(name: str) -> bool:
    return name.endswith(_ENDINGS) and not name.startswith(".") and name not in FILE_NAMES


def _mark(file: str) -> tuple[int, int, int]:
    try:
        found = os.stat(file)
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)
