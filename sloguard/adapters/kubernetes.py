"""A Kubernetes cluster over the Kubernetes client: its configuration and connections, and plain JSON.

The client's typed models are left out: they drop fields that they do not know, and a fault has to put
back exactly what was there.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sloguard.adapters.kubernetes_config import (
    SERVICE_ACCOUNT,
    Connection,
    KubernetesSettings,
    connection,
)
from sloguard.adapters.kubernetes_exec import run
from sloguard.adapters.kubernetes_http import JSON_PATCH, MERGE_PATCH, Http
from sloguard.adapters.kubernetes_watch import follow
from sloguard.ports import (
    Access,
    ClusterConflict,
    ClusterGone,
    ClusterNotFound,
    Ended,
    Object,
    Resource,
    Whereabouts,
)
from sloguard.ports.cluster import Objects, Propagation
from sloguard.ports.resources import PODS

#: Objects of one page of a list.
_PAGE = 500
#: Unknown fields are refused where nothing is written, so that a mistyped one is told of.
_DRY_RUN = {"dryRun": "All", "fieldValidation": "Strict"}
#: Of a container's log: lines asked for, and characters kept.
_LINES, _LOGGED = 100_000, 4 << 20


class KubernetesCluster:
    """ports.Cluster. Making one reads the configuration; raises ClusterError where that is wrong."""

    def __init__(
        self,
        settings: KubernetesSettings,
        *,
        environ: Mapping[str, str] = os.environ,
        page: int = _PAGE,
        account: Path = SERVICE_ACCOUNT,
    ) -> None:
        def connect() -> Connection:
            return connection(settings, environ, account)

        self._http = Http(settings, connect)
        self._page = page

    @property
    def name(self) -> str:
        """The context."""
        return self._http.connection.context

    @property
    def own_namespace(self) -> str:
        """The setting's, else that of sloguard's own pod, else the context's, else ``default``."""
        return self._http.connection.own_namespace

    def whereabouts(self) -> Whereabouts:
        """From the environment of this process."""
        return self._http.connection.whereabouts

    def now(self) -> float:
        """The local clock, corrected by the Date of the server's last answer."""
        return self._http.now()

    def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
    ) -> Objects:
        """Page by page; a list that expires half-way is begun anew, once, in one piece."""
        return self.listed(resource, namespace, labels=labels, fields=fields)[0]

    def listed(
        self, resource: Resource, namespace: str | None, *, labels: str = "", fields: str = ""
    ) -> tuple[Objects, str]:
        """The objects, and the resourceVersion of the list."""
        query = {"labelSelector": labels, "fieldSelector": fields, "limit": str(self._page)}
        query = {key: value for key, value in query.items() if value}
        path = _path(resource, namespace)
        try:
            return self._pages(resource, path, query)
        except ClusterGone:
            del query["limit"]
            return self._pages(resource, path, query)

    def _pages(
        self, resource: Resource, path: str, query: Mapping[str, str]
    ) -> tuple[Objects, str]:
        found: Objects = []
        more: dict[str, str] = {}
        while True:
            answer = self._http.request("GET", path, {**query, **more}, again=True)
            found += answer.get("items") or []
            about = answer.get("metadata") or {}
            if not about.get("continue"):
                named = {"apiVersion": resource.api_version, "kind": resource.kind}
                return [{**named, **item} for item in found], str(about.get("resourceVersion", ""))
            more = {"continue": str(about["continue"])}

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        """GET."""
        return self._object("GET", _path(resource, namespace, name), again=True)

    def create(self, resource: Resource, body: Object, *, dry_run: bool = False) -> Object:
        """POST; a dry run is harmless, and is tried again."""
        path = _path(resource, _namespace(resource, body))
        query = _DRY_RUN if dry_run else None
        return self._object("POST", path, query, body, again=dry_run)

    def replace(self, resource: Resource, body: Object) -> Object:
        """PUT."""
        about = body["metadata"]
        path = _path(resource, _namespace(resource, body), str(about["name"]))
        return self._object("PUT", path, None, body, again=bool(about.get("resourceVersion")))

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
        """PATCH with application/json-patch+json."""
        guarded = any(
            o.get("op") == "test" and o.get("path") == "/metadata/resourceVersion"
            for o in operations
        )
        path = _path(resource, namespace, name, subresource)
        return self._object(
            "PATCH",
            path,
            _DRY_RUN if dry_run else None,
            list(operations),
            content_type=JSON_PATCH,
            again=guarded or dry_run,
        )

    def merge_patch(
        self,
        resource: Resource,
        name: str,
        namespace: str | None,
        body: Mapping[str, Any],
        *,
        subresource: str = "",
    ) -> Object:
        """PATCH with application/merge-patch+json; the same one twice is the same as once."""
        path = _path(resource, namespace, name, subresource)
        return self._object("PATCH", path, None, dict(body), content_type=MERGE_PATCH, again=True)

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
        """DELETE; what an earlier try of the same call has deleted counts as deleted."""
        body = _delete_options(uid, version, grace, propagation)
        try:
            self._http.request(
                "DELETE", _path(resource, namespace, name), None, body, again=uid is not None
            )
        except (ClusterNotFound, ClusterConflict) as error:
            if not error.maybe_done:
                raise

    def evict(
        self, name: str, namespace: str, *, uid: str | None = None, grace: int | None = None
    ) -> None:
        """POST to the subresource eviction."""
        body: Object = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
        }
        options = _delete_options(uid, None, grace, None)
        if len(options) > 2:
            body["deleteOptions"] = options
        try:
            path = _path(PODS, namespace, name, "eviction")
            self._http.request("POST", path, None, body, again=uid is not None)
        except (ClusterNotFound, ClusterConflict) as error:
            if not error.maybe_done:
                raise

    def scale_of(self, resource: Resource, name: str, namespace: str) -> Object:
        """GET of the subresource scale."""
        return self._object("GET", _path(resource, namespace, name, "scale"), again=True)

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
        """A list, then the watch from there, anew as often as it breaks."""
        query = {"labelSelector": labels, "fieldSelector": fields}
        return follow(
            lambda: self.listed(resource, namespace, labels=labels, fields=fields),
            lambda more, silence: self._http.stream(
                _path(resource, namespace),
                {key: value for key, value in {**query, **more}.items() if value},
                silence=silence,
            ),
            what=f"{resource.full_name} of {self._http.where}",
            deadline=deadline,
            stop=stop or threading.Event(),
            until=until,
        )

    def allowed(
        self,
        verb: str,
        resource: Resource,
        namespace: str | None = None,
        *,
        subresource: str = "",
        name: str = "",
    ) -> Access:
        """SelfSubjectAccessReview."""
        asked = {
            "verb": verb,
            "group": resource.group,
            "resource": resource.plural,
            "subresource": subresource,
            "name": name,
            "namespace": namespace or "",
        }
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {k: v for k, v in asked.items() if v}},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        status = self._object("POST", path, None, body, again=True).get("status") or {}
        return Access(bool(status.get("allowed")), str(status.get("reason") or ""))

    def versions(self, group: str) -> tuple[str, ...]:
        """From the group's discovery document."""
        if not group:
            return ("v1",)
        try:
            found = self._object("GET", f"/apis/{quote(group)}", again=True)
        except ClusterNotFound:
            return ()
        versions = [str(v["version"]) for v in found.get("versions") or []]
        preferred = str((found.get("preferredVersion") or {}).get("version") or "")
        return tuple(sorted(versions, key=lambda version: version != preferred))

    def resources(self, group: str, version: str) -> Sequence[Resource]:
        """From the version's discovery document; subresources left out."""
        path = f"/apis/{quote(group)}/{quote(version)}" if group else f"/api/{quote(version)}"
        return [
            Resource(group, version, str(r["name"]), str(r["kind"]), bool(r.get("namespaced")))
            for r in self._object("GET", path, again=True).get("resources") or []
            if "/" not in str(r["name"]) and "list" in (r.get("verbs") or ())
        ]

    def groups(self) -> Mapping[str, str]:
        """Every group with its preferred version, the core group as an empty text."""
        found = self._object("GET", "/apis", again=True)
        preferred = {str(g["name"]): str(g["preferredVersion"]["version"]) for g in found["groups"]}
        return {"": "v1", **preferred}

    def resource(self, api_version: str, kind: str) -> Resource:
        """Looked up by the kind."""
        group, _, version = api_version.rpartition("/")
        try:
            served = self.resources(group, version)
        except ClusterNotFound as error:
            raise ClusterNotFound(
                f"{self._http.where} does not serve {api_version}: is its definition installed?",
                status=404,
                reason="NotFound",
            ) from error
        for resource in served:
            if resource.kind == kind:
                return resource
        kinds = ", ".join(sorted(r.kind for r in served))
        raise ClusterNotFound(
            f"{self._http.where} serves no {kind} in {api_version}, but {kinds[:300]}", status=404
        )

    def exec(
        self,
        name: str,
        namespace: str,
        command: Sequence[str],
        *,
        container: str | None = None,
        deadline: float,
    ) -> Ended:
        """Over a web socket."""
        path = _path(PODS, namespace, name, "exec")
        return run(self._http, path, command, container=container, deadline=deadline)

    def logs(
        self,
        name: str,
        namespace: str,
        *,
        container: str,
        previous: bool = False,
        since: float | None = None,
    ) -> str:
        """GET of the subresource log; cut at the front, as the end is what is asked for."""
        query = {"container": container, "timestamps": "true", "tailLines": str(_LINES)}
        if previous:
            query["previous"] = "true"
        if since is not None:
            query["sinceSeconds"] = str(max(math.ceil(since), 1))
        path = _path(PODS, namespace, name, "log")
        text = self._http.text("GET", path, query)
        return text if len(text) <= _LOGGED else text[-_LOGGED:]

    def _object(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        *,
        content_type: str = "application/json",
        again: bool,
    ) -> Object:
        answer = self._http.request(
            method, path, query, body, content_type=content_type, again=again
        )
        return dict(answer)


