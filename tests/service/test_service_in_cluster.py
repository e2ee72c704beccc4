"""Runs as Jobs of a cluster: asked for, started, followed, and undone whatever dies in the middle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sloguard.adapters.kubernetes_job_objects import RUN
from sloguard.core.model import Outcome
from sloguard.ports.resources import JOBS
from tests.support.postgresql import PostgreSQL
from tests.support.service_in_cluster import HOME, ServiceInCluster, delaying

pytestmark = pytest.mark.integration


@pytest.fixture
def world(tmp_path: Path, postgresql: PostgreSQL) -> Iterator[ServiceInCluster]:
    with ServiceInCluster(tmp_path, postgresql.migrated_database()) as made:
        yield made
        assert made.kubelet.problems == []


def test_runs_over_two_replicas_while_things_die(world: ServiceInCluster) -> None:
    """A replica, a Job, a worker, and the time of a Job: each run ends as is true of it, and all is undone."""
    names = ("fine", "deleted", "killed", "late")
    before = {name: world.virtual_service(name) for name in names}
    for name in names:
        world.lab.write(name, delaying("3s" if name == "fine" else "600s", name))
    world.serve(replicas=2, SERVE_CONCURRENCY="4")
    ids = {name: world.lab.submit(name) for name in names}
    held = names[1:]
    world.until(lambda: all(world.spec_of(name) != before[name] for name in held))
    jobs = {job["metadata"]["labels"][RUN]: job["metadata"]["name"] for job in world.jobs()}
    assert sorted(jobs) == sorted(ids.values())

    # One that leads is missed after half a minute; that somebody takes its place is shown elsewhere.
    leader = world.leader()
    world.kubelet.kill(next(name for name in world.replicas() if not leader.startswith(name)))
    world.kubelet.kill(world.pod_of(ids["killed"])["metadata"]["name"])
    world.cluster.delete(JOBS, jobs[ids["deleted"]], HOME, propagation="Background")
    deadline = {"spec": {"activeDeadlineSeconds": 1}}
    world.cluster.merge_patch(JOBS, jobs[ids["late"]], HOME, deadline)
    world.until_over(*ids.values())

    assert {name: world.spec_of(name) for name in names} == before
    assert not any(world.is_marked(name) for name in names)
    runs = {name: world.lab.opened.run(id) for name, id in ids.items()}
    assert {name: run.outcome for name, run in runs.items()} == {
        "fine": Outcome.MET,
        **dict.fromkeys(held, Outcome.ABORTED),
    }, world.kubelet.said()
    assert {fault.status for run in runs.values() for fault in run.faults} == {"undone"}
    assert runs["killed"].reason == "interrupted"
    told = {name: world.lab.job(id).abort_reason for name, id in ids.items()}
    assert "code 137 (OOMKilled)" in told["killed"]
    assert [world.lab.job(id).attempts for id in ids.values()] == [1] * 4
    (owner,) = world.cluster.get(JOBS, jobs[ids["fine"]], HOME)["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["controller"]) == ("Deployment", False)
