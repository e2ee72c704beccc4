"""Who may do what: tokens, and the rules of roles that are bound to whom they stand for."""

from __future__ import annotations

from dataclasses import dataclass

from tests.fakes.kubernetes.answers import Refused, about
from tests.fakes.kubernetes.kinds import Kind
from tests.fakes.kubernetes.state import State

ADMIN = "admin"


@dataclass(frozen=True)
class Asked:
    """What somebody wants to do."""

    verb: str
    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""


def allowed(state: State, user: str, asked: Asked) -> tuple[bool, str]:
    """By RBAC; the administrator may do everything."""
    if user == ADMIN:
        return True, ""
    for binding in state.all("ClusterRoleBinding"):
        if _names(binding, user):
            role = state.get("ClusterRole", binding["roleRef"]["name"])
            if role and _covers(role, asked):
                name = binding["metadata"]["name"]
                return True, _reason("ClusterRoleBinding", name, role, user)
    for binding in state.all("RoleBinding", asked.namespace) if asked.namespace else []:
        if _names(binding, user):
            kind, name = binding["roleRef"]["kind"], binding["roleRef"]["name"]
            role = state.get(kind, name, asked.namespace if kind == "Role" else "")
            if role and _covers(role, asked):
                title = f"{binding['metadata']['name']}/{asked.namespace}"
                return True, _reason("RoleBinding", title, role, user)
    return False, ""


def demand(state: State, user: str, asked: Asked, kind: Kind) -> None:
    """Refuse with 403 what is not allowed."""
    if allowed(state, user, asked)[0]:
        return
    resource = f"{kind.plural}/{asked.subresource}" if asked.subresource else kind.plural
    where = f' in the namespace "{asked.namespace}"' if asked.namespace else " at the cluster scope"
    named = (
        f'{kind.full_name} "{asked.name}" is forbidden'
        if asked.name
        else f"{kind.full_name} is forbidden"
    )
    text = f'{named}: User "{user}" cannot {asked.verb} resource "{resource}" in API group "{kind.group}"{where}'
    details = about(kind, asked.name)
    if not asked.name:
        del details["name"]
    raise Refused(403, "Forbidden", text, details)


def _names(binding: dict, user: str) -> bool:
    for subject in binding.get("subjects") or []:
        if subject["kind"] == "ServiceAccount":
            if user == f"system:serviceaccount:{subject['namespace']}:{subject['name']}":
                return True
        elif subject["name"] == user:
            return True
    return False


def _covers(role: dict, asked: Asked) -> bool:
    resource = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    return any(
        {asked.verb, "*"} & set(rule.get("verbs") or ())
        and {asked.group, "*"} & set(rule.get("apiGroups") or ())
        and {resource, "*"} & set(rule.get("resources") or ())
        and (not rule.get("resourceNames") or asked.name in rule["resourceNames"])
        for rule in role.get("rules") or []
    )


def _reason(binding: str, title: str, role: dict, user: str) -> str:
    kind = "Role" if binding == "RoleBinding" and "namespace" in role["metadata"] else "ClusterRole"
    parts = user.split(":")
    who = f'ServiceAccount "{parts[3]}/{parts[2]}"' if len(parts) == 4 else f'User "{user}"'
    return f'RBAC: allowed by {binding} "{title}" of {kind} "{role["metadata"]["name"]}" to {who}'
