"""Which rights an experiment takes on which clusters: what its activities have declared, put together.

Known from the file alone, so that roles can be made for it where no cluster is at hand.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sloguard.core.model import Activity, Experiment
from sloguard.engine.aliases import drivers_for, provider_of
from sloguard.faults import marking
from sloguard.ports import Cluster, ClusterError, ClusterNotFound, Resource
from sloguard.ports.resources import (
    ISTIO_VERSIONS,
    JOBS,
    LEASES,
    NETWORK_POLICIES,
    PODS,
    REPLICA_SETS,
    virtual_services,
)
from sloguard.ports.rights import Call, Need, guessed, needs_of, on

RECOVERY = "recovery"
EXECUTOR = "executor"
#: The Lease of the one service that looks after faults on the cluster.
LEADER = "sloguard-janitor"
#: How what sloguard's own faults leave on each kind is undone: changed back, made again, or deleted.
_UNDOING = {
    **{kind.kind: ("patch", "create") for kind in marking.CHANGED},
    NETWORK_POLICIES.kind: ("delete",),
    **{kind.kind: ("delete",) for kind in marking.MADE},
    virtual_services(ISTIO_VERSIONS[0]).kind: ("patch",),
}


@dataclass(frozen=True, slots=True)
class Standpoint:
    """Where sloguard stands on a cluster, as ``ports.rights.Call`` has it."""

    own_namespace: str = "default"
    pod_namespace: str = ""
    resource: Callable[[str, str], Resource] = guessed
    cluster: Cluster | None = None

    @classmethod
    def on(cls, cluster: Cluster) -> Standpoint:
        """On a cluster that can be asked."""
        here = cluster.whereabouts()
        inside = here.namespace if here.pod else ""
        return cls(cluster.own_namespace, inside, cluster.resource, cluster)

    def is_there(self, resource: Resource, namespace: str | None, name: str) -> bool | None:
        """Whether there is such an object; None where that cannot be asked, or may not be seen."""
        if self.cluster is None:
            return None
        try:
            self.cluster.get(resource, name, namespace)
        except ClusterNotFound:
            return False
        except ClusterError:
            return None
        return True


@dataclass(frozen=True, slots=True)
class Demand:
    """A need on the cluster of a context (None: the one of the settings), and the activities that have it."""

    context: str | None
    need: Need
    activities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Demands:
    """All that is needed, and what could not be told: (activity, why)."""

    found: tuple[Demand, ...] = ()
    problems: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, experiment: Experiment, standpoint: Callable[[str | None], Standpoint]) -> Demands:
        """Of all activities that sloguard's own functions carry out, the rollbacks too. Blocking."""
        found: list[Demand] = []
        problems: list[tuple[str, str]] = []
        folder = os.path.dirname(experiment.source)
        activities = (*experiment.probes, *experiment.method, *experiment.rollbacks)
        for activity in (*_configuring(experiment), *activities):
            try:
                found += _of(experiment, activity, standpoint, folder)
            except Exception as error:  # noqa: BLE001 - whatever a function raises for its arguments
                problems.append((activity.name, str(error) or type(error).__name__))
        return cls(together(found), tuple(problems))

    @property
    def contexts(self) -> tuple[str | None, ...]:
        """Every context that something is needed of, in order."""
        return tuple(dict.fromkeys(demand.context for demand in self.found))

    def on(self, context: str | None) -> tuple[Demand, ...]:
        """What is needed of one context."""
        return tuple(demand for demand in self.found if demand.context == context)


def together(demands: Iterable[Demand]) -> tuple[Demand, ...]:
    """One of each need, with all of its activities, and none that another one covers."""
    merged: dict[tuple[str | None, Any], Demand] = {}
    for one in demands:
        key = (one.context, one.need.place)
        names = (*merged[key].activities, *one.activities) if key in merged else one.activities
        merged[key] = Demand(one.context, one.need, tuple(dict.fromkeys(names)))
    found = list(merged.values())
    wide = [one for one in found if not any(_covers(other, one) for other in found)]
    whole = [
        Demand(
            one.context,
            one.need,
            tuple(
                dict.fromkeys(
                    name
                    for other in found
                    if other is one or _covers(one, other)
                    for name in other.activities
                )
            ),
        )
        for one in wide
    ]
    return tuple(sorted(whole, key=lambda one: (one.context or "", one.need.place)))


