"""The faults of each overlay's experiments, with its account's token and nothing else: planned, locked, injected, undone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts.deploy import ACCOUNTS, RECOVERING, experiments_of
from sloguard.adapters.kubernetes_locks import LeaseLocks
from sloguard.engine.aliases import drivers_for, provider_of
from sloguard.engine.recover_cluster import recover_cluster
from sloguard.faults.base import Context, find_fault
from sloguard.ports import ClusterForbidden
from sloguard.ports.resources import DEPLOYMENTS, NODES
from sloguard.spec import read
from tests.support.accounts import Account
from tests.support.clusters import Ground, essence
from tests.support.manifests import built, needs_kubectl
from tests.support.own_view import OwnView
from tests.support.staging import Stage

pytestmark = [pytest.mark.cluster, needs_kubectl]
RBAC = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
#: Where experiments have a choice, the one that is quick here.
QUICK = {"drain_timeout": "60s", "times": 1, "leave_at_least": 0, "zone": "zone-a"}
SERVICES = ("checkout", "stock")


class Scene:
    """An overlay's account, and what its experiments are about: a node, a service on it, its routes."""

    def __init__(self, ground: Ground, overlay: str, folder: Path) -> None:
        self.ground, self.overlay = ground, overlay
        stage = Stage(ground, built(f"overlays/{overlay}"))
        self.shop = stage.place("shop")
        stage.apply(RBAC)
        self.account: Account = stage.account(ACCOUNTS[overlay], folder)
        self.nodes = ground.nodes(2)
        for name, node in zip(SERVICES, self.nodes, strict=True):
            ground.deployment(self.shop, name, 2, {"kubernetes.io/hostname": node})
        ground.virtual_service(self.shop)

    def view(self, _context: str | None = None) -> Any:
        """The cluster as the account sees it, without what others have there."""
        return OwnView(self.account.cluster, self.ground.mine, self.ground.run)

    def faults(self) -> list[tuple[str, dict[str, Any]]]:
        """Every fault of every experiment; of random chaos each one that may be drawn."""
        found: list[tuple[str, dict[str, Any]]] = []
        for file in experiments_of(self.overlay):
            experiment = read(file, variables=self._variables(file)).experiment
            for activity in experiment.method:
                drivers = drivers_for(experiment, wanted=False)
                provider = provider_of(activity, experiment, drivers)
                name = f"{provider['module'].rpartition('.')[2]}.{provider['func']}"
                given = dict(provider["arguments"])
                if "min_age" in given:
                    given["min_age"] = "0s"
                if name == "random.chaos":
                    found += [
                        (
                            one["fault"],
                            {**self._somewhere(one["fault"]), **one.get("arguments", {})},
                        )
                        for one in given["faults"]
                    ]
                else:
                    found.append((name, given))
        return found

    def _variables(self, file: Path) -> dict[str, Any]:
        known = file.read_text("utf-8")
        wanted = {**QUICK, "namespace": self.shop, "fault_namespaces": self.shop}
        return {k: v for k, v in wanted.items() if f"\n  {k}:" in known}

    def _somewhere(self, fault: str) -> dict[str, Any]:
        if fault.startswith("nodes."):
            return {"count": 1, "leave_at_least": 1}
        return {"ns": self.shop, "rand": True, "qty": 1}

    def settle(self) -> None:
        """Until the controllers have brought back what went."""
        for name in SERVICES:
            self.ground.ready_pods(self.shop, f"app={name}", 2)

    def seen(self) -> list[Any]:
        direct = self.ground.direct
        found = [
            direct.get(self.ground.virtual_services(), "checkout", self.shop),
            *(direct.get(DEPLOYMENTS, name, self.shop) for name in SERVICES),
            *(direct.get(NODES, name) for name in self.nodes),
        ]
        return [essence(one) for one in found]


@pytest.fixture(params=sorted(ACCOUNTS))
def scene(ground: Ground, tmp_path: Path, request: pytest.FixtureRequest) -> Scene:
    return Scene(ground, request.param, tmp_path)


def test_every_fault_of_the_overlay_is_done_and_undone(scene: Scene) -> None:
    faults = scene.faults()
    assert faults
    before = scene.seen()
    locks = LeaseLocks(scene.view)
    for name, arguments in faults:
        fault, context = find_fault(name), Context(cluster=scene.view, run=scene.ground.run)
        records: list[dict[str, Any]] = []
        plan = fault.plan(arguments, context)
        assert plan.injections, name
        locks.acquire(sorted({one.lock for one in plan.injections}), "a test")
        try:
            for injection in plan.injections:
                records.append(dict(injection.record))
                context.save = lambda record: records.__setitem__(-1, dict(record))  # noqa: B023 - called within
                fault.inject(injection, context)
        finally:
            for record in reversed(records):
                fault.undo(record, context)
            locks.release()
        scene.settle()
        assert scene.seen() == before, name


def test_what_a_dead_run_has_left_is_recovered_by_the_service(scene: Scene) -> None:
    """By the records on the objects, where the overlay has a service; elsewhere nobody may look for them."""
    if scene.overlay in ("cluster", "random-chaos") and scene.ground.double is None:
        pytest.skip("others may be there, too")
    before = scene.seen()
    dead = Context(cluster=lambda _context: scene.ground.direct, run="a-dead-run")
    fault = find_fault("istio.add_abort_fault")
    for injection in fault.plan(
        {"ns": scene.shop, "virtual_service_name": "checkout"}, dead
    ).injections:
        fault.inject(injection, dead)
    assert scene.seen() != before
    places = [scene.shop] if scene.overlay in ("namespace", "one-shot") else None
    if scene.overlay in RECOVERING:
        told = list(recover_cluster(scene.view, namespaces=places))
        assert [one.status for one in told] == ["undone"]
    else:
        with pytest.raises(ClusterForbidden):
            list(recover_cluster(scene.view, namespaces=places))
        list(recover_cluster(lambda _context: scene.ground.direct, namespaces=[scene.shop]))
    assert scene.seen() == before
