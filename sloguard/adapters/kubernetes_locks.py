"""Locks between runs on any machines: a Lease for each namespace and node that a run works on.

All times are those of the API server, so that machines whose clocks differ agree on what has expired.
A Lease outlives a killed process by its duration at most.
"""

from __future__ import annotations

import datetime
import logging
import re
import threading
import uuid
from collections.abc import Iterable

from sloguard.core.text import iso_time
from sloguard.faults.live_runs import LABEL, is_held, lease_of
from sloguard.ports import (
    Cluster,
    ClusterConflict,
    ClusterError,
    ClusterExists,
    ClusterNotFound,
    Clusters,
    ClusterUnreachable,
    Held,
    Locks,
    Object,
)
from sloguard.ports.resources import LEASES

log = logging.getLogger(__name__)

#: Keys that this keeps: ``namespace:CONTEXT/NAME``, ``node:CONTEXT/NAME``.
_KEY = re.compile(r"(namespace|node):(.*)/([^/]+)", re.DOTALL)
TOKEN = "sloguard.io/token"  # noqa: S105 - a name, no secret
SECONDS = 20
_TRIES = 10
_MOST_HOLDER = 200


class LeaseLocks:
    """ports.Locks for keys of clusters; others are passed over. One object belongs to one run."""

    def __init__(self, clusters: Clusters, *, seconds: int = SECONDS) -> None:
        self._clusters, self._seconds = clusters, seconds
        self._token = uuid.uuid4().hex
        self._held: dict[str, Object] = {}
        self._guard = threading.Lock()
        self._ended = threading.Event()
        self._renewal: threading.Thread | None = None

    def acquire(self, keys: Iterable[str], holder: str) -> None:
        """Take all keys or none; raises Held, or ClusterError where it cannot be told."""
        with self._guard:
            taken: dict[str, Object] = {}
            try:
                for key in sorted(set(keys) - self._held.keys()):
                    if _KEY.fullmatch(key):
                        taken[key] = self._take(key, holder[:_MOST_HOLDER])
            except BaseException:
                for key in taken:
                    self._give_back(key)
                raise
            self._held.update(taken)
            if self._held and self._renewal is None:
                self._ended = threading.Event()
                self._renewal = threading.Thread(
                    target=self._renew, args=(self._ended,), name="leases", daemon=True
                )
                self._renewal.start()

    def release(self) -> None:
        """Give back all that was taken; a server that is away lets it expire."""
        self._ended.set()
        with self._guard:
            self._renewal = None
            while self._held:
                self._give_back(self._held.popitem()[0])

    def _take(self, key: str, holder: str) -> Object:
        cluster, namespace, name = self._where(key)
        for _ in range(_TRIES):
            try:
                found: Object | None = cluster.get(LEASES, name, namespace)
            except ClusterNotFound:
                found = None
            if found is not None and not self._is_free(cluster, found):
                raise Held(key, _told(found))
            try:
                return self._write(cluster, namespace, name, holder, found)
            except (ClusterConflict, ClusterExists):
                continue  # somebody was faster, or one's own answer was lost: look again
            except ClusterUnreachable as error:
                if error.applied is False:
                    raise
        raise Held(key, "others that take it all the time")

    def _write(
        self, cluster: Cluster, namespace: str, name: str, holder: str, found: Object | None
    ) -> Object:
        now = micro_time(cluster.now())
        spec = {
            "holderIdentity": holder,
            "leaseDurationSeconds": self._seconds,
            "acquireTime": now,
            "renewTime": now,
        }
        annotations = {TOKEN: self._token}
        if found is None:
            about: Object = {"name": name, "namespace": namespace, "labels": {LABEL: "true"}}
            return cluster.create(
                LEASES,
                {
                    "apiVersion": LEASES.api_version,
                    "kind": LEASES.kind,
                    "metadata": {**about, "annotations": annotations},
                    "spec": spec,
                },
            )
        about = dict(found["metadata"])
        about["annotations"] = {**(about.get("annotations") or {}), **annotations}
        about["labels"] = {**(about.get("labels") or {}), LABEL: "true"}
        old = found.get("spec") or {}
        spec["leaseTransitions"] = int(old.get("leaseTransitions") or 0) + 1
        return cluster.replace(LEASES, {**found, "metadata": about, "spec": spec})

    def _is_free(self, cluster: Cluster, lease: Object) -> bool:
        if (lease["metadata"].get("annotations") or {}).get(TOKEN) == self._token:
            return True
        return not is_held(lease, cluster.now())

    def _give_back(self, key: str) -> None:
        cluster, namespace, name = self._where(key)
        try:
            # Not if somebody else has taken it over meanwhile.
            found = cluster.get(LEASES, name, namespace)
            if (found["metadata"].get("annotations") or {}).get(TOKEN) == self._token:
                about = found["metadata"]
                version = str(about["resourceVersion"])
                cluster.delete(LEASES, name, namespace, uid=str(about["uid"]), version=version)
        except ClusterError as error:
            log.debug("the lease %s could not be given back and will expire: %s", key, error)

    def _renew(self, ended: threading.Event) -> None:
        while not ended.wait(self._seconds / 4):
            for key in list(self._held):
                with self._guard:
                    if not ended.is_set() and key in self._held:
                        self._renew_one(key)

    def _renew_one(self, key: str) -> None:
        cluster, namespace, name = self._where(key)
        try:
            lease = cluster.get(LEASES, name, namespace)
            if (lease["metadata"].get("annotations") or {}).get(TOKEN) != self._token:
                log.warning("%s has been taken over by %s", key, _told(lease))
                del self._held[key]
                return
            spec = {**lease["spec"], "renewTime": micro_time(cluster.now())}
            self._held[key] = cluster.replace(LEASES, {**lease, "spec": spec})
        except ClusterError as error:
            log.warning("the lease %s could not be renewed: %s", key, error)

    def _where(self, key: str) -> tuple[Cluster, str, str]:
        match = _KEY.fullmatch(key)
        if match is None:  # pragma: no cover - only keys that match are kept
            raise ValueError(key)
        kind, context, name = match.groups()
        cluster = self._clusters(context)
        return cluster, *lease_of(kind, name, cluster.own_namespace)


class CombinedLocks:
    """ports.Locks: on this machine first, then across machines."""

    def __init__(self, here: Locks, everywhere: Locks) -> None:
        self._here, self._everywhere = here, everywhere

    def acquire(self, keys: Iterable[str], holder: str) -> None:
        """Take all keys or none of the last kind; raises Held."""
        wanted = sorted(set(keys))
        self._here.acquire(wanted, holder)
        self._everywhere.acquire(wanted, holder)

    def release(self) -> None:
        """Give back all that was taken."""
        try:
            self._everywhere.release()
        finally:
            self._here.release()


def _told(lease: Object) -> str:
    spec = lease.get("spec") or {}
    try:
        since = datetime.datetime.fromisoformat(str(spec.get("acquireTime"))).timestamp()
    except ValueError:
        return str(spec.get("holderIdentity"))
    return f"{spec.get('holderIdentity')}, since {iso_time(since)}"


def micro_time(seconds: float) -> str:
    """Seconds since the epoch as Leases write them, UTC."""
    then = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return then.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
