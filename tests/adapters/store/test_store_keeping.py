"""Runs whose process is gone: found, closed, deleted; and those that must stay."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from sloguard.adapters.store import Store
from sloguard.adapters.store.errors import OpenFaults, RunNotFound
from sloguard.adapters.store.ids import new_run_id
from sloguard.adapters.store.liveness import is_alive, myself
from sloguard.core.model import Outcome, Verdict
from sloguard.core.people import Ask, RunNote
from sloguard.host.identity import Identity, identify
from sloguard.ports import Intent
from sloguard.ports.service import Window
from tests.fakes.clock import FakeClock
from tests.support import runs as made
from tests.support.runs import FAULT, RUN

ELSEWHERE = replace(myself(), machine=replace(myself().machine, host="other", boot="other-boot"))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(FAULT)


@pytest.fixture
def dead() -> Identity:
    """A process of this machine that has ended."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    found = identify(child.pid)
    child.communicate()
    assert found is not None
    return found


def store_of(url: str, clock: FakeClock, process: Identity) -> Store:
    return Store(url, now=clock.now, process=lambda: process)


@pytest.fixture
def elsewhere(url: str, clock: FakeClock) -> Iterator[Store]:
    with store_of(url, clock, ELSEWHERE) as store:
        yield store


def intent(name: str = "intent-1", run: str = RUN) -> Intent:
    return Intent(name, run, "method[0]", "processes.kill", "checkout[4711]", {"pid": 4711})


def test_a_run_of_a_living_process_is_alive(store: Store) -> None:
    for event in made.opening(variables={"n": 3}):
        store.record(event)
    (found,) = store.unfinished()
    assert (found.id, found.title, found.alive, found.began_method) == (
        RUN,
        "Losing a replica",
        True,
        False,
    )
    assert found.source.endswith("/shop.yaml")
    assert found.variables == {"n": 3}
    assert found.document["method"][0]["provider"]["func"] == "kill"
    assert (found.started_at, found.fault_at) == (FAULT - 60, FAULT)


def test_a_run_of_a_process_that_is_gone_is_dead_at_once(
    url: str, clock: FakeClock, dead: Identity
) -> None:
    with store_of(url, clock, dead) as store:
        store.record(made.opening()[0])
        assert not store.unfinished()[0].alive
        assert store.runs()[0].state == "interrupted"


def test_a_pid_that_was_given_to_another_process_does_not_keep_a_run_alive(
    url: str, clock: FakeClock
) -> None:
    earlier = replace(myself(), started=myself().started - 1)
    with store_of(url, clock, earlier) as store:
        store.record(made.opening()[0])
        assert not store.unfinished()[0].alive


def test_elsewhere_a_heartbeat_speaks_for_a_process(elsewhere: Store, clock: FakeClock) -> None:
    elsewhere.record(made.opening()[0])
    clock.advance(59)
    assert elsewhere.unfinished()[0].alive
    elsewhere.beat(RUN)
    clock.advance(59)
    assert elsewhere.unfinished()[0].alive
    # Any event is a heartbeat too.
    elsewhere.record(made.opening()[1])
    clock.advance(59)
    assert elsewhere.unfinished()[0].alive
    clock.advance(2)
    assert not elsewhere.unfinished()[0].alive


@pytest.mark.parametrize("changed", ["boot", "pids"])
def test_another_boot_or_container_under_the_same_name_is_elsewhere(changed: str) -> None:
    machine = replace(myself().machine, **{changed: "another"})
    stranger = replace(myself(), machine=machine)
    assert is_alive(stranger, heartbeat=0, now=59)
    assert not is_alive(stranger, heartbeat=0, now=61)


def test_the_name_of_a_machine_proves_nothing(dead: Identity) -> None:
    renamed = replace(dead, machine=replace(dead.machine, host="renamed"))
    assert not is_alive(renamed, heartbeat=0, now=1)


def test_the_ledger_alone_is_enough_to_find_a_run(store: Store) -> None:
    """The start could not be recorded, or is not yet: what is injected is found all the same."""
    store.begin(RUN, "method[0]")
    store.intend(intent())
    (found,) = store.unfinished()
    assert (found.id, found.began_method, found.alive) == (RUN, True, True)
    store.record(made.opening()[0])
    assert store.unfinished()[0].title == "Losing a replica"
    assert len(store.open_intents(RUN)) == 1


def test_unfinished_runs_come_oldest_first_and_ended_ones_not_at_all(store: Store) -> None:
    for name in ("20260103T000000-c", "20260101T000000-a", "20260102T000000-b"):
        store.recorder().record(made.opening(name)[0])
    for event in made.whole("20260104T000000-d"):
        store.record(event)
    assert [r.id[-1] for r in store.unfinished()] == ["a", "b", "c"]


def test_a_dead_run_is_closed_with_a_document(store: Store) -> None:
    for event in made.opening():
        store.record(event)
    undone = made.fault("undone", injected_at=FAULT, undone_at=FAULT + 300)
    store.close(RUN, "aborted", "interrupted: killed, and recovered later", [undone])
    run = store.run(RUN)
    assert (run.outcome, run.state) == (Outcome.ABORTED, "aborted")
    assert run.ended_at is not None
    assert run.document is not None
    assert run.document["outcome"] == "aborted"
    assert run.document["exit_code"] == 13
    assert run.document["reason"] == "interrupted: killed, and recovered later"
    assert run.document["faults"][0]["status"] == "undone"
    assert [a["name"] for a in run.document["activities"]] == ["front-answers", "lose-a-replica"]
    assert run.faults == (undone,)
    assert store.unfinished() == ()


