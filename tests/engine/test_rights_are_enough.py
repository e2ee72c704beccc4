"""The roles that sloguard works out, on a cluster with RBAC: enough for a fault, and no rule too many."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, cast

import pytest

from sloguard.adapters.kubernetes_locks import LeaseLocks
from sloguard.engine.recover_cluster import recover_cluster
from sloguard.engine.rights import recovering
from sloguard.faults.base import Context, FaultError, find_fault
from sloguard.ports import ClusterForbidden, Object
from sloguard.ports.rights import Call, Need, smallest
from sloguard.render.rbac import roles
from tests.fakes.recording import RecordingCluster
from tests.support.accounts import Account
from tests.support.clusters import Ground, essence

pytestmark = pytest.mark.cluster

NS, NODE = "{ns}", "{node}"
MANIFEST = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "made"},
    "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("pods.terminate_pods", {"ns": NS, "owner": "deployment/checkout", "grace_period": 0}),
    ("pods.terminate_pods", {"ns": NS, "label_selector": "app=checkout", "evict": True}),
    ("deployments.scale_deployment", {"ns": NS, "name": "checkout", "replicas": 1}),
    ("deployments.delete_deployment", {"ns": NS, "name": "checkout"}),
    ("istio.add_abort_fault", {"ns": NS, "virtual_service_name": "checkout"}),
    ("istio.add_delay_fault", {"ns": NS, "rand": True}),
    ("netpol.isolate_pods", {"ns": NS, "label_selector": "app=checkout"}),
    ("nodes.cordon_node", {"name": NODE}),
    ("nodes.drain_nodes", {"name": NODE, "timeout": 60}),
    ("kubernetes.apply", {"ns": NS, "manifest": MANIFEST}),
]  # fmt: skip


class Attempt:
    """One fault, planned, locked, injected and undone with the account's rights alone."""

    def __init__(self, ground: Ground, account: Account, fault: str, arguments: Any) -> None:
        self.fault, self.arguments = find_fault(fault), arguments
        self._ground, self._account = ground, account

    @property
    def needs(self) -> tuple[Need, ...]:
        assert self.fault.needs is not None
        own = self._account.namespace
        call = Call.of(self.fault.planner, self.arguments, own_namespace=own)
        return smallest(self.fault.needs(call))

    def go(self) -> None:
        """Raises what it is refused; whatever it has left is taken away by somebody who may."""
        context = Context(cluster=lambda _context: self._account.cluster, run=self._ground.run)
        locks = LeaseLocks(lambda _context: self._account.cluster)
        records: list[dict[str, Any]] = []
        try:
            plan = self.fault.plan(self.arguments, context)
            locks.acquire(sorted({i.lock for i in plan.injections}), "a test")
            for injection in plan.injections:
                records.append(dict(injection.record))
                context.save = lambda record: records.__setitem__(-1, dict(record))
                self.fault.inject(injection, context)
            for record in reversed(records):
                self.fault.undo(record, context)
        finally:
            locks.release()
            able = Context(cluster=lambda _context: self._ground.direct)
            for record in reversed(records):
                with contextlib.suppress(FaultError):
                    self.fault.undo(record, able)


@pytest.fixture
def account(ground: Ground, tmp_path: Path) -> Account:
    return Account(ground, tmp_path)


@pytest.fixture
def world(ground: Ground) -> dict[str, str]:
    ns, node = ground.namespace(), ground.node()
    ground.deployment(ns, replicas=2, on={"kubernetes.io/hostname": node})
    ground.virtual_service(ns)
    return {"ns": ns, "node": node}


def seen(ground: Ground, world: dict[str, str]) -> list[Object]:
    from sloguard.ports.resources import DEPLOYMENTS, NODES

    service = ground.direct.get(ground.virtual_services(), "checkout", world["ns"])
    deployment = ground.direct.get(DEPLOYMENTS, "checkout", world["ns"])
    return [essence(o) for o in (service, deployment, ground.direct.get(NODES, world["node"]))]


