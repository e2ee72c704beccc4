"""A cluster as if a test were alone on it: lists over all namespaces show what is the test's own.

On a real cluster other tests run at the same time, and it has nodes and pods that came with it. What works
on a whole cluster (a random choice, a recovery from annotations) must not reach them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sloguard.adapters.kubernetes import KubernetesCluster
from sloguard.faults.undo_records import ANNOTATION
from sloguard.ports import Object, Resource
from sloguard.ports.resources import LEASES, NAMESPACES


class OwnView:
    """ports.Cluster; ``mine`` tells the names of a test's own namespaces and nodes, ``run`` its run."""

    def __init__(self, cluster: KubernetesCluster, mine: Callable[[], set[str]], run: str) -> None:
        self._cluster, self._mine, self._run = cluster, mine, run

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    def list(
        self, resource: Resource, namespace: str | None = None, **selectors: str
    ) -> list[Object]:
        """As the cluster's; of all namespaces only the test's own."""
        found = self._cluster.list(resource, namespace, **selectors)
        # Leases of nodes are kept where sloguard keeps its own; they say which runs they are of.
        if namespace is not None or resource == LEASES:
            return found
        key = "namespace" if resource.namespaced else "name"
        mine = self._mine()
        builtin = resource.namespaced or resource == NAMESPACES or resource.plural == "nodes"
        return [
            obj
            for obj in found
            if not builtin or obj["metadata"][key] in mine or self._is_of_my_run(obj)
        ]

    def _is_of_my_run(self, obj: Object) -> bool:
        """A record of it, wherever it is kept."""
        return self._run in (obj["metadata"].get("annotations") or {}).get(ANNOTATION, "")
