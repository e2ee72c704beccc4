"""Server-side apply: who owns which fields, what a new configuration makes of an object, and conflicts.

Fields that came by other verbs belong to nobody here, so that there is no conflict over them; on a real server they
belong to whoever wrote them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.fakes.kubernetes.answers import Refused, bad_request
from tests.fakes.kubernetes.copying import copied
from tests.fakes.kubernetes.kinds import Kind
from tests.fakes.kubernetes.state import Object, stamp

#: Lists whose items are known by these of their fields; all others are one value.
_KEYS: dict[str, tuple[tuple[str, ...], ...]] = {
    "containers": (("name",),),
    "initContainers": (("name",),),
    "env": (("name",),),
    "volumes": (("name",),),
    "volumeMounts": (("mountPath",),),
    "ports": (("containerPort", "protocol"), ("port", "protocol")),
    "topologySpreadConstraints": (("topologyKey", "whenUnsatisfiable"),),
    "ownerReferences": (("uid",),),
    "imagePullSecrets": (("name",),),
}
_DEFAULTS = {"protocol": "TCP"}
#: What is no configuration: the identity of an object.
_IDENTITY = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}
Path = tuple[str, ...]


def combined(kind: Kind, live: Object | None, body: Object, query: dict[str, str]) -> Object:
    """The object as it is to be, with its managers; refuses what others have set otherwise."""
    manager = query.get("fieldManager")
    if not manager:
        text = 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
        raise Refused(422, "Invalid", text)
    if (body.get("metadata") or {}).get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    live = live or {"metadata": {}}
    wanted = set(_leaves(kind, body)) - _IDENTITY
    entries = [dict(one) for one in live["metadata"].get("managedFields") or []]
    owned = {one["manager"]: set(_paths(one["fieldsV1"])) for one in entries}
    mine = owned.pop(manager, set())
    merged = _merged(kind, live, body)
    foreign = {
        path: name
        for name, paths in owned.items()
        for path in paths & wanted
        if _value(kind, live, path) != _value(kind, body, path)
    }
    if foreign and query.get("force") != "true":
        raise _conflict(foreign)
    others = {path for name, paths in owned.items() for path in paths}
    for path in sorted(mine - wanted - others, key=len, reverse=True):
        _remove(kind, merged, path)
    kept = [_entry(kind, name, paths - set(foreign)) for name, paths in owned.items()]
    managed = [*(one for one in kept if one["fieldsV1"]), _entry(kind, manager, wanted)]
    merged["metadata"]["managedFields"] = _with_times(managed, entries)
    return merged


def _with_times(managed: list[Object], before: list[Object]) -> list[Object]:
    """Whoever owns what they owned before keeps their time: nothing has changed."""
    known = {one["manager"]: one for one in before}
    for one in managed:
        old = known.get(one["manager"])
        same = old is not None and old["fieldsV1"] == one["fieldsV1"]
        one["time"] = old["time"] if old is not None and same else stamp()
    return sorted(managed, key=lambda one: str(one["manager"]))


def _entry(kind: Kind, manager: str, paths: set[Path]) -> Object:
    fields: Object = {}
    for path in sorted(paths):
        inner = fields
        for step in path:
            inner = inner.setdefault(step if step.startswith("k:") else f"f:{step}", {})
    return {
        "manager": manager,
        "operation": "Apply",
        "apiVersion": kind.api_version(),
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }


def _paths(fields: Object, start: Path = ()) -> Iterator[Path]:
    for key, inner in fields.items():
        step = (*start, key.removeprefix("f:"))
        if inner:
            yield from _paths(inner, step)
        else:
            yield step


def _name(kind: Kind, field: str, item: Any) -> str | None:
    """How an item of a list is called, if its list is one of those where items have names."""
    for keys in () if kind.custom else _KEYS.get(field, ()):
        if isinstance(item, dict) and keys[0] in item:
            found = {k: item.get(k, _DEFAULTS.get(k)) for k in keys}
            return "k:" + json.dumps(found, separators=(",", ":"))
    return None


def _leaves(kind: Kind, value: Any, start: Path = ()) -> Iterator[Path]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(kind, inner, (*start, key))
        return
    names = [_name(kind, start[-1], item) for item in value] if isinstance(value, list) else []
    if names and all(names):
        for name, item in zip(names, value, strict=True):
            yield from _leaves(kind, item, (*start, str(name)))
        return
    yield start


def _step(kind: Kind, value: Any, field: str, step: str) -> Any:
    """One step of a path into a value; None where it leads nowhere."""
    if step.startswith("k:"):
        items = value if isinstance(value, list) else []
        return next((item for item in items if _name(kind, field, item) == step), None)
    return value.get(step) if isinstance(value, dict) else None


def _value(kind: Kind, value: Any, path: Path) -> Any:
    before = ""
    for step in path:
        value, before = _step(kind, value, before, step), step
    return value


def _remove(kind: Kind, value: Any, path: Path) -> None:
    """Take a field away, and items and objects that are empty without it."""
    parents = [value]
    for place, step in enumerate(path[:-1]):
        parents.append(_step(kind, parents[-1], path[place - 1] if place else "", step))
    for place in range(len(path) - 1, 0, -1):
        parent, step = parents[place], path[place]
        if parent is None:
            continue
        if step.startswith("k:"):
            gone = _step(kind, parent, path[place - 1], step)
            parent[:] = [item for item in parent if item is not gone]
        else:
            parent.pop(step, None)
        named = path[place - 1].startswith("k:") and len(parent) <= _size_of_name(path[place - 1])
        if parent and not named:
            return


def _size_of_name(step: str) -> int:
    """How many fields an item still has that is nothing but its name."""
    return len(json.loads(step[2:]))


def _merged(kind: Kind, live: Any, body: Any, field: str = "") -> Any:
    if isinstance(body, dict) and isinstance(live, dict):
        made = copied(live)
        for key, value in body.items():
            made[key] = _merged(kind, live.get(key), value, key)
        return made
    if isinstance(body, list) and isinstance(live, list) and body:
        names = [_name(kind, field, item) for item in body]
        if all(names):
            return _merged_items(kind, live, dict(zip(map(str, names), body, strict=True)), field)
    return copied(body)


def _merged_items(kind: Kind, live: list[Any], wanted: dict[str, Any], field: str) -> list[Any]:
    made = []
    for item in live:
        name = _name(kind, field, item)
        new = wanted.pop(name, None) if name else None
        made.append(copied(item) if new is None else _merged(kind, item, new))
    return [*made, *map(copied, wanted.values())]


def _conflict(foreign: dict[Path, str]) -> Refused:
    causes = [
        {"reason": "FieldManagerConflict", "message": f'conflict with "{name}"', "field": "." + ".".join(path)}
        for path, name in sorted(foreign.items())
    ]  # fmt: skip
    shown = "\n".join(f"- {cause['field']}" for cause in causes)
    plural = "conflict" if len(causes) == 1 else "conflicts"
    names = ", ".join(sorted({f'"{name}"' for name in foreign.values()}))
    text = f"Apply failed with {len(causes)} {plural}: {plural} with {names}:\n{shown}"
    return Refused(409, "Conflict", text, {"causes": causes})
