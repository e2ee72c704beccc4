"""Experiments for chaosk8s and chaosistio, run as they are: each ends as the cluster's state deserves."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sloguard.adapters.kubernetes import KubernetesCluster
from sloguard.adapters.kubernetes_config import KubernetesSettings
from sloguard.cli.main import cli
from sloguard.core.model import EXIT_CODES, Outcome
from sloguard.faults.undo_records import ANNOTATION
from sloguard.ports import ambient
from sloguard.ports.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    LEASES,
    NAMESPACES,
    NETWORK_POLICIES,
    NODES,
)
from tests.conftest import REAL_CLUSTER
from tests.fakes.kubernetes.server import KubernetesDouble
from tests.fakes.kubernetes.trouble import Rule
from tests.support.clusters import Ground, essence
from tests.support.command import environment
from tests.support.storefront import Storefront, open_storefront

CORPUS = Path(__file__).parent / "corpus-kubernetes"
LOAD = """#!{python}
import sys, urllib.error, urllib.request
for _ in range(int(sys.argv[2])):
    try:
        urllib.request.urlopen(sys.argv[1]).read()
    except urllib.error.HTTPError:
        pass
"""


@dataclass
class Ended:
    """A finished run: its verdict, its journal, and what it said on the way."""

    code: int
    document: dict[str, Any]
    journal: dict[str, Any]
    err: str

    @property
    def outcome(self) -> str:
        return str(self.document["outcome"])

    def activity(self, name: str, section: str = "method") -> dict[str, Any]:
        """One activity of the verdict."""
        found = [a for a in self.document["activities"] if a["name"] == name]
        return next(a for a in found if a["section"] == section)


class World:
    """A shop on the double: three storefront pods and two of stock on three nodes of a pool."""

    def __init__(self, ground: Ground, folder: Path) -> None:
        assert ground.double is not None
        self.ground, self.folder, self.double = ground, folder, ground.double
        self.pool = "shop"
        for _ in range(3):
            ground.node(pool=self.pool)
        self.namespace = ground.namespace()
        for name, replicas in (("storefront", 3), ("stock", 2)):
            ground.deployment(self.namespace, name, replicas)
            ground.service(self.namespace, name)
        route = [{"destination": {"host": "stock", "subset": "primary"}}]
        http = [{"route": route, "retries": {"attempts": 3}, "timeout": "2s"}]
        ground.virtual_service(self.namespace, "stock", http)
        self.shop: Storefront
        self.runner = CliRunner()

    def run(self, name: str, *flags: str, outcome: Outcome, **variables: str) -> Ended:
        """Run an experiment of the corpus; its exit code has to be the outcome's."""
        return self._ran(next(CORPUS.glob(f"{name}.*")), *flags, outcome=outcome, **variables)

    def run_text(self, text: str, *flags: str, outcome: Outcome) -> Ended:
        """Run another one."""
        file = self.folder / "experiment.yaml"
        file.write_text(text)
        return self._ran(file, *flags, outcome=outcome)

    def _ran(self, file: Path, *flags: str, outcome: Outcome, **variables: str) -> Ended:
        program = self.folder / "many-requests"
        program.write_text(LOAD.format(python=sys.executable))
        program.chmod(0o755)
        journal = self.folder / "journal.json"
        given = {
            "NAMESPACE": self.namespace,
            "POOL": self.pool,
            "INGRESS_HOST": self.shop.host,
            "LOAD_PROGRAM": str(program),
            "SLOGUARD_KUBERNETES_KUBECONFIG": str(self.folder / "kubeconfig"),
            "SLOGUARD_STORE_LOCKS": str(self.folder / "locks"),
            "SLOGUARD_RUNS_UNDO_PATIENCE": "1",
            **variables,
        }
        arguments = ["run", str(file), "--format", "json", "--journal-path", str(journal), *flags]
        done = self.runner.invoke(cli, arguments, env=environment(self.folder, given))
        assert done.exit_code == EXIT_CODES[outcome], done.output + repr(done.exception)
        document = json.loads(done.stdout)
        assert document["outcome"] == outcome, document["reason"]
        written = json.loads(journal.read_text())
        return Ended(done.exit_code, document, written, done.stderr)

    def picture(self) -> dict[str, Any]:
        """All that an undo has to bring back; and that nothing of sloguard's is left."""
        cluster = self.ground.cluster
        kinds = (DEPLOYMENTS, NODES, NETWORK_POLICIES, self.ground.virtual_services())
        objects = [obj for kind in kinds for obj in cluster.list(kind)]
        assert not [o for o in objects if ANNOTATION in (o["metadata"].get("annotations") or {})]
        kept = [o["metadata"]["name"] for o in cluster.list(CONFIG_MAPS)]
        assert not [name for name in kept if name.startswith("sloguard")]
        assert cluster.list(LEASES) == []
        return {f"{o['kind']}/{o['metadata']['name']}": essence(o) for o in objects}

    def stop_kubelets(self) -> None:
        """From now on new pods stay Pending."""
        self.double.controllers.starts = False


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with KubernetesDouble() as double:
        config = double.kubeconfig(tmp_path / "kubeconfig")
        ground = Ground(KubernetesCluster(KubernetesSettings(kubeconfig=config)), double)
        made = World(ground, tmp_path)
        with open_storefront(double, made.namespace) as made.shop:
            yield made
    ambient._provided.clear()


