"""Questions about rights: may I, may somebody, what may I, and who am I."""

from __future__ import annotations

from typing import Any

from tests.fakes.kubernetes import rights
from tests.fakes.kubernetes.answers import Refused
from tests.fakes.kubernetes.kinds import Kind
from tests.fakes.kubernetes.state import Object, State

_KINDS = (
    "SelfSubjectAccessReview",
    "SelfSubjectRulesReview",
    "SubjectAccessReview",
    "LocalSubjectAccessReview",
)
_AUTHORIZATION = {
    f"{kind.lower()}s": Kind("authorization.k8s.io", ("v1",), f"{kind.lower()}s", kind)
    for kind in _KINDS
}
_WHO = Kind("authentication.k8s.io", ("v1",), "selfsubjectreviews", "SelfSubjectReview")


def review(state: State, path: str, user: str, groups: Any, body: Any) -> Object | None:
    """The answer to a POST; None where the path is no review."""
    parts = path.strip("/").split("/")
    if parts[:3] == ["apis", "authentication.k8s.io", "v1"] and parts[3:] == [_WHO.plural]:
        known = rights.groups_of(user) if groups is None else groups
        return _answer(_WHO, {}, {"userInfo": {"username": user, "groups": sorted(known)}})
    if parts[:3] != ["apis", "authorization.k8s.io", "v1"] or parts[-1] not in _AUTHORIZATION:
        return None
    kind, spec = _AUTHORIZATION[parts[-1]], dict(body["spec"])
    namespace = parts[4] if parts[3] == "namespaces" else ""
    asked = rights.Asked("create", kind.group, kind.plural, "", namespace)
    rights.demand(state, user, asked, kind, groups)
    if kind.kind == "SelfSubjectRulesReview":
        return _answer(kind, {}, _rules(state, user, groups, str(spec.get("namespace") or "")))
    for attributes in ("resourceAttributes", "nonResourceAttributes"):
        if attributes in spec:
            spec[attributes] = {k: v for k, v in spec[attributes].items() if v}
    wanted = _wanted(spec)
    if kind.kind == "LocalSubjectAccessReview" and wanted.namespace != namespace:
        text = f"spec.resourceAttributes.namespace must match metadata.namespace {namespace}"
        raise Refused(422, "Invalid", text)
    if not kind.kind.startswith("Self"):
        user = str(spec.get("user") or "")
        groups = rights.groups_of(user) | set(spec.get("groups") or ())
    may, reason = rights.allowed(state, user, wanted, groups)
    return _answer(kind, spec, {"allowed": may, **({"reason": reason} if reason else {})})


def _wanted(spec: Object) -> rights.Asked:
    if "nonResourceAttributes" in spec:
        given = spec["nonResourceAttributes"]
        return rights.Asked(given.get("verb", ""), path=given.get("path", ""))
    given = spec["resourceAttributes"]
    return rights.Asked(
        given.get("verb", ""),
        given.get("group", ""),
        given.get("resource", ""),
        given.get("subresource", ""),
        given.get("namespace", ""),
        given.get("name", ""),
    )


def _rules(state: State, user: str, groups: Any, namespace: str) -> Object:
    if not namespace:
        raise Refused(400, "BadRequest", "no namespace on request")
    found = [one.rule for one in rights.granted(state, user, namespace, groups)]
    keys = ("verbs", "apiGroups", "resources", "resourceNames")
    return {
        "resourceRules": [
            {k: rule[k] for k in keys if rule.get(k)} for rule in found if rule.get("resources")
        ],
        "nonResourceRules": [
            {k: rule[k] for k in ("verbs", "nonResourceURLs")}
            for rule in found
            if rule.get("nonResourceURLs")
        ],
        "incomplete": False,
    }


def _answer(kind: Kind, spec: Object, status: Object) -> Object:
    return {
        "kind": kind.kind,
        "apiVersion": kind.api_version(),
        "metadata": {},
        "spec": spec,
        "status": status,
    }
