"""Whether objects are there."""

from __future__ import annotations

from collections.abc import Iterator

from sloguard.ports import ClusterNotFound, Resource
from sloguard.ports.resources import NAMESPACES, SECRETS
from sloguard.ports.rights import Call, Need, on
from sloguard.probes.base import Secrets, cluster_of, listed, listing, probe

INGRESSES = Resource("networking.k8s.io", "v1", "ingresses", "Ingress")


def _namespace_needs(call: Call) -> Iterator[Need]:
    return on(NAMESPACES, "get", name=call["name"])


@probe(_namespace_needs)
def namespace_exists(name: str, cluster: str | None = None, secrets: Secrets = None) -> bool:
    """Whether there is a namespace.

    name: Its name.
    """
    try:
        cluster_of(cluster, secrets).get(NAMESPACES, name)
    except ClusterNotFound:
        return False
    return True


@probe(listing(SECRETS))
def secret_exists(
    name: str | None = None,
    ns: str = "default",
    label_selector: str | None = None,
    cluster: str | None = None,
    secrets: Secrets = None,
) -> bool:
    """Whether there is a Secret; what it holds is not shown.

    name: Its name.
    ns: Its namespace.
    label_selector: Labels that it has to have.
    """
    return bool(listed(cluster_of(cluster, secrets), SECRETS, ns, label_selector, name))


@probe(listing(INGRESSES))
def ingress_exists(
    name: str, ns: str = "default", cluster: str | None = None, secrets: Secrets = None
) -> bool:
    """Whether there is an Ingress.

    name: Its name.
    ns: Its namespace.
    """
    return bool(listed(cluster_of(cluster, secrets), INGRESSES, ns, None, name))
