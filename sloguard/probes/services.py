"""Services: whether they are there, and whether something stands behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sloguard.ports import Object
from sloguard.ports.resources import ENDPOINT_SLICES, SERVICES
from sloguard.probes.base import (
    Secrets,
    cluster_of,
    labelled,
    listed,
    listing,
    named,
    probe,
)

_OF = "kubernetes.io/service-name"


@probe(listing(SERVICES))
def service_is_initialized(
    name: str | None = None,
    ns: str = "default",
    label_selector: str | None = None,
    cluster: str | None = None,
    secrets: Secrets = None,
) -> bool:
    """Whether there is a Service; with neither name nor labels, whether there is any.

    name: Its name.
    ns: Its namespace.
    label_selector: Labels that it has to have; {name} stands for the name.
    """
    found = listed(cluster_of(cluster, secrets), SERVICES, ns, labelled(label_selector, name), name)
    return bool(found)


@probe(listing(ENDPOINT_SLICES))
def count_service_endpoints(
    name: str,
    ns: str = "default",
    cluster: str | None = None,
    secrets: Secrets = None,
) -> int:
    """How many endpoints of a Service are ready.

    name: Name of the Service.
    ns: Its namespace.
    """
    labels = f"{_OF}={named(name, 'Service')}"
    slices = listed(cluster_of(cluster, secrets), ENDPOINT_SLICES, ns, labels)
    # One pod stands in a slice of each family of addresses.
    return len({_whose(e) for part in slices for e in _endpoints(part) if _ready(e)})


@probe(listing(ENDPOINT_SLICES))
def service_endpoints_ready(
    name: str,
    ns: str = "default",
    at_least: int = 1,
    cluster: str | None = None,
    secrets: Secrets = None,
) -> bool:
    """Whether enough endpoints of a Service are ready.

    name: Name of the Service.
    ns: Its namespace.
    at_least: How many are enough.
    """
    return count_service_endpoints(name, ns, cluster, secrets) >= max(int(at_least), 1)


def _endpoints(part: Object) -> list[Any]:
    found: list[Any] | None = part.get("endpoints")
    return found or []


def _ready(endpoint: Mapping[str, Any]) -> bool:
    """A condition that is not told means yes, as the API has it."""
    return (endpoint.get("conditions") or {}).get("ready") is not False


def _whose(endpoint: Mapping[str, Any]) -> str:
    target = endpoint.get("targetRef") or {}
    return str(target.get("uid") or endpoint.get("addresses"))
