"""Deployments: whether their pods are there."""

from __future__ import annotations

from sloguard.ports.resources import DEPLOYMENTS
from sloguard.probes.base import Secrets, cluster_of, listing, probe, synonym
from sloguard.probes.workloads import comes_to_hold, holds


@probe(listing(DEPLOYMENTS))
def deployment_available_and_healthy(
    name: str,
    ns: str = "default",
    label_selector: str | None = None,
    cluster: str | None = None,
    secrets: Secrets = None,
) -> bool:
    """Whether as many pods are available as there shall be, and at least one.

    name: Its name.
    ns: Its namespace.
    label_selector: Labels that it has to have; {name} stands for the name.
    """
    found = cluster_of(cluster, secrets)
    return holds(found, DEPLOYMENTS, name, ns, label_selector, lambda counts: counts.all_available)


@probe(listing(DEPLOYMENTS))
def deployment_partially_available(
    name: str,
    ns: str = "default",
    label_selector: str | None = None,
    cluster: str | None = None,
    secrets: Secrets = None,
) -> bool:
    """Whether at least one of its pods is available.

    name: Its name.
    ns: Its namespace.
    label_selector: Labels that it has to have; {name} stands for the name.
    """
    found = cluster_of(cluster, secrets)
    return holds(found, DEPLOYMENTS, name, ns, label_selector, lambda counts: counts.available > 0)


@probe(listing(DEPLOYMENTS, "watch"))
def deployment_fully_available(
    name: str,
    ns: str = "default",
    label_selector: str | None = None,
    timeout: float | str = 30,
    cluster: str | None = None,
    secrets: Secrets = None,
) -> bool:
    """Wait until all of its pods are ready; whether they were in time.

    name: Its name.
    ns: Its namespace.
    label_selector: Labels that it has to have; {name} stands for the name.
    timeout: How long to wait for it, in seconds.
    """
    found = cluster_of(cluster, secrets)
    return comes_to_hold(
        found, DEPLOYMENTS, name, ns, label_selector, lambda counts: counts.all_ready, timeout
    )


@probe(listing(DEPLOYMENTS, "watch"))
def deployment_not_fully_available(
    name: str,
    ns: str = "default",
    label_selector: str | None = None,
    timeout: float | str = 30,
    cluster: str | None = None,
    secrets: Secrets = None,
) -> bool:
    """Wait until not all of its pods are ready; whether it came to that in time.

    name: Its name.
    ns: Its namespace.
    label_selector: Labels that it has to have; {name} stands for the name.
    timeout: How long to wait for it, in seconds.
    """
    found = cluster_of(cluster, secrets)
    return comes_to_hold(
        found, DEPLOYMENTS, name, ns, label_selector, lambda counts: not counts.all_ready, timeout
    )


deployment_available = synonym("deployment_available", __name__, deployment_available_and_healthy)
