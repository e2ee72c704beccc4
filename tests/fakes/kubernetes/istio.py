"""The schema of a VirtualService, as much of it as faults touch; and how the server complains."""

from __future__ import annotations

from typing import Any

ANY: dict[str, Any] = {}
_SHARE = {"value": "number"}
_HTTP: dict[str, Any] = {
    "name": "string",
    "match": [ANY],
    "route": [ANY],
    "redirect": ANY,
    "rewrite": ANY,
    "timeout": "string",
    "retries": ANY,
    "mirror": ANY,
    "headers": ANY,
    "corsPolicy": ANY,
    "delegate": ANY,
    "fault": {
        "abort": {"httpStatus": "integer", "grpcStatus": "string", "percentage": _SHARE},
        "delay": {"fixedDelay": "string", "percentage": _SHARE, "percent": "integer"},
    },
}
SCHEMA: dict[str, Any] = {
    "hosts": ["string"],
    "gateways": ["string"],
    "http": [_HTTP],
    "tls": [ANY],
    "tcp": [ANY],
    "exportTo": ["string"],
}
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
}


def unknown_fields(spec: Any) -> list[str]:
    """Paths that the schema does not know."""
    return list(_unknown(spec, SCHEMA, "spec"))


def _unknown(value: Any, schema: Any, path: str) -> Any:
    if isinstance(schema, list) and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown(item, schema[0], f"{path}[{index}]")
    elif isinstance(schema, dict) and schema and isinstance(value, dict):
        for key, item in value.items():
            if key not in schema:
                yield f"{path}.{key}"
            else:
                yield from _unknown(item, schema[key], f"{path}.{key}")


def pruned(value: Any, schema: Any = SCHEMA) -> Any:
    """Without what the schema does not know, as the server keeps it."""
    if isinstance(schema, list) and isinstance(value, list):
        return [pruned(item, schema[0]) for item in value]
    if isinstance(schema, dict) and schema and isinstance(value, dict):
        return {k: pruned(v, schema[k]) for k, v in value.items() if k in schema}
    return value


def wrong_types(value: Any, schema: Any = SCHEMA, path: str = "spec") -> list[tuple[str, str, str]]:
    """(path, the type found, the type wanted)."""
    if isinstance(schema, str):
        fits = isinstance(value, _TYPES[schema]) and not isinstance(value, bool)
        return [] if fits else [(path, _type(value), schema)]
    if isinstance(schema, list):
        if not isinstance(value, list):
            return [(path, _type(value), "array")]
        return [
            f for i, item in enumerate(value) for f in wrong_types(item, schema[0], f"{path}[{i}]")
        ]
    if not schema:
        return []
    if not isinstance(value, dict):
        return [(path, _type(value), "object")]
    return [
        f for k, v in value.items() if k in schema for f in wrong_types(v, schema[k], f"{path}.{k}")
    ]


def _type(value: Any) -> str:
    if value is None:
        return "null"
    names = {bool: "boolean", str: "string", int: "integer", float: "number", dict: "object"}
    return names.get(type(value), "array")
