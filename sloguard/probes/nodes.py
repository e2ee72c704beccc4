"""Nodes: which there are, and in which conditions."""

from __future__ import annotations

from typing import Any

from sloguard.ports import Object
from sloguard.ports.resources import NODES
from sloguard.probes.base import Secrets, cluster_of, listing, probe, synonym

#: What has to be so of a node that is well; of what it does not tell, nothing is expected.
_WELL = {
    "Ready": "True",
    "MemoryPressure": "False",
    "DiskPressure": "False",
    "PIDPressure": "False",
    "NetworkUnavailable": "False",
    "KernelDeadlock": "False",
    "ReadonlyFilesystem": "False",
    "CorruptDockerOverlay2": "False",
    "FrequentKubeletRestart": "False",
    "FrequentDockerRestart": "False",
    "FrequentContainerdRestart": "False",
    "FrequentUnregisterNetDevice": "False",
}


@probe(listing(NODES))
def get_nodes(
    label_selector: str | None = None, cluster: str | None = None, secrets: Secrets = None
) -> dict[str, Any]:
    """The nodes, as the API lists them: under ``items``.

    label_selector: Only nodes with these labels, as kubectl takes them.
    """
    return {
        "apiVersion": "v1",
        "kind": "NodeList",
        "items": _nodes(label_selector, cluster, secrets),
    }


@probe(listing(NODES))
def get_all_node_status_conditions(
    label_selector: str | None = None, cluster: str | None = None, secrets: Secrets = None
) -> list[dict[str, str]]:
    """The conditions of each node: its name, and a status by the condition's type.

    label_selector: Only nodes with these labels, as kubectl takes them.
    """
    nodes = _nodes(label_selector, cluster, secrets)
    return [{"name": str(node["metadata"]["name"]), **_conditions(node)} for node in nodes]


@probe(listing(NODES))
def nodes_ready(
    label_selector: str | None = None,
    at_least: int | None = None,
    schedulable: bool = False,
    cluster: str | None = None,
    secrets: Secrets = None,
) -> bool:
    """Whether all nodes are Ready, or as many as are asked for; false where there is none.

    label_selector: Only nodes with these labels, as kubectl takes them.
    at_least: How many are enough; all of them if not given.
    schedulable: Whether they have to take new pods, too, so that a cordoned one does not count.
    """
    nodes = _nodes(label_selector, cluster, secrets)
    count = sum(_is_ready(node, schedulable) for node in nodes)
    return bool(nodes) and count >= (len(nodes) if at_least is None else max(int(at_least), 1))


@probe(listing(NODES))
def all_nodes_must_be_ready_to_schedule(
    label_selector: str | None = None, cluster: str | None = None, secrets: Secrets = None
) -> bool:
    """Whether all nodes are Ready; a cordon is not asked for. False where there is none.

    label_selector: Only nodes with these labels, as kubectl takes them.
    """
    return nodes_ready(label_selector, None, False, cluster, secrets)


@probe(listing(NODES))
def verify_nodes_condition(
    condition_type: str = "PIDPressure",
    condition_value: str = "False",
    label_selector: str | None = None,
    cluster: str | None = None,
    secrets: Secrets = None,
) -> bool:
    """Whether a condition of all nodes has a status; false where there is none.

    condition_type: Type of the condition.
    condition_value: "True", "False" or "Unknown".
    label_selector: Only nodes with these labels, as kubectl takes them.
    """
    nodes = _nodes(label_selector, cluster, secrets)
    # YAML makes a truth value of an unquoted False, where the API has a text.
    wanted = str(condition_value)
    return bool(nodes) and all(_conditions(n).get(condition_type) == wanted for n in nodes)


@probe(listing(NODES))
def nodes_must_be_healthy(
    label_selector: str | None = None, cluster: str | None = None, secrets: Secrets = None
) -> bool:
    """Whether all nodes are Ready and tell no trouble (pressure, no network …); false where there is none.

    label_selector: Only nodes with these labels, as kubectl takes them.
    """
    nodes = _nodes(label_selector, cluster, secrets)
    return bool(nodes) and all(map(_is_well, nodes))


def _nodes(label_selector: str | None, cluster: str | None, secrets: Secrets) -> list[Object]:
    return cluster_of(cluster, secrets).list(NODES, labels=label_selector or "")


def _conditions(node: Object) -> dict[str, str]:
    conditions = (node.get("status") or {}).get("conditions") or []
    return {str(c.get("type")): str(c.get("status")) for c in conditions}


def _is_ready(node: Object, schedulable: bool) -> bool:
    cordoned = bool((node.get("spec") or {}).get("unschedulable"))
    return _conditions(node).get("Ready") == "True" and not (schedulable and cordoned)


def _is_well(node: Object) -> bool:
    told = _conditions(node)
    return "Ready" in told and all(told.get(kind, good) == good for kind, good in _WELL.items())


all_nodes_are_ok = synonym("all_nodes_are_ok", __name__, nodes_must_be_healthy)
