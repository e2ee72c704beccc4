"""A Kubernetes cluster over the Kubernetes client: its configuration and connections, and plain JSON.

The client's typed models are left out: they drop fields that they do not know, and a fault has to put
back exactly what was there.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sloguard.adapters.kubernetes_config import (
    SERVICE_ACCOUNT,
    Connection,
    KubernetesSettings,
    connection,
)
from sloguard.adapters.kubernetes_discovery import Discovery
from sloguard.adapters.kubernetes_exec import run
from sloguard.adapters.kubernetes_http import JSON_PATCH, MERGE_PATCH, Http
from sloguard.adapters.kubernetes_lists import PAGE, Lists
from sloguard.adapters.kubernetes_paths import delete_options, namespace_of, path_of
from sloguard.adapters.kubernetes_watch import follow
from sloguard.ports import (
    Access,
    ClusterConflict,
    ClusterNotFound,
    Ended,
    Object,
    Resource,
    Whereabouts,
)
from sloguard.ports.cluster import Objects, Propagation
from sloguard.ports.resources import PODS

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
        page: int = PAGE,
        account: Path = SERVICE_ACCOUNT,
    ) -> None:
        def connect() -> Connection:
            return connection(settings, environ, account)

        self._http = Http(settings, connect)
        self._lists, self._discovery = Lists(self._http, page), Discovery(self._http)

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
        return self._lists.listed(resource, namespace, labels=labels, fields=fields)

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        """GET."""
        return self._object("GET", path_of(resource, namespace, name), again=True)

    def create(self, resource: Resource, body: Object, *, dry_run: bool = False) -> Object:
        """POST; a dry run is harmless, and is tried again."""
        path = path_of(resource, namespace_of(resource, body))
        query = _DRY_RUN if dry_run else None
        return self._object("POST", path, query, body, again=dry_run)

    def replace(self, resource: Resource, body: Object) -> Object:
        """PUT."""
        about = body["metadata"]
        path = path_of(resource, namespace_of(resource, body), str(about["name"]))
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
        path = path_of(resource, namespace, name, subresource)
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
        path = path_of(resource, namespace, name, subresource)
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
        body = delete_options(uid, version, grace, propagation)
        try:
            self._http.request(
                "DELETE", path_of(resource, namespace, name), None, body, again=uid is not None
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
        options = delete_options(uid, None, grace, None)
        if len(options) > 2:
            body["deleteOptions"] = options
        try:
            path = path_of(PODS, namespace, name, "eviction")
            self._http.request("POST", path, None, body, again=uid is not None)
        except (ClusterNotFound, ClusterConflict) as error:
            if not error.maybe_done:
                raise

    def scale_of(self, resource: Resource, name: str, namespace: str) -> Object:
        """GET of the subresource scale."""
        return self._object("GET", path_of(resource, namespace, name, "scale"), again=True)

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
                path_of(resource, namespace),
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
        return self._discovery.versions(group)

    def resources(self, group: str, version: str) -> Sequence[Resource]:
        """From the version's discovery document; subresources left out."""
        return self._discovery.resources(group, version)

    def groups(self) -> Mapping[str, str]:
        """Every group with its preferred version, the core group as an empty text."""
        return self._discovery.groups()

    def resource(self, api_version: str, kind: str) -> Resource:
        """Looked up by the kind."""
        return self._discovery.resource(api_version, kind)

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
        path = path_of(PODS, namespace, name, "exec")
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
        path = path_of(PODS, namespace, name, "log")
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
