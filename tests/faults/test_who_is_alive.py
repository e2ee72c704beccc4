"""Which runs are under way, by Leases that are renewed, have expired, or could not be renewed for a while."""

from __future__ import annotations

import datetime
from typing import Any

from sloguard.faults.live_runs import alive
from sloguard.ports import Object


class Clock:
    """A cluster of Leases alone; ``now`` and ``wait`` are one clock, at which ``renewals`` happen."""

    def __init__(self, *leases: Object, renewals: dict[float, int] | None = None) -> None:
        self.leases, self.renewals, self.at = list(leases), renewals or {}, 0.0

    def now(self) -> float:
        return self.at

    def list(self, *_: Any, **__: Any) -> list[Object]:
        for at, which in self.renewals.items():
            if self.at >= at:
                self.leases[which]["spec"]["renewTime"] = written(at)
        return self.leases

    def wait(self, seconds: float) -> None:
        self.at += seconds

    def alive(self, *runs: str) -> frozenset[str]:
        return alive(self, runs, self.wait)  # type: ignore[arg-type]  # all of a cluster that this asks


def written(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat()


def lease(run: str, renewed: float) -> Object:
    spec = {"holderIdentity": f"run {run} (x)", "leaseDurationSeconds": 20}
    return {"metadata": {}, "spec": {**spec, "renewTime": written(renewed)}}


def test_one_that_renews_is_alive_and_one_that_does_not_is_dead_once_its_lease_is_out() -> None:
    cluster = Clock(lease("a", -1), lease("b", -2), renewals={4.0: 0})
    assert cluster.alive("a", "b", "c") == {"a"}
    assert cluster.at == 18.0


def test_a_server_that_was_away_makes_no_living_run_dead() -> None:
    """What could not be renewed has expired, and is renewed as soon as there is a server again."""
    cluster = Clock(lease("a", -300), lease("b", -300), renewals={5.0: 0})
    assert cluster.alive("a", "b") == {"a"}
    assert cluster.at == 10.0, "half the time of a Lease is enough for two tries"


def test_without_a_lease_nobody_is_waited_for() -> None:
    cluster = Clock(lease("other", -1))
    assert cluster.alive("a") == frozenset()
    assert cluster.at == 0.0
