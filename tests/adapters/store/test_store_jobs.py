"""The queue: each job is given to one claim, whoever asks at the same moment, and ends once."""

from __future__ import annotations

import os
import threading
from collections import Counter
from typing import Any

import pytest

from sloguard.adapters.store import Store
from sloguard.host.identity import Identity, Machine, identify
from sloguard.ports.service import (
    JobExists,
    JobRequest,
    JobState,
    KeyReused,
    QueueFull,
)
from sloguard.service.executor import give_back
from tests.support import runs as made

ENDED, QUEUED, RUNNING, STARTING = (
    JobState.ENDED,
    JobState.QUEUED,
    JobState.RUNNING,
    JobState.STARTING,
)


def request(id: str, experiment: str = "shop", **more: Any) -> JobRequest:
    more = {"exclusive": experiment, **more}
    return JobRequest(id=id, experiment=experiment, **more)


def test_a_job_is_kept_as_it_was_asked_for(store: Store) -> None:
    asked = request(
        "j1",
        variables={"replicas": 2, "names": ["a"]},
        tags=("shop",),
        seed=7,
        payload={"x": {"y": None}},
        requested_by="token:ci",
        requested_from="10.0.0.1",
        source="/experiments/shop.yaml",
    )
    job, created = store.enqueue(asked)
    assert created
    assert job.state is QUEUED
    kept = store.job("j1")
    assert kept == job
    for name in ("variables", "tags", "seed", "payload", "requested_by", "requested_from"):
        assert getattr(kept, name) == getattr(asked, name), name
    assert store.job("unknown") is None


def test_the_life_of_a_job(store: Store) -> None:
    store.enqueue(request("j1"))
    job = store.claim("here", limit=1)
    assert job is not None
    assert (job.id, job.state, job.executor, job.attempts) == ("j1", STARTING, "here", 1)
    assert job.alive  # this process has it
    assert store.job_started("j1", job.claim)
    assert not store.job_started("j1", job.claim)
    started = store.job("j1")
    assert started is not None
    assert (started.state, started.alive) == (RUNNING, True)
    assert str(os.getpid()) in started.worker
    assert store.beat_job("j1", job.claim) == ""
    assert store.job_ended("j1", ENDED, exit_code=10, result={"could_start": True})
    assert not store.job_ended("j1", JobState.FAILED)
    over = store.job("j1")
    assert over is not None
    assert (over.state, over.exit_code, over.result) == (ENDED, 10, {"could_start": True})
    assert over.ended_at is not None
    assert store.job_counts() == {s: int(s is ENDED) for s in JobState}


def test_the_oldest_comes_first_and_an_experiment_only_once(store: Store) -> None:
    for id, name in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("c1", "")):
        store.enqueue(request(id, name))
    store.enqueue(request("c2", ""))
    taken = [store.claim("x", limit=9) for _ in range(5)]
    assert [job.id for job in taken if job] == ["a1", "b1", "c1", "c2"]
    store.job_ended("a1", ENDED)
    again = store.claim("x", limit=9)
    assert again is not None
    assert again.id == "a2"


def test_no_more_than_the_limit_of_each_executor(store: Store) -> None:
    for n in range(5):
        store.enqueue(request(f"j{n}", f"e{n}"))
    assert [bool(store.claim("one", limit=2)) for _ in range(3)] == [True, True, False]
    assert [bool(store.claim("two", limit=2)) for _ in range(3)] == [True, True, False]
    store.job_ended("j0", ENDED)
    assert store.claim("one", limit=2) is not None


def test_a_job_waits_until_it_is_due(url: str) -> None:
    now = [1000.0]
    with Store(url, now=lambda: now[0]) as store:
        store.enqueue(request("later", not_before=1060.0))
        assert store.claim("x", limit=1) is None
        now[0] = 1060.0
        assert store.claim("x", limit=1) is not None


