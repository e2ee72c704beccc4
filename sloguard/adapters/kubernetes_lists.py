"""Lists of objects, page by page."""

from __future__ import annotations

from collections.abc import Mapping

from sloguard.adapters.kubernetes_http import Http
from sloguard.adapters.kubernetes_paths import path_of
from sloguard.ports import ClusterGone, Resource
from sloguard.ports.cluster import Objects

#: Objects of one page of a list.
PAGE = 500


class Lists:
    """Of one server; ``page``: how many objects are asked for at once."""

    def __init__(self, http: Http, page: int = PAGE) -> None:
        self._http, self._page = http, page

    def listed(
        self, resource: Resource, namespace: str | None, *, labels: str = "", fields: str = ""
    ) -> tuple[Objects, str]:
        """The objects, and the resourceVersion of the list. One that expires half-way is begun anew, once, in one piece."""
        query = {"labelSelector": labels, "fieldSelector": fields, "limit": str(self._page)}
        query = {key: value for key, value in query.items() if value}
        path = path_of(resource, namespace)
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
