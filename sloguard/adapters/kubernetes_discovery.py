"""What an API server serves, from its discovery documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from sloguard.adapters.kubernetes_http import Http
from sloguard.ports import ClusterNotFound, Resource


class Discovery:
    """Of one server; nothing is kept, since definitions come and go."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def versions(self, group: str) -> tuple[str, ...]:
        """From the group's discovery document."""
        if not group:
            return ("v1",)
        try:
            found = self._get(f"/apis/{quote(group)}")
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
            for r in self._get(path).get("resources") or []
            if "/" not in str(r["name"]) and "list" in (r.get("verbs") or ())
        ]

    def groups(self) -> Mapping[str, str]:
        """Every group with its preferred version, the core group as an empty text."""
        found = self._get("/apis")
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

    def _get(self, path: str) -> dict[str, Any]:
        return dict(self._http.request("GET", path, again=True))