def allowed(account: Account, need: Need) -> bool:
    return account.cluster.allowed(
        need.verb, need.resource, need.namespace, subresource=need.subresource, name=need.name
    ).allowed


@pytest.mark.parametrize(
    ("fault", "arguments"), CASES, ids=[f"{name}-{i}" for i, (name, _) in enumerate(CASES)]
)
def test_the_roles_are_enough_and_no_rule_is_too_many(ground, world, account, fault, arguments):
    given = {
        key: value.format(**world) if isinstance(value, str) else value
        for key, value in arguments.items()
    }
    attempt = Attempt(ground, account, fault, given)
    before = seen(ground, world)
    with refused():
        attempt.go()
    made = roles(
        attempt.needs, name=f"sloguard-{ground.mark}", account=(account.namespace, account.name)
    )
    account.give(made)
    account.soon(lambda: all(allowed(account, need) for need in attempt.needs))
    attempt.go()
    settle(ground, world)
    assert seen(ground, world) == before
    for role in [body for body in made if "rules" in body]:
        for index in range(len(role["rules"])):
            rest = [rule for number, rule in enumerate(role["rules"]) if number != index]
            account.set_rules(role, rest)
            account.soon(lambda: not all(allowed(account, need) for need in attempt.needs))
            with refused():
                attempt.go()
            account.set_rules(role, role["rules"])
            account.soon(lambda: all(allowed(account, need) for need in attempt.needs))
            settle(ground, world)
    assert seen(ground, world) == before


def refused() -> Any:
    return pytest.raises((ClusterForbidden, FaultError), match="403 Forbidden")


def settle(ground: Ground, world: dict[str, str]) -> None:
    """Until the controllers have brought back what went."""
    ground.ready_pods(world["ns"], "app=checkout", 2)


LEFT: list[tuple[str, dict[str, Any]]] = [
    ("netpol.isolate_pods", {"ns": NS, "label_selector": "app=checkout"}),
    ("istio.add_abort_fault", {"ns": NS, "virtual_service_name": "checkout"}),
    ("deployments.scale_deployment", {"ns": NS, "name": "checkout", "replicas": 1}),
    ("deployments.delete_deployment", {"ns": NS, "name": "checkout"}),
    ("nodes.cordon_node", {"name": NODE}),
]


@pytest.mark.parametrize("where", ["cluster", "namespace"])
def test_what_recovery_takes_is_enough_for_what_faults_leave(ground, world, account, where):
    if where == "cluster" and ground.double is None:
        pytest.skip("others may be there, too")
    before = seen(ground, world)
    left = [one for one in LEFT if where == "cluster" or not one[0].startswith("nodes")]
    for name, arguments in left:
        fault, able = find_fault(name), Context(cluster=lambda _c: ground.direct, run="a-dead-run")
        given = {k: v.format(**world) if isinstance(v, str) else v for k, v in arguments.items()}
        for injection in fault.plan(given, able).injections:
            fault.inject(injection, able)
    places = None if where == "cluster" else [world["ns"]]
    needs = [demand.need for demand in recovering(places)]
    made = roles(needs, name=f"sloguard-{ground.mark}", account=(account.namespace, account.name))
    assert {body["kind"] for body in made if "rules" in body} == (
        {"ClusterRole"} if where == "cluster" else {"Role"}
    )
    account.give(made)
    account.soon(lambda: all(allowed(account, need) for need in needs))
    recorder = RecordingCluster(account.cluster)
    told = list(recover_cluster(lambda _c: cast(Any, recorder), namespaces=places))
    assert {one.status for one in told} <= {"undone", "nothing-to-undo"}, told
    settle(ground, world)
    assert seen(ground, world) == before
    # Each kind is looked through, and nothing else is done than what was declared.
    listed = {n.resource.plural for n in recorder.used.values() if n.verb == "list"}
    assert listed == {n.resource.plural for n in needs if n.verb == "list"}
    for used in recorder.used.values():
        assert any(need.covers(used) for need in needs), f"not declared: {used}"
