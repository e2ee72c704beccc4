"""Servers and files that any test may ask for; each is stopped and removed after it."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from tests.support.certificates import Certificates, make_certificates
from tests.support.postgresql import PostgreSQL, why_not
from tests.support.servers import AlertmanagerServer, PrometheusServer, Server, has

if TYPE_CHECKING:
    from sloguard.adapters.kubernetes import KubernetesCluster
    from sloguard.ports import Resource
    from tests.support.clusters import Ground

# How long one example takes says how busy the machine is, not whether the code is right.
# The examples are the same in every run, so that what is red is red for everybody; other ones by
# HYPOTHESIS_PROFILE=explore.
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=40)
hypothesis.settings.register_profile("explore", deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

#: A kubeconfig: what is marked ``cluster`` runs against the cluster it leads to, in place of the double.
REAL_CLUSTER = "SLOGUARD_TEST_KUBECONFIG"


#: What waits longest begins first, so that no worker is left alone with it at the end.
FIRST = (
    "test_demo_tour",
    "test_kubernetes_experiments",
    "test_live_runs",
    "test_adversity",
    "test_service_killed",
    "test_demo_environment",
    "test_browser_pages",
    "test_service_postgresql",
    "test_compat_kubernetes",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long first, as they stand there."""
    places = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(FIRST)))


def pytest_collection_finish() -> None:
    """What is there now stays to the end. Walked through by each full collection it would stop a worker for
    seconds, in the middle of what has a deadline."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def start_prometheus(tmp_path: Path) -> Iterator[Callable[..., PrometheusServer]]:
    """Starts real Prometheus servers (see PrometheusServer for what they can be told)."""
    if not has("prometheus", "promtool"):
        pytest.skip("prometheus and promtool are not installed")
    yield from _starter(PrometheusServer, tmp_path)


@pytest.fixture
def start_alertmanager(tmp_path: Path) -> Iterator[Callable[..., AlertmanagerServer]]:
    """Starts real Alertmanagers."""
    if not has("prometheus-alertmanager"):
        pytest.skip("prometheus-alertmanager is not installed")
    yield from _starter(AlertmanagerServer, tmp_path)


def _starter(kind: type[Any], directory: Path) -> Iterator[Callable[..., Any]]:
    started: list[Server] = []

    def start(**options: Any) -> Any:
        server = kind(directory / f"{kind.__name__}-{len(started)}", **options)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.kill()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority, a server and a client."""
    if not has("openssl"):
        pytest.skip("openssl is not installed")
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def shared_definitions() -> Iterator[dict[str, Resource]]:
    """Custom kinds that the tests of this process share on a real cluster; deleted after the last one."""
    shared: dict[str, Resource] = {}
    yield shared
    if shared:
        from sloguard.adapters.kubernetes import KubernetesCluster
        from sloguard.adapters.kubernetes_config import KubernetesSettings
        from tests.support.clusters import Ground

        settings = KubernetesSettings(kubeconfig=Path(os.environ[REAL_CLUSTER]))
        ground = Ground(KubernetesCluster(settings), None, shared)
        ground.forget_definitions()
        ground.close()


@pytest.fixture
def ground(tmp_path: Path, shared_definitions: dict[str, Resource]) -> Iterator[Ground]:
    """A cluster to break, the double or a real one; what a test makes there is deleted after it."""
    from sloguard.adapters.kubernetes import KubernetesCluster
    from sloguard.adapters.kubernetes_config import KubernetesSettings
    from tests.fakes.kubernetes.server import KubernetesDouble
    from tests.support.clusters import Ground

    real = os.environ.get(REAL_CLUSTER)
    if real:
        settings = KubernetesSettings(kubeconfig=Path(real))
        made = Ground(KubernetesCluster(settings), None, shared_definitions)
        try:
            yield made
        finally:
            made.close()
        return
    with KubernetesDouble() as double:
        config = double.kubeconfig(tmp_path / "kubeconfig")
        settings = KubernetesSettings(kubeconfig=config, timeout=10.0)
        made = Ground(KubernetesCluster(settings), double)
        yield made
        made.close()


@pytest.fixture
def cluster(ground: Ground) -> KubernetesCluster:
    """The ``ports.Cluster`` of ``ground``."""
    return ground.cluster


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A real PostgreSQL, one for all tests of a process; each takes a database of its own."""
    problem = why_not()
    if problem:
        pytest.skip(problem)
    server = PostgreSQL()
    server.start()
    yield server
    server.stop()
