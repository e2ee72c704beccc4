"""The clusters of this process, for functions that are called plainly and given no ports: probes, and
faults in rollbacks. The composition root provides them."""

from __future__ import annotations

from sloguard.ports.cluster import Cluster, ClusterError, Clusters

_provided: list[Clusters] = []


def provide(clusters: Clusters) -> None:
    """From now on ``cluster`` gives these."""
    _provided[:] = [clusters]


def cluster(context: str | None = None) -> Cluster:
    """The cluster of a context, or the one of the settings. Raises ClusterError where there is none."""
    if not _provided:
        raise ClusterError(
            "no cluster is configured: set kubernetes.kubeconfig and run this with sloguard"
        )
    return _provided[0](context)
