"""What an API server says of rights, by its own reviews; on the double or on a real cluster."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any, NamedTuple

from sloguard.adapters.kubernetes import KubernetesCluster
from sloguard.ports import Object

REVIEWS = "/apis/authorization.k8s.io/v1"


class Right(NamedTuple):
    """One verb on one kind of objects, in one namespace or, without one, on the whole cluster."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""

    def may(self, cluster: KubernetesCluster) -> bool:
        """Whether whoever comes to this cluster has it: SelfSubjectAccessReview."""
        plural, _, sub = self.resource.partition("/")
        given = {
            "verb": self.verb,
            "group": self.group,
            "resource": plural,
            "subresource": sub,
            "namespace": self.namespace,
            "name": self.name,
        }
        spec = {"resourceAttributes": {k: v for k, v in given.items() if v}}
        return bool(ask(cluster, "SelfSubjectAccessReview", spec)["allowed"])


class Rule(NamedTuple):
    """One verb of a rule as it holds in a namespace; ``name``: of the only object that it is for."""

    verb: str
    group: str
    resource: str
    name: str = ""


def ask(cluster: KubernetesCluster, kind: str, spec: Object, namespace: str = "") -> Any:
    """The status of a review."""
    where = f"/namespaces/{namespace}" if namespace else ""
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
    if namespace:
        body["metadata"] = {"namespace": namespace}
    path = f"{REVIEWS}{where}/{kind.lower()}s"
    return cluster._http.request("POST", path, None, body, again=True)["status"]


def may_reach(cluster: KubernetesCluster, path: str, verb: str = "get") -> bool:
    """The same for what is no resource."""
    spec = {"nonResourceAttributes": {"verb": verb, "path": path}}
    return bool(ask(cluster, "SelfSubjectAccessReview", spec)["allowed"])


def rules_in(cluster: KubernetesCluster, namespace: str) -> set[Rule]:
    """Everything that whoever comes to this cluster may do there: SelfSubjectRulesReview.

    What holds for the whole cluster is among it.
    """
    told = ask(cluster, "SelfSubjectRulesReview", {"namespace": namespace})
    return spread(told.get("resourceRules") or [])


def paths_of(cluster: KubernetesCluster, namespace: str) -> set[tuple[str, str]]:
    """(Verb, path) of what is no resource."""
    told = ask(cluster, "SelfSubjectRulesReview", {"namespace": namespace})
    found = told.get("nonResourceRules") or []
    return {pair for one in found for pair in product(one["verbs"], one["nonResourceURLs"])}


def spread(rules: Iterable[Object]) -> set[Rule]:
    """Rule by rule and verb by verb."""
    return {
        Rule(*parts)
        for one in rules
        for parts in product(
            one["verbs"],
            one.get("apiGroups") or [""],
            one.get("resources") or [],
            one.get("resourceNames") or [""],
        )
    }
