"""Asking each cluster, before anything is touched, whether these credentials may do what a run takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sloguard.core.model import Experiment
from sloguard.engine.rights import Demand, Demands, Standpoint
from sloguard.faults.base import Plan
from sloguard.ports import Cluster, Clusters
from sloguard.ports.rights import Need

_LOOKING = frozenset({"get", "list", "watch"})


@dataclass(frozen=True, slots=True)
class Permission:
    """What is allowed of what is needed on one cluster. ``name``: the cluster's."""

    name: str
    context: str | None
    needed: tuple[Demand, ...]
    denied: tuple[Demand, ...]

    @property
    def blind(self) -> bool:
        """Whether not even the looking is allowed, so that nothing can be planned."""
        return any(one.need.verb in _LOOKING for one in self.denied)

    def narrowed(self, clusters: Clusters, plans: Iterable[Plan]) -> Permission:
        """What is denied in all namespaces, but allowed in each that the plans are about. Blocking."""
        places = sorted(_namespaces(self.name, plans))
        if not self.denied or not places:
            return self
        cluster = clusters(self.context)
        denied = [one for one in self.denied if not _allowed_in(cluster, one.need, places)]
        return replace(self, denied=tuple(denied))


def ask(clusters: Clusters, experiment: Experiment) -> tuple[Permission, ...]:
    """One Permission for each cluster that the experiment touches. Blocking; raises ClusterError."""
    demands = Demands.of(experiment, lambda context: Standpoint.on(clusters(context)))
    return tuple(_asked(clusters, demands, context) for context in demands.contexts)


def _asked(clusters: Clusters, demands: Demands, context: str | None) -> Permission:
    cluster, needed = clusters(context), demands.on(context)
    denied = tuple(one for one in needed if not _allowed(cluster, one.need, one.need.namespace))
    return Permission(cluster.name, context, needed, denied)


def _allowed(cluster: Cluster, need: Need, namespace: str | None) -> bool:
    return cluster.allowed(
        need.verb, need.resource, namespace, subresource=need.subresource, name=need.name
    ).allowed


def _allowed_in(cluster: Cluster, need: Need, places: Sequence[str]) -> bool:
    # What has to be looked for everywhere cannot be found in some namespaces alone.
    wide = need.namespace is None and need.resource.namespaced and need.verb not in _LOOKING
    return wide and all(_allowed(cluster, need, place) for place in places)


def _namespaces(cluster: str, plans: Iterable[Plan]) -> Iterator[str]:
    """The namespaces of a cluster that plans will work in, by their locks."""
    start = f"namespace:{cluster}/"
    for plan in plans:
        for injection in plan.injections:
            if injection.lock.startswith(start):
                yield injection.lock.removeprefix(start)
