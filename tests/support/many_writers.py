"""A process with several threads that use one store for everything at once, and tell what they did.

    python -m tests.support.many_writers URL NAME THREADS RUNS

Every thread keeps whole runs with samples, puts and delivers messages, and adds, claims and ends jobs. It
says what it did as JSON; whatever goes wrong ends it with an error.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from sloguard.adapters.store import Store
from sloguard.core.events import Event
from sloguard.ports import Intent
from sloguard.ports.outbox import Draft
from sloguard.ports.service import JobRequest, JobState
from tests.support import runs as made

CHANNEL = "grafana"
#: Wider than what any of them could have under way.
NO_LIMIT = 1000


@dataclass
class Told:
    """What one process did."""

    runs: list[str] = field(default_factory=list)
    events: int = 0
    claims: list[tuple[str, str]] = field(default_factory=list)
    delivered: list[int] = field(default_factory=list)
    put: int = 0


def whole(run: str, series: int = 20, points: int = 40) -> Iterable[Event]:
    """The events of a run with samples."""
    return made.whole(run, evidence=[made.make_evidence(series=series, points=points)])


def work(store: Store, name: str, runs: int, told: Told, lock: threading.Lock) -> None:
    """What one thread does."""
    for number in range(runs):
        run = f"{name}-{number:04}"
        store.enqueue(
            JobRequest(id=f"job-{run}", experiment="shop", exclusive=f"target-{number % 3}")
        )
        recorder = store.recorder(experiment="shop")
        count = 0
        for event in whole(run):
            recorder.record(event)
            count += 1
        store.begin(run, "method[0]")
        store.intend(Intent(f"i {run}", run, "method[0]", "f", "t", {"run": run}))
        store.mark(f"i {run}", "undone")
        drafts = [
            Draft(channel=CHANNEL, key=f"{run}/{n}", kind="window", stream=f"stream-{number % 4}")
            for n in range(3)
        ]
        put = store.put(drafts)
        # Whoever comes first gets it: any of the jobs and messages that there are.
        job = store.claim(name, limit=NO_LIMIT)
        if job is not None:
            assert store.job_started(job.id, job.claim)
            assert store.job_ended(job.id, JobState.ENDED, exit_code=0, claim=job.claim)
        message = store.take([CHANNEL], holder=name, seconds=3600)
        if message is not None:
            assert store.delivered(message.number, name)
        with lock:
            told.runs.append(run)
            told.events += count
            told.put += put
            if job is not None:
                told.claims.append((job.id, job.claim))
            if message is not None:
                told.delivered.append(message.number)


def main(url: str, name: str, threads: str, runs: str) -> None:
    """Run the threads, and print what they did."""
    told, lock, errors = Told(), threading.Lock(), []
    with Store(url) as store:

        def one(own: str) -> None:
            try:
                work(store, own, int(runs), told, lock)
            except BaseException as error:  # noqa: BLE001 - told below
                errors.append(f"{own}: {type(error).__name__}: {error}")

        started = [threading.Thread(target=one, args=(f"{name}-{n}",)) for n in range(int(threads))]
        for thread in started:
            thread.start()
        for thread in started:
            thread.join()
    if errors:
        sys.exit("\n".join(errors))
    print(json.dumps(told.__dict__))


if __name__ == "__main__":
    main(*sys.argv[1:])
