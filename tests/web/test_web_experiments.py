"""The catalogue over HTTP, and the check of what somebody sends."""

from __future__ import annotations

import json
import os

import pytest

from sloguard.web.problems import URN
from tests.support import runs as stored
from tests.support.service import EXPERIMENT, World, body_of


def test_experiments_are_listed_the_broken_ones_with_their_problems(world: World) -> None:
    answer = world.client.get("/api/v1/experiments")
    found = {e["name"]: e for e in body_of(answer)["experiments"]}
    assert set(found) == {"checkout", "broken"}
    good, bad = found["checkout"], found["broken"]
    assert (good["valid"], good["title"]) == (True, "Checkout survives a lost pod")
    assert not bad["valid"]
    assert any("steddy" in p["message"] or "steddy" in p["path"] for p in bad["problems"])
    assert all(p["line"] for p in bad["problems"])
    assert str(world.directory) not in answer.get_data(as_text=True)


def test_an_experiment_tells_what_it_does(world: World) -> None:
    world.keep(stored.RUN)
    body = body_of(world.client.get("/api/v1/experiments/checkout"))
    assert (body["file"], body["method"]) == ("checkout.yaml", ["lose-a-pod"])
    assert body["slos"][0]["queries"] == {"query": "sum(rate(errors_total[30s]))"}
    assert body["phases"] == {"before": 120.0, "during": 60.0, "after": 120.0}
    assert body["configuration"] == {"namespace": "shop", "replicas": 3}
    assert body["latest"]["run"] == stored.RUN
    broken = body_of(world.client.get("/api/v1/experiments/broken"))
    assert (broken["valid"], broken["slos"], broken["latest"]) == (False, [], None)
    unknown = world.client.get("/api/v1/experiments/chekout")
    assert body_of(unknown)["type"] == URN + "unknown-experiment"
    assert "did you mean 'checkout'?" in body_of(unknown)["detail"]
    assert world.client.get("/api/v1/experiments/..%2f..%2fetc").status_code == 404


@pytest.mark.parametrize("media", ["application/yaml", "text/yaml", "application/json"])
def test_what_is_sent_is_checked(world: World, media: str) -> None:
    text = EXPERIMENT
    if media == "application/json":
        import yaml

        text = json.dumps(yaml.safe_load(EXPERIMENT))
    good = world.client.post("/api/v1/experiments/validate", data=text, content_type=media)
    assert body_of(good) == {
        "valid": True,
        "title": "Checkout survives a lost pod",
        "errors": [],
        "warnings": [],
    }
    bad = text.replace("< 1%", "tiny")
    body = body_of(world.client.post("/api/v1/experiments/validate", data=bad, content_type=media))
    assert not body["valid"]
    assert any(e["path"].endswith("slos[0].objective") for e in body["errors"])


def test_a_check_tells_nothing_of_where_it_runs(world: World) -> None:
    os.environ["SLOGUARD_TEST_SECRET"] = "hunter2-of-the-service"
    try:
        text = EXPERIMENT.replace(
            "namespace: shop", "namespace: {type: env, key: SLOGUARD_TEST_SECRET}"
        ).replace('"< 1%"', '"${namespace}"')
        answer = world.client.post(
            "/api/v1/experiments/validate", data=text, content_type="application/yaml"
        )
    finally:
        del os.environ["SLOGUARD_TEST_SECRET"]
    assert not body_of(answer)["valid"]
    assert b"hunter2" not in answer.data


@pytest.mark.parametrize(
    ("data", "media", "status"),
    [
        (b"", "application/yaml", 400),
        (b"\xff\xfe", "application/yaml", 400),
        (b"title: x", "text/plain", 415),
        (b"a: &a [*a]", "application/yaml", 200),
        (b"{", "application/json", 200),
        (b"[1, 2]", "application/json", 200),
    ],
)
def test_what_cannot_be_read_is_said(world: World, data: bytes, media: str, status: int) -> None:
    answer = world.client.post("/api/v1/experiments/validate", data=data, content_type=media)
    assert answer.status_code == status
    if status == 200:
        assert not body_of(answer)["valid"]
        assert body_of(answer)["errors"]
