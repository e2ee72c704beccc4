"""Which runs are under way on a cluster, by the Leases that they hold there."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from sloguard.ports import Cluster, Object
from sloguard.ports.resources import LEASES

#: Every Lease of sloguard's has this label.
LABEL = "sloguard.io/lock"
_USUAL_SECONDS = 30.0


def is_held(lease: Object, now: float) -> bool:
    """Whether somebody holds a Lease at a time of the server's clock."""
    spec: Mapping[str, Any] = lease.get("spec") or {}
    if not spec.get("holderIdentity"):
        return False
    try:
        renewed = datetime.datetime.fromisoformat(str(spec.get("renewTime"))).timestamp()
    except ValueError:
        return False
    return now < renewed + float(spec.get("leaseDurationSeconds") or _USUAL_SECONDS)


def holders(cluster: Cluster) -> frozenset[str]:
    """Who holds Leases of sloguard's now, each as ``run ID (title)``."""
    leases = cluster.list(LEASES, labels=LABEL)
    now = cluster.now()
    return frozenset(str(item["spec"]["holderIdentity"]) for item in leases if is_held(item, now))
