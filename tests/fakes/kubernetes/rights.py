"""Who may do what: RBAC as the API server documents it, over the roles and bindings of the state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.fakes.kubernetes.answers import Refused, about
from tests.fakes.kubernetes.kinds import Kind
from tests.fakes.kubernetes.state import State

ADMIN = "admin"
Rule = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"
AUTHENTICATED = "system:authenticated"
#: What the server's own roles (discovery, basic-user, public-info-viewer) give to whoever it knows.
EVERYBODYS: tuple[Rule, ...] = (
    {
        "verbs": ["create"],
        "apiGroups": ["authorization.k8s.io"],
        "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
    },
    {"verbs": ["create"], "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"]},
    {
        "verbs": ["get"],
        "nonResourceURLs": [
            "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*",
            "/readyz", "/version", "/version/",
        ],
    },
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What somebody wants to do: with a resource, or with a path that is none."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


@dataclass(frozen=True)
class Granted:
    """One rule, and by what it holds. ``namespace``: empty where it holds everywhere."""

    rule: Rule
    reason: str
    namespace: str = ""


def groups_of(user: str) -> frozenset[str]:
    """The groups that come with a name: those of service accounts, and of everybody who is known."""
    parts = user.split(":")
    if user == ADMIN:
        return frozenset({"system:masters", AUTHENTICATED})
    if parts[:2] == ["system", "serviceaccount"] and len(parts) == 4:
        accounts = "system:serviceaccounts"
        return frozenset({accounts, f"{accounts}:{parts[2]}", AUTHENTICATED})
    return frozenset({AUTHENTICATED})


def granted(
    state: State, user: str, namespace: str = "", groups: Iterable[str] | None = None
) -> Iterator[Granted]:
    """Every rule that holds for this user in this namespace; without one, those of the whole cluster."""
    own = groups_of(user) if groups is None else frozenset(groups)
    if AUTHENTICATED in own:
        for rule in EVERYBODYS:
            yield Granted(rule, f'RBAC: allowed by ClusterRoleBinding "{AUTHENTICATED}"')
    if "system:masters" in own:
        yield Granted({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}, "")
        yield Granted({"verbs": ["*"], "nonResourceURLs": ["*"]}, "")
    bindings = state.all("ClusterRoleBinding")
    bindings += state.all("RoleBinding", namespace) if namespace else []
    for binding in bindings:
        place = str(binding["metadata"].get("namespace") or "")
        ref = binding["roleRef"]
        role = state.get(ref["kind"], ref["name"], place if ref["kind"] == "Role" else "")
        if role and _names(binding, user, own):
            reason = _reason(binding, role, user)
            for rule in role.get("rules") or []:
                # Paths belong to the whole cluster: by a RoleBinding nobody gets them.
                if not place or not rule.get("nonResourceURLs"):
                    yield Granted(rule, reason, place)


def allowed(
    state: State, user: str, asked: Asked, groups: Iterable[str] | None = None
) -> tuple[bool, str]:
    """By RBAC: the first rule that covers it, and why it holds. The administrator may do everything."""
    if user == ADMIN and groups is None:
        return True, ""
    for one in granted(state, user, asked.namespace, groups):
        if covers(one.rule, asked):
            return True, one.reason
    return False, ""


def covers(rule: Rule, asked: Asked) -> bool:
    """Whether one rule allows it."""
    if not {asked.verb, "*"} & set(rule.get("verbs") or ()):
        return False
    if asked.path:
        return any(_reaches(path, asked.path) for path in rule.get("nonResourceURLs") or ())
    if not {asked.group, "*"} & set(rule.get("apiGroups") or ()):
        return False
    names = {"*", asked.resource}
    if asked.subresource:
        names = {"*", f"{asked.resource}/{asked.subresource}", f"*/{asked.subresource}"}
    if not names & set(rule.get("resources") or ()):
        return False
    # A rule for some objects says nothing of a request that names none.
    return not rule.get("resourceNames") or asked.name in rule["resourceNames"]


def _reaches(pattern: str, path: str) -> bool:
    return pattern == path or (pattern.endswith("*") and path.startswith(pattern[:-1]))


def demand(
    state: State, user: str, asked: Asked, kind: Kind, groups: Iterable[str] | None = None
) -> None:
    """Refuse with 403 what is not allowed."""
    if allowed(state, user, asked, groups)[0]:
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


def no_escalation(
    state: State,
    user: str,
    kind: Kind,
    body: dict[str, Any],
    groups: Iterable[str] | None = None,
) -> None:
    """Refuse roles with rights that whoever writes them has not, and bindings to such roles."""
    name, place = str(body["metadata"].get("name")), str(body["metadata"].get("namespace") or "")
    if kind.kind in ("Role", "ClusterRole"):
        asked, rules = Asked("escalate", GROUP, kind.plural, "", place, name), body.get("rules")
    elif kind.kind in ("RoleBinding", "ClusterRoleBinding"):
        ref = body["roleRef"]
        plural = f"{ref['kind'].lower()}s"
        asked = Asked("bind", GROUP, plural, "", place, ref["name"])
        role = state.get(ref["kind"], ref["name"], place if ref["kind"] == "Role" else "") or {}
        rules = role.get("rules")
    else:
        return
    if allowed(state, user, asked, groups)[0]:
        return
    own = list(granted(state, user, place, groups))
    for wanted in rules or []:
        if not all(any(covers(one.rule, part) for one in own) for part in _parts(wanted, place)):
            text = (
                f'{kind.full_name} "{name}" is forbidden: user "{user}" (groups={sorted(groups_of(user))}) '
                f"is attempting to grant RBAC permissions not currently held: {wanted}"
            )
            raise Refused(403, "Forbidden", text, about(kind, name))


def _parts(rule: Rule, namespace: str) -> Iterator[Asked]:
    for verb in rule.get("verbs") or ():
        for path in rule.get("nonResourceURLs") or ():
            yield Asked(verb, path=path)
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                plural, _, sub = resource.partition("/")
                for name in rule.get("resourceNames") or [""]:
                    yield Asked(verb, group, plural, sub, namespace, name)


def _names(binding: dict[str, Any], user: str, groups: frozenset[str]) -> bool:
    for subject in binding.get("subjects") or []:
        if subject["kind"] == "ServiceAccount":
            place = subject.get("namespace") or binding["metadata"].get("namespace")
            if user == f"system:serviceaccount:{place}:{subject['name']}":
                return True
        elif subject["kind"] == "Group":
            if subject["name"] in groups:
                return True
        elif subject["name"] == user:
            return True
    return False


def _reason(binding: dict[str, Any], role: dict[str, Any], user: str) -> str:
    place = binding["metadata"].get("namespace")
    title = str(binding["metadata"]["name"]) + (f"/{place}" if place else "")
    binds = "RoleBinding" if place else "ClusterRoleBinding"
    kind = "Role" if role["metadata"].get("namespace") else "ClusterRole"
    parts = user.split(":")
    who = f'ServiceAccount "{parts[3]}/{parts[2]}"' if len(parts) == 4 else f'User "{user}"'
    return f'RBAC: allowed by {binds} "{title}" of {kind} "{role["metadata"]["name"]}" to {who}'
