"""What only one of several services does at a time, whatever their stores: a Lease of the cluster."""

from __future__ import annotations

import logging
from collections.abc import Callable

from sloguard.adapters.kubernetes_locks import micro_time
from sloguard.faults.live_runs import is_held
from sloguard.ports import (
    Cluster,
    ClusterConflict,
    ClusterExists,
    ClusterNotFound,
    Object,
)
from sloguard.ports.resources import LEASES

log = logging.getLogger(__name__)


class ClusterLeases:
    """ports.service.Leases by Leases in sloguard's own namespace. Times are the API server's."""

    def __init__(self, cluster: Callable[[], Cluster]) -> None:
        self._cluster = cluster

    def hold_lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take or prolong it; False while another holder has it and it has not run out. Raises ClusterError."""
        cluster = self._cluster()
        try:
            found: Object | None = cluster.get(LEASES, name, cluster.own_namespace)
        except ClusterNotFound:
            found = None
        # A Lease may have no spec at all.
        is_mine = found is not None and (found.get("spec") or {}).get("holderIdentity") == holder
        if found is not None and not is_mine and is_held(found, cluster.now()):
            return False
        try:
            self._write(cluster, name, holder, seconds, found)
        except (ClusterConflict, ClusterExists):
            return False  # somebody was faster
        return True

    def _write(
        self, cluster: Cluster, name: str, holder: str, seconds: float, found: Object | None
    ) -> None:
        written = micro_time(cluster.now())
        old = (found or {}).get("spec") or {}
        mine = old.get("holderIdentity") == holder
        spec = {
            "holderIdentity": holder,
            "leaseDurationSeconds": max(int(seconds), 1),
            "acquireTime": old.get("acquireTime") if mine else written,
            "renewTime": written,
            "leaseTransitions": int(old.get("leaseTransitions") or 0) + (bool(old) and not mine),
        }
        if found is not None:
            cluster.replace(LEASES, {**found, "spec": spec})
            return
        about = {
            "name": name,
            "namespace": cluster.own_namespace,
            "labels": {"app.kubernetes.io/name": "sloguard"},
        }
        body = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": about}
        cluster.create(LEASES, {**body, "spec": spec})
