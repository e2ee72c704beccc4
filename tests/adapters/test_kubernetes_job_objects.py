"""The Job of a worker: what the service's pod has, without what serves, and nothing that is secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from sloguard.adapters.kubernetes_job_objects import (
    EXECUTOR,
    RUN,
    Home,
    JobShape,
    job_name,
    job_object,
    laid_over,
    toleration,
)
from sloguard.adapters.kubernetes_jobs import KubernetesJobs, home_of
from sloguard.ports.jobs import Job, JobState
from sloguard.ports.resources import JOBS
from tests.support.clusters import Ground

DEPLOYMENT = Path(__file__).parents[2] / "deploy" / "base" / "deployment.yaml"
ID = "20261121T031500-ab12cd"


def template() -> Any:
    return yaml.safe_load(DEPLOYMENT.read_text("utf-8"))["spec"]["template"]


def made(
    shape: JobShape | None = None, *, home: Home | None = None, namespace: str = "sloguard"
) -> Any:
    return job_object(
        run=ID,
        taking="0123456789abcdef",
        namespace=namespace,
        deadline=900.4,
        home=home or Home(template=template()),
        shape=shape or JobShape(),
    )


def test_a_worker_sees_what_the_service_sees_and_serves_nobody() -> None:
    service, job = template()["spec"], made()
    spec = job["spec"]["template"]["spec"]
    (container,), (was,) = spec["containers"], service["containers"]
    assert container["args"] == ["worker", "job", ID, "--taking", "0123456789abcdef"]
    for name in ("image", "volumeMounts", "securityContext", "env"):
        assert container[name] == was[name]
    assert not {"ports", "livenessProbe", "readinessProbe", "startupProbe"} & set(container)
    assert spec["volumes"] == service["volumes"]
    assert spec["serviceAccountName"] == service["serviceAccountName"]
    assert (spec["restartPolicy"], job["spec"]["backoffLimit"]) == ("Never", 0)
    assert spec["terminationGracePeriodSeconds"] == 300
    assert job["spec"]["activeDeadlineSeconds"] == 900


def test_no_service_takes_it_for_one_of_its_own_pods() -> None:
    labels = made()["spec"]["template"]["metadata"]["labels"]
    selector = yaml.safe_load(DEPLOYMENT.read_text("utf-8"))["spec"]["selector"]["matchLabels"]
    assert not selector.items() <= labels.items()
    assert (labels[RUN], labels[EXECUTOR]) == (ID, "sloguard")


def test_without_a_pod_of_its_own_it_is_as_guarded() -> None:
    with pytest.raises(ValueError, match=r"executor\.image: the service does not run in a pod"):
        made(home=Home(template={}))
    spec = made(JobShape(image="a:1"), home=Home(template={}))["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["volumeMounts"] == [{"name": "scratch", "mountPath": "/tmp"}]
    assert container["resources"]["limits"] == {"memory": "1Gi"}


def test_the_settings_win_over_the_pod_and_the_file_over_both() -> None:
    shape = JobShape(
        image="other:2",
        service_account="chaos",
        node_selector={"pool": "chaos"},
        tolerations=[toleration("dedicated=chaos:NoSchedule")],
        requests={"cpu": "1"},
        labels={"team": "sre", RUN: "forged"},
        annotations={"sidecar.istio.io/inject": "false"},
        over={
            "metadata": {"labels": {EXECUTOR: "forged", "cost": "1"}},
            "spec": {
                "priorityClassName": "low",
                "securityContext": {"fsGroup": None},
                "containers": [{"name": "sloguard", "env": [{"name": "HOME", "value": "/x"}, {"name": "NEW", "value": "1"}]}],
            },
        },
    )  # fmt: skip
    found = made(shape)["spec"]["template"]
    labels, spec = found["metadata"]["labels"], found["spec"]
    (container,) = spec["containers"]
    assert (labels["team"], labels["cost"]) == ("sre", "1")
    assert (labels[RUN], labels[EXECUTOR]) == (ID, "sloguard"), "by these it is found again"
    assert found["metadata"]["annotations"]["sidecar.istio.io/inject"] == "false"
    assert (container["image"], spec["serviceAccountName"]) == ("other:2", "chaos")
    assert spec["tolerations"][-1]["value"] == "chaos"
    assert spec["nodeSelector"] == {"pool": "chaos"}
    assert container["resources"]["requests"] == {"cpu": "1"}
    assert "fsGroup" not in spec["securityContext"]
    environ = {one["name"]: one.get("value") for one in container["env"]}
    assert (environ["HOME"], environ["NEW"]) == ("/x", "1")
    assert environ["SLOGUARD_CONFIG"]


def test_what_keeps_replicas_apart_is_not_the_workers() -> None:
    given = template()
    given["spec"]["affinity"] = {"podAntiAffinity": {"x": 1}, "nodeAffinity": {"y": 2}}
    given["spec"]["topologySpreadConstraints"] = [{"maxSkew": 1}]
    given["spec"]["containers"].append({"name": "proxy", "image": "never-ends"})
    spec = made(home=Home(template=given))["spec"]["template"]["spec"]
    assert spec["affinity"] == {"nodeAffinity": {"y": 2}}
    assert "topologySpreadConstraints" not in spec
    assert [one["name"] for one in spec["containers"]] == ["sloguard"]


def test_names_fit_and_are_the_same_for_the_same_taking() -> None:
    name = job_name(ID, "0123456789abcdef")
    assert name == "sloguard-run-20261121t031500-ab12cd-0123456789abcdef"
    assert name != job_name(ID, "fedcba9876543210")
    assert len(job_name("x" * 128, "0123456789abcdef")) <= 63


@pytest.mark.parametrize(
    ("asked", "limit"),
    [
        ("256Mi", "1Gi"),
        ("2Gi", "2Gi"),
        ("1073741824", "1Gi"),
        ("2e9", "2e9"),
        ("1200M", "1200M"),
        ("1000M", "1Gi"),
    ],
)
def test_who_asks_for_more_than_the_usual_limit_has_it(asked: str, limit: str) -> None:
    """A pod that may take less than it asks for is refused."""
    spec = made(JobShape(requests={"memory": asked}))["spec"]["template"]["spec"]
    assert spec["containers"][0]["resources"] == {
        "requests": {"memory": asked},
        "limits": {"memory": limit},
    }


@pytest.mark.parametrize("text", ["", "key", "key:Never", "a b:NoSchedule"])
def test_a_toleration_that_makes_no_sense(text: str) -> None:
    with pytest.raises(ValueError, match="KEY=VALUE:EFFECT"):
        toleration(text)


def test_one_is_laid_over_another() -> None:
    below = {"a": [{"name": "x", "v": 1}, {"name": "y"}], "b": [1], "c": 1}
    above = {"a": [{"name": "x", "w": 2}, {"name": "z"}], "b": [2], "c": None}
    assert laid_over(below, above) == {
        "a": [{"name": "x", "v": 1, "w": 2}, {"name": "y"}, {"name": "z"}],
        "b": [2],
    }


@pytest.mark.parametrize("version", ["1.31", "1.36"])
def test_kubernetes_knows_all_of_its_fields(version: str) -> None:
    import kubernetes_validate

    shape = JobShape(tolerations=[toleration("a:NoSchedule"), toleration("b=c:NoExecute")])
    kubernetes_validate.validate(made(shape), version, strict=True)


@pytest.mark.cluster
def test_a_server_takes_it(ground: Ground) -> None:
    namespace = ground.namespace("chaos")
    for home in (Home(template=template()), Home(template={})):
        job = made(JobShape(image="a:1"), home=home, namespace=namespace)
        taken = ground.cluster.create(JOBS, job, dry_run=True)
        assert taken["spec"]["template"]["spec"]["restartPolicy"] == "Never"


@pytest.mark.cluster
def test_it_belongs_to_the_deployment_and_not_to_a_rollout(ground: Ground) -> None:
    """The template is that of the pod's own ReplicaSet."""
    ground.node()
    namespace = ground.namespace("chaos")
    deployment = ground.deployment(namespace, "sloguard", replicas=1)
    (pod,) = ground.pods(namespace)
    here = _Inside(ground.cluster, namespace, pod["metadata"]["name"])
    home = home_of(here)  # type: ignore[arg-type]  # a cluster, seen from one of its pods
    assert home.owner is not None
    assert (home.owner["kind"], home.owner["uid"]) == ("Deployment", deployment["metadata"]["uid"])
    assert home.template["spec"]["containers"][0]["name"] == "sloguard"
    assert "nodeName" not in home.template["spec"]


