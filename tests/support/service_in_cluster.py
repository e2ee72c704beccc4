"""The service in a cluster: replicas and workers are processes that the double's kubelet starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sloguard.adapters.kubernetes import KubernetesCluster
from sloguard.adapters.kubernetes_config import KubernetesSettings
from sloguard.ports import Object
from sloguard.ports.resources import DEPLOYMENTS, JOBS, NAMESPACES, NODES, PODS, virtual_services
from tests.fakes.kubernetes.kubelet import IMAGE, Kubelet
from tests.fakes.kubernetes.server import KubernetesDouble
from tests.support.command import environment
from tests.support.service_lab import FINE, ServiceLab

HOME = "sloguard"
VIRTUAL_SERVICES = virtual_services("v1")


def delaying(during: str = "1s", name: str = "checkout") -> dict[str, Any]:
    """An experiment that delays requests by Istio for ``during``, judged by a probe alone."""
    arguments = {"ns": name, "virtual_service_name": name, "fixed_delay": "5s", "percentage": 100}
    provider = {
        "type": "python",
        "module": "sloguard.faults.istio",
        "func": "add_delay_fault",
        "arguments": arguments,
    }
    return {
        "title": f"{name} is late",
        "description": "It is quick again afterwards.",
        "phases": {"before": "0s", "during": during, "after": "0s"},
        "steady-state-hypothesis": {"title": "All is well", "probes": [FINE]},
        "method": [{"type": "action", "name": "delay", "provider": provider}],
    }


class ServiceInCluster:
    """``with`` starts the cluster; ``serve`` the service on it. ``lab``: its store, its queue, its experiments."""

    def __init__(self, folder: Path, store: str) -> None:
        self.lab = ServiceLab(folder, store)
        self.logs = folder / "pods"
        self.logs.mkdir()
        self.double = KubernetesDouble()
        self._config = folder / "kubeconfig"
        self._folder = folder

    def __enter__(self) -> ServiceInCluster:
        self.double.__enter__()
        self.double.kubeconfig(self._config)
        self.cluster = KubernetesCluster(KubernetesSettings(kubeconfig=self._config, timeout=10.0))
        inside = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "POD_NAMESPACE": HOME}
        self.kubelet = Kubelet(self.double, self.logs, environment(self._folder, inside))
        self.kubelet.__enter__()
        self._create(NAMESPACES, None, HOME)
        self.node("node-a")
        return self

    def __exit__(self, *_: object) -> None:
        self.kubelet.__exit__()
        self.double.__exit__()
        self.lab.close()

    def node(self, name: str) -> None:
        """Another machine."""
        self._create(NODES, None, name)

    def serve(self, replicas: int = 1, **settings: str) -> None:
        """The service, as deploy/ has it: its settings in its environment."""
        given = {
            **self.lab.settings,
            "SERVE_EXECUTOR": "kubernetes",
            "KUBERNETES_KUBECONFIG": str(self._config),
            "EXECUTOR_GRACE": "60s",
            "STORE_LOCKS": str(self._folder / "locks"),
            "JANITOR_EVERY": "5s",
            **settings,
        }
        env: list[Object] = [{"name": f"SLOGUARD_{k}", "value": v} for k, v in given.items()]
        env.append({"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})
        container = {
            "name": "sloguard",
            "image": IMAGE,
            "args": ["worker", "serve"],
            "env": env,
            "ports": [{"containerPort": 8088}],
            "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8088}},
        }
        labels = {"app.kubernetes.io/name": "sloguard", "app.kubernetes.io/component": "service"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        self._create(DEPLOYMENTS, HOME, "sloguard", spec=spec)

    def replicas(self) -> list[str]:
        """The pods of the service that run."""
        found = self.cluster.list(PODS, HOME, labels="app.kubernetes.io/component=service")
        return [p["metadata"]["name"] for p in found if p["status"].get("phase") == "Running"]

    def leader(self) -> str:
        """The service whose janitor finishes what others have left: its pod, and its process there."""
        from sqlalchemy import text

        with self.lab.opened._database.reading() as connection:
            query = text("SELECT holder FROM leases WHERE name = 'janitor'")
            return str(connection.execute(query).scalar())

    def jobs(self) -> list[Object]:
        """The Jobs of runs."""
        return self.cluster.list(JOBS, HOME, labels="sloguard.io/executor=sloguard")

    def pod_of(self, run: str) -> Object:
        """The pod of a run's worker."""
        (found,) = self.cluster.list(PODS, HOME, labels=f"sloguard.io/run={run}")
        return found

    def virtual_service(self, name: str = "checkout") -> Object:
        """A new VirtualService in a namespace of its own; its spec, as the cluster keeps it."""
        self._create(NAMESPACES, None, name)
        route = [{"destination": {"host": name, "subset": "primary", "port": {"number": 80}}}]
        spec = {"hosts": [name], "http": [{"route": route, "retries": {"attempts": 3}}]}
        self._create(VIRTUAL_SERVICES, name, name, spec=spec)
        return self.spec_of(name)

    def spec_of(self, name: str = "checkout") -> Object:
        """The spec of a VirtualService now."""
        found: Object = self.cluster.get(VIRTUAL_SERVICES, name, name)["spec"]
        return found

    def is_marked(self, name: str = "checkout") -> bool:
        """Whether it bears a record of what was done to it."""
        about = self.cluster.get(VIRTUAL_SERVICES, name, name)["metadata"]
        return any(key.startswith("sloguard.io/") for key in about.get("annotations") or {})

    def until(self, ready: Callable[[], Any]) -> None:
        """Wait; what everybody said is in the failure."""
        try:
            self.lab.until(ready)
        except AssertionError as error:
            jobs = [f"{j['metadata']['name']}: {j.get('status')}" for j in self.jobs()]
            said = "\n".join([*self.kubelet.problems, *jobs, self.kubelet.said()])
            raise AssertionError(f"{error}\n{said}") from None

    def until_over(self, *ids: str) -> None:
        """Wait until these jobs are over."""
        self.until(lambda: all(state.is_over for state in self.lab.states(ids)))

    def _create(self, resource: Any, namespace: str | None, name: str, **content: Any) -> None:
        about = {"name": name, **({"namespace": namespace} if namespace else {})}
        body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": about}
        self.cluster.create(resource, {**body, **content})
