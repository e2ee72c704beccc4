"""Many experiments at once: each on a cluster and in a world of its own, all before one real Prometheus.

An experiment mostly waits, so that many of them take not much longer than one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sloguard.ports import Object, Resource
from sloguard.ports.resources import (
    BUDGETS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    JOBS,
    LEASES,
    NETWORK_POLICIES,
    NODES,
    PODS,
    SERVICES,
)
from tests.support.clusters import Ground, essence, is_ready
from tests.support.command import ROOT, Ran
from tests.support.forked import Commands
from tests.support.mesh.founding import double_with
from tests.support.mesh.neighbours import install_chaos_mesh
from tests.support.mesh.serving import Worlds
from tests.support.mesh.shop import Shop
from tests.support.mesh.world import World
from tests.support.servers import PrometheusServer

EXPERIMENTS = ROOT / "experiments" / "kubernetes"
INTERVAL = "1s"
#: The phases of the experiments, shortened as far as the lookback allows.
TIMES = {"before": "3s", "during": "6s", "after": "7s", "lookback": "4s", "recover_within": "4s"}
#: Seconds of history until the first point of ``before`` has its whole lookback.
_HISTORY = 8.0
#: Beginning costs most: one after the other, so that no scrape is late.
_APART = 0.25
_PATIENCE = 60.0


@dataclass(frozen=True)
class Case:
    """An experiment in a world. ``variables``: beside the times and names."""

    file: str
    shop: Shop
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)
    chaos_mesh: bool = False

    @property
    def name(self) -> str:
        """Its own, and of its shop's namespace."""
        return self.shop.namespace


@dataclass(frozen=True)
class Ended:
    """How it went. ``before`` and ``after``: all objects that a fault could have left changed."""

    ran: Ran
    ground: Ground
    world: World
    before: Mapping[str, Object]
    after: Mapping[str, Object]

    @property
    def document(self) -> Any:
        """The verdict."""
        return self.ran.json

    def slo(self, name: str) -> Any:
        """One of its SLOs."""
        return next(s for s in self.document["slos"] if s["name"] == name)


class Field:
    """``with`` starts the servers, and stops them with all worlds."""

    def __init__(self, folder: Path, cases: Sequence[Case]) -> None:
        self._folder, self._cases = folder, cases
        self._worlds = Worlds()
        self._commands = Commands(folder / "commands")
        self._stack = ExitStack()
        self.prometheus = PrometheusServer(
            folder / "prometheus",
            more={"scrape_configs": self._worlds.jobs([c.name for c in cases], INTERVAL)},
        )

    def __enter__(self) -> Field:
        self._stack.enter_context(self._worlds)
        self._stack.callback(self.prometheus.kill)
        self.prometheus.start()
        for case in self._cases:
            kubeconfig = self._folder / f"{case.name}.kubeconfig"
            ground = self._stack.enter_context(double_with(case.shop, kubeconfig))
            if case.chaos_mesh:
                install_chaos_mesh(ground)
            world = self._stack.enter_context(World(ground, case.shop))
            self._worlds.worlds[case.name] = world
        self._stack.enter_context(self._commands)
        self._await_history()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self) -> dict[Case, Ended]:
        """All of them."""
        with ThreadPoolExecutor(len(self._cases)) as pool:
            ended = pool.map(self._run, self._cases, range(len(self._cases)))
            return dict(zip(self._cases, ended, strict=True))

    def _run(self, case: Case, index: int) -> Ended:
        time.sleep(index * _APART)
        world = self._worlds.worlds[case.name]
        before = everything(world.ground, case.shop.namespace)
        home = self._folder / case.name
        started = self._commands.start(
            "run",
            EXPERIMENTS / case.file,
            *("--prometheus", self.prometheus.url, "--format", "json"),
            *(part for text in self._variables(case) for part in ("--var", text)),
            home=home,
            env={"SLOGUARD_KUBERNETES_KUBECONFIG": str(self._folder / f"{case.name}.kubeconfig")},
        )
        ran = started.wait(_PATIENCE)
        _complete_again(world)
        return Ended(
            ran, world.ground, world, before, everything(world.ground, case.shop.namespace)
        )

    def _variables(self, case: Case) -> list[str]:
        """Those of the names and times that the experiment knows, and the case's own."""
        known = (EXPERIMENTS / case.file).read_text()
        usual = {
            **TIMES,
            "namespace": case.shop.namespace,
            "namespaces": case.shop.namespace,
            "url": self._worlds.url(case.name),
        }
        fitting = {k: v for k, v in usual.items() if f"\n  {k}:" in known}
        return [f"{k}={v}" for k, v in {**fitting, **case.variables}.items()]

    def _await_history(self) -> None:
        ends, wanted = time.monotonic() + 30, len(self._cases)
        while self._found("count(up == 1)") < wanted:
            assert time.monotonic() < ends, "Prometheus does not scrape all worlds"
            time.sleep(0.2)
        time.sleep(_HISTORY)

    def _found(self, query: str) -> float:
        answer = self.prometheus.get(f"/api/v1/query?query={query.replace(' ', '%20')}")
        return float((answer["data"]["result"] or [{"value": [0, 0]}])[0]["value"][1])


def everything(ground: Ground, namespace: str) -> dict[str, Object]:
    """What a fault could have left changed, without what controllers write. Pods by their number."""
    kinds = (DEPLOYMENTS, SERVICES, BUDGETS, NETWORK_POLICIES, CONFIG_MAPS, JOBS, LEASES)
    found = {
        f"{resource.kind} {obj['metadata']['name']}": essence(obj)
        for resource in (*kinds, ground.virtual_services(), NODES)
        for obj in _all(ground, resource, namespace if resource.namespaced else None)
    }
    pods = [p for p in _all(ground, PODS, namespace) if is_ready(p)]
    names = sorted(str(p["metadata"]["labels"].get("app")) for p in pods)
    return {**found, "ready pods": {"of": names}}


def _all(ground: Ground, resource: Resource, namespace: str | None) -> list[Object]:
    """Straight from a double: asking its server for all worlds' objects would take its scrapes' time."""
    if ground.double is None:
        return ground.cluster.list(resource, namespace)
    found = ground.double.state.all(resource.kind, namespace)
    return [{**obj, "kind": resource.kind} for obj in found]


def _complete_again(world: World) -> None:
    """Pods that started late are no difference: wait for them."""
    ends = time.monotonic() + 10
    wanted = sum(s.replicas for s in world.shop.services)
    while time.monotonic() < ends:
        pods = _all(world.ground, PODS, world.shop.namespace)
        if sum(map(is_ready, pods)) >= wanted:
            return
        time.sleep(0.1)
