"""NetworkPolicies that isolate pods, on the double or a real cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from sloguard.engine.recover_cluster import recover_cluster
from sloguard.faults.base import FaultError
from sloguard.faults.targets import matcher
from sloguard.ports.resources import NETWORK_POLICIES
from tests.support.cluster_faults import Broken, clusters, survives_kill_anywhere
from tests.support.clusters import Ground
from tests.support.mortals import Mortals

pytestmark = pytest.mark.cluster

ISOLATE = "netpol.isolate_pods"


@pytest.fixture(scope="module")
def mortals() -> Iterator[Mortals]:
    with Mortals() as made:
        yield made


@pytest.fixture
def shop(ground: Ground) -> str:
    ground.nodes(1)
    namespace = ground.namespace()
    ground.deployment(namespace, replicas=2)
    theirs = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}
    ground.create(NETWORK_POLICIES, namespace, "theirs", theirs)
    return namespace


def policies(ground, namespace):
    found = ground.cluster.list(NETWORK_POLICIES, namespace)
    return {p["metadata"]["name"]: p["spec"] for p in found}


def ours(ground, namespace):
    (found,) = [s for n, s in policies(ground, namespace).items() if n != "theirs"]
    return found


def test_isolated_and_not_any_more(ground, shop):
    before = policies(ground, shop)
    broken = Broken(
        ground, ISOLATE, {"label_selector": "app=checkout", "ns": shop, "allow_dns": False}
    )
    assert "isolate 2 pods (both)" in broken.plan.summary
    broken.inject()
    assert len(broken.outputs[0]["pods"]) == 2
    spec = ours(ground, shop)
    assert spec["podSelector"] == {"matchLabels": {"app": "checkout"}}
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert not spec.get("ingress")
    assert not spec.get("egress")
    assert broken.undo()[0].startswith("deleted NetworkPolicy")
    assert policies(ground, shop) == before
    assert broken.undo() == [""]


@pytest.mark.parametrize(("direction", "types"), [("ingress", ["Ingress"]), ("egress", ["Egress"])])
def test_one_direction(ground, shop, direction, types):
    broken = Broken(
        ground, ISOLATE, {"label_selector": "app=checkout", "ns": shop, "direction": direction}
    ).inject()
    spec = ours(ground, shop)
    assert spec["policyTypes"] == types
    if direction == "egress":
        assert [p["port"] for p in spec["egress"][0]["ports"]] == [53, 53]
    broken.undo()


def allows(peers: list[Mapping], namespace: str, labels: Mapping[str, str]) -> bool:
    """Whether a policy's peers include a pod, as the API defines it."""
    spaces = {"kubernetes.io/metadata.name": namespace}
    return any(
        matcher(p.get("namespaceSelector", {}))(spaces)
        and matcher(p.get("podSelector", {}))(labels)
        for p in peers
    )


@pytest.mark.parametrize(
    ("namespace", "labels", "reached"),
    [
        ("pay", {"app": "db", "tier": "x"}, False),
        ("pay", {"app": "db"}, True),
        ("pay", {"app": "web", "tier": "x"}, True),
        ("pay", {}, True),
        ("other", {"app": "db", "tier": "x"}, True),
    ],
)
def test_towards_some_pods_only(ground, shop, namespace, labels, reached):
    arguments = {"label_selector": "app=checkout", "ns": shop, "direction": "egress", "to_label_selector": "app=db,tier=x", "to_ns": "pay"}  # fmt: skip
    broken = Broken(ground, ISOLATE, arguments).inject()
    peers = next(rule["to"] for rule in ours(ground, shop)["egress"] if "to" in rule)
    assert allows(peers, namespace, labels) is reached
    broken.undo()


def test_towards_some_pods_of_any_namespace(ground, shop):
    arguments = {"label_selector": "app=checkout", "ns": shop, "to_label_selector": "app=db"}
    broken = Broken(ground, ISOLATE, arguments).inject()
    peers = ours(ground, shop)["ingress"][0]["from"]
    assert not allows(peers, "anywhere", {"app": "db"})
    assert allows(peers, "anywhere", {"app": "web"})
    broken.undo()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"label_selector": "app=none"}, "no pod in namespace shop-"),
        ({"label_selector": "app in (a)"}, "label_selector: expected labels such as"),
        ({"label_selector": "app!=a"}, "label_selector: expected labels such as"),
        ({"direction": "up"}, "direction: expected one of both"),
        ({"to_ns": "x"}, "to_ns: say which pods"),
        ({"ns": "shop-*"}, "ns: expected the name of one namespace"),
        (
            {"ns": "nowhere-at-all"},
            "in namespace nowhere-at-all has the labels .*is there such a namespace",
        ),
    ],
)
def test_what_cannot_be_done_is_said_before(ground, shop, arguments, problem):
    with pytest.raises(FaultError, match=problem):
        Broken(ground, ISOLATE, {"label_selector": "app=checkout", "ns": shop, **arguments})


def test_recovery_from_the_cluster_alone(ground, shop):
    before = policies(ground, shop)
    Broken(ground, ISOLATE, {"label_selector": "app=checkout", "ns": shop}).inject()
    told = [t for t in recover_cluster(clusters(ground)) if shop in t.target]
    assert [(t.status, t.fault) for t in told] == [("undone", ISOLATE)]
    assert policies(ground, shop) == before


def test_killed_between_any_two_calls(ground, shop, tmp_path, mortals):
    arguments = {"label_selector": "app=checkout", "ns": shop}
    survives_kill_anywhere(
        ground, tmp_path, mortals, ISOLATE, arguments, lambda: policies(ground, shop)
    )
