"""Tokens: what each opens, how wrong ones are met, basic authentication, users of a proxy."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Response

from sloguard.ports.service import Scope, ServiceError
from sloguard.settings.groups import ServeSettings
from sloguard.web.access.authentication import scopes_of_users
from sloguard.web.access.exposure import is_open_to_others, wants_auth
from sloguard.web.access.limits import WRONG_AT_ONCE, Buckets
from sloguard.web.access.starting import misfits, told
from sloguard.web.endpoints import Answer, Resource
from sloguard.web.resources import RESOURCES
from tests.support.callers import bearer, make_token
from tests.support.service import NOW, World, body_of, make_world

RUNS = "/api/v1/runs"
#: As a receiver of alerts would be declared.
hook = Resource("hook", documented=False)


@hook.post(
    "/hook", scope=Scope.WEBHOOK, raw=("application/json",), answers=[Answer(description="")]
)
def receive() -> Response:
    """It takes alerts."""
    return Response("taken")


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path, authenticate=True, resources=(*RESOURCES, hook))
    yield made
    made.store.dispose()


def basic(user: str, password: str) -> dict[str, str]:
    text = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


def test_a_token_opens_what_its_scope_says(guarded: World) -> None:
    client = guarded.client
    order = {"experiment": "checkout", "dry_run": True}
    expected = {
        Scope.READ: (200, 403, 403, 403),
        Scope.RUN: (200, 201, 403, 403),
        Scope.WEBHOOK: (403, 403, 200, 403),
        Scope.ADMIN: (200, 201, 200, 200),
    }
    for scope, statuses in expected.items():
        _, secret = make_token(guarded, scope)
        shown = bearer(secret)
        answers = (
            client.get(RUNS, headers=shown),
            client.post(RUNS, json=order, headers=shown),
            client.post("/hook", json={}, headers=shown),
            client.get("/api/v1/audit", headers=shown),
        )
        assert tuple(a.status_code for a in answers) == statuses, scope
    job = guarded.store.jobs()[0]
    assert job.requested_by == "token:admin"
    assert job.requested_from == "127.0.0.1"


@pytest.mark.parametrize(
    "shown",
    [
        "Bearer",
        "Bearer ",
        "Bearer slg_000000000000_" + "A" * 43,
        "Bearer ' OR 1=1 --",
        "Bearer " + "x" * 8000,
        "Bearer \xe9",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        "Negotiate abc",
        "slg_x",
        "",
    ],
)
def test_wrong_credentials_are_refused_even_where_none_are_needed(
    guarded: World, shown: str
) -> None:
    for path in (RUNS, "/healthz"):
        answer = guarded.client.get(path, headers={"Authorization": shown})
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert shown[7:] == "" or shown[7:] not in answer.get_data(as_text=True)


def test_a_token_ends_with_its_time_and_when_it_is_revoked(tmp_path: Path) -> None:
    now = [NOW]
    world = make_world(tmp_path, authenticate=True, now=lambda: now[0])
    _, short = make_token(world, Scope.READ, name="short", lasts=60.0)
    token, secret = make_token(world, Scope.READ, name="other")
    client = world.client
    assert client.get(RUNS, headers=bearer(short)).status_code == 200
    now[0] += 60
    assert client.get(RUNS, headers=bearer(short)).status_code == 401
    assert client.get(RUNS, headers=bearer(secret)).status_code == 200
    world.store.revoke_token(token.id)
    assert client.get(RUNS, headers=bearer(secret)).status_code == 401


def test_basic_authentication_is_for_webhooks_alone(guarded: World) -> None:
    client = guarded.client
    _, webhook = make_token(guarded, Scope.WEBHOOK)
    _, admin = make_token(guarded, Scope.ADMIN)
    for shown in (basic("alertmanager", webhook), basic(webhook, ""), basic("x", admin)):
        assert client.post("/hook", json={}, headers=shown).status_code == 200
        assert client.get(RUNS, headers=shown).status_code == 403
    assert client.post("/hook", json={}, headers=basic("x", "wrong")).status_code == 401
    # A browser would send what it has kept along with whatever another site asks it for.
    foreign = {**basic("x", webhook), "Origin": "https://evil.test"}
    assert client.post("/hook", json={}, headers=foreign).status_code == 403
    asked = client.post("/hook", json={}).headers["WWW-Authenticate"]
    assert "Basic" in asked
    assert "Basic" not in client.get(RUNS).headers["WWW-Authenticate"]


def test_guessing_is_slow_and_locks_nobody_out(tmp_path: Path) -> None:
    clock = [100.0]
    world = make_world(tmp_path, authenticate=True, monotonic=lambda: clock[0])
    _, good = make_token(world, Scope.READ, name="good")
    _, fresh = make_token(world, Scope.READ, name="fresh")
    client = world.client
    assert client.get(RUNS, headers=bearer(good)).status_code == 200

    def guess(address: str = "203.0.113.9") -> int:
        wrong = bearer("slg_000000000000_" + "B" * 43)
        return client.get(RUNS, headers=wrong, environ_base={"REMOTE_ADDR": address}).status_code

    assert [guess() for _ in range(WRONG_AT_ONCE + 5)] == [401] * WRONG_AT_ONCE + [429] * 5
    here = {"REMOTE_ADDR": "203.0.113.9"}
    # Who was known before goes on; who comes for the first time from there has to wait.
    assert client.get(RUNS, headers=bearer(good), environ_base=here).status_code == 200
    answer = client.get(RUNS, headers=bearer(fresh), environ_base=here)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "6")
    assert guess("203.0.113.10") == 401
    clock[0] += 6.1
    assert [guess(), guess()] == [401, 429]
    # An IPv6 client has a network to itself.
    six = [guess(f"2001:db8::{n:x}") for n in range(1, WRONG_AT_ONCE + 3)]
    assert six == [401] * WRONG_AT_ONCE + [429] * 2


def test_each_client_has_its_own_limit_on_every_endpoint(tmp_path: Path) -> None:
    clock = [0.0]
    world = make_world(
        tmp_path, authenticate=True, settings={"rate_limit": 2.0}, monotonic=lambda: clock[0]
    )
    _, one = make_token(world, Scope.READ, name="one")
    _, two = make_token(world, Scope.READ, name="two")
    client = world.client
    statuses = [client.get(RUNS, headers=bearer(one)).status_code for _ in range(22)]
    assert statuses == [200] * 20 + [429] * 2
    answer = client.get(RUNS, headers=bearer(one))
    assert body_of(answer)["type"].endswith("rate-limited")
    assert answer.headers["Retry-After"] == "1"
    assert client.get(RUNS, headers=bearer(two)).status_code == 200
    clock[0] += 1.0
    assert [client.get(RUNS, headers=bearer(one)).status_code for _ in range(3)] == [200, 200, 429]
    # Strangers by their address, wherever they go.
    places = ("/static/x/y", "/login", "/nowhere", RUNS)
    found = [client.get(places[n % 4]).status_code for n in range(24)]
    assert 429 not in found[:20]
    assert found[20:] == [429] * 4
    # A machine that is refused its probes would end the service.
    for probe in ("/healthz", "/readyz"):
        assert [client.get(probe).status_code for _ in range(30)] == [200] * 30


def test_a_bucket_forgets_the_clients_seen_longest_ago() -> None:
    buckets = Buckets(0.1, 1.0, monotonic=lambda: 0.0, most=3)
    assert [buckets.take(k) for k in "abcab"] == [0.0, 0.0, 0.0, 10.0, 10.0]
    assert buckets.take("d") == 0.0
    assert len(buckets._levels) == 3
    assert buckets.take("a") == 0.0


PROXY = {
    "trusted_proxies": ("10.0.0.0/8", "fd00::/8"),
    "proxy_user_header": "X-Forwarded-User",
    "proxy_groups_header": "X-Forwarded-Groups",
    "proxy_scopes": {"*": "read", "group:sre": "run", "ada@example.com": "admin"},
}


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path, authenticate=True, settings=PROXY)
    yield made
    made.store.dispose()


def by_proxy(world: World, path: str, peer: str = "10.1.1.1", **headers: str) -> int:
    given = {name.replace("_", "-"): text for name, text in headers.items()}
    return world.client.get(path, headers=given, environ_base={"REMOTE_ADDR": peer}).status_code


def test_a_trusted_proxy_says_who_it_is(proxied: World) -> None:
    assert by_proxy(proxied, RUNS, X_Forwarded_User="bob") == 200
    assert by_proxy(proxied, "/api/v1/audit", X_Forwarded_User="bob") == 403
    assert by_proxy(proxied, "/api/v1/audit", X_Forwarded_User="ada@example.com") == 200
    assert by_proxy(proxied, RUNS) == 401
    answer = proxied.client.delete(
        f"{RUNS}/x",
        headers={"X-Forwarded-User": "bob", "X-Forwarded-Groups": "dev, sre"},
        environ_base={"REMOTE_ADDR": "10.1.1.1"},
    )
    assert "'admin'; yours: read, run" in body_of(answer)["detail"]


def test_nobody_else_does(proxied: World) -> None:
    for peer in ("203.0.113.5", "127.0.0.1", "::1", "2001:db8::1", "", "10.0.0.0.1"):
        assert by_proxy(proxied, RUNS, peer=peer, X_Forwarded_User="ada@example.com") == 401
    assert by_proxy(proxied, RUNS, peer="fd00::5", X_Forwarded_User="bob") == 200
    assert by_proxy(proxied, RUNS, peer="::ffff:10.1.1.1", X_Forwarded_User="bob") == 200
    # Not by a header that names an address of the proxies.
    forged = {"X_Forwarded_User": "ada@example.com", "X_Forwarded_For": "10.1.1.1"}
    assert by_proxy(proxied, RUNS, peer="203.0.113.5", **forged) == 401


@pytest.mark.parametrize("name", ["ada@example.com,bob", "a b", "a\x7f", "\xe9", "x" * 201])
def test_a_name_that_may_be_two_is_none(proxied: World, name: str) -> None:
    assert by_proxy(proxied, RUNS, X_Forwarded_User=name) == 401


@pytest.mark.parametrize(
    ("peer", "chain", "expected"),
    [
        ("10.1.1.1", "198.51.100.7", "198.51.100.7"),
        ("10.1.1.1", "1.2.3.4, 198.51.100.7, 10.9.9.9", "198.51.100.7"),
        ("10.1.1.1", "1.2.3.4, nonsense, 10.9.9.9", "10.9.9.9"),
        ("10.1.1.1", "[2001:db8::7]:443", "2001:db8::7"),
        ("10.1.1.1", "198.51.100.7:8080", "198.51.100.7"),
        ("10.1.1.1", "", "10.1.1.1"),
        ("203.0.113.5", "198.51.100.7", "203.0.113.5"),
    ],
)
def test_the_address_is_that_of_the_nearest_stranger(
    proxied: World, peer: str, chain: str, expected: str
) -> None:
    _, secret = make_token(proxied, Scope.RUN)
    answer = proxied.client.post(
        RUNS,
        json={"experiment": "checkout", "dry_run": True},
        headers={**bearer(secret), "X-Forwarded-For": chain},
        environ_base={"REMOTE_ADDR": peer},
    )
    assert answer.status_code == 201
    assert proxied.store.jobs()[0].requested_from == expected


@pytest.mark.parametrize(
    ("change", "wants", "is_open"),
    [
        ({}, False, False),
        ({"bind": "[::1]:8088"}, False, False),
        ({"bind": "localhost:1"}, False, False),
        ({"bind": "0.0.0.0:8088"}, True, False),
        ({"bind": "sloguard.test:8088"}, True, False),
        ({"base_url": "https://sloguard.test"}, True, False),
        ({"trusted_proxies": ("127.0.0.1",)}, True, False),
        ({"auth": "on"}, True, False),
        ({"auth": "off"}, False, False),
        ({"auth": "off", "bind": "0.0.0.0:8088"}, False, True),
    ],
)
def test_credentials_are_asked_for_unless_only_this_machine_can_reach_it(
    change: dict[str, object], wants: bool, is_open: bool
) -> None:
    serve = replace(ServeSettings(), **change)  # type: ignore[arg-type]  # a table
    assert (wants_auth(serve), is_open_to_others(serve)) == (wants, is_open)


def test_what_is_said_at_the_start(guarded: World) -> None:
    loud = replace(ServeSettings(), auth="off", bind="0.0.0.0:8088")
    [text] = told(loud, guarded.store)
    assert "AUTHENTICATION IS OFF" in text
    strict = replace(ServeSettings(), auth="on")
    guarded.store.create_token("late", [Scope.READ], expires_at=NOW)
    assert ["sloguard token create" in text for text in told(strict, guarded.store)] == [True]
    guarded.store.create_token("ci", [Scope.READ])
    assert list(told(strict, guarded.store)) == []
    assert "every user of this machine" in next(iter(told(ServeSettings(), guarded.store)))


def test_settings_that_cannot_be_meant_are_told_all_at_once() -> None:
    serve = replace(
        ServeSettings(),
        trusted_proxies=("10.0.0.0/8", "proxy.test"),
        proxy_user_header="Authorization",
        proxy_groups_header="X Groups",
        proxy_scopes={"*": "everything"},
        base_url="sloguard.test",
    )
    assert {m.setting for m in misfits(serve)} == {
        "serve.trusted_proxies",
        "serve.proxy_user_header",
        "serve.proxy_groups_header",
        "serve.proxy_scopes",
        "serve.base_url",
    }
    alone = replace(ServeSettings(), proxy_user_header="X-User", base_url="https://a.test/b")
    assert [m.setting for m in misfits(alone)] == ["serve.proxy_user_header", "serve.base_url"]
    assert list(misfits(ServeSettings())) == []
    assert scopes_of_users({"a": "read+run"}) == {"a": {Scope.READ, Scope.RUN}}
    with pytest.raises(ServiceError, match="expected read, run"):
        scopes_of_users({"a": "root"})
