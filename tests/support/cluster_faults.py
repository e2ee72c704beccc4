"""Faults on a cluster, step by step: what every family's tests do with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from sloguard.engine.recover_cluster import recover_cluster
from sloguard.faults.base import Context, find_fault
from sloguard.ports import Cluster, Object
from sloguard.ports.rights import Call, Need, smallest
from tests.fakes.recording import RecordingCluster
from tests.support.clusters import Ground
from tests.support.mortals import Mortals, records


class Broken:
    """A fault that has been planned; ``inject`` and ``undo`` do the rest, as the engine does.

    Whatever it does on the cluster it must have declared as a need, in every test.
    """

    def __init__(
        self,
        ground: Ground,
        name: str,
        arguments: Mapping[str, Any],
        seed: int = 1,
        cluster: Cluster | None = None,
    ) -> None:
        self.fault = find_fault(name)
        self.arguments = arguments
        self.cluster = RecordingCluster(cluster or ground.cluster, self._undeclared)
        made = cast(Cluster, self.cluster)
        self.context = Context(cluster=lambda _context: made, run="the-run", seed=seed)
        self.plan = self.fault.plan(arguments, self.context)
        self.records = [dict(i.record) for i in self.plan.injections]
        self.outputs: list[Any] = []

    def inject(self) -> Broken:
        """All of them."""
        for index, injection in enumerate(self.plan.injections):
            self.context.save = lambda record, index=index: self.records.__setitem__(
                index, dict(record)
            )
            self.outputs.append(self.fault.inject(injection, self.context))
        return self

    def undo(self) -> list[str]:
        """All of them, newest first."""
        return [self.fault.undo(record, self.context) for record in reversed(self.records)]

    @property
    def needs(self) -> tuple[Need, ...]:
        """What it has declared."""
        assert self.fault.needs is not None, f"{self.fault.name} declares no needs"
        here = self.cluster.whereabouts()
        own = self.cluster.own_namespace
        call = Call.of(
            self.fault.planner,
            self.arguments,
            own_namespace=own,
            pod_namespace=here.namespace if here.pod else "",
            resource=self.cluster.resource,
        )
        return smallest(self.fault.needs(call))

    def _undeclared(self, used: Need) -> str:
        if any(need.covers(used) for need in self.needs):
            return ""
        return f"{self.fault.name} did not declare: {used}; it declared: {'; '.join(map(str, self.needs))}"

    @property
    def targets(self) -> list[str]:
        return [i.target for i in self.plan.injections]


def clusters(ground: Ground) -> Callable[[str | None], Any]:
    """ports.Clusters of the one."""
    return lambda _context: ground.cluster


def survives_kill_anywhere(
    ground: Ground,
    folder: Path,
    mortals: Mortals,
    fault: str,
    arguments: Mapping[str, Any],
    look: Callable[[], Object],
) -> int:
    """Kill a process between any two of its calls; the ledger, and then the cluster alone, bring all back.

    ``look`` gives what has to be the same again. Gives how many moments there were to die at.
    """
    double = ground.double
    assert double is not None
    before = look()
    config = double.kubeconfig(folder / "mortal")
    calls = _calls(double, lambda: _lives(mortals, config, folder / "whole.json", fault, arguments))
    assert look() == before
    changed = killed = 0
    for number in range(calls):
        for moment in ("before", "after"):
            for way in ("ledger", "cluster"):
                ledger = folder / f"{number}-{moment}-{way}.json"
                killed += _dies(ground, mortals, config, ledger, fault, arguments, number, moment)
                changed += look() != before
                if way == "ledger":
                    made = find_fault(fault)
                    for record in reversed(records(ledger)):
                        made.undo(record, Context(cluster=clusters(ground)))
                else:
                    told = list(recover_cluster(clusters(ground)))
                    assert {t.status for t in told} <= {"undone", "nothing-to-undo"}, told
                assert look() == before, (number, moment, way)
    # It was killed while the fault was there, too. Where a controller wrote in between, one of the lives
    # has a call more than another.
    assert changed
    assert killed >= 4 * (calls - 1)
    return calls * 2


def _lives(
    mortals: Mortals, config: Path, ledger: Path, fault: str, arguments: Mapping[str, Any]
) -> None:
    mortals.start(config, ledger, fault, arguments)
    assert mortals.wait() == 0


def _calls(double: Any, work: Callable[[], None]) -> int:
    first = len(double.requests)
    work()
    return len(double.requests) - first


def _dies(
    ground: Ground,
    mortals: Mortals,
    config: Path,
    ledger: Path,
    fault: str,
    arguments: Mapping[str, Any],
    number: int,
    moment: str,
) -> bool:
    double = ground.double
    first = len(double.requests)

    def kill(seen: int, _request: Any) -> None:
        if seen - first == number:
            while not mortals.pid:
                pass
            mortals.kill()
            if moment == "before":
                raise ConnectionAbortedError

    mortals.pid = 0
    setattr(double.trouble, moment, kill)
    try:
        mortals.start(config, ledger, fault, arguments)
        code = mortals.wait()
    finally:
        setattr(double.trouble, moment, lambda _number, _request: None)
    assert code in (0, 9)
    return code == 9
