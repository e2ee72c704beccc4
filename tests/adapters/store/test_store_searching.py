"""Search: by beginnings of words, the newest run of each thing, whatever is recorded and deleted."""

from __future__ import annotations

from sqlalchemy import func, select

from sloguard.adapters.store import Store
from sloguard.adapters.store.search_tables import mentions, things, words
from sloguard.core.model import FaultRecord
from tests.support import runs as made

FIRST, SECOND, THIRD = (f"2026010{day}T000000-{day}" for day in (1, 2, 3))


def fill(store: Store) -> None:
    for name, experiment in ((FIRST, "shop"), (SECOND, "shop"), (THIRD, "mail")):
        recorder = store.recorder(experiment=experiment)
        for event in made.whole(name):
            recorder.record(event)


def count(store: Store, table: object) -> int:
    with store._database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())  # type: ignore[arg-type]  # a table


def test_a_series_is_found_by_what_its_labels_say_in_its_newest_run(store: Store) -> None:
    fill(store)
    for text in ("checkout", "CHECK", "  checkout  ", "ch\0"):
        found = store.series_like(text)
        assert [(one.experiment, one.run) for one in found] == [("mail", THIRD), ("shop", SECOND)]
        assert all(one.labels == {"service": "checkout"} for one in found)
    of_run = {(v.slo, v.verdict, v.reason) for v in store.verdicts(run=THIRD)}
    assert {(o.slo, o.verdict, o.reason) for o in found if o.run == THIRD} <= of_run
    assert len(store.series_like("checkout", limit=1)) == 1


def test_nothing_fits_what_is_no_word_or_not_the_beginning_of_one(store: Store) -> None:
    fill(store)
    for text in ("", "%", "_", "'", "heckout", "checkout nowhere", "\U0010ffff", "a" * 5000):
        assert store.series_like(text) == (), text
        assert store.targets_like(text) == ()
        assert store.runs_like(text) == ()


def test_a_run_is_found_by_its_title_and_by_its_experiment(store: Store) -> None:
    fill(store)
    assert [run.id for run in store.runs_like("replica")] == [THIRD, SECOND, FIRST]
    assert [run.id for run in store.runs_like("los shop")] == [SECOND, FIRST]
    assert [run.id for run in store.runs_like("replica", limit=2)] == [THIRD, SECOND]


def test_a_target_is_found_also_where_only_recovery_told_of_it(store: Store) -> None:
    fill(store)
    begun = "20260104T000000-4"
    recorder = store.recorder(experiment="mail")
    for event in made.whole(begun)[:3]:
        recorder.record(event)
    hit = FaultRecord("f1", "pods.delete", "Pod mail/postfix-7f9", "undone", 1.0, 2.0)
    store.close(begun, "aborted", "it died", [hit])
    (found,) = store.targets_like("postfix")
    assert (found.fault, found.target, found.run) == (hit.fault, hit.target, begun)
    assert (found.experiment, found.outcome) == ("mail", "aborted")
    assert found == store.targets_like("7f9 mail")[0]


def test_what_only_deleted_runs_mention_is_not_kept(store: Store) -> None:
    fill(store)
    before = [count(store, table) for table in (things, words, mentions)]
    store.delete(SECOND)
    assert {one.run for one in store.series_like("checkout")} == {FIRST, THIRD}
    assert [count(store, table) for table in (things, words)] == before[:2]
    assert len(store.prune(keep=0)) == 2
    assert [count(store, table) for table in (things, words, mentions)] == [0, 0, 0]


def test_many_series_at_once_and_the_same_ones_again(store: Store) -> None:
    recorder = store.recorder(experiment="wide")
    events = made.whole(FIRST, evidence=[made.make_evidence(series=30)])
    for event in events:
        recorder.record(event)
    once = count(store, things)
    recorder = store.recorder(experiment="wide")
    for event in made.whole(SECOND, evidence=[made.make_evidence(series=30)]):
        recorder.record(event)
    assert count(store, things) == once
