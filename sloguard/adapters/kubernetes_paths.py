"""Where things are on an API server: paths, and the options of a deletion."""

from __future__ import annotations

from urllib.parse import quote

from sloguard.ports import Object, Resource


def path_of(
    resource: Resource, namespace: str | None, name: str = "", subresource: str = ""
) -> str:
    """Of all objects, of one, or of a part of it; without a namespace those of all."""
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


def namespace_of(resource: Resource, body: Object) -> str | None:
    """Where an object is to be; None where its kind is in none."""
    if not resource.namespaced:
        return None
    return str(body["metadata"].get("namespace") or "default")


def delete_options(
    uid: str | None, version: str | None, grace: int | None, propagation: str | None
) -> Object:
    """DeleteOptions with what is said; only an object of this uid and version is meant."""
    body: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
    guards = {"uid": uid, "resourceVersion": version}
    if any(guards.values()):
        body["preconditions"] = {key: value for key, value in guards.items() if value}
    if grace is not None:
        body["gracePeriodSeconds"] = grace
    if propagation:
        body["propagationPolicy"] = propagation
    return body
