"""The undo record on an object: what each fault changed there, in an annotation beside the change itself.

Pure: objects in, objects out. The annotation is a list of entries, one an injection, oldest first, so that
several faults on one object can be undone in any order. A change is known by its path, what was there
before (``old``; missing where nothing was) and what the fault put there (``new``). Undoing brings ``old``
back where ``new`` still stands; what somebody else has put there since is left alone.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sloguard.faults.base import FaultError
from sloguard.ports import Object

ANNOTATION = "sloguard.io/undo"

Path = tuple[str | int, ...]
_NOTHING: Any = object()


@dataclass(frozen=True, slots=True)
class Put:
    """Put a value at a path; mappings on the way are made where they are missing. None removes it."""

    path: Path
    value: Any


@dataclass(frozen=True, slots=True)
class Insert:
    """Insert an item into the list at a path; ``by`` names the keys of it that nobody else's has."""

    path: Path
    item: Mapping[str, Any]
    by: tuple[str, ...]
    at: int | None = None


Edit = Put | Insert


def entries(obj: Object) -> list[dict[str, Any]]:
    """The entries on an object, oldest first. Raises FaultError where they cannot be read."""
    text = (obj["metadata"].get("annotations") or {}).get(ANNOTATION)
    if not text:
        return []
    try:
        found = json.loads(text)
        if isinstance(found, list) and all(isinstance(e, dict) and "id" in e for e in found):
            return found
    except ValueError:
        pass
    name = obj["metadata"].get("name")
    raise FaultError(f"{name}: the annotation {ANNOTATION} cannot be read; was it changed by hand?")


def marked(obj: Object, about: Mapping[str, Any], edits: Sequence[Edit]) -> Object:
    """The object with these edits and their entry. ``about``: the entry's ``id``, ``run``, ``fault``.

    The same again where an entry of this id is there already. Raises FaultError for a path that leads
    nowhere.
    """
    kept = entries(obj)
    if any(entry["id"] == about["id"] for entry in kept):
        return obj
    result = copy.deepcopy(obj)
    changes = [_applied(result, edit, kept) for edit in edits]
    _write(result, [*kept, {**about, "changes": changes}])
    return result


def unmarked(
    obj: Object,
    entry_id: str,
    known: Sequence[Mapping[str, Any]] = (),
    *,
    which: Callable[[Mapping[str, Any]], bool] = lambda _change: True,
) -> tuple[Object, bool]:
    """The object without an entry and what it changed, and whether there was anything to bring back.

    ``known``: its changes as kept elsewhere, for where somebody has removed the annotation alone.
    ``which``: only these of its changes; the entry stays as long as it has others.
    """
    kept = entries(obj)
    index = next((i for i, entry in enumerate(kept) if entry["id"] == entry_id), None)
    result = copy.deepcopy(obj)
    if index is None:
        changed = [_taken_back(result, change, kept) for change in reversed(known)]
        if kept:
            _write(result, kept)
        return (result, True) if any(changed) else (obj, False)
    entry, later = kept[index], kept[index + 1 :]
    gone = [change for change in entry["changes"] if which(change)]
    if not gone and entry["changes"]:
        return obj, False
    for change in reversed(gone):
        if not _handed_on(change, later):
            _reverted(result, change)
    left = [change for change in entry["changes"] if not which(change)]
    stays = [{**entry, "changes": left}] if left else []
    _write(result, [*kept[:index], *stays, *later])
    return result, True


def forgotten(obj: Object, entry_id: str) -> Object:
    """The object with what an entry changed, and without the entry: there is no way back from it."""
    kept = entries(obj)
    result = copy.deepcopy(obj)
    _write(result, [entry for entry in kept if entry["id"] != entry_id])
    return result


def changes_of(obj: Object, entry_id: str) -> list[dict[str, Any]]:
    """What an entry has changed; empty where there is none of this id."""
    return next((list(e["changes"]) for e in entries(obj) if e["id"] == entry_id), [])


def _write(obj: Object, kept: list[dict[str, Any]]) -> None:
    annotations = obj["metadata"].setdefault("annotations", {})
    if kept:
        annotations[ANNOTATION] = json.dumps(kept, separators=(",", ":"), sort_keys=True)
        return
    annotations.pop(ANNOTATION, None)
    if not annotations:
        del obj["metadata"]["annotations"]


