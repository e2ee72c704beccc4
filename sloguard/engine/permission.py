"""Asking each cluster, before anything is touched, whether these credentials may do what a run takes."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sloguard.core.events import Event, Preflight
from sloguard.core.model import Experiment
from sloguard.engine.findings import Findings
from sloguard.engine.loop import Work
from sloguard.engine.rights import Demand, Demands, Standpoint
from sloguard.faults.base import Plan
from sloguard.ports import Cluster, Clusters, OutsideError
from sloguard.ports.rights import Need
from sloguard.render.rbac import table


@dataclass(frozen=True, slots=True)
class Permission:
    """What is allowed of what is needed on one cluster. ``name``: the cluster's."""

    name: str
    context: str | None
    needed: tuple[Demand, ...]
    denied: tuple[Demand, ...]

    @property
    def final(self) -> bool:
        """Whether something is denied that no plan can make good, so that there is no use in planning."""
        return not all(_can_narrow(one.need) for one in self.denied)

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
    return _can_narrow(need) and all(_allowed(cluster, need, place) for place in places)


def _can_narrow(need: Need) -> bool:
    """Whether it will do in some namespaces. What is looked for everywhere is not found in some alone."""
    return need.namespace is None and need.resource.namespaced and need.verb != "list"


def _namespaces(cluster: str, plans: Iterable[Plan]) -> Iterator[str]:
    """The namespaces of a cluster that plans will work in, by their locks."""
    start = f"namespace:{cluster}/"
    for plan in plans:
        for injection in plan.injections:
            if injection.lock.startswith(start):
                yield injection.lock.removeprefix(start)


# As a part of the preflight.


def asking(found: Findings) -> Work[tuple[Permission, ...]]:
    """Whether these credentials may do what sloguard's own functions do on clusters, undo included."""
    session = found.session
    try:
        permissions: tuple[Permission, ...] = yield from session.attempt(
            functools.partial(ask, session.ports.clusters, session.experiment), "rights"
        )
    except OutsideError as error:
        # What cannot be asked is tried: a plan on the same cluster tells what is wrong with it.
        yield found.odd("rights", f"they could not be asked for: {error}")
        return ()
    for one in permissions:
        if one.final:
            yield from _refused(found, one)
    return permissions


def _refused(found: Findings, one: Permission) -> Iterator[Event]:
    """A table of what is missing, and what gives it."""
    session = found.session
    missing = f"{len(one.denied)} of {len(one.needed)} that this takes on {one.name} are missing"
    for text in (missing, *table((demand.need, demand.activities) for demand in one.denied)):
        yield Preflight(session.now(), "rights", False, session.masker.text(text))
    file = session.experiment.source or "EXPERIMENT"
    account = "--service-account NAMESPACE/NAME"
    by_hand = f"give them with: sloguard rbac {file} {account} | kubectl apply -f -"
    yield Preflight(session.now(), "rights", False, session.masker.text(by_hand))
    shown = ", ".join(str(demand.need) for demand in one.denied[:5])
    more = f" and {len(one.denied) - 5} more" if len(one.denied) > 5 else ""
    found.against.append(session.masker.text(f"rights: {missing}: {shown}{more}; {by_hand}"))


def permitted(
    found: Findings, permissions: Sequence[Permission], plans: Sequence[Plan]
) -> Work[None]:
    """Once it is known where: rights in these namespaces will do."""
    session = found.session
    for one in permissions:
        try:
            narrow = yield from session.attempt(
                functools.partial(one.narrowed, session.ports.clusters, plans), "rights"
            )
        except OutsideError as error:
            yield found.odd("rights", f"they could not be asked for: {error}")
            continue
        if narrow.denied:
            yield from _refused(found, narrow)
        else:
            yield found.good("rights", f"all {len(one.needed)} that this takes on {one.name}")
