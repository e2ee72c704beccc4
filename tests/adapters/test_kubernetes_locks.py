"""Leases keep two runs apart, also from different machines."""

from __future__ import annotations

import pytest

from sloguard.adapters.kubernetes_locks import CombinedLocks, LeaseLocks
from sloguard.adapters.locks import FileLocks
from sloguard.faults.live_runs import is_held
from sloguard.ports import ClusterNotFound, Held
from sloguard.ports.resources import LEASES

pytestmark = pytest.mark.cluster


def locks(ground, **more):
    return LeaseLocks(lambda _context: ground.cluster, **more)


def key(ground, namespace):
    return f"namespace:{ground.cluster.name}/{namespace}"


def test_a_namespace_belongs_to_one_run_at_a_time(ground):
    namespace = ground.namespace()
    mine, other = locks(ground), locks(ground)
    mine.acquire([key(ground, namespace), "pid:1"], "run a")
    mine.acquire([key(ground, namespace)], "run a")
    with pytest.raises(Held, match="held by run a, since"):
        other.acquire([key(ground, namespace)], "run b")
    mine.release()
    other.acquire([key(ground, namespace)], "run b")
    assert ground.cluster.get(LEASES, "sloguard", namespace)["spec"]["holderIdentity"] == "run b"
    other.release()
    with pytest.raises(ClusterNotFound):
        ground.cluster.get(LEASES, "sloguard", namespace)


def test_all_or_none(ground):
    first, second = sorted([ground.namespace(), ground.namespace()])
    mine, other = locks(ground), locks(ground)
    mine.acquire([key(ground, second)], "run a")
    with pytest.raises(Held):
        other.acquire([key(ground, first), key(ground, second)], "run b")
    with pytest.raises(ClusterNotFound):
        ground.cluster.get(LEASES, "sloguard", first)
    mine.release()


def test_a_lease_of_the_dead_expires(ground):
    namespace = ground.namespace()
    dead, other = locks(ground, seconds=30), locks(ground)
    dead.acquire([key(ground, namespace)], "run a")
    dead._ended.set()  # as its process has: nobody renews it
    lease = ground.cluster.get(LEASES, "sloguard", namespace)
    assert is_held(lease, ground.cluster.now())
    assert not is_held(lease, ground.cluster.now() + 35)
    past = {"spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}}
    ground.cluster.merge_patch(LEASES, "sloguard", namespace, past)
    other.acquire([key(ground, namespace)], "run b")
    # The dead one, should it be alive after all, leaves it alone.
    dead.release()
    assert ground.cluster.get(LEASES, "sloguard", namespace)["spec"]["holderIdentity"] == "run b"
    other.release()


def test_a_lease_is_renewed_while_its_run_lives(ground):
    namespace = ground.namespace()
    mine = locks(ground, seconds=1)
    mine.acquire([key(ground, namespace)], "run a")
    first = ground.cluster.get(LEASES, "sloguard", namespace)["spec"]["renewTime"]
    ground.eventually(
        lambda: ground.cluster.get(LEASES, "sloguard", namespace)["spec"]["renewTime"] > first
    )
    mine.release()


def test_nodes_are_locked_where_sloguard_keeps_its_own(ground):
    name = f"node:{ground.cluster.name}/{'n' * 200}{ground.mark}"
    mine, other = locks(ground), locks(ground)
    mine.acquire([name], "run a")
    with pytest.raises(Held):
        other.acquire([name], "run b")
    mine.release()


def test_a_lost_answer_does_not_lock_one_out(ground):
    namespace = ground.namespace()
    ground.passage.trouble.add("lost-after", match=lambda r: r.method == "POST")
    mine = locks(ground)
    mine.acquire([key(ground, namespace)], "run a")
    mine.release()
    with pytest.raises(ClusterNotFound):
        ground.cluster.get(LEASES, "sloguard", namespace)


def test_both_kinds_of_locks_together(ground, tmp_path):
    namespace = ground.namespace()
    one = CombinedLocks(FileLocks(tmp_path / "one"), locks(ground))
    same_machine = CombinedLocks(FileLocks(tmp_path / "one"), locks(ground))
    other_machine = CombinedLocks(FileLocks(tmp_path / "two"), locks(ground))
    one.acquire(["experiment:x", key(ground, namespace)], "run a")
    with pytest.raises(Held, match="experiment:x"):
        same_machine.acquire(["experiment:x"], "run b")
    other_machine.acquire(["experiment:x"], "run c")
    with pytest.raises(Held, match="namespace:"):
        other_machine.acquire([key(ground, namespace)], "run c")
    one.release()
    same_machine.acquire(["experiment:x"], "run b")
    same_machine.release()
    other_machine.release()
