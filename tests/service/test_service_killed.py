"""A service and its workers, killed where it hurts most: nothing stays broken, and every run ends truly."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from sloguard.core.model import Outcome
from sloguard.ports.service import JobState
from tests.support.calling import eventually
from tests.support.command import sloguard
from tests.support.servers import PrometheusServer, free_port, has
from tests.support.service_lab import UP, ServiceLab, judged, stopping
from tests.support.victims import Victims, is_stopped

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


def test_runs_survive_the_service_and_what_dies_with_it_is_undone(
    lab: ServiceLab, victims: list[Victims]
) -> None:
    """Killed in the middle of three runs, with the worker of one: each ends as is true of it."""
    broken = [one.start(2) for one in victims]
    for name, one, during in zip(NAMES, victims, ("3s", "600s", "600s"), strict=True):
        lab.write(name, judged(one.word, during))
    ids = [lab.submit(name) for name in NAMES]
    service = lab.start()
    lab.until(lambda: all(is_stopped(i) for some in broken for i in some))
    assert lab.states(ids) == [JobState.RUNNING] * 3
    service.kill()
    os.kill(lab.worker(ids[1]).pid, signal.SIGKILL)
    service.wait()
    assert all(is_stopped(i) for i in broken[1])

    lab.start()
    lab.until_over(*ids[:2])
    survived, died = (lab.opened.run(id) for id in ids[:2])
    assert (survived.outcome, survived.experiment) == (Outcome.MET, "one"), lab.said()
    assert (died.outcome, died.reason) == (Outcome.ABORTED, "interrupted"), lab.said()
    assert {fault.status for fault in died.faults} == {"undone"}
    assert not any(is_stopped(i) for some in broken[:2] for i in some)
    assert [lab.job(id).exit_code for id in ids[:2]] == [0, 13]

    # The third is the new service's as if it had started it.
    assert lab.job(ids[2]).state is JobState.RUNNING
    assert all(is_stopped(i) for i in broken[2])
    assert lab.desk.abort(ids[2], reason="enough", by="user:ada")
    lab.until_over(ids[2])
    aborted = lab.opened.run(ids[2])
    assert (aborted.outcome, aborted.reason) == (Outcome.ABORTED, "user:ada: enough")
    assert not any(is_stopped(i) for i in broken[2])
    assert lab.states(ids) == [JobState.ENDED] * 3


def test_workers_that_are_killed_alone_are_cleaned_up_after(
    lab: ServiceLab, victims: list[Victims], tmp_path: Path
) -> None:
    broken = [one.start() for one in victims[:2]]
    phases = {"before": "2s", "during": "1s", "after": "1s"}
    (lab.slos / "itself.json").write_text(json.dumps({"phases": phases, "slos": [UP]}))
    for name, one in zip(NAMES, victims[:2], strict=False):
        phases = {"before": "0s", "during": "600s", "after": "0s"}
        lab.write(name, stopping(one.word, phases=phases))
    window, _ = lab.windows.open(slos="itself", title="Two workers die", tool="this test")
    ids = [lab.submit(name) for name in NAMES[:2]]
    lab.start()
    lab.until(lambda: all(is_stopped(i) for some in broken for i in some))
    os.kill(lab.worker(ids[0]).pid, signal.SIGKILL)
    os.kill(lab.worker(ids[1]).pid, signal.SIGTERM)
    lab.until_over(*ids)
    runs = [lab.opened.run(id) for id in ids]
    assert [run.outcome for run in runs] == [Outcome.ABORTED] * 2
    assert [run.reason for run in runs] == ["interrupted", "SIGTERM"]
    assert not any(is_stopped(i) for some in broken for i in some)

    # What another tool would have broken meanwhile is judged like a run of sloguard's own.
    lab.windows.close(window.id)
    lab.until_over(window.id)
    judged_window = lab.opened.run(window.id)
    assert (judged_window.outcome, judged_window.kind) == (Outcome.MET, "window"), lab.said()
    drawn = sloguard("chart", window.id, home=tmp_path, env={"SLOGUARD_STORE_URL": lab.store})
    assert drawn.code == 0, drawn.err
    again = sloguard(
        "judge", "--run", window.id, home=tmp_path, env={"SLOGUARD_STORE_URL": lab.store}
    )
    assert (again.code, "met" in again.out) == (0, True), again.err
