"""What a world sees of its cluster at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sloguard.ports import Object
from sloguard.ports.resources import (
    DEPLOYMENTS,
    JOBS,
    NAMESPACES,
    NETWORK_POLICIES,
    NODES,
    PODS,
    SERVICES,
)
from tests.fakes.kubernetes import selecting
from tests.support.clusters import Ground, is_ready

#: Beside the cluster's own kinds: where they are served, faults of other tools are obeyed.
NETWORK_CHAOS = "NetworkChaos"


@dataclass(frozen=True)
class Snapshot:
    """Objects by their kind, as the API shows them."""

    objects: Mapping[str, list[Object]]

    def of(self, kind: str, namespace: str | None = None) -> list[Object]:
        """All of a kind, or those of a namespace."""
        found = self.objects.get(kind, [])
        if namespace is None:
            return found
        return [o for o in found if (o["metadata"].get("namespace") or "") == namespace]

    def one(self, kind: str, namespace: str, name: str) -> Object | None:
        """By its name."""
        return next((o for o in self.of(kind, namespace) if o["metadata"]["name"] == name), None)

    def pods_of(self, namespace: str, service: str) -> list[Object]:
        """The pods that a Service selects, which have not ended and are not being ended."""
        found = self.one("Service", namespace, service)
        if found is None:
            return []
        matches = selecting.of_object({"matchLabels": found["spec"]["selector"]})
        return [
            p
            for p in self.of("Pod", namespace)
            if matches(p["metadata"].get("labels") or {})
            and not p["metadata"].get("deletionTimestamp")
        ]

    def ready(self, namespace: str, service: str) -> list[Object]:
        """Where its requests go."""
        return [p for p in self.pods_of(namespace, service) if is_ready(p)]

    def route(self, namespace: str, service: str) -> Object:
        """The route that requests to a service take: the first of its VirtualService's that matches all."""
        for found in self.of("VirtualService", namespace):
            if service in found["spec"].get("hosts", []):
                # Users here send no header that a route could match.
                return next((r for r in found["spec"].get("http") or [] if not r.get("match")), {})
        return {}


class Eyes:
    """``look`` gives the newest Snapshot; the same one as long as nothing has changed on a double."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._version = -1
        self._last = Snapshot({})
        own = (PODS, NODES, SERVICES, NAMESPACES, DEPLOYMENTS, JOBS, NETWORK_POLICIES)
        self._resources = [*own, ground.virtual_services()]

    def look(self) -> Snapshot:
        """Of the double its state; of a real cluster its lists."""
        double = self._ground.double
        if double is None:
            return Snapshot({r.kind: self._ground.cluster.list(r) for r in self._resources})
        with double.state.lock:
            if double.state.version != self._version:
                self._version = double.state.version
                kinds = [*(r.kind for r in self._resources), NETWORK_CHAOS]
                self._last = Snapshot({k: double.state.all(k) for k in kinds})
        return self._last
