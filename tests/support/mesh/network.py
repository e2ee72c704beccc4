"""Whether traffic gets through: NetworkPolicies, and the NetworkChaos of Chaos Mesh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sloguard.ports import Object
from tests.fakes.kubernetes import selecting
from tests.support.mesh.looking import NETWORK_CHAOS, Snapshot

#: What the services listen on; policies that allow other ports do not help them.
PORT = 80


def passes(seen: Snapshot, source: Object | None, target: Object) -> bool:
    """Whether a pod reaches another one. ``source`` None: the gateway, which no policy here selects."""
    if source is not None and not _allowed(seen, source, target, "egress"):
        return False
    return _allowed(seen, target, source, "ingress")


def _allowed(seen: Snapshot, pod: Object, other: Object | None, way: str) -> bool:
    rules = [
        policy["spec"].get(way) or []
        for policy in seen.of("NetworkPolicy", pod["metadata"]["namespace"])
        if way.capitalize() in policy["spec"]["policyTypes"]
        and selecting.of_object(policy["spec"]["podSelector"])(pod["metadata"].get("labels") or {})
    ]
    if not rules:
        return True
    return any(_fits(seen, rule, other, way) for each in rules for rule in each)


def _fits(seen: Snapshot, rule: Mapping[str, Any], other: Object | None, way: str) -> bool:
    if rule.get("ports") and all(p.get("port") != PORT for p in rule["ports"]):
        return False
    peers: Sequence[Mapping[str, Any]] = rule.get("from" if way == "ingress" else "to") or ()
    return not peers or any(_is_peer(seen, peer, other) for peer in peers)


def _is_peer(seen: Snapshot, peer: Mapping[str, Any], other: Object | None) -> bool:
    namespace = "istio-system" if other is None else other["metadata"]["namespace"]
    labels = {} if other is None else other["metadata"].get("labels") or {}
    if "namespaceSelector" in peer:
        about = seen.one("Namespace", "", namespace) or {"metadata": {}}
        where = {
            "kubernetes.io/metadata.name": namespace,
            **(about["metadata"].get("labels") or {}),
        }
        if not selecting.of_object(peer["namespaceSelector"])(where):
            return False
    return "podSelector" not in peer or selecting.of_object(peer["podSelector"])(labels)


def held_back(seen: Snapshot, pod: Object) -> float:
    """Seconds by which NetworkChaos holds back what leaves a pod."""
    found = [
        _seconds(chaos["spec"]["delay"]["latency"])
        for chaos in seen.of(NETWORK_CHAOS)
        if chaos["spec"].get("action") == "delay" and _selects(chaos, pod)
    ]
    return sum(found)


def _selects(chaos: Object, pod: Object) -> bool:
    selector, about = chaos["spec"]["selector"], pod["metadata"]
    labels = selecting.of_object({"matchLabels": selector.get("labelSelectors") or {}})
    where = selector.get("namespaces") or [chaos["metadata"]["namespace"]]
    return about["namespace"] in where and labels(about.get("labels") or {})


def _seconds(text: str) -> float:
    return float(text[:-2]) / 1000 if text.endswith("ms") else float(text.removesuffix("s"))
