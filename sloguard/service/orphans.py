"""The janitor over the cluster: faults whose runs are dead are found by the records on the objects, and undone.

Whoever ran them: a Job whose node was lost, a pipeline that was cancelled, a laptop that was closed. A run that
is alive is left alone, another sloguard's too: it holds a Lease where it works, and renews it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from sloguard.engine.recover_cluster import ClusterFault, recover_cluster
from sloguard.engine.rights import LEADER
from sloguard.ports import ClusterForbidden, Clusters, Runs
from sloguard.ports.orphans import Orphan, Orphans, OrphanState
from sloguard.ports.service import Audit, AuditEntry, Leases

log = logging.getLogger(__name__)

#: Whoever looks keeps others from it for so long, in seconds; prolonged with each fault.
LEASE_SECONDS = 60.0
#: What is over is forgotten after so long, in seconds.
KEPT_SECONDS = 30 * 86400.0
_WHO = "janitor"
_STATES = {"undone": OrphanState.UNDONE, "left": OrphanState.LEFT}


class OrphanStore(Orphans, Audit, Runs, Leases, Protocol):
    """What this needs of the store."""


class OrphanWatch:
    """Looks at one cluster, every ``every`` seconds, if it holds the lease.

    ``leases``: where only one of several services gets it. ``name``: of this service, unlike any other's. ``namespaces``: where
    it looks; None: everywhere. ``told`` is called with what could not be undone, once; ``mended`` when what a run had
    left is undone at last, so that its record may be made true.
    """

    def __init__(
        self,
        store: OrphanStore,
        clusters: Clusters,
        leases: Leases,
        *,
        name: str,
        every: float,
        namespaces: Sequence[str] | None = None,
        told: Callable[[Orphan], object] = lambda _orphan: None,
        mended: Callable[[], object] = lambda: None,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._clusters, self._leases = store, clusters, leases
        self._name, self._every, self._namespaces = name, every, namespaces
        self._told, self._mended = told, mended
        self._now, self._monotonic = now, monotonic
        self._look_at = float("-inf")
        self._blind: frozenset[str] = frozenset()

    def turn(self) -> None:
        """Look, if it is time and nobody else does. Raises OutsideError where the store or the cluster is away."""
        if self._monotonic() < self._look_at:
            return
        # Also where it fails: a cluster that is away is not asked all the time.
        self._look_at = self._monotonic() + self._every
        try:
            if self._holds():
                self._look()
        except ClusterForbidden as error:
            # Rights do not come by waiting: this is told once, and looked at all the same.
            self._say_blind(frozenset({str(error)}))

    def _holds(self) -> bool:
        try:
            return self._leases.hold_lease(LEADER, self._name, LEASE_SECONDS)
        except ClusterForbidden:
            # Then at least one of those that share this store.
            return self._store.hold_lease(LEADER, self._name, LEASE_SECONDS)

    def _look(self) -> None:
        # What has not ended is alive, or is finished by its ledger, which knows more than its objects do.
        open_ones = [run.id for run in self._store.unfinished()]
        cluster = self._clusters(None).name
        found: set[str] = set()
        blind: set[str] = set()
        mended = False
        for fault in recover_cluster(
            self._clusters, None, alive=open_ones, namespaces=self._namespaces
        ):
            if not fault.id and fault.target == cluster:
                blind.add(fault.detail)
                continue
            state = _STATES.get(fault.status)
            if state is not None:
                found.add(_key(cluster, fault))
                mended = self._keep(cluster, fault, state) or mended
            self._holds()
        self._say_blind(frozenset(blind))
        if not blind:
            for gone in self._store.orphans_gone(cluster, found):
                log.info("%s is undone by somebody else", gone.target, extra={"run": gone.run})
                mended = True
        if mended and self._store.not_restored():
            self._mended()
        self._store.prune_orphans(self._now() - KEPT_SECONDS)

    def _keep(self, cluster: str, fault: ClusterFault, state: OrphanState) -> bool:
        """Keep and tell what became of it; whether it was undone."""
        orphan = Orphan(
            id=_key(cluster, fault),
            cluster=cluster,
            run=fault.run,
            fault=fault.fault,
            target=fault.target,
            state=state,
            detail=fault.detail,
            by_hand=fault.by_hand,
        )
        undone = state is OrphanState.UNDONE
        if self._store.keep_orphan(orphan):
            log.log(
                logging.WARNING if undone else logging.ERROR,
                "a fault of run %s, which is dead, was %s: %s on %s %s",
                fault.run,
                "undone" if undone else "found and could not be undone",
                fault.fault,
                fault.target,
                fault.detail,
                extra={"run": fault.run},
            )
            self._note(orphan)
            if not undone:
                self._told(orphan)
        return undone

    def _note(self, orphan: Orphan) -> None:
        """In the audit log: something was changed on a cluster, and no run's own story tells it."""
        detail = {
            "fault": orphan.fault,
            "object": orphan.target,
            "cluster": orphan.cluster,
            "detail": orphan.detail,
        }
        action = "fault.undo" if orphan.state is OrphanState.UNDONE else "fault.left"
        entry = AuditEntry(
            at=self._now(),
            who=_WHO,
            where=self._name,
            action=action,
            target=orphan.run,
            detail=detail,
        )
        self._store.append_audit(entry)

    def _say_blind(self, blind: frozenset[str]) -> None:
        for problem in sorted(blind - self._blind):
            log.warning("the janitor cannot look everywhere: %s", problem)
        self._blind = blind


def _key(cluster: str, fault: ClusterFault) -> str:
    return f"{cluster[:60]} {fault.id} {fault.target}"[:255]
