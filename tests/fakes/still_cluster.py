"""A cluster that stands still: objects that can be looked at, and nothing else. For plans, by the thousand."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from sloguard.ports import ClusterNotFound, Object, Resource, Whereabouts
from tests.fakes.kubernetes import selecting


class StillCluster:
    """ports.Cluster as far as a plan goes. ``at``: its clock."""

    name = "still"
    own_namespace = "chaos"

    def __init__(self, objects: Sequence[Object], at: float | None = None) -> None:
        self.objects, self.at = list(objects), at

    def whereabouts(self) -> Whereabouts:
        return Whereabouts(self.name)

    def now(self) -> float:
        return time.time() if self.at is None else self.at

    def versions(self, group: str) -> tuple[str, ...]:
        return ("v1",)

    def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
    ) -> list[Object]:
        matches = selecting.labels(labels)
        key, _, value = fields.partition("=")
        return [
            obj
            for obj in self.objects
            if obj["kind"] == resource.kind
            and namespace in (None, obj["metadata"].get("namespace"))
            and matches(obj["metadata"].get("labels") or {})
            and (not key or _at(obj, key) == value)
        ]

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        for obj in self.list(resource, namespace):
            if obj["metadata"]["name"] == name:
                return obj
        raise ClusterNotFound(f"no {resource.kind} {name}", status=404)


def _at(obj: Any, path: str) -> Any:
    for part in path.split("."):
        obj = (obj or {}).get(part)
    return obj
