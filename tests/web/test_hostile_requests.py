"""Requests of somebody who means harm, in this process: bodies, paths, parameters, headers, time."""

from __future__ import annotations

import json
import re
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from sloguard.ports.service import Scope
from sloguard.web.resources import RESOURCES
from tests.support import runs as stored
from tests.support.callers import bearer, browser, csrf_in, make_token
from tests.support.patience import SOON
from tests.support.service import EXPERIMENT, World, body_of, make_world

ENDPOINTS = [e for resource in RESOURCES for e in resource.endpoints]
RUNS, VALIDATE = "/api/v1/runs", "/api/v1/experiments/validate"
JSON = "application/json"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = make_world(tmp_path_factory.mktemp("hostile"))
    made.is_stopping[0] = True
    made.keep(stored.RUN)
    yield made
    made.store.dispose()


def filled(rule: str) -> str:
    """A rule with something in every place."""
    rule = rule.replace("<any(svg,png):format>", "svg").replace("<any(csv,parquet):form>", "csv")
    rule = rule.replace("<run>", stored.RUN).replace("<experiment>", "checkout")
    return re.sub(r"<[^>]+>", "x", rule)


DEEP = 100_000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"1e999",
        b'"' + b"a" * 10_000 + b'"',
        b"[" * DEEP + b"]" * DEEP,
        b'{"a":' * DEEP + b"1" + b"}" * DEEP,
        b'{"definition":' + b'{"a":' * 3000 + b"1" + b"}" * 3000 + b"}",
        b'{"variables":' + b"[" * 3000 + b"]" * 3000 + b"}",
        b'{"experiment": "checkout", "variables": {"replicas": ' + b"9" * 5000 + b"}}",
        b'{"experiment": "checkout", "seed": 1e308}',
        b'{"experiment": "checkout", "experiment": "broken"}',
        b'{"experiment": "\\ud800"}',
        b'{"experiment": "checkout\\u0000"}',
        b"\xff\xfe{\x00}\x00",
        b"\xef\xbb\xbf{}",
        b'{"__class__": "os.system", "__proto__": {"admin": true}}',
        b"!!python/object/apply:os.system ['true']",
        b"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
        b"c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
        b"e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n",
    ],
    ids=range(20),
)
def test_no_body_breaks_anything(world: World, body: bytes) -> None:
    kinds = {JSON, "application/yaml", "application/x-www-form-urlencoded"}
    for endpoint in ENDPOINTS:
        if endpoint.body is None and not endpoint.raw:
            continue
        for kind in kinds if endpoint.raw else {JSON}:
            began = time.monotonic()
            answer = world.client.open(
                filled(endpoint.rule), method=endpoint.method, data=body, content_type=kind
            )
            assert answer.status_code < 500, (endpoint.name, body[:60])
            assert time.monotonic() - began < SOON, (endpoint.name, body[:60])
            assert b"Traceback" not in answer.data


def test_a_huge_body_is_not_even_read(world: World) -> None:
    for endpoint in ENDPOINTS:
        if endpoint.body is None and not endpoint.raw:
            continue
        answer = world.client.open(
            filled(endpoint.rule),
            method=endpoint.method,
            content_type=endpoint.raw[0] if endpoint.raw else JSON,
            environ_overrides={"CONTENT_LENGTH": str(1 << 40)},
        )
        # Of what Alertmanager sends the beginning is kept, for whoever wants to know what it was.
        expected = (400, 413) if endpoint.name == "webhooks.alertmanager" else (413,)
        assert answer.status_code in expected, endpoint.name


TRICKS = [
    "../../../../etc/passwd",
    "..%2f..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "%252e%252e%252fetc%252fpasswd",
    "..\\..\\..\\etc\\passwd",
    "..%5c..%5cetc%5cpasswd",
    "%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd",
    "%ef%bc%8e%ef%bc%8e/etc/passwd",
    "checkout.yaml%00",
    "%00",
    "/etc/passwd",
    "//etc/passwd",
    "checkout/../broken",
    "./checkout",
    "file:%2f%2f%2fetc%2fpasswd",
    "CON",
    "%0d%0aX-Evil:%201",
    "%f0%9f%92%a3",
    "%ff%fe",
    "a" * 5000,
]


