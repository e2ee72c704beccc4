"""Runs a corpus of experiments in one process: ``chaos run`` or ``sloguard run``, as a user calls them.

``python -m tests.support.compat_runner chaos|sloguard FOLDER OUT [NAME…]`` writes OUT/SIDE.json: for each
experiment its exit code, what it crashed with, what was called in which order, its journal and what it said.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

Main = Callable[[Path, Path, list[str]], None]


def plain(file: Path, journal: Path, arguments: list[str]) -> None:
    """``chaos run``."""
    from chaostoolkit.cli import cli

    settings = declared(file).get("settings") or "/nonexistent/settings.yaml"
    head = ["--no-version-check", "--no-log-file", "--settings", settings]
    run = ["run", "--journal-path", str(journal)]
    cli.main([*head, *run, *arguments, str(file)], prog_name="chaos")


def chaos(file: Path, journal: Path, arguments: list[str]) -> None:
    """``chaos run``; rollbacks always, for sloguard knows nothing else of itself."""
    plain(file, journal, ["--rollback-strategy", "always", *arguments])


def sloguard(file: Path, journal: Path, arguments: list[str]) -> None:
    """``sloguard run``."""
    from sloguard.__main__ import main

    store = journal.parent / "store.db"
    sys.argv = ["sloguard", "run", "--store", str(store), "--journal-path", str(journal)]
    settings = declared(file).get("settings")
    sys.argv += ["--settings", settings] if settings else []
    sys.argv += ["--format", "json", *arguments, str(file)]
    main()


def compat(file: Path, journal: Path, arguments: list[str]) -> None:
    """``sloguard run --compat``."""
    sloguard(file, journal, ["--compat", *arguments])


#: ``plain`` and ``compat`` are compared, and so are ``chaos`` and ``sloguard``.
SIDES: dict[str, Main] = {f.__name__: f for f in (plain, chaos, sloguard, compat)}


def declared(file: Path) -> dict[str, Any]:
    """What a file of the corpus says about itself under ``x-compat``."""
    read = json.loads if file.suffix == ".json" else yaml.safe_load
    return read(file.read_text(encoding="utf-8")).get("x-compat") or {}


@contextlib.contextmanager
def _environment(more: dict[str, str]) -> Iterator[None]:
    kept = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


@contextlib.contextmanager
def _logged(errors: io.StringIO) -> Iterator[None]:
    """Loggers that were set up for another experiment write to a stream that is no more."""
    found = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    for logger in found:
        logger.handlers.clear()
    with contextlib.redirect_stderr(errors):
        yield


def one(main: Main, file: Path, out: Path) -> dict[str, Any]:
    """Run one experiment to its end."""
    import compat_functions  # type: ignore[import-not-found]  # stands beside the corpus

    compat_functions.reset()
    told = declared(file)
    journal = out / f"{file.name}.journal.json"
    printed, errors, code, crash = io.StringIO(), io.StringIO(), 0, ""
    began = time.monotonic()
    with _environment(told.get("environment") or {}), _logged(errors):
        try:
            with contextlib.redirect_stdout(printed), contextlib.chdir(file.parent):
                main(file, journal, list(told.get("arguments") or []))
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the finding
            crash, code = f"{type(error).__name__}: {error}", 1
    return {
        "exit": code,
        "crash": crash,
        "calls": list(compat_functions.calls),
        "journal": _read(journal),
        "printed": printed.getvalue(),
        "errors": errors.getvalue(),
        "seconds": time.monotonic() - began,
    }


def _read(journal: Path) -> Any:
    if not journal.exists():
        return None
    try:
        return json.loads(journal.read_text(encoding="utf-8"))
    except ValueError:
        return "not valid JSON"


def main() -> None:
    """Run them all, in the order of their names."""
    side, folder, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    warnings.simplefilter("ignore")
    sys.path.insert(0, str(folder))
    files = [f for f in sorted(folder.iterdir()) if f.suffix in (".yaml", ".json")]
    wanted = sys.argv[4:]
    found = {f.name: one(SIDES[side], f, out) for f in files if not wanted or f.name in wanted}
    (out / f"{side}.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
