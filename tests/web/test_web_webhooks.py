"""What Alertmanager sends is kept before it is answered, and whatever can never be taken is not asked for again."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sloguard.adapters.store import StoreFull
from sloguard.ports.service import Scope
from sloguard.service.alerting import REFUSED_BODY, AlertDesk
from tests.support.alertmanager import NAMES, alert, captured, payload
from tests.support.callers import bearer, make_token
from tests.support.service import NOW, World, body_of, make_world

PLACE = "/webhooks/alertmanager"


def send(world: World, body: bytes, **headers: str) -> Any:
    return world.client.post(PLACE, data=body, content_type="application/json", headers=headers)


def work_off(world: World) -> None:
    AlertDesk(world.store, now=world.parts.now, pause=lambda _: None).turn()


@pytest.mark.parametrize("name", NAMES)
def test_what_a_real_one_sent_is_accepted_as_it_is(world: World, name: str) -> None:
    answer = send(world, captured(name))
    assert answer.status_code == 202
    (kept,) = world.store.waiting_payloads(10)
    assert body_of(answer) == {"status": "accepted", "alerts": kept.alerts}
    assert kept.body == captured(name)
    assert (kept.size, kept.received_at, kept.sender) == (len(kept.body), NOW, "anonymous")
    assert kept.address == "127.0.0.1"


NEVER = {
    "nothing": (b"", "it is not JSON"),
    "no JSON": (b"{'a': 1}", "it is not JSON"),
    "cut off": (captured(NAMES[0])[:200], "it is not JSON"),
    "a list": (b"[]", "expected a JSON object, found a list"),
    "a number": (b"1e5", "expected a JSON object, found a number"),
    "version 5": (b'{"version": "5", "alerts": []}', "version: expected '4', found '5'"),
    "version as a number": (
        b'{"version": 4, "alerts": []}',
        "version: expected '4', found a number",
    ),
    "Grafana's own": (b'{"version": "1", "alerts": []}', "version: expected '4', found '1'"),
    "no alerts": (b'{"version": "4"}', "alerts: expected a list, found nothing"),
    "alerts are one": (b'{"version": "4", "alerts": {}}', "alerts: expected a list"),
    "deep": (b"[" * 60_000, "nested too deep"),
    "deep inside": (
        b'{"version": "4", "alerts": ' + b'{"a":' * 9000 + b"1" + b"}" * 9001,
        "nested too deep",
    ),
    "another encoding": ('{"version": "4", "alerts": []}'.encode("utf-16"), "it is not JSON"),
    "too large": (b" " * (1 << 20), "at most 65536 are read"),
}


@pytest.mark.parametrize("case", NEVER)
def test_what_can_never_be_taken_is_kept_and_not_asked_for_again(tmp_path: Path, case: str) -> None:
    body, reason = NEVER[case]
    made = make_world(tmp_path, groups={"alerts": {"body_limit": 65_536}})
    answer = send(made, body)
    assert answer.status_code == 200
    assert body_of(answer)["status"] == "refused"
    assert reason in body_of(answer)["reason"]
    (kept,) = made.store.refused_payloads()
    assert reason in kept.reason
    assert kept.size == len(body)
    assert body.startswith(kept.body)
    assert len(kept.body) <= REFUSED_BODY
    assert not made.store.payloads_wait()
    made.store.dispose()


def test_any_type_of_content_will_do(world: World) -> None:
    body = captured(NAMES[0])
    answer = world.client.post(PLACE, data=body, content_type="text/plain;charset=utf-8")
    assert answer.status_code == 202


def test_a_store_that_cannot_write_asks_for_it_again(tmp_path: Path) -> None:
    class Full:
        """A store without room."""

        def __init__(self, store: Any) -> None:
            self._store = store

        def __getattr__(self, name: str) -> Any:
            return getattr(self._store, name)

        def keep_payload(self, _payload: object) -> None:
            raise StoreFull("the store /secret/place: there is no room left")

    made = make_world(tmp_path, wrap_store=Full)
    answer = send(made, captured(NAMES[0]))
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert b"secret" not in answer.data
    told = made.client.get("/metrics").text
    assert 'sloguard_webhooks_total{result="unavailable"} 1.0' in told
    made.store.dispose()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path, authenticate=True)
    yield made
    made.store.dispose()


def basic(user: str, password: str) -> dict[str, str]:
    text = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


def test_a_token_or_its_secret_as_a_password_lets_it_in(guarded: World) -> None:
    body = captured(NAMES[0])
    _, hook = make_token(guarded, Scope.WEBHOOK)
    _, reader = make_token(guarded, Scope.READ)
    _, admin = make_token(guarded, Scope.ADMIN)
    for headers in (bearer(hook), basic("sloguard", hook), basic("am", hook), bearer(admin)):
        assert send(guarded, body, **headers).status_code == 202, headers
    for headers in (bearer(reader), basic("sloguard", reader)):
        assert send(guarded, body, **headers).status_code == 403, headers
    for headers in ({}, bearer("slg_nothing"), basic("am", "pw")):
        answer = send(guarded, body, **headers)
        assert answer.status_code == 401, headers
    assert "Basic" in send(guarded, body).headers["WWW-Authenticate"]
    kept = guarded.store.waiting_payloads(10)
    assert len(kept) == 4
    assert all(one.sender.startswith("token:") for one in kept)
    # Of the strangers nothing is kept, not even for inspection.
    assert guarded.store.refused_payloads() == ()


def test_alerts_do_not_fill_the_audit_log(guarded: World) -> None:
    _, hook = make_token(guarded, Scope.WEBHOOK)
    before = len(guarded.store.audit_entries())
    send(guarded, captured(NAMES[0]), **bearer(hook))
    send(guarded, b"nonsense", **bearer(hook))
    assert len(guarded.store.audit_entries()) == before


def test_it_is_counted(world: World) -> None:
    send(world, captured("firing_grouped_2"))
    send(world, captured("truncated_max_alerts_2"))
    send(world, b"nonsense")
    told = world.client.get("/metrics").text
    assert 'sloguard_webhooks_total{result="accepted"} 2.0' in told
    assert 'sloguard_webhook_alerts_total{result="accepted"} 4.0' in told
    assert 'sloguard_webhooks_total{result="refused"} 1.0' in told
    assert "sloguard_alert_inbox_payloads 2.0" in told
    assert "sloguard_alert_payloads_refused 1.0" in told
    age = next(line for line in told.splitlines() if line.startswith("sloguard_alert_inbox_age"))
    assert float(age.split()[1]) > 0


def test_repeats_and_late_ones_are_one_episode(world: World) -> None:
    fires = [alert(NOW - 60, service="cart"), alert(NOW - 50, service="checkout")]
    over = [alert(NOW - 60, NOW - 20, service="cart"), alert(NOW - 50, NOW - 5, service="checkout")]
    for alerts in (over, fires, fires[:1], [fires[1], over[0]], fires):
        assert send(world, payload(alerts)).status_code == 202
    work_off(world)
    found = world.store.alert_page(10)
    assert [(k.episode.labels["service"], k.episode.ends_at) for k in found] == [
        ("checkout", NOW - 5),
        ("cart", NOW - 20),
    ]
    assert not world.store.payloads_wait()


def test_of_a_payload_the_good_alerts_are_taken_and_the_rest_is_kept(world: World) -> None:
    good = alert(NOW - 60, service="cart")
    bad: list[dict[str, Any]] = [
        {**good, "startsAt": "0001-01-01T00:00:00Z"},
        {**good, "startsAt": "9999-01-01T00:00:00Z"},
        {**good, "startsAt": 12},
        {**good, "status": "pending"},
        {**good, "labels": {}},
        {**good, "labels": {"alertname": 7}},
        {**good, "labels": {"alertname": "x" * (1 << 20)}},
        {**good, "labels": {f"l{n}": "v" for n in range(1000)}},
        {**good, "status": "resolved"},
        {**good, "status": "resolved", "endsAt": None},
    ]
    assert send(world, payload([bad[0], good, *bad[1:]])).status_code == 202
    work_off(world)
    assert [k.episode.labels["service"] for k in world.store.alert_page(10)] == ["cart"]
    (kept,) = world.store.refused_payloads()
    assert kept.reason.startswith("10 of 11 alerts could not be taken: alerts[0].startsAt: ")
    for words in ("alerts[2].startsAt: '9999", "alerts[4].status", "found 1000"):
        assert words in kept.reason


def test_too_many_at_once_are_asked_to_come_again(tmp_path: Path) -> None:
    moment = [0.0]
    made = make_world(
        tmp_path, authenticate=True, settings={"rate_limit": 2.0}, monotonic=lambda: moment[0]
    )
    _, hook = make_token(made, Scope.WEBHOOK)
    body = b"nonsense"
    answers = [send(made, body, **bearer(hook)) for _ in range(201)]
    assert [a.status_code for a in answers] == [200] * 200 + [503]
    assert int(answers[-1].headers["Retry-After"]) >= 1
    moment[0] += 0.05
    assert send(made, body, **bearer(hook)).status_code == 200
    # A stranger is one of many, as everywhere.
    strangers = [send(made, body) for _ in range(30)]
    assert strangers[-1].status_code == 429
    made.store.dispose()


def test_the_document_says_how_it_is_called(guarded: World) -> None:
    _, reader = make_token(guarded, Scope.READ)
    answer = guarded.client.get("/api/v1/openapi.json", headers=bearer(reader))
    document = body_of(answer)
    hook = document["paths"][PLACE]["post"]
    assert hook["security"] == [{"token": ["webhook"]}, {"password": []}]
    assert set(document["components"]["securitySchemes"]) == {"token", "password"}
    assert {"200", "202", "401", "403", "503"} <= set(hook["responses"])
    others = [o for path in document["paths"].values() for o in path.values() if o is not hook]
    assert not any({"password": []} in other["security"] for other in others)