def test_every_experiment_of_the_corpus_has_a_test():
    text = Path(__file__).read_text()
    for path in CORPUS.iterdir():
        assert f'"{path.stem}"' in text, path.name


# Pods.


def test_without_a_steady_state_nothing_was_shown(world):
    before = world.picture()
    ended = world.run("pod-one", outcome=Outcome.INCONCLUSIVE)
    assert ended.activity("end-one-pod")["status"] == "succeeded"
    assert ended.activity("end-one-pod")["runs_as"] == "sloguard.faults.pods.terminate_pods"
    (entry,) = ended.journal["run"]
    # The journal has the activity as it was written, and what was called in its place.
    assert entry["activity"]["provider"]["module"] == "chaosk8s.pod.actions"
    assert entry["sloguard"] == {"runs_as": "sloguard.faults.pods.terminate_pods"}
    assert [f["fault"] for f in ended.document["faults"]] == ["pods.terminate_pods"]
    assert world.picture() == before


@pytest.mark.parametrize(
    "name",
    [
        "pod-one-with-steady-state",
        "pod-phase",
        "pod-conditions",
        "pod-logs",
        "pod-random-in-namespace",
        "mesh-random",
        "mesh-delay",
        "mesh-abort-and-delay",
        "microservice-killed",
        "network-policy",
        "node-drain",
        "scale-to-zero",
    ],
)
def test_what_bears_the_fault_is_met_and_as_before(world, name):
    before = world.picture()
    ended = world.run(name, outcome=Outcome.MET)
    assert ended.document["faults"], "nothing was injected"
    assert {f["status"] for f in ended.document["faults"]} <= {"undone", "nothing-to-undo"}
    assert all(a["status"] == "succeeded" for a in ended.document["activities"])
    world.ground.eventually(lambda: len(world.ground.pods(world.namespace)) == 5)
    assert world.picture() == before


@pytest.mark.parametrize(
    ("name", "probe"),
    [
        ("pod-one-with-steady-state", "everything-is-healthy"),
        ("pods-all-of-an-app", "storefront-answers"),
        ("pod-conditions", "stock-is-ready"),
        ("pod-of-a-dependency", "storefront-answers"),
    ],
)
def test_what_does_not_come_back_deviates(world, name, probe):
    world.stop_kubelets()
    ended = world.run(name, outcome=Outcome.DEVIATED)
    verdicts = {p["verdict"] for p in ended.document["probes"] if p["name"] == probe}
    assert "deviated" in verdicts
    assert ended.journal["deviated"] is True


@pytest.mark.parametrize(("replicas", "outcome"), [(3, Outcome.MET), (1, Outcome.DEVIATED)])
def test_a_service_bears_the_loss_of_a_pod_if_it_has_others(world, replicas, outcome):
    scaled = {"spec": {"replicas": replicas}}
    world.ground.cluster.merge_patch(DEPLOYMENTS, "storefront", world.namespace, scaled)
    pods = world.ground.pods
    world.ground.eventually(lambda: len(pods(world.namespace, "app=storefront")) == replicas)
    world.stop_kubelets()
    text = (CORPUS / "pods-all-of-an-app.yaml").read_text()
    assert "all: true" in text
    world.run_text(text.replace("all: true", "qty: 1"), outcome=outcome)


