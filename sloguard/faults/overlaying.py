"""A manifest over an object that is there already: what it changes, as edits with a way back. Pure."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from sloguard.faults.base import FaultError
from sloguard.faults.targets import title
from sloguard.faults.undo_records import Path, Put
from sloguard.ports import Object

_ABOUT = ("labels", "annotations")
#: What the API server allows all annotations of an object to have together, bytes.
MOST_ANNOTATIONS = 256 * 1024


def overlaid(obj: Object, manifest: Object) -> Object:
    """The object as the manifest wants it: mappings are merged, lists replaced, null removes (RFC 7386).

    Raises FaultError for what cannot be changed of an object that is there.
    """
    made = copy.deepcopy(obj)
    for key, value in manifest.items():
        if key == "metadata":
            _about(made["metadata"], value)
        elif key not in ("apiVersion", "kind", "status"):
            made[key] = _merged(made.get(key), value)
    return made


def _about(found: dict[str, Any], wanted: Mapping[str, Any]) -> None:
    for key, value in wanted.items():
        if key in _ABOUT:
            merged = _merged(found.get(key), value)
            found.update({key: merged} if merged else {})
        elif key not in ("name", "namespace") and found.get(key) != value:
            raise FaultError(
                f"metadata.{key}: cannot be changed on {title({'metadata': found})}, which is there already"
            )


def _merged(found: Any, wanted: Any) -> Any:
    if not isinstance(wanted, Mapping):
        return copy.deepcopy(wanted)
    made = dict(found) if isinstance(found, Mapping) else {}
    for key, value in wanted.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = _merged(made.get(key), value)
    return made


def edits_between(old: Object, new: Object) -> list[Put]:
    """What has to be put where, to come from one to the other; each part by itself, so that what others
    change beside it stays on the way back."""
    found: list[Put] = []
    for key in sorted(old.keys() | new.keys()):
        if key == "metadata":
            for part in _ABOUT:
                had, has = old[key].get(part) or {}, new[key].get(part) or {}
                found += _between(had, has, (key, part))
        elif key not in ("apiVersion", "kind", "status"):
            was = old if key in old else {}
            found += _between(
                {key: was[key]} if was else {}, {key: new[key]} if key in new else {}, ()
            )
    return found


def _between(old: Mapping[str, Any], new: Mapping[str, Any], path: Path) -> Iterator[Put]:
    for key in sorted(old.keys() | new.keys()):
        here = (*path, key)
        if key not in new:
            yield Put(here, None)
        elif isinstance(new[key], Mapping) and new[key] and isinstance(old.get(key, {}), Mapping):
            yield from _between(old.get(key) or {}, new[key], here)
        elif key not in old or old[key] != new[key]:
            if _alike(old.get(key), new[key]) and not any(isinstance(p, int) for p in path):
                for index, (one, other) in enumerate(zip(old[key], new[key], strict=True)):
                    yield from _between(one, other, (*here, index))
            else:
                yield Put(here, new[key])


def _alike(old: Any, new: Any) -> bool:
    """Two lists of as many mappings, which are compared one by one."""
    both = isinstance(old, list) and isinstance(new, list) and len(old) == len(new)
    return both and all(isinstance(item, Mapping) for item in (*old, *new))


def fits(obj: Object) -> Object:
    """The same, if its annotations are not too long for the API server. Raises FaultError."""
    annotations = obj["metadata"].get("annotations") or {}
    size = sum(len(str(k).encode()) + len(str(v).encode()) for k, v in annotations.items())
    if size > MOST_ANNOTATIONS:
        raise FaultError(
            f"{title(obj)}: what it would take to undo this does not fit into its annotations "
            f"({size} bytes of at most {MOST_ANNOTATIONS})"
        )
    return obj
