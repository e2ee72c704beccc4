"""DaemonSets: whether their pods are there."""

from __future__ import annotations

from sloguard.ports.resources import DAEMON_SETS
from sloguard.probes.base import Secrets, cluster_of, listing, probe
from sloguard.probes.workloads import comes_to_hold, holds


@probe(listing(DAEMON_SETS))
def daemon_set_available_and_healthy(
    name: str,
    ns: str = "default",
    label_selector: str | None = None,
    cluster: str | None = None,
    secrets: Secrets = None,
) -> bool:
    """Whether its pods are ready on all nodes that shall have one, and there is such a node.

    name: Its name.
    ns: Its namespace.
    label_selector: Labels that it has to have; {name} stands for the name.
    """
    found = cluster_of(cluster, secrets)
    return holds(found, DAEMON_SETS, name, ns, label_selector, lambda counts: counts.all_ready)


@probe(listing(DAEMON_SETS))
def daemon_set_partially_available(
    name: str,
    ns: str = "default",
    label_selector: str | None = None,
    cluster: str | None = None,
    secrets: Secrets = None,
) -> bool:
    """Whether at least one of its pods is ready.

    name: Its name.
    ns: Its namespace.
    label_selector: Labels that it has to have; {name} stands for the name.
    """
    found = cluster_of(cluster, secrets)
    return holds(found, DAEMON_SETS, name, ns, label_selector, lambda counts: counts.ready > 0)


@probe(listing(DAEMON_SETS, "watch"))
def daemon_set_fully_available(
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
        found, DAEMON_SETS, name, ns, label_selector, lambda counts: counts.all_ready, timeout
    )


@probe(listing(DAEMON_SETS, "watch"))
def daemon_set_not_fully_available(
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
        found, DAEMON_SETS, name, ns, label_selector, lambda counts: not counts.all_ready, timeout
    )