@pytest.mark.parametrize("trick", TRICKS)
def test_no_path_leads_out(world: World, trick: str) -> None:
    for place in (
        f"{RUNS}/{trick}",
        f"{RUNS}/{trick}/verdict",
        f"{RUNS}/{stored.RUN}/{trick}",
        f"/api/v1/experiments/{trick}",
        f"/api/v1/badge/{trick}.svg",
        f"/api/v1/windows/{trick}",
        f"/static/{trick}",
        f"/static/x/{trick}",
        f"/experiments/{trick}",
        f"/x/{trick}",
    ):
        answer = world.client.get(place)
        assert answer.status_code in (303, 400, 404, 405, 422), place
        assert b"root:" not in answer.data
        assert str(world.directory).encode() not in answer.data
        assert "X-Evil" not in answer.headers
        assert "://" not in answer.headers.get("Location", "")
        assert not answer.headers.get("Location", "").startswith("//")


def test_a_name_in_a_body_leads_nowhere_else(world: World) -> None:
    (world.directory / "outside.yaml").write_text(EXPERIMENT)
    before = world.store.jobs()
    for name in ("../outside", "../outside.yaml", "/etc/passwd", "outside", str(world.directory)):
        for path, body in (
            (RUNS, {"experiment": name}),
            ("/api/v1/windows", {"slos": name}),
            (f"{RUNS}/{stored.RUN}/rejudge", {"slos": name}),
        ):
            answer = world.client.post(path, json=body)
            assert answer.status_code in (404, 422), (path, name)
    assert world.store.jobs() == before


SQL = [
    "'",
    "' OR '1'='1",
    "'; DROP TABLE runs; --",
    '" OR ""="',
    "1) UNION SELECT hash FROM tokens --",
    "%' OR 1=1 --",
    "\\",
    "%",
    "_",
    "%%%%",
    "checkou_",
    "CHECKOUT",
    "*",
    "checkout\x00",
]


@pytest.mark.parametrize("text", SQL)
def test_no_parameter_reaches_the_database_as_more_than_a_value(world: World, text: str) -> None:
    client = world.client
    for endpoint in ENDPOINTS:
        if endpoint.method != "GET" or endpoint.query is None:
            continue
        for name, field in endpoint.query.model_fields.items():
            given = {field.alias or name: text}
            answer = client.get(filled(endpoint.rule), query_string=given)
            assert answer.status_code < 500, (endpoint.name, given)
            said = answer.get_data(as_text=True)
            assert "sqlite" not in said.lower(), (endpoint.name, given)
            assert "syntax" not in said.lower()
    for name in ("tag", "experiment"):
        answer = client.get(RUNS, query_string={name: text})
        # A wildcard is a character like any other: no run is called so, or has such a tag.
        assert answer.status_code == 422 or body_of(answer)["runs"] == [], (name, text)
    found = client.get("/api/v1/audit", query_string={"who": text, "target": text})
    assert found.status_code == 422 or body_of(found)["entries"] == []
    path = quote(text, safe="")
    for place in (f"{RUNS}/{path}", f"/api/v1/windows/{path}", f"/api/v1/verdicts/{path}"):
        assert client.get(place).status_code in (404, 422), place
    assert [run.id for run in world.store.runs()] == [stored.RUN]


def test_a_search_takes_wildcards_for_what_they_are(world: World) -> None:
    for text in ("%", "_", "%osing", "L_sing", "' OR '1'='1", "x' UNION SELECT 1 --", "\0", "\\"):
        answer = world.client.get("/search", query_string={"q": text})
        assert answer.status_code == 200
        assert f"/runs/{stored.RUN}" not in answer.get_data(as_text=True), text
    answer = world.client.get("/search", query_string={"q": "Losing"})
    assert f"/runs/{stored.RUN}" in answer.get_data(as_text=True)


def test_a_method_is_what_it_says(world: World) -> None:
    place = f"{RUNS}/{stored.RUN}"
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        assert world.client.post(place, headers={name: "DELETE"}).status_code == 405
        assert world.client.get(place, headers={name: "DELETE"}).status_code == 200
    assert world.client.post(f"{place}?_method=DELETE").status_code == 405
    for method in ("TRACE", "CONNECT", "PROPFIND", "PATCH", "DEBUG"):
        assert world.client.open(place, method=method).status_code in (405, 501), method
    assert [run.id for run in world.store.runs()] == [stored.RUN]


