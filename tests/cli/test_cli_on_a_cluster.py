"""The whole of it on the double: a run, a run that is killed, and recovery with and without its store."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sloguard.adapters.kubernetes import KubernetesCluster
from sloguard.adapters.kubernetes_config import KubernetesSettings
from sloguard.faults.undo_records import ANNOTATION
from sloguard.ports.resources import LEASES
from tests.fakes.kubernetes.server import KubernetesDouble
from tests.support.clusters import Ground, essence
from tests.support.command import sloguard, start


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    with KubernetesDouble() as double:
        config = double.kubeconfig(tmp_path / "kubeconfig")
        yield Ground(KubernetesCluster(KubernetesSettings(kubeconfig=config)), double)


def experiment(folder: Path, namespace: str, pause: float = 0.0) -> Path:
    whom = {"virtual_service_name": "checkout", "ns": namespace}
    provider = {"type": "python", "module": "sloguard.faults.istio"}
    abort = {**provider, "func": "add_abort_fault", "arguments": {**whom, "percentage": 50}}
    remove = {**provider, "func": "remove_abort_fault", "arguments": whom}
    content = {
        "title": "Checkout without its mesh",
        "description": "Half of the requests end with an error.",
        "phases": {"before": 0, "during": 0, "after": 0},
        "method": [
            {"type": "action", "name": "abort", "provider": abort, "pauses": {"after": pause}},
        ],
        "rollbacks": [{"type": "action", "name": "clean", "provider": remove}],
    }
    path = folder / "experiment.json"
    path.write_text(json.dumps(content))
    return path


def seen(ground: Ground, namespace: str):
    return essence(ground.cluster.get(ground.virtual_services(), "checkout", namespace))


def environment(folder: Path) -> dict[str, str]:
    return {
        "SLOGUARD_KUBERNETES_KUBECONFIG": str(folder / "kubeconfig"),
        "SLOGUARD_STORE_LOCKS": str(folder / "locks"),
    }


def test_a_run_breaks_undoes_and_rolls_back(ground, tmp_path):
    namespace = ground.namespace()
    ground.virtual_service(namespace)
    before = seen(ground, namespace)
    patched = []
    ground.double.trouble.after = lambda _n, request: (
        patched.append(request.method) if request.method == "PATCH" else None
    )
    ran = sloguard(
        "run",
        experiment(tmp_path, namespace),
        "--format",
        "json",
        home=tmp_path,
        env=environment(tmp_path),
    )
    assert [f["status"] for f in ran.json["faults"]] == ["undone"], ran.err
    assert [a["status"] for a in ran.json["activities"]] == ["succeeded", "succeeded"], ran.json[
        "activities"
    ]
    assert len(patched) == 2
    assert seen(ground, namespace) == before
    assert ground.cluster.list(LEASES) == []


def test_a_server_that_is_away_for_a_while_does_not_lose_the_undo(ground, tmp_path):
    namespace = ground.namespace()
    ground.virtual_service(namespace)
    before = seen(ground, namespace)
    away, refused = ground.double.trouble.away, []
    back = threading.Timer(2.5, away.clear)

    def leave(_number, request):
        if request.method == "PATCH" and not refused:
            refused.append(request.path)
            # From now on, with the fault in place and its undo ahead, nobody answers.
            threading.Timer(0.2, away.set).start()
            back.start()

    ground.double.trouble.after = leave
    ran = sloguard(
        "run",
        experiment(tmp_path, namespace, pause=0.5),
        "--format",
        "json",
        home=tmp_path,
        env={**environment(tmp_path), "SLOGUARD_KUBERNETES_TIMEOUT": "0.4s"},
    )
    back.join()
    assert refused
    assert [f["status"] for f in ran.json["faults"]] == ["undone"], ran.err
    assert "undoing istio.add_abort_fault" in ran.err + str(ran.json["notes"])
    assert seen(ground, namespace) == before


def test_how_long_the_replacement_took_is_told(ground, tmp_path):
    ground.nodes(1)
    namespace = ground.namespace()
    ground.deployment(namespace, replicas=2)
    arguments = {"label_selector": "app=checkout", "ns": namespace, "wait": 20, "grace_period": 0}
    provider = {"type": "python", "module": "sloguard.faults.pods", "func": "terminate_pods"}
    content = {
        "title": "A pod less",
        "description": "One of two goes.",
        "phases": {"before": 0, "during": 0, "after": 0},
        "method": [
            {"type": "action", "name": "end", "provider": {**provider, "arguments": arguments}}
        ],
    }
    path = tmp_path / "pods.json"
    path.write_text(json.dumps(content))
    ran = sloguard("run", path, "--format", "json", home=tmp_path, env=environment(tmp_path))
    (told,) = ran.json["faults"]
    assert told["status"] == "nothing-to-undo", ran.err
    assert told["detail"].startswith(f"ReplicaSet {namespace}/checkout-")
    assert "was back after" in told["detail"]
    (output,) = ran.json["activities"][0]["output"]
    assert output["replacements"][0]["seconds"] == output["seconds"]


def test_a_manifest_beside_the_experiment_is_applied_and_taken_back(ground, tmp_path):
    namespace = ground.namespace()
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made"}, "data": {"a": "hunter2"}}  # fmt: skip
    folder = tmp_path / "experiments"
    folder.mkdir()
    (folder / "made.yaml").write_text(json.dumps(made))
    arguments = {"manifest": "made.yaml", "ns": namespace, "wait_for": "jsonpath={.data.a}"}
    provider = {"type": "python", "module": "sloguard.faults.kubernetes", "func": "apply"}
    content = {
        "title": "A map more",
        "description": "And gone again.",
        "phases": {"before": 0, "during": 0, "after": 0},
        "method": [
            {"type": "action", "name": "apply", "provider": {**provider, "arguments": arguments}}
        ],
    }
    path = folder / "apply.json"
    path.write_text(json.dumps(content))
    ran = sloguard("run", path, "--format", "json", home=tmp_path, env=environment(tmp_path))
    (told,) = ran.json["faults"]
    assert (told["status"], told["target"]) == ("undone", f"ConfigMap {namespace}/made"), ran.err
    assert ran.json["activities"][0]["output"][0]["how"] == "created"
    # What is in a manifest is kept nowhere.
    assert "hunter2" not in ran.out + ran.err
    files = [f for f in tmp_path.rglob("*") if f.is_file() and f.name != "made.yaml"]
    assert any(f.stat().st_size > 10_000 for f in files), files
    assert not any(b"hunter2" in f.read_bytes() for f in files)
    names = {c["metadata"]["name"] for c in ground.double.state.all("ConfigMap", namespace)}
    assert names <= {"kube-root-ca.crt"}


def test_a_target_that_is_not_there_stops_it_before_anything_is_touched(ground, tmp_path):
    namespace = ground.namespace()
    ran = sloguard(
        "run",
        experiment(tmp_path, namespace),
        "--format",
        "json",
        home=tmp_path,
        env=environment(tmp_path),
    )
    assert ran.code == 12, ran.out
    assert "no VirtualService named checkout" in ran.out
    assert not any(
        method in ("PATCH", "DELETE")
        for method, path in ground.double.requests
        if "leases" not in path
    )


@pytest.mark.parametrize("way", ["store", "cluster"])
def test_a_run_that_was_killed_is_recovered(ground, tmp_path, way):
    namespace = ground.namespace()
    ground.virtual_service(namespace)
    before = seen(ground, namespace)
    process = start(
        "run", experiment(tmp_path, namespace, pause=600), home=tmp_path, env=environment(tmp_path)
    )
    try:
        ground.eventually(lambda: ANNOTATION in seen(ground, namespace)["annotations"])
        time.sleep(0.2)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert seen(ground, namespace) != before
    home = tmp_path if way == "store" else tmp_path / "elsewhere"
    home.mkdir(exist_ok=True)
    if way == "cluster":
        # Its Lease tells nobody yet that it is dead; here that is sped up.
        past = {"spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}}
        ground.cluster.merge_patch(LEASES, "sloguard", namespace, past)
    more = [] if way == "store" else ["--cluster"]
    ran = sloguard("recover", *more, home=home, env=environment(tmp_path))
    assert seen(ground, namespace) == before, ran.out + ran.err
    if way == "cluster":
        assert ran.code == 0
        assert f"VirtualService {namespace}/checkout: undone: istio.add_abort_fault" in ran.out
        again = sloguard("recover", *more, home=home, env=environment(tmp_path))
        assert (again.code, again.out) == (0, "nothing to recover\n")


def test_a_cluster_that_cannot_be_reached_is_told(tmp_path):
    ran = sloguard("recover", "--cluster", home=tmp_path)
    assert ran.code == 1
    assert "no kubeconfig at" in ran.err
