"""A cluster with a shop in it, made ready for a world to live there."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from sloguard.adapters.kubernetes import KubernetesCluster
from sloguard.adapters.kubernetes_config import KubernetesSettings
from sloguard.ports import Object, Resource
from sloguard.ports.resources import NAMESPACES, NODES, virtual_services
from tests.fakes.kubernetes.api import Request
from tests.fakes.kubernetes.kinds import ISTIO
from tests.fakes.kubernetes.server import KubernetesDouble
from tests.support.clusters import Ground
from tests.support.mesh.shop import Shop, manifests

#: Stands for the namespace of a shop.
_ANY = "the-namespace-of-a-shop"
ZONES = ("zone-a", "zone-b", "zone-c")


@contextmanager
def double_with(shop: Shop, kubeconfig: Path, nodes: int = 3) -> Iterator[Ground]:
    """A double of the Kubernetes API with this shop, all of it ready; one zone a node in turn."""
    double = KubernetesDouble()
    settled = _settled(replace(shop, namespace=_ANY), nodes)
    double.state.restore(settled.replace(_ANY, shop.namespace))
    # From here on pods take their time to start, and it is the world that says when they have.
    double.controllers.starts = False
    with double:
        settings = KubernetesSettings(kubeconfig=double.kubeconfig(kubeconfig))
        yield Ground(KubernetesCluster(settings), double)


@functools.cache
def _settled(shop: Shop, nodes: int) -> str:
    """Its objects. Controllers take a while for them, so this is done once for all worlds of a kind."""
    double = KubernetesDouble()
    for resource, body in [
        *(_node(index) for index in range(nodes)),
        (NAMESPACES, {"metadata": {"name": shop.namespace}}),
        *manifests(shop, virtual_services(ISTIO.versions[0])),
    ]:
        double.api.handle(Request("POST", _path(resource, body), body=body))
    double.settle()
    return double.state.saved()


def _path(resource: Resource, body: Object) -> str:
    prefix = f"/apis/{resource.group}" if resource.group else "/api"
    namespace = body["metadata"].get("namespace")
    where = f"namespaces/{namespace}/" if namespace else ""
    return f"{prefix}/{resource.version}/{where}{resource.plural}"


def _node(index: int) -> tuple[Resource, Object]:
    name, zone = f"node-{index}", ZONES[index % len(ZONES)]
    labels = {"topology.kubernetes.io/zone": zone, "kubernetes.io/hostname": name}
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "posting"}
    status = {"conditions": [ready]}
    return NODES, {"metadata": {"name": name, "labels": labels}, "spec": {}, "status": status}
