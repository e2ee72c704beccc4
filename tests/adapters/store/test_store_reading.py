"""Finding runs again: lists, pages, filters, short names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sloguard.adapters.store import Store
from sloguard.adapters.store.errors import AmbiguousRun, RunNotFound, StoreDamaged
from sloguard.core import events
from sloguard.core.model import Outcome, Verdict
from tests.support import runs as made
from tests.support.runs import FAULT


def keep(
    store: Store, run: str, *, title: str = "", tags: tuple[str, ...] = (), at: float = FAULT
) -> None:
    """A run that has started and nothing else."""
    experiment = replace(made.experiment(), title=title, tags=tags)
    store.recorder().record(events.RunStarted(at, run, experiment, {}))


def ids(store: Store, **filters: object) -> list[str]:
    return [run.id for run in store.runs(**filters)]  # type: ignore[arg-type]  # tests name filters


def test_an_empty_store_has_no_runs(store: Store) -> None:
    assert store.runs() == ()
    with pytest.raises(RunNotFound, match="there is no run"):
        store.run("latest")


def test_pages_go_on_where_the_last_one_ended_whatever_is_added_or_deleted(store: Store) -> None:
    names = [f"20260101T0000{n:02}-aaaaaa" for n in range(7)]
    for name in names:
        keep(store, name)
    first = ids(store, limit=3)
    assert first == names[:3:-1]
    keep(store, "20270101T000000-newone")
    store.close(first[-1], "aborted", "x", ())
    store.delete(first[-1])
    second = ids(store, limit=3, before=first[-1])
    assert second == [names[3], names[2], names[1]]
    assert ids(store, limit=3, before=second[-1]) == [names[0]]
    assert ids(store, limit=3, before=names[0]) == []


def test_filters(store: Store) -> None:
    keep(store, "a1", title="Checkout loses 50% of its pods", tags=("pod", "shop"), at=100)
    keep(store, "a2", title="Stock is slow", tags=("shop",), at=200)
    keep(store, "a3", title="checkout is slow", tags=("pods",), at=300)
    assert ids(store, experiment="CHECKOUT") == ["a3", "a1"]
    # No wildcards: a percent sign is a percent sign.
    assert ids(store, experiment="50%") == ["a1"]
    assert ids(store, experiment="%") == ["a1"]
    assert ids(store, experiment="_") == []
    assert ids(store, tag="pod") == ["a1"]
    assert ids(store, tag="shop", experiment="slow") == ["a2"]
    assert ids(store, since=200) == ["a3", "a2"]
    assert ids(store, since=100, until=200) == ["a1"]


def test_outcomes_are_filtered_and_what_has_not_ended_is_running(store: Store) -> None:
    store.record(made.opening("r0")[0])
    for number, verdict in enumerate((Verdict.MET, Verdict.DEVIATED, Verdict.INCONCLUSIVE), 1):
        for event in made.whole(f"r{number}", verdict):
            store.record(event)
    assert ids(store, outcome="met") == ["r1"]
    assert ids(store, outcome=Outcome.DEVIATED) == ["r2"]
    assert ids(store, outcome="inconclusive") == ["r3"]
    assert ids(store, outcome="running") == ["r0"]
    assert ids(store, outcome="aborted") == []
    running = store.runs(outcome="running")[0]
    assert (running.alive, running.state, running.outcome) == (True, "running", None)


def test_runs_are_named_by_a_beginning_of_their_id(store: Store) -> None:
    for name in ("20260101T000000-abcdef", "20260101T000000-abzzzz", "20270101T000000-ffffff"):
        keep(store, name)
    assert store.run_id("2027") == "20270101T000000-ffffff"
    assert store.run_id("20260101T000000-abc") == "20260101T000000-abcdef"
    assert store.run_id("latest") == "20270101T000000-ffffff"
    with pytest.raises(AmbiguousRun, match="several runs") as caught:
        store.run("2026")
    assert caught.value.found == ("20260101T000000-abzzzz", "20260101T000000-abcdef")
    for wrong in ("2028", "", "%", "abcdef", "20270101T000000-fffffff"):
        with pytest.raises(RunNotFound, match="runs list"):
            store.run(wrong)


def test_a_whole_id_wins_over_a_longer_one(store: Store) -> None:
    keep(store, "abc")
    keep(store, "abcd")
    assert store.run_id("abc") == "abc"


def test_damaged_samples_are_said_to_be_damaged(store: Store) -> None:
    from sqlalchemy import update

    from sloguard.adapters.store.tables import answers

    store.record(made.opening()[0])
    store.record(events.EvidenceCollected(FAULT, made.make_evidence()))
    with store._database.writing() as connection:
        connection.execute(update(answers).values(samples=b"\x78\x01garbage"))
    with pytest.raises(StoreDamaged, match="SLO error-ratio are damaged"):
        store.evidence("latest")


def test_evidence_is_read_one_slo_at_a_time(store: Store) -> None:
    store.record(made.opening()[0])
    for name in ("a", "b", "c"):
        store.record(events.EvidenceCollected(FAULT, made.make_evidence(name)))
    assert [e.slo.name for e in store.each_evidence("latest")] == ["a", "b", "c"]
    assert [e.slo.name for e in store.evidence("latest", "b")] == ["b"]
    assert store.evidence("latest", "d") == ()
