"""A Kubernetes cluster as the rest sees it: plain JSON objects, few verbs, classified errors.

Objects are the dicts that the API server sends; nothing is renamed or left out. Every call has a
deadline and ends with an answer or one of the errors here; reads and guarded writes are retried within
it where the server was away or busy. A write that is not guarded is sent once: where its answer was
lost, ``ClusterUnreachable.applied`` is None, and the caller has to look.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from sloguard.ports.base import OutsideError

Object = dict[str, Any]
Objects = list[Object]
Propagation = Literal["Foreground", "Background", "Orphan"]


class ClusterError(OutsideError):
    """The cluster did not do what was asked. ``status``: HTTP status, 0 without an answer.

    ``reason`` and ``causes`` are the ones of the API server's Status object. ``maybe_done``: an earlier
    try of the same call may have been carried out, so that this refusal may be due to one's own success.
    """

    def __init__(
        self,
        text: str,
        *,
        status: int = 0,
        reason: str = "",
        causes: Sequence[Mapping[str, Any]] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason
        self.causes = tuple(causes)
        self.retry_after = retry_after
        self.maybe_done = False


class ClusterNotFound(ClusterError):
    """404: no such object, or no such kind of objects."""


class ClusterExists(ClusterError):
    """409 AlreadyExists: an object of this name is there already."""


class ClusterConflict(ClusterError):
    """409, or a ``test`` of a JSON patch that failed: the object is not what it was; read it again."""


class ClusterForbidden(ClusterError):
    """403: known, but not allowed."""


class ClusterUnauthorized(ClusterError):
    """401: the credentials are missing, wrong or expired."""


class TooManyDisruptions(ClusterError):
    """429 with the cause DisruptionBudget: an eviction that a PodDisruptionBudget does not allow.

    Also an eviction that no budget can decide, as several cover the pod.
    """


class ClusterInvalid(ClusterError):
    """422: the object as sent does not fit its schema."""


class ClusterBadRequest(ClusterError):
    """400, 405, 406, 413 or 415: the request itself is wrong."""


class ClusterGone(ClusterError):
    """410: what was to be continued (a list, a watch) has expired; begin anew."""


class ClusterUnreachable(ClusterError):
    """No connection, no answer in time, or 5xx and 429 to the last.

    ``applied`` False: the request has certainly not been carried out; None: nobody knows.
    """

    def __init__(self, text: str, *, applied: bool | None = None, **more: Any) -> None:
        super().__init__(text, **more)
        self.applied = applied


class ClusterDeadline(ClusterError):
    """What was waited for did not come in time."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of objects, as the API serves it. ``group`` is empty for the core group."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """``apps/v1``; ``v1`` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def full_name(self) -> str:
        """As kubectl takes it: ``virtualservices.networking.istio.io``, ``pods``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


@dataclass(frozen=True, slots=True)
class Access:
    """Whether something is allowed, and by what rule if the server tells."""

    allowed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where sloguard itself runs. ``namespace`` and ``pod`` are empty outside of this cluster."""

    context: str
    namespace: str = ""
    pod: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended in a container."""

    exit_code: int
    stdout: str
    stderr: str


class Cluster(Protocol):
    """One cluster. Any thread may call."""

    @property
    def name(self) -> str:
        """What tells this cluster from others, for locks and records: its context."""
        ...

    @property
    def own_namespace(self) -> str:
        """Where sloguard keeps what belongs to no namespace: locks of nodes, records of the deleted."""
        ...

    def whereabouts(self) -> Whereabouts:
        """Where sloguard itself runs, as far as it can tell. Nothing is asked of the server."""
        ...

    def now(self) -> float:
        """Seconds since the epoch on the API server's clock, within about a second."""
        ...

    def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
    ) -> Objects:
        """All objects that fit, of all pages; of all namespaces without one.

        ``labels`` and ``fields`` are selectors as kubectl takes them. Each object has its
        ``apiVersion`` and ``kind``, which lists of the API leave out.
        """
        ...

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        """One object; raises ClusterNotFound."""
        ...

    def create(self, resource: Resource, body: Object, *, dry_run: bool = False) -> Object:
        """Create it in the namespace it names; raises ClusterExists. Sent once.

        ``dry_run``: only say what would become of it, and refuse fields that nobody knows.
        """
        ...

    def replace(self, resource: Resource, body: Object) -> Object:
        """Put it in the place of the version that its ``metadata.resourceVersion`` names."""
        ...

    def json_patch(
        self,
        resource: Resource,
        name: str,
        namespace: str | None,
        operations: Sequence[Mapping[str, Any]],
        *,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Object:
        """RFC 6902; all or nothing. A ``test`` that fails raises ClusterConflict.

        Retried only where it begins with a ``test`` of the resourceVersion. ``dry_run``: as of ``create``.
        """
        ...

    def merge_patch(
        self,
        resource: Resource,
        name: str,
        namespace: str | None,
        body: Mapping[str, Any],
        *,
        subresource: str = "",
    ) -> Object:
        """RFC 7386: lists are replaced whole, None removes. A ``metadata.resourceVersion`` guards it."""
        ...

    def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        version: str | None = None,
        grace: int | None = None,
        propagation: Propagation | None = None,
    ) -> None:
        """Delete it, if it still has this ``uid`` and resourceVersion; ClusterConflict if not.

        Retried only with a ``uid``. Raises ClusterNotFound where it is not there.
        """
        ...

    def evict(
        self, name: str, namespace: str, *, uid: str | None = None, grace: int | None = None
    ) -> None:
        """Delete a pod if its PodDisruptionBudgets allow it; raises TooManyDisruptions if not."""
        ...

    def scale_of(self, resource: Resource, name: str, namespace: str) -> Object:
        """The scale subresource: ``spec.replicas``, ``status.replicas``."""
        ...

    def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        deadline: float,
        stop: threading.Event | None = None,
        until: Callable[[Mapping[tuple[str, str], Object]], bool],
    ) -> Mapping[tuple[str, str], Object]:
        """Follow the objects that fit, by (namespace, name), until ``until`` says so of them.

        Survives lost connections and expired versions. Returns the objects then, also when ``stop`` is
        set; raises ClusterDeadline after ``deadline`` seconds.
        """
        ...

    def allowed(
        self,
        verb: str,
        resource: Resource,
        namespace: str | None = None,
        *,
        subresource: str = "",
        name: str = "",
    ) -> Access:
        """Whether these credentials may, by SelfSubjectAccessReview; None: in all namespaces."""
        ...

    def versions(self, group: str) -> tuple[str, ...]:
        """The versions of a group that are served, the preferred one first; empty where none is."""
        ...

    def resources(self, group: str, version: str) -> Sequence[Resource]:
        """Every kind that this version serves and that can be listed."""
        ...

    def resource(self, api_version: str, kind: str) -> Resource:
        """The resource of a manifest; raises ClusterNotFound where the cluster does not serve it."""
        ...

    def exec(
        self,
        name: str,
        namespace: str,
        command: Sequence[str],
        *,
        container: str | None = None,
        deadline: float,
    ) -> Ended:
        """Run a command in a container of a pod and wait for its end; raises ClusterDeadline."""
        ...

    def logs(
        self,
        name: str,
        namespace: str,
        *,
        container: str,
        previous: bool = False,
        since: float | None = None,
    ) -> str:
        """What a container of a pod has logged, its last 4 MiB at most, each line after its time.

        ``previous``: the container that was there before its last restart. ``since``: seconds until now.
        """
        ...


#: A cluster by the name of its context; None: the one of the settings.
Clusters = Callable[[str | None], Cluster]