def test_an_idempotency_key_gives_the_first_job_again(store: Store) -> None:
    first, _ = store.enqueue(request("j1", idempotency_key="k", requested_by="a"))
    again, created = store.enqueue(request("j2", idempotency_key="k", requested_by="a"))
    assert (again.id, created) == (first.id, False)
    with pytest.raises(KeyReused, match="used before for another request"):
        store.enqueue(request("j3", "other", idempotency_key="k", requested_by="a"))
    other, created = store.enqueue(request("j4", idempotency_key="k", requested_by="b"))
    assert (other.id, created) == ("j4", True)
    assert len(store.jobs()) == 2


def test_an_id_is_given_once(store: Store) -> None:
    store.enqueue(request("j1"))
    with pytest.raises(JobExists):
        store.enqueue(request("j1"))
    for event in made.whole():
        store.record(event)
    with pytest.raises(JobExists):
        store.enqueue(request(made.RUN))


def test_a_full_queue_refuses(store: Store) -> None:
    store.enqueue(request("j1", idempotency_key="k"), most=2)
    store.enqueue(request("j2"), most=2)
    with pytest.raises(QueueFull, match="2 runs are waiting"):
        store.enqueue(request("j3"), most=2)
    # What is there already needs no room.
    assert store.enqueue(request("j4", idempotency_key="k"), most=2)[0].id == "j1"


def test_what_waits_is_cancelled_and_what_runs_is_told(store: Store) -> None:
    store.enqueue(request("j1"))
    assert store.ask_abort("j1", "not today", "user:ada")
    cancelled = store.job("j1")
    assert cancelled is not None
    assert (cancelled.state, cancelled.abort_reason, cancelled.abort_by) == (
        JobState.CANCELLED,
        "not today",
        "user:ada",
    )
    assert store.claim("x", limit=1) is None
    assert not store.ask_abort("j1", "again", "user:ada")
    assert not store.ask_abort("unknown", "x", "y")
    store.enqueue(request("j2"))
    job = store.claim("x", limit=1)
    assert job is not None
    store.job_started("j2", job.claim)
    assert store.ask_abort("j2", "stop it", "user:ada")
    assert store.ask_abort("j2", "really", "user:bob")
    assert store.abort_asked("j2") == store.beat_job("j2", job.claim) == "stop it"


def test_a_claim_that_was_lost_can_do_nothing(store: Store) -> None:
    store.enqueue(request("j1"))
    first = store.claim("x", limit=1)
    assert first is not None
    assert store.requeue("j1", first.claim, "its executor died")
    second = store.claim("x", limit=1)
    assert second is not None
    assert (second.attempts, second.detail) == (2, "its executor died")
    assert not store.job_started("j1", first.claim)
    assert not store.requeue("j1", first.claim, "")
    assert not store.job_ended("j1", ENDED, claim=first.claim)
    assert store.job_started("j1", second.claim)


def test_a_worker_that_begins_just_now_keeps_its_job(store: Store) -> None:
    """Whoever gives a job back that had not begun may have looked too long ago."""
    store.enqueue(request("j1"))
    seen = store.claim("a", limit=1)
    assert seen is not None
    assert seen.state is JobState.STARTING
    assert store.job_started("j1", seen.claim)
    give_back(store, seen, "nobody has seen its worker")
    found = store.job("j1")
    assert found is not None
    assert (found.state, found.claim) == (JobState.RUNNING, seen.claim)
    # It may do so itself, when its target is taken; and it does when its worker is known to be over.
    give_back(store, found, "its worker is gone")
    found = store.job("j1")
    assert found is not None
    assert found.state is JobState.QUEUED


