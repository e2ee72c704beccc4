"""Asks, voices, links and notes: decided once, by those who may, and never by what was used before."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import insert, text

from sloguard.adapters.store import Store
from sloguard.adapters.store.people import MOST_NOTES
from sloguard.adapters.store.people_tables import notes
from sloguard.core.events import NoteTaken, RunEnded, RunStarted
from sloguard.core.model import Experiment, Outcome
from sloguard.core.people import Ask, RunNote, Voice
from sloguard.ports.people import AskOver, AskState, NothingAsked, TooManyNotes

NOW = [1000.0]


@pytest.fixture
def kept(url: str) -> Iterator[Store]:
    NOW[0] = 1000.0
    with Store(url, now=lambda: NOW[0]) as store:
        store.record(RunStarted(1000.0, "r1", Experiment("a title"), {}))
        yield store


def ask(id: str = "q1", **more: Any) -> Ask:
    given: dict[str, Any] = {
        "run": "r1",
        "title": "a title",
        "digest": "d" * 64,
        "plan": {"actions": [{"name": "kill", "targets": ["a"]}]},
        "asked_at": 1000.0,
        "until": 2000.0,
    }
    return Ask(id=id, **{**given, **more})


def voice(by: str = "user:ada", answer: Any = "approved", **more: Any) -> Voice:
    return Voice(by=by, answer=answer, at=NOW[0], **more)


def test_an_ask_is_kept_whole_until_somebody_decides(kept: Store) -> None:
    asked = ask(minimum=1, by=("user:ada",), again="it changed")
    kept.open_ask(asked, requester="token:ci")
    found = kept.ask_of("r1")
    assert found is not None
    assert found.ask == asked
    assert (found.state, found.requester) == (AskState.WAITING, "token:ci")
    assert [one.ask.id for one in kept.waiting_asks()] == ["q1"]
    said = voice(from_="10.0.0.7", reason="fine")
    decided = kept.add_voice("q1", said)
    assert (decided.state, decided.voices) == (AskState.APPROVED, (said,))
    assert decided.decision.answer == "approved"
    assert decided.decision.names == ("user:ada",)
    assert kept.waiting_asks() == ()


def test_it_is_decided_once(kept: Store) -> None:
    kept.open_ask(ask())
    kept.add_voice("q1", voice())
    with pytest.raises(AskOver, match="approved before"):
        kept.add_voice("q1", voice("user:bob", "refused"))
    with pytest.raises(NothingAsked):
        kept.add_voice("q9", voice())


def test_so_many_different_people_have_to_agree(kept: Store) -> None:
    kept.open_ask(ask(minimum=2))
    assert kept.add_voice("q1", voice()).state is AskState.WAITING
    assert kept.add_voice("q1", voice()).state is AskState.WAITING
    assert kept.add_voice("q1", voice("user:bob")).state is AskState.APPROVED


def test_one_refusal_refuses(kept: Store) -> None:
    kept.open_ask(ask(minimum=3))
    kept.add_voice("q1", voice())
    decided = kept.add_voice("q1", voice("user:bob", "refused", reason="no"))
    assert decided.state is AskState.REFUSED
    assert decided.decision.names == ("user:bob",)
    assert decided.decision.reason == "no"


def test_too_late_is_too_late(kept: Store) -> None:
    kept.open_ask(ask())
    NOW[0] = 2000.0
    found = kept.ask_of("r1")
    assert found is not None
    assert found.state is AskState.EXPIRED
    with pytest.raises(AskOver, match="too late"):
        kept.add_voice("q1", voice())
    with pytest.raises(AskOver):
        kept.new_link("q1", "slack:ops")


def test_a_run_that_is_over_or_dead_waits_for_nobody(kept: Store) -> None:
    kept.open_ask(ask())
    kept.record(RunEnded(1001.0, "r1", Outcome.NOT_STARTED, "stopped", {"slos": []}))
    with pytest.raises(AskOver, match="ended"):
        kept.add_voice("q1", voice())
    assert kept.waiting_asks() == ()


def test_asking_anew_withdraws_what_was_asked_before(kept: Store) -> None:
    kept.open_ask(ask())
    secret = kept.new_link("q1", "slack:ops")
    kept.open_ask(ask("q2", asked_at=1001.0))
    first, newest = kept.ask("q1"), kept.ask_of("r1")
    assert first is not None
    assert newest is not None
    assert (first.state, newest.ask.id) == (AskState.WITHDRAWN, "q2")
    with pytest.raises(AskOver):
        kept.add_voice("q1", voice(), token=secret)


def test_ending_an_ask_changes_nothing_that_is_decided(kept: Store) -> None:
    kept.open_ask(ask())
    kept.end_ask("q1", AskState.WITHDRAWN, "the run was stopped")
    found = kept.ask("q1")
    assert found is not None
    assert (found.state, found.detail) == (AskState.WITHDRAWN, "the run was stopped")
    kept.open_ask(ask("q2", asked_at=1001.0))
    kept.add_voice("q2", voice())
    kept.end_ask("q2", AskState.EXPIRED, "late")
    found = kept.ask("q2")
    assert found is not None
    assert found.state is AskState.APPROVED


def test_a_link_is_used_once_and_for_its_ask_alone(kept: Store) -> None:
    kept.open_ask(ask(minimum=2))
    secret = kept.new_link("q1", "slack:ops")
    found = kept.link(secret)
    assert found is not None
    assert (found.ask, found.channel, found.used_at) == ("q1", "slack:ops", None)
    kept.add_voice("q1", voice("link:slack:ops"), token=secret)
    with pytest.raises(AskOver, match="used before"):
        kept.add_voice("q1", voice("link:slack:other"), token=secret)
    used = kept.link(secret)
    assert used is not None
    assert (used.used_at, used.answer) == (1000.0, "approved")
    assert kept.link("x" * 43) is None
    state = kept.ask("q1")
    assert state is not None
    assert len(state.voices) == 1


def test_a_link_of_one_run_decides_no_other(kept: Store) -> None:
    kept.record(RunStarted(1000.0, "r2", Experiment("another"), {}))
    kept.open_ask(ask())
    kept.open_ask(ask("q2", run="r2"))
    secret = kept.new_link("q1", "slack:ops")
    with pytest.raises(AskOver):
        kept.add_voice("q2", voice(), token=secret)
    found = kept.ask("q2")
    assert found is not None
    assert (found.state, found.voices) == (AskState.WAITING, ())


def test_the_secret_of_a_link_is_nowhere(kept: Store) -> None:
    kept.open_ask(ask())
    secret = kept.new_link("q1", "slack:ops")
    with kept._database.reading() as connection:
        for table in ("asks", "links", "voices", "events"):
            rows = connection.execute(text(f"select * from {table}")).all()
            assert secret not in str(rows)


def test_of_those_who_use_a_link_at_once_one_decides(kept: Store) -> None:
    kept.open_ask(ask(minimum=5))
    secret = kept.new_link("q1", "slack:ops")

    def use(number: int) -> bool:
        try:
            kept.add_voice("q1", voice(f"user:{number}"), token=secret)
        except AskOver:
            return False
        return True

    with ThreadPoolExecutor(4) as several:
        assert sum(several.map(use, range(4))) == 1


def note(words: str = "p99 looks odd", **more: Any) -> RunNote:
    given: dict[str, Any] = {"run": "r1", "at": 1005.0, "by": "user:ada", "written_at": 1006.0}
    return RunNote(text=words, **{**given, **more})


def test_notes_come_back_in_the_order_of_what_they_are_about(kept: Store) -> None:
    later = kept.add_note(note("later", at=1010.0, origin="cli", where="desk"))
    earlier = kept.add_note(note("earlier"))
    kept.record(NoteTaken(1007.0, "between", "ada@desk"))
    found = kept.notes_of("r1")
    assert [one.text for one in found] == ["earlier", "between", "later"]
    assert found[2] == later
    assert earlier.number != later.number
    assert found[1].origin == "step"


def test_those_who_look_on_see_a_note_as_long_as_the_run_goes_on(kept: Store) -> None:
    kept.add_note(note("seen"))
    told = [e for e in kept.events("r1") if e.kind == "NoteTaken"]
    assert [e.data["text"] for e in told] == ["seen"]
    kept.record(RunEnded(1001.0, "r1", Outcome.MET, "held", {"slos": []}))
    before = len(list(kept.events("r1")))
    kept.add_note(note("afterwards"))
    assert len(list(kept.events("r1"))) == before
    assert len(kept.notes_of("r1")) == 2


def test_a_run_takes_only_so_many(kept: Store) -> None:
    rows = [
        {
            "run": "r1",
            "text": "x",
            "at": 1.0,
            "by": "a",
            "written_at": 1.0,
            "origin": "",
            "place": "",
        }
        for _ in range(MOST_NOTES - 1)
    ]
    with kept._database.writing() as connection:
        connection.execute(insert(notes), rows)
    kept.add_note(note("the last one"))
    with pytest.raises(TooManyNotes, match="takes no more"):
        kept.add_note(note("one more"))
    kept.add_note(note("of another", run="r2"))


def test_notes_of_a_window_that_is_no_run_yet_are_kept(kept: Store) -> None:
    kept.add_note(note(run="w1"))
    assert [one.text for one in kept.notes_of("w1")] == ["p99 looks odd"]


def test_what_people_said_goes_with_its_run(kept: Store) -> None:
    kept.open_ask(ask())
    secret = kept.new_link("q1", "slack:ops")
    kept.add_voice("q1", voice())
    kept.add_note(note())
    kept.record(RunEnded(1001.0, "r1", Outcome.MET, "held", {"slos": []}))
    kept.delete("r1")
    assert kept.ask_of("r1") is None
    assert kept.link(secret) is None
    assert kept.notes_of("r1") == ()


def test_notes_of_the_runs_of_a_time_come_with_their_titles(kept: Store) -> None:
    kept.add_note(note("within"))
    kept.add_note(note("of no run", run="w1"))
    assert [(n.text, t) for n, t in kept.notes_between(999.0, 1001.0)] == [("within", "a title")]
    assert kept.notes_between(1001.0, 2000.0) == ()
    assert kept.notes_between(0.0, 1000.0) == ()


def test_a_dead_run_that_is_closed_waits_for_nobody(kept: Store) -> None:
    kept.open_ask(ask())
    kept.close("r1", "aborted", "its process died", ())
    found = kept.ask("q1")
    assert found is not None
    assert (found.state, found.detail) == (
        AskState.WITHDRAWN,
        "the process that waited for it died",
    )


def test_hostile_texts_come_back_as_they_are(kept: Store) -> None:
    words = "'; drop table notes; -- <script>alert(1)</script> \u202e \ud800"
    kept.add_note(note(words))
    assert "drop table" in kept.notes_of("r1")[0].text
    assert len(kept.notes_of("r1")) == 1
