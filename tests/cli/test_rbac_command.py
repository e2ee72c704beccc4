"""``sloguard rbac``, and a run that lacks rights: on the double, whose RBAC is a real one's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from sloguard.adapters.kubernetes import KubernetesCluster
from sloguard.adapters.kubernetes_config import KubernetesSettings
from sloguard.cli.rbac import command
from tests.fakes.kubernetes.server import KubernetesDouble
from tests.support.accounts import Account
from tests.support.clusters import Ground
from tests.support.command import sloguard
from tests.support.golden import same_as_golden


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    with KubernetesDouble() as double:
        config = double.kubeconfig(tmp_path / "kubeconfig")
        yield Ground(KubernetesCluster(KubernetesSettings(kubeconfig=config)), double)


@dataclass
class Ran:
    code: int
    out: str
    err: str


def rbac(*words: Any, home: Path) -> Ran:
    """The command in this process: it asks no cluster, and starts fast."""
    ran = CliRunner(env={"HOME": str(home)}).invoke(command, [str(word) for word in words])
    return Ran(ran.exit_code, ran.stdout, ran.stderr)


def action(title, module, func, /, **arguments):
    provider = {"type": "python", "module": module, "func": func, "arguments": arguments}
    return {"type": "action", "name": title, "provider": provider}


def experiment(folder: Path, namespace: str = "${namespace}", **more) -> Path:
    content = {
        "title": "A pod and its mesh",
        "description": "Both at once.",
        "configuration": {
            "namespace": {"type": "env", "key": "SHOP_NAMESPACE", "default": "shop"}
        },
        "phases": {"before": 0, "during": 0, "after": 0},
        "steady-state-hypothesis": {
            "title": "Pods are there",
            "probes": [
                {
                    "type": "probe",
                    "name": "pods",
                    "tolerance": 2,
                    "provider": {
                        "type": "python",
                        "module": "chaosk8s.pod.probes",
                        "func": "count_pods",
                        "arguments": {"label_selector": "app=checkout", "ns": namespace},
                    },
                }
            ],
        },
        "method": [
            action("abort", "sloguard.faults.istio", "add_abort_fault",
                   virtual_service_name="checkout", ns=namespace),
            action("lose-a-pod", "chaosk8s.pod.actions", "terminate_pods",
                   label_selector="app=checkout", rand=True, ns=namespace),
        ],
        "rollbacks": [
            action("clean", "chaosistio.fault.actions", "remove_abort_fault",
                   virtual_service_name="checkout", ns=namespace,
                   routes=[{"destination": {"host": "checkout", "subset": "primary"}}]),
        ],
        **more,
    }  # fmt: skip
    path = folder / "experiment.json"
    path.write_text(json.dumps(content))
    return path


def test_the_smallest_roles_as_yaml(tmp_path):
    path = experiment(tmp_path)
    ran = rbac(path, "--service-account", "chaos/sloguard", home=tmp_path)
    assert ran.code == 0, ran.err
    same_as_golden("rbac.yaml", ran.out)
    roles = list(yaml.safe_load_all(ran.out))
    assert [r["kind"] for r in roles] == ["Role", "RoleBinding"]
    assert {r["metadata"]["namespace"] for r in roles} == {"shop"}


def test_without_an_account_there_is_nothing_to_bind(tmp_path):
    ran = rbac(experiment(tmp_path), "--var", "namespace=other", home=tmp_path)
    roles = list(yaml.safe_load_all(ran.out))
    assert [(r["kind"], r["metadata"]["namespace"]) for r in roles] == [("Role", "other")]


def test_as_a_table_and_as_json(tmp_path):
    path = experiment(tmp_path)
    text = rbac(path, "--format", "text", home=tmp_path).out
    assert text.splitlines()[0].split() == ["VERBS", "RESOURCE", "NAME", "WHERE", "FOR"]
    assert "list,delete" in text
    assert "abort, clean" in text
    found = json.loads(rbac(path, "-o", "json", home=tmp_path).out)
    assert [m["kind"] for m in found["manifests"]] == ["Role"]
    assert {"pods", "leases", "virtualservices"} <= {n["resource"] for n in found["needs"]}


def test_nodes_and_all_namespaces_take_a_cluster_role(tmp_path):
    method = [
        action("cordon", "sloguard.faults.nodes", "cordon_node", name="worker-1"),
        action("any", "sloguard.faults.istio", "add_delay_fault", ns="*", rand=True),
    ]
    path = experiment(tmp_path, method=method)
    ran = rbac(path, "--service-account", "chaos/runner", home=tmp_path)
    roles = {r["kind"]: r for r in yaml.safe_load_all(ran.out) if "rules" in r}
    kinds = {(r["resources"][0], *r["verbs"]) for r in roles["ClusterRole"]["rules"]}
    assert ("nodes", "get", "patch") in kinds
    assert ("virtualservices", "get", "list", "patch") in kinds
    places = {
        r["metadata"].get("namespace") for r in yaml.safe_load_all(ran.out) if r["kind"] == "Role"
    }
    assert places == {"chaos", "shop"}


def test_what_recovery_takes(tmp_path):
    ran = rbac("--recover", home=tmp_path)
    (role,) = yaml.safe_load_all(ran.out)
    assert role["kind"] == "ClusterRole"
    assert any(rule["resources"] == ["nodes"] and "list" in rule["verbs"] for rule in role["rules"])
    named = rbac(experiment(tmp_path), "--recover", home=tmp_path)
    assert [r["kind"] for r in yaml.safe_load_all(named.out)] == ["Role"]


@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_a_service_takes_that_runs_jobs_in_another_namespace(tmp_path, elsewhere):
    """What it is made of, and its Lease, stay where it is itself."""
    env = {"SLOGUARD_EXECUTOR_NAMESPACE": "jobs"} if elsewhere else {}
    given = ("--executor", "--service-account", "sloguard/service", "--format", "json")
    ran = sloguard("rbac", *given, home=tmp_path, env=env)
    assert ran.code == 0, ran.err
    roles = {
        m["metadata"]["namespace"]: {r for rule in m["rules"] for r in rule["resources"]}
        for m in json.loads(ran.out)["manifests"]
        if m["kind"] == "Role"
    }
    all_of_them = {"pods", "replicasets", "jobs", "leases"}
    if elsewhere:
        assert roles == {"sloguard": all_of_them - {"jobs"}, "jobs": {"pods", "jobs"}}
    else:
        assert roles == {"sloguard": all_of_them}


def test_an_experiment_that_touches_no_cluster_needs_nothing(tmp_path):
    method = [action("load", "sloguard.faults.processes", "kill", pid=1)]
    ran = rbac(
        experiment(
            tmp_path, method=method, rollbacks=[], **{"steady-state-hypothesis": {"title": "x"}}
        ),
        home=tmp_path,
    )
    assert (ran.code, ran.out) == (0, "# nothing of a cluster is touched: no rights are needed\n")


def test_a_kind_that_nobody_knows_is_guessed_and_said(tmp_path):
    manifest = {
        "apiVersion": "chaos-mesh.org/v1alpha1",
        "kind": "NetworkChaos",
        "metadata": {"name": "slow", "namespace": "shop"},
        "spec": {},
    }
    method = [action("slow", "sloguard.faults.kubernetes", "apply", manifest=manifest)]
    ran = rbac(experiment(tmp_path, method=method), home=tmp_path)
    assert "guessed" in ran.err
    assert "networkchaos.chaos-mesh.org" in ran.err
    assert "networkchaos" in ran.out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--service-account", "sloguard"], "expected NAMESPACE/NAME"),
        (["--service-account", "a/B C"], "expected NAMESPACE/NAME"),
        (["--name", "A b"], "--name: expected"),
    ],
)
def test_what_makes_no_sense_is_said(tmp_path, given, said):
    ran = rbac(experiment(tmp_path), *given, home=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_neither_an_experiment_nor_recovery(tmp_path):
    ran = rbac(home=tmp_path)
    assert ran.code == 2
    assert "name an experiment, or give --recover" in ran.err


def test_arguments_that_make_no_sense_are_told_with_their_activity(tmp_path):
    method = [action("one", "sloguard.faults.deployments", "scale_deployment", kind="moon")]
    ran = rbac(experiment(tmp_path, method=method), home=tmp_path)
    assert ran.code == 2
    assert "one: kind: expected one of deployment" in ran.err


def test_a_run_that_lacks_rights_touches_nothing_and_says_what_gives_them(ground, tmp_path):
    namespace = ground.namespace()
    ground.virtual_service(namespace)
    ground.deployment(namespace, replicas=2, on={"kubernetes.io/hostname": ground.node()})
    account = Account(ground, tmp_path)
    path = experiment(tmp_path, namespace)
    env = {
        "SLOGUARD_KUBERNETES_KUBECONFIG": str(account.kubeconfig),
        "SLOGUARD_STORE_LOCKS": str(tmp_path / "locks"),
    }
    first = len(ground.double.requests)
    ran = sloguard("run", path, "--format", "json", home=tmp_path, env=env)
    assert ran.code == 12, ran.err
    assert "rights: 9 of 9 that this takes on double are missing: " in ran.json["reason"]
    assert f"sloguard rbac {path} --service-account" in ran.json["reason"]
    asked = [(m, p) for m, p in ground.double.requests[first:] if "selfsubject" not in p]
    assert {m for m, _ in asked} <= {"GET"}
    dry = sloguard("run", path, "--dry-run", home=tmp_path, env=env)
    assert dry.code == 12
    assert "✗ rights: 9 of 9 that this takes on double are missing" in dry.out
    assert "virtualservices.networking.istio.io  checkout" in dry.out
    # What is printed is what it takes.
    roles = sloguard("rbac", path, "--service-account", account.title, home=tmp_path)
    account.give(yaml.safe_load_all(roles.out))
    dry = sloguard("run", path, "--dry-run", home=tmp_path, env=env)
    assert dry.code == 0, dry.out
    assert "✓ rights: all 9 that this takes on double" in dry.out
    done = sloguard("run", path, "--format", "json", home=tmp_path, env=env)
    assert {a["status"] for a in done.json["activities"]} == {"succeeded"}, done.err
    assert {f["status"] for f in done.json["faults"]} <= {"undone", "nothing-to-undo"}
