"""Rights in all namespaces may also be given in each of those that a plan is about."""

from __future__ import annotations

from typing import Any, cast

import pytest

from sloguard.core.model import Activity, Experiment
from sloguard.engine.permission import ask
from sloguard.faults.base import Injection, Plan
from sloguard.ports import Access, Whereabouts


class Gatekeeper:
    """A cluster that only says what is allowed: (verb, resource, namespace), None for all namespaces."""

    name, own_namespace = "kind", "chaos"

    def __init__(self, *allowed: tuple[str, str, str | None]) -> None:
        self._allowed = set(allowed)

    def whereabouts(self) -> Whereabouts:
        return Whereabouts(self.name)

    def resource(self, *_: str) -> Any:
        raise AssertionError

    def allowed(self, verb: str, resource: Any, namespace: str | None = None, **_: Any) -> Access:
        asked = {(verb, resource.plural, namespace), (verb, resource.plural, None)}
        return Access(bool(asked & self._allowed))


LOOK = [("list", "pods", None), ("list", "poddisruptionbudgets", None)]
HERE = [
    (verb, kind, "shop")
    for kind, verbs in {"pods": ["delete"], "leases": ["get", "create", "update", "delete"]}.items()
    for verb in verbs
]


def asked(*allowed: Any) -> Any:
    provider = {
        "type": "python",
        "module": "sloguard.faults.pods",
        "func": "terminate_pods",
        "arguments": {"ns": "*", "rand": True},
    }
    experiment = Experiment("x", method=(Activity("method[0]", "action", "lose", provider),))
    clusters: Any = lambda _context: cast(Any, Gatekeeper(*allowed))  # noqa: E731 - ports.Clusters
    (found,) = ask(clusters, experiment)
    return clusters, found


def plan(*namespaces: str) -> Plan:
    return Plan(tuple(Injection(f"{ns}/pod", {}, lock=f"namespace:kind/{ns}") for ns in namespaces))


def test_enough_where_the_plan_is():
    clusters, found = asked(*LOOK, *HERE)
    assert len(found.denied) == 5
    assert not found.final
    assert found.narrowed(clusters, [plan("shop")]).denied == ()


@pytest.mark.parametrize("namespaces", [("shop", "bank"), ()])
def test_not_enough_where_it_goes_further_or_nowhere(namespaces):
    clusters, found = asked(*LOOK, *HERE)
    assert found.narrowed(clusters, [plan(*namespaces)]).denied


def test_without_looking_nothing_can_be_planned():
    clusters, found = asked(*LOOK[:1], *HERE)
    assert found.final
    (left,) = found.narrowed(clusters, [plan("shop")]).denied
    assert str(left.need) == "list poddisruptionbudgets.policy in all namespaces"
    assert left.activities == ("lose",)