def test_a_verdict_that_was_known_stays_in_the_document_of_a_closed_run(store: Store) -> None:
    for event in made.whole()[:-1]:
        store.record(event)
    store.close(RUN, "aborted", "interrupted", ())
    document = store.run(RUN).document
    assert document is not None
    assert (document["outcome"], document["score"]) == ("aborted", None)
    assert document["slos"][0]["verdict"] == "deviated"


def test_closing_does_not_change_how_a_run_ended(store: Store) -> None:
    for event in made.whole():
        store.record(event)
    store.close(RUN, "aborted", "interrupted", ())
    assert store.run(RUN).outcome is Outcome.DEVIATED
    with pytest.raises(RunNotFound):
        store.close("nobody", "aborted", "interrupted", ())


def test_what_was_not_restored_is_found_and_can_be_closed_again(store: Store) -> None:
    store.record(made.opening()[0])
    store.intend(intent())
    store.close(RUN, "not-restored", "left behind", [made.fault("left", detail="no rights")])
    (found,) = store.not_restored()
    assert (found.id, found.alive) == (RUN, False)
    assert store.unfinished() == ()
    store.mark("intent-1", "undone")
    store.close(RUN, "aborted", "interrupted", [made.fault("undone", undone_at=FAULT)])
    assert store.not_restored() == ()
    assert store.run(RUN).outcome is Outcome.ABORTED


def test_deleting_takes_everything_of_the_run_and_nothing_else(store: Store) -> None:
    from sqlalchemy import func, select

    from sloguard.adapters.store.tables import metadata

    for name in ("20260101T000000-a", "20260102T000000-b"):
        for event in made.whole(name):
            store.record(event)
        store.begin(name, "method[0]")
        store.intend(intent(f"intent of {name}", name))
        store.mark(f"intent of {name}", "undone")
        moment = {"opened_at": 1.0, "fault_at": 1.0, "expires_at": 9.0}
        store.open_window(Window(id=name, title="x", slos="shop", **moment))
        store.close_window(name, 2.0, not_before=3.0)
        times = {"asked_at": 1.0, "until": 2.0}
        store.open_ask(Ask(id=f"ask of {name}", run=name, title="x", digest="d", plan={}, **times))
        store.add_note(RunNote(run=name, text="x", at=1.0, by="ada", written_at=1.0))

    # Everything that hangs on a run; what both runs have in common stands in none of these.
    theirs = {"runs", "windows", "jobs", "answers", "notes"} | {
        name
        for name, table in metadata.tables.items()
        if any(key.column.table.name == "runs" for key in table.foreign_keys)
    } - {"alert_amendments"}

    def counts() -> dict[str, int]:
        with store._database.reading() as connection:
            return {
                name: int(connection.execute(select(func.count()).select_from(table)).scalar_one())
                for name, table in metadata.tables.items()
                if name in theirs
            }

    both = counts()
    assert all(count % 2 == 0 and count for count in both.values())
    assert store.delete("20260101") == "20260101T000000-a"
    assert counts() == {name: count // 2 for name, count in both.items()}
    with pytest.raises(RunNotFound):
        store.delete("20260101")


def test_deleting_gives_the_room_back(tmp_path) -> None:
    path = tmp_path / "runs.db"
    with Store(str(path)) as store:
        store._database.engine.dispose()
        empty = os.path.getsize(path)
        for event in made.whole(evidence=[made.make_evidence(series=300, points=240)]):
            store.record(event)
        store.delete(RUN)
        assert os.path.getsize(path) < empty + 100_000


@pytest.mark.parametrize("status", ["intent", "injected", "failed"])
def test_a_run_with_open_faults_is_never_deleted(store: Store, status: str) -> None:
    for event in made.whole():
        store.record(event)
    store.intend(intent())
    store.mark("intent-1", status)
    with pytest.raises(OpenFaults, match="sloguard recover"):
        store.delete(RUN)
    assert store.prune(keep=0, older_than=FAULT * 2) == ()
    store.mark("intent-1", "undone")
    assert store.prune(keep=0) == (RUN,)


def test_a_run_that_has_not_ended_is_never_deleted(store: Store) -> None:
    store.record(made.opening()[0])
    with pytest.raises(OpenFaults, match="still runs"):
        store.delete(RUN)
    assert store.prune(keep=0) == ()


def test_an_interrupted_run_must_be_closed_before_it_is_deleted(
    url: str, clock: FakeClock, dead: Identity
) -> None:
    with store_of(url, clock, dead) as store:
        store.record(made.opening()[0])
        with pytest.raises(OpenFaults, match="was interrupted"):
            store.delete(RUN)
        store.close(RUN, "aborted", "interrupted", ())
        store.delete(RUN)


def test_pruning_keeps_the_newest_and_the_young(store: Store) -> None:
    names = [f"2026010{n}T000000-aaaaaa" for n in range(1, 6)]
    for number, name in enumerate(names):
        announced = made.whole(name, Verdict.MET)
        store.record(replace(announced[0], at=FAULT + number))
        store.record(announced[-1])
    assert store.prune(keep=4, older_than=FAULT) == ()
    assert store.prune(keep=3) == (names[1], names[0])
    assert store.prune(older_than=FAULT + 3) == (names[2],)
    assert store.prune(keep=10) == ()
    assert [r.id for r in store.runs()] == [names[4], names[3]]
    for wrong in ({}, {"keep": -1}):
        with pytest.raises(ValueError, match="prune needs"):
            store.prune(**wrong)  # type: ignore[arg-type]  # the mistake that is tested


def test_ids_sort_by_time_and_differ() -> None:
    ids = [new_run_id(FAULT + second) for second in range(20)]
    assert ids == sorted(ids)
    assert ids[0].startswith("20260101T120000-")
    assert len({new_run_id(FAULT) for _ in range(200)}) == 200