def test_a_steady_state_that_is_not_there_is_not_broken_further(world):
    world.stop_kubelets()
    world.ground.cluster.merge_patch(
        DEPLOYMENTS, "storefront", world.namespace, {"spec": {"replicas": 4}}
    )
    world.ground.eventually(lambda: len(world.ground.pods(world.namespace)) == 6)
    first = len(world.double.requests)
    ended = world.run("pod-one-with-steady-state", outcome=Outcome.NOT_STARTED)
    assert "everything-is-healthy" in ended.document["reason"]
    assert not _writes(world, first)


def test_labels_that_match_nothing_never_end_as_met(world):
    for app in ("storefront", "stock"):
        world.ground.cluster.delete(DEPLOYMENTS, app, world.namespace)
    world.ground.deployment(world.namespace, "other", 1)
    world.ground.eventually(lambda: len(world.ground.pods(world.namespace)) == 1)
    first = len(world.double.requests)
    ended = world.run("pod-one-with-steady-state", outcome=Outcome.NOT_STARTED)
    assert "no pod with app=storefront to hit" in ended.document["reason"]
    assert not _writes(world, first)


def test_what_the_api_forbids_never_ends_as_met(world):
    token = world.double.token("reader", world.namespace)
    config = world.double.kubeconfig(world.folder / "reader", token=token)
    first = len(world.double.requests)
    ended = world.run(
        "pod-phase", outcome=Outcome.NOT_STARTED, SLOGUARD_KUBERNETES_KUBECONFIG=str(config)
    )
    assert "delete pods in namespace" in ended.document["reason"]
    assert not _writes(world, first)


def test_a_refusal_under_way_never_ends_as_met(world):
    world.double.trouble.rules.append(
        Rule("error", lambda r: r.method == "DELETE" and "/pods/" in r.path, times=99, status=403)
    )
    ended = world.run("pod-phase", outcome=Outcome.INCONCLUSIVE)
    assert ended.activity("end-a-stock-pod")["status"] == "failed"


# The mesh.


def test_retries_hide_half_of_the_aborts(world):
    before = world.picture()
    ended = world.run("mesh-abort-half", outcome=Outcome.MET)
    assert [f["status"] for f in ended.document["faults"]] == ["undone"]
    # The rollback of the file comes to what is undone already, and finds nothing to do.
    rollback = ended.activity("no-more-aborts", "rollbacks")
    assert (rollback["status"], rollback["output"][0]["removed"]) == ("succeeded", [])
    assert world.picture() == before


def test_nothing_hides_all_of_the_aborts(world):
    before = world.picture()
    ended = world.run("mesh-abort-half", outcome=Outcome.DEVIATED, SHARE="100")
    phases = {p["phase"]: p["verdict"] for p in ended.document["probes"]}
    assert phases == {"before": "met", "during": "deviated", "after": "met"}
    assert world.picture() == before


def test_a_delay_beyond_the_timeout_deviates(world):
    before = world.picture()
    world.run("mesh-delay", outcome=Outcome.DEVIATED, LENGTH="5s")
    assert world.picture() == before


def test_both_faults_are_there_at_once(world):
    ended = world.run("mesh-abort-and-delay", outcome=Outcome.MET)
    seen = ended.activity("what-is-there")["output"]["body"]["spec"]["http"][0]["fault"]
    assert seen == {
        "abort": {"httpStatus": 503, "percentage": {"value": 30.0}},
        "delay": {"fixedDelay": "0.5s", "percentage": {"value": 80.0}},
    }


def test_routes_that_match_nothing_never_end_as_met(world):
    service = world.ground.virtual_services()
    patch = {"spec": {"http": [{"route": [{"destination": {"host": "stock", "subset": "v2"}}]}]}}
    world.ground.cluster.merge_patch(service, "stock", world.namespace, patch)
    ended = world.run("mesh-abort-half", outcome=Outcome.NOT_STARTED)
    assert "subset primary" in ended.document["reason"]


def test_a_fault_of_somebody_else_stays(world):
    service = world.ground.virtual_services()
    theirs = {"abort": {"httpStatus": 418, "percentage": {"value": 1}}}
    (route,) = world.ground.cluster.get(service, "stock", world.namespace)["spec"]["http"]
    world.ground.cluster.merge_patch(
        service, "stock", world.namespace, {"spec": {"http": [{**route, "fault": theirs}]}}
    )
    before = world.picture()
    world.run("mesh-abort-half", outcome=Outcome.MET)
    assert world.picture() == before


