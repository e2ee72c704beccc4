"""``sloguard serve`` as a process: ready soon, refusing what cannot work, ended without cutting anybody off."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sloguard.adapters.store import Store
from tests.support import runs as stored
from tests.support.served import PATIENCE, Served, environment, serving

pytestmark = pytest.mark.integration


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path, "--store", "runs.db") as running:
        yield running


def test_it_serves_and_ends_without_cutting_anybody_off(served: Served) -> None:
    served.wait_until_ready()
    run = stored.RUN
    with Store(str(served.directory / "runs.db")) as store:
        recorder = store.recorder(experiment="checkout")
        for event in stored.opening(run):
            recorder.record(event)
    waiting: list[tuple[int, Any]] = []
    asker = threading.Thread(
        target=lambda: waiting.append(served.get(f"/api/v1/runs/{run}/verdict?wait=60s"))
    )
    asker.start()
    stream = http.client.HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE)
    stream.request("GET", f"/api/v1/runs/{run}/events")
    events = stream.getresponse()
    assert events.status == 200
    while b"RunStarted" not in events.readline():
        pass
    _wait_for_line(served, waiting=2)
    begun = time.monotonic()
    code, alive = served.end(signal.SIGTERM)
    took = time.monotonic() - begun
    asker.join(PATIENCE)
    # Both were answered to their end: the one with "not yet", the other by closing.
    [(status, body)] = waiting
    assert (status, json.loads(body)["state"]) == (404, "running")
    events.read()
    events.close()
    stream.close()
    assert (code, alive) == (0, []), served.said()
    assert took < 40, served.said()
    assert "Traceback" not in served.said()


def _wait_for_line(served: Served, *, waiting: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while _metric(served, "sloguard_http_waiting") < waiting:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _metric(served: Served, name: str, **labels: str) -> float:
    text = served.get("/metrics")[1].decode()
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def test_its_processes_count_together_and_die_with_it(served: Served) -> None:
    served.wait_until_ready()
    for _ in range(20):
        assert served.get("/api/v1/runs")[0] == 200
    name = "sloguard_http_request_duration_seconds_count"
    # Whichever process answers.
    assert {_metric(served, name, endpoint="runs.runs", status="200") for _ in range(6)} == {20.0}
    code, alive = served.end(signal.SIGKILL)
    assert (code, alive) == (-signal.SIGKILL, []), served.said()


def test_it_says_everything_that_is_wrong_at_once(tmp_path: Path) -> None:
    (tmp_path / "sloguard.yaml").write_text(
        "serve: {bind: here, experiments: [nowhere], slos: nothing, allow: {other: process}}\n"
        "store: {url: sloguard.yaml}\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "sloguard", "serve"],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2
    for word in ("serve.bind", "serve.experiments", "serve.slos", "serve.allow", "store.url"):
        assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
