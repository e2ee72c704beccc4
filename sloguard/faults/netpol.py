"""Isolating pods without a mesh: a NetworkPolicy that denies their traffic, deleted on undo.

Whether it is obeyed is up to the cluster's network plug-in; some ignore NetworkPolicies altogether.
Policies add up: where another one allows the traffic for the same pods, it stays allowed.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from sloguard.core.model import Json
from sloguard.faults import marking
from sloguard.faults.base import Context, FaultError, Injection, NothingToHit, Plan, Record, fault
from sloguard.faults.pod_selection import is_ready
from sloguard.faults.rights import locking, places
from sloguard.faults.targets import ENABLED, Namespaces, matcher, title
from sloguard.faults.undo_records import ANNOTATION
from sloguard.ports import Cluster, ClusterExists, ClusterNotFound, ClusterUnreachable, Object
from sloguard.ports.resources import NETWORK_POLICIES, PODS
from sloguard.ports.rights import Call, Need, on

_DIRECTIONS = ("both", "ingress", "egress")


def _inject(record: Record, context: Context) -> Json:
    cluster = context.cluster(record["cluster"])
    body = dict(record["policy"])
    if context.lasting:
        body["metadata"] = {"name": record["name"], "namespace": record["namespace"]}
    try:
        cluster.create(NETWORK_POLICIES, body)
    except ClusterExists as error:
        raise FaultError(f"there is a NetworkPolicy {record['name']} already") from error
    except ClusterUnreachable as error:
        if error.applied is False:
            raise
        # Its answer was lost: if it is not there, ClusterNotFound says that nothing was injected.
        cluster.get(NETWORK_POLICIES, str(record["name"]), str(record["namespace"]))
    return {"policy": f"{record['namespace']}/{record['name']}", "pods": record["pods"]}


def _undo(record: Record, context: Context) -> str:
    cluster = context.cluster(record["cluster"])
    name, namespace = str(record["name"]), str(record["namespace"])
    try:
        found = cluster.get(NETWORK_POLICIES, name, namespace)
        if ANNOTATION not in (found["metadata"].get("annotations") or {}):
            return ""  # somebody else's of the same name
        cluster.delete(NETWORK_POLICIES, name, namespace, uid=found["metadata"]["uid"])
    except ClusterNotFound:
        return ""
    return f"deleted NetworkPolicy {namespace}/{name}"


def _needs(call: Call) -> Iterator[Need]:
    wanted = places(call)
    yield from on(PODS, "list", namespaces=wanted)
    yield from on(NETWORK_POLICIES, "create", "get", "delete", namespaces=wanted)
    yield from locking(wanted)


@fault("netpol.isolate_pods", inject=_inject, undo=_undo, needs=_needs)
def isolate_pods(
    label_selector: str,
    ns: str = "default",
    direction: str = "both",
    to_label_selector: str | None = None,
    to_ns: str | None = None,
    allow_dns: bool = True,
    cluster: str | None = None,
    *,
    context: Context,
) -> Plan:
    """Cut pods off the network by a NetworkPolicy: all traffic, one direction, or towards some pods only.

    label_selector: The pods to cut off, by equal labels: app=checkout,tier=web.
    ns: Their namespace.
    direction: both, ingress (nothing reaches them) or egress (they reach nothing).
    to_label_selector: Only what goes to or comes from pods with labels other than these is still allowed,
        within the cluster: pods of all namespaces, unless to_ns names the one.
    to_ns: Namespace of the pods of to_label_selector.
    allow_dns: Whether names can still be looked up (port 53), where egress is denied.
    cluster: Context of the kubeconfig; the one of the settings if not given.
    """
    if direction not in _DIRECTIONS:
        raise FaultError(
            f"direction: expected one of {', '.join(_DIRECTIONS)}, found {direction!r}"
        )
    if to_ns and not to_label_selector:
        raise FaultError("to_ns: say which pods there, with to_label_selector")
    labels = _labels(label_selector, "label_selector")
    away = _labels(to_label_selector, "to_label_selector") if to_label_selector else {}
    namespaces = Namespaces.of(ns)
    if namespaces.single is None:
        raise FaultError(f"ns: expected the name of one namespace, found {ns!r}")
    found = context.cluster(cluster)
    pods, spared = _hit(found, namespaces.single, labels)
    policy_id = uuid.uuid4().hex
    name = f"sloguard-isolate-{policy_id[:12]}"
    entry = {"id": policy_id, "run": context.run, "fault": "netpol.isolate_pods"}
    spec = {"podSelector": {"matchLabels": labels}, **_rules(direction, away, to_ns, allow_dns)}
    record: dict[str, Json] = {
        "cluster": found.name,
        "resource": marking.plain(NETWORK_POLICIES),
        "namespace": namespaces.single,
        "name": name,
        "entry": entry,
        "pods": pods,
        "policy": {
            "apiVersion": NETWORK_POLICIES.api_version,
            "kind": NETWORK_POLICIES.kind,
            "metadata": {
                "name": name,
                "namespace": namespaces.single,
                "labels": {marking.LABEL: "created"},
                "annotations": {ANNOTATION: json.dumps([{**entry, "changes": []}])},
            },
            "spec": spec,
        },
    }
    injection = Injection(
        target=f"pods {label_selector} in {namespaces.single}",
        record=record,
        lock=f"namespace:{found.name}/{namespaces.single}",
        by_hand=f"kubectl delete networkpolicy {name} -n {namespaces.single}",
        hits={"Pod": frozenset(f"{namespaces.single}/{pod}" for pod in pods)},
    )
    towards = f" from and to {to_label_selector}" if away else ""
    return Plan((injection,), spared, f"isolate {len(pods)} pods ({direction}){towards}")


def _hit(
    cluster: Cluster, namespace: str, labels: Mapping[str, str]
) -> tuple[list[str], tuple[tuple[str, str], ...]]:
    """The pods that the policy will hit. Raises FaultError where it must not, or hits nobody."""
    selects = matcher({"matchLabels": labels})
    found = [
        pod for pod in cluster.list(PODS, namespace) if selects(pod["metadata"].get("labels") or {})
    ]
    here = cluster.whereabouts()
    for pod in found:
        if here.pod and (here.namespace, here.pod) == (namespace, pod["metadata"]["name"]):
            raise FaultError("label_selector: sloguard itself runs in one of these pods")
        if _opts_out(pod):
            # A policy works by labels: it cannot leave out one of them.
            raise FaultError(f"{title(pod)} opts out ({ENABLED}: false), and has these labels too")
    if not found:
        shown = ",".join(f"{key}={value}" for key, value in labels.items())
        raise NothingToHit(
            f"no pod in namespace {namespace} has the labels {shown}; is there such a namespace?"
        )
    unready = tuple(
        (title(pod), "not ready, but isolated too") for pod in found if not is_ready(pod)
    )
    return sorted(str(pod["metadata"]["name"]) for pod in found), unready


def _opts_out(pod: Object) -> bool:
    said = (pod["metadata"].get("annotations") or {}).get(ENABLED, "")
    return str(said).lower() == "false"


def _rules(
    direction: str, away: Mapping[str, str], to_ns: str | None, allow_dns: bool
) -> dict[str, Any]:
    """``policyTypes`` with what is still allowed; a type without a rule denies all of it."""
    others = _all_but(away, to_ns) if away else None
    rules: dict[str, Any] = {"policyTypes": []}
    if direction in ("both", "ingress"):
        rules["policyTypes"].append("Ingress")
        rules["ingress"] = [{"from": others}] if others else []
    if direction in ("both", "egress"):
        rules["policyTypes"].append("Egress")
        allowed: list[dict[str, Any]] = [{"to": others}] if others else []
        if allow_dns:
            ports = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
            allowed.append({"ports": ports})
        rules["egress"] = allowed
    return rules


def _all_but(away: Mapping[str, str], to_ns: str | None) -> list[dict[str, Any]]:
    """Peers for everybody in the cluster but pods that have all of these labels."""
    everywhere: dict[str, Any] = {}
    peers: list[dict[str, Any]] = []
    if to_ns:
        name = {"key": "kubernetes.io/metadata.name", "values": [to_ns]}
        peers.append({"namespaceSelector": {"matchExpressions": [{**name, "operator": "NotIn"}]}})
        everywhere = {"matchExpressions": [{**name, "operator": "In"}]}
    # Not all of the labels: at least one of them is another, or is missing.
    for key, value in away.items():
        other = {"matchExpressions": [{"key": key, "operator": "NotIn", "values": [value]}]}
        peers.append({"namespaceSelector": everywhere, "podSelector": other})
    return peers


def _labels(text: Any, name: str) -> dict[str, str]:
    """``app=checkout,tier=web``. A policy knows no other selectors in this form."""
    found: dict[str, str] = {}
    for part in str(text or "").split(","):
        key, sign, value = part.strip().partition("=")
        if not sign or not key or key.endswith("!") or not value.strip("= "):
            raise FaultError(f"{name}: expected labels such as app=checkout, found {text!r}")
        found[key.strip()] = value.strip("= ")
    return found