def test_no_header_of_a_request_colours_what_others_are_sent(world: World) -> None:
    poison = {
        "X-Forwarded-Host": "evil.test",
        "X-Host": "evil.test",
        "X-Forwarded-Scheme": "http",
        "X-Forwarded-Proto": "gopher",
        "X-Original-URL": "/api/v1/audit",
        "X-Rewrite-URL": "/api/v1/audit",
        "X-Forwarded-Prefix": "//evil.test",
        "Referer": "https://evil.test/",
        "User-Agent": "evil.test",
        "X-Request-Id": "evil.test<script>",
        "Accept-Language": "evil.test",
    }
    meant = make_world(world.directory, settings={"auth": "off"})
    meant.is_stopping[0] = True
    for endpoint in ENDPOINTS:
        if endpoint.method != "GET":
            continue
        answer = meant.client.get(filled(endpoint.rule), headers=poison)
        assert b"evil.test" not in answer.data, endpoint.name
        assert "evil.test" not in str(answer.headers), endpoint.name
        if answer.headers.get("Cache-Control", "").startswith("public"):
            assert endpoint.name == "assets.file"
    meant.store.dispose()


def test_what_is_private_is_kept_by_no_proxy(tmp_path: Path) -> None:
    world = make_world(tmp_path, authenticate=True)
    world.is_stopping[0] = True
    world.keep(stored.RUN)
    made = browser(world, Scope.ADMIN)
    for endpoint in ENDPOINTS:
        if endpoint.method != "GET" or endpoint.scope == "public":
            continue
        answer = made.client.get(filled(endpoint.rule))
        kept = answer.headers["Cache-Control"]
        assert "no-store" in kept or "private" in kept, (endpoint.name, kept)
    world.store.dispose()


def test_a_token_opens_no_endpoint_beyond_its_scope(tmp_path: Path) -> None:
    world = make_world(tmp_path, authenticate=True)
    world.is_stopping[0] = True
    includes = {
        Scope.READ: {"public", "read"},
        Scope.RUN: {"public", "read", "run"},
        Scope.WEBHOOK: {"public", "webhook"},
    }
    for scope, opened in includes.items():
        _, secret = make_token(world, scope)
        for endpoint in ENDPOINTS:
            answer = world.client.open(
                filled(endpoint.rule), method=endpoint.method, headers=bearer(secret)
            )
            refused = answer.status_code == 403
            assert refused == (str(endpoint.scope) not in opened), (scope, endpoint.name)
    for endpoint in ENDPOINTS:
        answer = world.client.open(filled(endpoint.rule), method=endpoint.method)
        if str(endpoint.scope) != "public":
            assert answer.status_code == 401, endpoint.name
    world.store.dispose()


def test_every_form_and_every_change_of_a_browser_needs_its_token(tmp_path: Path) -> None:
    world = make_world(tmp_path, authenticate=True)
    made = browser(world, Scope.ADMIN)
    stranger = csrf_in(world.client.get("/login"))
    for endpoint in ENDPOINTS:
        if endpoint.method == "GET":
            continue
        for fields in ({}, {"csrf_token": ""}, {"csrf_token": stranger}, {"csrf_token": "é"}):
            answer = made.client.open(
                filled(endpoint.rule), method=endpoint.method, data=fields or None
            )
            assert answer.status_code == 403, (endpoint.name, fields)
            as_json = made.client.open(
                filled(endpoint.rule), method=endpoint.method, data="{}", content_type=JSON
            )
            assert as_json.status_code == 403, endpoint.name
    assert world.store.jobs() == ()
    world.store.dispose()


def test_how_long_a_refusal_takes_tells_nothing(tmp_path: Path) -> None:
    """A known token with a wrong secret, and one that nobody has: both are looked for, and both compared."""
    world = make_world(tmp_path, authenticate=True)
    token, secret = make_token(world, Scope.READ)
    known = secret[:-4] + ("AAAA" if secret[-4:] != "AAAA" else "BBBB")
    unknown = f"slg_{'0' * 12}_{'A' * 43}"
    assert token.id in known
    spent: dict[str, list[float]] = {known: [], unknown: []}
    for _ in range(300):
        for words, times in spent.items():
            began = time.perf_counter()
            assert world.store.verify_token(words) is None
            times.append(time.perf_counter() - began)
    fast, slow = sorted(statistics.median(times) for times in spent.values())
    # Reading a row that is there takes a little longer than finding none; guessing needs far more.
    assert slow - fast < max(0.002, fast)
    world.store.dispose()