def test_the_same_seed_hits_the_same_virtual_service(world):
    for name in ("storefront", "cart", "pay"):
        world.ground.virtual_service(world.namespace, name)
    hit = [
        world.run("mesh-random", "--seed", seed, outcome=Outcome.MET).document["faults"][0][
            "target"
        ]
        for seed in ("7", "7", "8")
    ]
    assert hit[0] == hit[1]


# Load, nodes, workloads.


def test_load_that_it_bears_and_load_that_breaks_it(world):
    assert world.run("dos-by-load", outcome=Outcome.MET).document["probes"]
    assert world.shop.asked >= 40
    world.shop.asked, world.shop.bears = 0, 20
    world.run("dos-by-load", outcome=Outcome.DEVIATED)


def test_a_drain_that_a_budget_blocks_never_ends_as_met(world):
    world.ground.budget(world.namespace, "storefront", minAvailable=3)
    before = world.picture()
    ended = world.run("node-drain", outcome=Outcome.INCONCLUSIVE)
    assert "disruption budget" in ended.activity("empty-a-node")["error"]
    assert world.picture() == before


def test_a_node_that_was_cordoned_before_still_is(world):
    node = world.ground.node(pool=world.pool)
    world.ground.cluster.merge_patch(NODES, node, None, {"spec": {"unschedulable": True}})
    before = world.picture()
    world.run("node-drain", outcome=Outcome.MET)
    assert world.picture() == before


def test_a_deleted_node_comes_back(world):
    before = world.picture()
    ended = world.run("node-delete", outcome=Outcome.MET)
    assert [f["fault"] for f in ended.document["faults"]] == ["nodes.delete_nodes"]
    world.ground.eventually(lambda: len(world.ground.pods(world.namespace)) == 5)
    assert world.picture().keys() == before.keys()


def test_a_rollback_sets_what_something_else_has_changed(world):
    """A count that another program set in the method is put back by the rollback, for good."""
    text = (CORPUS / "scale-to-zero.yaml").read_text()
    start, _, rest = text.partition("- type: action\n  name: switch-stock-off\n")
    _, probe, end = rest.partition("- type: probe\n  name: stock-is-off\n")
    off = {"spec": {"replicas": 0}}
    world.ground.cluster.merge_patch(DEPLOYMENTS, "stock", world.namespace, off)
    ended = world.run_text(start + probe + end, outcome=Outcome.MET)
    output = ended.activity("switch-stock-on", "rollbacks")["output"]
    assert output == {"name": f"{world.namespace}/stock", "replicas": 2, "changed": True}
    stock = world.ground.cluster.get(DEPLOYMENTS, "stock", world.namespace)
    assert stock["spec"]["replicas"] == 2
    assert ANNOTATION not in (stock["metadata"].get("annotations") or {})


# SLOs, and looking only.


def test_slos_and_probes_judge_the_same_experiment(world, start_prometheus):
    prometheus = start_prometheus(targets={"shop": [world.shop.host]})
    _await_history(prometheus.url, 1)
    ended = world.run(
        "pod-one-with-slos", "--prometheus", prometheus.url, "--step", "1s", outcome=Outcome.MET
    )
    (slo,) = ended.document["slos"]
    assert slo["verdict"] == "met"
    assert {p["verdict"] for p in ended.document["probes"]} == {"met"}


def test_a_dry_run_says_what_runs_as_what_and_touches_nothing(world):
    first = len(world.double.requests)
    done = world.runner.invoke(
        cli,
        ["run", str(CORPUS / "node-drain.yaml"), "--dry-run"],
        env=environment(
            world.folder,
            {
                "NAMESPACE": world.namespace,
                "POOL": world.pool,
                "SLOGUARD_KUBERNETES_KUBECONFIG": str(world.folder / "kubeconfig"),
            },
        ),
    )
    assert done.exit_code == 0, done.output
    said = " ".join(done.stdout.split())
    assert (
        "action empty-a-node: chaosk8s.node.actions.drain_nodes runs as sloguard.faults.nodes.drain_nodes"
        in said
    )
    assert "runs as sloguard.probes.microservices.all_microservices_healthy" in said
    assert "drain 1 of" in said
    assert not _writes(world, first)


