"""What every probe on a cluster has in common: how it is registered, which cluster it asks, how it fails.

A probe returns a value, also of a state that is not healthy: whether that is within the tolerance is for
the hypothesis to say. It fails only where the cluster could not be asked, or the arguments make no sense.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ParamSpec, TypeVar

from sloguard.ports import Cluster, ClusterError, Object, Resource, ambient
from sloguard.ports.rights import Call, Need, Needs, needing, on

P = ParamSpec("P")
R = TypeVar("R")
Secrets = Mapping[str, Any] | None
Names = str | list[str]

#: By ``family.function``, as ``discover`` lists them.
registry: dict[str, Callable[..., Any]] = {}

#: What is said of arguments that probes have in common.
_COMMON = {
    "cluster": "    cluster: Context of the kubeconfig; KUBERNETES_CONTEXT of the secrets, or the one of the "
    "settings, if not given.\n",
    "secrets": "    secrets: Filled in from the groups of secrets that the provider lists.\n",
}
_CREDENTIALS = (
    "KUBERNETES_HOST",
    "KUBERNETES_API_KEY",
    "KUBERNETES_CERT_FILE",
    "KUBERNETES_USERNAME",
)


class ProbeError(Exception):
    """The cluster could not be asked. The text is for people."""


def probe(needs: Needs | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a probe of the family that its module is named for. ``needs``: the rights it takes."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def asked(*args: P.args, **arguments: P.kwargs) -> R:
            try:
                return function(*args, **arguments)
            except ClusterError as error:
                # Alone: an API server that is away says nothing of the service, whatever caused it.
                raise ProbeError(str(error)) from None

        parameters = inspect.signature(function).parameters
        common = "".join(text for name, text in _COMMON.items() if name in parameters)
        asked.__doc__ = (function.__doc__ or "").rstrip() + (
            "\n" + common.rstrip() if common else ""
        )
        _register(asked)
        return needing(needs)(asked) if needs is not None else asked

    return decorate


def synonym(name: str, module: str, meant: Callable[P, R]) -> Callable[P, R]:
    """A probe under another name that people know it by."""

    @functools.wraps(meant)
    def asked(*args: P.args, **arguments: P.kwargs) -> R:
        return meant(*args, **arguments)

    _, _, rest = (meant.__doc__ or "").partition("\n")
    asked.__doc__ = f"The same as {_name(meant)}.\n{rest}"
    asked.__name__, asked.__qualname__, asked.__module__ = name, name, module
    _register(asked)
    return asked


def _register(function: Callable[..., Any]) -> None:
    registry[_name(function)] = function


def _name(function: Callable[..., Any]) -> str:
    return f"{function.__module__.rpartition('.')[2]}.{function.__name__}"


def cluster_of(context: str | None, secrets: Secrets = None) -> Cluster:
    """The cluster of a context; else of KUBERNETES_CONTEXT in the secrets; else the one of the settings."""
    given = secrets or {}
    wanted = context or given.get("KUBERNETES_CONTEXT") or None
    try:
        return ambient.cluster(None if wanted is None else str(wanted))
    except ClusterError as error:
        if not any(name in given for name in _CREDENTIALS):
            raise
        raise ClusterError(
            f"{error}; credentials in secrets are not used: put them into a kubeconfig, and name its "
            "context with KUBERNETES_CONTEXT"
        ) from error


def places(ns: Any) -> tuple[str | None, ...]:
    """The namespaces of an argument: a name, or a list of them; ``*`` for all (None)."""
    names = [ns] if isinstance(ns, str) else ns
    if not isinstance(names, list | tuple) or not all(isinstance(n, str) and n for n in names):
        raise ProbeError(f"ns: expected a namespace, a list of them, or *, found {ns!r}")
    return (None,) if "*" in names else tuple(dict.fromkeys(names))


def named(name: Any, kind: str) -> str:
    """A name that has to be given."""
    if not isinstance(name, str) or not name:
        raise ProbeError(f"name: expected the name of a {kind}, found {name!r}")
    return name


def listed(
    cluster: Cluster,
    resource: Resource,
    ns: Any,
    labels: str | None = None,
    name: str | None = None,
) -> list[Object]:
    """The objects of these namespaces with these labels, or of this name."""
    fields = f"metadata.name={name}" if name else ""
    return [
        obj
        for namespace in places(ns)
        for obj in cluster.list(resource, namespace, labels=labels or "", fields=fields)
    ]


def labelled(selector: str | None, name: str | None) -> str:
    """A selector in which ``{name}`` stands for a name, as in chaosk8s."""
    return (selector or "").replace("{name}", str(name or ""))


def listing(resource: Resource, *verbs: str) -> Needs:
    """The rights to list a kind in the namespaces of the argument ``ns``, and ``verbs`` besides."""

    def needs(call: Call) -> Iterator[Need]:
        namespaces = places(call["ns"]) if "ns" in call.arguments else (None,)
        return on(resource, "list", *verbs, namespaces=namespaces)

    return needs
