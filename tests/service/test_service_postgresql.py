"""Services on a real PostgreSQL: two at once, and one whose store dies under its runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from sloguard.core.model import Outcome
from sloguard.ports.service import JobState
from tests.support.postgresql import PostgreSQL
from tests.support.service_lab import ServiceLab, stopping
from tests.support.victims import Victims, is_stopped

pytestmark = pytest.mark.integration


@pytest.fixture
def lab(tmp_path: Path, postgresql: PostgreSQL) -> Iterator[ServiceLab]:
    made = ServiceLab(tmp_path, postgresql.new_database())
    yield made
    made.close()


@pytest.fixture
def victims(tmp_path: Path) -> Iterator[list[Victims]]:
    made = [Victims(tmp_path) for _ in range(2)]
    yield made
    for one in made:
        one.stop()


def test_two_services_share_the_queue_and_no_job_is_done_twice(
    lab: ServiceLab, victims: list[Victims]
) -> None:
    for name, one in zip(("one", "two"), victims, strict=True):
        one.start()
        phases = {"before": "0s", "during": "200ms", "after": "0s"}
        lab.write(name, stopping(one.word, phases=phases))
    ids = [lab.submit(name) for name in ("one", "two", "one", "one", "two")]
    given_up = lab.submit("one")
    again, created = lab.desk.submit_run("two", key="once")
    twice, not_again = lab.desk.submit_run("two", key="once")
    assert (created, not_again, again.id) == (True, False, twice.id)
    assert lab.desk.abort(given_up, reason="not needed", by="user:ada")
    for _ in range(2):
        lab.start(SERVE_CONCURRENCY="2")
    ids.append(again.id)
    lab.until_over(*ids)
    assert [lab.job(id).attempts for id in ids] == [1] * 6, lab.said()
    runs = [lab.opened.run(id) for id in ids]
    assert [run.outcome for run in runs] == [Outcome.MET] * 6, lab.said()
    assert len(lab.opened.runs()) == 6
    assert lab.job(given_up).state is JobState.CANCELLED
    for name in ("one", "two"):
        spans = sorted((r.started_at, r.ended_at or 0.0) for r in runs if r.experiment == name)
        assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(spans))


def test_a_store_that_dies_under_a_run_gets_its_true_end_when_it_is_back(
    lab: ServiceLab, victims: list[Victims], postgresql: PostgreSQL
) -> None:
    broken = victims[0].start()
    phases = {"before": "0s", "during": "1s", "after": "0s"}
    lab.write("one", stopping(victims[0].word, phases=phases))
    id = lab.submit("one")
    lab.start()
    lab.until(lambda: all(is_stopped(i) for i in broken))
    postgresql.restart(away=2.5)
    assert not any(is_stopped(i) for i in broken), "it was undone while the store was away"
    lab.until_over(id)
    run = lab.opened.run(id)
    assert (run.outcome, [f.status for f in run.faults]) == (Outcome.MET, ["undone"]), lab.said()
    assert lab.job(id).state is JobState.ENDED
