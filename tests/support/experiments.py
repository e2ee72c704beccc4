"""Small experiments for tests of reading: whole documents with one part of interest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sloguard.spec import Loaded, read

CORPUS = Path(__file__).parent.parent / "spec" / "corpus"
#: What the corpus may find in its environment.
ENVIRON = {"SLOGUARD_TEST_WORD": "many", "HOME": "/home/somebody"}

UP = {"name": "up", "query": "up", "objective": "> 0"}


def with_slo(**changes: Any) -> dict[str, Any]:
    """An experiment with one SLO; a change of None takes a key away."""
    slo = {k: v for k, v in {**UP, **changes}.items() if v is not None}
    return experiment(slos=[slo])


def experiment(
    *, slos: list[Any] | None = None, probes: list[Any] | None = None, **top: Any
) -> dict[str, Any]:
    """An experiment with these SLOs and probes, and these keys at the top."""
    hypothesis: dict[str, Any] = {"title": "All is well", "slos": [UP] if slos is None else slos}
    if probes is not None:
        hypothesis["probes"] = probes
    whole = {
        "title": "A title",
        "description": "A description",
        "steady-state-hypothesis": hypothesis,
        "method": [],
    }
    return {**whole, **top}


def action(name: str, **more: Any) -> dict[str, Any]:
    """An action that a process carries out."""
    return {"type": "action", "name": name, "provider": {"type": "process", "path": "true"}, **more}


def probe(name: str, **more: Any) -> dict[str, Any]:
    """A probe with a tolerance."""
    return {**action(name), "type": "probe", "tolerance": 0, **more}


def written(folder: Path, document: Any, name: str = "x.json") -> Path:
    """The document as a file."""
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def read_corpus(name: str, **options: Any) -> Loaded:
    """One file of the corpus, by its path inside."""
    return read(CORPUS / name, environ=ENVIRON, slos_alone=True, **options)
