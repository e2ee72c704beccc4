"""Which runs are under way on a cluster, by the Leases that they hold there."""

from __future__ import annotations

import datetime
import hashlib
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from sloguard.ports import Cluster, Object
from sloguard.ports.resources import LEASES

#: Every Lease of sloguard's has this label.
LABEL = "sloguard.io/lock"
_NAMESPACE = "sloguard"
_USUAL_SECONDS = 20.0
_LOOK = 0.5


def lease_of(kind: str, name: str, own_namespace: str) -> tuple[str, str]:
    """Namespace and name of the Lease of a ``namespace``, or of a ``node``, which is in sloguard's own."""
    if kind == "namespace":
        return name, _NAMESPACE
    # Names of nodes may be longer than what fits behind a prefix.
    return own_namespace, f"sloguard-node-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def is_held(lease: Object, now: float) -> bool:
    """Whether somebody holds a Lease at a time of the server's clock."""
    spec: Mapping[str, Any] = lease.get("spec") or {}
    if not spec.get("holderIdentity"):
        return False
    try:
        renewed = datetime.datetime.fromisoformat(str(spec.get("renewTime"))).timestamp()
    except ValueError:
        return False
    return now < renewed + _lasts(lease)


def alive(
    cluster: Cluster,
    runs: Collection[str],
    wait: Callable[[float], object] = time.sleep,
    namespaces: Collection[str] | None = None,
) -> frozenset[str]:
    """Which of these runs are under way. A Lease that is held may be a dead run's that has not expired
    yet, so this looks until it is renewed or not held any more: as long as a Lease lasts, at most. One that has
    expired may be a living run's that could not renew it, as the server was away: it has half of that time to.
    ``namespaces``: only the Leases of these."""
    places: tuple[str | None, ...] = (None,) if namespaces is None else tuple(namespaces)
    undecided: dict[str, str] | None = None
    living: set[str] = set()
    waited = 0.0
    while True:
        leases = [one for place in places for one in cluster.list(LEASES, place, labels=LABEL)]
        now = cluster.now()
        renewed: dict[str, str] = {}
        maybe: set[str] = set()
        for lease in leases:
            run = _run_of(lease)
            if run not in runs:
                continue
            # Of several Leases of one run, the one renewed last counts.
            renewed[run] = max(renewed.get(run, ""), str(lease["spec"].get("renewTime")))
            if is_held(lease, now) or waited < _lasts(lease) / 2:
                maybe.add(run)
        undecided = dict(renewed) if undecided is None else undecided
        living |= {run for run, since in undecided.items() if renewed.get(run, since) != since}
        undecided = {r: s for r, s in undecided.items() if r in maybe and r not in living}
        if not undecided:
            return frozenset(living)
        wait(_LOOK)
        waited += _LOOK


def _lasts(lease: Object) -> float:
    spec: Mapping[str, Any] = lease.get("spec") or {}
    return float(spec.get("leaseDurationSeconds") or _USUAL_SECONDS)


def _run_of(lease: Object) -> str:
    """The holder of a Lease is written as ``run ID (title)``."""
    words = str((lease.get("spec") or {}).get("holderIdentity") or "").split()
    return words[1] if len(words) > 1 and words[0] == "run" else ""