def _applied(obj: Object, edit: Edit, kept: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if isinstance(edit, Insert):
        return _inserted(obj, edit, kept)
    path, made = edit.path, len(edit.path)
    if edit.value is None and _at(obj, path) is _NOTHING:
        return {"path": list(path)}
    parent: Any = obj
    for depth, part in enumerate(path[:-1]):
        found = _step(parent, part)
        if found is _NOTHING or found is None:
            if not isinstance(part, str) or not isinstance(parent, dict):
                raise FaultError(f"there is no {_shown(path[: depth + 1])}")
            found = parent[part] = {}
            made = min(made, depth + 1)
        parent = found
    change: dict[str, Any] = {"path": list(path), **_anchors(obj, path)}
    old = _step(parent, path[-1])
    if old is not _NOTHING:
        change["old"] = copy.deepcopy(old)
    if edit.value is None:
        if old is not _NOTHING:
            del parent[path[-1]]
    else:
        change["new"] = edit.value
        parent[path[-1]] = copy.deepcopy(edit.value)
    made = _inherited(path, made, kept)
    if made < len(path):
        change["made"] = made
    return change


def _inherited(path: Path, made: int, kept: Sequence[Mapping[str, Any]]) -> int:
    """What an earlier fault had to make on the way is this one's to clear away, if it stays longer."""
    for other in (c for entry in kept for c in entry["changes"] if "made" in c):
        if tuple(other["path"][: other["made"]]) == path[: other["made"]]:
            made = min(made, int(other["made"]))
    return made


def _inserted(obj: Object, edit: Insert, kept: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    parent: Any = obj
    for part in edit.path[:-1]:
        parent = parent.setdefault(part, {})
    was = parent.get(edit.path[-1])
    items = list(was or [])
    same = next((i for i, item in enumerate(items) if _is_same(item, edit.item, edit.by)), None)
    change: dict[str, Any] = {
        "path": list(edit.path),
        "item": dict(edit.item),
        "by": list(edit.by),
    }
    if same is not None:
        change["old"] = items[same]
        items[same] = dict(edit.item)
    else:
        items.insert(len(items) if edit.at is None else edit.at, dict(edit.item))
    made = _inherited(edit.path, len(edit.path) + (was is not None), kept)
    if made <= len(edit.path):
        change["made"] = made
    parent[edit.path[-1]] = items
    return change


def _handed_on(change: Mapping[str, Any], later: Sequence[dict[str, Any]]) -> bool:
    """Where a later fault changed the same place, it is the one to bring back what was there first."""
    other = _next_at(change, later)
    if other is not None:
        other.pop("old", None)
        other.update({key: change[key] for key in ("old", "made") if key in change})
    return other is not None


def _next_at(
    change: Mapping[str, Any], later: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """The first of the later changes at the same place, also where items of a list have moved between."""
    changes: list[dict[str, Any]] = [other for entry in later for other in entry["changes"]]
    for other in changes:
        same = other["path"] == change["path"] and ("item" in other) == ("item" in change)
        if same and "item" in change:
            same = _is_same(other["item"], change["item"], change["by"])
        if same and other.get("item_mark") == change.get("item_mark"):
            return other
    return next((other for other in changes if _stands_upon(other, change)), None)


def _stands_upon(other: Mapping[str, Any], change: Mapping[str, Any]) -> bool:
    """Whether a later change has replaced what this one put, at an item that was moved or changed since."""
    at = change.get("item_at")
    if at is None or other.get("item_at") != at:
        return False
    same = [*other["path"][:at], *other["path"][at + 1 :]] == [
        *change["path"][:at],
        *change["path"][at + 1 :],
    ]
    known = other["path"] == change["path"] or other["item_mark"] == change["item_mark"]
    return same and known and other.get("old", _NOTHING) == change.get("new", _NOTHING)


def _taken_back(obj: Object, change: Mapping[str, Any], kept: Sequence[Mapping[str, Any]]) -> bool:
    """Revert a change whose entry is not there any more.

    Where another fault stands at the same place, its own entry tells what was there before it: this change,
    if somebody took the annotation away in between, or what this change's undo has brought back long ago.
    """
    other = _next_at(change, kept)
    if other is None:
        return _reverted(obj, change)
    put = change.get("item", change.get("new", _NOTHING))
    if other.get("old", _NOTHING) != put:
        return False
    other.pop("old")
    other.update({key: change[key] for key in ("old", "made") if key in change})
    return True


def _reverted(obj: Object, change: Mapping[str, Any]) -> bool:
    """Bring back what was there; False where something else stands there by now."""
    if "item" in change:
        return _taken_out(obj, change)
    path = _located(obj, change)
    parent = _NOTHING if path is None else _at(obj, path[:-1])
    if path is None or not isinstance(parent, dict):
        return False
    if "old" in change:
        parent[path[-1]] = copy.deepcopy(change["old"])
    else:
        parent.pop(path[-1], None)
    for depth in range(len(path) - 1, int(change.get("made", len(path))) - 1, -1):
        if _at(obj, path[:depth]) != {}:
            break
        del _at(obj, path[: depth - 1])[path[depth - 1]]
    return True


def _taken_out(obj: Object, change: Mapping[str, Any]) -> bool:
    path: Path = tuple(change["path"])
    items = _at(obj, path)
    if not isinstance(items, list):
        return False
    index = next(
        (i for i, item in enumerate(items) if _is_same(item, change["item"], change["by"])), None
    )
    if index is None or any(items[index].get(k) != v for k, v in change["item"].items()):
        return False
    if "old" in change:
        items[index] = copy.deepcopy(change["old"])
    else:
        del items[index]
    if not items and "made" in change:
        del _at(obj, path[:-1])[path[-1]]
    return True


def _located(obj: Object, change: Mapping[str, Any]) -> Path | None:
    """Where the change stands now: items of lists may have moved, and are known by what else they hold."""
    path: Path = tuple(change["path"])
    wanted, at = change.get("new", _NOTHING), change.get("item_at")
    if at is None:
        return path if _same_or_both_absent(_at(obj, path), wanted) else None
    items = _at(obj, path[:at])
    if not isinstance(items, list):
        return None
    found = []
    for index, item in enumerate(items):
        here: Path = (*path[:at], index, *path[at + 1 :])
        if not _same_or_both_absent(_at(obj, here), wanted):
            continue
        mark = _mark(item, path[at + 1])
        alike = sum(mark.get(key) == value for key, value in change["item_mark"].items())
        if alike or index == path[at]:
            found.append((-alike, index != path[at], index, here))
    return min(found)[-1] if found else None


def _same_or_both_absent(found: Any, wanted: Any) -> bool:
    if found is _NOTHING or wanted is _NOTHING:
        return found is wanted
    return bool(found == wanted)


def _anchors(obj: Object, path: Path) -> dict[str, Any]:
    """For a path through a list: where in the path, and what else its item holds."""
    at = next((i for i, part in enumerate(path) if isinstance(part, int)), None)
    if at is None or at + 1 >= len(path):
        return {}
    return {"item_at": at, "item_mark": _mark(_at(obj, path[: at + 1]), path[at + 1])}


def _mark(item: Any, but: str | int) -> dict[str, str]:
    """What an item holds beside the part that is changed, key by key, in short."""
    rest = item if isinstance(item, dict) else {}
    return {
        key: hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]
        for key, value in rest.items()
        if key != but
    }


def _at(value: Any, path: Path) -> Any:
    for part in path:
        value = _step(value, part)
        if value is _NOTHING:
            return _NOTHING
    return value


def _step(value: Any, part: str | int) -> Any:
    if isinstance(part, int):
        return value[part] if isinstance(value, list) and part < len(value) else _NOTHING
    return value.get(part, _NOTHING) if isinstance(value, dict) else _NOTHING


def _is_same(one: Mapping[str, Any], other: Mapping[str, Any], by: Sequence[str]) -> bool:
    return all(one.get(key) == other.get(key) for key in by)


def _shown(path: Path) -> str:
    return ".".join(str(part) for part in path)


def operations(old: Object, new: Object) -> list[dict[str, Any]]:
    """The JSON patch from one version of an object to another, guarded by the old one's version."""
    version = old["metadata"]["resourceVersion"]
    guard = {"op": "test", "path": "/metadata/resourceVersion", "value": version}
    return [guard, *_difference(old, new, "")]


def _difference(old: Any, new: Any, at: str) -> list[dict[str, Any]]:
    if old == new:
        return []
    if isinstance(old, dict) and isinstance(new, dict):
        found: list[dict[str, Any]] = []
        for key in sorted(old.keys() | new.keys()):
            path = f"{at}/{str(key).replace('~', '~0').replace('/', '~1')}"
            if key not in new:
                found.append({"op": "remove", "path": path})
            elif key not in old:
                found.append({"op": "add", "path": path, "value": new[key]})
            else:
                found += _difference(old[key], new[key], path)
        return found
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            operation
            for index, (one, other) in enumerate(zip(old, new, strict=True))
            for operation in _difference(one, other, f"{at}/{index}")
        ]
    return [{"op": "replace", "path": at, "value": new}]
