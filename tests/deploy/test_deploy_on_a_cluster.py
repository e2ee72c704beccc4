"""deploy/ before an API server: it takes every object, and each account may do what its experiments need, and no more."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.deploy import ACCOUNTS, rights_of, rights_of_executor
from sloguard.ports import ClusterConflict, ClusterError, ClusterForbidden, ClusterUnauthorized
from sloguard.ports.resources import PODS
from tests.support.access import Right, may_reach, paths_of, rules_in, spread
from tests.support.accounts import Account
from tests.support.clusters import SERVICE_ACCOUNTS, Ground
from tests.support.manifests import ALONE, DEPLOY, TOGETHER, built, needs_kubectl, templates
from tests.support.schemas import parts_of_pods
from tests.support.staging import TRIED, Stage

pytestmark = [pytest.mark.cluster, needs_kubectl]

RBAC = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
WIDEST = "cluster and all beside it"


BY_JOBS = "cluster, by Jobs"
#: What has an account -> that account.
ACTING = {**ACCOUNTS, BY_JOBS: ACCOUNTS["cluster"]}


@cache
def needs_of(overlay: str) -> tuple[dict[str, Any], ...]:
    """What ``sloguard rbac`` says its experiments need, verb by verb; and what Jobs take, if there are."""
    jobs = json.loads(rights_of_executor("json"))["needs"] if overlay == BY_JOBS else []
    own = "cluster" if overlay == BY_JOBS else overlay
    return (*json.loads(rights_of(own, "json"))["needs"], *jobs)


def right(stage: Stage, need: dict[str, Any]) -> Right:
    sub = f"/{need['subresource']}" if need["subresource"] else ""
    place = stage.place(need["namespace"]) if need["namespace"] else ""
    return Right(need["verb"], need["group"], need["resource"] + sub, place, need["name"])


@pytest.mark.parametrize("name", [*ALONE, *TOGETHER])
def test_the_server_takes_every_object(ground: Ground, name: str) -> None:
    stage = Stage(ground, built(name))
    made = stage.apply()
    assert [one["kind"] for one in made].count("Namespace") == (name != "overlays/alertmanager")
    for one in made:
        assert one["kind"] in TRIED or one["metadata"]["uid"]
    # What is there already is applied again without a change.
    for one in stage.objects:
        if one["kind"] not in TRIED:
            resource, about = stage.resource(one), one["metadata"]
            before = ground.direct.get(resource, about["name"], about.get("namespace"))
            again = stage.apply_one(one)
            assert again["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


def test_the_server_refuses_a_field_that_nobody_knows(ground: Ground) -> None:
    stage = Stage(ground, built("base and every component"))
    for kind in ("Deployment", "CronJob", "NetworkPolicy", "Service", "ServiceMonitor"):
        wrong = copy.deepcopy(next(one for one in stage.objects if one["kind"] == kind))
        wrong["spec"]["mistyped"] = 1
        with pytest.raises(ClusterError, match="mistyped"):
            stage.apply_one(wrong, dry_run=True)


@pytest.mark.parametrize("name", ["base and every component", "overlays/one-shot"])
def test_its_pods_are_admitted_where_nothing_privileged_is(ground: Ground, name: str) -> None:
    stage = Stage(ground, built(name))
    stage.apply(["ServiceAccount"])
    for template in templates(name):
        assert stage.pod("sloguard", template)["metadata"]["name"] == "tried"
        loose = copy.deepcopy(template)
        del loose["spec"]["containers"][0]["securityContext"]
        with pytest.raises(ClusterForbidden, match="PodSecurity"):
            stage.pod("sloguard", loose)


@pytest.mark.parametrize("file", ["argo-rollouts.yaml", "argo-workflow.yaml"])
def test_argos_objects_and_their_pods_are_admitted_too(ground: Ground, file: str) -> None:
    stage = Stage(ground, built("overlays/one-shot"))
    stage.apply(["ServiceAccount"])
    made = {(one["kind"], one["metadata"]["name"]) for one in stage.objects}
    seen = 0
    for obj in yaml.safe_load_all((DEPLOY / "pipelines" / file).read_text("utf-8")):
        place = {"namespace": stage.place("sloguard")}
        about = {"name": obj["metadata"].get("name", "generated"), **place}
        stage.apply_one({**obj, "metadata": about})
        account = obj["spec"].get("serviceAccountName")
        assert account is None or ("ServiceAccount", account) in made
        for kind, part in parts_of_pods(obj):
            if kind.endswith("JobSpec"):
                spec = part["template"]["spec"]
            elif kind.endswith("Container"):
                wide = {k: obj["spec"][k] for k in ("volumes", "securityContext")}
                named = {"name": "main", **part}
                spec = {**wide, "containers": [named], "restartPolicy": "Never"}
            else:
                continue
            stage.pod("sloguard", {"spec": spec})
            for volume in spec["volumes"]:
                assert (
                    "configMap" not in volume or ("ConfigMap", volume["configMap"]["name"]) in made
                )
            seen += 1
    assert seen


@pytest.fixture
def stage(ground: Ground, request: pytest.FixtureRequest) -> Stage:
    """The accounts and roles of an overlay."""
    name = request.param if request.param == BY_JOBS else f"overlays/{request.param}"
    made = Stage(ground, built(name))
    made.apply(RBAC)
    return made


def account_of(stage: Stage, overlay: str, folder: Path) -> Account:
    """With a token of its own; once the server has heard of its roles."""
    account = stage.account(ACTING[overlay], folder)
    wanted = [right(stage, need) for need in needs_of(overlay)]
    account.soon(lambda: all(one.may(account.cluster) for one in wanted))
    return account


def parametrized() -> Any:
    return pytest.mark.parametrize(
        ("overlay", "stage"), [(o, o) for o in sorted(ACTING)], indirect=["stage"], ids=sorted(ACTING)
    )  # fmt: skip


@parametrized()
def test_each_account_may_do_what_its_experiments_need(overlay, stage, tmp_path):
    account = account_of(stage, overlay, tmp_path)
    needs = [right(stage, need) for need in needs_of(overlay)]
    assert len(needs) > 5
    assert [one for one in needs if not one.may(account.cluster)] == []
    # By its token alone: without the account the token is nobody's.
    stage.ground.direct.delete(SERVICE_ACCOUNTS, account.name, account.namespace)

    def is_nobody() -> bool:
        try:
            needs[0].may(account.cluster)
        except ClusterUnauthorized:
            return True
        return False

    account.soon(is_nobody)


@parametrized()
def test_no_account_may_do_more(overlay, stage, tmp_path):
    """All that the server says it may do, in each namespace, is what was computed, and what everybody may."""
    account = account_of(stage, overlay, tmp_path)
    nobody = Account(stage.ground, tmp_path, "nobody")
    elsewhere = nobody.namespace
    for place in {*stage._places.values(), elsewhere}:
        mine = rules_in(account.cluster, place) - rules_in(nobody.cluster, place)
        here = [
            need
            for need in needs_of(overlay)
            if need["namespace"] is None or stage.place(need["namespace"]) == place
        ]
        assert mine == spread(
            {
                "verbs": [need["verb"]],
                "apiGroups": [need["group"]],
                "resources": [
                    "/".join(filter(None, (need["resource"], need["subresource"]))),
                ],
                "resourceNames": [need["name"]],
            }
            for need in here
        )
    assert paths_of(account.cluster, elsewhere) == paths_of(nobody.cluster, elsewhere)


#: Nobody needs this to break and mend pods, nodes and routes.
RBAC_GROUP = "rbac.authorization.k8s.io"
NEVER = [
    *(Right(verb, "", "secrets") for verb in ("get", "list", "watch", "create")),
    *(Right(verb, "", "namespaces") for verb in ("create", "delete", "patch")),
    *(Right(verb, "", "nodes") for verb in ("delete", "update")),
    *(Right("create", "", sub) for sub in ("pods", "pods/exec", "serviceaccounts/token")),
    Right("get", "", "nodes/proxy"),
    Right("deletecollection", "", "pods"),
    Right("delete", "apps", "deployments"),
    Right("update", "apps", "deployments"),
    *(Right("escalate", RBAC_GROUP, kind) for kind in ("roles", "clusterroles")),
    *(Right("bind", RBAC_GROUP, kind) for kind in ("roles", "clusterroles")),
    *(Right("create", RBAC_GROUP, kind) for kind in ("rolebindings", "clusterrolebindings")),
    *(Right("impersonate", "", who) for who in ("users", "groups", "serviceaccounts")),
    Right("approve", "certificates.k8s.io", "signers"),
    Right("create", "admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
    Right("*", "*", "*"),
]


@parametrized()
def test_no_account_may_do_what_none_needs(overlay, stage, tmp_path):
    account = account_of(stage, overlay, tmp_path)
    places = ["", *stage._places.values(), "kube-system"]
    for one in NEVER:
        for place in places:
            assert not one._replace(namespace=place).may(account.cluster), (one, place)
    for path in ("/metrics", "/logs/", "/debug/pprof/"):
        assert not may_reach(account.cluster, path)


@pytest.mark.parametrize("stage", ["namespace"], indirect=True)
def test_who_works_in_one_namespace_sees_no_other(stage, tmp_path):
    account = account_of(stage, "namespace", tmp_path)
    target, other = stage.place("shop"), stage.ground.namespace("other")
    assert account.cluster.list(PODS, target) == []
    for place in (other, account.namespace, "kube-system", None):
        with pytest.raises(ClusterForbidden, match="pods is forbidden"):
            account.cluster.list(PODS, place)
    # Of leases, only the one by its name may be changed.
    lease = Right("update", "coordination.k8s.io", "leases", target)
    assert lease._replace(name="sloguard").may(account.cluster)
    assert not lease._replace(name="another").may(account.cluster)
    assert not lease.may(account.cluster)


def test_what_another_manager_has_set_is_not_taken_from_it(ground: Ground) -> None:
    """An overlay that is applied leaves alone what is not its own, or says so."""
    stage = Stage(ground, built("overlays/one-shot"))
    (config,) = [one for one in stage.objects if one["kind"] == "ConfigMap"]
    stage.apply_one(config)
    theirs = copy.deepcopy(config)
    theirs["data"] = {"slo.yaml": "mine"}
    stage.apply_one(theirs, manager="somebody")
    made = stage.apply_one(config)
    assert set(made["data"]) == {*config["data"], "slo.yaml"}
    with pytest.raises(ClusterConflict, match=r"slo\.yaml"):
        stage.apply_one({**config, "data": {**config["data"], "slo.yaml": "ours"}})
    assert (
        stage.apply_one({**config, "data": {**config["data"], "slo.yaml": "ours"}}, force="true")[
            "data"
        ]["slo.yaml"]
        == "ours"
    )
    # What is left out of the next configuration goes.
    assert set(stage.apply_one(config)["data"]) == set(config["data"])
