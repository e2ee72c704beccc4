"""A service and its workers, killed where it hurts most: nothing stays broken, and every run ends truly."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sloguard.core.model import Outcome
from sloguard.host.identity import Identity
from sloguard.ports.service import JobState
from tests.support.calling import eventually
from tests.support.servers import PrometheusServer, free_port, has
from tests.support.service_lab import ServiceLab, judged
from tests.support.victims import Victims, is_stopped, until_stopped

pytestmark = pytest.mark.integration

NAMES = ("one", "two", "three")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    if not has("prometheus", "promtool"):
        pytest.skip("prometheus and promtool are not installed")
    port = free_port()
    targets = {"itself": [f"127.0.0.1:{port}"]}
    server = PrometheusServer(tmp_path_factory.mktemp("prometheus"), port=port, targets=targets)
    server.start()
    eventually(lambda: server.get("/api/v1/query?query=up")["data"]["result"])
    yield server
    server.kill()


@pytest.fixture
def lab(tmp_path: Path, prometheus: PrometheusServer) -> Iterator[ServiceLab]:
    made = ServiceLab(tmp_path, str(tmp_path / "runs.db"), {"PROMETHEUS_URL": prometheus.url})
    made.settings["SERVE_CONCURRENCY"] = "3"
    yield made
    made.close()


@pytest.fixture
def victims(tmp_path: Path) -> Iterator[list[Victims]]:
    made = [Victims(tmp_path) for _ in NAMES]
    yield made
    for one in made:
        one.stop()


def three_runs(
    lab: ServiceLab, victims: list[Victims], during: str
) -> tuple[list[str], list[Identity]]:
    """Three runs, each with its victim stopped."""
    stopped = [one.start(2) for one in victims]
    for name, one in zip(NAMES, victims, strict=True):
        lab.write(name, judged(one.word, during))
    ids = [lab.submit(name) for name in NAMES]
    lab.start().poll()
    lab.until(lambda: all(is_stopped(i) for pair in stopped for i in pair))
    assert lab.states(ids) == [JobState.RUNNING] * 3
    return ids, [identity for pair in stopped for identity in pair]


def test_runs_survive_the_service_and_end_as_they_would_have(
    lab: ServiceLab, victims: list[Victims]
) -> None:
    ids, broken = three_runs(lab, victims, "3s")
    service = lab.processes[0]
    service.kill()
    service.wait()
    until_stopped(*broken)
    lab.start()
    lab.until_over(*ids)
    assert lab.states(ids) == [JobState.ENDED] * 3, lab.said()
    assert [lab.opened.run(id).outcome for id in ids] == [Outcome.MET] * 3
    assert [lab.job(id).exit_code for id in ids] == [0] * 3
    assert not [str(i) for i in broken if is_stopped(i)]
    assert [run.experiment for run in map(lab.opened.run, ids)] == list(NAMES)


def test_what_killed_workers_had_broken_is_undone_when_the_service_starts(
    lab: ServiceLab, victims: list[Victims]
) -> None:
    ids, broken = three_runs(lab, victims, "60s")
    workers = lab.workers()
    assert len(workers) == 3
    lab.processes[0].kill()
    lab.processes[0].wait()
    for worker in workers:
        os.kill(worker.pid, signal.SIGKILL)
    time.sleep(0.1)
    assert all(is_stopped(i) for i in broken)
    lab.start()
    lab.until_over(*ids)
    assert not [str(i) for i in broken if is_stopped(i)]
    for id in ids:
        run = lab.opened.run(id)
        assert (run.outcome, run.reason) == (Outcome.ABORTED, "interrupted"), lab.said()
        assert {fault.status for fault in run.faults} == {"undone"}
        assert (lab.job(id).state, lab.job(id).exit_code) == (JobState.ENDED, 13)


def test_a_worker_that_is_killed_alone_is_cleaned_up_after(
    lab: ServiceLab, victims: list[Victims]
) -> None:
    ids, broken = three_runs(lab, victims, "60s")
    (victim,) = [w for w in lab.workers() if lab.job(ids[0]).worker.endswith(f":{w.pid}")]
    os.kill(victim.pid, signal.SIGKILL)
    lab.until_over(ids[0])
    assert lab.opened.run(ids[0]).outcome is Outcome.ABORTED
    assert [is_stopped(i) for i in broken] == [False, False, True, True, True, True]
    assert lab.desk.abort(ids[1], reason="enough", by="user:ada")
    lab.until_over(ids[1])
    aborted = lab.opened.run(ids[1])
    assert (aborted.outcome, aborted.reason) == (Outcome.ABORTED, "user:ada: enough")
    # A signal to the worker stops the run as well.
    (last,) = lab.workers()
    os.kill(last.pid, signal.SIGTERM)
    lab.until_over(ids[2])
    assert lab.opened.run(ids[2]).outcome is Outcome.ABORTED
    assert not [str(i) for i in broken if is_stopped(i)]
