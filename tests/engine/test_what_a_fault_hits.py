"""A fault's record tells what suffers besides its target."""

from __future__ import annotations

from sloguard.core.document import fault_json
from sloguard.core.model import FaultRecord
from sloguard.engine.ledger import Injected
from sloguard.faults.base import Fault, Injection, find_fault


def told(injection: Injection) -> FaultRecord:
    drain: Fault = find_fault("nodes.drain_nodes")
    return Injected.planned("r1", "method[0]", drain, "", injection).told("injected")


def test_pods_of_a_node_are_told_beside_it() -> None:
    hits = {"Node": frozenset({"node-1"}), "Pod": frozenset({"shop/b", "shop/a"})}
    found = told(Injection(target="node-1", record={}, hits=hits))
    assert found.hit == ("shop/a", "shop/b")
    assert fault_json(found)["hit"] == ["shop/a", "shop/b"]


def test_a_target_is_not_beside_itself() -> None:
    found = told(Injection(target="shop/a", record={}, hits={"Pod": frozenset({"shop/a"})}))
    assert found.hit == ()
    assert "hit" not in fault_json(found)


def test_there_is_an_end_to_it() -> None:
    many = frozenset(f"shop/{n:05}" for n in range(2000))
    assert len(told(Injection(target="node-1", record={}, hits={"Pod": many})).hit) == 500
