"""Random chaos as people run it, and two machines that want the same namespace: on the double."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sloguard.adapters.kubernetes import KubernetesCluster
from sloguard.adapters.kubernetes_config import KubernetesSettings
from sloguard.ports.resources import LEASES
from tests.fakes.kubernetes.server import KubernetesDouble
from tests.support.clusters import Ground, essence
from tests.support.command import sloguard, start


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    with KubernetesDouble() as double:
        config = double.kubeconfig(tmp_path / "kubeconfig")
        yield Ground(KubernetesCluster(KubernetesSettings(kubeconfig=config)), double)


def environment(folder: Path, machine: str = "one") -> dict[str, str]:
    return {
        "SLOGUARD_KUBERNETES_KUBECONFIG": str(folder / "kubeconfig"),
        "SLOGUARD_STORE_LOCKS": str(folder / machine / "locks"),
    }


def written(folder: Path, func: str, arguments: Any, pause: float = 0.0, **more: Any) -> Path:
    family, _, name = func.partition(".")
    provider = {"type": "python", "module": f"sloguard.faults.{family}", "func": name}
    action = {"type": "action", "name": "chaos", "provider": {**provider, "arguments": arguments}}
    content = {
        "title": more.pop("title", "Anything may break"),
        "description": "Within limits.",
        "phases": {"before": 0, "during": 0, "after": 0},
        "method": [{**action, "pauses": {"after": pause}}],
        **more,
    }
    path = folder / f"{content['title'].replace(' ', '-')}.json"
    path.write_text(json.dumps(content))
    return path


MENU = [
    {"fault": "istio.add_abort_fault", "weight": 2},
    {"fault": "istio.add_delay_fault"},
]


def test_a_run_records_its_seed_and_its_victims_and_can_be_repeated(ground, tmp_path):
    namespaces = [ground.namespace() for _ in range(3)]
    for namespace in namespaces:
        for name in ("cart", "front", "pay"):
            ground.virtual_service(namespace, name)
    services = ground.virtual_services()

    def seen() -> list[Any]:
        return [essence(obj) for obj in ground.cluster.list(services)]

    before = seen()
    chaos = {
        "faults": MENU,
        "times": 3,
        "within": {"max_per_namespace": 1, "max_virtual_services": 9},
    }
    path = written(tmp_path, "random.chaos", chaos)
    env = environment(tmp_path)
    first = sloguard("run", path, "--format", "json", home=tmp_path, env=env).json
    assert [f["status"] for f in first["faults"]] == ["undone"] * 3
    assert {f["fault"] for f in first["faults"]} <= {entry["fault"] for entry in MENU}
    assert sorted(f["target"].split("/")[0] for f in first["faults"]) == sorted(namespaces)
    assert [v["target"] for v in first["victims"]] == [f["target"] for f in first["faults"]]
    assert seen() == before
    again = sloguard(
        "run", path, "--seed", str(first["seed"]), "--format", "markdown", home=tmp_path, env=env
    )
    for victim in first["victims"]:
        assert f"{victim['fault']} on {victim['target']} → unknown who suffered" in again.out
    assert f"seed {first['seed']}" in again.out
    dry = sloguard("run", path, "--dry-run", "--seed", first["seed"], home=tmp_path, env=env)
    assert dry.code == 0
    assert f"3 drawn at random with seed {first['seed']}: " in dry.out
    assert "max_per_namespace is 1, and so many are hit in shop-" in dry.out


def test_outside_of_its_hours_nothing_is_touched_whatever_came_before(ground, tmp_path):
    ground.virtual_service(ground.namespace())
    today = time.strftime("%Y-%m-%d", time.gmtime())
    hours = {"days": "mon-sun", "except": [today, f"{today}/{today}"]}
    path = written(tmp_path, "random.chaos", {"faults": MENU, "hours": hours})
    content = json.loads(path.read_text())
    # Behind what may have made its targets, a plan that does not fit is a warning; the hour is none.
    made = {"type": "process", "path": "true"}
    content["method"].insert(0, {"type": "action", "name": "make", "provider": made})
    path.write_text(json.dumps(content))
    first = len(ground.double.requests)
    ran = sloguard("run", path, "--format", "json", home=tmp_path, env=environment(tmp_path))
    assert ran.code == 12, ran.out
    assert "hours: outside of the hours" in ran.json["reason"]
    assert "next from " in ran.json["reason"]
    assert not any(
        method in ("PATCH", "DELETE", "PUT") for method, _ in ground.double.requests[first:]
    )


def test_two_machines_are_kept_apart_by_the_lease_of_the_namespace(ground, tmp_path):
    namespace, free = ground.namespace(), ground.namespace()
    for one in (namespace, free):
        ground.virtual_service(one)
    whom = {"virtual_service_name": "checkout", "ns": namespace}
    held = written(tmp_path, "istio.add_abort_fault", whom, pause=600, title="The first one")
    machines = {}
    for name in ("one", "two"):
        machines[name] = tmp_path / name
        machines[name].mkdir()
    process = start("run", held, home=machines["one"], env=environment(tmp_path, "one"))
    try:
        ground.eventually(lambda: ground.cluster.list(LEASES, namespace))
        ground.eventually(lambda: "fault" in http(ground, namespace))
        other = written(tmp_path, "istio.add_delay_fault", whom, title="The second one")
        env = environment(tmp_path, "two")
        ran = sloguard("run", other, "--format", "json", home=machines["two"], env=env)
        assert ran.code == 12, ran.out
        assert "another run is on it" in ran.json["reason"]
        assert "(The first one)" in ran.json["reason"]
        assert "delay" not in http(ground, namespace)["fault"]
        # Another namespace is free.
        whom = {**whom, "ns": free}
        third = written(tmp_path, "istio.add_delay_fault", whom, title="The third one")
        ran = sloguard("run", third, "--format", "json", home=machines["two"], env=env)
        assert [f["status"] for f in ran.json["faults"]] == ["undone"], ran.out
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert "fault" not in http(ground, namespace)
    assert ground.cluster.list(LEASES) == []
    ran = sloguard("run", other, "--format", "json", home=machines["two"], env=env)
    assert [f["status"] for f in ran.json["faults"]] == ["undone"], ran.out


def http(ground: Ground, namespace: str) -> Any:
    found = ground.cluster.get(ground.virtual_services(), "checkout", namespace)
    return found["spec"]["http"][0]
