"""What a run leaves in the store while it goes, and after."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from sloguard import __version__
from sloguard.adapters.store import Store
from sloguard.adapters.store.errors import RunExists, StoreError
from sloguard.adapters.store.reading import NOT_ENDED
from sloguard.core import events
from sloguard.core.model import ActivityStatus, Outcome, PhaseName
from tests.support import runs as made
from tests.support.runs import FAULT, RUN, SECRET, TIMELINE


def record_all(store: Store, announced: list[events.Event]) -> None:
    for event in announced:
        store.record(event)


def test_a_whole_run_reads_back(store: Store) -> None:
    record_all(store, made.whole())
    run = store.run(RUN)
    assert (run.title, run.tags, run.version) == (
        "Losing a replica",
        ("shop", "process"),
        __version__,
    )
    assert run.source.startswith("/")
    assert run.source.endswith("/shop.yaml")
    assert (run.outcome, run.state, run.reason) == (Outcome.DEVIATED, "deviated", "12%, not < 5%")
    assert (run.timeline, run.fault_at, run.restored_at) == (TIMELINE, FAULT, FAULT + 60)
    assert (run.started_at, run.ended_at, run.score) == (FAULT - 60, FAULT + 122, 0.0)
    assert run.document is not None
    assert run.document["slos"][0]["series"][0]["baseline"] == 0.001
    assert run.resolved == made.resolved()
    assert [a.activity.key for a in run.activities] == [
        "hypothesis[0]",
        "method[0]",
        "rollbacks[0]",
        "hypothesis[0]",
    ]
    assert [f.status for f in run.faults] == ["undone"]
    assert run.surroundings.away.tolist() == [FAULT + 5]
    assert run.surroundings.removed == {"pod": frozenset({"a", "b"})}
    assert not run.alive


def test_activities_read_back_as_they_were(store: Store) -> None:
    record_all(store, made.whole())
    first, kill, _, last = store.run(RUN).activities
    assert first.activity == made.PROBE
    assert first.output == {"status": 200, "body": "NaN"}
    assert (first.phase, first.tolerance_met) == (PhaseName.BEFORE, True)
    assert kill.activity.pause_after == 5.0
    assert kill.activity.declared == made.KILL.declared
    assert (last.status, last.error, last.unreachable) == (
        ActivityStatus.FAILED,
        "connection refused",
        True,
    )
    assert (last.start, last.end) == (FAULT + 110, FAULT + 110.5)


def test_events_keep_their_order_and_say_what_happened(store: Store) -> None:
    announced = made.whole()
    record_all(store, announced)
    kept = list(store.events(RUN))
    assert [e.kind for e in kept] == [type(e).__name__ for e in announced]
    assert [e.at for e in kept] == [e.at for e in announced]
    observed = next(e for e in kept if e.kind == "Observed")
    assert observed.data["readings"][0]["value"] == 0.001
    middle = kept[5].number
    assert [e.number for e in store.events(RUN, after=middle)] == [e.number for e in kept[6:]]


def test_many_events_come_page_by_page_without_a_gap(store: Store) -> None:
    store.record(made.opening()[0])
    for number in range(1203):
        store.record(events.Note(FAULT + number, "info", str(number)))
    texts = [e.data["message"] for e in store.events(RUN) if e.kind == "Note"]
    assert texts == [str(n) for n in range(1203)]


def test_what_was_known_is_there_at_every_moment(url: str) -> None:
    with Store(url) as writer, Store(url) as reader:
        for count, event in enumerate(made.opening(), start=1):
            writer.record(event)
            assert len(list(reader.events(RUN))) == count
        run = reader.run("latest")
    assert (run.state, run.fault_at, run.timeline, run.document) == ("running", FAULT, None, None)
    begun = run.activities[-1]
    assert (begun.activity.key, begun.status, begun.error) == (
        "method[0]",
        ActivityStatus.ABORTED,
        NOT_ENDED,
    )


def test_no_secret_is_anywhere_in_the_file(tmp_path) -> None:
    path = tmp_path / "runs.db"
    with Store(str(path)) as store:
        leaking = [
            events.Note(FAULT, "error", f"401 for {SECRET}"),
            events.GuardTripped(FAULT, "guard", f"read with {SECRET}"),
            events.FaultChanged(FAULT, made.fault("left", detail=SECRET, by_hand=f"undo {SECRET}")),
            events.EvidenceCollected(
                FAULT, replace(made.make_evidence(), error=f"{SECRET}", lookback_problem=SECRET)
            ),
        ]
        for event in [
            *made.opening(variables={"token": SECRET, "n": 3}),
            *leaking,
            *made.whole()[8:],
        ]:
            store.record(event)
        run = store.run(RUN)
        assert run.declared["secrets"] == {
            "shop": {"token": "*****", "other": {"type": "env", "key": "OTHER"}}
        }
        assert run.variables == {"token": "*****", "n": 3}
        assert store.evidence(RUN)[0].lookback_problem in ("*****", "")
    for file in tmp_path.iterdir():
        assert SECRET.encode() not in file.read_bytes()


def test_a_secret_that_is_a_word_of_ours_does_not_make_a_run_unreadable(store: Store) -> None:
    experiment = replace(
        made.experiment(), secrets={"x": {"y": "name", "z": "labels", "w": "away"}}
    )
    first = made.opening()[0]
    assert isinstance(first, events.RunStarted)
    record_all(store, [replace(first, experiment=experiment), *made.whole()[1:]])
    assert len(store.run(RUN).activities) == 4
    assert store.evidence(RUN)[0].answers["total"].labels[0][0][0] == "instance"
    assert len(store.verdicts(run=RUN)) == 2


def test_verdicts_are_rows(store: Store) -> None:
    record_all(store, made.whole())
    whole, series = store.verdicts(run="latest")
    assert (whole.slo, whole.labels, whole.verdict) == ("error-ratio", None, "deviated")
    assert series.labels == {"service": "checkout"}
    assert (series.before, series.during, series.after) == ("met", "deviated", "met")
    assert store.verdicts(slo="another") == ()


def test_a_verdict_is_replaced_when_it_is_judged_again(store: Store) -> None:
    record_all(store, made.whole())
    final = made.whole()[-1]
    assert isinstance(final, events.RunEnded)
    store.record(final)
    assert len(store.verdicts(run=RUN)) == 2


def test_evidence_collected_twice_is_kept_once(store: Store) -> None:
    store.record(made.opening()[0])
    for seed in (1, 7):
        store.record(events.EvidenceCollected(FAULT, made.make_evidence(seed=seed)))
    (kept,) = store.evidence(RUN)
    wanted = made.make_evidence(seed=7).answers["total"].values
    assert np.array_equal(kept.answers["total"].values, wanted, equal_nan=True)


def test_an_activity_that_is_carried_out_twice_has_two_rows(store: Store) -> None:
    store.record(made.opening()[0])
    for number in (1, 2):
        store.record(events.ActivityStarted(FAULT + number, made.PROBE, "hypothesis"))
        done = made.record(made.PROBE, "hypothesis", FAULT + number, output=number)
        store.record(events.ActivityEnded(FAULT + number, done))
    assert [a.output for a in store.run(RUN).activities] == [1, 2]


def test_background_activities_may_end_in_any_order(store: Store) -> None:
    store.record(made.opening()[0])
    other = replace(made.KILL, key="method[1]")
    for activity in (made.KILL, other):
        store.record(events.ActivityStarted(FAULT, activity, "method"))
    for activity in (other, made.KILL):
        done = made.record(activity, "method", FAULT + 1, output=activity.key)
        store.record(events.ActivityEnded(FAULT + 2, done))
    assert [a.output for a in store.run(RUN).activities] == ["method[0]", "method[1]"]


def test_an_activity_whose_beginning_was_missed_is_kept_all_the_same(store: Store) -> None:
    store.record(made.opening()[0])
    store.record(events.ActivityEnded(FAULT, made.record(made.BACK, "rollbacks", FAULT)))
    assert [a.activity.key for a in store.run(RUN).activities] == ["rollbacks[0]"]


def test_two_runs_of_one_id_are_refused(store: Store) -> None:
    store.record(made.opening()[0])
    with pytest.raises(RunExists, match=RUN):
        store.record(made.opening()[0])


def test_an_event_without_a_run_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="before RunStarted"):
        store.record(events.Note(FAULT, "info", "hello"))


def test_one_store_records_several_runs_at_once(store: Store) -> None:
    names = [f"2026010{n}T000000-aaaaaa" for n in range(1, 4)]
    recorders = [store.recorder() for _ in names]
    announced = [made.whole(name) for name in names]
    for step in zip(*announced, strict=True):
        for recorder, event in zip(recorders, step, strict=True):
            recorder.record(event)
    for name in names:
        assert len(list(store.events(name))) == len(announced[0])
        assert store.run(name).document["run"] == name  # type: ignore[index]  # it has ended


def test_the_run_ends_well_although_texts_hold_what_databases_refuse(store: Store) -> None:
    odd = "NUL \0, half a character \ud800, kasse ✓"
    store.record(made.opening()[0])
    store.record(events.Note(FAULT, "warning", odd))
    done = made.record(made.KILL, "method", FAULT, output={odd: [odd]}, error=odd)
    store.record(events.ActivityEnded(FAULT, done))
    store.record(events.FaultChanged(FAULT, made.fault("left", detail=odd)))
    assert json.loads(json.dumps(list(store.events(RUN))[1].data))["message"] == odd
    (kept,) = store.run(RUN).activities
    assert kept.output == {odd: [odd]}
    assert kept.error == "NUL \\x00, half a character \\ud800, kasse ✓"


def test_a_start_that_could_not_be_kept_is_tried_again(url: str) -> None:
    with Store(url) as store:
        broken = store.recorder()
        # The id is taken until the other run is deleted.
        store.record(made.whole()[0])
        first, second = made.opening()[:2]
        with pytest.raises(RunExists):
            broken.record(first)
        store.close(RUN, "aborted", "made room", ())
        store.delete(RUN)
        broken.record(second)
        assert [e.kind for e in store.events(RUN)] == ["RunStarted", "Preflight"]


def test_a_failed_write_leaves_nothing_half_written(store: Store) -> None:
    store.record(made.opening()[0])
    bad = made.make_evidence()
    broken = replace(bad.answers["bad"], values=np.empty((1, 1)))
    with pytest.raises(ValueError, match="expected 1 series x 24 points"):
        store.record(
            events.EvidenceCollected(
                FAULT, replace(bad, answers={"total": bad.answers["total"], "bad": broken})
            )
        )
    assert store.evidence(RUN) == ()
    assert [e.kind for e in store.events(RUN)] == ["RunStarted"]
