"""The services of a world: how they are built, and what of that is put on the cluster."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sloguard.ports import Object, Resource
from sloguard.ports.resources import BUDGETS, DEPLOYMENTS, SERVICES

#: Where users come from.
GATEWAY = "istio-ingressgateway"


@dataclass(frozen=True)
class Service:
    """One service. ``retries``: how often its callers' proxies try again; ``startup``: seconds until a new pod
    is Ready; ``seconds``: the median of its own work; ``capacity``: requests a second of a pod.

    ``budget``: how many of its pods may be missing,
    where a PodDisruptionBudget says so. ``calls``: what it needs to answer. ``fallback``: what of these it can do without, and ``patience``: for
    how long it waits for those.
    """

    name: str
    replicas: int = 2
    calls: tuple[str, ...] = ()
    fallback: tuple[str, ...] = ()
    patience: float = 0.1
    retries: int = 2
    startup: float = 0.5
    seconds: float = 0.01
    capacity: float = 200.0
    budget: int | None = 1


@dataclass(frozen=True)
class Shop:
    """All services of a namespace; users come to ``entry``, at ``rate`` requests a second."""

    namespace: str
    services: tuple[Service, ...]
    entry: str = "front"
    rate: float = 40.0

    def service(self, name: str) -> Service:
        """By its name."""
        return next(s for s in self.services if s.name == name)


def sturdy(namespace: str) -> Shop:
    """Several of each, retries everywhere, and each does without what does not answer."""
    return Shop(
        namespace,
        (
            Service("front", 3, calls=("checkout",), fallback=("checkout",)),
            Service("checkout", 3, calls=("stock",), fallback=("stock",)),
            Service("stock", 3),
        ),
    )


def alone(namespace: str) -> Shop:
    """As sturdy, with a single checkout that is quick to come back."""
    shop = sturdy(namespace)
    one = replace(shop.service("checkout"), replicas=1, budget=None)
    return replace(shop, services=tuple(one if s.name == one.name else s for s in shop.services))


def fragile(namespace: str) -> Shop:
    """One of each, which takes long to come back; nobody tries again, nobody does without anything."""
    poor = {"replicas": 1, "retries": 0, "startup": 13.0, "capacity": 70.0, "budget": None}
    return Shop(
        namespace,
        (
            Service("front", calls=("checkout",), **poor),  # type: ignore[arg-type]  # of several types
            Service("checkout", calls=("stock",), **poor),  # type: ignore[arg-type]  # of several types
            Service("stock", **poor),  # type: ignore[arg-type]  # of several types
        ),
    )


def manifests(shop: Shop, istio: Resource) -> list[tuple[Resource, Object]]:
    """Deployments, Services, VirtualServices and budgets."""
    found: list[tuple[Resource, Object]] = []
    for service in shop.services:
        name, labels = service.name, {"matchLabels": {"app": service.name}}
        container = {"name": name, "image": f"example.invalid/{name}:1"}
        template = {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{**container, "ports": [{"containerPort": 80}]}]},
        }
        spec = {"replicas": service.replicas, "selector": labels, "template": template}
        ports = {"selector": {"app": name}, "ports": [{"port": 80}]}
        route: Object = {"route": [{"destination": {"host": name}}]}
        if service.retries:
            route["retries"] = {"attempts": service.retries}
        found += [
            _manifest(DEPLOYMENTS, shop, name, spec),
            _manifest(SERVICES, shop, name, ports),
            _manifest(istio, shop, name, {"hosts": [name], "http": [route]}),
        ]
        if service.budget is not None:
            spec = {"selector": labels, "maxUnavailable": service.budget}
            found.append(_manifest(BUDGETS, shop, name, spec))
    return found


def _manifest(resource: Resource, shop: Shop, name: str, spec: Object) -> tuple[Resource, Object]:
    about = {"name": name, "namespace": shop.namespace}
    body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": about}
    return resource, {**body, "spec": spec}
