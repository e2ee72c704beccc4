"""What a service makes of the Jobs of its runs: each is one worker, and what becomes of it is noticed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sloguard.adapters.kubernetes_job_objects import RUN
from sloguard.adapters.kubernetes_jobs import KubernetesJobs
from sloguard.ports import ClusterForbidden, ClusterUnreachable, Object
from sloguard.ports.resources import JOBS, NODES
from sloguard.ports.service import Job, JobState, taking_of
from tests.support.clusters import Ground
from tests.support.followed import Followed

pytestmark = pytest.mark.cluster


@pytest.fixture
def followed(ground: Ground, tmp_path: Path) -> Iterator[Followed]:
    made = Followed(ground, tmp_path)
    if ground.double is not None:
        # What a kubelet would say is said by the tests.
        ground.double.controllers.starts = False
    yield made
    if ground.double is not None:
        ground.double.controllers.starts = True
    made.store.dispose()


def test_a_job_is_one_worker_whoever_asks_for_it(followed: Followed) -> None:
    followed.ask("a-run")
    followed.turn()
    (job,) = followed.jobs()
    claim = followed.job("a-run").claim
    assert job["metadata"]["labels"][RUN] == "a-run"
    assert claim not in str(job), "who can read Jobs has no claim"
    assert taking_of(claim) in job["spec"]["template"]["spec"]["containers"][0]["args"]
    assert job["spec"]["backoffLimit"] == 0
    assert job["spec"]["activeDeadlineSeconds"] == 600
    # Another replica that takes itself for the one that has to start it makes no second one.
    followed.followers.append(followed.another())
    followed.followers[1]._executor.start(followed.job("a-run"))
    assert len(followed.jobs()) == 1


def test_one_limit_holds_for_all_replicas(ground: Ground, tmp_path: Path) -> None:
    followed = Followed(ground, tmp_path, limit=2)
    followed.followers.append(followed.another(limit=2))
    for number in range(5):
        followed.ask(f"run-{number}")
    for which in (0, 1, 0, 1):
        followed.turn(which)
    assert len(followed.jobs()) == 2
    followed.store.dispose()


def test_what_it_waits_for_is_told_and_in_the_end_it_is_given_up(
    followed: Followed, ground: Ground
) -> None:
    followed.node()
    followed.followers = [followed.another(pending=1.0)]
    followed.ask("a-run")
    for attempt in (1, 2, 3):
        followed.until(lambda: followed.jobs())
        waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
        container = {"name": "sloguard", "image": "a", "imageID": "", "ready": False}
        one = {**container, "restartCount": 0, "state": {"waiting": waiting}}
        followed.status(phase="Pending", containerStatuses=[one])
        followed.until(lambda: "ImagePullBackOff" in followed.job("a-run").detail)
        followed.until(lambda now=attempt: followed.job("a-run").attempts > now or _over(followed))
    job = followed.job("a-run")
    assert (job.state, job.attempts) == (JobState.FAILED, 3)
    assert job.detail.startswith("tried 3 times: not begun after")
    assert "ImagePullBackOff: Back-off pulling image" in job.detail


def _over(followed: Followed) -> bool:
    return followed.job("a-run").state.is_over


def test_one_that_waits_for_a_node_can_be_cancelled(followed: Followed) -> None:
    followed.ask("a-run")
    followed.until(lambda: "no node" in followed.job("a-run").detail)
    assert followed.store.ask_abort("a-run", "not today", "user:ada")
    followed.until(lambda: _over(followed))
    job = followed.job("a-run")
    assert (job.state, job.detail) == (JobState.CANCELLED, "not today")
    followed.ground.eventually(lambda: not followed.jobs())


def test_a_worker_that_was_evicted_is_known_to_be_dead_at_once(
    followed: Followed, ground: Ground
) -> None:
    followed.node()
    followed.ask("a-run")
    followed.begun("a-run")
    followed.turn()
    assert followed.followers[0].gone == frozenset()
    followed.status(phase="Failed", reason="Evicted", message="The node was low on memory.")
    followed.store.begin("a-run", "method[0]")
    followed.until(lambda: followed.followers[0].gone == {"a-run"})
    assert followed.ended == 1
    assert "Evicted: The node was low on memory." in followed.job("a-run").abort_reason
    assert followed.job("a-run").state is JobState.RUNNING, "its run is recovered first"


def test_a_replica_that_had_nothing_to_do_sees_the_workers_of_another(followed: Followed) -> None:
    """It may be the one that leads, and has to recover what dies."""
    followed.node()
    idle = followed.another()
    followed.followers.append(idle)
    followed.turn(1)
    followed.ask("a-run")
    followed.begun("a-run")
    followed.store.begin("a-run", "method[0]")
    followed.status(phase="Failed", reason="Evicted")
    asked = followed.at
    followed.turn(1)
    followed.turn(1)
    assert idle.gone == {"a-run"}
    assert followed.at - asked < 5.0


def test_a_job_that_was_deleted_by_hand(followed: Followed, ground: Ground) -> None:
    """Its pod undoes; once that is gone, so is the worker."""
    followed.node()
    followed.ask("a-run")
    followed.begun("a-run")
    (job,) = followed.jobs()
    ground.cluster.delete(
        JOBS, job["metadata"]["name"], followed.namespace, propagation="Background"
    )
    followed.store.begin("a-run", "method[0]")
    followed.until(lambda: followed.followers[0].gone == {"a-run"})
    told = followed.job("a-run").abort_reason
    assert "its Job was deleted" in told or "not there any more" in told


def test_a_worker_whose_node_is_deleted(followed: Followed, ground: Ground) -> None:
    node = followed.node()
    followed.ask("a-run")
    followed.begun("a-run")
    ground.eventually(lambda: followed.pod()["spec"].get("nodeName"))
    ground.cluster.delete(NODES, node)
    followed.until(lambda: followed.followers[0].gone == {"a-run"})


def test_what_a_dead_replica_had_taken_and_not_started_is_given_back(followed: Followed) -> None:
    followed.ask("a-run")
    claimed = followed.store.claim("kubernetes::sloguard", limit=5)
    assert claimed is not None
    followed.until(lambda: followed.jobs())
    assert (followed.job("a-run").attempts, followed.job("a-run").state) == (2, JobState.STARTING)


def test_the_worker_of_an_older_taking_is_removed(followed: Followed, ground: Ground) -> None:
    followed.node()
    followed.ask("a-run")
    followed.turn()
    old = followed.job("a-run")
    assert followed.store.requeue("a-run", old.claim, "for a test")
    followed.until(lambda: len(followed.jobs()) == 2)
    followed.until(lambda: len(followed.jobs()) == 1)
    (left,) = followed.jobs()
    assert left["metadata"]["name"].endswith(taking_of(followed.job("a-run").claim))


def test_jobs_of_another_store_are_left_alone(followed: Followed, tmp_path: Path) -> None:
    followed.ask("a-run")
    followed.turn()
    (tmp_path / "other").mkdir()
    other = Followed(followed.ground, tmp_path / "other")
    other.namespace = followed.namespace
    other.followers = [other.another()]
    for _ in range(60):
        other.turn()
    assert len(followed.jobs()) == 1
    other.store.dispose()


class Refusing(KubernetesJobs):
    """Says of every Job what a test says of it."""

    error: Exception = ClusterUnreachable("connection refused")
    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def body(self, _job: Job) -> Object:
        self.meanwhile()
        raise self.error


def test_a_cluster_that_is_away_or_full_costs_no_job_an_attempt(followed: Followed) -> None:
    """Else a restart of the API server would end the whole queue."""
    followed.ask("a-run")
    followed.ask("b-run")
    follower = followed.another(kind=Refusing)
    executor = follower._executor
    assert isinstance(executor, Refusing)
    follower.turn()
    job = followed.job("a-run")
    assert (job.state, job.attempts) == (JobState.QUEUED, 0)
    assert job.not_before > job.requested_at, "it looks again later"
    assert "connection refused" in job.detail
    assert followed.job("b-run").detail == "", "the next one would find the same"
    # As if the time were always over at once.
    followed.ahead = -3600.0
    full = 'jobs.batch "x" is forbidden: exceeded quota: few, requested: count/jobs.batch=1'
    executor.error = ClusterForbidden(full, status=403)
    for _ in range(5):
        follower.turn()
    assert followed.job("b-run").state is JobState.QUEUED
    # One that nobody wants any more does not wait.
    executor.meanwhile = lambda: followed.store.ask_abort("a-run", "not today", "user:ada")
    follower.turn()
    job = followed.job("a-run")
    assert (job.state, job.detail) == (JobState.CANCELLED, "not today")


def test_what_is_refused_for_good_ends_after_three_attempts(followed: Followed) -> None:
    followed.ask("a-run")
    follower = followed.another(kind=Refusing)
    assert isinstance(follower._executor, Refusing)
    follower._executor.error = ClusterForbidden("jobs.batch is forbidden", status=403)
    follower.turn()
    job = followed.job("a-run")
    assert (job.state, job.attempts) == (JobState.FAILED, 3)
    assert "jobs.batch is forbidden" in job.detail
