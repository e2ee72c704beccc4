"""How others are asked and heard: the message, its one-time link, the store in between, who may say what."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sloguard.adapters.store import Store, StoreUnreachable
from sloguard.bootstrap import approval_links, stored_approvals
from sloguard.core import events
from sloguard.core.events import RunStarted
from sloguard.core.masking import Masker
from sloguard.core.model import Approval, Experiment
from sloguard.core.people import Ask, NoteError, Voice, note_text
from sloguard.notifiers.building import build
from sloguard.ports.outbox import DeliveryError
from sloguard.ports.people import AskOver, AskState, MayNot, NothingAsked
from sloguard.service.approvals import ApprovalDesk, StoredApprovals, has_to_be_approved, needed
from sloguard.service.notices import Notices, Rule
from sloguard.service.noting import NoteDesk
from sloguard.settings import Settings
from sloguard.settings.notify import ChannelSettings
from tests.support.empty_store import empty_store
from tests.support.http_double import HttpDouble, reply
from tests.support.notices import RUN, STORY, Delivery, message

NOW = 1_767_268_980.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(str(empty_store(tmp_path / "runs.db")), now=lambda: NOW) as opened:
        opened.record(RunStarted(NOW, RUN, Experiment("t"), {}))
        yield opened


def ask(**more: Any) -> Ask:
    plan = {
        "actions": [{"name": "kill", "does": "deletes 1 pod", "targets": ["shop-1"]}],
        "phases": {"during": "2m"},
        "steady": [{"name": "errors", "verdict": "met"}],
    }
    given: dict[str, Any] = {"id": "q1", "run": RUN, "title": "t", "digest": "d", "plan": plan}
    return Ask(**{**given, "asked_at": NOW, "until": NOW + 60, **more})


def asking(**more: Any) -> events.ApprovalAsked:
    return events.ApprovalAsked(NOW, ask(**more))


def drafts(rule: Rule, event: events.Event) -> list[Any]:
    return list(Notices([rule], base_url="https://chaos.example.com")(event, STORY))


@pytest.mark.parametrize("when", ["ended", "action-needed", "always"])
def test_every_channel_hears_of_it_unless_it_names_others(when: str) -> None:
    [draft] = drafts(Rule(channel="http:x", when=when), asking())
    assert draft.kind == "approval-asked"
    assert draft.expires_at == NOW + 60
    assert "deletes 1 pod: shop-1" in draft.payload["reason"]
    assert f"sloguard runs approve {RUN}" in draft.payload["action"]
    named = Rule(channel="http:x", events=frozenset({"run-deviated"}))
    assert drafts(named, asking()) == []


def test_each_question_is_a_message_of_its_own_and_never_kept_quiet() -> None:
    rule = Rule(channel="http:x", quiet=3600.0)
    [first], [second] = drafts(rule, asking()), drafts(rule, asking(id="q2", again="it changed"))
    assert first.key != second.key
    assert first.payload["quiet"] == second.payload["quiet"] == 0.0
    assert second.payload["reason"].startswith("it changed")


def settings(base_url: str = "https://chaos.example.com") -> Settings:
    made = Settings()
    return replace(made, serve=replace(made.serve, base_url=base_url))


def test_the_link_is_made_when_it_is_sent_and_kept_nowhere(store: Store) -> None:
    store.open_ask(ask())
    [draft] = drafts(Rule(channel="http:hook"), asking())
    assert "token" not in json.dumps(draft.payload)
    with HttpDouble(lambda _: reply("", status=204)) as double:
        channel = build(
            ChannelSettings(name="hook", type="http", url=double.url),
            links=approval_links(settings(), store),
        )
        kept = message(draft.payload, channel="http:hook")
        for _ in range(2):
            memory = channel.deliver(kept, Delivery())
            assert "token" not in json.dumps(memory)
    sent = [json.loads(request.body)["notice"]["link"] for request in double.requests]
    assert len(set(sent)) == 2, "each attempt has its own"
    place, _, token = sent[0].partition("?token=")
    assert place == f"https://chaos.example.com/approvals/{RUN}"
    found = store.link(token)
    assert found is not None
    assert (found.ask, found.channel) == ("q1", "http:hook")


def test_what_is_decided_is_not_sent_any_more(store: Store) -> None:
    store.open_ask(ask())
    [draft] = drafts(Rule(channel="http:hook"), asking())
    store.add_voice("q1", Voice(by="user:ada", answer="approved", at=NOW))
    with HttpDouble(lambda _: reply("", status=204)) as double:
        channel = build(
            ChannelSettings(name="hook", type="http", url=double.url),
            links=approval_links(settings(), store),
        )
        channel.deliver(message(draft.payload), Delivery())
    assert double.requests == []


def test_without_a_page_the_message_says_the_command(store: Store) -> None:
    store.open_ask(ask())
    assert approval_links(settings(""), store)("q1", RUN, "http:hook") == ""


def test_a_store_that_is_away_is_tried_again() -> None:
    def away(*_: str) -> str:
        raise StoreUnreachable("the store is away")

    [draft] = drafts(Rule(channel="http:hook"), asking())
    made = build(ChannelSettings(name="hook", type="http", url="http://127.0.0.1:9"), links=away)
    with pytest.raises(DeliveryError, match="away") as refused:
        made.deliver(message(draft.payload), Delivery())
    assert not refused.value.permanent


class Flaky:
    """A store that is away for its first answers, and in which somebody decides after some more."""

    def __init__(self, store: Store, away: int, decided_at: int) -> None:
        self.store, self.away, self.decided_at, self.asked = store, away, decided_at, 0

    def open_ask(self, asked: Ask, *, requester: str = "") -> None:
        self.store.open_ask(asked, requester=requester)

    def ask(self, id: str) -> Any:
        self.asked += 1
        if self.asked <= self.away:
            raise StoreUnreachable("away")
        if self.asked == self.decided_at:
            self.store.add_voice(id, Voice(by="user:ada", answer="approved", at=NOW))
        return self.store.ask(id)

    def end_ask(self, id: str, state: AskState, detail: str) -> None:
        self.store.end_ask(id, state, detail)


def waiting(asks: Any, **more: Any) -> StoredApprovals:
    return StoredApprovals(
        asks, requester="token:ci", reach="by a page", now=lambda: NOW, look=0.001, **more
    )


def test_a_waiting_run_hears_it_though_the_store_was_away(store: Store) -> None:
    flaky = Flaky(store, away=2, decided_at=5)
    approvals = waiting(flaky)
    assert approvals.open(ask()) == "by a page"
    decision = approvals.decide(ask(), threading.Event())
    assert (decision.answer, decision.names) == ("approved", ("user:ada",))
    kept = store.ask("q1")
    assert kept is not None
    assert kept.requester == "token:ci"


def test_a_run_that_stops_waiting_says_so(store: Store) -> None:
    approvals = waiting(store)
    approvals.open(ask())
    stop = threading.Event()
    stop.set()
    assert approvals.decide(ask(), stop).answer == ""
    approvals.withdraw(ask(), "the run was stopped: SIGTERM")
    kept = store.ask("q1")
    assert kept is not None
    assert (kept.state, kept.detail) == (AskState.WITHDRAWN, "the run was stopped: SIGTERM")


def test_the_time_that_is_up_is_no_answer(store: Store) -> None:
    late = ask(asked_at=NOW - 60, until=NOW)
    approvals = waiting(store)
    approvals.open(late)
    assert approvals.decide(late, threading.Event()).answer == ""
    approvals.withdraw(late, "nobody decided within 1m")
    kept = store.ask("q1")
    assert kept is not None
    assert kept.state is AskState.EXPIRED


def desk(store: Store, **more: Any) -> ApprovalDesk:
    return ApprovalDesk(store, now=lambda: NOW, **more)


def test_four_eyes_and_names_are_held_also_against_links(store: Store) -> None:
    store.open_ask(ask(), requester="user:ada")
    eyes = desk(store, four_eyes=True)
    with pytest.raises(MayNot, match="somebody else"):
        eyes.decide(RUN, "approved", by="user:ada", from_="here")
    token = store.new_link("q1", "slack:ops")
    with pytest.raises(MayNot):
        eyes.decide_by_link(token, RUN, "approved", from_="here", known_as="user:ada")
    assert desk(store).decide(RUN, "approved", by="user:ada", from_="here").state == "approved"


@pytest.mark.parametrize("secret", ["", "x", "x" * 43, "\ud800"])
def test_a_link_that_is_none_opens_nothing(store: Store, secret: str) -> None:
    store.open_ask(ask())
    with pytest.raises(NothingAsked):
        desk(store).opened(secret, RUN)
    with pytest.raises(NothingAsked):
        desk(store).decide("r9", "approved", by="user:ada", from_="here")


def test_what_was_shown_is_what_is_approved(store: Store) -> None:
    store.open_ask(ask())
    with pytest.raises(AskOver, match="changed"):
        desk(store).decide(RUN, "approved", by="user:ada", from_="here", plan="other")
    with pytest.raises(NoteError):
        desk(store).decide(RUN, "refused", by="user:ada", from_="here", reason="x" * 501)


def test_directories_cannot_be_left_by_another_name_or_by_the_file(tmp_path: Path) -> None:
    production, elsewhere = tmp_path / "production", tmp_path / "elsewhere"
    production.mkdir()
    elsewhere.mkdir()
    file = production / "kill.yaml"
    file.write_text("")
    (elsewhere / "link.yaml").symlink_to(file)
    for source in (file, elsewhere / "link.yaml", elsewhere / ".." / "production" / "kill.yaml"):
        assert has_to_be_approved(Experiment("t", source=str(source)), [str(production)])
    assert not has_to_be_approved(
        Experiment("t", source=str(elsewhere / "b.yaml")), [str(production)]
    )
    assert not has_to_be_approved(
        Experiment("t", source=f"{production}-2/b.yaml"), [str(production)]
    )
    own = Approval(required=False, by=("user:ada",), minimum=2)
    found = needed(Experiment("t", source=str(file), approval=own), [str(production)])
    assert found == Approval(required=True, by=("user:ada",), minimum=2)


def test_it_is_told_how_people_are_reached(store: Store) -> None:
    channels = (
        ChannelSettings(name="ops", type="slack", url="x"),
        ChannelSettings(name="other", type="http", url="x", events=("run-deviated",)),
    )
    made = replace(settings(), channels=channels)
    reach = stored_approvals(made, store, requester="x", run=RUN).open(ask())
    assert f"https://chaos.example.com/runs/{RUN}" in reach
    assert "slack:ops" in reach
    assert "http:other" not in reach
    assert f"sloguard runs approve {RUN}" in reach


def test_notes_are_masked_and_about_what_has_happened(store: Store) -> None:
    masker = Masker.of({"db": {"password": "hunter2-secret"}})
    made = NoteDesk(store, masker=lambda _run: masker, now=lambda: NOW)
    kept = made.add(RUN, "it prints hunter2-secret", by="hunter2-secret", origin="cli")
    assert "hunter2-secret" not in f"{kept.text} {kept.by}"
    assert kept.at == kept.written_at == NOW
    with pytest.raises(NoteError, match="not come yet"):
        made.add(RUN, "x", by="me", origin="cli", at=NOW + 3600)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("  a\r\nb  \rc ", "a\nb\nc"),
        ("\x1b[31mred\x07", "[31mred"),
        ("a\u202eb\u200bc\ufeff", "abc"),
        ("tab\there", "tabhere"),
        ("grüße 你好 🙂", "grüße 你好 🙂"),
    ],
)
def test_of_a_text_only_what_shows_is_kept(text: str, kept: str) -> None:
    assert note_text(text) == kept
