"""What holds for every endpoint: one shape of errors, ids, compression, limits, scopes."""

from __future__ import annotations

import gzip
import json
import logging
from pathlib import Path

import pytest
from flask import Request

from sloguard.ports import OutsideError
from sloguard.ports.service import Scope
from sloguard.web.identity import PUBLIC, Identity
from sloguard.web.problems import KINDS, MEDIA_TYPE, URN
from sloguard.web.resources import RESOURCES
from tests.support import runs as stored
from tests.support.service import World, body_of, make_world

ENDPOINTS = [e for resource in RESOURCES for e in resource.endpoints]


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "kind"),
    [
        ("GET", "/nowhere", {}, 404, "not-found"),
        ("GET", "/api/v1/runs/x%2Fy", {}, 404, "not-found"),
        ("PUT", "/api/v1/runs", {}, 405, "method-not-allowed"),
        ("GET", "/api/v1/runs/nobody", {}, 404, "unknown-run"),
        ("GET", "/api/v1/runs?limit=0", {}, 422, "invalid"),
        ("GET", "/healthz?x=1", {}, 422, "invalid"),
        (
            "POST",
            "/api/v1/runs",
            {"data": "{", "content_type": "application/json"},
            400,
            "malformed",
        ),
        ("POST", "/api/v1/runs", {"data": "a=b", "content_type": "text/plain"}, 415, None),
        ("POST", "/api/v1/runs", {"json": {}}, 422, "invalid"),
    ],
)
def test_every_error_has_one_shape(
    world: World, method: str, path: str, options: dict[str, object], status: int, kind: str | None
) -> None:
    answer = world.client.open(path, method=method, **options)  # type: ignore[arg-type]  # a table
    assert answer.status_code == status
    assert answer.mimetype == MEDIA_TYPE
    body = body_of(answer)
    kind = kind or "unsupported-media-type"
    assert (body["type"], body["status"], body["title"]) == (URN + kind, status, KINDS[kind][1])
    assert body["detail"]
    assert body["request_id"] == answer.headers["X-Request-Id"]


def test_a_wrong_query_is_told_whole_with_what_was_meant(world: World) -> None:
    body = body_of(world.client.get("/api/v1/runs?limt=3&outcome=great&since=2026-01-01T00:00:00"))
    found = {e["at"]: e for e in body["errors"]}
    assert set(found) == {"query.limt", "query.outcome", "query.since"}
    assert found["query.limt"]["hint"] == "did you mean 'limit'?"
    assert "zone" in found["query.since"]["message"]


def test_a_parameter_given_twice_is_refused(world: World) -> None:
    body = body_of(world.client.get("/api/v1/runs?limit=3&limit=4"))
    assert body["errors"] == [{"at": "query.limit", "message": "it is given more than once"}]


def test_a_method_that_is_not_allowed_names_those_that_are(world: World) -> None:
    answer = world.client.put("/api/v1/runs")
    allowed = {m.strip() for m in answer.headers["Allow"].split(",")}
    assert allowed == {"GET", "HEAD", "OPTIONS", "POST"}


def test_a_body_above_the_limit_is_refused(tmp_path: Path) -> None:
    world = make_world(tmp_path, settings={"body_limit": 1000})
    answer = world.client.post("/api/v1/runs", json={"experiment": "x" * 2000})
    assert (answer.status_code, body_of(answer)["type"]) == (413, URN + "too-large")
    assert "1000 bytes" in body_of(answer)["detail"]
    big = world.client.post(
        "/api/v1/experiments/validate", data="x: " + "y" * 2000, content_type="application/yaml"
    )
    assert big.status_code == 413


def test_a_bug_shows_nothing_of_the_inside(world: World, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_request: Request) -> Identity:
        raise RuntimeError("the secret is hunter2 in /etc/place")

    made = make_world(world.directory, identify=broken)
    with caplog.at_level(logging.ERROR):
        answer = made.client.get("/api/v1/runs", headers={"X-Request-Id": "abc"})
    assert answer.status_code == 500
    assert b"hunter2" not in answer.data
    assert b"/etc" not in answer.data
    assert body_of(answer)["request_id"] == "abc"
    assert "abc" in caplog.text
    assert "hunter2" in caplog.text


def test_what_the_store_says_stays_in_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def away(_request: Request) -> Identity:
        raise OutsideError("the store postgresql://u@10.1.2.3/db is away")

    made = make_world(world.directory, identify=away)
    with caplog.at_level(logging.ERROR):
        answer = made.client.get("/api/v1/runs")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert b"10.1.2.3" not in answer.data
    assert "10.1.2.3" in caplog.text


def test_a_request_keeps_its_id_and_gets_one_otherwise(world: World) -> None:
    client = world.client
    assert (
        client.get("/healthz", headers={"X-Request-Id": "a.b-1"}).headers["X-Request-Id"] == "a.b-1"
    )
    made = [client.get("/healthz").headers["X-Request-Id"] for _ in range(2)]
    assert made[0] != made[1]
    for strange in ("x" * 65, "a b", "a;b"):
        answer = client.get("/healthz", headers={"X-Request-Id": strange})
        assert answer.headers["X-Request-Id"] != strange


