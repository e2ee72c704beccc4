"""Which VirtualServices: by name, by label, or at random; and which of them cannot be hit, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sloguard.core.model import Json
from sloguard.faults.base import FaultError
from sloguard.faults.istio_routes import chosen_routes, no_route, unmatched
from sloguard.faults.looking import found_in, named_in
from sloguard.faults.rights import changing, choosing, locking, places
from sloguard.faults.targets import Namespaces, Radius
from sloguard.ports import Cluster, Object, Resource
from sloguard.ports.resources import ISTIO, ISTIO_VERSIONS, virtual_services
from sloguard.ports.rights import Call, Need


@dataclass(frozen=True, slots=True)
class Whom:
    """Which VirtualServices."""

    name: str | None
    namespaces: Namespaces
    labels: str
    pattern: str | None
    radius: Radius
    opt_in: bool

    @classmethod
    def of(
        cls,
        name: str | None,
        ns: Any,
        labels: str,
        pattern: str | None,
        rand: bool,
        qty: Any,
        all: bool,
        seed: Any,
        opt_in: bool,
    ) -> Whom:
        if name is None and not (labels or pattern or rand or all):
            raise FaultError(
                "say which VirtualServices: virtual_service_name, label_selector, name_pattern, rand or all"
            )
        radius = Radius.of(qty=qty, all=all or name is not None, rand=rand, seed=seed)
        return cls(name, Namespaces.of(ns), labels, pattern, radius, opt_in)


def unfit(obj: Object, wanted: dict[str, Json], *, all_of_it: bool) -> str:
    """Why a VirtualService cannot be hit. One that is named has to have all that is asked for; of others
    this is a choice among their routes, and one will do."""
    missing = unmatched(obj, wanted)
    if missing and (all_of_it or not chosen_routes(obj, wanted)):
        return missing
    return "" if chosen_routes(obj, wanted) else no_route(wanted)


def matching(
    cluster: Cluster, resource: Resource, name: str | None, namespaces: Namespaces, labels: str
) -> list[Object]:
    """Those of a name or labels in these namespaces."""
    if name is not None:
        return named_in(cluster, resource, name, namespaces, labels=labels)
    return found_in(cluster, resource, namespaces, labels=labels)


def nobody(whom: Whom, namespaces: Namespaces, spared: Sequence[tuple[str, str]]) -> str:
    """Why there is nothing to hit."""
    which = f"named {whom.name}" if whom.name else f"with {whom.labels}" if whom.labels else ""
    text = f"no VirtualService {which} to hit in {namespaces}".replace("  ", " ")
    reasons = "; ".join(f"{name}: {why}" for name, why in spared[:5])
    return f"{text} ({reasons})" if reasons else text


def counted(of: Sequence[Any]) -> str:
    """``2 VirtualServices``."""
    return f"{len(of)} VirtualService{'' if len(of) == 1 else 's'}"


def lock_of(cluster: Cluster, obj: Object) -> str:
    """The lock of an object's namespace."""
    return f"namespace:{cluster.name}/{obj['metadata']['namespace']}"


def served(cluster: Cluster, version: str | None = None) -> Resource:
    """VirtualServices in the version asked for, or another one that the cluster serves."""
    wanted = (version or "").rpartition("/")[2]
    versions = cluster.versions(ISTIO)
    if not versions:
        raise FaultError(f"{cluster.name} serves no {ISTIO}: is Istio installed?")
    return virtual_services(wanted if wanted in versions else versions[0])


def needs(call: Call) -> Iterator[Need]:
    """The rights of every fault here."""
    # Rights hold for all versions of a kind.
    resource, wanted = virtual_services(ISTIO_VERSIONS[0]), places(call)
    name, labels = call["virtual_service_name"], call["label_selector"]
    yield from choosing(resource, wanted, name, labels)
    yield from changing(resource, wanted, name)
    yield from locking(wanted)
