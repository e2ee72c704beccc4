"""What reports read of a store, and reports that are kept: on SQLite and PostgreSQL."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from sloguard.adapters.store import Store
from sloguard.core.reporting import StoredReport
from tests.support.chaos_weeks import MONDAY, Happening, Shape, fill

END = (MONDAY + timedelta(days=7)).timestamp()
PLAN = (
    Happening(0, 0, "lose-a-pod", {"checkout": Shape(50, 0)}),
    Happening(0, 1, "lose-a-pod", {"checkout": Shape(5, 0)}),
    Happening(1, 0, "lose-a-pod", {"checkout": Shape(50, 0)}),
    Happening(1, 1, "kill-front", {"front": Shape(5, 0)}),
    Happening(1, 2, "kill-front", {}, ends="aborted"),
)


def report(number: int = 1, key: str | None = None, created: float = 100.0) -> StoredReport:
    return StoredReport(
        id=f"20261123T07000{number}-abcdef",
        kind="weekly",
        name="2026-W47",
        title="Report \0 \ud800",
        summary="all well",
        start=1.0,
        end=2.0,
        created_at=created,
        key=key,
        model={"numbers": [1, 2.5, None], "text": "ü ✓"},
        body="<p>ü ✓</p>",
    )


def test_sources_come_in_order_and_only_of_the_window(store: Store) -> None:
    ids = fill(store, PLAN, weeks=2)
    found = list(store.run_sources(0.0, END))
    assert [source.run for source in found] == ids
    assert [source.outcome for source in found] == ["deviated", "met", "deviated", "met", "aborted"]
    assert found[0].tags == ("team:payments", "kubernetes")
    assert found[0].name == "lose-a-pod"
    assert all(source.document for source in found)
    later = list(store.run_sources(found[2].started_at, found[4].started_at))
    assert [source.run for source in later] == ids[2:4]


def test_a_run_judged_again_and_one_under_way_do_not_count(store: Store) -> None:
    (run,) = fill(store, PLAN[:1], weeks=2)
    again = store.recorder(experiment="lose-a-pod", kind="rejudge", origin=run)
    from tests.support import runs as made

    for event in made.whole("20261101T000000-aaaaaa"):
        again.record(event)
    for event in made.opening("20261101T000000-bbbbbb"):
        store.record(event)
    assert [source.run for source in store.run_sources(0.0, END)] == [run]
    assert [past.runs for past in store.experiments_past(END)] == [1]


def test_the_past_of_experiments_and_faults(store: Store) -> None:
    ids = fill(store, PLAN, weeks=2)
    starts = {source.run: source.started_at for source in store.run_sources(0.0, END)}
    past = {one.experiment: one for one in store.experiments_past(END)}
    assert set(past) == {"lose-a-pod", "kill-front"}
    pod = past["lose-a-pod"]
    assert (pod.runs, pod.last_run, pod.last_outcome) == (3, ids[2], "deviated")
    assert pod.last_met_at == starts[ids[1]]
    assert past["kill-front"].last_outcome == "aborted"
    # As it was then.
    earlier = {one.experiment: one for one in store.experiments_past(starts[ids[1]])}
    assert (earlier["lose-a-pod"].last_run, earlier["lose-a-pod"].last_met_at) == (ids[0], None)
    assert store.faults_past(END) == ("pods.terminate_pods", "processes.kill")
    assert store.faults_past(starts[ids[3]]) == ("pods.terminate_pods",)


def test_the_history_of_an_slo_is_newest_first(store: Store) -> None:
    ids = fill(store, PLAN, weeks=2)
    found = list(store.verdict_history("lose-a-pod", "error-ratio", END))
    runs = [run for run, _ in itertools.groupby(found, key=lambda one: one.run)]
    assert runs == [ids[2], ids[1], ids[0]]
    checkout = [one.verdict for one in found if one.labels == {"service": "checkout"}]
    assert checkout == ["deviated", "met", "deviated"]
    assert [one.outcome for one in found if one.labels is None] == ["deviated", "met", "deviated"]
    assert list(store.verdict_history("lose-a-pod", "no-such-slo", END)) == []


def test_a_report_is_kept_as_it_is(store: Store) -> None:
    assert store.report("latest") is None
    assert store.keep_report(report())
    found = store.report(report().id)
    assert found is not None
    assert (found.model, found.body) == (report().model, report().body)
    assert found.title == "Report \\x00 \\ud800"
    assert store.report("latest") == found
    assert store.report("nobody") is None
    (line,) = store.reports()
    assert (line.id, line.summary, line.created_by) == (found.id, "all well", "")


def test_of_one_key_there_is_one_report(store: Store) -> None:
    with ThreadPoolExecutor(4) as pool:
        kept = list(pool.map(lambda n: store.keep_report(report(n, key="weekly")), range(4)))
    assert sorted(kept) == [False, False, False, True]
    (line,) = store.reports()
    assert store.report_with_key("weekly") == line
    assert store.report_with_key("other") is None
    assert store.keep_report(report(5))
    assert store.keep_report(report(6))


def test_pages_announcements_and_age(store: Store) -> None:
    for number in range(4):
        store.keep_report(report(number, key=str(number) if number % 2 else None, created=float(number)))  # fmt: skip
    ids = [line.id for line in store.reports()]
    assert ids == sorted(ids, reverse=True)
    assert [line.id for line in store.reports(2, before=ids[1])] == ids[2:]
    assert store.reports(kind="run") == ()
    # Only what a schedule makes is told by itself.
    waiting = [line.id for line in store.reports_to_announce()]
    assert waiting == [ids[2], ids[0]]
    store.report_announced(waiting[0])
    assert [line.id for line in store.reports_to_announce()] == [ids[0]]
    assert store.prune_reports(2.0) == 2
    assert [line.id for line in store.reports()] == ids[:2]
    assert store.delete_report(ids[0])
    assert not store.delete_report(ids[0])
