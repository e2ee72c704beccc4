"""Sixteen writers on one PostgreSQL: nothing lost, nothing given twice, no deadlock, few connections."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sloguard.adapters.store import Store
from sloguard.adapters.store.database import MOST_CONNECTIONS
from sloguard.ports.service import JobState
from tests.support.many_writers import CHANNEL, whole
from tests.support.postgresql import PostgreSQL

ROOT = Path(__file__).parents[3]
PROCESSES, THREADS, RUNS = 2, 8, 1
WRITERS = PROCESSES * THREADS


def start(url: str, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.many_writers", url, name, str(THREADS), str(RUNS)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def watched(server: PostgreSQL, database: str, writers: list[subprocess.Popen[str]]) -> int:
    """The most connections that were open at any look, until all writers have ended."""
    most = 0
    asked = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'"
    while any(writer.poll() is None for writer in writers):
        most = max(most, int(server.execute(asked)[0][0]))
        # Looking all the time would take what they need.
        with contextlib.suppress(subprocess.TimeoutExpired):
            next(w for w in writers if w.poll() is None or w is writers[-1]).wait(0.1)
    return most


def test_sixteen_writers_lose_nothing_and_get_nothing_twice(postgresql: PostgreSQL) -> None:
    url = postgresql.migrated_database()
    database = urlsplit(url).path.strip("/")
    assert parse_qs(urlsplit(url).query)["host"]
    writers = [start(url, f"p{number}") for number in range(PROCESSES)]
    most = watched(postgresql, database, writers)
    said = [writer.communicate() for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * PROCESSES, said
    told: list[dict[str, Any]] = [json.loads(out) for out, _ in said]

    # Connections are bounded by the processes, not by their threads.
    assert 1 < most <= PROCESSES * MOST_CONNECTIONS
    deadlocks = f"SELECT deadlocks FROM pg_stat_database WHERE datname = '{database}'"
    assert postgresql.execute(deadlocks) == [(0,)]

    runs = sorted(run for one in told for run in one["runs"])
    assert len(runs) == len(set(runs)) == WRITERS * RUNS
    with Store(url) as store:
        # Every run with every event, its samples and its document.
        of_one = len(list(whole("x")))
        assert sum(one["events"] for one in told) == of_one * len(runs)
        for table, count in (("events", of_one), ("evidence", 1)):
            rows = postgresql.execute(f"SELECT run, count(*) FROM {table} GROUP BY run", database)
            assert dict(rows) == dict.fromkeys(runs, count)
        assert not store.unfinished()
        for run in runs[::WRITERS]:
            (kept,) = store.evidence(run)
            assert kept.answers["total"].values.shape == (20, 40)
            assert store.run(run).document is not None

        # Each job was given to one claim, and is where its claim left it; the others still wait.
        claims = Counter(id for one in told for id, _ in one["claims"])
        assert claims
        assert set(claims.values()) == {1}
        states = store.job_counts()
        assert states.get(JobState.ENDED, 0) == len(claims)
        assert sum(states.values()) == len(runs)
        claimed = {id: claim for one in told for id, claim in one["claims"]}
        assert all(store.job(id).claim in ("", claim) for id, claim in claimed.items())

        # Each message was kept once, and delivered once.
        assert sum(one["put"] for one in told) == 3 * len(runs)
        delivered = Counter(number for one in told for number in one["delivered"])
        assert delivered
        assert set(delivered.values()) == {1}
        counts = {
            state: n for (channel, state), n in store.message_counts().items() if channel == CHANNEL
        }
        assert sum(counts.values()) == 3 * len(runs)
