"""A ports.Cluster that notes which rights its calls take, over another one that carries them out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sloguard.ports import Cluster, Object, Resource
from sloguard.ports.resources import PODS
from sloguard.ports.rights import Need

Used = dict[tuple[str, ...], Need]


class RecordingCluster:
    """What is not here (its name, the clock, discovery) takes no right, and is the other one's."""

    def __init__(self, cluster: Cluster, refuse: Callable[[Need], str] = lambda _need: "") -> None:
        self._cluster, self._refuse = cluster, refuse
        self.used: Used = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    def _note(
        self, verb: str, resource: Resource, namespace: str | None, sub: str = "", name: str = ""
    ) -> None:
        place = namespace if resource.namespaced else None
        need = Need(verb, resource, place, sub, name)
        self.used[need.place] = need
        problem = self._refuse(need)
        assert not problem, problem

    def list(self, resource: Resource, namespace: str | None = None, **more: Any) -> Any:
        self._note("list", resource, namespace)
        return self._cluster.list(resource, namespace, **more)

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        self._note("get", resource, namespace, name=name)
        return self._cluster.get(resource, name, namespace)

    def create(self, resource: Resource, body: Object, **more: Any) -> Object:
        self._note("create", resource, body["metadata"].get("namespace"))
        return self._cluster.create(resource, body, **more)

    def replace(self, resource: Resource, body: Object) -> Object:
        about = body["metadata"]
        self._note("update", resource, about.get("namespace"), name=about["name"])
        return self._cluster.replace(resource, body)

    def json_patch(
        self, resource: Resource, name: str, namespace: str | None, operations: Any, **more: Any
    ) -> Object:
        self._note("patch", resource, namespace, more.get("subresource", ""), name)
        return self._cluster.json_patch(resource, name, namespace, operations, **more)

    def merge_patch(
        self, resource: Resource, name: str, namespace: str | None, body: Any, **more: Any
    ) -> Object:
        self._note("patch", resource, namespace, more.get("subresource", ""), name)
        return self._cluster.merge_patch(resource, name, namespace, body, **more)

    def delete(
        self, resource: Resource, name: str, namespace: str | None = None, **more: Any
    ) -> None:
        self._note("delete", resource, namespace, name=name)
        self._cluster.delete(resource, name, namespace, **more)

    def evict(self, name: str, namespace: str, **more: Any) -> None:
        self._note("create", PODS, namespace, "eviction", name)
        self._cluster.evict(name, namespace, **more)

    def scale_of(self, resource: Resource, name: str, namespace: str) -> Object:
        self._note("get", resource, namespace, "scale", name)
        return self._cluster.scale_of(resource, name, namespace)

    def watch(self, resource: Resource, namespace: str | None = None, **more: Any) -> Any:
        self._note("list", resource, namespace)
        self._note("watch", resource, namespace)
        return self._cluster.watch(resource, namespace, **more)

    def exec(self, name: str, namespace: str, command: Any, **more: Any) -> Any:
        # A GET by its method, which newer API servers allow only to those who may create, too.
        self._note("get", PODS, namespace, "exec", name)
        self._note("create", PODS, namespace, "exec", name)
        return self._cluster.exec(name, namespace, command, **more)

    def logs(self, name: str, namespace: str, **more: Any) -> Any:
        self._note("get", PODS, namespace, "log", name)
        return self._cluster.logs(name, namespace, **more)
