"""Every experiment of experiments/kubernetes, unchanged, by the command line, before a real Prometheus.

A sturdy shop keeps its promise and a fragile one does not, and the cluster is afterwards what it was before.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.mesh.field import EXPERIMENTS, Case, Ended, Field
from tests.support.mesh.shop import alone, fragile, sturdy
from tests.support.servers import has

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not has("prometheus"), reason="Prometheus is not installed"),
]

#: Experiment -> what it needs beside times and names, how the sturdy shop is, and which SLOs of the fragile one
#: have to deviate.
ALL = {
    "abort-all": ({}, sturdy, {"error-ratio"}),
    "abort-and-delay": ({}, sturdy, {"error-ratio"}),
    "abort-half": ({}, sturdy, {"error-ratio"}),
    "chaos-mesh-delay": ({}, sturdy, {"p99-latency"}),
    "delay": ({}, sturdy, {"p99-latency"}),
    "load-from-here": ({"load_for": "6s", "rate:int": "100"}, sturdy, {"error-ratio"}),
    "load-in-cluster": ({"load_for": "6s", "rate:int": "100"}, sturdy, {"error-ratio"}),
    "network-isolation": ({}, sturdy, {"error-ratio"}),
    "node-delete": ({}, sturdy, {"error-ratio"}),
    "node-drain": ({"drain_timeout": "4s"}, sturdy, {"error-ratio"}),
    "pod-alone": ({"outage": "6s"}, alone, {"error-ratio"}),
    "pod-of-a-dependency": ({}, sturdy, {"error-ratio"}),
    "pod-one-of-several": ({}, sturdy, {"error-ratio", "pods-available"}),
    "pod-random-in-cluster": ({}, sturdy, {"error-ratio"}),
    "pod-random-in-namespace": ({}, sturdy, {"error-ratio"}),
    "pods-all-of-a-service": ({"outage": "6s"}, sturdy, {"caller-error-ratio"}),
    "scale-to-zero": ({}, sturdy, {"error-ratio"}),
    "virtual-service-random": ({"name_pattern": "checkout|stock"}, sturdy, {"error-ratio"}),
    "zone-lost": ({}, sturdy, {"error-ratio"}),
}
CASES = {
    (name, kind): Case(
        f"{name}.yaml", make(f"{name}-{kind}"), variables, name.startswith("chaos-mesh")
    )
    for name, (variables, healthy, _) in ALL.items()
    for kind, make in (("sturdy", healthy), ("fragile", fragile))
}


@pytest.fixture(scope="module")
def ended(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Case, Ended]]:
    """All that are asked for, run at once."""
    asked = [i.callspec.params.get("name") for i in request.session.items if hasattr(i, "callspec")]
    cases = [case for (name, _), case in CASES.items() if name in asked]
    with Field(tmp_path_factory.mktemp("field"), cases) as field:
        yield field.run()


def test_all_experiments_are_run():
    assert sorted(f"{name}.yaml" for name in ALL) == sorted(
        p.name for p in EXPERIMENTS.glob("*.yaml")
    )


@pytest.mark.parametrize("name", ALL)
def test_a_sturdy_shop_keeps_its_promise(ended, name):
    run = ended[CASES[name, "sturdy"]]
    assert (run.document["outcome"], run.ran.code) == ("met", 0), run.document["reason"]
    assert {s["name"]: s["verdict"] for s in run.document["slos"]} == {
        s["name"]: "met" for s in run.document["slos"]
    }
    assert all(a["status"] == "succeeded" for a in run.document["activities"])
    assert run.after == run.before


@pytest.mark.parametrize("name", ALL)
def test_a_fragile_shop_deviates(ended, name):
    run = ended[CASES[name, "fragile"]]
    assert (run.document["outcome"], run.ran.code) == ("deviated", 10), run.document["reason"]
    deviated = {s["name"] for s in run.document["slos"] if s["verdict"] == "deviated"}
    assert deviated >= ALL[name][2], run.document["reason"]
    assert "fault-is-felt" not in deviated
    assert run.after == run.before
