"""Custom resources by their definitions: when they are served, and what their schemas make of objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.fakes.kubernetes.answers import Refused
from tests.fakes.kubernetes.copying import copied
from tests.fakes.kubernetes.kinds import Kind
from tests.fakes.kubernetes.state import Object, State, stamp

DEFINITION = "CustomResourceDefinition"
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


def step(state: State) -> None:
    """What the server's own controllers do: serve what is defined, and clear away what was."""
    for definition in state.all(DEFINITION):
        kind = _kind(definition)
        if definition["metadata"].get("deletionTimestamp"):
            _clear(state, definition, kind)
        elif not (definition.get("status") or {}).get("conditions"):
            state.kinds.append(kind)
            now = stamp()
            definition["metadata"].setdefault("finalizers", []).append(CLEANUP)
            definition["status"] = {
                "conditions": [
                    {"type": name, "status": "True", "lastTransitionTime": now, "reason": reason, "message": text}
                    for name, reason, text in (
                        ("NamesAccepted", "NoConflicts", "no conflicts found"),
                        ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
                    )
                ],
                "acceptedNames": definition["spec"]["names"],
                "storedVersions": [kind.versions[0]],
            }  # fmt: skip
            state.put(state.kind(DEFINITION), definition)


def _clear(state: State, definition: Object, kind: Kind) -> None:
    served = next((k for k in state.kinds if k == kind), None)
    left = state.all(kind.kind) if served else []
    for obj in left:
        remove(state, served, obj)
    if not left:
        if served:
            state.kinds.remove(served)
        state.remove(state.kind(DEFINITION), definition)


def remove(state: State, kind: Kind, obj: Object) -> None:
    """Delete an object as a controller does: what has finalizers waits for them."""
    if not obj["metadata"].get("finalizers"):
        state.remove(kind, obj)
    elif not obj["metadata"].get("deletionTimestamp"):
        obj["metadata"]["deletionTimestamp"] = stamp()
        obj["metadata"]["deletionGracePeriodSeconds"] = 0
        state.put(kind, obj)


def _kind(definition: Object) -> Kind:
    spec = definition["spec"]
    versions = [v for v in spec["versions"] if v.get("served")]
    stored = next(v for v in spec["versions"] if v.get("storage"))
    return Kind(
        spec["group"],
        tuple(str(v["name"]) for v in versions),
        spec["names"]["plural"],
        spec["names"]["kind"],
        namespaced=spec["scope"] == "Namespaced",
        generation=True,
        status="status" in (stored.get("subresources") or {}),
        custom=True,
        schema=(stored.get("schema") or {}).get("openAPIV3Schema") or {},
    )


def validated(kind: Kind, obj: Object, strict: bool) -> Object:
    """The object with its defaults and without what nobody knows; refuses what does not fit."""
    schema = {"type": "object", **kind.schema}
    properties = {**(schema.get("properties") or {}), "metadata": {"x-kubernetes-preserve-unknown-fields": True}}  # fmt: skip
    for name in ("apiVersion", "kind"):
        properties.setdefault(name, {"type": "string"})
    schema = {**schema, "properties": properties}
    made = copied(obj)
    unknown = list(_prune(made, schema, ""))
    if strict and unknown:
        said = f'strict decoding error: unknown field "{unknown[0]}"'
        title = f"{kind.kind} in version {kind.versions[0]!r} cannot be handled as a {kind.kind}"
        raise Refused(400, "BadRequest", f"{title}: {said}")
    _fill(made, schema)
    wrong = list(_problems(made, schema, ""))
    if wrong:
        raise _invalid(kind, str(obj["metadata"].get("name")), wrong)
    return made


def _prune(value: Any, schema: Any, path: str) -> Iterator[str]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _prune(item, schema.get("items") or {}, f"{path}[{index}]")
    if not isinstance(value, dict) or schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    known, rest = schema.get("properties") or {}, schema.get("additionalProperties")
    for key in list(value):
        here = f"{path}.{key}".lstrip(".")
        if key in known:
            yield from _prune(value[key], known[key], here)
        elif rest:
            yield from _prune(value[key], rest if isinstance(rest, dict) else {}, here)
        else:
            del value[key]
            yield here


def _fill(value: Any, schema: Any) -> None:
    if isinstance(value, list):
        for item in value:
            _fill(item, schema.get("items") or {})
    if not isinstance(value, dict):
        return
    for key, inner in (schema.get("properties") or {}).items():
        if key not in value and "default" in inner:
            value[key] = copied(inner["default"])
        if key in value:
            _fill(value[key], inner)


def _problems(value: Any, schema: Any, path: str) -> Iterator[tuple[str, str, str]]:
    wanted = schema.get("type")
    fits = isinstance(value, _TYPES.get(wanted, (object,)))
    if not fits or (isinstance(value, bool) and wanted in ("integer", "number")):
        shown = {list: "array", dict: "object", bool: "boolean", int: "integer", float: "number"}
        found = shown.get(type(value), "string" if isinstance(value, str) else "null")
        yield path, "FieldValueTypeInvalid", f'Invalid value: "{found}": {path} in body must be of type {wanted}: "{found}"'  # fmt: skip
        return
    if "enum" in schema and value not in schema["enum"]:
        allowed = ", ".join(f'"{one}"' for one in schema["enum"])
        yield path, "FieldValueNotSupported", f'Unsupported value: "{value}": supported values: {allowed}'  # fmt: skip
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _problems(item, schema.get("items") or {}, f"{path}[{index}]")
    if isinstance(value, dict):
        for key in schema.get("required") or ():
            if key not in value:
                yield f"{path}.{key}".lstrip("."), "FieldValueRequired", "Required value"
        for key, inner in (schema.get("properties") or {}).items():
            if key in value:
                yield from _problems(value[key], inner, f"{path}.{key}".lstrip("."))


def _invalid(kind: Kind, name: str, problems: list[tuple[str, str, str]]) -> Refused:
    shown = [f"{field}: {text}" for field, _, text in problems]
    text = shown[0] if len(shown) == 1 else "[" + ", ".join(shown) + "]"
    causes = [{"reason": r, "message": m, "field": f} for f, r, m in problems]
    details = {"name": name, "group": kind.group, "kind": kind.kind, "causes": causes}
    return Refused(422, "Invalid", f'{kind.kind}.{kind.group} "{name}" is invalid: {text}', details)
