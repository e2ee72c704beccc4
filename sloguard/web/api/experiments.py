"""The catalogue: what may be run, what it does, and what is wrong with what may not."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from sloguard.core.model import Activity, Slo
from sloguard.ports.service import Scope
from sloguard.service.catalogue import Entry, check_text
from sloguard.web.answers import json_answer
from sloguard.web.api.finding import entry_of
from sloguard.web.endpoints import JSON, Answer, Resource, read_body
from sloguard.web.parts import service
from sloguard.web.problems import Problem
from sloguard.web.schemas import ExperimentList, ExperimentShape, Validated
from sloguard.web.shaping import API, latest_shape, problem_shape

resource = Resource("experiments", API, about="The catalogue: files of the operator's directories.")
YAML = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")


@resource.get(
    "/experiments",
    scope=Scope.READ,
    answers=[Answer(description="All experiments by name.", model=ExperimentList)],
)
def experiments() -> Response:
    """All experiments; also files with problems, each with what is wrong.

    Files are read again when they change.
    """
    catalogue = service().parts.catalogue
    rows = [_row(entry) for entry in catalogue.entries()]
    return json_answer({"experiments": rows, "problems": catalogue.problems})


@resource.get(
    "/experiments/<experiment>",
    scope=Scope.READ,
    answers=[Answer(description="What it does.", model=ExperimentShape)],
    problems=["unknown-experiment"],
)
def experiment(experiment: str) -> Response:
    """One experiment: its SLOs, what it breaks and undoes, what variables may replace, its last verdict."""
    here = service()
    entry = entry_of(here, experiment)
    latest = here.store.latest_runs(entry.name)
    return json_answer(
        {
            **_row(entry),
            **_contents(entry),
            "warnings": [problem_shape(p) for p in entry.warnings],
            "latest": latest_shape(latest[0]) if latest else None,
        }
    )


@resource.post(
    "/experiments/validate",
    scope=Scope.READ,
    answers=[Answer(description="What is wrong with it, if anything.", model=Validated)],
    raw=(JSON, *YAML),
)
def validate() -> Response:
    """Check an experiment that is sent as the body, YAML or JSON.

    It is only read: nothing of it is carried out, no file is opened, and variables of the environment have
    no value here.
    """
    raw = read_body((JSON, *YAML))
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        detail = f"the body is not UTF-8: byte {error.start} cannot be read"
        raise Problem("malformed", detail) from None
    if not text.strip():
        raise Problem("malformed", "the body is empty; expected an experiment")
    found, errors, warnings = check_text(text, json_text=request.mimetype == JSON)
    return json_answer(
        {
            "valid": not errors,
            "title": "" if found is None else found.title,
            "errors": [problem_shape(p) for p in errors],
            "warnings": [problem_shape(p) for p in warnings],
        }
    )


def _row(entry: Entry) -> dict[str, Any]:
    found = entry.experiment
    return {
        "name": entry.name,
        "title": entry.title,
        "description": found.description if found else "",
        "tags": found.tags if found else (),
        "valid": entry.valid,
        "problems": [problem_shape(p) for p in entry.problems],
        "href": f"{API}/experiments/{entry.name}",
    }


def _contents(entry: Entry) -> dict[str, Any]:
    found = entry.experiment
    # Where the directory lies is the operator's business.
    file = entry.file.rpartition("/")[2]
    if found is None:
        nothing: dict[str, Any] = dict.fromkeys(("slos", "probes", "method", "rollbacks"), ())
        return {
            **nothing,
            "file": file,
            "phases": None,
            "configuration": {},
            "definition": {},
        }
    configuration = entry.declared.get("configuration") or {}
    phases = found.phases
    return {
        "file": file,
        "phases": {"before": phases.before, "during": phases.during, "after": phases.after},
        "slos": [slo_shape(slo) for slo in found.slos],
        "probes": _names(found.probes),
        "method": _names(found.method),
        "rollbacks": _names(found.rollbacks),
        "configuration": {k: v for k, v in configuration.items() if k not in entry.closed},
        "definition": entry.declared,
    }


def slo_shape(slo: Slo) -> dict[str, Any]:
    """An SLO as it is declared."""
    return {"name": slo.name, "objective": slo.objective.text, "queries": slo.queries}


def _names(activities: tuple[Activity, ...]) -> list[str]:
    return [activity.name for activity in activities]
