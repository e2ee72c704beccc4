"""The JSON Schema of the file format, made from the same tables that check it."""

from __future__ import annotations

from typing import Any

from sloguard.spec.backlog import BACKLOG
from sloguard.spec.experiments import EXPERIMENT, SLO_FILE

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12 for editors: an experiment, or a file that is just a list of SLOs.

    It accepts what ``load`` accepts. It cannot see what depends on more than one place or on the machine: names
    that are there twice, references, variables without a value, near misses of the Chaos Toolkit's keys.
    """
    defs: dict[str, Any] = {}
    experiment, slos = EXPERIMENT.schema(defs), SLO_FILE.schema(defs)
    return {
        "$schema": DRAFT,
        "title": "sloguard experiment",
        "description": "A Chaos Toolkit experiment with SLOs, judged by sloguard; or a list of SLOs alone.",
        "if": {
            "required": ["slos"],
            "not": {"anyOf": [{"required": ["method"]}, {"required": ["steady-state-hypothesis"]}]},
        },
        "then": slos,
        "else": experiment,
        "$defs": dict(sorted(defs.items())),
    }


def backlog_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of a hypothesis backlog, for editors. It cannot see ids that are there twice."""
    defs: dict[str, Any] = {}
    whole = BACKLOG.schema(defs)
    return {
        "$schema": DRAFT,
        "title": "sloguard backlog",
        "description": BACKLOG.doc,
        **whole,
        "$defs": dict(sorted(defs.items())),
    }