def test_large_answers_are_compressed_for_those_who_can(world: World) -> None:
    plain = world.client.get("/api/v1/openapi.json")
    packed = world.client.get("/api/v1/openapi.json", headers={"Accept-Encoding": "gzip, br"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < len(plain.data) / 4
    assert int(packed.headers["Content-Length"]) == len(packed.data)
    for answer in (plain, packed):
        assert answer.headers["Vary"] == "Accept-Encoding"
    assert plain.headers["ETag"] == packed.headers["ETag"]
    refused = world.client.get("/api/v1/openapi.json", headers={"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in refused.headers
    small = world.client.get("/healthz", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in small.headers


def test_a_stream_is_compressed_as_it_goes(world: World) -> None:
    world.keep(stored.RUN)
    path = f"/api/v1/runs/{stored.RUN}/samples.csv"
    packed = world.client.get(path, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == world.client.get(path).data


def test_every_endpoint_declares_its_scope_and_says_what_it_is() -> None:
    known = {PUBLIC, *map(str, Scope)}
    for endpoint in ENDPOINTS:
        assert endpoint.scope in known
        assert endpoint.summary, endpoint.name
    declared = {e.name: str(e.scope) for e in ENDPOINTS}
    assert len(declared) == len(ENDPOINTS)
    changing = {e.name for e in ENDPOINTS if e.method != "GET"} - {"experiments.validate"}
    public = {name for name in changing if declared[name] == PUBLIC}
    # The token of a one-time link is what lets its form in.
    assert public == {"login.enter", "login.leave", "approval-pages.decide"}
    assert {declared[name] for name in changing} == {PUBLIC, "run", "admin", "webhook"}
    assert [name for name in changing if declared[name] == "webhook"] == ["webhooks.alertmanager"]
    assert declared["runs.delete"] == "admin"


def test_every_route_is_declared(world: World) -> None:
    declared = {e.name for e in ENDPOINTS}
    assert {rule.endpoint for rule in world.app.url_map.iter_rules()} == declared


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ({Scope.READ}, {"public", "read"}),
        ({Scope.RUN}, {"public", "read", "run"}),
        ({Scope.WEBHOOK}, {"public", "webhook"}),
        ({Scope.ADMIN}, {"public", "read", "run", "webhook", "admin"}),
        (set(), {"public"}),
    ],
)
def test_a_scope_opens_what_it_includes_and_nothing_else(
    tmp_path: Path, scopes: set[Scope], allowed: set[str]
) -> None:
    world = make_world(tmp_path, identify=lambda _: Identity("token:t", frozenset(scopes)))
    for endpoint in ENDPOINTS:
        path = endpoint.rule.replace("<any(svg,png):format>", "svg").replace(
            "<any(csv,parquet):form>", "csv"
        )
        path = path.replace("<run>", "r").replace("<experiment>", "e").replace("<window>", "w")
        answer = world.client.open(path, method=endpoint.method)
        refused = answer.status_code == 403
        assert refused == (str(endpoint.scope) not in allowed), endpoint.name


def test_a_stranger_is_asked_for_credentials(tmp_path: Path) -> None:
    world = make_world(tmp_path, identify=lambda _: None)
    answer = world.client.get("/api/v1/runs")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert world.client.get("/healthz").status_code == 200
    # Where nothing is, there is nothing to protect, and nothing is told.
    assert world.client.get("/api/v1/nowhere").status_code == 404


def test_the_document_speaks_of_credentials_only_where_they_are_asked_for(tmp_path: Path) -> None:
    admin = Identity("token:t", frozenset({Scope.ADMIN}))
    world = make_world(tmp_path, identify=lambda _: admin)
    document = body_of(world.client.get("/api/v1/openapi.json"))
    post = document["paths"]["/api/v1/runs"]["post"]
    assert post["security"] == [{"token": ["run"]}]
    assert {"401", "403"} <= set(post["responses"])
    assert document["paths"]["/healthz"]["get"]["security"] == []
    open_one = make_world(tmp_path)
    document = body_of(open_one.client.get("/api/v1/openapi.json"))
    assert "security" not in document["paths"]["/api/v1/runs"]["post"]


def test_the_document_is_a_valid_openapi_document(world: World) -> None:
    from openapi_spec_validator import validate

    document = body_of(world.client.get("/api/v1/openapi.json"))
    validate(document)
    assert document["openapi"].startswith("3.1")


def test_the_page_shows_every_endpoint_and_asks_nothing_of_others(world: World) -> None:
    answer = world.client.get("/api/v1/docs")
    text = answer.get_data(as_text=True)
    for endpoint in (e for r in RESOURCES if r.documented for e in r.endpoints):
        assert f'id="{endpoint.name.replace(".", "_")}"' in text
    assert "//" not in text.replace("://", "").split("<body>")[0]
    assert "<script" not in text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert world.client.get("/api/v1/docs.css").mimetype == "text/css"


def test_head_is_a_get_without_its_body(world: World) -> None:
    world.keep(stored.RUN)
    path = f"/api/v1/runs/{stored.RUN}/verdict"
    head, get = world.client.head(path), world.client.get(path)
    assert head.data == b""
    assert head.headers["ETag"] == get.headers["ETag"]
    assert json.loads(get.data)["run"] == stored.RUN


def test_requests_are_logged_on_one_line_without_their_query(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = make_world(tmp_path, settings={"access_log": True})
    with caplog.at_level(logging.INFO, "sloguard.access"):
        world.client.get("/api/v1/runs/a%0Ab?token=hunter2", headers={"X-Request-Id": "id-1"})
    [record] = [r for r in caplog.records if r.name == "sloguard.access"]
    assert record.request_id == "id-1"  # type: ignore[attr-defined]  # an extra
    assert record.getMessage().startswith(r"anonymous GET /api/v1/runs/a\nb 422 ")
    assert "hunter2" not in record.getMessage()