def test_the_audit_log_has_every_change_and_its_author(tmp_path: Path) -> None:
    world = make_world(tmp_path, authenticate=True)
    world.keep(stored.RUN)
    _, secret = make_token(world, Scope.ADMIN, name="ada")
    client, shown = world.client, bearer(secret)
    here = {"environ_base": {"REMOTE_ADDR": "198.51.100.7"}, "headers": shown}

    def post(path: str, **body: Any) -> Any:
        return client.post(path, json=body, **here)

    started = post(RUNS, experiment="checkout", variables={"replicas": 2}, tags=["x" * 90])
    run = body_of(started)["run"]
    post(f"{RUNS}/{run}/abort", reason="enough")
    window = body_of(post("/api/v1/windows", slos="checkout", tool="litmus"))["window"]
    post(f"/api/v1/windows/{window}/close")
    again = body_of(post(f"{RUNS}/{stored.RUN}/rejudge"))["run"]
    assert client.delete(f"{RUNS}/{stored.RUN}", **here).status_code == 204
    # What was refused, and what only reads, has changed nothing.
    post(RUNS, experiment="nobody")
    post(VALIDATE, title="x")
    client.get(RUNS, **here)
    answer = client.get("/api/v1/audit?limit=4", **here)
    first = body_of(answer)
    rest = body_of(client.get(first["next"], **here))
    entries = (first["entries"] + rest["entries"])[::-1]
    assert [(e["action"], e["target"]) for e in entries] == [
        ("runs.start", run),
        ("runs.abort", run),
        ("windows.open", window),
        ("windows.close", window),
        ("runs.rejudge", stored.RUN),
        ("runs.delete", stored.RUN),
    ]
    assert {(e["who"], e["from"]) for e in entries} == {("token:ada", "198.51.100.7")}
    asked = entries[0]["detail"]["asked"]
    assert (asked["experiment"], asked["variables"]) == ("checkout", {"replicas": 2})
    assert entries[1]["detail"]["asked"] == {"reason": "enough"}
    assert secret not in json.dumps(entries)
    found = body_of(client.get(f"/api/v1/audit?target={run}&who=token:ada", **here))
    assert [e["action"] for e in found["entries"]] == ["runs.abort", "runs.start"]
    assert again
    world.store.dispose()


def test_a_form_is_written_down_as_well_without_its_token(tmp_path: Path) -> None:
    world = make_world(tmp_path, authenticate=True)
    made = browser(world, Scope.RUN)
    page = made.client.get("/experiments/checkout")
    token = csrf_in(page)
    answer = made.client.post(
        "/experiments/checkout/plan", data={"csrf_token": token, "var.replicas": "2"}
    )
    assert answer.status_code == 303, answer.get_data(as_text=True)
    [entry, _login] = world.store.audit_entries()
    assert (entry.who, entry.target) == ("token:run", "checkout")
    assert entry.detail["made"] == world.store.jobs()[0].id
    assert entry.detail["asked"] == {"var.replicas": "2"}
    assert token not in str(entry)
    world.store.dispose()


def test_secrets_are_no_variables_and_stay_out_of_every_answer(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    word = "hunter2-is-secret"
    text = EXPERIMENT.replace(
        "configuration:\n",
        f"secrets:\n  shop: {{token: {word}}}\nconfiguration:\n  home: {{type: env, key: HOME}}\n",
    )
    (world.directory / "experiments" / "secretive.yaml").write_text(text)
    client = world.client
    for variables in (
        {"token": "x"},
        {"shop": "x"},
        {"shop.token": "x"},
        {"secrets": "x"},
        {"namespace": {"type": "env", "key": "HOME"}},
        {"namespace": [{"type": "file", "path": "/etc/passwd"}]},
        {"namespace": {"type": "probe", "provider": {"type": "process", "path": "id"}}},
    ):
        answer = client.post(RUNS, json={"experiment": "secretive", "variables": variables})
        assert answer.status_code == 422, variables
    for place in (
        "/api/v1/experiments",
        "/api/v1/experiments/secretive",
        "/experiments",
        "/experiments/secretive",
    ):
        answer = client.get(place)
        assert answer.status_code == 200
        assert word not in answer.get_data(as_text=True), place
    assert world.store.jobs() == ()
    world.store.dispose()