class KubernetesClusters:
    """ports.Clusters: one object a context, made when it is first asked for."""

    def __init__(
        self, settings: KubernetesSettings, *, environ: Mapping[str, str] = os.environ
    ) -> None:
        self._settings, self._environ = settings, environ
        self._made: dict[str, KubernetesCluster] = {}
        self._guard = threading.Lock()

    def __call__(self, context: str | None = None) -> KubernetesCluster:
        """Raises ClusterError where the configuration does not know this context."""
        wanted = context or self._settings.context
        with self._guard:
            if wanted not in self._made:
                # "in-cluster" is how the service account is recorded, and no name in a kubeconfig.
                inside = True if wanted == "in-cluster" else self._settings.in_cluster
                named = "" if wanted == "in-cluster" else wanted
                made = KubernetesCluster(
                    replace(self._settings, context=named, in_cluster=inside), environ=self._environ
                )
                self._made[wanted] = self._made.setdefault(made.name, made)
            return self._made[wanted]


def _path(resource: Resource, namespace: str | None, name: str = "", subresource: str = "") -> str:
    start = (
        f"/apis/{resource.group}/{resource.version}"
        if resource.group
        else f"/api/{resource.version}"
    )
    parts = [start]
    if resource.namespaced and namespace:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(resource.plural)
    if name:
        parts.append(quote(name, safe=""))
    if subresource:
        parts.append(subresource)
    return "/".join(parts)


def _namespace(resource: Resource, body: Object) -> str | None:
    if not resource.namespaced:
        return None
    return str(body["metadata"].get("namespace") or "default")


def _delete_options(
    uid: str | None, version: str | None, grace: int | None, propagation: str | None
) -> Object:
    body: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
    guards = {"uid": uid, "resourceVersion": version}
    if any(guards.values()):
        body["preconditions"] = {key: value for key, value in guards.items() if value}
    if grace is not None:
        body["gracePeriodSeconds"] = grace
    if propagation:
        body["propagationPolicy"] = propagation
    return body