def _writes(world: World, first: int) -> list[tuple[str, str]]:
    """What was changed on the cluster since; locks and questions about rights are none."""
    return [
        (method, path)
        for method, path in world.double.requests[first:]
        if method != "GET" and "leases" not in path and "selfsubject" not in path
    ]


def _await_history(url: str, seconds: float) -> None:
    """Until Prometheus has scraped the shop for so long."""
    from urllib.request import urlopen

    ends = time.monotonic() + 30
    ask = f"{url}/api/v1/query?query=count_over_time(shop_error_share[60s])"
    while True:
        found = json.loads(urlopen(ask).read())["data"]["result"]
        if found and float(found[0]["value"][1]) > seconds:
            return
        assert time.monotonic() < ends
        time.sleep(0.2)


ANYWHERE = """
title: A shop without errors of its mesh, and without its stock
description: By the names of both drivers, on whatever cluster there is
steady-state-hypothesis:
  title: Its objects are there
  probes:
  - type: probe
    name: route-is-there
    tolerance: 200
    provider: {type: python, module: chaosistio.fault.probes, func: get_virtual_service,
      arguments: {virtual_service_name: checkout, ns: NAMESPACE}}
  - type: probe
    name: namespace-is-there
    tolerance: true
    provider: {type: python, module: chaosk8s.namespace.probes, func: namespace_exists, arguments: {name: NAMESPACE}}
method:
- type: action
  name: abort
  provider: {type: python, module: chaosistio.fault.actions, func: add_abort_fault,
    arguments: {virtual_service_name: checkout, http_status: 503, percentage: 50, ns: NAMESPACE,
      routes: [{destination: {host: checkout, subset: primary}}]}}
- type: action
  name: scale
  provider: {type: python, module: chaosk8s.deployment.actions, func: scale_deployment,
    arguments: {name: checkout, replicas: 0, ns: NAMESPACE}}
- type: action
  name: cordon
  provider: {type: python, module: chaosk8s.node.actions, func: cordon_node, arguments: {name: NODE}}
rollbacks:
- type: action
  name: no-abort
  provider: {type: python, module: chaosistio.fault.actions, func: remove_abort_fault,
    arguments: {virtual_service_name: checkout, ns: NAMESPACE, routes: [{destination: {host: checkout, subset: primary}}]}}
- type: action
  name: scale-back
  provider: {type: python, module: chaosk8s.deployment.actions, func: scale_deployment,
    arguments: {name: checkout, replicas: 2, ns: NAMESPACE}}
- type: action
  name: uncordon
  provider: {type: python, module: chaosk8s.node.actions, func: uncordon_node, arguments: {name: NODE}}
"""


OBJECTS = """
title: Objects of any kind
description: Created and deleted by the names of chaosk8s, and faults by those of chaosistio
method:
- type: action
  name: delay-chaos
  provider: {type: python, module: chaosk8s.crd.actions, func: create_custom_object,
    arguments: {group: GROUP, version: v1, plural: PLURAL, ns: NAMESPACE,
      resource: {apiVersion: GROUP/v1, kind: Storm, metadata: {name: new}, spec: {force: 3}}}}
- type: action
  name: more-of-it
  provider: {type: python, module: chaosk8s.crd.actions, func: patch_custom_object,
    arguments: {group: GROUP, version: v1, plural: PLURAL, ns: NAMESPACE, name: old,
      resource: {kind: Storm, spec: {force: 9}}}}
- type: action
  name: from-text
  provider: {type: python, module: chaosk8s.crd.actions, func: apply_from_json,
    arguments: {resource: '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "text", "namespace": "NAMESPACE"}}'}}
- type: action
  name: room
  provider: {type: python, module: chaosk8s.namespace.actions, func: create_namespace,
    arguments: {name: NAMESPACE-more}}
- type: action
  name: faults
  provider: {type: python, module: chaosistio.fault.actions, func: set_fault,
    arguments: {virtual_service_name: stock, ns: NAMESPACE, routes: [{destination: {host: stock, subset: primary}}],
      fault: {abort: {httpStatus: 503, percentage: {value: 50}}, delay: {fixedDelay: 2s}}}}
- type: probe
  name: there
  provider: {type: python, module: chaosistio.fault.probes, func: get_virtual_service,
    arguments: {virtual_service_name: stock, ns: NAMESPACE}}
- type: action
  name: no-faults
  provider: {type: python, module: chaosistio.fault.actions, func: unset_fault,
    arguments: {virtual_service_name: stock, ns: NAMESPACE, routes: [{destination: {host: stock, subset: primary}}]}}
- type: probe
  name: not-there
  provider: {type: python, module: chaosistio.fault.probes, func: get_virtual_service,
    arguments: {virtual_service_name: stock, ns: NAMESPACE}}
rollbacks:
- type: action
  name: storm-is-over
  provider: {type: python, module: chaosk8s.crd.actions, func: delete_custom_object,
    arguments: {group: GROUP, version: v1, plural: PLURAL, ns: NAMESPACE, name: new}}
- type: action
  name: it-is-over-for-good
  provider: {type: python, module: chaosk8s.crd.actions, func: delete_custom_object,
    arguments: {group: GROUP, version: v1, plural: PLURAL, ns: NAMESPACE, name: past}}
- type: action
  name: no-faults-for-sure
  provider: {type: python, module: chaosistio.fault.actions, func: unset_fault,
    arguments: {virtual_service_name: stock, ns: NAMESPACE, routes: [{destination: {host: stock, subset: primary}}]}}
"""


