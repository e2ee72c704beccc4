"""RBAC as it is documented, on the double and on a real cluster alike: what a rule covers, and what a binding gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sloguard.ports import ClusterError, ClusterForbidden, ClusterUnauthorized, Object
from sloguard.ports.resources import CONFIG_MAPS, PODS
from tests.support.access import Right, Rule, ask, may_reach, paths_of, rules_in
from tests.support.accounts import RBAC, Account
from tests.support.clusters import SERVICE_ACCOUNTS, Ground

pytestmark = pytest.mark.cluster
GROUP = "rbac.authorization.k8s.io"


@pytest.fixture
def account(ground: Ground, tmp_path: Path) -> Account:
    return Account(ground, tmp_path)


def rule(verbs: list[str], resources: list[str], *names: str, group: str = "") -> Object:
    made: Object = {"apiGroups": [group], "resources": resources, "verbs": verbs}
    return {**made, "resourceNames": list(names)} if names else made


def role(name: str, rules: list[Object], namespace: str = "") -> Object:
    kind = "Role" if namespace else "ClusterRole"
    about = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": about, "rules": rules}


def binding(of: Object, subjects: list[Object], namespace: str = "") -> Object:
    name, kind = of["metadata"]["name"], "RoleBinding" if namespace else "ClusterRoleBinding"
    about = {"name": name, **({"namespace": namespace} if namespace else {})}
    ref = {"apiGroup": GROUP, "kind": of["kind"], "name": name}
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": kind,
        "metadata": about,
        "roleRef": ref,
        "subjects": subjects,
    }


def subject(account: Account) -> Object:
    return {"kind": "ServiceAccount", "name": account.name, "namespace": account.namespace}


def give(account: Account, rules: list[Object], namespace: str = "") -> None:
    made = role(f"rights-{account.ground.mark}", rules, namespace)
    account.give([made, binding(made, [subject(account)], namespace)])


def soon(account: Account, *expected: Right) -> None:
    account.soon(lambda: all(one.may(account.cluster) for one in expected))


def test_a_name_narrows_a_rule_to_requests_that_name_it(ground, account):
    place = account.namespace
    names = ["get", "list", "create", "delete"]
    give(account, [rule(names, ["configmaps"], "mine")], place)
    mine = Right("get", "", "configmaps", place, "mine")
    soon(account, mine)
    for verb in ("get", "delete"):
        assert mine._replace(verb=verb).may(account.cluster)
        assert not mine._replace(verb=verb, name="yours").may(account.cluster)
        assert not mine._replace(verb=verb, name="").may(account.cluster)
    # Whoever looks through them all, or makes a new one, names none.
    for verb in ("list", "create"):
        assert not mine._replace(verb=verb, name="").may(account.cluster)
    assert account.cluster.list(CONFIG_MAPS, place, fields="metadata.name=mine") == []
    with pytest.raises(ClusterForbidden):
        account.cluster.list(CONFIG_MAPS, place)


def test_a_subresource_is_another_right(account):
    place = account.namespace
    give(account, [rule(["get"], ["pods", "deployments/scale", "*/status"], group="*")], place)
    pods = Right("get", "", "pods", place)
    soon(account, pods)
    assert not pods._replace(resource="pods/log").may(account.cluster)
    assert pods._replace(resource="pods/status").may(account.cluster)
    scale = Right("get", "apps", "deployments/scale", place)
    assert scale.may(account.cluster)
    assert not scale._replace(resource="deployments").may(account.cluster)
    assert not scale._replace(resource="statefulsets/scale").may(account.cluster)
    assert scale._replace(resource="statefulsets/status").may(account.cluster)


def test_a_star_is_everything_of_its_place(account):
    place, other = account.namespace, account.ground.namespace("other")
    give(account, [rule(["*"], ["*"], group="apps")], place)
    odd = Right("whatever", "apps", "deployments/anything", place)
    soon(account, odd)
    assert not odd._replace(group="batch").may(account.cluster)
    assert not odd._replace(namespace=other).may(account.cluster)
    assert not odd._replace(namespace="").may(account.cluster)


def test_a_cluster_role_that_is_bound_in_a_namespace_holds_there(account):
    place, other = account.namespace, account.ground.namespace("other")
    made = role(
        f"rights-{account.ground.mark}",
        [
            rule(["list"], ["pods", "nodes"]),
            {"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
        ],
    )
    account.give([made, binding(made, [subject(account)], place)])
    pods = Right("list", "", "pods", place)
    soon(account, pods)
    assert not pods._replace(namespace=other).may(account.cluster)
    assert not pods._replace(namespace="").may(account.cluster)
    # What is in no namespace is out of its reach, and so is what is no resource.
    assert not Right("list", "", "nodes").may(account.cluster)
    assert not may_reach(account.cluster, "/metrics")
    assert ("get", "/metrics") not in paths_of(account.cluster, place)


def test_paths_are_given_by_whole_names_and_beginnings(account):
    give(account, [{"nonResourceURLs": ["/metrics", "/debug/*"], "verbs": ["get"]}])
    account.soon(lambda: may_reach(account.cluster, "/metrics"))
    assert may_reach(account.cluster, "/debug/pprof/heap")
    for path in ("/metrics/slis", "/logs", "/debu"):
        assert not may_reach(account.cluster, path)
    assert not may_reach(account.cluster, "/metrics", "post")
    # What everybody may.
    for path in ("/version", "/api", "/apis/apps/v1", "/openapi/v3"):
        assert may_reach(account.cluster, path)


def test_all_accounts_of_a_namespace_are_a_group(ground, account, tmp_path):
    other = Account(ground, tmp_path, "other")
    made = role(f"rights-{ground.mark}", [rule(["list"], ["pods"])], account.namespace)
    name = f"system:serviceaccounts:{account.namespace}"
    group = {"kind": "Group", "apiGroup": GROUP, "name": name}
    account.give([made, binding(made, [group], account.namespace)])
    pods = Right("list", "", "pods", account.namespace)
    soon(account, pods)
    assert not pods.may(other.cluster)
    assert Rule("list", "", "pods") in rules_in(account.cluster, account.namespace)
    assert Rule("list", "", "pods") not in rules_in(account.cluster, other.namespace)


def test_others_are_asked_about_by_who_may_ask(ground, account):
    give(account, [rule(["list"], ["pods"])], account.namespace)
    pods = Right("list", "", "pods", account.namespace)
    soon(account, pods)
    user = f"system:serviceaccount:{account.namespace}:{account.name}"
    given = {"verb": "list", "resource": "pods", "namespace": account.namespace}
    spec = {"user": user, "resourceAttributes": given}
    assert ask(ground.direct, "SubjectAccessReview", spec)["allowed"]
    local = ask(ground.direct, "LocalSubjectAccessReview", spec, account.namespace)
    assert local["allowed"]
    assert user in local["reason"] or account.name in local["reason"]
    nobody = {**spec, "user": "nobody"}
    assert not ask(ground.direct, "SubjectAccessReview", nobody)["allowed"]
    with pytest.raises(ClusterForbidden, match="subjectaccessreviews"):
        ask(account.cluster, "SubjectAccessReview", spec)


def test_nobody_gives_what_is_not_theirs(ground, account):
    place = account.namespace
    writing = ["create", "update", "patch", "get"]
    give(
        account,
        [
            rule(writing, ["roles", "rolebindings"], group=GROUP),
            rule(["list"], ["pods"]),
        ],
        place,
    )
    soon(account, Right("create", GROUP, "roles", place))
    less = role("less", [rule(["list"], ["pods"])], place)
    account.cluster.create(RBAC["Role"], less)
    with pytest.raises(ClusterForbidden, match="attempting to grant"):
        account.cluster.create(RBAC["Role"], role("more", [rule(["get"], ["secrets"])], place))
    with pytest.raises(ClusterForbidden, match="attempting to grant"):
        account.cluster.merge_patch(
            RBAC["Role"], "less", place, {"rules": [rule(["delete"], ["pods"])]}
        )
    account.cluster.create(RBAC["RoleBinding"], binding(less, [subject(account)], place))
    ground.direct.create(RBAC["Role"], role("great", [rule(["*"], ["secrets"])], place))
    great = binding(role("great", [], place), [subject(account)], place)
    with pytest.raises(ClusterForbidden, match="attempting to grant"):
        account.cluster.create(RBAC["RoleBinding"], great)


def test_a_namespace_may_be_named_by_a_role_in_it(account):
    from sloguard.ports.resources import NAMESPACES

    give(account, [rule(["get"], ["namespaces"])], account.namespace)
    account.soon(
        lambda: Right("get", "", "namespaces", account.namespace, account.namespace).may(
            account.cluster
        )
    )
    found = account.cluster.get(NAMESPACES, account.namespace)
    assert found["metadata"]["name"] == account.namespace
    with pytest.raises(ClusterForbidden):
        account.cluster.get(NAMESPACES, "default")


def token(ground: Ground, account: Account, **spec: Any) -> Any:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    where = f"/api/v1/namespaces/{account.namespace}/serviceaccounts/{account.name}/token"
    return ground.direct._http.request("POST", where, None, body, again=True)["status"]


def test_a_token_is_of_an_account_that_is_there(ground, account):
    assert token(ground, account, expirationSeconds=600)["expirationTimestamp"]
    with pytest.raises(ClusterError, match="10 minutes"):
        token(ground, account, expirationSeconds=60)
    assert account.cluster.allowed("list", PODS).allowed is False
    ground.direct.delete(SERVICE_ACCOUNTS, account.name, account.namespace)

    def refused() -> bool:
        try:
            account.cluster.allowed("list", PODS)
        except ClusterUnauthorized:
            return True
        return False

    account.soon(refused)
    # Also where another one of its name comes: it is not the same.
    about = {"name": account.name, "namespace": account.namespace}
    body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": about}
    ground.direct.create(SERVICE_ACCOUNTS, body)
    assert refused()
    account.name = "nobody"
    with pytest.raises(ClusterError, match="not found"):
        token(ground, account)
