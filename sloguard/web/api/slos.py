"""Named sets of SLOs."""

from __future__ import annotations

from flask import Response

from sloguard.ports.service import Scope
from sloguard.web.answers import json_answer
from sloguard.web.api.experiments import slo_shape
from sloguard.web.endpoints import Answer, Resource
from sloguard.web.parts import service
from sloguard.web.schemas import SloSets
from sloguard.web.shaping import API, problem_shape

resource = Resource("slos", API, about="Named sets of SLOs, by which windows are judged.")


@resource.get(
    "/slos",
    scope=Scope.READ,
    answers=[Answer(description="All sets by name.", model=SloSets)],
)
def slos() -> Response:
    """The named sets of SLOs; also files with problems, each with what is wrong."""
    sets = [
        {
            "name": entry.name,
            "title": entry.title,
            "valid": entry.valid,
            "problems": [problem_shape(p) for p in entry.problems],
            "slos": [slo_shape(slo) for slo in entry.experiment.slos] if entry.experiment else (),
        }
        for entry in service().parts.catalogue.slo_sets()
    ]
    return json_answer({"sets": sets})
