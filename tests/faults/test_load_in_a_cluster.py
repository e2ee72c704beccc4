"""Load from a Job inside a cluster, on the double or a real cluster, where no container may ever run."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sloguard.engine.recover_cluster import recover_cluster
from sloguard.faults.base import Context, FaultError, find_fault
from sloguard.faults.load_report import last_object
from sloguard.ports import Object
from sloguard.ports.resources import JOBS, PODS
from tests.support.cluster_faults import Broken, clusters
from tests.support.clusters import Ground
from tests.support.mortals import Mortals, records

pytestmark = pytest.mark.cluster

LOAD = "load.http_load"
IMAGE = "example.invalid/load:1"


@pytest.fixture(scope="module")
def mortals() -> Iterator[Mortals]:
    with Mortals() as made:
        yield made


@pytest.fixture
def shop(ground: Ground) -> str:
    ground.nodes(1)
    return ground.namespace()


def load(ground: Ground, shop: str, *, inside: Any = None, **more: Any) -> Broken:
    place = {"image": IMAGE, "namespace": shop, **(inside or {})}
    arguments = {"url": "http://checkout.shop:8080/pay?x=1", "duration": "30s", "in_cluster": place}
    return Broken(ground, LOAD, {**arguments, **more})


def left(ground: Ground, shop: str) -> list[Object]:
    return ground.cluster.list(JOBS, shop) + ground.cluster.list(PODS, shop)


def during(broken: Broken, ground: Ground, shop: str, then: Callable[[Object], None]) -> Broken:
    """Inject, and do something with the pod once it runs."""
    if ground.double is None:
        pytest.skip("a report needs a container that runs")

    def kubelet() -> None:
        ground.eventually(lambda: any(p["status"]["phase"] == "Running" for p in ground.pods(shop)))
        then(ground.pods(shop)[0])

    thread = threading.Thread(target=kubelet)
    thread.start()
    try:
        return broken.inject()
    finally:
        thread.join()


def test_a_job_that_is_stopped_leaves_nothing(ground, shop):
    broken = load(ground, shop, clients=5)
    assert left(ground, shop) == []
    (target,) = broken.targets
    assert target.startswith(f"GET http://checkout.shop:8080/pay from Job {shop}/sloguard-load-")
    assert broken.plan.injections[0].lock == f"namespace:{ground.cluster.name}/{shop}"
    assert "x=1" not in json.dumps(broken.records)
    broken.context.stop.set()
    broken.inject()
    assert broken.outputs[0]["stopped"] is True
    (job,) = ground.cluster.list(JOBS, shop)
    spec = job["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"]) == (0, 160, 600)  # fmt: skip
    ground.eventually(lambda: ground.cluster.list(PODS, shop))
    broken.context.stop.clear()
    assert broken.undo() == [f"deleted Job {shop}/{job['metadata']['name']}"]
    assert left(ground, shop) == []
    assert broken.undo() == [""]


def test_what_the_image_is_told(ground, shop):
    inside = {
        "command": ["hey"],
        "args": ["-z", "{duration}s", "-c", "{clients}", "-m", "{method}", "{url}", '{"a": {n}}'],
        "env": {"TARGET": "{host}:{port}{path}", "TOKEN": {"secretKeyRef": {"name": "t", "key": "k"}}},
        "resources": {"limits": {"cpu": "1"}},
        "service_account": "loader",
        "labels": {"team": "shop"},
        "annotations": {"sidecar.istio.io/inject": "false"},
        "node_selector": {"pool": "load"},
        "image_pull_secrets": ["registry"],
    }  # fmt: skip
    broken = load(ground, shop, inside=inside, clients=5, rate=2.5, method="post")
    job = broken.plan.injections[0].private["job"]
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["command"] == ["hey"]
    assert container["args"] == ["-z", "30s", "-c", "5", "-m", "POST", "http://checkout.shop:8080/pay?x=1", '{"a": {n}}']  # fmt: skip
    told = {e["name"]: e.get("value", e.get("valueFrom")) for e in container["env"]}
    assert told["TARGET"] == "checkout.shop:8080/pay"
    assert told["TOKEN"] == {"secretKeyRef": {"name": "t", "key": "k"}}
    assert (told["SLOGUARD_RATE"], told["SLOGUARD_DURATION"]) == ("2.5", "30")
    assert container["resources"] == {"limits": {"cpu": "1"}}
    assert (pod["restartPolicy"], pod["serviceAccountName"]) == ("Never", "loader")
    assert pod["nodeSelector"] == {"pool": "load"}
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    about = job["spec"]["template"]["metadata"]
    assert about["labels"]["team"] == "shop"
    assert about["annotations"] == {"sidecar.istio.io/inject": "false"}


def test_the_report_is_in_the_termination_message(ground, shop):
    report = {"requests": 100, "statuses": {"200": 99, "503": 1}}
    broken = during(load(ground, shop), ground, shop, lambda pod: ground.finish(pod, 0, json.dumps(report)))  # fmt: skip
    (output,) = broken.outputs
    assert output["report"] == report
    assert output["report_from"] == "termination message"
    assert output["seconds"] >= 0
    job = output["job"].split("/")[1]
    ground.eventually(lambda: ground.cluster.get(JOBS, job, shop)["status"].get("succeeded") == 1)
    broken.undo()
    assert left(ground, shop) == []


def test_the_report_is_at_the_end_of_the_log(ground, shop):
    def logged(pod: Object) -> None:
        lines = ["starting", "{", '  "rps": 12.5', "}"]
        ground.double.log = lambda *_: "".join(f"2026-01-01T00:00:00Z {line}\n" for line in lines)
        ground.finish(pod)

    broken = during(load(ground, shop), ground, shop, logged)
    assert broken.outputs[0]["report"] == {"rps": 12.5}
    assert broken.outputs[0]["report_from"] == "log"
    broken.undo()


def test_no_report_is_told_and_is_no_failure(ground, shop):
    broken = during(load(ground, shop), ground, shop, lambda pod: ground.finish(pod, 0, "all good"))
    assert broken.outputs[0]["report"] is None
    assert "no JSON object" in broken.outputs[0]["report_from"]
    broken.undo()


def test_a_load_that_fails_is_a_failed_fault(ground, shop):
    broken = load(ground, shop)
    with pytest.raises(FaultError, match="ended with exit code 3: connection refused"):
        during(broken, ground, shop, lambda pod: ground.finish(pod, 3, "trying\nconnection refused"))  # fmt: skip
    broken.undo()
    assert left(ground, shop) == []


def test_a_pod_that_is_taken_away_is_a_failed_fault(ground, shop):
    broken = load(ground, shop)
    with pytest.raises(FaultError, match=r"was deleted while it sent the load|has failed"):
        during(broken, ground, shop, lambda pod: ground.cluster.delete(PODS, pod["metadata"]["name"], shop, grace=0))  # fmt: skip
    broken.undo()
    assert left(ground, shop) == []


def test_a_pod_that_does_not_start_says_why(ground, shop):
    inside = {"start_within": 0.4, "node_selector": {"pool": "none"}}
    broken = load(ground, shop, inside=inside)
    with pytest.raises(FaultError, match=r"has not started the load after 0\.4s: "):
        broken.inject()
    broken.undo()
    assert left(ground, shop) == []
    if ground.double is None:
        return
    ground.double.controllers.starts = False
    broken = load(ground, shop, inside={"start_within": 3})
    waiting = {"reason": "ErrImagePull", "message": "no such image"}

    def pull() -> None:
        ground.eventually(lambda: ground.pods(shop))
        ground.finish(ground.pods(shop)[0], waiting=waiting)

    thread = threading.Thread(target=pull)
    thread.start()
    with pytest.raises(FaultError, match="ErrImagePull: no such image"):
        broken.inject()
    thread.join()
    broken.undo()


def test_recovery_from_the_cluster_alone(ground, shop):
    broken = load(ground, shop)
    broken.context.stop.set()
    broken.inject()
    told = [t for t in recover_cluster(clusters(ground)) if shop in t.target]
    assert [(t.status, t.fault) for t in told] == [("undone", LOAD)]
    assert left(ground, shop) == []


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"in_cluster": "x"}, "in_cluster: expected a mapping with an image"),
        ({"in_cluster": {}}, "in_cluster: say which image"),
        ({"in_cluster": {"image": "i", "arg": []}}, "there is no arg; did you mean 'args'"),
        ({"in_cluster": {"image": "i", "args": "-z"}}, "in_cluster.args: expected a list"),
        ({"in_cluster": {"image": "i", "args": ["{clients}"]}}, r"args\[0\]: it asks for \{clients\}: give clients"),
        ({"in_cluster": {"image": "i", "namespace": "a*"}}, "expected the name of one namespace"),
        ({"in_cluster": {"image": "i", "namespace": "nowhere-at-all"}}, "the Job cannot be created"),
        ({"in_cluster": {"image": "i", "grace": 0}}, "in_cluster.grace: must be above 0"),
        ({"headers": {"a": "b"}}, "with in_cluster the image makes the requests"),
        ({"in_cluster": None}, "give clients"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_before(ground, shop, arguments, problem):
    with pytest.raises(FaultError, match=problem):
        load(ground, shop, **arguments)
    assert left(ground, shop) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", None),
        ("{", None),
        ("[1]", None),
        ('{"a": 1}', {"a": 1}),
        ('x\n{"a": 1}\n{"b": 2}\nbye', {"b": 2}),
        ('x\n{\n"a": {\n}\n}\n', {"a": {}}),
    ],
)
def test_the_object_that_a_text_ends_with(text, found):
    assert last_object(text) == found


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_killed_around_what_it_writes(ground, shop, tmp_path, mortals, method, moment):
    if ground.double is None:
        pytest.skip("trouble is the double's")
    double = ground.double

    def kill(_number: int, request: Any) -> None:
        if (request.method, "/jobs" in request.path) == (method, True) and not request.query:
            mortals.kill()
            if moment == "before":
                raise ConnectionAbortedError
        # Whatever runs has ended by the time that somebody looks.
        elif request.path.endswith("/pods"):
            for pod in ground.double.state.all("Pod", shop):
                ended = {"exitCode": 0, "message": "{}"}
                one = {"name": "load", "state": {"terminated": ended}}
                pod["status"] = {"phase": "Succeeded", "containerStatuses": [one]}
                double.state.put(double.state.kind("Pod"), pod)

    setattr(double.trouble, moment, kill)
    place = {"image": IMAGE, "namespace": shop, "start_within": 60}
    arguments = {"url": "http://checkout", "duration": 1, "in_cluster": place}
    ledger = tmp_path / "ledger.json"
    config = double.kubeconfig(tmp_path / "mortal")
    mortals.start(config, ledger, LOAD, arguments, "the-run")
    assert mortals.wait() == 9
    setattr(double.trouble, moment, lambda _number, _request: None)
    for record in records(ledger):
        find_fault(LOAD).undo(record, Context(cluster=clusters(ground)))
    assert left(ground, shop) == []
