"""Which nodes a fault hits, by the arguments that all faults on nodes have in common."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sloguard.faults.base import Context, FaultError, NothingToHit, Planner
from sloguard.faults.looking import by_name
from sloguard.faults.targets import Chosen, Radius, Spare, choose, consenting, not_going
from sloguard.ports import Cluster, ClusterNotFound, Object
from sloguard.ports.resources import NODES, PODS

ZONE = "topology.kubernetes.io/zone"
_CONTROL = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")

#: The arguments of which one at least has to be given.
CHOOSING = (
    "name",
    "label_selector",
    "zone",
    "rand_zone",
    "pod_namespace",
    "pod_label_selector",
    "count",
    "percentage",
    "all",
)

WHOM = """

name: Name of the node.
label_selector: Only nodes with these labels, as kubectl takes them.
zone: Only nodes of this zone, by the label topology.kubernetes.io/zone.
rand_zone: Only nodes of one zone, chosen at random of those in which a node could be hit.
pod_namespace: Only nodes on which a pod of this namespace runs.
pod_label_selector: Only nodes on which a pod with these labels runs.
count: How many at most, chosen at random; all that match if neither count nor percentage is given.
percentage: Share of the nodes that match, rounded down, one at the least, chosen at random.
all: Every node, where no other argument says which.
seed: Seed of the choice; the run's own if none is given.
leave_at_least: How many of the nodes that match are spared, whatever else is asked.
opt_in: Only nodes with the annotation sloguard.io/enabled set to true.
cluster: Context of the kubeconfig; the one of the settings if not given."""


def documented(planner: Planner) -> Planner:
    """Adds what faults on nodes have in common to their documentation."""
    planner.__doc__ = (planner.__doc__ or "").rstrip() + WHOM.replace("\n", "\n    ")
    return planner


@dataclass(frozen=True, slots=True)
class NodeWhom:
    """The common arguments, checked."""

    name: str | None
    labels: str
    pod_namespace: str | None
    pod_labels: str
    radius: Radius
    opt_in: bool
    rand_zone: bool = False

    @classmethod
    def of(cls, arguments: dict[str, Any]) -> NodeWhom:
        """From a planner's arguments, by name. Raises FaultError."""
        given = {k: arguments[k] for k in CHOOSING}
        if not any(given.values()):
            raise FaultError(f"say which nodes: {', '.join(given)}")
        if given["count"] is not None and given["percentage"] is not None:
            raise FaultError("count and percentage contradict each other: give one of them")
        if given["zone"] and given["rand_zone"]:
            raise FaultError("zone and rand_zone contradict each other: give one of them")
        share = given["percentage"] is not None
        how_many = given["percentage"] if share else given["count"]
        labels = [given["label_selector"], f"{ZONE}={given['zone']}" if given["zone"] else ""]
        radius = Radius.of(
            mode="percentage" if share else "fixed",
            qty=1 if how_many is None else how_many,
            all=how_many is None,
            rand=how_many is not None,
            seed=arguments["seed"],
            leave_at_least=arguments["leave_at_least"],
        )
        return cls(
            name=given["name"],
            labels=",".join(filter(None, labels)),
            pod_namespace=given["pod_namespace"],
            pod_labels=str(given["pod_label_selector"] or ""),
            radius=radius,
            opt_in=bool(arguments["opt_in"]),
            rand_zone=bool(given["rand_zone"]),
        )

    def first(self) -> NodeWhom:
        """Only the first by name of those that match."""
        return replace(self, radius=replace(self.radius, qty=1, share=None, rand=False))


def select(
    cluster: Cluster,
    whom: NodeWhom,
    context: Context,
    spare: Callable[[Object], str] = lambda _node: "",
) -> Chosen:
    """The nodes to hit, at least one. Raises FaultError. ``spare``: a fault's own reason."""
    found = _found(cluster, whom)
    hosts = _hosts(cluster, whom)
    if hosts is not None:
        found = [node for node in found if node["metadata"]["name"] in hosts]
    mine = _my_node(cluster)
    rules: list[Spare] = [
        not_going,
        lambda node: "sloguard itself runs on it" if node["metadata"]["name"] == mine else "",
        lambda node: "" if whom.name else _control_plane(node),
        consenting(whom.opt_in),
        spare,
    ]
    if whom.rand_zone:
        rules.append(_in_one_zone(found, rules, whom.radius.seed, context))
    chosen = choose(found, whom.radius, fallback=context.random, spare=rules)
    if not chosen.victims:
        reasons = "; ".join(f"{name}: {why}" for name, why in chosen.spared[:5])
        which = f" named {whom.name}" if whom.name else ""
        which += f" with {whom.labels}" if whom.labels else ""
        raise NothingToHit(
            f"no node{which} to hit ({reasons})" if reasons else f"no node{which} to hit"
        )
    return chosen


def _in_one_zone(
    found: Sequence[Object], rules: Sequence[Spare], seed: int | None, context: Context
) -> Spare:
    """Only nodes of one zone, of those in which there is one to hit."""
    mine = tuple(rules)
    candidates = [node for node in found if not any(rule(node) for rule in mine)]
    zones = sorted({zone_of(node) for node in candidates} - {""})
    if not zones:
        raise FaultError(f"rand_zone: no node to hit has the label {ZONE}")
    source = context.random if seed is None else random.Random(seed)  # noqa: S311 - a repeatable choice, not a secret
    chosen = source.choice(zones)

    def spare(node: Object) -> str:
        zone = zone_of(node)
        where = f"in zone {zone}" if zone else "in no zone"
        return "" if zone == chosen else f"it is {where}, and zone {chosen} was chosen"

    return spare


def zone_of(node: Object) -> str:
    """The zone of a node by its label; empty where it has none."""
    return str((node["metadata"].get("labels") or {}).get(ZONE) or "")


def lock_of(cluster: Cluster, node: Object) -> str:
    """The lock of a node."""
    return f"node:{cluster.name}/{node['metadata']['name']}"


def _found(cluster: Cluster, whom: NodeWhom) -> list[Object]:
    if not by_name(whom.name, (), whom.labels):
        found = cluster.list(NODES, labels=whom.labels)
        return [node for node in found if whom.name in (None, node["metadata"]["name"])]
    try:
        return [cluster.get(NODES, str(whom.name))]
    except ClusterNotFound:
        return []


def _hosts(cluster: Cluster, whom: NodeWhom) -> set[str] | None:
    """Nodes that host the pods asked for; None where none are asked for."""
    if not whom.pod_namespace and not whom.pod_labels:
        return None
    pods = cluster.list(PODS, whom.pod_namespace, labels=whom.pod_labels)
    return {str(pod["spec"].get("nodeName")) for pod in pods}


def _my_node(cluster: Cluster) -> str:
    here = cluster.whereabouts()
    if not here.pod:
        return ""
    try:
        return str(cluster.get(PODS, here.pod, here.namespace)["spec"].get("nodeName") or "")
    except ClusterNotFound:
        return ""


def _control_plane(node: Object) -> str:
    labels = node["metadata"].get("labels") or {}
    if any(label in labels for label in _CONTROL):
        return "it is of the control plane, and is hit only if it is named"
    return ""
