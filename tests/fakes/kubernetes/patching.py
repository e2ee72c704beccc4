"""The three kinds of patches."""

from __future__ import annotations

from typing import Any

from tests.fakes.kubernetes.answers import Refused
from tests.fakes.kubernetes.copying import copied

#: Lists that a strategic merge patch merges by a key; all others are replaced.
_MERGE_KEYS = {
    "containers": "name",
    "conditions": "type",
    "ports": "containerPort",
    "env": "name",
    "volumes": "name",
    "ownerReferences": "uid",
}


class Untrue(Refused):
    """A JSON patch that does not apply."""

    def __init__(self) -> None:
        super().__init__(
            422, "Invalid", "the server rejected our request due to an error in our request", {}
        )


def json_patch(document: Any, operations: Any) -> Any:
    """RFC 6902."""
    document = copied(document)
    for operation in operations:
        document = _operation(document, operation)
    return document


def _operation(document: Any, operation: dict[str, Any]) -> Any:
    kind, path = operation["op"], _path(operation["path"])
    if kind == "test":
        if _find(document, path) != operation.get("value"):
            raise Untrue
        return document
    if kind in ("move", "copy"):
        source = _path(operation["from"])
        value = copied(_find(document, source))
        if kind == "move":
            _remove(document, source)
        _add(document, path, value)
    elif kind == "add":
        _add(document, path, copied(operation["value"]))
    elif kind == "remove":
        _remove(document, path)
    elif kind == "replace":
        _find(document, path)
        _remove(document, path)
        _add(document, path, copied(operation["value"]))
    else:
        raise Untrue
    return document


def _path(text: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _find(document: Any, path: list[str]) -> Any:
    for part in path:
        try:
            document = document[int(part)] if isinstance(document, list) else document[part]
        except (KeyError, IndexError, ValueError, TypeError):
            raise Untrue from None
    return document


def _add(document: Any, path: list[str], value: Any) -> None:
    parent, last = _find(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        index = len(parent) if last == "-" else int(last)
        if index > len(parent):
            raise Untrue
        parent.insert(index, value)
    elif isinstance(parent, dict):
        parent[last] = value
    else:
        raise Untrue


def _remove(document: Any, path: list[str]) -> None:
    _find(document, path)
    parent, last = _find(document, path[:-1]), path[-1]
    del parent[int(last) if isinstance(parent, list) else last]


def merge_patch(document: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copied(patch)
    result = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def strategic_patch(document: Any, patch: Any) -> Any:
    """As far as the lists of ``_MERGE_KEYS`` go; directives are not known."""
    if not isinstance(patch, dict):
        return copied(patch)
    result = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        old = result.get(key)
        if value is None:
            result.pop(key, None)
        elif key in _MERGE_KEYS and isinstance(value, list) and isinstance(old, list):
            result[key] = _merged(old, value, _MERGE_KEYS[key])
        else:
            result[key] = strategic_patch(old, value)
    return result


def _merged(old: list[Any], new: list[Any], by: str) -> list[Any]:
    result = list(old)
    for item in new:
        found = next((i for i, was in enumerate(result) if was.get(by) == item.get(by)), None)
        if found is None:
            result.append(item)
        else:
            result[found] = strategic_patch(result[found], item)
    return result
