"""The objects of a double, their versions, and the history that watches read."""

from __future__ import annotations

import datetime
import json
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.fakes.kubernetes.copying import copied
from tests.fakes.kubernetes.kinds import BUILT_IN, ISTIO, Kind

Object = dict[str, Any]
Key = tuple[str, str]


def stamp(ahead: float = 0.0) -> str:
    """A time as the API writes it."""
    then = datetime.datetime.fromtimestamp(time.time() + ahead, datetime.UTC)
    return then.strftime("%Y-%m-%dT%H:%M:%SZ")


class State:
    """All objects. Whoever reads or writes holds ``lock``; every change wakes those who wait for it."""

    def __init__(self, istio: tuple[str, ...] = ISTIO.versions, minor: int = 36) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.version = 100
        self.oldest = 0
        self.history: list[tuple[int, str, Kind, Object]] = []
        self.kinds: list[Kind] = [
            # Pods have a generation from 1.34 on.
            replace(kind, generation=minor >= 34) if kind.kind == "Pod" else kind
            for kind in BUILT_IN
        ]
        if istio:
            self.kinds.append(Kind(**{**ISTIO.__dict__, "versions": istio}))
        self._objects: dict[str, dict[Key, Object]] = {}

    def kind(self, name: str) -> Kind:
        """By its kind's name."""
        return next(k for k in self.kinds if k.kind == name)

    def all(self, kind: str, namespace: str | None = None) -> list[Object]:
        """Copies of the objects of a kind, in the order of the store."""
        with self.lock:
            found = self._objects.get(kind, {})
            keys = sorted(k for k in found if namespace is None or k[0] == namespace)
            return [copied(found[k]) for k in keys]

    def get(self, kind: str, name: str, namespace: str = "") -> Object | None:
        """A copy of one object."""
        with self.lock:
            return copied(self._objects.get(kind, {}).get((namespace, name)))

    def add(self, kind: Kind, obj: Object) -> Object:
        """Keep a new object; gives a copy with what the server adds."""
        with self.lock:
            about = obj["metadata"]
            about.setdefault("uid", str(uuid.uuid4()))
            about["creationTimestamp"] = stamp()
            if kind.generation:
                about["generation"] = 1
            return self._put(kind, obj, "ADDED")

    def put(self, kind: Kind, obj: Object, *, same_generation: bool = False) -> Object:
        """Keep a newer version of an object, unless it is the same; gives a copy."""
        with self.lock:
            old = self._objects[kind.kind][_key(obj)]
            new = {k: v for k, v in obj.items() if k not in ("apiVersion", "kind")}
            if new == {k: v for k, v in old.items() if k not in ("apiVersion", "kind")}:
                return copied(old)
            changed = "spec" in obj and obj.get("spec") != old.get("spec")
            if kind.generation and changed and not same_generation:
                obj["metadata"]["generation"] = int(old["metadata"].get("generation", 1)) + 1
            return self._put(kind, obj, "MODIFIED")

    def remove(self, kind: Kind, obj: Object) -> Object:
        """Forget an object."""
        with self.lock:
            found = self._objects[kind.kind].pop(_key(obj))
            self.version += 1
            found["metadata"]["resourceVersion"] = str(self.version)
            self._tell("DELETED", kind, found)
            return copied(found)

    def saved(self) -> str:
        """All objects as they are, for ``restore`` of another double."""
        with self.lock:
            kinds = {k: list(found.values()) for k, found in self._objects.items()}
            return json.dumps({"version": self.version, "kinds": kinds})

    def restore(self, text: str) -> None:
        """These objects in place of those that are there."""
        with self.lock:
            found = json.loads(text)
            self._objects = {k: {_key(o): o for o in objs} for k, objs in found["kinds"].items()}
            self.version = found["version"]
            self.expire()
            self.changed.notify_all()

    def _put(self, kind: Kind, obj: Object, event: str) -> Object:
        self.version += 1
        kept = copied(obj)
        kept["metadata"]["resourceVersion"] = str(self.version)
        self._objects.setdefault(kind.kind, {})[_key(kept)] = kept
        self._tell(event, kind, kept)
        return copied(kept)

    def _tell(self, event: str, kind: Kind, obj: Object) -> None:
        self.history.append((self.version, event, kind, copied(obj)))
        self.changed.notify_all()

    def since(self, version: int) -> Iterator[tuple[int, str, Kind, Object]]:
        """What has happened after a version."""
        with self.lock:
            return iter([item for item in self.history if item[0] > version])

    def expire(self) -> None:
        """Forget the history: continued lists and watches from before get 410."""
        with self.lock:
            self.oldest = self.version
            self.history.clear()


def _key(obj: Object) -> Key:
    return str(obj["metadata"].get("namespace") or ""), str(obj["metadata"]["name"])
