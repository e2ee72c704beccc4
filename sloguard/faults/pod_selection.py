"""Which pods a fault hits, by the arguments that all faults on pods have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sloguard.core.objective import ObjectiveError, parse_duration
from sloguard.faults.base import Context, FaultError, NothingToHit, Planner
from sloguard.faults.looking import found_in
from sloguard.faults.targets import (
    Budget,
    Chosen,
    Namespaces,
    Radius,
    choose,
    consenting,
    named,
    not_going,
    not_myself,
    older_than,
    within,
)
from sloguard.ports import Cluster, ClusterNotFound, Object
from sloguard.ports.resources import (
    BUDGETS,
    DAEMON_SETS,
    DEPLOYMENTS,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
)

#: What ``owner`` may be.
OWNERS = {
    kind.kind.lower(): kind for kind in (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS, REPLICA_SETS)
}

WHOM = """

label_selector: Only pods with these labels, as kubectl takes them.
name_pattern: Only pods in whose names this regular expression is found.
all: Every pod that matches.
rand: Choose at random, repeatably by the seed; else the first in order.
mode: Whether qty is a number (fixed) or a percentage of the pods that match, rounded down, one at the least;
    percentage-rounded-up is a percentage, too.
qty: How many at most.
ns: Namespace, a list of them, or globs; * for all but the system's and sloguard's own.
order: Who comes first where it is not random, alphabetic or oldest.
field_selector: Only pods with these fields, as kubectl takes them.
owner: Only pods of this workload, as deployment/checkout.
exclude_ns: Namespaces to leave alone, with globs.
leave_at_least: How many of the pods that match are spared, whatever else is asked.
ignore_budgets: Hit more pods than their PodDisruptionBudgets allow.
min_age: Only pods that have been there for so long.
seed: Seed of the choice; the run's own if none is given.
opt_in: Only pods with the annotation sloguard.io/enabled set to true.
cluster: Context of the kubeconfig; the one of the settings if not given."""


def documented(planner: Planner) -> Planner:
    """Adds what faults on pods have in common to their documentation."""
    planner.__doc__ = (planner.__doc__ or "").rstrip() + WHOM.replace("\n", "\n    ")
    return planner


@dataclass(frozen=True, slots=True)
class PodWhom:
    """The common arguments, checked."""

    labels: str
    fields: str
    owner: str
    namespaces: Namespaces
    pattern: str | None
    radius: Radius
    min_age: float
    ignore_budgets: bool
    opt_in: bool

    @classmethod
    def of(cls, arguments: dict[str, Any]) -> PodWhom:
        """From a planner's arguments, by name. Raises FaultError."""
        radius = {
            k: arguments[k]
            for k in ("mode", "qty", "all", "rand", "order", "seed", "leave_at_least")
        }
        return cls(
            labels=str(arguments["label_selector"] or ""),
            fields=str(arguments["field_selector"] or ""),
            owner=str(arguments["owner"] or ""),
            namespaces=Namespaces.of(arguments["ns"], arguments["exclude_ns"]),
            pattern=arguments["name_pattern"],
            radius=Radius.of(**radius),
            min_age=_age(arguments["min_age"]),
            ignore_budgets=bool(arguments["ignore_budgets"]),
            opt_in=bool(arguments["opt_in"]),
        )


def select(
    cluster: Cluster,
    whom: PodWhom,
    context: Context,
    spare: Callable[[Object], str] = lambda _pod: "",
    *,
    budgeted: bool = True,
) -> Chosen:
    """The pods to hit, at least one. Raises FaultError. ``spare``: a fault's own reason.

    ``budgeted`` False: the fault leaves the pods running, so that no budget is asked.
    """
    namespaces = replace(whom.namespaces, own=cluster.own_namespace)
    found = found_in(cluster, PODS, namespaces, labels=whom.labels, fields=whom.fields)
    if whom.owner:
        found = _owned(cluster, whom.owner, namespaces, found)
    rules = [
        within(namespaces),
        named(whom.pattern),
        not_going,
        not_myself(cluster.whereabouts()),
        consenting(whom.opt_in),
        older_than(whom.min_age, cluster.now()),
        spare,
    ]
    # What is not asked for is not among those of which some have to be left.
    found = [pod for pod in found if not rules[0](pod) and not rules[1](pod)]
    ask = budgeted and not whom.ignore_budgets
    budgets = [Budget.of(b) for b in found_in(cluster, BUDGETS, namespaces)] if ask else []
    chosen = choose(found, whom.radius, fallback=context.random, spare=rules, budgets=budgets)
    if not chosen.victims:
        reasons = "; ".join(f"{name}: {why}" for name, why in chosen.spared[:5])
        which = f" with {whom.labels}" if whom.labels else f" of {whom.owner}" if whom.owner else ""
        text = f"no pod{which} to hit in {namespaces}"
        raise NothingToHit(f"{text} ({reasons})" if reasons else text)
    return chosen


def controller_of(pod: Object) -> dict[str, Any] | None:
    """The reference to what would bring the pod back."""
    owners = pod["metadata"].get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), None)


def is_ready(pod: Object) -> bool:
    """Whether it is Ready, and not being deleted."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def _owned(
    cluster: Cluster, owner: str, namespaces: Namespaces, pods: list[Object]
) -> list[Object]:
    kind, _, name = owner.partition("/")
    resource = OWNERS.get(kind.lower().removesuffix("s"))
    if resource is None or not name:
        raise FaultError(
            f"owner: expected one of {', '.join(OWNERS)} and a name, as deployment/checkout, found {owner}"
        )
    if namespaces.single is None:
        raise FaultError("owner: name the one namespace in which it is, with ns")
    try:
        uids = {cluster.get(resource, name, namespaces.single)["metadata"]["uid"]}
    except ClusterNotFound as error:
        raise FaultError(f"there is no {owner} in namespace {namespaces.single}") from error
    if resource == DEPLOYMENTS:
        uids = {
            s["metadata"]["uid"] for s in _of(cluster.list(REPLICA_SETS, namespaces.single), uids)
        }
    return _of(pods, uids)


def _of(objects: list[Object], uids: set[str]) -> list[Object]:
    return [obj for obj in objects if (controller_of(obj) or {}).get("uid") in uids]


def _age(value: Any) -> float:
    try:
        return parse_duration(value) if value else 0.0
    except ObjectiveError as error:
        raise FaultError(f"min_age: {error}") from None
