"""Which services a fault hits: by its target, by what suffers with it, else by the run's tags."""

from __future__ import annotations

import json
from typing import Any

from sloguard.core.reporting import RunSource
from sloguard.render.report.known import Known, KnownExperiment, Past
from sloguard.render.report.making import weekly_model
from sloguard.render.report.period import week
from sloguard.render.report.rows import Rows

WEEK = week("2026-W47")
KNOWN = Known(
    experiments=[KnownExperiment(name="x", services=("checkout", "cart", "payment", "search"))]
)


def services(*faults: dict[str, Any], tags: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """Services that were hit, with the faults that did."""
    document = {"slos": [], "faults": [{"status": "undone", **fault} for fault in faults]}
    source = RunSource("r1", "x", "X", tags, "run", WEEK.start + 60, WEEK.start + 120, "met", "", 100.0, json.dumps(document))  # fmt: skip
    model = weekly_model(Rows.of([source]), [WEEK], Past(), KNOWN, now=WEEK.end)
    found = {row["service"]: row["faults"] for row in model["radius"]["services"] if row["runs"]}
    assert model["radius"]["services_hit"] == len(found)
    return found


def test_a_target_names_its_service() -> None:
    assert services({"fault": "pods.terminate_pods", "target": "shop/checkout-7d4f"}) == {
        "checkout": ["pods.terminate_pods"]
    }


def test_the_pods_of_a_node_are_hit_with_it() -> None:
    drained = {
        "fault": "sloguard.faults.nodes.drain_nodes",
        "target": "node-3",
        "hit": ["shop/cart-5f-x", "shop/checkout-7d4f", "shop/checkout-9c1a", "kube/proxy-1"],
    }
    assert services(drained) == {"cart": ["nodes.drain_nodes"], "checkout": ["nodes.drain_nodes"]}
    # What the pods say is better than what the run is tagged with.
    assert set(services(drained, tags=("service:search",))) == {"cart", "checkout"}


def test_where_nothing_names_a_service_the_tags_do() -> None:
    cut = {"fault": "network.partition", "target": "10.0.0.7"}
    assert services(cut) == {}
    assert set(services(cut, tags=("service:payment", "team:x", "service:new"))) == {"payment", "new"}  # fmt: skip


def test_what_was_only_planned_hits_nobody() -> None:
    planned = {"fault": "a.b", "target": "cart", "status": "planned"}
    assert services(planned, tags=("service:cart",)) == {}


def test_a_cordoned_node_hits_nobody() -> None:
    assert services({"fault": "nodes.cordon_node", "target": "node-3"}) == {}
