"""Browsers: logging in and out, cookies, forms that only our own pages can send."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sloguard.ports.service import Scope
from sloguard.settings.groups import ServeSettings
from sloguard.web.access.browsers import local_path
from sloguard.web.access.limits import WRONG_AT_ONCE
from tests.support.callers import Browser, bearer, browser, cookies_of, csrf_in, make_token
from tests.support.service import NOW, World, body_of, make_world

RUNS = "/api/v1/runs"
ORDER = {"experiment": "checkout", "dry_run": True}


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path, authenticate=True)
    yield made
    made.store.dispose()


def test_a_login_lasts_until_the_logout(guarded: World) -> None:
    made = browser(guarded, Scope.READ)
    client = made.client
    assert client.get(RUNS).status_code == 200
    kept = made.cookie()
    page = client.get("/login")
    left = client.post("/logout", data={"csrf_token": csrf_in(page)})
    assert (left.status_code, left.headers["Location"]) == (303, "/login")
    assert made.cookie() == ""
    client.set_cookie("sloguard_session", kept)
    assert client.get(RUNS).status_code == 401
    actions = [(e.action, e.who, e.where) for e in guarded.store.audit_entries()]
    assert actions == [
        ("login.leave", "token:read", "127.0.0.1"),
        ("login.enter", "token:read", "127.0.0.1"),
    ]


def test_the_cookie_is_for_our_pages_alone(guarded: World, tmp_path: Path) -> None:
    _, secret = make_token(guarded, Scope.READ)
    answer = Browser(guarded.client).log_in(secret)
    [cookie] = [c for c in cookies_of(answer) if c.startswith("sloguard_session=")]
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert "Domain" not in cookie
    assert secret not in cookie


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({"base_url": "https://sloguard.test"}, {}),
        ({}, {"base_url": "https://localhost"}),
        (
            {"trusted_proxies": ("127.0.0.1",)},
            {"headers": {"X-Forwarded-Proto": "https"}},
        ),
    ],
)
def test_over_https_it_travels_by_nothing_else(
    tmp_path: Path, settings: dict[str, object], options: dict[str, object]
) -> None:
    world = make_world(tmp_path, authenticate=True, settings=settings)
    _, secret = make_token(world, Scope.READ)
    client = world.client
    page = client.get("/login", **options)  # type: ignore[arg-type]  # a table
    [visitor] = cookies_of(page)
    assert visitor.startswith("__Host-sloguard_visitor=")
    answer = client.post(
        "/login",
        data={"csrf_token": csrf_in(page), "token": secret},
        **{
            **options,
            "headers": {
                **options.get("headers", {}),  # type: ignore[dict-item]  # a table
                "Cookie": visitor.partition(";")[0],
            },
        },
    )
    [cookie] = [c for c in cookies_of(answer) if "session" in c]
    assert cookie.startswith("__Host-sloguard_session=")
    assert {"Secure", "HttpOnly", "Path=/"} <= set(cookie.split("; "))
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")


def test_a_login_ends_with_its_time_its_token_and_the_tokens_time(tmp_path: Path) -> None:
    now = [NOW]
    world = make_world(
        tmp_path, authenticate=True, now=lambda: now[0], settings={"session_hours": 1.0}
    )
    token, secret = make_token(world, Scope.READ, name="long", lasts=None)
    _, short = make_token(world, Scope.READ, name="short", lasts=600.0)
    one, two, three = (browser(world, secret=s) for s in (secret, secret, short))
    assert [b.client.get(RUNS).status_code for b in (one, two, three)] == [200] * 3
    now[0] += 600
    assert [b.client.get(RUNS).status_code for b in (one, two, three)] == [200, 200, 401]
    now[0] += 2999
    assert one.client.get(RUNS).status_code == 200
    now[0] += 1
    assert one.client.get(RUNS).status_code == 401
    two = browser(world, secret=secret)
    world.store.revoke_token(token.id)
    assert two.client.get(RUNS).status_code == 401


def test_every_replica_knows_a_login(guarded: World) -> None:
    made = browser(guarded, Scope.READ)
    other = make_world(guarded.directory, authenticate=True, url=str(guarded.directory / "runs.db"))
    client = other.client
    client.set_cookie("sloguard_session", made.cookie())
    assert client.get(RUNS).status_code == 200
    other.store.dispose()


def test_people_are_led_to_the_login_and_back(guarded: World) -> None:
    client = guarded.client
    page = client.get("/api/v1/docs?", headers={"Accept": "text/html,*/*;q=0.8"})
    assert (page.status_code, page.headers["Location"]) == (303, "/login?next=%2Fapi%2Fv1%2Fdocs")
    assert client.get("/api/v1/docs", headers={"Accept": "application/json"}).status_code == 401
    form = client.get(page.headers["Location"])
    assert 'name="next" value="/api/v1/docs"' in form.get_data(as_text=True)
    _, secret = make_token(guarded, Scope.READ)
    answer = Browser(client).log_in(secret, next="/api/v1/docs")
    assert answer.headers["Location"] == "/api/v1/docs"
    assert client.get("/api/v1/docs").status_code == 200


@pytest.mark.parametrize(
    "place",
    [
        "//evil.test",
        "///evil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "https://evil.test/",
        "javascript:alert(1)",
        "/\t/evil.test",
        "/\n/evil.test",
        " //evil.test",
        "evil.test",
        "/%0d%0aSet-Cookie: a=b\r\nX: y",
        "/ünï",
        "/login?next=/login",
        "/logout",
        "/" + "a" * 3000,
        "",
        None,
    ],
)
def test_a_login_leads_nowhere_else(guarded: World, place: str | None) -> None:
    assert local_path(place) == "/"
    if place is None or len(place) > 2000:
        return
    page = guarded.client.get("/login", query_string={"next": place})
    assert 'name="next" value="/"' in page.get_data(as_text=True)
    _, secret = make_token(guarded, Scope.READ)
    answer = Browser(guarded.client).log_in(secret, next=place)
    assert answer.headers["Location"] == "/"


def test_a_place_of_ours_is_kept_whole() -> None:
    for place in ("/", "/runs/a?slo=x&theme=dark#y", "/search?q=%2e%2e", "/a//b"):
        assert local_path(place) == place


def test_a_wrong_token_is_told_on_the_form_and_written_down(guarded: World) -> None:
    client = guarded.client
    token, secret = make_token(guarded, Scope.READ)
    guarded.store.revoke_token(token.id)
    answer = Browser(client).log_in(secret)
    assert answer.status_code == 401
    assert 'role="alert"' in answer.get_data(as_text=True)
    assert secret not in answer.get_data(as_text=True)
    [entry] = guarded.store.audit_entries()
    assert (entry.action, entry.target) == ("credentials.refused", f"token:{token.id}")
    assert secret not in str(entry)
    for _ in range(WRONG_AT_ONCE - 1):
        assert Browser(client).log_in("nonsense").status_code == 401
    late = Browser(client).log_in("nonsense")
    assert late.status_code == 429
    assert 1 <= int(late.headers["Retry-After"]) <= 6
    assert len(guarded.store.audit_entries()) == WRONG_AT_ONCE


def test_a_webhook_token_shows_no_pages(guarded: World) -> None:
    _, secret = make_token(guarded, Scope.WEBHOOK)
    answer = Browser(guarded.client).log_in(secret)
    assert answer.status_code == 403
    assert "webhooks" in answer.get_data(as_text=True)
    assert not [c for c in cookies_of(answer) if "session" in c]


def test_a_session_that_was_there_before_is_not_the_one_afterwards(guarded: World) -> None:
    _, secret = make_token(guarded, Scope.READ)
    made = Browser(guarded.client)
    planted = "A" * 43
    made.client.set_cookie("sloguard_session", planted)
    assert made.log_in(secret).status_code == 303
    first = made.cookie()
    assert first != planted
    assert made.log_in(secret).status_code == 303
    second = made.cookie()
    assert second != first
    made.client.set_cookie("sloguard_session", first)
    assert made.client.get(RUNS).status_code == 401


@pytest.mark.parametrize("change", ["upper", "cut", "longer", "other", "quoted", "empty"])
def test_a_cookie_that_was_tampered_with_is_none(guarded: World, change: str) -> None:
    made = browser(guarded, Scope.ADMIN)
    good = made.cookie()
    changed = {
        "upper": good.swapcase(),
        "cut": good[:-1],
        "longer": good + "A",
        "other": good[:-1] + ("A" if good[-1] != "A" else "B"),
        "quoted": f'"{good}"x',
        "empty": "",
    }[change]
    made.client.set_cookie("sloguard_session", changed)
    assert made.client.get(RUNS).status_code == 401


def test_what_a_session_changes_needs_the_token_of_its_page(guarded: World) -> None:
    made = browser(guarded, Scope.RUN)
    client = made.client
    assert client.post(RUNS, json=ORDER).status_code == 403
    token = csrf_in(client.get("/login"))
    ours = {"X-CSRF-Token": token}
    answer = client.post(RUNS, json=ORDER, headers=ours)
    assert answer.status_code == 201
    [entry, _] = guarded.store.audit_entries()
    assert (entry.action, entry.who) == ("runs.start", "token:run")
    assert client.post(RUNS, json=ORDER, headers={"X-CSRF-Token": token[:-1]}).status_code == 403
    assert client.post(RUNS, json=ORDER, headers={"X-CSRF-Token": ""}).status_code == 403
    # That of somebody else's page is as good as none, and so is one of before the login.
    other = browser(guarded, Scope.READ)
    theirs = csrf_in(other.client.get("/login"))
    assert client.post(RUNS, json=ORDER, headers={"X-CSRF-Token": theirs}).status_code == 403
    before = csrf_in(guarded.client.get("/login"))
    assert client.post(RUNS, json=ORDER, headers={"X-CSRF-Token": before}).status_code == 403


FOREIGN = [
    {"Origin": "https://evil.test"},
    {"Origin": "null"},
    {"Origin": "http://localhost.evil.test"},
    {"Origin": "http://localhost:81"},
    {"Origin": "http://sub.localhost"},
    {"Origin": "\xe9"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_another_site_changes_nothing(
    guarded: World, tmp_path: Path, headers: dict[str, str]
) -> None:
    made = browser(guarded, Scope.ADMIN)
    token = {"X-CSRF-Token": csrf_in(made.client.get("/login"))}
    answer = made.client.post(RUNS, json=ORDER, headers={**token, **headers})
    assert (answer.status_code, body_of(answer)["type"]) == (403, "urn:sloguard:problem:cross-site")
    # Where nobody is asked for credentials, the browser itself is the credential.
    (tmp_path / "open").mkdir()
    open_one = make_world(tmp_path / "open")
    assert open_one.client.post(RUNS, json=ORDER, headers=headers).status_code == 403
    assert open_one.client.post(f"{RUNS}/x/abort", headers=headers).status_code == 403
    assert open_one.store.jobs() == ()
    # A program that shows its token is not led by any site.
    _, secret = make_token(guarded, Scope.RUN)
    shown = {**bearer(secret), **headers}
    assert guarded.client.post(RUNS, json=ORDER, headers=shown).status_code == 201
    open_one.store.dispose()


def test_our_own_pages_and_programs_do(tmp_path: Path) -> None:
    world = make_world(tmp_path, settings={"base_url": "http://sloguard.localhost"})
    for headers in (
        {},
        {"Origin": "http://localhost"},
        {"Origin": "http://sloguard.localhost"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://behind-a-proxy.test"},
        {"Sec-Fetch-Site": "none"},
    ):
        assert world.client.post(RUNS, json=ORDER, headers=headers).status_code == 201
    world.store.dispose()


def test_a_proxys_user_needs_it_as_well(tmp_path: Path) -> None:
    world = make_world(
        tmp_path,
        authenticate=True,
        settings={
            "trusted_proxies": ("127.0.0.1",),
            "proxy_user_header": "X-User",
            "proxy_scopes": {"*": "run"},
        },
    )
    client, ada = world.client, {"X-User": "ada"}
    assert client.post(RUNS, json=ORDER, headers=ada).status_code == 403
    token = csrf_in(client.get("/login", headers=ada))
    shown = {**ada, "X-CSRF-Token": token}
    assert client.post(RUNS, json=ORDER, headers=shown).status_code == 201
    assert world.store.jobs()[0].requested_by == "user:ada"


def test_a_login_cannot_be_sent_by_another_site(guarded: World) -> None:
    _, secret = make_token(guarded, Scope.READ)
    client = guarded.client
    assert client.post("/login", data={"token": secret}).status_code == 403
    token = csrf_in(client.get("/login"))
    given = {"token": secret, "csrf_token": token}
    assert guarded.client.post("/login", data=given).status_code == 403
    evil = {"Origin": "https://evil.test"}
    assert client.post("/login", data=given, headers=evil).status_code == 403
    assert client.post("/login", data=given, content_type="multipart/form-data").status_code == 403
    assert client.post("/login", json=given).status_code == 415
    assert client.post("/login", data=given).status_code == 303


def test_a_page_with_a_form_is_kept_nowhere(guarded: World) -> None:
    page = guarded.client.get("/login")
    assert page.headers["Cache-Control"] == "no-store"
    first, second = csrf_in(page), csrf_in(guarded.client.get("/login"))
    assert first != second


def test_without_authentication_there_is_nothing_to_log_in_to(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    answer = world.client.get("/login?next=/api/v1/docs")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/api/v1/docs")
    world.store.dispose()


OPEN = {"127.0.0.1:8088", "localhost", "[::1]:8088", "10.0.0.5", "a.localhost:1", "LOCALHOST."}


@pytest.mark.parametrize(
    "host", [*sorted(OPEN), "evil.test", "localhost.evil.test", "127.0.0.1.nip.test"]
)
def test_no_name_of_others_leads_to_an_open_service(tmp_path: Path, host: str) -> None:
    world = make_world(tmp_path)
    answer = world.client.get("/healthz", headers={"Host": host})
    assert answer.status_code == (200 if host in OPEN else 421)
    world.store.dispose()


def test_hosts_can_be_named(tmp_path: Path) -> None:
    named = {"hosts": ("a.test",), "base_url": "https://b.test"}
    world = make_world(tmp_path, authenticate=True, settings=named)
    found = {
        host: world.client.get("/healthz", headers={"Host": host}).status_code
        for host in ("a.test", "B.test:443", "c.test", "10.0.0.1")
    }
    assert found == {"a.test": 200, "B.test:443": 200, "c.test": 421, "10.0.0.1": 200}
    any_one = make_world(tmp_path, authenticate=True)
    assert any_one.client.get("/healthz", headers={"Host": "c.test"}).status_code == 200
    for strange in ("a b", "a/b", "a@b", "a\\b", "x" * 300, "[::1", "é.test"):
        answer = any_one.client.get("/healthz", headers={"Host": strange})
        assert answer.status_code == 400, strange


def test_an_open_service_does_not_answer_through_a_proxy(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
        answer = world.client.get(RUNS, headers={name: "198.51.100.7"})
        assert answer.status_code == 403
        assert "serve.auth" in body_of(answer)["detail"]
    meant = make_world(tmp_path, settings={"auth": "off"})
    assert meant.client.get(RUNS, headers={"X-Forwarded-For": "a"}).status_code == 200


def test_https_is_known_from_the_settings() -> None:
    from sloguard.web.access.exposure import is_https

    assert is_https(replace(ServeSettings(), base_url="HTTPS://a.test"))
    assert not is_https(ServeSettings())
