"""Objects of Istio."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sloguard.ports import ClusterNotFound
from sloguard.ports.resources import ISTIO, ISTIO_VERSIONS, virtual_services
from sloguard.ports.rights import Call, Need, on
from sloguard.probes.base import ProbeError, Secrets, cluster_of, probe


def _needs(call: Call) -> Iterator[Need]:
    resource = virtual_services(ISTIO_VERSIONS[0])
    name = call["virtual_service_name"]
    return on(resource, "get", namespaces=(call["ns"],), name=name)


@probe(_needs)
def get_virtual_service(
    virtual_service_name: str,
    ns: str = "default",
    version: str | None = None,
    cluster: str | None = None,
    secrets: Secrets = None,
) -> dict[str, Any]:
    """A VirtualService: ``status`` is 200 and ``body`` the object, or 404 where there is none.

    virtual_service_name: Its name.
    ns: Its namespace.
    version: Version of Istio's API; another one that the cluster serves will do.
    """
    asked = cluster_of(cluster, secrets)
    versions = asked.versions(ISTIO)
    if not versions:
        raise ProbeError(f"{asked.name} serves no {ISTIO}: is Istio installed?")
    wanted = (version or "").rpartition("/")[2]
    resource = virtual_services(wanted if wanted in versions else versions[0])
    try:
        found = asked.get(resource, virtual_service_name, ns)
    except ClusterNotFound as error:
        return {"status": 404, "body": {"message": str(error)}, "headers": {}}
    return {"status": 200, "body": found, "headers": {}}