def test_objects_of_any_kind_come_and_go(world):
    ground, namespace = world.ground, world.namespace
    force = {"type": "object", "properties": {"force": {"type": "integer"}}}
    storms = ground.definition("Storm", force)
    for name in ("old", "past"):
        ground.create(storms, namespace, name, {"force": 1})
    before = world.picture()
    text = OBJECTS.replace("GROUP", storms.group).replace("PLURAL", storms.plural)
    ended = world.run_text(text.replace("NAMESPACE", namespace), outcome=Outcome.INCONCLUSIVE)
    assert {a["status"] for a in ended.document["activities"]} == {"succeeded"}, ended.err
    assert {f["status"] for f in ended.document["faults"]} <= {"undone", "nothing-to-undo"}
    (route,) = ended.activity("there")["output"]["body"]["spec"]["http"]
    assert route["fault"]["abort"] == {"httpStatus": 503, "percentage": {"value": 50}}
    assert route["fault"]["delay"] == {"fixedDelay": "2s", "percentage": {"value": 100}}
    (route,) = ended.activity("not-there")["output"]["body"]["spec"]["http"]
    assert "fault" not in route
    gone = ended.activity("storm-is-over", "rollbacks")["output"]
    assert gone == {"deleted": []}, "the run had undone it before"
    assert ended.activity("it-is-over-for-good", "rollbacks")["output"] == {
        "deleted": [f"{namespace}/past"]
    }
    (left,) = ground.cluster.list(storms, namespace)
    assert (left["metadata"]["name"], left["spec"]) == ("old", {"force": 1})
    assert world.picture() == before
    assert f"{namespace}-more" not in {
        n["metadata"]["name"] for n in ground.cluster.list(NAMESPACES)
    }


@pytest.mark.cluster
def test_on_any_cluster_all_is_as_before(ground, tmp_path):
    node, namespace = ground.node(), ground.namespace()
    ground.deployment(namespace, replicas=2)
    ground.virtual_service(namespace)
    cluster = ground.cluster

    def picture() -> list[Any]:
        objects = (
            cluster.get(DEPLOYMENTS, "checkout", namespace),
            cluster.get(ground.virtual_services(), "checkout", namespace),
            cluster.get(NODES, node),
        )
        return [essence(obj) for obj in objects]

    before = picture()
    file = tmp_path / "experiment.yaml"
    file.write_text(ANYWHERE.replace("NAMESPACE", namespace).replace("NODE", node))
    config = os.environ.get(REAL_CLUSTER) or str(tmp_path / "kubeconfig")
    given = {"SLOGUARD_KUBERNETES_KUBECONFIG": config}
    try:
        done = CliRunner().invoke(
            cli, ["run", str(file), "--format", "json"], env=environment(tmp_path, given)
        )
    finally:
        ambient._provided.clear()
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert {f["status"] for f in document["faults"]} == {"undone"}
    assert len(document["faults"]) == 3
    assert {a["status"] for a in document["activities"]} == {"succeeded"}
    assert picture() == before