@pytest.mark.cluster
def test_a_job_in_another_namespace_has_no_owner_there(ground: Ground) -> None:
    """Who has an owner that its own namespace does not have is collected as garbage."""
    ground.node()
    namespace, elsewhere = ground.namespace("chaos"), ground.namespace("jobs")
    ground.deployment(namespace, "sloguard", replicas=1)
    (pod,) = ground.pods(namespace)
    here = _Inside(ground.cluster, namespace, pod["metadata"]["name"])
    job = Job(id=ID, state=JobState.STARTING, requested_at=0.0, claim="secret")

    def body(where: str, deadline: float = 60.0) -> Any:
        executor = KubernetesJobs(
            lambda: here,  # type: ignore[arg-type,return-value]  # a cluster, seen from one of its pods
            JobShape(),
            namespace=where,
            deadline=lambda _job: deadline,
        )
        return executor.body(job)

    for where in ("", namespace):
        (owner,) = body(where)["metadata"]["ownerReferences"]
        assert owner["kind"] == "Deployment"
    assert "ownerReferences" not in body(elsewhere)["metadata"]
    made = body(elsewhere, float("inf"))
    assert made["spec"]["activeDeadlineSeconds"] < 2**31


class _Inside:
    """A cluster as it shows itself to a process in one of its pods."""

    def __init__(self, cluster: Any, namespace: str, pod: str) -> None:
        from sloguard.ports import Whereabouts

        self._cluster, self._here = cluster, Whereabouts(cluster.name, namespace, pod)

    def whereabouts(self) -> Any:
        return self._here

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)
