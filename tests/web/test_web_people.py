"""Approvals and notes on the web: who decides, by what, once; and what is never a decision."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sloguard.core.people import LONGEST_NOTE, Ask
from sloguard.ports.people import AskState
from sloguard.ports.service import Scope
from tests.support.callers import bearer, browser, csrf_in, make_token
from tests.support.service import NOW, World, body_of, make_world

RUN = "20260101T120000-abc123"
API = f"/api/v1/runs/{RUN}"
HOSTILE = "<script>alert(1)</script> {{7*7}} \x1b[31m\u202ered `rm` \x00"


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[World]:
    made = make_world(
        tmp_path,
        authenticate=True,
        settings={"access_log": True},
        groups={"approvals": {"four_eyes": True}},
    )
    yield made
    made.store.dispose()


@pytest.fixture
def waiting(guarded: World) -> World:
    """A run that waits for an approval."""
    guarded.begin(RUN)
    guarded.store.open_ask(ask(), requester="token:ci")
    return guarded


def ask(**more: Any) -> Ask:
    plan = {
        "actions": [
            {
                "name": "kill <b>a</b> pod",
                "kind": "action",
                "background": False,
                "does": "deletes 1 pod",
                "targets": ["shop-1"],
                "count": 1,
                "spared": [["shop-2", "it is the last one"]],
            }
        ],
        "rollbacks": [],
        "phases": {"before": "1m", "during": "2m", "after": "1m"},
        "guards": ["errors < 50%"],
        "steady": [{"name": "errors", "verdict": "met", "reason": "0.1%, < 1%"}],
    }
    given: dict[str, Any] = {
        "id": "q1",
        "run": RUN,
        "title": "A title <i>with</i> markup",
        "digest": "d" * 64,
        "plan": plan,
        "asked_at": NOW - 60,
        "until": NOW + 1740,
    }
    return Ask(**{**given, **more})


def state(world: World, id: str = "q1") -> AskState:
    found = world.store.ask(id)
    assert found is not None
    return found.state


def linked(world: World, channel: str = "slack:ops") -> str:
    return world.store.new_link("q1", channel)


def send(client: Any, page: Any, token: str, answer: str = "approve", **fields: str) -> Any:
    given = {"csrf_token": csrf_in(page), "token": token, "answer": answer, "plan": "d" * 64}
    return client.post(f"/approvals/{RUN}", data={**given, **fields})


def test_a_link_shows_the_plan_and_decides_by_its_form_alone(waiting: World) -> None:
    token, client = linked(waiting), waiting.client
    for _ in range(3):
        page = client.get(f"/approvals/{RUN}?token={token}&utm_source=mail")
        assert page.status_code == 200
    client.head(f"/approvals/{RUN}?token={token}")
    assert state(waiting) is AskState.WAITING
    text = page.get_data(as_text=True)
    assert "shop-1" in text
    assert "kill &lt;b&gt;a&lt;/b&gt; pod" in text
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers.getlist("Referrer-Policy") == ["strict-origin"]
    done = send(client, page, token, reason="go ahead", name="Ada")
    assert done.status_code == 200
    found = waiting.store.ask("q1")
    assert found is not None
    assert found.state is AskState.APPROVED
    [voice] = found.voices
    assert (voice.by, voice.answer, voice.reason) == ("link:slack:ops", "approved", "Ada: go ahead")
    assert voice.from_ == "127.0.0.1 by slack:ops"


def test_a_link_is_good_once_and_then_says_what_was_decided(waiting: World) -> None:
    token, client = linked(waiting), waiting.client
    page = client.get(f"/approvals/{RUN}?token={token}")
    assert send(client, page, token, "refuse", reason="not now").status_code == 200
    again = send(client, page, token, "approve")
    assert again.status_code == 409
    assert state(waiting) is AskState.REFUSED
    later = client.get(f"/approvals/{RUN}?token={token}")
    assert later.status_code == 200
    text = later.get_data(as_text=True)
    assert "refused by link:slack:ops" in text
    assert "<button name" not in text


def test_the_other_channel_sees_what_was_decided_meanwhile(waiting: World) -> None:
    first, second = linked(waiting), linked(waiting, "email:ops")
    client = waiting.client
    page = client.get(f"/approvals/{RUN}?token={second}")
    send(client, client.get(f"/approvals/{RUN}?token={first}"), first)
    late = send(client, page, second, "refuse")
    assert late.status_code == 409
    assert "approved by link:slack:ops" in late.get_data(as_text=True)
    assert state(waiting) is AskState.APPROVED


@pytest.mark.parametrize("token", ["", "x" * 43, "../../etc", "%00", "é" * 43, "x" * 300])
def test_a_token_that_is_none_shows_nothing(waiting: World, token: str) -> None:
    linked(waiting)
    answer = waiting.client.get(f"/approvals/{RUN}", query_string={"token": token})
    assert answer.status_code in (404, 422)
    assert "shop-1" not in answer.get_data(as_text=True)


def test_a_token_opens_no_other_run(waiting: World) -> None:
    token = linked(waiting)
    waiting.begin("20260101T120000-abc124")
    answer = waiting.client.get(f"/approvals/20260101T120000-abc124?token={token}")
    assert answer.status_code == 404


def test_what_is_too_late_is_told(guarded: World) -> None:
    guarded.begin(RUN)
    guarded.store.open_ask(ask())
    token = linked(guarded)
    client = guarded.client
    page = client.get(f"/approvals/{RUN}?token={token}")
    guarded.store.end_ask("q1", AskState.EXPIRED, "")
    assert send(client, page, token).status_code == 409
    assert "obody decided in time" in client.get(f"/approvals/{RUN}?token={token}").get_data(
        as_text=True
    )


def test_a_plan_that_changed_is_not_approved_unseen(waiting: World) -> None:
    token, client = linked(waiting), waiting.client
    page = client.get(f"/approvals/{RUN}?token={token}")
    answer = send(client, page, token, plan="e" * 64)
    assert answer.status_code == 409
    assert "has changed since you looked" in answer.get_data(as_text=True)
    assert state(waiting) is AskState.WAITING


def test_another_site_decides_nothing(waiting: World) -> None:
    token, client = linked(waiting), waiting.client
    page = client.get(f"/approvals/{RUN}?token={token}")
    given = {"token": token, "answer": "approve", "plan": "d" * 64}
    place = f"/approvals/{RUN}"
    assert client.post(place, data=given).status_code == 403
    assert client.post(place, data={**given, "csrf_token": "x" * 40}).status_code == 403
    whole = {**given, "csrf_token": csrf_in(page)}
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert client.post(place, data=whole, headers=headers).status_code == 403
    assert waiting.client.post(place, data=whole).status_code == 403, "another browser"
    assert state(waiting) is AskState.WAITING


@pytest.mark.parametrize("answer", ["", "maybe", "approved"])
def test_a_form_without_an_answer_decides_nothing(waiting: World, answer: str) -> None:
    token, client = linked(waiting), waiting.client
    page = client.get(f"/approvals/{RUN}?token={token}")
    assert send(client, page, token, answer).status_code == 422
    assert state(waiting) is AskState.WAITING


def test_the_token_is_in_no_log_and_not_in_the_audit(
    waiting: World, caplog: pytest.LogCaptureFixture
) -> None:
    token, client = linked(waiting), waiting.client
    with caplog.at_level(logging.DEBUG):
        page = client.get(f"/approvals/{RUN}?token={token}")
        send(client, page, token, name="Ada")
        client.get(f"/approvals/{RUN}?token={token}x")
    assert f"/approvals/{RUN}" in caplog.text
    assert token not in caplog.text
    assert token not in repr([record.__dict__ for record in caplog.records])
    [entry] = [e for e in waiting.store.audit_entries() if e.target == RUN]
    assert (entry.who, entry.action) == ("link:slack:ops", "approval-pages.approve")
    assert entry.detail["plan"] == "d" * 64
    assert entry.detail["name"] == "Ada"
    assert token not in str(waiting.store.audit_entries())


def test_whoever_is_logged_in_counts_as_themselves(waiting: World) -> None:
    token = linked(waiting)
    made = browser(waiting, Scope.RUN)
    page = made.client.get(f"/approvals/{RUN}?token={token}")
    assert send(made.client, page, token, name="somebody else").status_code == 200
    found = waiting.store.ask("q1")
    assert found is not None
    assert [voice.by for voice in found.voices] == ["token:run"]


def test_a_requester_does_not_approve_their_own_run(waiting: World) -> None:
    _, secret = make_token(waiting, Scope.RUN, name="ci")
    refused = waiting.client.post(f"{API}/approve", json={}, headers=bearer(secret))
    assert refused.status_code == 403
    assert "somebody else" in body_of(refused)["detail"]
    assert state(waiting) is AskState.WAITING
    # They may think better of it.
    done = waiting.client.post(f"{API}/refuse", json={"reason": "no"}, headers=bearer(secret))
    assert done.status_code == 200
    assert body_of(done)["state"] == "refused"


def test_the_api_asks_and_decides(waiting: World) -> None:
    _, secret = make_token(waiting, Scope.RUN)
    shown = waiting.client.get(f"{API}/approval", headers=bearer(secret))
    asked = body_of(shown)
    assert (asked["state"], asked["digest"], asked["minimum"]) == ("waiting", "d" * 64, 1)
    other = waiting.client.post(f"{API}/approve", json={"plan": "e" * 64}, headers=bearer(secret))
    assert other.status_code == 409
    done = waiting.client.post(
        f"{API}/approve", json={"plan": asked["digest"], "reason": "fine"}, headers=bearer(secret)
    )
    assert body_of(done)["voices"][0]["by"] == "token:run"
    again = waiting.client.post(f"{API}/approve", json={}, headers=bearer(secret))
    assert again.status_code == 409
    entries = {(e.action, e.target) for e in waiting.store.audit_entries()}
    assert ("people.approve", RUN) in entries


def test_who_may_only_look_decides_nothing(waiting: World) -> None:
    _, secret = make_token(waiting, Scope.READ)
    for what in ("approve", "refuse", "notes"):
        answer = waiting.client.post(f"{API}/{what}", json={"text": "x"}, headers=bearer(secret))
        assert answer.status_code == 403
    assert waiting.client.post(f"{API}/approve", json={}).status_code == 401
    assert state(waiting) is AskState.WAITING


def test_only_those_who_are_named_decide(guarded: World) -> None:
    guarded.begin(RUN)
    guarded.store.open_ask(ask(by=("user:ada",)))
    _, secret = make_token(guarded, Scope.ADMIN, name="root")
    answer = guarded.client.post(f"{API}/approve", json={}, headers=bearer(secret))
    assert answer.status_code == 403
    assert "user:ada" in body_of(answer)["detail"]
    token = linked(guarded)
    page = guarded.client
    assert send(page, page.get(f"/approvals/{RUN}?token={token}"), token).status_code == 403
    assert state(guarded) is AskState.WAITING


def test_a_run_that_asks_nothing_has_nothing_to_approve(guarded: World) -> None:
    guarded.begin(RUN)
    _, secret = make_token(guarded, Scope.RUN)
    for method, what in (("get", "approval"), ("post", "approve")):
        sent = {"json": {}} if method == "post" else {}
        call = getattr(guarded.client, method)
        answer = call(f"{API}/{what}", headers=bearer(secret), **sent)
        assert (answer.status_code, body_of(answer)["type"]) == (
            404,
            "urn:sloguard:problem:no-approval",
        )


def test_the_page_of_the_run_has_the_buttons_for_those_who_may(waiting: World) -> None:
    reader = browser(waiting, Scope.READ).client
    text = reader.get(f"/runs/{RUN}").get_data(as_text=True)
    assert "It waits for an approval" in text
    assert f"/runs/{RUN}/approve" not in text
    runner = browser(waiting, Scope.RUN).client
    page = runner.get(f"/runs/{RUN}")
    assert "kill &lt;b&gt;a&lt;/b&gt; pod" in page.get_data(as_text=True)
    given = {"csrf_token": csrf_in(page), "plan": "d" * 64, "answer": "approve"}
    assert runner.post(f"/runs/{RUN}/approve", data=given).status_code == 303
    assert state(waiting) is AskState.APPROVED
    assert "It waits for an approval" not in runner.get(f"/runs/{RUN}").get_data(as_text=True)


def test_the_overview_says_who_is_waited_for(waiting: World) -> None:
    reader = browser(waiting, Scope.READ).client
    text = reader.get("/").get_data(as_text=True)
    assert "1 run waits for an approval" in text
    assert f'href="/runs/{RUN}">A title &lt;i&gt;with&lt;/i&gt; markup' in text
    waiting.store.end_ask("q1", AskState.EXPIRED, "")
    assert "for an approval" not in reader.get("/").get_data(as_text=True)


def test_notes_come_by_the_api_and_by_a_form(guarded: World) -> None:
    guarded.begin(RUN)
    _, secret = make_token(guarded, Scope.RUN)
    made = guarded.client.post(
        f"{API}/notes",
        json={"text": "p99 looks odd", "at": "2026-01-01T12:00:30Z", "by": "Ada"},
        headers=bearer(secret),
    )
    assert made.status_code == 201
    assert body_of(made)["by"] == "Ada (token:run)"
    assert body_of(made)["at"] == "2026-01-01T12:00:30Z"
    runner = browser(guarded, Scope.RUN).client
    page = runner.get(f"/runs/{RUN}")
    given = {"csrf_token": csrf_in(page), "text": "two\nlines", "name": "Bob", "back": "run"}
    assert runner.post(f"/runs/{RUN}/notes", data=given).status_code == 303
    listed = body_of(guarded.client.get(f"{API}/notes", headers=bearer(secret)))["notes"]
    assert [(one["text"], one["origin"]) for one in listed] == [
        ("p99 looks odd", "api"),
        ("two\nlines", "page"),
    ]


def test_a_note_that_comes_later_changes_the_journal_and_not_the_verdict(guarded: World) -> None:
    guarded.keep(RUN)
    _, secret = make_token(guarded, Scope.RUN)
    headers = bearer(secret)
    verdict, journal = (
        guarded.client.get(f"{API}/{w}", headers=headers) for w in ("verdict", "journal")
    )
    sent = {"text": "seen on the dashboards"}
    assert guarded.client.post(f"{API}/notes", json=sent, headers=headers).status_code == 201
    later, newer = (
        guarded.client.get(f"{API}/{w}", headers=headers) for w in ("verdict", "journal")
    )
    assert later.headers["ETag"] == verdict.headers["ETag"]
    assert later.get_data() == verdict.get_data()
    assert newer.headers["ETag"] != journal.headers["ETag"]
    assert body_of(newer)["sloguard-observations"][0]["text"] == "seen on the dashboards"
    text = browser(guarded, Scope.READ).client.get(f"/runs/{RUN}").get_data(as_text=True)
    assert text.count("seen on the dashboards") == 2, "in the story, and among the observations"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"text": ""}, 422),
        ({"text": " \n "}, 422),
        ({"text": "\x1b\x00\u202e"}, 422),
        ({"text": "x" * (LONGEST_NOTE + 1)}, 422),
        ({"text": "x", "at": "2099-01-01T00:00:00Z"}, 422),
        ({"text": "x", "at": "2026-01-01T00:00:00"}, 422),
        ({"text": "x", "who": "me"}, 422),
        ({"text": 5}, 422),
        ({"text": "x" * LONGEST_NOTE}, 201),
    ],
)
def test_notes_that_are_none_are_refused(guarded: World, sent: dict[str, Any], status: int) -> None:
    guarded.begin(RUN)
    _, secret = make_token(guarded, Scope.RUN)
    answer = guarded.client.post(f"{API}/notes", json=sent, headers=bearer(secret))
    assert answer.status_code == status


def test_hostile_notes_are_only_text(guarded: World) -> None:
    guarded.keep(RUN)
    _, secret = make_token(guarded, Scope.RUN)
    sent = {"text": HOSTILE, "by": HOSTILE[:60]}
    made = guarded.client.post(f"{API}/notes", json=sent, headers=bearer(secret))
    assert made.status_code == 201
    kept = body_of(made)["text"]
    assert not {"\x1b", "\u202e", "\x00"} & set(kept)
    text = browser(guarded, Scope.RUN).client.get(f"/runs/{RUN}").get_data(as_text=True)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; {{7*7}}" in text


def test_a_note_of_nothing_is_refused(guarded: World) -> None:
    _, secret = make_token(guarded, Scope.RUN)
    answer = guarded.client.post(f"{API}/notes", json={"text": "x"}, headers=bearer(secret))
    assert (answer.status_code, body_of(answer)["type"]) == (
        404,
        "urn:sloguard:problem:unknown-run",
    )


def test_an_open_window_takes_notes_and_its_run_has_them(guarded: World) -> None:
    runner = browser(guarded, Scope.RUN).client
    page = runner.get("/windows")
    opened = runner.post("/windows", data={"csrf_token": csrf_in(page), "slos": "checkout"})
    place = opened.headers["Location"]
    window = place.rpartition("/")[2]
    given = {"csrf_token": csrf_in(runner.get(place)), "text": "pods restart", "back": "window"}
    done = runner.post(f"/runs/{window}/notes", data=given)
    assert done.headers["Location"] == place
    assert "pods restart" in runner.get(place).get_data(as_text=True)
    assert [note.text for note in guarded.store.notes_of(window)] == ["pods restart"]


def test_secrets_of_the_experiment_are_masked(tmp_path: Path) -> None:
    made = make_world(tmp_path, authenticate=True)
    file = tmp_path / "experiments" / "checkout.yaml"
    text = file.read_text().replace(
        "configuration:", "secrets:\n  db: {password: hunter2-secret}\nconfiguration:"
    )
    file.write_text(text)
    try:
        made.begin(RUN)
        _, secret = make_token(made, Scope.RUN)
        sent = {"text": "it logs hunter2-secret"}
        answer = made.client.post(f"{API}/notes", json=sent, headers=bearer(secret))
        assert answer.status_code == 201
        assert "hunter2-secret" not in answer.get_data(as_text=True)
        assert "hunter2-secret" not in str(made.store.notes_of(RUN))
    finally:
        made.store.dispose()
