"""Two services on one PostgreSQL: what one is told the other knows, and both outlive the server's absence."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.postgresql import PostgreSQL
from tests.support.served import PATIENCE, Served, environment, serving

pytestmark = pytest.mark.integration

LONG = {
    "title": "Something takes long",
    "description": "Until somebody stops it.",
    "phases": {"before": "0s", "during": "120s", "after": "0s"},
    "steady-state-hypothesis": {
        "title": "All is well",
        "probes": [
            {
                "type": "probe",
                "name": "fine",
                "tolerance": 0,
                "provider": {"type": "process", "path": "true"},
            }
        ],
    },
    "method": [
        {"type": "action", "name": "nothing", "provider": {"type": "process", "path": "true"}}
    ],
    "rollbacks": [],
}


@pytest.fixture
def replicas(tmp_path: Path, postgresql: PostgreSQL) -> Iterator[list[Served]]:
    """Two services, and two commands that want the same new store, all started at once."""
    url = postgresql.new_database()
    environ = {
        "SLOGUARD_STORE_URL": url,
        "SLOGUARD_SERVE_ALLOW": "experiments=process",
        "SLOGUARD_SERVE_WORKERS": "1",
        "SLOGUARD_SERVE_RATE_LIMIT": "0",
    }
    with ExitStack() as stack:
        made = []
        for name in ("one", "two"):
            place = tmp_path / name
            (place / "experiments").mkdir(parents=True)
            (place / "experiments" / "long.json").write_text(json.dumps(LONG))
            made.append(stack.enter_context(serving(place, environ=environ)))
        others = [
            subprocess.Popen(
                [sys.executable, "-m", "sloguard", "runs", "list"],
                env={**environment(tmp_path), "SLOGUARD_STORE_URL": url},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            for _ in range(2)
        ]
        said = [other.communicate(timeout=PATIENCE)[1] for other in others]
        assert [other.returncode for other in others] == [0, 0], said
        for one in made:
            one.wait_until_ready()
        yield made


def post(served: Served, path: str, body: Any, **headers: str) -> tuple[int, Any]:
    asked = urllib.request.Request(
        served.url + path,
        json.dumps(body).encode(),
        {
            "Content-Type": "application/json",
            **{k.replace("_", "-"): v for k, v in headers.items()},
        },
    )
    try:
        with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def until(ready: Callable[[], bool], told: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < deadline, told()
        time.sleep(0.05)


def test_two_replicas_are_one_service(replicas: list[Served], postgresql: PostgreSQL) -> None:
    one, two = replicas
    _ask_both_for_one_run(one, two)
    _lose_postgresql(replicas, postgresql)


def _ask_both_for_one_run(one: Served, two: Served) -> None:
    def told() -> str:
        return one.said() + two.said()

    def order(served: Served) -> tuple[int, Any]:
        return post(served, "/api/v1/runs", {"experiment": "long"}, Idempotency_Key="deploy-7")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(order, [one, two] * 4))
    [run] = {answer["run"] for _, answer in answers}
    assert sorted(status for status, _ in answers) == [200] * 7 + [201], told()
    status, problem = post(
        two,
        "/api/v1/runs",
        {"experiment": "long", "tags": ["other"]},
        Idempotency_Key="deploy-7",
    )
    assert (status, problem["type"]) == (422, "urn:sloguard:problem:idempotency-key-reused")

    def state(served: Served) -> str:
        return str(json.loads(served.get(f"/api/v1/runs/{run}")[1]).get("state"))

    until(lambda: state(one) == state(two) == "running", told)
    waiting: list[tuple[int, Any]] = []
    asker = threading.Thread(
        target=lambda: waiting.append(one.get(f"/api/v1/runs/{run}/verdict?wait=60s"))
    )
    asker.start()
    status, _ = post(two, f"/api/v1/runs/{run}/abort", {"reason": "enough"})
    assert status in (200, 202), told()
    asker.join(PATIENCE)
    [(status, body)] = waiting
    assert (status, json.loads(body)["outcome"]) == (200, "aborted"), told()
    assert two.get(f"/api/v1/runs/{run}/verdict") == (200, body)


def _lose_postgresql(replicas: list[Served], postgresql: PostgreSQL) -> None:
    def ready() -> list[int]:
        return [one.get("/readyz")[0] for one in replicas]

    assert ready() == [200, 200]
    seen: set[tuple[int, ...]] = set()
    back = threading.Event()

    def look() -> None:
        while not back.is_set():
            seen.add(tuple(ready()))

    looker = threading.Thread(target=look)
    looker.start()
    try:
        postgresql.restart(away=1.0)
        until(lambda: (200, 200) in seen and ready() == [200, 200], lambda: str(seen))
    finally:
        back.set()
        looker.join(PATIENCE)
    assert (503, 503) in seen
    assert {status for pair in seen for status in pair} == {200, 503}, (
        "it says so, and nothing else"
    )
    for one in replicas:
        assert one.get("/healthz")[0] == 200
        assert one.get("/api/v1/runs")[0] == 200
        assert "Traceback" not in one.said()