def test_many_who_claim_at_once_share_the_jobs(url: str) -> None:
    with Store(url) as store:
        for n in range(24):
            store.enqueue(request(f"j{n:02}", f"e{n % 12}"))
    taken: list[str] = []
    busy: list[int] = []
    guard, going = threading.Lock(), threading.Barrier(4)
    under_way: Counter[str] = Counter()

    def work(name: str) -> None:
        with Store(url) as own:
            going.wait()
            while job := own.claim(name, limit=3):
                with guard:
                    taken.append(job.id)
                    under_way[job.experiment] += 1
                    busy.append(under_way[job.experiment])
                own.job_started(job.id, job.claim)
                with guard:
                    under_way[job.experiment] -= 1
                assert own.job_ended(job.id, ENDED)

    threads = [threading.Thread(target=work, args=(f"executor-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with Store(url) as store:
        while job := store.claim("rest", limit=9):  # where the last of an experiment was still busy
            taken.append(job.id)
            store.job_ended(job.id, ENDED)
    assert sorted(taken) == [f"j{n:02}" for n in range(24)]
    assert set(busy) == {1}


def test_requests_with_one_key_at_once_make_one_job(url: str) -> None:
    made_by: list[tuple[str, bool]] = []
    going = threading.Barrier(6)

    def ask(n: int) -> None:
        with Store(url) as own:
            going.wait()
            job, created = own.enqueue(request(f"j{n}", idempotency_key="same"))
            made_by.append((job.id, created))

    with Store(url):
        threads = [threading.Thread(target=ask, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert len({id for id, _ in made_by}) == 1
    assert sum(created for _, created in made_by) == 1


def test_the_dead_are_told_from_the_living(url: str) -> None:
    now = [1000.0]
    me = identify(os.getpid())
    assert me is not None
    gone = Identity(me.pid, me.started + 1, "", me.machine)
    elsewhere = Identity(1, 1, "", Machine("far", "another-boot", "pid:[1]"))
    for name, process in (("here", me), ("gone", gone), ("far", elsewhere)):
        with Store(url, now=lambda: now[0], process=lambda process=process: process) as store:
            store.enqueue(request(name, name))
            assert store.claim(name, limit=1)
    now[0] += 30
    with Store(url, now=lambda: now[0]) as store:
        seen = {job.id: (job.alive, job.here) for job in store.jobs()}
        assert seen == {"here": (True, True), "gone": (False, True), "far": (True, False)}
        now[0] += 60
        assert {j.id: j.alive for j in store.jobs()} == {"here": True, "gone": False, "far": False}


def test_lists_by_state_and_page(store: Store) -> None:
    for n in range(5):
        store.enqueue(request(f"j{n}", f"e{n}"))
    store.ask_abort("j3", "", "")
    assert [j.id for j in store.jobs(limit=2)] == ["j4", "j3"]
    assert [j.id for j in store.jobs(limit=2, before="j3")] == ["j2", "j1"]
    assert [j.id for j in store.jobs((QUEUED,))] == ["j4", "j2", "j1", "j0"]
    assert [j.id for j in store.jobs((JobState.CANCELLED, RUNNING))] == ["j3"]


def test_forgetting_what_left_no_run(url: str) -> None:
    now = [1000.0]
    with Store(url, now=lambda: now[0]) as store:
        store.enqueue(request("j1"))
        store.enqueue(request("j2", "other"))
        store.ask_abort("j1", "", "")
        now[0] = 2000.0
        assert store.prune_jobs(1000.0) == 0
        assert store.prune_jobs(1500.0) == 1
        assert [j.id for j in store.jobs()] == ["j2"]


def test_a_lease_has_one_holder_until_it_runs_out(url: str) -> None:
    now = [1000.0]
    with Store(url, now=lambda: now[0]) as store:
        assert store.hold_lease("janitor", "a", 30)
        assert not store.hold_lease("janitor", "b", 30)
        assert store.hold_lease("janitor", "a", 30)
        assert store.hold_lease("other", "b", 30)
        now[0] += 31
        assert store.hold_lease("janitor", "b", 30)
        assert not store.hold_lease("janitor", "a", 30)
