"""Faults on a cluster, step by step: what every family's tests do with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sloguard.engine.recover_cluster import recover_cluster
from sloguard.faults.base import Context, find_fault
from sloguard.ports import Cluster, Object
from sloguard.ports.rights import Call, Need, smallest
from tests.fakes.recording import RecordingCluster
from tests.support.clusters import Ground
from tests.support.mortals import Mortals, records
from tests.support.passage import Passage


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
        self.cluster = RecordingCluster(cluster or ground.view, self._undeclared)
        made = cast(Cluster, self.cluster)
        self.context = Context(cluster=lambda _context: made, run=ground.run, seed=seed)
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
    """ports.Clusters of the one; over all its namespaces only what is the test's own is seen."""
    return lambda _context: ground.view


def survives_kill_anywhere(
    ground: Ground,
    folder: Path,
    mortals: Mortals,
    fault: str,
    arguments: Mapping[str, Any],
    look: Callable[[], Object],
) -> int:
    """Kill a process between any two of its calls; the ledger, and then the cluster alone, bring all back.

    ``look`` gives what has to be the same again. Gives how many moments there were to die at. The calls go
    over ``ground.passage``, so that this works on a real cluster, too.
    """
    before = look()
    passage = ground.passage
    job = _Job(mortals, passage.kubeconfig(folder / "mortal"), fault, arguments, ground.run)
    assert job.run(folder / "whole.json") == 0
    assert look() == before
    changed, number = 0, 0
    # Where a controller wrote in between, one of the lives has a call or two more than another: there is no
    # number of calls, only a moment that nobody lives to see.
    while True:
        killed = False
        for moment in ("before", "after"):
            for way in ("ledger", "cluster"):
                ledger = folder / f"{number}-{moment}-{way}.json"
                killed |= _dies(passage, job, ledger, number, moment)
                changed += look() != before
                if way == "ledger":
                    made = find_fault(fault)
                    for record in reversed(records(ledger)):
                        made.undo(record, Context(cluster=clusters(ground)))
                else:
                    told = list(recover_cluster(clusters(ground)))
                    assert {t.status for t in told} <= {"undone", "nothing-to-undo"}, told
                assert look() == before, (number, moment, way)
        if not killed:
            break
        number += 1
    assert number >= 4  # a look, a plan, the fault, its undo
    assert changed  # it was killed while the fault was there, too
    return number * 2


@dataclass
class _Job:
    """A fault, injected and undone by a process that may be killed."""

    mortals: Mortals
    config: Path
    fault: str
    arguments: Mapping[str, Any]
    of: str

    def run(self, ledger: Path) -> int:
        """How it ended."""
        self.mortals.pid = 0
        self.mortals.start(self.config, ledger, self.fault, self.arguments, self.of)
        return self.mortals.wait()


def _dies(passage: Passage, job: _Job, ledger: Path, number: int, moment: str) -> bool:
    """Whether it made so many calls that it could be killed."""
    first, mortals = len(passage.requests), job.mortals

    def kill(seen: int, _request: Any) -> None:
        if seen - first == number:
            while not mortals.pid:
                pass
            mortals.kill()
            if moment == "before":
                raise ConnectionAbortedError

    setattr(passage.trouble, moment, kill)
    try:
        code = job.run(ledger)
    finally:
        setattr(passage.trouble, moment, lambda _number, _request: None)
    assert code in (0, 9)
    return code == 9
