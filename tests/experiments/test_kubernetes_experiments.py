"""Every experiment of experiments/kubernetes, unchanged, by the command line, before a real Prometheus.

A sturdy shop keeps its promise and a fragile one does not, and the cluster is afterwards what it was before.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.support.command import sloguard
from tests.support.mesh.field import EXPERIMENTS, Ended, Field
from tests.support.mesh.living import Case
from tests.support.mesh.shop import alone, fragile, sturdy
from tests.support.servers import has

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not has("prometheus"), reason="Prometheus is not installed"),
]

#: Experiment -> what it needs beside times and names, how the sturdy shop is, and which SLOs of the fragile one
#: have to deviate, where that does not depend on what is drawn.
ALL = {
    "abort-all": ({}, sturdy, {"error-ratio"}),
    "abort-and-delay": ({}, sturdy, {"error-ratio"}),
    "abort-half": ({}, sturdy, {"error-ratio"}),
    "chaos-mesh-delay": ({}, sturdy, {"p99-latency"}),
    "delay": ({}, sturdy, {"p99-latency"}),
    "load-from-here": ({"load_for": "8s", "rate:int": "100"}, sturdy, {"error-ratio"}),
    "load-in-cluster": ({"load_for": "8s", "rate:int": "100"}, sturdy, {"error-ratio"}),
    "network-isolation": ({}, sturdy, {"error-ratio"}),
    "node-delete": ({}, sturdy, {"error-ratio"}),
    "node-drain": ({"drain_timeout": "4s"}, sturdy, {"error-ratio"}),
    "pod-alone": ({"outage": "6s"}, alone, {"error-ratio"}),
    "pod-of-a-dependency": ({}, sturdy, {"error-ratio"}),
    "pod-one-of-several": ({}, sturdy, {"error-ratio", "pods-available"}),
    "pod-random-in-cluster": ({}, sturdy, {"error-ratio"}),
    "pod-random-in-namespace": ({}, sturdy, {"error-ratio"}),
    "pods-all-of-a-service": ({"outage": "6s"}, sturdy, {"caller-error-ratio"}),
    "random-chaos": (
        {
            "every": "1s",
            "leave_at_least:int": "0",
            "hours_days": "mon-sun",
            "hours_from": "00:00",
            "hours_to": "24:00",
        },
        sturdy,
        set(),
    ),
    "scale-to-zero": ({}, sturdy, {"error-ratio"}),
    "virtual-service-random": ({"name_pattern": "checkout|stock"}, sturdy, {"error-ratio"}),
    "zone-lost": ({}, sturdy, {"error-ratio"}),
}
#: What a fragile shop would tell nothing new of: they are as others, at random or in part.
_AS_OTHERS = (
    "abort-and-delay",
    "abort-half",
    "load-in-cluster",
    "pod-random-in-cluster",
    "pod-random-in-namespace",
    "virtual-service-random",
)
CASES = {
    (name, kind): Case(f"{name}.yaml", make(f"{name}-{kind}"), variables, "chaos-mesh" in name)
    for name, (variables, healthy, _) in ALL.items()
    for kind, make in (("sturdy", healthy), ("fragile", fragile))
    if kind == "sturdy" or name not in _AS_OTHERS
}
#: One for each way of changing a cluster.
REFUSED = ("abort-half", "chaos-mesh-delay", "node-drain", "pod-one-of-several", "random-chaos")
CASES["pods-by-name", "named"] = Case(
    str(Path(__file__).with_name("pods-by-name.yaml")), sturdy("pods-by-name")
)
CASES |= {
    (name, "refusing"): replace(
        CASES[name, "sturdy"], shop=sturdy(f"{name}-refusing"), refusing=True
    )
    for name in REFUSED
}


@pytest.fixture(scope="module")
def ended(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Case, Future[Ended]]]:
    """All that are asked for, run at once; each with the rights that ``sloguard rbac`` prints, and no others."""
    here = [i for i in request.session.items if i.path == request.path and hasattr(i, "callspec")]
    asked = {item.callspec.params["case"] for item in here}
    with Field(
        tmp_path_factory.mktemp("field"), [CASES[key] for key in CASES if key in asked]
    ) as f:
        yield f.run()


def test_all_experiments_are_run():
    assert sorted(f"{name}.yaml" for name in ALL) == sorted(
        p.name for p in EXPERIMENTS.glob("*.yaml")
    )


def test_each_is_complete():
    for name in ALL:
        found = yaml.safe_load((EXPERIMENTS / f"{name}.yaml").read_text())
        assert found["description"]
        assert found["tags"]
        assert found["steady-state-hypothesis"]["slos"]
        assert all(set(v) >= {"type", "key", "default"} for v in found["configuration"].values())
        for action in found["method"]:
            assert action["provider"]["module"].startswith("sloguard.faults.")


def of(kind: str) -> list[tuple[str, str]]:
    return [key for key in CASES if key[1] == kind]


@pytest.mark.parametrize("case", of("sturdy"), ids="-".join)
def test_a_sturdy_shop_keeps_its_promise(ended, case):
    run = ended[CASES[case]].result()
    assert (run.document["outcome"], run.ran.code) == ("met", 0), run.document["reason"]
    assert {s["verdict"] for s in run.document["slos"]} == {"met"}
    assert {a["status"] for a in run.document["activities"]} == {"succeeded"}
    assert {f["status"] for f in run.document["faults"]} <= {"undone", "nothing-to-undo"}
    assert run.after == run.before


@pytest.mark.parametrize("case", of("fragile"), ids="-".join)
def test_a_fragile_shop_deviates(ended, case):
    run = ended[CASES[case]].result()
    assert (run.document["outcome"], run.ran.code) == ("deviated", 10), run.document["reason"]
    deviated = {s["name"] for s in run.document["slos"] if s["verdict"] == "deviated"}
    assert deviated >= ALL[case[0]][2], run.document["reason"]
    # What is there for proof only has seen the fault.
    assert "fault-is-felt" not in deviated
    assert 0 < run.document["time_to_impact_seconds"] <= 8
    assert any(victim["suffered"] for victim in run.document["victims"])
    assert run.after == run.before


@pytest.mark.parametrize("case", of("refusing"), ids="-".join)
def test_what_could_not_be_injected_is_never_met(ended, case):
    run = ended[CASES[case]].result()
    assert run.document["outcome"] in ("inconclusive", "deviated"), run.document["reason"]
    assert {a["status"] for a in run.document["activities"]} == {"failed"}
    if run.document["outcome"] == "inconclusive":
        assert "the fault was not injected" in run.document["reason"]
    assert run.after == run.before


def test_the_table_of_the_readme_is_whole():
    lines = (EXPERIMENTS / "README.md").read_text().splitlines()
    told = [line.split("](")[1].split(")")[0] for line in lines if line.startswith("| [")]
    assert sorted(told) == sorted(f"{name}.yaml" for name in ALL)


@pytest.mark.parametrize("case", of("named"), ids="-".join)
def test_a_series_that_ends_with_its_pod_is_not_gone_dark(ended, case):
    run = ended[CASES[case]].result()
    assert run.document["outcome"] == "met", run.document["reason"]
    (slo,) = run.document["slos"]
    (victim,) = run.document["victims"]
    name = victim["target"].split("/")[1]
    lost = next(s for s in slo["series"] if s["labels"]["pod"] == name)
    assert lost["phases"]["before"]["verdict"] == "met"
    assert "ended with its pod" in str(slo)
    # Nine were there, and the one in its place.
    assert len(slo["series"]) == 10


def test_validate_has_nothing_to_say_of_them(tmp_path):
    files = sorted(EXPERIMENTS.glob("*.yaml"))
    ran = sloguard("validate", "--strict", *files, home=tmp_path)
    assert ran.code == 0, ran.out + ran.err
