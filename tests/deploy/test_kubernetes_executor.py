"""The component by which runs are Jobs: what it builds, and that its rights are enough for all that is done."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sloguard.adapters.kubernetes import KubernetesCluster
from sloguard.adapters.kubernetes_config import KubernetesSettings
from sloguard.adapters.kubernetes_jobs import home_of
from sloguard.adapters.kubernetes_leader import ClusterLeases
from sloguard.bootstrap import executor_misfits
from sloguard.bootstrap.executing import job_shape
from sloguard.engine.rights import LEADER
from sloguard.ports import ClusterForbidden, Whereabouts
from sloguard.ports.resources import JOBS, SECRETS
from sloguard.settings import load_settings
from tests.deploy.test_deploy_overlays import DEPLOY, built, needs_kubectl
from tests.fakes.kubernetes.server import KubernetesDouble
from tests.support.clusters import Ground

COMPONENT = DEPLOY / "components" / "kubernetes-executor"


@pytest.fixture
def joined(tmp_path: Path) -> tuple[dict[str, Any], ...]:
    """The cluster overlay with it."""
    folder = tmp_path / "joined"
    folder.mkdir()
    parts = [os.path.relpath(DEPLOY / name, folder) for name in ("overlays/cluster", "components/kubernetes-executor")]  # fmt: skip
    declared = {"resources": parts[:1], "components": parts[1:]}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(declared))
    return built(str(folder))


@needs_kubectl
@pytest.mark.parametrize("version", ["1.31", "1.36"])
def test_kubernetes_takes_it(joined: tuple[dict[str, Any], ...], version: str) -> None:
    import kubernetes_validate

    for one in joined:
        kubernetes_validate.validate(one, version, strict=True)


@needs_kubectl
def test_its_settings_fit(joined: tuple[dict[str, Any], ...]) -> None:
    (deployment,) = [one for one in joined if one["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    environ = {one["name"]: one["value"] for one in container["env"]}
    # The file with the URL is in the pod.
    del environ["SLOGUARD_CONFIG"], environ["SLOGUARD_STORE_URL_FILE"]
    environ["SLOGUARD_STORE_URL"] = "postgresql://sloguard@postgres/sloguard"
    settings = load_settings(environ=environ)
    assert settings.serve.executor == "kubernetes"
    assert executor_misfits(settings) == []
    assert job_shape(settings).name == "sloguard"


class _Service:
    """A service of the built manifests on the double, with the token of its account and nothing else."""

    def __init__(self, double: KubernetesDouble, folder: Path) -> None:
        self.ground = Ground(
            KubernetesCluster(KubernetesSettings(kubeconfig=double.kubeconfig(folder / "admin"))), double
        )  # fmt: skip
        cluster = self.ground.cluster
        cluster.create(
            cluster.resource("v1", "Namespace"),
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "sloguard"}},
        )
        for one in yaml.safe_load_all((COMPONENT / "rbac.yaml").read_text("utf-8")):
            cluster.create(cluster.resource(one["apiVersion"], one["kind"]), one)
        self.ground.node()
        self.ground.deployment("sloguard", "sloguard", replicas=1)
        (self.pod,) = self.ground.pods("sloguard")
        token = double.token("sloguard", "sloguard")
        config = double.kubeconfig(folder / "service", token=token)
        settings = KubernetesSettings(kubeconfig=config, namespace="sloguard")
        self.cluster = _Inside(settings)
        self.cluster.here = Whereabouts("double", "sloguard", self.pod["metadata"]["name"])


class _Inside(KubernetesCluster):
    here: Whereabouts

    def whereabouts(self) -> Whereabouts:
        return self.here


@pytest.fixture
def service(tmp_path: Path) -> Iterator[_Service]:
    with KubernetesDouble() as double:
        yield _Service(double, tmp_path)


def test_the_rights_are_enough_to_make_follow_and_remove_jobs(
    service: _Service, tmp_path: Path
) -> None:
    from sloguard.adapters.kubernetes_job_objects import JobShape
    from sloguard.adapters.kubernetes_jobs import KubernetesJobs
    from sloguard.adapters.store import Store
    from sloguard.ports.service import JobRequest, WorkerPhase

    executor = KubernetesJobs(lambda: service.cluster, JobShape(), deadline=lambda _job: 60.0)
    with Store(str(tmp_path / "runs.db")) as store:
        store.enqueue(JobRequest(id="a-run", experiment="one"))
        job = store.claim("kubernetes", limit=1)
    assert job is not None
    handle = executor.start(job)
    assert executor.start(job) == handle
    assert executor.alive(handle)
    service.ground.eventually(lambda: executor.look()[handle].phase is WorkerPhase.RUNNING)
    executor.stop(handle)
    service.ground.eventually(lambda: executor.look() == {})
    assert not executor.alive(handle)
    leases = ClusterLeases(lambda: service.cluster)
    assert leases.hold_lease(LEADER, "one", 60)
    assert leases.hold_lease(LEADER, "one", 60)
    assert not leases.hold_lease(LEADER, "two", 60)
    assert home_of(service.cluster).owner is not None


def test_the_rights_are_no_more_than_that(service: _Service) -> None:
    with pytest.raises(ClusterForbidden):
        service.cluster.list(SECRETS, "sloguard")
    with pytest.raises(ClusterForbidden):
        service.cluster.list(JOBS, "default")
    with pytest.raises(ClusterForbidden):
        ClusterLeases(lambda: service.cluster).hold_lease("another", "one", 60) and (
            ClusterLeases(lambda: service.cluster).hold_lease("another", "one", 60)
        )
