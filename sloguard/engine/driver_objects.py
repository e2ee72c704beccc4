"""The actions of chaosk8s on objects of any kind: custom ones, namespaces, secrets.

Every function here has the driver's name, arguments and defaults, and returns the arguments of sloguard's
own; it raises ValueError for values that cannot be meant. ``None`` is how these drivers say "not given".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from sloguard.engine.driver_entries import FAULTS, RESTORING, UNDONE, Arguments, alias, given

_APPLY, _CREATE = f"{FAULTS}.kubernetes.apply", f"{RESTORING}.create"

# Custom objects.

_CRD = "chaosk8s.crd.actions"


def _body(resource: Any, file: Any, version: str, name: Any = None) -> Any:
    """What the driver sends: a mapping, or what is in a file beside whoever runs it."""
    if resource is None:
        if not file:
            raise ValueError("say what to send: resource or resource_as_yaml_file")
        return os.path.abspath(file)
    if not isinstance(resource, Mapping):
        raise ValueError(f"resource: expected a mapping, found {resource!r}")
    about = {**given(name=name), **(resource.get("metadata") or {})}
    return {"apiVersion": version, **resource, "metadata": about}


@alias(_CRD, _APPLY, rollback=_CREATE)
def create_custom_object(
    group: Any,
    version: Any,
    plural: Any,  # noqa: ARG001 - the driver takes it
    ns: Any = "default",
    resource: Any = None,
    resource_as_yaml_file: Any = None,
) -> Arguments:
    return {"manifest": _body(resource, resource_as_yaml_file, f"{group}/{version}"), "ns": ns}


@alias(_CRD, _APPLY, rollback=_CREATE)
def create_cluster_custom_object(
    group: Any,
    version: Any,
    plural: Any,  # noqa: ARG001 - the driver takes it
    resource: Any = None,
    resource_as_yaml_file: Any = None,
) -> Arguments:
    return {"manifest": _body(resource, resource_as_yaml_file, f"{group}/{version}")}


@alias(_CRD, _APPLY)
def patch_custom_object(
    group: Any,
    version: Any,
    plural: Any,  # noqa: ARG001 - the driver takes it
    name: Any,
    ns: Any = "default",
    force: Any = False,  # noqa: ARG001 - the driver takes it
    resource: Any = None,
    resource_as_yaml_file: Any = None,
) -> Arguments:
    body = _body(resource, resource_as_yaml_file, f"{group}/{version}", name)
    return {"manifest": body, "ns": ns}


@alias(_CRD, _APPLY)
def patch_cluster_custom_object(
    group: Any,
    version: Any,
    plural: Any,  # noqa: ARG001 - the driver takes it
    name: Any,
    force: Any = False,  # noqa: ARG001 - the driver takes it
    resource: Any = None,
    resource_as_yaml_file: Any = None,
) -> Arguments:
    return {"manifest": _body(resource, resource_as_yaml_file, f"{group}/{version}", name)}


@alias(_CRD, _APPLY)
def apply_from_json(resource: Any = None) -> Arguments:
    return _text(resource)


@alias(_CRD, _APPLY)
def apply_from_yaml(resource: Any = None) -> Arguments:
    return _text(resource)


def _text(resource: Any) -> dict[str, Any]:
    if not isinstance(resource, str) or not resource.strip():
        raise ValueError("resource: expected the text of an object")
    # With an end of line it is no path.
    return {"manifest": f"{resource}\n"}


@alias(_CRD, "", rollback=f"{RESTORING}.delete_custom", hint=UNDONE)
def delete_custom_object(
    group: Any, version: Any, plural: Any, name: Any, ns: Any = "default"
) -> Arguments:
    return {"group": group, "version": version, "plural": plural, "name": name, "ns": ns}


@alias(_CRD, "", rollback=f"{RESTORING}.delete_custom", hint=UNDONE)
def delete_cluster_custom_object(group: Any, version: Any, plural: Any, name: Any) -> Arguments:
    return {"group": group, "version": version, "plural": plural, "name": name, "ns": None}


# Namespaces and secrets.


@alias("chaosk8s.namespace.actions", _APPLY, rollback=_CREATE)
def create_namespace(name: Any = None, spec_path: Any = None) -> Arguments:
    if spec_path:
        return {"manifest": os.path.abspath(spec_path)}
    if not name:
        raise ValueError("say which: name or spec_path")
    return {"manifest": {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}}


@alias("chaosk8s.secret.actions", _APPLY, rollback=_CREATE)
def create_secret(spec_path: Any, ns: Any = "default") -> Arguments:
    return {"manifest": os.path.abspath(spec_path), "ns": ns}


@alias("chaosk8s.secret.actions", "", rollback=f"{RESTORING}.delete")
def delete_secret(name: Any, ns: Any = "default") -> Arguments:
    return {"kind": "secret", "name": name, "ns": ns}
