"""A thousand services that do not exist: their pods and routes, who calls whom, and what a fault does to them.

Everything follows from a seed. What is broken shows in error ratios as in life: at the service that is hit, and at
those that call it, for as long as it lasts and a lookback longer.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sloguard.core.series import LabelSet, Matrix, Sample, Vector, label_set
from sloguard.core.windows import Grid
from sloguard.ports import ClockOffset, RecordingRule, Selection

LOOKBACK, STEP = 60.0, 15.0
PODS, NODES_EVERY, NAMESPACE_OF = 3, 30, 10
#: Of all services: those that a lost pod hurts for long, and calls that have no fallback.
WEAK, WITHOUT_FALLBACK = 0.1, 0.3
#: Each service calls so many others; so many of all calls lead into another cluster.
CALLS, ABROAD = 3, 0.05
REST = 0.001


@dataclass(frozen=True, slots=True)
class Service:
    """One service."""

    name: str
    namespace: str
    cluster: int
    weak: bool
    labels: LabelSet


@dataclass(frozen=True, slots=True)
class Effect:
    """Errors of a service for a while (seconds since the epoch), and the target whose fault they come of."""

    service: str
    begin: float
    end: float
    errors: float
    target: str


@dataclass
class Town:
    """Services over clusters. ``callers``: who calls a service, and whether with a fallback."""

    count: int
    clusters: int
    seed: int
    services: dict[str, Service] = field(default_factory=dict)
    callers: dict[str, list[tuple[str, bool]]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        dice = random.Random(f"town {self.seed} {self.count}")
        names = [f"svc-{number:04d}" for number in range(self.count)]
        for number, name in enumerate(names):
            namespace = f"team-{number // NAMESPACE_OF:03d}"
            # Whole namespaces live in one cluster.
            cluster = number // NAMESPACE_OF % self.clusters
            labels = label_set({"namespace": namespace, "service": name})
            self.services[name] = Service(name, namespace, cluster, dice.random() < WEAK, labels)
        at_home: dict[int, list[str]] = defaultdict(list)
        for one in self.services.values():
            at_home[one.cluster].append(one.name)
        for name, one in self.services.items():
            for _ in range(CALLS):
                abroad = self.clusters > 1 and dice.random() < ABROAD
                called = dice.choice(names if abroad else at_home[one.cluster])
                if called != name:
                    self.callers[called].append((name, dice.random() >= WITHOUT_FALLBACK))

    def of(self, cluster: int) -> list[Service]:
        """The services of a cluster, by name."""
        return [one for one in self.services.values() if one.cluster == cluster]

    def objects(self, cluster: int) -> list[dict[str, Any]]:
        """What the cluster's API would list."""
        made: list[dict[str, Any]] = []
        services = self.of(cluster)
        nodes = [f"node-{n}" for n in range(max(len(services) * PODS // NODES_EVERY, 1))]
        for number, one in enumerate(services):
            route = [{"route": [{"destination": {"host": one.name}}]}]
            made.append(
                {**_object("VirtualService", one.name, one.namespace), "spec": {"http": route}}
            )
            made += [
                _pod(one, index, nodes[(number * PODS + index) % len(nodes)])
                for index in range(PODS)
            ]
        return made

    def effects(self, fault: str, target: str, at: float, restored: float) -> list[Effect]:
        """What a fault on a target (``namespace/name``) does, to whom and for how long."""
        name = target.partition("/")[2]
        if fault.startswith("pods."):
            service = name.rpartition("-")[0]
            weak = self.services[service].weak
            lasts, errors = (90.0, 0.12) if weak else (20.0, 0.04)
            return [Effect(service, at, at + lasts + LOOKBACK, errors, target)]
        return [
            Effect(caller, at, restored + LOOKBACK, REST if fallback else 0.2, target)
            for caller, fallback in self.callers[name]
        ]


def _object(kind: str, name: str, namespace: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "uid": f"{kind}/{namespace}/{name}"}
    return {"apiVersion": "v1", "kind": kind, "metadata": {**metadata, "resourceVersion": "1"}}


def _pod(one: Service, index: int, node: str) -> dict[str, Any]:
    made = _object("Pod", f"{one.name}-{index}", one.namespace)
    owner = {"kind": "ReplicaSet", "name": one.name, "uid": f"rs/{one.name}", "controller": True}
    made["metadata"] |= {"labels": {"app": one.name}, "ownerReferences": [owner]}
    return {
        **made,
        "spec": {"nodeName": node, "containers": [{"name": one.name}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }


class TownMetrics:
    """ports.Metrics of one cluster: what its Prometheus would answer, given what is broken where.

    ``bad`` and ``total`` are answered by service; every call is counted. ``now`` cuts off what is to come.
    """

    def __init__(self, services: Sequence[Service], effects: Iterable[Effect], seed: int) -> None:
        self._services = services
        self._rows = {one.name: row for row, one in enumerate(services)}
        self._effects = [e for e in effects if e.service in self._rows]
        self._seed = seed
        self.calls = 0

    def range(self, query: str, grid: Grid) -> Matrix:
        self.calls += 1
        if query.startswith("count("):
            there = np.ones((1, grid.count))
            return Matrix(grid, ((),), there, there > 0)
        if query not in ("bad", "total"):
            return Matrix.empty(grid)
        values = self._values(query, grid.times)
        labels = tuple(one.labels for one in self._services)
        return Matrix(grid, labels, values, np.ones(values.shape, dtype=bool))

    def instant(self, query: str, at: float | None = None) -> Vector:
        self.calls += 1
        when = at or 0.0
        if query not in ("bad", "total"):
            return Vector((Sample((), when, 0.0),) if query == "guard" else ())
        column = self._values(query, np.array([when]))[:, 0].tolist()
        pairs = zip(self._services, column, strict=True)
        return Vector(tuple(Sample(one.labels, when, value) for one, value in pairs))

    def _values(self, query: str, times: np.ndarray) -> np.ndarray:
        shape = (len(self._services), len(times))
        if query == "total":
            return np.full(shape, 50.0)
        # Noise that hangs on nothing but the series and the time.
        phase = np.arange(shape[0])[:, None] * 12.9898 + times[None, :] * 0.0782 + self._seed
        errors = REST * (1 + 0.5 * np.sin(phase))
        for one in self._effects:
            row = errors[self._rows[one.service]]
            row[:] = np.where(
                (times >= one.begin) & (times < one.end), np.maximum(row, one.errors), row
            )
        return errors * 50.0

    def scrape_interval(self, selections: Sequence[Selection]) -> float | None:  # noqa: ARG002 - the port's
        self.calls += 1
        return STEP

    def recording_rules(self) -> Sequence[RecordingRule]:
        self.calls += 1
        return ()

    def clock_offset(self) -> ClockOffset:
        return ClockOffset(0.0, 0.001)


def causes(effects: Iterable[Effect]) -> Mapping[str, frozenset[str]]:
    """By service: the targets whose faults really were felt there."""
    found: dict[str, set[str]] = defaultdict(set)
    for one in effects:
        if one.errors > REST:
            found[one.service].add(one.target)
    return {service: frozenset(targets) for service, targets in found.items()}
