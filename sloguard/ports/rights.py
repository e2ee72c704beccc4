"""What a function does on a cluster, as rights: declared beside it, asked for before a run, given by roles.

Whoever works on a cluster declares its needs by a function of its call, so that they are known offline and
before anything is touched. What the API server gives to everybody (discovery, reviews of one's own rights) is
no need.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sloguard.ports import resources
from sloguard.ports.cluster import Resource

#: Verbs that an object's name cannot narrow: a Role's resourceNames do not apply to them.
NAMELESS = frozenset({"create", "list", "watch", "deletecollection"})

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Need:
    """One verb on one kind of objects, or on a subresource of it.

    ``namespace``: None where it is asked of all namespaces, or of objects that are in none. ``name``: of
    the one object, where it is known beforehand and the verb has one.
    """

    verb: str
    resource: Resource
    namespace: str | None = None
    subresource: str = ""
    name: str = ""

    @property
    def place(self) -> tuple[str, str, str, str, str, str]:
        """What makes two needs the same, whatever version of the API was meant; sortable."""
        kind = self.resource
        return (
            self.namespace or "",
            kind.group,
            kind.plural,
            self.subresource,
            self.verb,
            self.name,
        )

    @property
    def what(self) -> str:
        """``pods/eviction``, ``virtualservices.networking.istio.io``."""
        kind = self.resource
        plural = f"{kind.plural}/{self.subresource}" if self.subresource else kind.plural
        return f"{plural}.{kind.group}" if kind.group else plural

    @property
    def where(self) -> str:
        """``namespace shop``, ``all namespaces``, ``the cluster``."""
        if not self.resource.namespaced:
            return "the cluster"
        return f"namespace {self.namespace}" if self.namespace else "all namespaces"

    def covers(self, other: Need) -> bool:
        """Whether whoever may do this may do the other too."""
        mine, others = self.place[1:5], other.place[1:5]
        wide = self.namespace is None or self.namespace == other.namespace
        return mine == others and wide and self.name in ("", other.name)

    def __str__(self) -> str:
        named = f" {self.name}" if self.name else ""
        return f"{self.verb} {self.what}{named} in {self.where}"


def known(group: str, kind: str) -> Resource | None:
    """A resource that sloguard knows by itself."""
    for one in vars(resources).values():
        if isinstance(one, Resource) and (one.group, one.kind) == (group, kind):
            return one
    return None


def guessed(api_version: str, kind: str) -> Resource:
    """The resource of a manifest where no cluster can be asked: one that is known, else by English plural."""
    group, _, version = api_version.rpartition("/")
    found = known(group, kind)
    if found is not None:
        return found
    word = kind.lower()
    if word.endswith("chaos"):
        plural = word  # Chaos Mesh's
    elif word.endswith("y") and word[-2:-1] not in ("a", "e", "i", "o", "u"):
        plural = word[:-1] + "ies"
    else:
        plural = word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")
    return Resource(group, version, plural, kind, namespaced=kind not in _CLUSTER_SCOPED)


_CLUSTER_SCOPED = frozenset({
    "APIService", "ClusterRole", "ClusterRoleBinding", "CSIDriver", "CSINode", "CustomResourceDefinition",
    "IngressClass", "MutatingWebhookConfiguration", "Namespace", "Node", "PersistentVolume", "PriorityClass",
    "RuntimeClass", "StorageClass", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration", "VolumeAttachment",
})  # fmt: skip


def _unknown(_resource: Resource, _namespace: str | None, _name: str) -> bool | None:
    return None


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it will be made, and where from.

    ``arguments``: all of them, defaults filled in. ``own_namespace``: where sloguard keeps what belongs to no
    namespace. ``pod_namespace``: of the pod that it runs in, empty outside of the cluster. ``resource``: the
    resource of a manifest by its apiVersion and kind; raises ClusterError where the cluster does not serve
    it. ``folder``: where the experiment's file is. ``is_there``: whether there is an object of this namespace and
    name; None where nobody knows, as no cluster can be asked.
    """

    arguments: Mapping[str, Any]
    own_namespace: str = "default"
    pod_namespace: str = ""
    resource: Callable[[str, str], Resource] = guessed
    folder: str = ""
    is_there: Callable[[Resource, str | None, str], bool | None] = _unknown

    @classmethod
    def of(
        cls, function: Callable[..., Any], arguments: Mapping[str, Any], **surroundings: Any
    ) -> Call:
        """Of a function with these arguments; those that it does not know are left out."""
        parameters = inspect.signature(function).parameters
        defaults = {
            name: None if p.default is inspect.Parameter.empty else p.default
            for name, p in parameters.items()
        }
        filled = {name: arguments.get(name, default) for name, default in defaults.items()}
        return cls(filled, **surroundings)

    def __getitem__(self, name: str) -> Any:
        """An argument."""
        return self.arguments[name]


#: All that a call needs, at any step. May raise whatever the arguments deserve.
Needs = Callable[[Call], Iterable[Need]]


def needing(needs: Needs) -> Callable[[Function], Function]:
    """Declare what a function needs on the cluster that its argument ``cluster`` names: for probes.

    Faults declare theirs by ``fault(…, needs=…)``.
    """

    def decorate(function: Function) -> Function:
        function.needs = needs  # type: ignore[attr-defined]  # functions take attributes
        return function

    return decorate


def needs_of(function: Any) -> Needs | None:
    """What a function has declared; None where it has declared nothing."""
    found = getattr(function, "needs", None)
    return found if callable(found) else None


def on(
    resource: Resource,
    *verbs: str,
    namespaces: Iterable[str | None] = (None,),
    subresource: str = "",
    name: str | None = None,
) -> Iterator[Need]:
    """These verbs on one kind in each of these namespaces; the name only where a verb has one."""
    for namespace in namespaces:
        for verb in verbs:
            named = "" if verb in NAMELESS else name or ""
            # What is in no namespace is asked of the cluster.
            place = namespace if resource.namespaced else None
            yield Need(verb, resource, place, subresource, named)


def smallest(needs: Iterable[Need]) -> tuple[Need, ...]:
    """Without what others cover, sorted by namespace, kind and verb."""
    unique = list({need.place: need for need in needs}.values())
    kept = [
        one for one in unique if not any(other is not one and other.covers(one) for other in unique)
    ]
    return tuple(sorted(kept, key=lambda need: need.place))
