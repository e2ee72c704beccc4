"""The format stays the Chaos Toolkit's: what ``chaos validate`` takes is read, and the other way round."""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import Any

import pytest
from chaoslib.experiment import ensure_experiment_is_valid

from sloguard.documents.files import read_document
from sloguard.spec import load
from tests.support.experiments import CORPUS, ENVIRON, experiment, probe
from tests.support.experiments import action as do

#: A list of SLOs is no experiment, and sections without a value make chaos validate stumble.
ONLY_OURS = ("slos-alone.yaml", "nulls.yaml")
EXPERIMENTS = [
    path
    for path in sorted((CORPUS / "valid").iterdir())
    if path.suffix != ".txt" and path.name not in ONLY_OURS
]
GO = do("go")


def chaos_validate(document: dict[str, Any]) -> None:
    """What the Chaos Toolkit does; raises what it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ensure_experiment_is_valid(deepcopy(document))


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.name)
def test_what_is_written_for_sloguard_passes_chaos_validate(path: Any) -> None:
    chaos_validate(read_document(path).root.plain())


def provided(**provider: Any) -> dict[str, Any]:
    return experiment(method=[{"type": "action", "name": "a", "provider": provider}])


ACCEPTED_THERE: dict[str, dict[str, Any]] = {
    "no hypothesis": {"title": "t", "description": "d", "method": []},
    "null probes": experiment(slos=[], probes=None),
    "keys of one's own": experiment(owner="me", priority=3, links=[{"a": 1}]),
    "numbers as texts": {"title": 2024, "description": 1.5, "method": []},
    "empty tags": experiment(tags=[]),
    "an action in the hypothesis": experiment(probes=[probe("a", type="action")]),
    "a ref with a name": experiment(method=[GO, {"ref": "go", "name": "again"}]),
    "dry": experiment(dry="actions"),
    "dry activity": experiment(method=[{**GO, "dry": "pause"}]),
    "activity timeout": experiment(method=[{**GO, "timeout": 3}]),
    "no pauses": experiment(method=[{**GO, "pauses": None}]),
    "empty pauses": experiment(method=[{**GO, "pauses": {"before": None}}]),
    "keys of an activity's own": experiment(method=[{**GO, "comment": "why"}]),
    "text arguments": provided(type="process", path="sh", arguments=""),
    "mapped arguments": provided(type="process", path="sh", arguments={"-c": "true", "x": None}),
    "null arguments": provided(type="process", path="sh", arguments=None),
    "http with everything null": provided(type="http", url="http://a", headers=None, timeout=None),
    "http body as a list": provided(type="http", url="http://a", method="PUT", arguments=[1]),
    "keys of a provider's own": provided(type="http", url="http://a", note="x"),
    "an unknown variable": provided(type="http", url="${anything}", timeout="${t}"),
    "nested configuration": experiment(configuration={"a": {"b": [1, {"c": None}]}, "n": None}),
    "configuration of another type": experiment(configuration={"a": {"type": "consul", "key": "k"}}),
    "empty secrets": experiment(secrets={}),
    "secrets in depth": experiment(secrets={"a": {"b": {"c": {"d": "e"}}}}),
    "a secret from the environment": experiment(secrets={"a": {"h": {"type": "env", "key": "HOME"}}}),
    "another control provider": experiment(controls=[{"name": "c", "provider": {"type": "python", "module": "json"}}]),
    "tolerance of one": experiment(probes=[probe("p", tolerance=[1])]),
    "tolerance of none": experiment(probes=[probe("p", tolerance=[])]),
    "tolerance of anything": experiment(probes=[probe("p", tolerance=["a", {"b": 1}, None])]),
    "jsonpath of the old dialect": experiment(
        probes=[
            probe("p", tolerance={"type": "jsonpath", "path": '$.a[?(@.b="c" and not @.d)].length()'})
        ]
    ),
    "extensions": experiment(extensions=[{"name": "x", "a": 1}]),
    "no runtime": experiment(runtime=None),
    "empty runtime": experiment(runtime={"hypothesis": {}}),
}  # fmt: skip


@pytest.mark.parametrize("name", ACCEPTED_THERE)
def test_what_chaos_validate_takes_is_read(name: str) -> None:
    document = ACCEPTED_THERE[name]
    chaos_validate(document)
    assert load(document, environ=ENVIRON).title == str(document["title"])
