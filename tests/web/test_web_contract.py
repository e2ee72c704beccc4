"""Whatever fits the OpenAPI document, and whatever does not, is answered as the document says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from sloguard.web.resources import RESOURCES
from tests.support import runs as stored
from tests.support.service import World, make_world

ENDPOINTS = [e for resource in RESOURCES if resource.documented for e in resource.endpoints]
PATHS = {e.name: re.sub(r"<(?:[^:<>]+:)?(\w+)>", r"{\1}", e.rule) for e in ENDPOINTS}
#: Where nothing is taken but a path of its own, nothing can be sent that does not fit.
CASES = [
    pytest.param(e.method, PATHS[e.name], mode, id=f"{e.name}-{mode.value}")
    for e in ENDPOINTS
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    if mode is GenerationMode.POSITIVE or e.query or e.headers or e.body or "<" in e.rule
]
#: What fits the document may still name what there is not: a variable, a time to come.
MEANING = {
    ("POST", "/api/v1/reports"),
    ("POST", "/api/v1/runs"),
    ("POST", "/api/v1/runs/{run}/rejudge"),
    ("POST", "/api/v1/windows"),
    ("POST", "/api/v1/windows/{window}/close"),
}
ENDED = stored.RUN
UNDER_WAY = "20260101T125900-aaaaaa"


@pytest.fixture(scope="module")
def contract_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One service for all that is tried, with something of everything in it."""
    world = make_world(tmp_path_factory.mktemp("contract"))
    # Nobody waits here for what will not come.
    world.is_stopping[0] = True
    world.keep(ENDED)
    world.begin(UNDER_WAY)
    world.client.post("/api/v1/runs", json={"experiment": "checkout", "dry_run": True})
    world.client.post("/api/v1/windows", json={"slos": "checkout"})
    yield world
    world.store.dispose()


@pytest.fixture(scope="module")
def contract(contract_world: World) -> Any:
    config = schemathesis.Config.from_dict(
        {
            "seed": 1,
            # What fits, and what does not.
            "generation": {"mode": "all", "deterministic": True, "database": "none"},
        }
    )
    return schemathesis.openapi.from_wsgi("/api/v1/openapi.json", contract_world.app, config=config)


@pytest.mark.parametrize(("method", "path", "mode"), CASES)
def test_the_service_is_what_its_document_says(
    contract: Any, method: str, path: str, mode: GenerationMode
) -> None:
    operation = contract[path][method]

    @settings(
        max_examples=6,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(operation.as_strategy(generation_mode=mode))
    def hold(case: schemathesis.Case) -> None:
        _make_it_known(case)
        # The in-process transport does not unpack.
        answer = case.call(headers={"Accept-Encoding": "identity"})
        excluded = [positive_data_acceptance] if (method, path) in MEANING else []
        case.validate_response(answer, excluded_checks=excluded)
        if mode is GenerationMode.POSITIVE and answer.status_code == 422:
            assert answer.json()["type"] != "urn:sloguard:problem:invalid", answer.json()["errors"]

    hold()


def _make_it_known(case: schemathesis.Case) -> None:
    """Most of what is made up is nobody's id: half of the time it shall be somebody's."""
    known = {"run": ENDED, "experiment": "checkout"}
    for name in set(known) & set(case.path_parameters or ()):
        if len(str(case.path_parameters[name])) % 2:
            case.path_parameters[name] = known[name]
