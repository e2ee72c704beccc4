"""A follower over the double, in this process: what its looks make of Jobs, and of what happens to these."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sloguard.adapters.kubernetes_job_objects import JobShape
from sloguard.adapters.kubernetes_jobs import KubernetesJobs
from sloguard.adapters.store import Store
from sloguard.ports import Object
from sloguard.ports.resources import JOBS, PODS
from sloguard.ports.service import Job, JobRequest
from sloguard.service.following import LOOK_SECONDS, Follower
from tests.support.clusters import LABEL, Ground

NAME = "kubernetes::sloguard"


class Followed:
    """``turn`` looks once; ``at`` is its clock, in seconds, and ``ahead`` of ours that of the followers."""

    def __init__(self, ground: Ground, folder: Path, *, limit: int = 5) -> None:
        self.ground, self.at, self.ahead = ground, 0.0, 0.0
        self.namespace = ground.namespace("chaos")
        self.store = Store(str(folder / "runs.db"))
        self.ended = 0
        self.followers = [self.another(limit)]

    def another(
        self,
        limit: int = 5,
        pending: float = 300.0,
        kind: type[KubernetesJobs] = KubernetesJobs,
    ) -> Follower:
        """Another replica of the service; ``pending``: seconds of the cluster's clock."""
        executor = kind(
            lambda: self.ground.cluster,
            # On nodes of the test alone: others would really look for the image.
            JobShape(
                image="example.invalid/sloguard:1",
                node_selector={LABEL: self.ground.mark},
            ),
            namespace=self.namespace,
            deadline=lambda _job: 600.0,
        )
        return Follower(
            self.store,
            executor,
            name=NAME,
            limit=limit,
            pending=pending,
            ended=self._count,
            monotonic=lambda: self.at,
            now=lambda: time.time() + self.ahead,
        )

    def _count(self) -> None:
        self.ended += 1

    def ask(self, id: str) -> None:
        """A run is wanted."""
        self.store.enqueue(JobRequest(id=id, experiment=id))

    def job(self, id: str) -> Job:
        """As it stands."""
        found = self.store.job(id)
        assert found is not None
        return found

    def begun(self, id: str) -> None:
        """Its worker has begun, in some pod."""
        self.turn()
        assert self.store.job_started(id, self.job(id).claim)

    def turn(self, which: int = 0) -> None:
        """One look of one replica."""
        self.at += LOOK_SECONDS
        self.followers[which].turn()

    def until(self, holds: object, which: int = 0) -> None:
        """Looks, until something is so; the cluster takes its time."""

        def looked() -> object:
            self.turn(which)
            return holds()  # type: ignore[operator]  # a function without arguments

        self.ground.eventually(looked)

    def jobs(self) -> list[Object]:
        """Those on the cluster."""
        return self.ground.cluster.list(JOBS, self.namespace)

    def pod(self) -> Object:
        """The one that there is."""
        return self.ground.eventually(lambda: self.ground.cluster.list(PODS, self.namespace))[0]

    def node(self) -> str:
        """A machine that takes the pod, and says of it what the test says; a real one's simulation lets pods of
        Jobs succeed at once."""
        if self.ground.double is None:
            pytest.skip("what kubelets say of pods is said by the double alone")
        return self.ground.node()

    def status(self, **status: object) -> None:
        """What a kubelet says of the one pod."""
        about = self.pod()["metadata"]
        self.ground.cluster.merge_patch(
            PODS, about["name"], self.namespace, {"status": status}, subresource="status"
        )
