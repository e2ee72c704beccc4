"""Faults that were found on clusters: told once as they are, and once when that changes."""

from __future__ import annotations

from dataclasses import replace

from sloguard.adapters.store import Store
from sloguard.ports.orphans import Orphan, OrphanState
from sloguard.ports.service import JobRequest, JobState

ORPHAN = Orphan(
    id="entry virtualservices",
    cluster="double",
    run="a-run",
    fault="istio.delay",
    target="VirtualService shop/checkout",
    state=OrphanState.LEFT,
    detail="may not be patched",
    by_hand="kubectl edit virtualservices checkout",
)


def test_what_became_of_a_fault_is_news_once(url: str) -> None:
    now = [1000.0]
    with Store(url, now=lambda: now[0]) as store:
        assert store.keep_orphan(ORPHAN)
        now[0] = 1060.0
        assert not store.keep_orphan(replace(ORPHAN, detail="the server is away"))
        (kept,) = store.orphans(OrphanState.LEFT)
        assert (kept.detail, kept.first_at, kept.at) == ("the server is away", 1000.0, 1000.0)
        now[0] = 1120.0
        assert store.keep_orphan(replace(ORPHAN, state=OrphanState.UNDONE, detail="restored"))
        assert not store.orphans(OrphanState.LEFT)
        (kept,) = store.orphans(run="a-run")
        assert (kept.state, kept.first_at, kept.at) == (OrphanState.UNDONE, 1000.0, 1120.0)
        assert not store.orphans(run="another")
        assert store.orphan_counts() == {
            OrphanState.LEFT: 0,
            OrphanState.UNDONE: 1,
            OrphanState.GONE: 0,
        }


def test_what_is_found_no_more_is_gone_on_its_cluster_alone(url: str) -> None:
    with Store(url) as store:
        for id, cluster in (("one", "double"), ("two", "double"), ("three", "other")):
            store.keep_orphan(replace(ORPHAN, id=id, cluster=cluster))
        assert [one.id for one in store.orphans_gone("double", {"two"})] == ["one"]
        assert store.orphans_gone("double", {"two"}) == ()
        left = {one.id for one in store.orphans(OrphanState.LEFT)}
        assert left == {"two", "three"}


def test_only_what_is_over_is_forgotten(url: str) -> None:
    now = [1000.0]
    with Store(url, now=lambda: now[0]) as store:
        store.keep_orphan(ORPHAN)
        store.keep_orphan(replace(ORPHAN, id="done", state=OrphanState.UNDONE))
        now[0] = 9000.0
        assert store.prune_orphans(5000.0) == 1
        assert [one.id for one in store.orphans()] == [ORPHAN.id]


def test_people_see_what_a_worker_waits_for_until_it_begins(store: Store) -> None:
    store.enqueue(JobRequest(id="a-run", experiment="one"))
    job = store.claim("kubernetes", limit=1)
    assert job is not None
    assert store.job_waits("a-run", job.claim, "no node takes its pod")
    assert not store.job_waits("a-run", "another claim", "something else")
    waiting = store.job("a-run")
    assert waiting is not None
    assert (waiting.state, waiting.detail) == (JobState.STARTING, "no node takes its pod")
    assert store.job_started("a-run", job.claim)
    begun = store.job("a-run")
    assert begun is not None
    assert begun.detail == ""
    assert not store.job_waits("a-run", job.claim, "too late")
