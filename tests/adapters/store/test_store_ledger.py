"""The ledger's contract, for the store and for the fake that other tests use in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from sloguard.adapters.store import Store
from sloguard.ports import Intent, Ledger, OutsideError
from tests.fakes.ledger import FakeLedger
from tests.support.empty_store import empty_store

RUN = "20260101T000000-aaaaaa"


@pytest.fixture(params=["sqlite", "postgresql", "fake"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    if request.param == "fake":
        yield FakeLedger()
        return
    server = request.getfixturevalue("postgresql") if request.param == "postgresql" else None
    with Store(server.migrated_database() if server else empty_store(tmp_path / "r.db")) as store:
        yield store


def intent(name: str, run: str = RUN) -> Intent:
    record = {"pid": 4711, "nested": {"list": [1, 2.5, None, "ü"]}}
    return Intent(name, run, "method[0]", "processes.stop", f"target of {name}", record)


def test_what_is_intended_is_open_until_it_is_undone(ledger: Ledger) -> None:
    for name in ("b", "a", "c"):
        ledger.intend(intent(name))
    ledger.mark("a", "injected")
    ledger.mark("c", "failed", "no such process")
    left = ledger.open_intents(RUN)
    assert [(i.id, i.status, i.detail) for i in left] == [
        ("b", "intent", ""),
        ("a", "injected", ""),
        ("c", "failed", "no such process"),
    ]
    assert left[0] == intent("b")
    for name in ("a", "b", "c"):
        ledger.mark(name, "undone")
    assert ledger.open_intents(RUN) == ()


def test_a_newer_record_replaces_the_older_one_and_no_record_keeps_it(ledger: Ledger) -> None:
    ledger.intend(intent("a"))
    ledger.mark("a", "injected", record={"pid": 1})
    ledger.mark("a", "injected", "again")
    (found,) = ledger.open_intents(RUN)
    assert (found.record, found.detail) == ({"pid": 1}, "again")


def test_runs_are_kept_apart(ledger: Ledger) -> None:
    ledger.intend(intent("a"))
    ledger.intend(intent("b", "another"))
    ledger.begin("another", "method[0]")
    assert [i.id for i in ledger.open_intents(RUN)] == ["a"]
    assert ledger.activities(RUN) == {}
    assert ledger.open_intents("nobody") == ()


def test_activities_that_began_are_known_with_their_status(ledger: Ledger) -> None:
    ledger.begin(RUN, "method[0]")
    ledger.begin(RUN, "method[1]")
    ledger.finish(RUN, "method[0]", "succeeded")
    assert ledger.activities(RUN) == {"method[0]": "succeeded", "method[1]": "begun"}
    ledger.begin(RUN, "method[0]")
    assert ledger.activities(RUN)["method[0]"] == "begun"


def test_mistakes_are_errors(ledger: Ledger) -> None:
    with pytest.raises(OutsideError, match="no intent nothing"):
        ledger.mark("nothing", "undone")
    ledger.intend(intent("a"))
    with pytest.raises(OutsideError, match="already has an intent a"):
        ledger.intend(replace(intent("a"), target="another"))


def test_several_threads_may_write_at_once(ledger: Ledger) -> None:
    def work(name: str) -> None:
        for number in range(5):
            ledger.begin(RUN, f"method[{name}]")
            ledger.intend(intent(f"{name}{number}"))
            ledger.mark(f"{name}{number}", "injected", record={"number": number})

    run_all([lambda name=name: work(name) for name in "abcd"])
    left = ledger.open_intents(RUN)
    assert sorted(i.id for i in left) == sorted(f"{n}{i}" for n in "abcd" for i in range(5))
    assert {i.status for i in left} == {"injected"}


def run_all(work: list[Callable[[], None]]) -> None:
    failures: list[BaseException] = []

    def guarded(one: Callable[[], None]) -> None:
        try:
            one()
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [Thread(target=guarded, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