def _covers(one: Demand, other: Demand) -> bool:
    same = one.context == other.context and one is not other
    return same and one.need.covers(other.need)


def _of(
    experiment: Experiment,
    activity: Activity,
    standpoint: Callable[[str | None], Standpoint],
    folder: str,
) -> Iterator[Demand]:
    provider = provider_of(activity, experiment, drivers_for(experiment, wanted=False))
    function = function_of(provider)
    needs = needs_of(function)
    if function is None or needs is None:
        return
    given = provider.get("arguments") or {}
    arguments = given if isinstance(given, Mapping) else {}
    if not any(True for _ in needs(Call.of(function, arguments, folder=folder))):
        return  # by its arguments it works on no cluster, and there may be none
    context = _context(arguments, provider, experiment)
    here = standpoint(context)
    call = Call.of(
        function,
        arguments,
        own_namespace=here.own_namespace,
        pod_namespace=here.pod_namespace,
        resource=here.resource,
        folder=folder,
        is_there=here.is_there,
    )
    for need in needs(call):
        yield Demand(context, need, (activity.name,))


def _configuring(experiment: Experiment) -> Iterator[Activity]:
    """The probes that values of the configuration come from."""
    declared = experiment.declared.get("configuration")
    for name, entry in (declared if isinstance(declared, Mapping) else {}).items():
        provider = entry.get("provider") if isinstance(entry, Mapping) else None
        if isinstance(provider, Mapping) and entry.get("type") == "probe":
            yield Activity(f"configuration.{name}", "probe", f"configuration {name}", provider)


def _context(arguments: Any, provider: Mapping[str, Any], experiment: Experiment) -> str | None:
    """The argument ``cluster``, else KUBERNETES_CONTEXT of the secrets that the provider lists."""
    if isinstance(arguments, Mapping) and arguments.get("cluster"):
        return str(arguments["cluster"])
    groups = provider.get("secrets") or ()
    for name in groups if isinstance(groups, Sequence) else ():
        group = experiment.secrets.get(str(name))
        if isinstance(group, Mapping) and group.get("KUBERNETES_CONTEXT"):
            return str(group["KUBERNETES_CONTEXT"])
    return None


def function_of(provider: Mapping[str, Any]) -> Any:
    """The function of a python provider; None for anything else, also for what cannot be imported.

    Imports the provider's module, so it is called beside the loop.
    """
    if provider.get("type") != "python":
        return None
    try:
        module = importlib.import_module(str(provider.get("module")))
    except Exception:  # noqa: BLE001 - calling it as any other activity tells what is wrong with it
        return None
    return getattr(module, str(provider.get("func")), None)


def recovering(namespaces: Iterable[str] | None = None) -> Iterator[Demand]:
    """What ``recover --cluster`` takes: to find all that is marked, to see who is alive, and to undo
    what sloguard's own faults leave there. ``namespaces``: only these; None: the whole cluster."""
    places: tuple[str | None, ...] = (None,) if namespaces is None else tuple(namespaces)
    needs: list[Need] = []
    for kind in (*marking.CHANGED, *marking.MADE, virtual_services(ISTIO_VERSIONS[0])):
        if kind.namespaced or namespaces is None:
            needs += on(kind, "list", "get", *_UNDOING[kind.kind], namespaces=places)
    needs += on(LEASES, "list", namespaces=places)
    for need in needs:
        yield Demand(None, need, (RECOVERY,))


def executing(namespace: str, *, jobs: str = "", leads: str = "") -> Iterator[Demand]:
    """What a service takes in its own namespace that carries runs out by Jobs, and looks after faults on the
    cluster with others like it: to make and follow Jobs, to see what its own pod is made of, to lead.

    ``jobs``: where the Jobs are; ``leads``: where the Lease is. Empty: in its own namespace too.
    """
    needs: list[Need] = []
    its, here, there = (leads or namespace,), (namespace,), (jobs or namespace,)
    needs += on(JOBS, "create", "get", "list", "delete", namespaces=there)
    needs += on(PODS, "list", namespaces=there)
    needs += on(PODS, "get", namespaces=here)
    needs += on(REPLICA_SETS, "get", namespaces=here)
    needs += on(LEASES, "get", "update", namespaces=its, name=LEADER)
    needs += on(LEASES, "create", namespaces=its)
    for need in needs:
        yield Demand(None, need, (EXECUTOR,))
